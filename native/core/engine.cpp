#include "engine.h"

#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <malloc.h>

#include <algorithm>
#include <cstdio>

#include "cpu/backend.h"
#include "cuda/backend.h"
#include "error.h"

namespace tarl {

namespace {

/// libtorch's CUDA part, which the addon does not link, so that it runs without any GPU driver; opened, it
/// registers itself. Null where it is not there or does not load; then `why` says so.
struct CudaPart {
  void* library = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
  std::string why = library ? "" : dlerror();
};

const CudaPart& cuda_part() {
  static const CudaPart part;
  return part;
}

/// The kernels for a GPU, from the library beside this one; null, and a line that says why, where there are
/// none.
std::unique_ptr<Backend> cuda_backend(const CudaOptions& options) {
  Dl_info here{};
  dladdr(reinterpret_cast<const void*>(&cuda_available), &here);
  const std::string path(here.dli_fname ? here.dli_fname : "");
  const std::string name = path.substr(0, path.rfind('/') + 1) + "libtarl_cuda.so";
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  const auto interface = library ? dlsym(library, "tarl_cuda_interface") : nullptr;
  const auto make = interface ? dlsym(library, "tarl_cuda_backend") : nullptr;
  std::string why;
  if (!make) {
    const char* const error = dlerror();
    why = error ? error : name + " lacks its functions";
  } else if (const std::string theirs = reinterpret_cast<decltype(&tarl_cuda_interface)>(interface)();
             theirs != kInterface) {
    why = name + " is of another build (" + theirs + ", expected " + kInterface + ")";
  } else {
    return std::unique_ptr<Backend>(reinterpret_cast<decltype(&tarl_cuda_backend)>(make)(&options));
  }
  std::fprintf(stderr, "tarl: %s; plain libtorch is used (npm run build:cuda makes the kernels)\n",
               why.c_str());
  return nullptr;
}

}  // namespace

bool cuda_available() {
  return cuda_part().library && at::hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0;
}

int64_t cuda_memory() {
  // The runtime has come with libtorch's CUDA part.
  using MemGetInfo = int (*)(size_t * free, size_t * total);
  const auto ask =
      cuda_available() ? reinterpret_cast<MemGetInfo>(dlsym(RTLD_DEFAULT, "cudaMemGetInfo")) : nullptr;
  size_t free = 0, total = 0;
  return ask && ask(&free, &total) == 0 ? static_cast<int64_t>(free) : 0;
}

Engine::Engine(const EngineOptions& options) : options_(options), context_{nullptr} {
  const bool cuda = cuda_available();
  const at::Device device(options.device);
  const std::string& why = cuda_part().why;
  require(device.is_cpu() || (device.is_cuda() && cuda),
          "device: " + options.device + ", but libtorch finds no such GPU" +
              (why.empty() ? "" : " (" + why + ")") + "; expected cpu");
  if (options.kernels && device.is_cpu()) backend_ = cpu_backend(options.dtype, options.threads);
  if (options.kernels && device.is_cuda() && (options.dtype == at::kFloat || options.dtype == at::kBFloat16))
    backend_ = cuda_backend(
        {device.has_index() ? device : at::Device(at::kCUDA, 0), options.dtype, options.batch_invariant});
  context_.backend = backend_.get();
  // Layers are computed again where memory is short: tensors then give theirs back at once. Otherwise malloc
  // keeps it, which spares a quarter of the time that learning takes small models, and takes up to a third
  // more memory.
  if (options.learning.recompute) mallopt(M_MMAP_THRESHOLD, 1 << 20);
  require(!options.batch_invariant || batch_invariant(),
          "batchInvariant: on, but what computes here is not; expected kernels of ours");
  at::set_num_threads(backend_ ? 1 : options.threads);  // two pools of threads would fight over the cores
  const ModelConfig& c = options.config;
  model_ = std::make_unique<Model>(c, options.shapes, device, options.dtype, options.vocab_limit,
                                   options.trained, options.lora);
  const std::vector<int64_t> page{kPage, c.kv_heads, c.channels};
  kv_ = std::make_unique<KvPool>(c.layers, backend_ ? backend_->key_page(c.kv_heads, c.channels) : page,
                                 backend_ ? backend_->value_page(c.kv_heads, c.channels) : page,
                                 model_->options(), options.kv_tokens);
  trainer_ = std::make_unique<Trainer>(*model_, context_, options.learning, stopping_);
  stats_.pages_limit = kv_->capacity();
  thread_ = std::thread([this] { loop(); });
}

Engine::~Engine() {
  stop();
  thread_.join();
}

void Engine::post(std::function<void()> job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void Engine::stop(std::function<void()> ended) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    if (ended) ended_ = std::move(ended);
  }
  wake_.notify_one();
}

void Engine::loop() {
  for (bool stopping = false; !stopping;) {
    std::deque<std::function<void()>> jobs;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      if (waiting_.empty() && admitted_.empty())
        wake_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
      jobs.swap(jobs_);
      stopping = stopping_;
    }
    for (const auto& job : jobs) attempt(job);
    if (!stopping) attempt([&] { round(); });
  }
  for (auto& [id, c] : conversations_)
    if (c.active) attempt([&] { finish(c, "aborted"); });
  const std::lock_guard<std::mutex> lock(mutex_);
  if (ended_) attempt(ended_);
}

// ---------------------------------------------------------------------------------------------------------------------
// Conversations
// ---------------------------------------------------------------------------------------------------------------------

Engine::Conversation& Engine::at(int64_t id) {
  const auto it = conversations_.find(id);
  if (it == conversations_.end())
    throw Error("DISPOSED", "conversation " + std::to_string(id) + " is closed");
  return it->second;
}

