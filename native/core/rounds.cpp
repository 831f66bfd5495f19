// What an engine does in a round: who computes how much, on which pages, and what is sampled from it.
// docs/engine.md argues why every generation ends. Not here: the thread and its jobs (engine.cpp).
// Tests: native/test/engine_test.cpp, native/test/soak.cpp, test/native/

#include <algorithm>
#include <numeric>

#include "engine.h"
#include "error.h"

namespace tarl {

namespace {

PageIds page_ids(const std::vector<int32_t>& ids, int64_t page) {
  PageIds key;
  std::copy_n(ids.begin() + page * kPage, kPage, key.begin());
  return key;
}

}  // namespace

void Engine::round() {
  std::vector<Slice> slices;
  try {
    schedule(slices);
    if (!slices.empty()) compute(slices);
  } catch (...) {
    const std::exception_ptr failure = std::current_exception();
    forget();  // pages of this round are known to all, but may never have been written
    std::vector<Conversation*> failed;
    for (const Slice& s : slices) failed.push_back(s.conversation);
    if (slices.empty()) failed.assign(waiting_.begin(), waiting_.end());
    for (Conversation* c : failed)
      if (c->active) attempt([&] { finish(*c, "stop", failure); });
  }
}

/// Which conversations compute how many of their tokens in this round: first those that need one more token
/// each, then what is missing of those that began before, then as many of those that wait as fit.
void Engine::schedule(std::vector<Slice>& slices) {
  int64_t left = options_.round_tokens;
  std::vector<Conversation*> list(admitted_);
  std::stable_partition(list.begin(), list.end(), [](const Conversation* c) {
    return static_cast<int64_t>(c->ids.size()) - c->computed == 1;
  });
  for (Conversation* c : list)
    if (left > 0) add(slices, *c, left);
  while (left > 0 && !waiting_.empty() && admit(*waiting_.front())) add(slices, *admitted_.back(), left);
}

/// As many of a conversation's missing tokens as the round has room for, and pages for them.
void Engine::add(std::vector<Slice>& slices, Conversation& c, int64_t& left) {
  adopt(c);
  const int64_t length = std::min(left, static_cast<int64_t>(c.ids.size()) - c.computed);
  TORCH_INTERNAL_ASSERT(length > 0);
  while (static_cast<int64_t>(c.pages.size()) * kPage < c.computed + length) {
    const int64_t page = take();
    if (page < 0)  // not for want of pages: this one was promised
      return finish(c, "stop",
                    std::make_exception_ptr(Error("OUT_OF_MEMORY", "no memory is left for keys and values")));
    hold(c, page);
  }
  slices.push_back({&c, length});
  publish(c, c.computed, c.computed + length);
  left -= length;
}

/// Whether the pages that the conversation may come to hold are there, beside those promised to others.
bool Engine::fits(const Conversation& c) const {
  int64_t promised = kv_->pinned() + c.active->pages;
  for (const Conversation* other : admitted_)
    promised += other->active->pages - static_cast<int64_t>(other->pages.size());
  for (const int64_t page : c.pages) promised -= kv_->pinned(page);
  return promised <= kv_->capacity();
}

/// Admits the first of those that wait, if it fits.
bool Engine::admit(Conversation& c) {
  adopt(c);
  if (!fits(c)) {
    park(c);
    return false;
  }
  unpark(c);
  for (const int64_t page : c.pages) kv_->pin(page);
  c.active->admitted = true;
  waiting_.pop_front();
  admitted_.push_back(&c);
  return true;
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
    hold(c, page);
    c.computed += kPage;
    stats_.shared += kPage;
  }
}

/// A page, if need be one that a parked conversation gives up: its last one, of the one that spoke least
/// lately. -1: there is none
int64_t Engine::take() {
  for (;;) {
    const int64_t page = kv_->take();
    if (page >= 0 || parked_.empty()) return page;
    Conversation& c = *parked_.begin()->second;
    drop_pages(c, c.pages.size() - 1);
  }
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
  segments.reserve(slices.size());
  ids_.clear();
  positions_.clear();
  for (const auto& [conversation, length] : slices) {
    Conversation& c = *conversation;
    segments.push_back({static_cast<int64_t>(ids_.size()), length, c.computed, &c.pages});
    ids_.insert(ids_.end(), c.ids.begin() + c.computed, c.ids.begin() + c.computed + length);
    positions_.resize(ids_.size());
    std::iota(positions_.end() - length, positions_.end(), static_cast<int32_t>(c.computed));
  }
  const auto pass = [&](const at::Tensor& ids, const at::Tensor& positions, const CachedPlan* plan) {
    const CachedAttention attend(context_, segments, *kv_, plan);
    return model_->forward(context_, ids, positions, std::ref(attend));
  };
  const auto planned = [&](const at::Tensor& ids, const at::Tensor& positions, const CachedPlan& plan) {
    return pass(ids, positions, &plan);
  };
  const auto on_device = [&](std::vector<int32_t>& values) {
    return at::from_blob(values.data(), static_cast<int64_t>(values.size()), at::kInt).to(device);
  };
  const at::Tensor hidden = backend_ ? backend_->pass(segments, ids_, positions_, kv_->memory(), planned)
                                     : pass(on_device(ids_), on_device(positions_), nullptr);
  for (const auto& [conversation, length] : slices) {
    Conversation& c = *conversation;
    stats_.recomputed += std::max<int64_t>(0, std::min(c.known, c.computed + length) - c.computed);
    c.computed += length;
    c.known = std::max(c.known, c.computed);
  }
  stats_.rounds++;
  stats_.computed += static_cast<int64_t>(ids_.size());
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

  const at::Tensor rows = static_cast<int64_t>(last.size()) == end
                              ? hidden
                              : hidden.index_select(0, at::tensor(last).to(hidden.device()));
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
  std::vector<at::Tensor> hidden;
  try {
    while (static_cast<int64_t>(c.pages.size()) * kPage < static_cast<int64_t>(ids.size())) {
      const int64_t page = take();
      require(page >= 0, "ids: more than the KV pool has room for");
      hold(c, page);
    }
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
