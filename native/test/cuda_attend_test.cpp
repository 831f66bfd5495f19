// The CUDA attention kernels and their plans on the CPU (cuda_emulation.h): against the obvious loop in
// double, and against themselves, for the bits of a query must not depend on how it is computed.

#include <cstring>
#include <numeric>

#include "cuda/plan.h"
#include "test/test.h"

namespace tarl::cuda {
namespace {

constexpr int kShift = 4;
constexpr int kBlocks = 3;  // fewer than there are units, so that blocks take several

template <class T>
using List = std::vector<T>;

template <class T>
List<T> random(int64_t n, uint32_t seed) {
  List<T> list;
  for (const float x : numbers(static_cast<size_t>(n), seed)) list.push_back(narrow<T>(x));
  return list;
}

/// Conversations whose pages lie scattered in a pool of keys and values.
template <class T>
struct Pool {
  int heads, kv_heads, channels;
  List<T> keys, values;
  List<List<int32_t>> tables;  // of the conversations: first slot of each page
  List<int64_t> lengths;

  Pool(int h, int g, int c, int64_t pages)
      : heads(h),
        kv_heads(g),
        channels(c),
        keys(random<T>(pages * 16 * g * c, 1)),
        values(random<T>(pages * 16 * g * c, 2)),
        pages_(pages) {}
  /// `shared`: pages of the first conversation to begin with.
  void add(int64_t length, int64_t shared) {
    List<int32_t> table;
    for (int64_t p = 0; p * 16 < length; p++)
      table.push_back(p < shared ? tables[0][static_cast<size_t>(p)] : static_cast<int32_t>(16 * take()));
    tables.push_back(table);
    lengths.push_back(length);
  }
  int64_t slot(size_t conversation, int64_t key) const {
    return tables[conversation][static_cast<size_t>(key / 16)] + key % 16;
  }

