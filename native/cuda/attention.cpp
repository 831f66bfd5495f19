#include "attention.h"

#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "core/page.h"
#include "runtime.h"

#if !defined(TARL_EMULATE_CUDA)
#include <c10/cuda/CUDAException.h>
#endif

namespace tarl::cuda {

using at::Tensor;

namespace {

constexpr int kShift = std::countr_zero(static_cast<uint64_t>(kPage));

/// Beginnings of the lists in Lists::memory; numbers of tiles first.
struct Offsets {
  int64_t counts = 0, narrow, wide, queries, merged, table, slots, size;
  explicit Offsets(const Capacity& c) {
    constexpr int64_t kTile = sizeof(Tile) / sizeof(int32_t), kQuery = sizeof(Query) / sizeof(int32_t);
    narrow = 2;
    wide = narrow + c.narrow * kTile;
    queries = wide + c.wide * kTile;
    merged = queries + c.queries * kQuery;
    table = merged + c.merged * kQuery;
    slots = table + c.table;
    size = slots + c.slots;
  }
};

struct PackedRows final : RowsPlan {
  Rows rows;
  int64_t tokens = 0;  // of their own
  bool shares = false;
  Tensor place;  // int64, on the device; undefined where nothing is shared
  Tensor cum_q, cum_k;
  int64_t max_q = 0, max_k = 0;
  mutable std::optional<Lists> lists;  // for our own kernel, made at the first layer
};

std::vector<int32_t> narrowed(const std::vector<int64_t>& list) { return {list.begin(), list.end()}; }

Lists uploaded(const Tiles& tiles, const std::vector<int32_t>& slots, at::Device device) {
  const Capacity capacity = Capacity::of(tiles, static_cast<int64_t>(slots.size()));
  return {capacity, upload(Lists::pack(capacity, tiles, slots), device)};
}

double scale_of(const Heads& x) { return 1 / std::sqrt(static_cast<double>(x.q.size(2))); }

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Lists
// ---------------------------------------------------------------------------------------------------------------------

Capacity Capacity::of(const Tiles& t, int64_t slots) {
  const auto size = [](const auto& list) { return static_cast<int64_t>(list.size()); };
  return {size(t.narrow), size(t.wide), size(t.queries), size(t.merged), size(t.table), slots, t.partials};
}

bool Capacity::holds(const Capacity& o) const {
  return o.narrow <= narrow && o.wide <= wide && o.queries <= queries && o.merged <= merged &&
         o.table <= table && o.slots <= slots && o.partials <= partials;
}

Capacity Capacity::with_room() const {
  const auto room = [](int64_t n) {
    return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(n, 64))));
  };
  return {room(narrow), room(wide), room(queries), merged, room(table), slots, room(partials)};
}

int64_t Lists::size(const Capacity& c) { return Offsets(c).size; }

template <class T>
const T* Lists::at(int64_t offset) const {
  return reinterpret_cast<const T*>(memory.const_data_ptr<int32_t>() + offset);
}

std::vector<int32_t> Lists::pack(const Capacity& c, const Tiles& tiles, const std::vector<int32_t>& slots) {
  TORCH_INTERNAL_ASSERT(c.holds(Capacity::of(tiles, static_cast<int64_t>(slots.size()))));
  const Offsets at(c);
  std::vector<int32_t> memory(static_cast<size_t>(at.size));
  memory[0] = static_cast<int32_t>(tiles.narrow.size());
  memory[1] = static_cast<int32_t>(tiles.wide.size());
  const auto put = [&](int64_t offset, const auto& list) {
    if (!list.empty()) std::memcpy(memory.data() + offset, list.data(), list.size() * sizeof(list[0]));
  };
  put(at.narrow, tiles.narrow);
  put(at.wide, tiles.wide);
  put(at.queries, tiles.queries);
  std::vector<Query> merged = tiles.merged;
  while (static_cast<int64_t>(merged.size()) < c.merged)  // rows that nobody asked for come out as zeros
    merged.push_back({static_cast<int32_t>(merged.size()), 0, 0});
  put(at.merged, merged);
  put(at.table, tiles.table);
  std::vector<int32_t> places = slots;
  places.resize(static_cast<size_t>(c.slots), -1);
  put(at.slots, places);
  return memory;
}

