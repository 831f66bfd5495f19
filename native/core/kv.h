// The keys and values of all conversations, in pages of kPage tokens that conversations can share.
// Not here: which conversation computes what and when (engine.cpp).
//
// A layer's keys and values are [P, ...]; how a page looks is the backend's choice, [16, G, C] without one.

#pragma once
#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "backend.h"
#include "page.h"

namespace tarl {

using PageIds = std::array<int32_t, kPage>;

class KvPool {
 public:
  KvPool(int64_t layers, std::vector<int64_t> key_page, std::vector<int64_t> value_page, at::TensorOptions,
         int64_t max_tokens);

  /// A page of one owner, or -1 when the pool is full or cannot grow for want of memory.
  int64_t take();
  void retain(int64_t page) { pages_[static_cast<size_t>(page)].owners++; }
  void release(int64_t page);

  /// The page that holds `ids` after page `parent` (-1: at the start), with one more owner; or -1.
  int64_t find(int64_t parent, const PageIds& ids);
  /// Lets others find a full page. The first page with this content stays the known one.
  void publish(int64_t page, int64_t parent, const PageIds& ids);

  const KvLayer& layer(int64_t i) const { return layers_[static_cast<size_t>(i)]; }

  int64_t used() const { return used_; }
  /// Pages that there is memory for. When it grows, all of them have moved.
  int64_t allocated() const { return static_cast<int64_t>(pages_.size()); }
  int64_t capacity() const { return limit_; }

 private:
  struct Key {
    int64_t parent;
    PageIds ids;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key&) const;
  };
  struct Page {
    int64_t owners = 0;
    bool published = false;
    Key key;
  };
  bool grow();

  std::vector<int64_t> key_page_, value_page_;
  at::TensorOptions options_;
  int64_t limit_, used_ = 0;
  std::vector<KvLayer> layers_;
  std::vector<Page> pages_;
  std::vector<int64_t> free_;
  std::unordered_map<Key, int64_t, Hash> known_;
};

}  // namespace tarl
