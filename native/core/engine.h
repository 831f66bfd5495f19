// The thread that owns a model. It runs conversations with continuous batching: in every round each
// conversation that is generating contributes its not yet computed tokens (a prompt, a tool's answer, or the
// token sampled last), and all of them go through the model together. Between rounds it runs jobs: learning,
// loading, saving.
//
// Keys and values stay between turns. Conversations that start alike share the pages of their common start.
// A generation is admitted when all pages that it may come to need are there or can be had from conversations
// that do not generate; then it ends whatever the others do. docs/engine.md argues why none waits for ever.
// Results do not depend on timing: random numbers are counted per conversation, and with a batch-invariant
// backend a row's bits do not depend on its company. Knows nothing of text and of JavaScript.
// Tests: native/test/engine_test.cpp, native/test/soak.cpp, test/native/

#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include "attention.h"
#include "model.h"
#include "sampler.h"
#include "trainer.h"

namespace tarl {

struct EngineOptions {
  ModelConfig config;
  std::vector<Shape> shapes;
  std::string device = "cpu";
  at::ScalarType dtype = at::kFloat;
  int threads = 1;
  bool kernels = true;           // of ours, where there are any for the device and dtype
  bool batch_invariant = false;  // required
  bool trained = false;
  int64_t vocab_limit = 0;
  int64_t context_length = 0;  // most tokens of one conversation
  int64_t kv_tokens = 0;       // most tokens in the KV pool
  int64_t round_tokens = 0;    // most tokens of one round
  LoraOptions lora;
  TrainerOptions learning;
};

/// True when libtorch has its CUDA part and finds a GPU. Opens that part at the first call, which must come
/// before any tensor is made: libtorch asks for it once.
bool cuda_available();
/// Free bytes of the current GPU; 0 where there is none.
int64_t cuda_memory();

struct Generation {
  std::vector<int32_t> ids;
  std::vector<float> logp;
  const char* ended = "stop";  // stop, length, context, aborted
};

struct EngineStats {
  int64_t rounds = 0;
  int64_t computed = 0;    // tokens that went through the model in conversations
  int64_t recomputed = 0;  // of those: once more, since the conversation had to give its pages up
  int64_t sampled = 0;
  int64_t shared = 0;   // tokens whose keys and values another conversation had already
  int64_t waiting = 0;  // generations that are not admitted yet
  int64_t pages = 0, pages_limit = 0;
};

class Engine {
 public:
  using Done = std::function<void(Generation, std::exception_ptr)>;

  explicit Engine(const EngineOptions&);
  /// As stop, then joins the thread.
  ~Engine();

  /// Runs a job on the engine's thread, after those posted before it. What it throws is lost.
  void post(std::function<void()> job);
  /// Has the thread run what is queued, end generations as aborted, call `ended` and end. Does not wait for
  /// it.
  void stop(std::function<void()> ended = nullptr);
  /// From any thread: stop was called; jobs should do nothing more.
  bool stopping() const { return stopping_; }
  /// From any thread: throws INVALID_ARGUMENT where an id is not in the vocabulary.
  void check(const std::vector<int32_t>& ids) const { check_ids(ids, options_.config.vocab); }

  // On the engine's thread only:
  void open(int64_t id, std::vector<int32_t> ids, uint64_t seed);
  void append(int64_t id, const std::vector<int32_t>& ids);
  void generate(int64_t id, const Sampling&, Done);
  /// Ends a generation as aborted, with what it has so far; or with a failure.
  void abort(int64_t id, std::exception_ptr failure = nullptr);
  void fork(int64_t id, int64_t twin, uint64_t seed);
  void close(int64_t id);

  Model& model() { return *model_; }
  Trainer& trainer() { return *trainer_; }
  const Context& context() const { return context_; }
  EngineStats stats() const;
  /// From any thread: a conversation's bits do not depend on what else the engine does.
  bool batch_invariant() const { return backend_ && backend_->batch_invariant(); }
  /// As Trainer::trace for one row, but through cached keys and values, `parts` tokens at a time.
  Trace trace_cached(const std::vector<int32_t>& ids, const std::vector<int32_t>& parts);
  /// Runs what writes weights. After it, even if it failed halfway, packed copies and all keys and values are
  /// stale; so the KV pool's memory is given back before, and free for gradients.
  template <class F>
  auto change(const F& write) {
    struct Changed {
      Model& model;
      ~Changed() { model.changed(); }
    } changed{*model_};
    forget();
    for (auto& [id, c] : conversations_) c.known = 0;
    return write();
  }

 private:
  struct Active {
    Sampling sampling;
    Generation result;
    Done done;
    size_t start = 0;       // tokens of the conversation before it
    int64_t pages = 0;      // that the conversation may come to hold
    bool admitted = false;  // its pages are pinned, and those that it lacks can be had
  };
  struct Conversation {
    std::vector<int32_t> ids;
    std::vector<int64_t> pages;
    int64_t computed = 0;  // tokens whose keys and values are in the pages
    int64_t known = 0;     // tokens that were computed at least once with these weights
    uint64_t seed = 0;
    uint64_t parked = 0;  // its key in parked_, or 0
    std::optional<Active> active;
  };
  struct Slice {
    Conversation* conversation;
    int64_t length;
  };

  void loop();
  void round();
  void schedule(std::vector<Slice>&);
  bool fits(const Conversation&) const;
  bool admit(Conversation&);
  void add(std::vector<Slice>&, Conversation&, int64_t& left);
  void adopt(Conversation&);
  void hold(Conversation&, int64_t page);
  int64_t take();
  void park(Conversation&);
  void unpark(Conversation&);
  void publish(Conversation&, int64_t from, int64_t to);
  at::Tensor forward(const std::vector<Slice>&);
  void compute(const std::vector<Slice>&);
  void finish(Conversation&, const char* ended, std::exception_ptr = nullptr);
  void drop_pages(Conversation&, size_t kept = 0);
  void forget();
  Conversation& at(int64_t id);
  Conversation& idle(int64_t id);

  const EngineOptions options_;
  std::unique_ptr<Backend> backend_;
  Context context_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<KvPool> kv_;
  std::unique_ptr<Trainer> trainer_;
  std::unordered_map<int64_t, Conversation> conversations_;
  // Of the conversations: those that wait to be admitted and those that are, in the order of their
  // `generate`; and those that hold pages without being admitted, the one that spoke least lately first.
  std::deque<Conversation*> waiting_;
  std::vector<Conversation*> admitted_;
  std::map<uint64_t, Conversation*> parked_;
  uint64_t clock_ = 0;
  std::vector<int32_t> ids_, positions_;  // of a round's tokens
  EngineStats stats_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::function<void()> ended_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace tarl
