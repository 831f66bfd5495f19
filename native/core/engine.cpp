#include "engine.h"

#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <numeric>

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
  void* const make = library ? dlsym(library, "tarl_cuda_backend") : nullptr;
  if (make) return std::unique_ptr<Backend>(reinterpret_cast<decltype(&tarl_cuda_backend)>(make)(&options));
  std::fprintf(stderr, "tarl: %s; plain libtorch is used (npm run build:cuda makes the kernels)\n",
               dlerror());
  return nullptr;
}

PageIds page_ids(const std::vector<int32_t>& ids, int64_t page) {
  PageIds key;
  std::copy_n(ids.begin() + page * kPage, kPage, key.begin());
  return key;
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
  if (options.kernels && device.is_cpu() && options.dtype == at::kFloat)
    backend_ = cpu_backend(options.threads);
  if (options.kernels && device.is_cuda() && (options.dtype == at::kFloat || options.dtype == at::kBFloat16))
    backend_ = cuda_backend({device.has_index() ? device : at::Device(at::kCUDA, 0), options.dtype});
  context_.backend = backend_.get();
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
  const auto attempt = [](const auto& work) {
    try {
      work();
    } catch (...) {
      // Whoever waits for an answer has been given one; nothing thrown may end the process.
    }
  };
  for (bool stopping = false; !stopping;) {
    std::deque<std::function<void()>> jobs;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      const auto generating = [&] {
        for (const auto& [id, c] : conversations_)
          if (c.active) return true;
        return false;
      };
      if (!generating()) wake_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
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
  c.active = Active{sampling, {}, std::move(done), c.ids.size()};
  if (static_cast<int64_t>(c.ids.size()) >= options_.context_length) finish(c, "context");
}

void Engine::abort(int64_t id, std::exception_ptr failure) {
  const auto it = conversations_.find(id);
  if (it == conversations_.end() || !it->second.active) return;
  finish(it->second, "aborted", failure);
}

void Engine::fork(int64_t id, int64_t twin, uint64_t seed) {
  Conversation& c = idle(id);
  Conversation copy;
  copy.ids = c.ids;
  copy.seed = seed;
  // Full pages are shared; what lies in the last, unfinished one is computed again.
  copy.computed = c.computed / kPage * kPage;
  copy.pages.assign(c.pages.begin(), c.pages.begin() + copy.computed / kPage);
  for (const int64_t page : copy.pages) kv_->retain(page);
  conversations_[twin] = std::move(copy);
}

void Engine::close(int64_t id) {
  const auto it = conversations_.find(id);
  if (it == conversations_.end()) return;
  if (it->second.active) finish(it->second, "aborted");
  drop_pages(it->second);
  conversations_.erase(it);
}

/// Gives back all pages but the first `kept`.
void Engine::drop_pages(Conversation& c, size_t kept) {
  for (; c.pages.size() > kept; c.pages.pop_back()) kv_->release(c.pages.back());
  c.computed = std::min(c.computed, static_cast<int64_t>(kept) * kPage);
}

void Engine::weights_changed() {
  model_->changed();
  for (auto& [id, c] : conversations_) drop_pages(c);
}

EngineStats Engine::stats() const {
  EngineStats stats = stats_;
  stats.pages = kv_->used();
  return stats;
}

void Engine::finish(Conversation& c, const char* ended, std::exception_ptr failure) {
  Active active = std::move(*c.active);
  c.active.reset();
  for (auto& [id, other] : conversations_)
    if (other.active) other.active->waiting = false;
  if (failure) {  // the caller sees no tokens, so the conversation has none
    c.ids.resize(active.start);
    // The last token is computed again, because the next one is sampled from its row.
    drop_pages(c, std::min(static_cast<size_t>(c.computed), active.start - 1) / kPage);
    active.result = {};
  }
  active.result.ended = ended;
  active.done(std::move(active.result), failure);
}

// ---------------------------------------------------------------------------------------------------------------------
// Rounds
// ---------------------------------------------------------------------------------------------------------------------

void Engine::round() {
  std::vector<Slice> slices;
  try {
    schedule(slices);
    if (!slices.empty()) compute(slices);
  } catch (...) {
    const std::exception_ptr failure = std::current_exception();
    // Pages of this round are known to all, but may never have been written.
    for (auto& [id, c] : conversations_) drop_pages(c);
    const auto failed = [&](const Conversation& c) {
      return slices.empty() ||
             std::any_of(slices.begin(), slices.end(), [&](const Slice& s) { return s.conversation == &c; });
    };
    for (auto& [id, c] : conversations_)
      if (c.active && failed(c)) finish(c, "stop", failure);
  }
}

/// Which conversations compute how many of their tokens in this round, within the round's tokens and the free
/// pages.
void Engine::schedule(std::vector<Slice>& slices) {
  for (;;) {
    int64_t left = options_.round_tokens;
    std::vector<Conversation*> starved;
    for (auto& [id, c] : conversations_) {
      if (!c.active || c.active->waiting || left == 0) continue;
      adopt(c);
      const int64_t length = std::min(left, static_cast<int64_t>(c.ids.size()) - c.computed);
      TORCH_INTERNAL_ASSERT(length > 0);
      if (!reserve(c, c.computed + length)) {
        starved.push_back(&c);
        continue;
      }
      slices.push_back({&c, length});
      publish(c, c.computed, c.computed + length);
      left -= length;
    }
    if (!slices.empty() || starved.empty()) return;

    // Nobody can go on. Idle conversations give their pages up first, and are computed again later.
    const auto idle = std::find_if(conversations_.begin(), conversations_.end(), [](const auto& entry) {
      return !entry.second.active && !entry.second.pages.empty();
    });
    if (idle != conversations_.end()) {
      drop_pages(idle->second);
      continue;
    }
    Conversation& largest =
        **std::max_element(starved.begin(), starved.end(),
                           [](const auto* a, const auto* b) { return a->ids.size() < b->ids.size(); });
    drop_pages(largest);
    if (starved.size() > 1)
      largest.active->waiting = true;
    else  // it has the pool to itself
      finish(largest, "stop",
             std::make_exception_ptr(Error("OUT_OF_MEMORY", "no KV pages are left for a conversation of " +
                                                                std::to_string(largest.ids.size()) +
                                                                " tokens: kvTokens is " +
                                                                std::to_string(options_.kv_tokens))));
  }
}

/// Takes over pages that another conversation has already computed, or computes in this round, for the same
/// tokens.
void Engine::adopt(Conversation& c) {
  while (c.computed % kPage == 0 && c.computed + kPage < static_cast<int64_t>(c.ids.size())) {
    const int64_t index = c.computed / kPage;
    TORCH_INTERNAL_ASSERT(static_cast<int64_t>(c.pages.size()) == index);
    const int64_t page =
        kv_->find(index == 0 ? -1 : c.pages[static_cast<size_t>(index - 1)], page_ids(c.ids, index));
    if (page < 0) return;
    c.pages.push_back(page);
    c.computed += kPage;
    stats_.shared += kPage;
  }
}

/// Pages for the first `tokens` tokens: all that are missing, or none and false.
bool Engine::reserve(Conversation& c, int64_t tokens) {
  const size_t had = c.pages.size();
  c.pages.reserve(static_cast<size_t>((tokens + kPage - 1) / kPage));
  while (static_cast<int64_t>(c.pages.size()) * kPage < tokens) {
    const int64_t page = kv_->take();
    if (page < 0) {
      drop_pages(c, had);
      return false;
    }
    c.pages.push_back(page);
  }
  return true;
}

void Engine::publish(Conversation& c, int64_t from, int64_t to) {
  for (int64_t index = from / kPage; (index + 1) * kPage <= to; index++)
    kv_->publish(c.pages[static_cast<size_t>(index)],
                 index == 0 ? -1 : c.pages[static_cast<size_t>(index - 1)], page_ids(c.ids, index));
}

/// The slices' next tokens through the model, their keys and values into the pool. -> hidden states of all of
/// them
at::Tensor Engine::forward(const std::vector<Slice>& slices) {
  const at::Device device = model_->options().device();
  std::vector<Segment> segments;
  std::vector<int32_t> ids, positions;
  for (const Slice& s : slices) {
    const Conversation& c = *s.conversation;
    segments.push_back({static_cast<int64_t>(ids.size()), s.length, c.computed, &c.pages});
    for (int64_t t = c.computed; t < c.computed + s.length; t++) {
      ids.push_back(c.ids[static_cast<size_t>(t)]);
      positions.push_back(static_cast<int32_t>(t));
    }
  }
  const auto pass = [&](const at::Tensor& id, const at::Tensor& position, const CachedPlan* plan) {
    const CachedAttention attend(context_, segments, *kv_, plan);
    return model_->forward(context_, id, position, std::ref(attend));
  };
  const auto planned = [&](const at::Tensor& id, const at::Tensor& position, const CachedPlan& plan) {
    return pass(id, position, &plan);
  };
  const at::Tensor hidden = backend_ ? backend_->pass(segments, ids, positions, kv_->allocated(), planned)
                                     : pass(at::tensor(ids, at::kInt).to(device),
                                            at::tensor(positions, at::kInt).to(device), nullptr);
  for (const Slice& s : slices) s.conversation->computed += s.length;
  stats_.rounds++;
  stats_.computed += static_cast<int64_t>(ids.size());
  return hidden;
}

void Engine::compute(const std::vector<Slice>& slices) {
  const at::NoGradGuard guard;
  const at::Tensor hidden = forward(slices);
  std::vector<int64_t> last;  // rows whose logits are sampled from
  std::vector<Conversation*> sampling;
  int64_t end = 0;
  for (const Slice& s : slices) {
    end += s.length;
    if (s.conversation->computed < static_cast<int64_t>(s.conversation->ids.size())) continue;
    last.push_back(end - 1);
    sampling.push_back(s.conversation);
  }
  if (sampling.empty()) return;

  const bool all = static_cast<int64_t>(last.size()) == hidden.size(0);  // then no index has to be copied
  const at::Tensor rows = all ? hidden : hidden.index_select(0, at::tensor(last).to(hidden.device()));
  std::vector<const Sampling*> how;
  std::vector<double> random;
  for (const Conversation* c : sampling) {
    how.push_back(&c->active->sampling);
    random.push_back(uniform(c->seed, c->ids.size()));
  }
  const std::vector<Draw> draws = sample(context_, model_->head()(context_, rows, true), how, random);
  for (size_t i = 0; i < sampling.size(); i++) {
    Conversation& c = *sampling[i];
    if (draws[i].id < 0) {
      finish(c, "stop",
             std::make_exception_ptr(Error("INTERNAL", "the model's logits are not finite numbers")));
      continue;
    }
    const Sampling& s = c.active->sampling;
    c.ids.push_back(draws[i].id);
    c.active->result.ids.push_back(draws[i].id);
    c.active->result.logp.push_back(draws[i].logp);
    stats_.sampled++;
    if (std::find(s.stop_ids.begin(), s.stop_ids.end(), draws[i].id) != s.stop_ids.end())
      finish(c, "stop");
    else if (static_cast<int64_t>(c.active->result.ids.size()) >= s.max_tokens)
      finish(c, "length");
    else if (static_cast<int64_t>(c.ids.size()) >= options_.context_length)
      finish(c, "context");
  }
}

Trace Engine::trace_cached(const std::vector<int32_t>& ids, const std::vector<int32_t>& parts) {
  check(ids);
  const bool split =
      std::all_of(parts.begin(), parts.end(), [](int32_t part) { return part > 0; }) &&
      std::accumulate(parts.begin(), parts.end(), int64_t{0}) == static_cast<int64_t>(ids.size());
  require(!ids.empty() && split, "parts: expected a split of the ids");
  const at::NoGradGuard guard;
  Conversation c;
  c.ids = ids;
  require(reserve(c, static_cast<int64_t>(ids.size())), "ids: more than the KV pool holds");
  std::vector<at::Tensor> hidden;
  try {
    for (const int32_t part : parts) hidden.push_back(forward({{&c, part}}));
  } catch (...) {
    drop_pages(c);
    throw;
  }
  drop_pages(c);
  Trace trace;
  trace.hidden = at::cat(hidden);
  trace.logits = model_->head()(context_, trace.hidden, true);
  return trace;
}

}  // namespace tarl
