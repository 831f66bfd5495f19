#include "kv.h"

namespace tarl {

KvPool::KvPool(int64_t layers, int64_t kv_heads, int64_t channels, at::TensorOptions options,
               int64_t max_tokens)
    : kv_heads_(kv_heads),
      channels_(channels),
      limit_(max_tokens / kPage),
      options_(options),
      keys_(static_cast<size_t>(layers)),
      values_(static_cast<size_t>(layers)) {}

bool KvPool::grow() try {
  const int64_t have = static_cast<int64_t>(pages_.size());
  const int64_t want = std::min(limit_, std::max<int64_t>(64, 2 * have));
  // Zeros, because lanes beyond a sequence's end are multiplied by zero weights.
  const auto wider = [&](const at::Tensor& t, int64_t rows, int64_t columns) {
    at::Tensor wide = at::zeros({want, kv_heads_, rows, columns}, options_);
    if (t.defined()) wide.narrow(0, 0, have).copy_(t);
    return wide;
  };
  std::vector<at::Tensor> keys, values;
  for (const at::Tensor& k : keys_) keys.push_back(wider(k, channels_, kPage));
  for (const at::Tensor& v : values_) values.push_back(wider(v, kPage, round_up(channels_, kPage)));
  free_.reserve(static_cast<size_t>(want));
  pages_.resize(static_cast<size_t>(want));
  keys_.swap(keys);
  values_.swap(values);
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
