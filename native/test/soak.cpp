// Hours of an engine's life in minutes: random opening, appending, generating, forking, parking, aborting,
// closing, scoring, learning and failing of small conversations in a pool that is too small for them.
//
//   soak [operations] [seed] [on|off: kernels] [threads]
//
// Fails when a generation is not answered exactly once, when nothing is answered for a minute, when memory
// grows, when pages are left over, or, on kernels, when a sampled generation differs in a bit from what an
// engine says that has nothing else to do, or from the trainer's log-probs. Run by scripts/native.js.

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "test.h"
#include "tiny.h"

using namespace tarl;

namespace {

constexpr int64_t kSlots = 48;
constexpr int64_t kPosted = 512;      // most jobs that the engine has not run yet
constexpr int64_t kPhase = 20000;     // operations between two steps that change weights
constexpr int64_t kSampleEvery = 40;  // generations
constexpr auto kSilence = std::chrono::seconds(60);

struct Answer {
  size_t slot;
  int64_t generation;
  Generation said;
  std::string failure;
};

/// A generation to be repeated by the quiet engine.
struct Sample {
  std::vector<int32_t> before;
  uint64_t seed;
  Sampling sampling;
  Generation said;
};

struct Slot {
  enum { closed, idle, generating } state = closed;
  int64_t id = 0, generation = 0, failures = 0;
  bool poisoned = false;  // an id that no vocabulary has: every generation fails
  std::vector<int32_t> ids;
  uint64_t seed = 0;
  Sampling sampling;
};

class Soak {
 public:
  Soak(int64_t operations, uint64_t seed, bool kernels, int threads)
      : operations_(operations),
        seed_(seed),
        kernels_(kernels),
        engine_(options(kernels, threads)),
        quiet_(options(kernels, threads)) {
    for (Engine* engine : {&engine_, &quiet_})
      on(*engine, [&] { engine->change([&] { engine->model().initialise(7); }); });
  }

  void run() {
    const auto start = std::chrono::steady_clock::now();
    std::thread dog([&] { watch(); });
    for (int64_t i = 0; i < operations_;) {
      hear(kSlots / 2);
      if (!operate()) continue;
      if (++i % kPhase == 0) check();
      if (i % std::max<int64_t>(1, operations_ / 200) == 0) memory_.push_back(resident());
    }
    check();
    for (Slot& slot : slots_)
      if (slot.state != Slot::closed) close(slot);
    const EngineStats stats = on(engine_, [&] { return engine_.stats(); });
    done_ = true;
    dog.join();
    EXPECT(stats.pages == 0 && stats.waiting == 0);
    EXPECT(answered_ == generations_);

    const size_t tenth = memory_.size() / 10;
    const double first = mean(0, tenth), second = mean(tenth, 2 * tenth),
                 last = mean(memory_.size() - tenth, memory_.size());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf(
        "%lld operations in %.0f s: %lld generations, %lld answered, %lld failed, %lld aborted; %lld tokens "
        "sampled, "
        "%lld computed (%lld of them again), %lld shared, %lld rounds; %lld forks, %lld scores, %lld steps; "
        "%lld compared; MiB in the first, second and last tenth: %.1f %.1f %.1f\n",
        ll(operations_), seconds, ll(generations_), ll(answered_), ll(failed_), ll(aborted_),
        ll(stats.sampled), ll(stats.computed), ll(stats.recomputed), ll(stats.shared), ll(stats.rounds),
        ll(forks_), ll(scores_), ll(steps_), ll(compared_), first, second, last);
    // What the allocators keep comes in the first tenth; of a short run, or under a sanitizer, that is all.
    if (operations_ >= 100000) EXPECT(last < 1.02 * second + 2);
  }

 private:
  static long long ll(int64_t x) { return x; }

  static EngineOptions options(bool kernels, int threads) {
    EngineOptions o = tiny(kernels, 1);
    o.threads = threads;
    o.kv_tokens = 40 * kPage;  // a third of what the conversations want
    return o;
  }

  uint64_t random(uint64_t below) {
    return static_cast<uint64_t>(uniform(seed_, counter_++) * static_cast<double>(below));
  }

  double mean(size_t from, size_t to) const {
    double sum = 0;
    for (size_t i = from; i < to; i++) sum += memory_[i];
    return sum / static_cast<double>(std::max<size_t>(1, to - from));
  }

  static double resident() {
    int64_t total = 0, pages = 0;
    std::ifstream("/proc/self/statm") >> total >> pages;
    return static_cast<double>(pages * sysconf(_SC_PAGESIZE)) / 1048576;
  }

  template <class F>
  void post(const F& job) {
    while (posted_ - executed_ >= kPosted) std::this_thread::yield();
    posted_++;
    engine_.post([this, job] {
      attempt([&] { job(); });
      executed_++;
    });
  }

