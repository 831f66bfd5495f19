// The keys and values of all conversations, in pages of kPage tokens that conversations can share, and how
// many of them are promised to whom. Not here: which conversation computes what and when (engine.cpp).
// Test: native/test/kv_test.cpp
//
// A layer's keys and values are [P, ...]; how a page looks is the backend's choice, [16, G, C] without one.

#pragma once
#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "backend.h"
#include "page.h"

namespace tarl {

using PageIds = std::array<int32_t, kPage>;

/// A page is owned by the conversations that hold it. Known pages without owners keep what they hold until
/// they are taken, the one that was left first before the others. A page is pinned while one of its owners
/// may not lose it.
///
/// The pool's size is fixed, its memory is not: the address space is mapped with the first page, and the
/// machine gives it memory as pages are first written. (On a GPU all of it is allocated then.)
class KvPool {
 public:
  KvPool(int64_t layers, std::vector<int64_t> key_page, std::vector<int64_t> value_page, at::TensorOptions,
         int64_t max_tokens);

  /// A page of one owner, or -1 when all are owned or there is no memory.
  int64_t take();
  /// A page of one owner that holds what `page` holds, or -1.
  int64_t copy(int64_t page);
  void retain(int64_t page);
  void release(int64_t page);

  /// The page that holds `ids` after page `parent` (-1: at the start), with one more owner; or -1.
  int64_t find(int64_t parent, const PageIds& ids);
  /// Lets others find a full page. The first page with this content stays the known one.
  void publish(int64_t page, int64_t parent, const PageIds& ids);

  void pin(int64_t page) { pinned_ += at(page).pins++ == 0; }
  void unpin(int64_t page) { pinned_ -= --at(page).pins == 0; }
  bool pinned(int64_t page) const { return pages_[static_cast<size_t>(page)].pins > 0; }

  /// Forgets everything and gives the memory back. No page may have an owner.
  void clear();

  const KvLayer& layer(int64_t i) const { return layers_[static_cast<size_t>(i)]; }
  /// How many times the layers were given memory: while it is the same, they are where they were.
  int64_t memory() const { return memory_; }

  /// Pages: with an owner, pinned, and in all.
  int64_t used() const { return used_; }
  int64_t pinned() const { return pinned_; }
  int64_t capacity() const { return limit_; }

 private:
  /// What a page holds: its ids after what the page with that serial number held. Page numbers are used
  /// again, serial numbers never.
  struct Key {
    uint64_t parent;
    PageIds ids;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key&) const;
  };
  struct Page {
    int64_t owners = 0, pins = 0;
    uint64_t serial = 0;  // of what it holds; 0 until it is published
    bool known = false;
    Key key;
    std::list<int64_t>::iterator left;  // its place there, while it is known and has no owner
  };
  Page& at(int64_t page) { return pages_[static_cast<size_t>(page)]; }
  Key key(int64_t parent, const PageIds& ids);
  bool map();

  std::vector<int64_t> key_page_, value_page_;
  at::TensorOptions options_;
  int64_t limit_, used_ = 0, pinned_ = 0, memory_ = 0;
  uint64_t serial_ = 0;
  std::vector<KvLayer> layers_;
  std::vector<Page> pages_;    // that were ever taken
  std::vector<int64_t> free_;  // without owner, and not known
  std::list<int64_t> left_;    // without owner, but known: who was left first comes first
  std::unordered_map<Key, int64_t, Hash> known_;
};

}  // namespace tarl
