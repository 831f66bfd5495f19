// The thread that owns a model. It runs conversations with continuous batching: in every round each
// conversation that is generating contributes its not yet computed tokens (a prompt, a tool's answer, or the
// token sampled last), and all of them go through the model together. Between rounds it runs jobs: learning,
// loading, saving.
//
// Keys and values stay between turns. Conversations that start alike share the pages of their common start.
// Results do not depend on timing: random numbers are counted per conversation, and on the CPU kernels a
// row's bits do not depend on its company. Knows nothing of text and of JavaScript.

#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

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
  bool kernels = true;  // of ours, where there are any for the device and dtype
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
  int64_t computed = 0;  // tokens that went through the model in conversations
  int64_t sampled = 0;
  int64_t shared = 0;  // tokens whose keys and values another conversation had already
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
  /// As Trainer::trace for one row, but through cached keys and values, `parts` tokens at a time.
  Trace trace_cached(const std::vector<int32_t>& ids, const std::vector<int32_t>& parts);
  /// Runs what writes weights. After it, even if it failed halfway, packed copies and all keys and values are
  /// stale.
  template <class F>
  auto change(const F& write) {
    struct Changed {
      Engine& engine;
      ~Changed() { engine.weights_changed(); }
    } changed{*this};
    return write();
  }

 private:
  struct Active {
    Sampling sampling;
    Generation result;
    Done done;
    size_t start = 0;      // tokens of the conversation before it
    bool waiting = false;  // gave its pages up, until another generation ends
  };
  struct Conversation {
    std::vector<int32_t> ids;
    std::vector<int64_t> pages;
    int64_t computed = 0;  // tokens whose keys and values are in the pages
    uint64_t seed = 0;
    std::optional<Active> active;
  };
  struct Slice {
    Conversation* conversation;
    int64_t length;
  };

  void loop();
  void round();
  void schedule(std::vector<Slice>&);
  bool reserve(Conversation&, int64_t tokens);
  void adopt(Conversation&);
  void publish(Conversation&, int64_t from, int64_t to);
  at::Tensor forward(const std::vector<Slice>&);
  void compute(const std::vector<Slice>&);
  void finish(Conversation&, const char* ended, std::exception_ptr = nullptr);
  void drop_pages(Conversation&, size_t kept = 0);
  void weights_changed();
  Conversation& at(int64_t id);
  Conversation& idle(int64_t id);

  const EngineOptions options_;
  std::unique_ptr<Backend> backend_;
  Context context_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<KvPool> kv_;
  std::unique_ptr<Trainer> trainer_;
  std::map<int64_t, Conversation> conversations_;
  EngineStats stats_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::function<void()> ended_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace tarl
