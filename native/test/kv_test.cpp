// Pages of the KV pool: who owns them, who finds them, and when their memory is there.

#include "core/kv.h"

#include "test.h"

using namespace tarl;

namespace {

PageIds page_of(int32_t first) {
  PageIds ids;
  for (int32_t i = 0; i < kPage; i++) ids[static_cast<size_t>(i)] = first + i;
  return ids;
}

KvPool small(int64_t pages) { return {2, {2, 8, kPage}, {2, kPage, 16}, at::kFloat, pages * kPage}; }

}  // namespace

TEST(a_known_page_is_found_after_its_owner_left_until_it_is_taken) {
  KvPool pool = small(3);
  const int64_t first = pool.take(), second = pool.take();
  pool.publish(first, -1, page_of(1));
  pool.publish(second, first, page_of(20));
  pool.release(second);
  pool.release(first);
  EXPECT(pool.used() == 0);
  EXPECT(pool.find(-1, page_of(1)) == first && pool.find(first, page_of(20)) == second);
  EXPECT(pool.find(-1, page_of(20)) == -1 && pool.used() == 2);
  pool.release(second);
  pool.release(first);
  // Who was left first goes first: the end of a conversation before its start.
  EXPECT(pool.take() == second);
  EXPECT(pool.find(-1, page_of(1)) == first && pool.find(first, page_of(20)) == -1);
  pool.release(first);
  EXPECT(pool.take() == first && pool.take() == 2 && pool.take() == -1);
}

TEST(a_page_that_is_used_again_does_not_lead_to_what_followed_the_old_one) {
  KvPool pool = small(2);
  const int64_t parent = pool.take(), child = pool.take();
  pool.publish(parent, -1, page_of(1));
  pool.publish(child, parent, page_of(20));
  pool.release(parent);  // in the wrong order, so that the parent is taken first
  pool.release(child);
  EXPECT(pool.take() == parent);
  pool.publish(parent, -1, page_of(40));
  EXPECT(pool.find(parent, page_of(20)) == -1);
}

TEST(a_copy_holds_what_its_page_held) {
  KvPool pool = small(3);
  const int64_t page = pool.take();
  for (int64_t layer = 0; layer < 2; layer++) {
    pool.layer(layer).keys[page].fill_(1.f + static_cast<float>(layer));
    pool.layer(layer).values[page].fill_(3);
  }
  const int64_t twin = pool.copy(page);
  EXPECT(twin >= 0 && twin != page && pool.used() == 2);
  for (int64_t layer = 0; layer < 2; layer++) {
    EXPECT(at::equal(pool.layer(layer).keys[page], pool.layer(layer).keys[twin]));
    EXPECT(at::equal(pool.layer(layer).values[page], pool.layer(layer).values[twin]));
  }
  pool.take();
  EXPECT(pool.copy(page) == -1);
}

TEST(pinned_pages_are_counted_once) {
  KvPool pool = small(3);
  const int64_t page = pool.take();
  pool.pin(page);
  pool.pin(page);
  EXPECT(pool.pinned() == 1 && pool.pinned(page));
  pool.unpin(page);
  EXPECT(pool.pinned() == 1);
  pool.unpin(page);
  EXPECT(pool.pinned() == 0 && !pool.pinned(page));
}

TEST(a_cleared_pool_is_new) {
  KvPool pool = small(2);
  const int64_t page = pool.take();
  pool.layer(0).keys.fill_(7);
  pool.publish(page, -1, page_of(1));
  pool.release(page);
  pool.clear();
  EXPECT(!pool.layer(0).keys.defined() && pool.find(-1, page_of(1)) == -1);
  EXPECT(pool.take() == 0 && pool.layer(0).keys.abs().max().item<float>() == 0);
}

TEST(layers_move_only_when_a_cleared_pool_is_used_again) {
  KvPool pool = small(3);
  const int64_t page = pool.take(), before = pool.memory();
  const void* const keys = pool.layer(0).keys.const_data_ptr();
  const int64_t second = pool.take();
  EXPECT(pool.memory() == before && pool.layer(0).keys.const_data_ptr() == keys);
  pool.release(page);
  pool.release(second);
  pool.clear();
  pool.take();
  EXPECT(pool.memory() != before);  // though as many pages may be in use as then
}

TEST(a_pool_without_memory_is_full) {
  const int64_t heads = int64_t{1} << 58;  // more bytes than a tensor can have
  KvPool pool(2, {heads, 8, kPage}, {heads, kPage, 8}, at::kFloat, 4096);
  EXPECT(pool.take() == -1 && pool.take() == -1 && pool.used() == 0);
}
