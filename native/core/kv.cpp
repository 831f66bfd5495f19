#include "kv.h"

namespace tarl {

KvPool::KvPool(int64_t layers, std::vector<int64_t> key_page, std::vector<int64_t> value_page,
               at::TensorOptions options, int64_t max_tokens)
    : key_page_(std::move(key_page)),
      value_page_(std::move(value_page)),
      options_(options),
      limit_(max_tokens / kPage),
      layers_(static_cast<size_t>(layers)) {}

bool KvPool::grow() try {
  const int64_t have = static_cast<int64_t>(pages_.size());
  const int64_t want = std::min(limit_, std::max<int64_t>(64, 2 * have));
  // Zeros, because lanes beyond a sequence's end are multiplied by zero weights.
  const auto wider = [&](const at::Tensor& t, std::vector<int64_t> page) {
    page.insert(page.begin(), want);
    at::Tensor wide = at::zeros(page, options_);
    if (t.defined()) wide.narrow(0, 0, have).copy_(t);
    return wide;
  };
  std::vector<KvLayer> layers;
  for (const KvLayer& layer : layers_)
    layers.push_back({wider(layer.keys, key_page_), wider(layer.values, value_page_)});
  free_.reserve(static_cast<size_t>(want));
  pages_.resize(static_cast<size_t>(want));
  layers_.swap(layers);
  for (int64_t i = want; i-- > have;) free_.push_back(i);
  return true;
} catch (const c10::Error&) {  // no memory left: as a full pool
  return false;
} catch (const std::bad_alloc&) {
  return false;
}

int64_t KvPool::take() {
  if (free_.empty() && (static_cast<int64_t>(pages_.size()) >= limit_ || !grow())) return -1;
  const int64_t page = free_.back();
  free_.pop_back();
  pages_[static_cast<size_t>(page)] = {1, false, {}};
  used_++;
  return page;
}

void KvPool::release(int64_t page) {
  Page& p = pages_[static_cast<size_t>(page)];
  if (--p.owners > 0) return;
  if (p.published) known_.erase(p.key);
  free_.push_back(page);
  used_--;
}

int64_t KvPool::find(int64_t parent, const PageIds& ids) {
  const auto it = known_.find({parent, ids});
  if (it == known_.end()) return -1;
  retain(it->second);
  return it->second;
}

void KvPool::publish(int64_t page, int64_t parent, const PageIds& ids) {
  const Key key{parent, ids};
  if (!known_.try_emplace(key, page).second) return;
  Page& p = pages_[static_cast<size_t>(page)];
  p.published = true;
  p.key = key;
}

size_t KvPool::Hash::operator()(const Key& key) const {
  uint64_t h = 0xcbf29ce484222325u ^ static_cast<uint64_t>(key.parent);  // FNV-1a over words
  for (const int32_t id : key.ids) h = (h ^ static_cast<uint32_t>(id)) * 0x100000001b3u;
  return static_cast<size_t>(h ^ (h >> 29));
}

}  // namespace tarl