  void watch() {
    int64_t before = -1;
    auto since = std::chrono::steady_clock::now();
    while (!done_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      const int64_t now = executed_ + told_;
      if (now != before) since = std::chrono::steady_clock::now();
      before = now;
      if (std::chrono::steady_clock::now() - since < kSilence) continue;
      std::fprintf(stderr, "nothing happened for a minute: %lld of %lld jobs, %lld of %lld generations\n",
                   ll(executed_), ll(posted_), ll(told_), ll(generations_));
      std::_Exit(3);
    }
  }

  /// Takes in answers, and waits for them while more than `most` generations are under way.
  void hear(int64_t most) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      for (Answer& answer : answers_) take(answer);
      answers_.clear();
      if (generations_ - answered_ <= most) return;
      told_all_.wait(lock);
    }
  }

  void take(Answer& answer) {
    Slot& slot = slots_[answer.slot];
    answered_++;
    if (slot.generation != answer.generation) return;  // the slot was closed and is another conversation's
    if (slot.state == Slot::closed) return;
    EXPECT(slot.state == Slot::generating);
    slot.state = Slot::idle;
    if (!answer.failure.empty()) {
      failed_++;
      return;
    }
    EXPECT(!slot.poisoned || answer.said.ids.empty());
    const bool aborted = std::strcmp(answer.said.ended, "aborted") == 0;
    aborted_ += aborted;
    if (kernels_ && !slot.poisoned && answer.generation % kSampleEvery == 0)
      samples_.push_back({slot.ids, slot.seed, slot.sampling, answer.said});
    slot.ids.insert(slot.ids.end(), answer.said.ids.begin(), answer.said.ids.end());
  }

  /// False where there was nothing to do.
  bool operate() {
    const size_t index = random(kSlots);
    Slot& slot = slots_[index];
    const uint64_t what = random(100);
    if (slot.state == Slot::closed)
      open(index);
    else if (slot.state == Slot::generating && what < 4)
      post([this, id = slot.id] { engine_.abort(id); });
    else if (slot.state == Slot::generating && what == 4)
      post([this, id = slot.id] { engine_.abort(id, std::make_exception_ptr(Error("DEADLINE", "late"))); });
    else if (slot.state == Slot::generating && what == 5)
      close(slot);
    else if (slot.state == Slot::generating)
      return false;
    else if (slot.ids.size() >= 110 || what < 4)
      close(slot);
    else if (what < 12)
      fork(slot);
    else if (what < 30)
      append(slot);
    else if (what == 30 && random(50) == 0)
      learn(0);
    else if (what == 31 && random(10) == 0)
      score(slot);
    else
      generate(index);
    return true;
  }

  void append(Slot& slot) {
    std::vector<int32_t> more;
    for (uint64_t n = random(20); n > 0; n--) more.push_back(static_cast<int32_t>(random(61)));
    slot.ids.insert(slot.ids.end(), more.begin(), more.end());
    post([this, id = slot.id, more] { engine_.append(id, more); });
  }

  /// Few beginnings, so that conversations share pages; one in some thousands makes its rounds fail.
  void open(size_t index) {
    Slot& slot = slots_[index];
    slot = {};
    slot.state = Slot::idle;
    slot.id = next_++;
    slot.seed = static_cast<uint64_t>(slot.id);
    const uint64_t kind = random(4), length = random(70);
    for (uint64_t i = 0; i < length; i++) slot.ids.push_back(static_cast<int32_t>((i * 7 + kind * 11) % 61));
    slot.ids.push_back(static_cast<int32_t>(random(61)));
    if (random(2000) == 0) {
      slot.poisoned = true;
      slot.ids.push_back(9999);
    }
    post([this, id = slot.id, ids = slot.ids, seed = slot.seed] { engine_.open(id, ids, seed); });
  }

  void generate(size_t index) {
    Slot& slot = slots_[index];
    slot.state = Slot::generating;
    slot.generation = ++generations_;
    slot.sampling = {};
    slot.sampling.temperature = random(5) == 0 ? 0 : 0.9;
    slot.sampling.top_k = random(4) == 0 ? 5 : 0;
    slot.sampling.stop_ids = {5};
    slot.sampling.max_tokens = static_cast<int64_t>(1 + random(random(10) == 0 ? 60 : 8));
    post([this, index, id = slot.id, generation = slot.generation, sampling = slot.sampling] {
      const auto done = [this, index, generation](Generation said, std::exception_ptr failure) {
        Answer answer{index, generation, std::move(said), ""};
        try {
          if (failure) std::rethrow_exception(failure);
        } catch (const std::exception& e) {
          answer.failure = e.what();
        }
        const std::lock_guard<std::mutex> lock(mutex_);
        answers_.push_back(std::move(answer));
        told_++;
        told_all_.notify_one();
      };
      try {
        engine_.generate(id, sampling, done);
      } catch (...) {
        done({}, std::current_exception());
      }
    });
  }

  void fork(const Slot& slot) {
    for (Slot& twin : slots_) {
      if (twin.state != Slot::closed) continue;
      twin = slot;
      twin.id = next_++;
      twin.seed = static_cast<uint64_t>(twin.id);
      forks_++;
      return post([this, from = slot.id, to = twin.id, seed = twin.seed] { engine_.fork(from, to, seed); });
    }
  }

  void close(Slot& slot) {
    slot.state = Slot::closed;
    post([this, id = slot.id] { engine_.close(id); });
  }

  void score(const Slot& slot) {
    if (slot.ids.size() < 2 || slot.poisoned) return;
    scores_++;
    post([this, ids = slot.ids] {
      engine_.trainer().score(ids, std::vector<int32_t>{0, static_cast<int32_t>(ids.size())}, 1);
    });
  }

  static void step(Engine& engine, double lr) {
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < 60; i++) ids.push_back(i * 17 % 61);
    const std::vector<int32_t> rows{0, 25, 60};
    std::vector<float> weight(60, 0.02f), advantage(60, 1.f);
    weight[0] = weight[25] = 0;
    OptimizerOptions optimizer;
    optimizer.lr = lr;
    optimizer.weight_decay = 0;
    engine.change([&] {
      return engine.trainer().step(Batch{ids, rows, weight, advantage, {}, {}}, LossOptions{}, 0.9,
                                   optimizer);
    });
  }

  /// With 0 all keys and values are dropped and every gradient is made, but weights stay what they are.
  void learn(double lr) {
    steps_++;
    idle_steps_ += lr == 0;
    post([this, lr] { step(engine_, lr); });
  }

  /// When all is answered: samples once more, alone and through the trainer; then other weights.
  void check() {
    hear(0);
    for (const Sample& sample : samples_) {
      std::promise<Generation> promise;
      on(quiet_, [&] {
        quiet_.open(0, sample.before, sample.seed);
        quiet_.generate(0, sample.sampling, [&](Generation said, std::exception_ptr failure) {
          EXPECT(!failure);
          promise.set_value(std::move(said));
        });
      });
      const Generation alone = promise.get_future().get();
      on(quiet_, [&] { quiet_.close(0); });
      const size_t n = sample.said.ids.size();  // fewer where it was aborted
      EXPECT(alone.ids.size() >= n);
      EXPECT(std::equal(sample.said.ids.begin(), sample.said.ids.end(), alone.ids.begin()));
      EXPECT(n == 0 || std::memcmp(sample.said.logp.data(), alone.logp.data(), n * sizeof(float)) == 0);
      compared_++;
      if (n == 0) continue;
      std::vector<int32_t> ids = sample.before;
      ids.insert(ids.end(), sample.said.ids.begin(), sample.said.ids.end());
      const double temperature = sample.sampling.temperature == 0 ? 1 : sample.sampling.temperature;
      const Scores scores = on(engine_, [&] {
        return engine_.trainer().score(ids, std::vector<int32_t>{0, static_cast<int32_t>(ids.size())},
                                       temperature);
      });
      EXPECT(std::memcmp(scores.logp.data() + sample.before.size(), sample.said.logp.data(),
                         n * sizeof(float)) == 0);
    }
    samples_.clear();
    learn(0.001);
    for (; idle_steps_ > 0; idle_steps_--) on(quiet_, [&] { step(quiet_, 0); });  // they change the moments
    on(quiet_, [&] { step(quiet_, 0.001); });
  }

  const int64_t operations_;
  const uint64_t seed_;
  const bool kernels_;
  uint64_t counter_ = 0;
  std::vector<Slot> slots_{kSlots};
  std::vector<Sample> samples_;
  std::vector<double> memory_;
  int64_t next_ = 1, posted_ = 0, generations_ = 0, answered_ = 0;
  int64_t failed_ = 0, aborted_ = 0, forks_ = 0, scores_ = 0, steps_ = 0, idle_steps_ = 0, compared_ = 0;
  std::atomic<int64_t> executed_{0}, told_{0};
  std::atomic<bool> done_{false};
  std::mutex mutex_;
  std::condition_variable told_all_;
  std::vector<Answer> answers_;
  Engine engine_, quiet_;
};

}  // namespace

int main(int argc, char** argv) {
  const int64_t operations = argc > 1 ? std::stoll(argv[1]) : 20000;
  const uint64_t seed = argc > 2 ? std::stoull(argv[2]) : 1;
  const bool kernels = argc < 4 || std::strcmp(argv[3], "off") != 0;
  const int threads = argc > 4 ? std::stoi(argv[4]) : 1;
  Soak(operations, seed, kernels, threads).run();
}