Engine::Conversation& Engine::idle(int64_t id) {
  Conversation& c = at(id);
  if (c.active) throw Error("BUSY", "conversation " + std::to_string(id) + " is generating");
  return c;
}

void Engine::open(int64_t id, std::vector<int32_t> ids, uint64_t seed) {
  Conversation& c = conversations_[id];
  c.ids = std::move(ids);
  c.seed = seed;
}

void Engine::append(int64_t id, const std::vector<int32_t>& ids) {
  Conversation& c = idle(id);
  try {
    c.ids.insert(c.ids.end(), ids.begin(), ids.end());
  } catch (...) {
    close(id);  // its next generation says so; without these ids it must not go on
    throw;
  }
}

void Engine::generate(int64_t id, const Sampling& sampling, Done done) {
  Conversation& c = idle(id);
  require(!c.ids.empty(), "conversation has no tokens to go on from");
  const int64_t tokens = static_cast<int64_t>(c.ids.size());
  const int64_t most = std::min(tokens + sampling.max_tokens, options_.context_length);
  // The last token's keys and values are not needed to end here.
  const int64_t pages = (most - 1 + kPage - 1) / kPage;
  if (tokens < options_.context_length && pages > kv_->capacity())
    throw Error("OUT_OF_MEMORY", "a conversation of " + std::to_string(tokens) + " tokens that may grow to " +
                                     std::to_string(most) + " does not fit the KV pool: kvTokens is " +
                                     std::to_string(options_.kv_tokens));
  c.active = Active{sampling, {}, std::move(done), c.ids.size(), pages};
  waiting_.push_back(&c);
  if (tokens >= options_.context_length) return finish(c, "context");
  if (!c.pages.empty()) park(c);  // the last to lose its pages while it waits
}

void Engine::abort(int64_t id, std::exception_ptr failure) {
  const auto it = conversations_.find(id);
  if (it == conversations_.end() || !it->second.active) return;
  finish(it->second, "aborted", failure);
}

void Engine::fork(int64_t id, int64_t twin, uint64_t seed) {
  Conversation& c = idle(id);
  Conversation& copy = conversations_[twin];
  copy.ids = c.ids;
  copy.seed = seed;
  copy.known = c.known;
  // Full pages are shared. The last, unfinished one is copied, or where there is no room computed again.
  const size_t full = static_cast<size_t>(c.computed / kPage);
  copy.pages.reserve(full + 1);
  for (size_t i = 0; i < full; i++) {
    kv_->retain(c.pages[i]);
    copy.pages.push_back(c.pages[i]);
  }
  copy.computed = static_cast<int64_t>(full) * kPage;
  if (copy.computed < c.computed) {
    const int64_t page = kv_->copy(c.pages[full]);
    if (page >= 0) {
      copy.pages.push_back(page);
      copy.computed = c.computed;
    }
  }
  park(copy);
}

void Engine::close(int64_t id) {
  const auto it = conversations_.find(id);
  if (it == conversations_.end()) return;
  Conversation& c = it->second;
  struct Erase {  // whatever the one who is told throws
    Engine& engine;
    decltype(it)& conversation;
    ~Erase() {
      engine.drop_pages(conversation->second);
      engine.conversations_.erase(conversation);
    }
  } erase{*this, it};
  if (c.active) finish(c, "aborted");
}

void Engine::park(Conversation& c) {
  unpark(c);
  if (c.pages.empty()) return;
  c.parked = ++clock_;
  parked_.emplace(c.parked, &c);
}

void Engine::unpark(Conversation& c) {
  if (c.parked) parked_.erase(c.parked);
  c.parked = 0;
}

/// One more page for a conversation, of which it is an owner already.
void Engine::hold(Conversation& c, int64_t page) {
  c.pages.push_back(page);
  if (c.active && c.active->admitted) kv_->pin(page);
}

/// Gives back all pages but the first `kept`.
void Engine::drop_pages(Conversation& c, size_t kept) {
  for (; c.pages.size() > kept; c.pages.pop_back()) {
    if (c.active && c.active->admitted) kv_->unpin(c.pages.back());
    kv_->release(c.pages.back());
  }
  c.computed = std::min(c.computed, static_cast<int64_t>(kept) * kPage);
  if (c.pages.empty()) unpark(c);
}

/// Gives back all pages, and their memory. Generations under way wait to be admitted again.
void Engine::forget() {
  for (auto& [id, c] : conversations_) drop_pages(c);
  for (Conversation* c : admitted_) c->active->admitted = false;
  waiting_.insert(waiting_.begin(), admitted_.begin(), admitted_.end());
  admitted_.clear();
  kv_->clear();
}

EngineStats Engine::stats() const {
  EngineStats stats = stats_;
  stats.pages = kv_->used();
  stats.waiting = static_cast<int64_t>(waiting_.size());
  return stats;
}

void Engine::finish(Conversation& c, const char* ended, std::exception_ptr failure) {
  if (c.active->admitted) {
    for (const int64_t page : c.pages) kv_->unpin(page);
    std::erase(admitted_, &c);
  } else {
    std::erase(waiting_, &c);
  }
  Active active = std::move(*c.active);
  c.active.reset();
  if (failure) {  // the caller sees no tokens, so the conversation has none
    c.ids.resize(active.start);
    // The last token is computed again, because the next one is sampled from its row.
    drop_pages(c, std::min(static_cast<size_t>(c.computed), active.start - 1) / kPage);
    c.known = std::min(c.known, static_cast<int64_t>(active.start));
    active.result = {};
  }
  park(c);
  active.result.ended = ended;
  active.done(std::move(active.result), failure);
}

}  // namespace tarl
