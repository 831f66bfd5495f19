#include "engine.h"

#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>

#include "error.h"

namespace tarl {

namespace {

std::exception_ptr error(const char* code, const std::string& message) {
  return std::make_exception_ptr(Error(code, message));
}

PageIds page_ids(const std::vector<int32_t>& ids, int64_t page) {
  PageIds key;
  std::copy_n(ids.begin() + page * kPage, kPage, key.begin());
  return key;
}

}  // namespace

bool cuda_available() {
  // The addon does not link it, so that it runs without any GPU driver; opened, it registers itself.
  static const void* library = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
  return library && at::hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0;
}

Engine::Engine(const EngineOptions& options)
    : options_(options), pool_(options.threads), context_{pool_, options.kernels} {
  const at::Device device(options.device);
  require(device.is_cpu() || (device.is_cuda() && cuda_available()),
          "device: " + options.device + ", but libtorch finds no such GPU; expected cpu");
  const bool ours = options.kernels && device.is_cpu() && options.dtype == at::kFloat;
  at::set_num_threads(ours ? 1 : options.threads);  // two pools of threads would fight over the cores
  const ModelConfig& c = options.config;
  model_ =
      std::make_unique<Model>(c, options.shapes, device, options.dtype, options.vocab_limit, options.trained);
  kv_ = std::make_unique<KvPool>(c.layers, c.kv_heads, c.channels, model_->options(), options.kv_tokens);
  trainer_ = std::make_unique<Trainer>(*model_, context_, options.round_tokens);
  stats_.pages_limit = kv_->capacity();
  thread_ = std::thread([this] { loop(); });
}

Engine::~Engine() { stop(); }

void Engine::post(std::function<void()> job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void Engine::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Engine::loop() {
  for (;;) {
    std::deque<std::function<void()>> jobs;
    bool stopping;
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
    for (const auto& job : jobs) job();
    if (stopping) break;
    round();
  }
  for (auto& [id, c] : conversations_)
    if (c.active) finish(c, "aborted");
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

void Engine::open(int64_t id, std::vector<int32_t> ids, uint64_t seed) {
  Conversation& c = conversations_[id];
  c.ids = std::move(ids);
  c.seed = seed;
}

void Engine::append(int64_t id, const std::vector<int32_t>& ids) {
  Conversation& c = at(id);
  if (c.active) throw Error("BUSY", "conversation " + std::to_string(id) + " is generating");
  c.ids.insert(c.ids.end(), ids.begin(), ids.end());
}

void Engine::generate(int64_t id, const Sampling& sampling, Done done) {
  Conversation& c = at(id);
  if (c.active) throw Error("BUSY", "conversation " + std::to_string(id) + " is generating");
  c.active = Active{sampling, {}, std::move(done)};
  if (c.ids.empty())
    finish(c, "stop", error("INVALID_ARGUMENT", "conversation has no tokens to go on from"));
  else if (static_cast<int64_t>(c.ids.size()) >= options_.context_length)
    finish(c, "context");
}

void Engine::abort(int64_t id) {
  const auto it = conversations_.find(id);
  if (it != conversations_.end() && it->second.active) finish(it->second, "aborted");
}

void Engine::fork(int64_t id, int64_t twin, uint64_t seed) {
  Conversation& c = at(id);
  if (c.active) throw Error("BUSY", "conversation " + std::to_string(id) + " is generating");
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

void Engine::drop_pages(Conversation& c) {
  for (const int64_t page : c.pages) kv_->release(page);
  c.pages.clear();
  c.computed = 0;
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
  active.result.ended = ended;
  active.done(std::move(active.result), failure);
}

// ---------------------------------------------------------------------------------------------------------------------
// Rounds
// ---------------------------------------------------------------------------------------------------------------------

void Engine::round() {
  const std::vector<Slice> slices = schedule();
  if (slices.empty()) return;
  std::exception_ptr failure;
  try {
    compute(slices);
  } catch (const c10::OutOfMemoryError& e) {
    failure = error("OUT_OF_MEMORY", e.what_without_backtrace());
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) return;
  for (const Slice& s : slices)
    if (s.conversation->active) finish(*s.conversation, "stop", failure);
}

/// Which conversations compute how many of their tokens in this round, within the round's tokens and the free
/// pages.
std::vector<Engine::Slice> Engine::schedule() {
  std::vector<Slice> slices;
  int64_t left = options_.round_tokens;
  bool starved = false;
  Conversation* largest = nullptr;
  for (auto& [id, c] : conversations_) {
    if (!c.active || left == 0) continue;
    adopt(c);
    const int64_t length = std::min(left, static_cast<int64_t>(c.ids.size()) - c.computed);
    if (!reserve(c, c.computed + length)) {
      starved = true;
      if (!largest || c.ids.size() > largest->ids.size()) largest = &c;
      continue;
    }
    publish(c, c.computed, c.computed + length);
    slices.push_back({&c, length});
    left -= length;
  }
  // Nobody can go on: idle conversations hold the pages, or one conversation is larger than the pool.
  if (slices.empty() && starved) {
    for (auto& [id, c] : conversations_)
      if (!c.active && !c.pages.empty()) {
        drop_pages(c);  // computed again when it goes on
        return schedule();
      }
    drop_pages(*largest);
    finish(*largest, "stop",
           error("OUT_OF_MEMORY", "the KV pool of " + std::to_string(options_.kv_tokens) +
                                      " tokens is full; raise kvTokens or run fewer conversations"));
  }
  return slices;
}

/// Takes over pages that another conversation has already computed, or computes in this round, for the same
/// tokens.
void Engine::adopt(Conversation& c) {
  while (c.computed % kPage == 0 && c.computed + kPage < static_cast<int64_t>(c.ids.size())) {
    const int64_t index = c.computed / kPage;
    const int64_t page =
        kv_->find(index == 0 ? -1 : c.pages[static_cast<size_t>(index - 1)], page_ids(c.ids, index));
    if (page < 0) return;
    c.pages.resize(static_cast<size_t>(index));
    c.pages.push_back(page);
    c.computed += kPage;
    stats_.shared += kPage;
  }
}

bool Engine::reserve(Conversation& c, int64_t tokens) {
  while (static_cast<int64_t>(c.pages.size()) * kPage < tokens) {
    const int64_t page = kv_->take();
    if (page < 0) return false;
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
  const at::Tensor hidden =
      model_->forward(context_, at::tensor(ids, at::kInt).to(device),
                      at::tensor(positions, at::kInt).to(device), [&](int64_t layer, const Heads& heads) {
                        return attend_cached(context_, heads, segments, *kv_, layer);
                      });
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

  const at::Tensor rows = hidden.index_select(0, at::tensor(last).to(hidden.device()));
  const at::Tensor logits = model_->head()(context_, rows).to(at::kCPU, at::kFloat).contiguous();
  const int64_t vocab = logits.size(1);
  const float* z = logits.const_data_ptr<float>();
  std::vector<Draw> draws(sampling.size());
  pool_.run(static_cast<int64_t>(sampling.size()), [&](int64_t i) {
    const Conversation& c = *sampling[static_cast<size_t>(i)];
    draws[static_cast<size_t>(i)] =
        draw({z + i * vocab, static_cast<size_t>(vocab)}, c.active->sampling, uniform(c.seed, c.ids.size()));
  });
  for (size_t i = 0; i < sampling.size(); i++) {
    Conversation& c = *sampling[i];
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
  const at::NoGradGuard guard;
  Conversation c;
  c.ids = ids;
  require(!ids.empty() && reserve(c, static_cast<int64_t>(ids.size())),
          "ids: none, or more than the KV pool holds");
  std::vector<at::Tensor> hidden;
  for (const int32_t part : parts) {
    require(part > 0 && c.computed + part <= static_cast<int64_t>(ids.size()),
            "parts: expected a split of the ids");
    hidden.push_back(forward({{&c, part}}));
  }
  drop_pages(c);
  Trace trace;
  trace.hidden = at::cat(hidden);
  trace.logits = model_->head()(context_, trace.hidden);
  return trace;
}

}  // namespace tarl