// ---------------------------------------------------------------------------------------------------------------------
// Our kernel
// ---------------------------------------------------------------------------------------------------------------------

Attention::Attention(const CudaOptions& options) : options_(options), processors_(1) {
#if !defined(TARL_EMULATE_CUDA)
  C10_CUDA_CHECK(
      cudaDeviceGetAttribute(&processors_, cudaDevAttrMultiProcessorCount, options.device.index()));
#endif
}

/// As many as can be at work at once.
int Attention::blocks() const { return 4 * processors_; }

bool Attention::flash(int64_t channels) const {
  return options_.device.is_cuda() && options_.dtype == at::kBFloat16 && !options_.batch_invariant &&
         channels % 8 == 0 && channels <= 256;
}

void Attention::run(const Heads& x, const Tensor& keys, const Tensor& values, const Lists& lists, int shift,
                    bool chunks, const Tensor& result, const Tensor& lse) const {
  const int heads = static_cast<int>(x.q.size(1)), kv_heads = static_cast<int>(x.k.size(1)),
            channels = static_cast<int>(x.q.size(2));
  const Offsets at(lists.capacity);
  const int64_t floats = chunks ? lists.capacity.partials * heads * (channels + 2) : 0;
  const Tensor partial = wide_like(x.q, {floats});
  on(x.q, [&]<class T>(T, Stream stream) {
    Attend<T> a{heads,          kv_heads,        channels,       static_cast<float>(scale_of(x)),
                in<T>(x.q),     in<T>(keys),     in<T>(values),  lists.at<int32_t>(at.table),
                shift,          nullptr,         nullptr,        lists.at<Query>(at.queries),
                out<T>(result), out<float>(lse), result.size(0), out<float>(partial)};
    const auto launch = [&](int64_t most, int64_t tiles, int64_t count, int rows) {
      if (most == 0) return;
      a.tiles = lists.at<Tile>(tiles);
      a.tile_count = lists.at<int32_t>(count);
      (chunks ? attend_chunks<T> : attend_whole<T>)(a, rows, blocks(), stream);
    };
    launch(lists.capacity.narrow, at.narrow, 0, kNarrow);
    launch(lists.capacity.wide, at.wide, 1, wide_rows(is_bf16(x.q), channels));
    if (!chunks) return;
    a.queries = lists.at<Query>(at.merged);
    attend_merge<T>(a, lists.capacity.merged, stream);
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// Rows of a batch
// ---------------------------------------------------------------------------------------------------------------------

std::unique_ptr<RowsPlan> Attention::plan(const Rows& rows) const {
  auto p = std::make_unique<PackedRows>();
  p->rows = rows;
  std::vector<int32_t> cum_q{0}, cum_k{0};
  for (int64_t r = 0; r < rows.count(); r++) {
    const int64_t shared = rows.shared[static_cast<size_t>(r)], own = rows.length(r) - shared;
    p->shares |= shared > 0;
    if (own == 0) continue;
    p->tokens += own;
    cum_q.push_back(static_cast<int32_t>(p->tokens));
    cum_k.push_back(cum_k.back() + static_cast<int32_t>(rows.length(r)));
    p->max_q = std::max(p->max_q, own);
    p->max_k = std::max(p->max_k, rows.length(r));
  }
  p->cum_q = upload(cum_q, options_.device);
  p->cum_k = upload(cum_k, options_.device);
  if (p->shares) {
    std::vector<int64_t> place;  // of the rows that have tokens of their own
    for (int64_t r = 0; r < rows.count(); r++)
      if (rows.length(r) > rows.shared[static_cast<size_t>(r)])
        place.insert(place.end(), rows.place.begin() + rows.start[static_cast<size_t>(r)],
                     rows.place.begin() + rows.start[static_cast<size_t>(r) + 1]);
    p->place = upload(place, options_.device);
  }
  return p;
}

AttentionRows Attention::attend(const Heads& x, const RowsPlan& plan) const {
  const auto& p = static_cast<const PackedRows&>(plan);
  const int64_t heads = x.q.size(1), channels = x.q.size(2);
  if (flash(channels)) {
    const Tensor k = p.shares ? x.k.index_select(0, p.place) : x.k,
                 v = p.shares ? x.v.index_select(0, p.place) : x.v;
    // A row's last query sees all of its keys: libtorch aligns causal masks of packed rows at the lower
    // right.
    const auto r = at::_flash_attention_forward(x.q, k, v, p.cum_q, p.cum_k, p.max_q, p.max_k, 0., true,
                                                false, scale_of(x));
    return {std::get<0>(r).reshape({p.tokens, heads * channels}), std::get<1>(r)};
  }
  if (!p.lists) {
    const std::vector<int32_t> place = narrowed(p.rows.place);
    std::vector<Sequence> sequences;
    for (int64_t r = 0; r < p.rows.count(); r++) {
      const int64_t shared = p.rows.shared[static_cast<size_t>(r)], length = p.rows.length(r);
      if (length == shared) continue;
      const std::span<const int32_t> keys(place.data() + p.rows.start[static_cast<size_t>(r)],
                                          static_cast<size_t>(length));
      sequences.push_back({keys[static_cast<size_t>(shared)], shared, length - shared, keys});
    }
    p.lists = uploaded(whole_tiles(sequences, static_cast<int>(heads), static_cast<int>(x.k.size(1)),
                                   wide_rows(is_bf16(x.q), static_cast<int>(channels))),
                       {}, options_.device);
  }
  const AttentionRows r{like(x.q, {p.tokens, heads * channels}), wide_like(x.q, {heads, p.tokens})};
  run(x, x.k, x.v, *p.lists, 0, false, r.out, r.lse);
  return r;
}

Heads Attention::backward(const Heads& x, const AttentionRows& r, const Tensor& d_out,
                          const RowsPlan& plan) const {
  const auto& p = static_cast<const PackedRows&>(plan);
  const int64_t channels = x.q.size(2);
  const bool stock = options_.device.is_cuda() && is_bf16(x.q) && channels % 8 == 0 && channels <= 256;
  if (!stock) return plain_backward(x, r, d_out, p.rows);
  const Tensor k = p.shares ? x.k.index_select(0, p.place) : x.k,
               v = p.shares ? x.v.index_select(0, p.place) : x.v;
  const Tensor seed = at::empty({2}, x.q.options().dtype(at::kUInt64)), none = at::empty({}, seed.options());
  const auto [dq, dk, dv] =
      at::_flash_attention_backward(d_out.view_as(x.q), x.q, k, v, r.out.view_as(x.q), r.lse, p.cum_q,
                                    p.cum_k, p.max_q, p.max_k, 0., true, seed, none, scale_of(x));
  if (!p.shares) return {dq, dk, dv};
  const auto gathered = [&](const Tensor& d,
                            const Tensor& whole) {  // a shared token has a gradient from each row
    return wide_like(whole, whole.sizes())
        .zero_()
        .index_add_(0, p.place, d.to(at::kFloat))
        .to(whole.scalar_type());
  };
  return {dq, gathered(dk, x.k), gathered(dv, x.v)};
}

/// With S = q k^T / sqrt(C), P = exp(S - lse): dV = P^T dO, dS = P (dO V^T - sum(dO O)), in fp32, row by row.
Heads Attention::plain_backward(const Heads& x, const AttentionRows& r, const Tensor& d_out,
                                const Rows& rows) const {
  const int64_t heads = x.q.size(1), kv_heads = x.k.size(1), channels = x.q.size(2), group = heads / kv_heads;
  const auto wide = [](const Tensor& t) { return t.to(at::kFloat); };
  const Tensor dq = wide_like(x.q, x.q.sizes()).zero_(), dk = wide_like(x.k, x.k.sizes()).zero_(),
               dv = dk.clone(), d = d_out.view_as(x.q), out = r.out.view_as(x.q);
  for (int64_t row = 0; row < rows.count(); row++) {
    const int64_t start = rows.start[static_cast<size_t>(row)], keys = rows.length(row),
                  own = keys - rows.shared[static_cast<size_t>(row)];
    if (own == 0) continue;
    const Tensor place = upload(
        std::vector<int64_t>(rows.place.begin() + start, rows.place.begin() + start + keys), x.q.device());
    const int64_t first = rows.place[static_cast<size_t>(start + keys - own)];
    const auto queries = [&](const Tensor& t) {
      return wide(t.narrow(0, first, own)).transpose(0, 1);
    };                                        // [H, t, C]
    const auto seen = [&](const Tensor& t) {  // [H, S, C]
      return wide(t.index_select(0, place)).repeat_interleave(group, 1).transpose(0, 1);
    };
    const Tensor q = queries(x.q), k = seen(x.k), v = seen(x.v), d_row = queries(d);
    const Tensor hidden = at::ones({own, keys}, x.q.options().dtype(at::kBool)).triu(keys - own + 1);
    const Tensor scores =
        at::matmul(q, k.transpose(1, 2)) * scale_of(x) - r.lse.narrow(1, first, own).unsqueeze(2);
    const Tensor p = scores.masked_fill(hidden, -INFINITY).exp();
    const Tensor ds =
        p * (at::matmul(d_row, v.transpose(1, 2)) - (d_row * queries(out)).sum(-1, true)) * scale_of(x);
    const auto summed = [&](const Tensor& t) {  // over the query heads of a key-value head -> [S, G, C]
      return t.view({kv_heads, group, keys, channels}).sum(1).transpose(0, 1);
    };
    dq.narrow(0, first, own).copy_(at::matmul(ds, k).transpose(0, 1));
    Tensor(dk).index_add_(0, place, summed(at::matmul(ds.transpose(1, 2), q)));
    Tensor(dv).index_add_(0, place, summed(at::matmul(p.transpose(1, 2), d_row)));
  }
  return {dq.to(x.q.scalar_type()), dk.to(x.k.scalar_type()), dv.to(x.v.scalar_type())};
}

// ---------------------------------------------------------------------------------------------------------------------
// New tokens of conversations
// ---------------------------------------------------------------------------------------------------------------------

std::unique_ptr<CachedPlan> Attention::plan(const std::vector<Segment>& segments) const {
  auto p = std::make_unique<CachedSegments>();
  p->segments = segments;
  for (const Segment& s : segments) {
    std::vector<int32_t> table;
    for (int64_t i = 0; i * kPage < s.past + s.length; i++)
      table.push_back(static_cast<int32_t>((*s.pages)[static_cast<size_t>(i)] * kPage));
    for (int64_t t = s.past; t < s.past + s.length; t++)
      p->slots.push_back(table[static_cast<size_t>(t / kPage)] + static_cast<int32_t>(t % kPage));
    p->tables.push_back(std::move(table));
    p->decode = p->decode && s.length == 1;
  }
  return p;
}

std::optional<Tiles> Attention::decode_tiles(const CachedSegments& p) const {
  if (!shape_) return std::nullopt;
  std::vector<Sequence> sequences;
  for (size_t i = 0; i < p.segments.size(); i++)
    if (p.segments[i].length == 1)
      sequences.push_back({p.segments[i].start, p.segments[i].past, 1, p.tables[i]});
  return chunk_tiles(sequences, kShift, shape_->heads, shape_->kv_heads,
                     wide_rows(options_.dtype == at::kBFloat16, shape_->channels));
}

/// Lists of the single tokens for our kernel. Prompts: the same with all of their chunks, or for flash
/// attention.
void Attention::prepare(const CachedSegments& p, const Heads& x) const {
  Tiles tiles = *decode_tiles(p);
  std::vector<int32_t> cum_q{0}, cum_k{0};
  std::vector<int64_t> rows, keys;
  std::vector<Sequence> prompts;
  for (size_t i = 0; i < p.segments.size(); i++) {
    const Segment& s = p.segments[i];
    if (s.length == 1) continue;
    prompts.push_back({s.start, s.past, s.length, p.tables[i]});
    for (int64_t t = 0; t < s.length; t++) rows.push_back(s.start + t);
    for (int64_t t = 0; t < s.past + s.length; t++)
      keys.push_back(p.tables[i][static_cast<size_t>(t / kPage)] + t % kPage);
    cum_q.push_back(static_cast<int32_t>(rows.size()));
    cum_k.push_back(static_cast<int32_t>(keys.size()));
    p.max_q = std::max(p.max_q, s.length);
    p.max_k = std::max(p.max_k, s.past + s.length);
  }
  p.lists = uploaded(tiles, p.slots, options_.device);
  if (prompts.empty()) return;
  if (flash(x.q.size(2))) {
    p.cum_q = upload(cum_q, options_.device);
    p.cum_k = upload(cum_k, options_.device);
    p.key_slots = upload(keys, options_.device);
    if (static_cast<int64_t>(rows.size()) < x.q.size(0)) p.prompt_rows = upload(rows, options_.device);
  } else {
    p.prompt_lists = uploaded(
        whole_tiles(prompts, shape_->heads, shape_->kv_heads, wide_rows(is_bf16(x.q), shape_->channels)), {},
        options_.device);
  }
}

Tensor Attention::attend_cached(const Heads& x, const CachedPlan& plan, const KvLayer& kv) {
  const auto& p = static_cast<const CachedSegments&>(plan);
  const int64_t tokens = x.q.size(0), heads = x.q.size(1), channels = x.q.size(2),
                width = x.k.size(1) * channels;
  shape_ = {static_cast<int>(heads), static_cast<int>(x.k.size(1)), static_cast<int>(channels)};
  if (!p.lists) prepare(p, x);
  on(x.k, [&]<class T>(T, Stream stream) {
    write_slots<T>(tokens, width, in<T>(x.k), in<T>(x.v),
                   p.lists->at<int32_t>(Offsets(p.lists->capacity).slots), out<T>(kv.keys), out<T>(kv.values),
                   stream);
  });
  const Tensor result = like(x.q, {tokens, heads * channels});
  if (p.lists->capacity.merged > 0) run(x, kv.keys, kv.values, *p.lists, kShift, true, result, {});
  if (p.prompt_lists) run(x, kv.keys, kv.values, *p.prompt_lists, kShift, false, result, {});
  if (p.key_slots.defined()) {
    const auto keys_of = [&](const Tensor& pool) { return pool.flatten(0, 1).index_select(0, p.key_slots); };
    const Tensor q = p.prompt_rows.defined() ? x.q.index_select(0, p.prompt_rows) : x.q;
    const auto r = at::_flash_attention_forward(q, keys_of(kv.keys), keys_of(kv.values), p.cum_q, p.cum_k,
                                                p.max_q, p.max_k, 0., true, false, scale_of(x));
    const Tensor mixed = std::get<0>(r).reshape({q.size(0), heads * channels});
    if (!p.prompt_rows.defined()) return mixed;
    Tensor(result).index_copy_(0, p.prompt_rows, mixed);
  }
  return result;
}

}  // namespace tarl::cuda
