#include "attention.h"

#include <cmath>

#include "kernels.h"

namespace tarl {

using at::Tensor;

namespace {

constexpr int64_t kQueriesAtOnce =
    64;  // queries of one head that a thread takes at once when keys are cached

struct Shape {
  int64_t heads, kv_heads, channels, group, padded;
  explicit Shape(const Heads& x)
      : heads(x.q.size(1)),
        kv_heads(x.k.size(1)),
        channels(x.q.size(2)),
        group(heads / kv_heads),
        padded(round_up(channels, kPage)) {}
  float scale() const { return 1.f / std::sqrt(static_cast<float>(channels)); }
};

/// One head of a row's keys or values in pages: keys in lanes [C, 16], or keys in rows [16, Cp].
class Pages {
 public:
  Pages(int64_t keys, const Shape& s) : size_(kPage * s.padded), padded_(s.padded) {
    const int64_t count = (keys + kPage - 1) / kPage;
    data_.assign(static_cast<size_t>(count * size_), 0.f);
    for (int64_t p = 0; p < count; p++) pointers_.push_back(data_.data() + p * size_);
  }
  /// Key i is at from + place[i] * stride.
  void fill_lanes(const float* from, const int64_t* place, int64_t stride, int64_t keys, int64_t channels) {
    for (int64_t k = 0; k < keys; k++)
      for (int64_t c = 0; c < channels; c++)
        pointers_[k / kPage][c * kPage + k % kPage] = from[place[k] * stride + c];
  }
  void fill_rows(const float* from, const int64_t* place, int64_t stride, int64_t keys, int64_t channels) {
    for (int64_t k = 0; k < keys; k++)
      std::copy_n(from + place[k] * stride, channels, pointers_[k / kPage] + k % kPage * padded_);
  }
  /// Adds key i to to + place[i] * stride.
  void add_rows(float* to, const int64_t* place, int64_t stride, int64_t keys, int64_t channels) const {
    for (int64_t k = 0; k < keys; k++) {
      const float* row = pointers_[k / kPage] + k % kPage * padded_;
      for (int64_t c = 0; c < channels; c++) to[place[k] * stride + c] += row[c];
    }
  }
  const float* const* read() const { return const_cast<const float* const*>(pointers_.data()); }
  float* const* write() { return pointers_.data(); }

 private:
  int64_t size_, padded_;
  std::vector<float> data_;
  std::vector<float*> pointers_;
};

/// Pointers to some tokens' queries of one key-value head, query heads of a token beside each other.
template <class T>
std::vector<T*> queries(T* base, int64_t tokens, const Shape& s, int64_t kv_head, int64_t channels) {
  std::vector<T*> list;
  for (int64_t t = 0; t < tokens; t++)
    for (int64_t h = 0; h < s.group; h++)
      list.push_back(base + (t * s.heads + kv_head * s.group + h) * channels);
  return list;
}

std::vector<int64_t> causal_keys(int64_t tokens, int64_t past, int64_t group) {
  std::vector<int64_t> keys;
  for (int64_t t = 0; t < tokens; t++) keys.insert(keys.end(), static_cast<size_t>(group), past + t + 1);
  return keys;
}

/// Rows, and which of them have tokens in common: their gradients meet, so one thread adds them.
struct Families : RowsPlan {
  Rows rows;
  std::vector<std::vector<int64_t>> families;