 private:
  int64_t take() {
    EXPECT(next_ < pages_);
    return next_++ * 7 % pages_;  // 7 and the number of pages have no common divisor
  }
  int64_t pages_, next_ = 0;
};

template <class T>
struct Result {
  List<T> out;
  List<float> lse;
  bool operator==(const Result& other) const {
    return out.size() == other.out.size() &&
           std::memcmp(out.data(), other.out.data(), out.size() * sizeof(T)) == 0 && lse == other.lse;
  }
};

/// The last `fresh` tokens of each conversation, whose queries lie one after the other in q.
template <class T>
Result<T> run(const Pool<T>& pool, const List<T>& q, int64_t fresh, bool chunked, int wide) {
  List<Sequence> sequences;
  for (size_t i = 0; i < pool.tables.size(); i++)
    sequences.push_back({static_cast<int64_t>(i) * fresh, pool.lengths[i] - fresh, fresh, pool.tables[i]});
  const Tiles tiles = chunked ? chunk_tiles(sequences, kShift, pool.heads, pool.kv_heads, wide)
                              : whole_tiles(sequences, pool.heads, pool.kv_heads, wide);
  const auto tokens = static_cast<int64_t>(q.size()) / (pool.heads * pool.channels);
  Result<T> r{List<T>(q.size(), narrow<T>(7.f)), List<float>(static_cast<size_t>(tokens * pool.heads), 7.f)};
  List<float> partial(static_cast<size_t>(tiles.partials * pool.heads * (pool.channels + 2)), NAN);
  Attend<T> a{pool.heads,
              pool.kv_heads,
              pool.channels,
              1.f / std::sqrt(static_cast<float>(pool.channels)),
              q.data(),
              pool.keys.data(),
              pool.values.data(),
              tiles.table.data(),
              kShift,
              nullptr,
              nullptr,
              tiles.queries.data(),
              r.out.data(),
              r.lse.data(),
              tokens,
              partial.data()};
  for (const auto& [list, rows] : {std::pair{&tiles.narrow, kNarrow}, std::pair{&tiles.wide, wide}}) {
    const auto count = static_cast<int32_t>(list->size());
    a.tiles = list->data();
    a.tile_count = &count;
    (chunked ? attend_chunks<T> : attend_whole<T>)(a, rows, kBlocks, nullptr);
  }
  if (chunked) {
    a.queries = tiles.merged.data();
    attend_merge<T>(a, static_cast<int64_t>(tiles.merged.size()), nullptr);
  }
  return r;
}

template <class T>
void check(const Pool<T>& pool, const List<T>& q, int64_t fresh, const Result<T>& r) {
  const int64_t tokens = static_cast<int64_t>(pool.tables.size()) * fresh;
  const double slack = sizeof(T) == 2 ? 0.01 : 1e-5;
  for (int64_t t = 0; t < tokens; t++)
    for (int h = 0; h < pool.heads; h++) {
      const auto i = static_cast<size_t>(t / fresh);
      const int64_t keys = pool.lengths[i] - fresh + t % fresh + 1, g = h / (pool.heads / pool.kv_heads);
      const auto kv = [&](const List<T>& list, int64_t key, int c) {
        return wide(list[static_cast<size_t>((pool.slot(i, key) * pool.kv_heads + g) * pool.channels + c)]);
      };
      const auto at = static_cast<size_t>((t * pool.heads + h) * pool.channels);
      List<double> score, mixed(static_cast<size_t>(pool.channels));
      double sum = 0;
      for (int64_t key = 0; key < keys; key++) {
        double dot = 0;
        for (int c = 0; c < pool.channels; c++)
          dot += wide(q[at + static_cast<size_t>(c)]) * kv(pool.keys, key, c);
        score.push_back(std::exp(dot / std::sqrt(pool.channels)));
        sum += score.back();
        for (int c = 0; c < pool.channels; c++)
          mixed[static_cast<size_t>(c)] += score.back() * kv(pool.values, key, c);
      }
      EXPECT_NEAR(r.lse[static_cast<size_t>(h * tokens + t)], std::log(sum), 1e-4);
      for (size_t c = 0; c < mixed.size(); c++) EXPECT_NEAR(wide(r.out[at + c]), mixed[c] / sum, slack);
    }
}

template <class T>
void attend_case(int heads, int kv_heads, int channels) {
  const int wide = wide_rows(sizeof(T) == 2, channels);
  Pool<T> pool(heads, kv_heads, channels, 101);
  pool.add(530, 0);
  for (const auto& [length, shared] :
       {std::pair<int64_t, int64_t>{600, 33}, {517, 32}, {40, 1}, {1, 0}, {256, 0}, {257, 16}})
    pool.add(length, shared);
  const auto conversations = static_cast<int64_t>(pool.tables.size());

  // A decode round: chunks as tiles of their own, alone or for those who share them, or all in one.
  const List<T> q = random<T>(conversations * heads * channels, 3);
  const Result<T> chunked = run(pool, q, 1, true, wide);
  check(pool, q, 1, chunked);
  emulation::backwards = true;
  EXPECT(run(pool, q, 1, true, kNarrow) == chunked);
  emulation::backwards = false;
  EXPECT(run(pool, q, 1, false, wide) == chunked);

  // A token's bits are the same when the tokens before it are computed with it.
  Pool<T> one(heads, kv_heads, channels, 101);
  one.add(300, 0);
  const int64_t fresh = 50, row = heads * channels;
  const List<T> many = random<T>(fresh * row, 4);
  const Result<T> prompt = run(one, many, fresh, false, wide);
  check(one, many, fresh, prompt);
  const Result<T> last = run(one, List<T>(many.end() - row, many.end()), 1, true, wide);
  EXPECT(std::memcmp(last.out.data(), prompt.out.data() + (fresh - 1) * row,
                     static_cast<size_t>(row) * sizeof(T)) == 0);
}

TEST(cuda_attend) {
  attend_case<float>(4, 2, 16);
  attend_case<float>(3, 1, 20);
  attend_case<bf16>(4, 1, 32);
  attend_case<bf16>(3, 3, 20);
}
TEST(cuda_attend_many_heads) {  // more heads per key-value head than a tile has rows
  attend_case<float>(20, 1, 8);
  attend_case<bf16>(18, 1, 16);
}

template <class T>
void write_case(int64_t width) {
  const auto k = random<T>(3 * width, 1), v = random<T>(3 * width, 2);
  List<T> keys(static_cast<size_t>(9 * width)), values(keys);
  const List<int32_t> slots{7, -1, 2};  // a token without a slot leaves nothing
  write_slots<T>(3, width, k.data(), v.data(), slots.data(), keys.data(), values.data(), nullptr);
  for (int64_t s = 0; s < 9; s++)
    for (int64_t i = 0; i < width; i++) {
      const auto at = static_cast<size_t>(s * width + i);
      const int64_t from = s == 7 ? 0 : s == 2 ? 2 : -1;
      const auto source = static_cast<size_t>(from * width + i);
      EXPECT(wide(keys[at]) == (from < 0 ? 0 : wide(k[source])));
      EXPECT(wide(values[at]) == (from < 0 ? 0 : wide(v[source])));
    }
}
TEST(cuda_write_slots) {
  write_case<float>(12);
  write_case<bf16>(24);
  write_case<bf16>(11);
}

}  // namespace
}  // namespace tarl::cuda
