#include "kv.h"

#include <c10/util/safe_numerics.h>
#include <sys/mman.h>

namespace tarl {

namespace {

/// Zeros, because lanes beyond a sequence's end are multiplied by zero weights. Throws where there is no
/// memory.
at::Tensor zeros(const std::vector<int64_t>& sizes, const at::TensorOptions& options) {
  if (!options.device().is_cpu()) return at::zeros(sizes, options);
  uint64_t bytes = options.dtype().itemsize();
  for (const int64_t size : sizes)
    if (c10::mul_overflows(bytes, static_cast<uint64_t>(size), &bytes)) throw std::bad_alloc();
  // Private and anonymous memory is zero, and there only once it is written; NORESERVE: only then counted.
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return at::from_blob(
      memory, sizes, [bytes](void* from) { munmap(from, bytes); }, options);
}

}  // namespace

KvPool::KvPool(int64_t layers, std::vector<int64_t> key_page, std::vector<int64_t> value_page,
               at::TensorOptions options, int64_t max_tokens)
    : key_page_(std::move(key_page)),
      value_page_(std::move(value_page)),
      options_(options),
      limit_(max_tokens / kPage),
      layers_(static_cast<size_t>(layers)) {
  key_page_.insert(key_page_.begin(), limit_);
  value_page_.insert(value_page_.begin(), limit_);
}

bool KvPool::map() try {
  if (layers_[0].keys.defined()) return true;
  std::vector<KvLayer> layers;
  for (size_t i = 0; i < layers_.size(); i++)
    layers.push_back({zeros(key_page_, options_), zeros(value_page_, options_)});
  layers_.swap(layers);
  memory_++;
  return true;
} catch (const c10::Error&) {  // no memory: as a full pool
  return false;
} catch (const std::bad_alloc&) {
  return false;
}

int64_t KvPool::take() {
  int64_t page;
  if (!free_.empty()) {
    page = free_.back();
    free_.pop_back();
  } else if (!left_.empty()) {
    page = left_.front();
    left_.pop_front();
    known_.erase(at(page).key);
  } else if (static_cast<int64_t>(pages_.size()) < limit_ && map()) {
    page = static_cast<int64_t>(pages_.size());
    pages_.emplace_back();
  } else {
    return -1;
  }
  at(page) = {};
  at(page).owners = 1;
  used_++;
  return page;
}

int64_t KvPool::copy(int64_t page) {
  const int64_t twin = take();
  if (twin < 0) return -1;
  for (const KvLayer& layer : layers_) {
    layer.keys[twin].copy_(layer.keys[page]);
    layer.values[twin].copy_(layer.values[page]);
  }
  return twin;
}

void KvPool::retain(int64_t page) {
  Page& p = at(page);
  if (p.owners++ > 0) return;
  left_.erase(p.left);
  used_++;
}

void KvPool::release(int64_t page) {
  Page& p = at(page);
  if (--p.owners > 0) return;
  used_--;
  if (p.known)
    p.left = left_.insert(left_.end(), page);
  else
    free_.push_back(page);
}

KvPool::Key KvPool::key(int64_t parent, const PageIds& ids) {
  return {parent < 0 ? 0 : at(parent).serial, ids};
}

int64_t KvPool::find(int64_t parent, const PageIds& ids) {
  const auto it = known_.find(key(parent, ids));
  if (it == known_.end()) return -1;
  retain(it->second);
  return it->second;
}

void KvPool::publish(int64_t page, int64_t parent, const PageIds& ids) {
  Page& p = at(page);
  p.serial = ++serial_;
  p.key = key(parent, ids);
  p.known = known_.try_emplace(p.key, page).second;
}

void KvPool::clear() {
  TORCH_INTERNAL_ASSERT(used_ == 0 && pinned_ == 0);
  known_.clear();
  left_.clear();
  free_.clear();
  pages_.clear();
  for (KvLayer& layer : layers_) layer = {};
}

size_t KvPool::Hash::operator()(const Key& key) const {
  uint64_t h = 0xcbf29ce484222325u ^ key.parent;  // FNV-1a over words
  for (const int32_t id : key.ids) h = (h ^ static_cast<uint32_t>(id)) * 0x100000001b3u;
  return static_cast<size_t>(h ^ (h >> 29));
}

}  // namespace tarl