  explicit Families(const Rows& given) : rows(given) {
    std::vector<size_t> of(rows.place.size());  // by packed token
    for (int64_t r = 0; r < rows.count(); r++) {
      const int64_t *place = rows.place.data() + rows.start[r], length = rows.length(r);
      const size_t family = rows.shared[r] > 0 ? of[place[0]] : families.size();
      if (family == families.size()) families.emplace_back();
      for (int64_t p = rows.shared[r]; p < length; p++) of[place[p]] = family;
      if (length > rows.shared[r]) families[family].push_back(r);
    }
  }
};

struct Segments : CachedPlan {
  std::vector<Segment> list;
};

}  // namespace

std::unique_ptr<RowsPlan> cpu_plan(const Rows& rows) { return std::make_unique<Families>(rows); }

AttentionRows cpu_attend(Pool& pool, const Heads& x, const RowsPlan& plan) {
  const Rows& rows = static_cast<const Families&>(plan).rows;
  const Shape s(x);
  const int64_t t = x.q.size(0);
  const auto options = x.q.options().requires_grad(false);
  AttentionRows r{at::empty({t, s.heads * s.channels}, options), at::empty({t, s.heads}, options)};
  const float *q = x.q.const_data_ptr<float>(), *k = x.k.const_data_ptr<float>(),
              *v = x.v.const_data_ptr<float>();
  float *out = r.out.mutable_data_ptr<float>(), *lse = r.lse.mutable_data_ptr<float>();
  pool.run(rows.count() * s.kv_heads, [&](int64_t unit) {
    const int64_t row = unit / s.kv_heads, g = unit % s.kv_heads, stride = s.kv_heads * s.channels;
    const int64_t length = rows.length(row), past = rows.shared[row], own = length - past;
    if (own == 0) return;
    const int64_t *place = rows.place.data() + rows.start[row], first = place[past];
    Pages keys(length, s), values(length, s);
    keys.fill_lanes(k + g * s.channels, place, stride, length, s.channels);
    values.fill_rows(v + g * s.channels, place, stride, length, s.channels);
    const auto qs = queries(q + first * s.heads * s.channels, own, s, g, s.channels);
    const auto outs = queries(out + first * s.heads * s.channels, own, s, g, s.channels);
    const auto lses = queries(lse + first * s.heads, own, s, g, 1);
    const auto limits = causal_keys(own, past, s.group);
    std::vector<float> scratch(static_cast<size_t>(attend_scratch(length, s.channels)));
    kernels().attend({static_cast<int64_t>(qs.size()), s.channels, qs.data(), outs.data(), lses.data(),
                      limits.data(), keys.read(), values.read(), s.scale(), scratch.data()});
  });
  return r;
}

Heads cpu_attend_backward(Pool& pool, const Heads& x, const AttentionRows& r, const Tensor& d_out,
                          const RowsPlan& plan) {
  const Families& all = static_cast<const Families&>(plan);
  const Rows& rows = all.rows;
  const Shape s(x);
  const Heads d{at::empty_like(x.q), at::zeros_like(x.k), at::zeros_like(x.v)};
  const float *q = x.q.const_data_ptr<float>(), *k = x.k.const_data_ptr<float>(),
              *v = x.v.const_data_ptr<float>();
  const float *out = r.out.const_data_ptr<float>(), *lse = r.lse.const_data_ptr<float>();
  const float* dout = d_out.const_data_ptr<float>();
  float *pq = d.q.mutable_data_ptr<float>(), *pk = d.k.mutable_data_ptr<float>(),
        *pv = d.v.mutable_data_ptr<float>();
  pool.run(static_cast<int64_t>(all.families.size()) * s.kv_heads, [&](int64_t unit) {
    const int64_t g = unit % s.kv_heads, ch = s.channels, stride = s.kv_heads * ch;
    for (const int64_t row : all.families[static_cast<size_t>(unit / s.kv_heads)]) {
      const int64_t length = rows.length(row), past = rows.shared[row], own = length - past;
      const int64_t *place = rows.place.data() + rows.start[row], qo = place[past] * s.heads * ch;
      Pages key_lanes(length, s), key_rows(length, s), value_lanes(length, s), key_grad(length, s),
          value_grad(length, s);
      key_lanes.fill_lanes(k + g * ch, place, stride, length, ch);
      key_rows.fill_rows(k + g * ch, place, stride, length, ch);
      value_lanes.fill_lanes(v + g * ch, place, stride, length, ch);
      const auto qs = queries(q + qo, own, s, g, ch), outs = queries(out + qo, own, s, g, ch);
      const auto douts = queries(dout + qo, own, s, g, ch);
      const auto dqs = queries(pq + qo, own, s, g, ch);
      const auto lses = queries(const_cast<float*>(lse) + place[past] * s.heads, own, s, g, 1);
      const auto limits = causal_keys(own, past, s.group);
      std::vector<float> scratch(static_cast<size_t>(attend_scratch(length, ch)));
      kernels().attend_backward({static_cast<int64_t>(qs.size()), ch, qs.data(), outs.data(), douts.data(),
                                 lses.data(), dqs.data(), limits.data(), key_lanes.read(), key_rows.read(),
                                 value_lanes.read(), key_grad.write(), value_grad.write(), s.scale(),
                                 scratch.data()});
      key_grad.add_rows(pk + g * ch, place, stride, length, ch);
      value_grad.add_rows(pv + g * ch, place, stride, length, ch);
    }
  });
  return d;
}

std::unique_ptr<CachedPlan> cpu_plan(const std::vector<Segment>& segments) {
  auto plan = std::make_unique<Segments>();
  plan->list = segments;
  return plan;
}

namespace {

void write(const Heads& x, const Shape& s, const Segment& segment, const KvLayer& kv) {
  const int64_t g = s.kv_heads, ch = s.channels;
  for (int64_t t = 0; t < segment.length; t++) {
    const int64_t slot = (segment.past + t) % kPage;
    const int64_t page = (*segment.pages)[static_cast<size_t>((segment.past + t) / kPage)];
    const float* k = x.k.const_data_ptr<float>() + (segment.start + t) * g * ch;
    const float* v = x.v.const_data_ptr<float>() + (segment.start + t) * g * ch;
    float* keys = kv.keys.mutable_data_ptr<float>() + page * g * ch * kPage;
    float* values = kv.values.mutable_data_ptr<float>() + page * g * kPage * s.padded;
    for (int64_t h = 0; h < g; h++)
      for (int64_t c = 0; c < ch; c++) {
        keys[(h * ch + c) * kPage + slot] = k[h * ch + c];
        values[(h * kPage + slot) * s.padded + c] = v[h * ch + c];
      }
  }
}

}  // namespace

Tensor cpu_attend_cached(Pool& pool, const Heads& x, const CachedPlan& plan, const KvLayer& kv) {
  struct Unit {
    const Segment* segment;
    int64_t first, tokens, kv_head;
  };
  const std::vector<Segment>& segments = static_cast<const Segments&>(plan).list;
  const Shape s(x);
  for (const Segment& segment : segments) write(x, s, segment, kv);
  std::vector<Unit> units;
  for (const Segment& segment : segments)
    for (int64_t first = 0; first < segment.length; first += kQueriesAtOnce)
      for (int64_t g = 0; g < s.kv_heads; g++)
        units.push_back({&segment, first, std::min(kQueriesAtOnce, segment.length - first), g});
  const Tensor result = at::empty({x.q.size(0), s.heads * s.channels}, x.q.options());
  const float* q = x.q.const_data_ptr<float>();
  const float* keys = kv.keys.const_data_ptr<float>();
  const float* values = kv.values.const_data_ptr<float>();
  float* out = result.mutable_data_ptr<float>();
  pool.run(static_cast<int64_t>(units.size()), [&](int64_t i) {
    const auto [segment, first, tokens, g] = units[static_cast<size_t>(i)];
    const int64_t past = segment->past + first, start = segment->start + first;
    std::vector<const float*> k_pages, v_pages;
    for (int64_t p = 0; p * kPage < past + tokens; p++) {
      const int64_t page = (*segment->pages)[static_cast<size_t>(p)];
      k_pages.push_back(keys + (page * s.kv_heads + g) * s.channels * kPage);
      v_pages.push_back(values + (page * s.kv_heads + g) * kPage * s.padded);
    }
    const auto qs = queries(q + start * s.heads * s.channels, tokens, s, g, s.channels);
    const auto outs = queries(out + start * s.heads * s.channels, tokens, s, g, s.channels);
    const auto limits = causal_keys(tokens, past, s.group);
    std::vector<float> scratch(static_cast<size_t>(attend_scratch(past + tokens, s.channels)));
    kernels().attend({static_cast<int64_t>(qs.size()), s.channels, qs.data(), outs.data(), nullptr,
                      limits.data(), k_pages.data(), v_pages.data(), s.scale(), scratch.data()});
  });
  return result;
}

}  // namespace tarl
