#include "attention.h"

#include <cmath>

namespace tarl {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

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

// ---------------------------------------------------------------------------------------------------------------------
// Kernels: one unit of work is one key-value head of one row
// ---------------------------------------------------------------------------------------------------------------------

/// Pages built from one head of a row's keys or values [S, stride]: keys in lanes [C, 16], or keys in rows
/// [16, Cp].
class Pages {
 public:
  Pages(int64_t keys, const Shape& s) : count_((keys + kPage - 1) / kPage), size_(kPage * s.padded) {
    data_.assign(static_cast<size_t>(count_ * size_), 0.f);
    for (int64_t p = 0; p < count_; p++) pointers_.push_back(data_.data() + p * size_);
  }
  void fill_lanes(const float* from, int64_t stride, int64_t keys, int64_t channels) {
    for (int64_t k = 0; k < keys; k++)
      for (int64_t c = 0; c < channels; c++)
        pointers_[k / kPage][c * kPage + k % kPage] = from[k * stride + c];
  }
  void fill_rows(const float* from, int64_t stride, int64_t keys, int64_t channels, int64_t padded) {
    for (int64_t k = 0; k < keys; k++)
      std::copy(from + k * stride, from + k * stride + channels, pointers_[k / kPage] + k % kPage * padded);
  }
  const float* const* read() const { return const_cast<const float* const*>(pointers_.data()); }
  float* const* write() { return pointers_.data(); }
  const float* row(int64_t key, int64_t padded) const {
    return pointers_[key / kPage] + key % kPage * padded;
  }

 private:
  int64_t count_, size_;
  std::vector<float> data_;
  std::vector<float*> pointers_;
};

/// Pointers to a row's queries of one key-value head, query heads of a token beside each other.
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

struct RowsResult {
  Tensor out, lse;
};

RowsResult forward_rows(const Context& c, const Heads& x, const std::vector<int64_t>& rows) {
  const Shape s(x);
  const int64_t t = x.q.size(0);
  const auto options = x.q.options().requires_grad(false);
  RowsResult r{at::empty({t, s.heads * s.channels}, options), at::empty({t, s.heads}, options)};
  const float *q = x.q.const_data_ptr<float>(), *k = x.k.const_data_ptr<float>(),
              *v = x.v.const_data_ptr<float>();
  float *out = r.out.mutable_data_ptr<float>(), *lse = r.lse.mutable_data_ptr<float>();
  c.pool.run(static_cast<int64_t>(rows.size() - 1) * s.kv_heads, [&](int64_t unit) {
    const int64_t row = unit / s.kv_heads, g = unit % s.kv_heads;
    const int64_t first = rows[row], tokens = rows[row + 1] - first, stride = s.kv_heads * s.channels;
    Pages keys(tokens, s), values(tokens, s);
    keys.fill_lanes(k + first * stride + g * s.channels, stride, tokens, s.channels);
    values.fill_rows(v + first * stride + g * s.channels, stride, tokens, s.channels, s.padded);
    const auto qs = queries(q + first * s.heads * s.channels, tokens, s, g, s.channels);
    const auto outs = queries(out + first * s.heads * s.channels, tokens, s, g, s.channels);
    const auto lses = queries(lse + first * s.heads, tokens, s, g, 1);
    const auto limits = causal_keys(tokens, 0, s.group);
    std::vector<float> scratch(static_cast<size_t>(attend_scratch(tokens, s.channels)));
    kernels().attend({static_cast<int64_t>(qs.size()), s.channels, qs.data(), outs.data(), lses.data(),
                      limits.data(), keys.read(), values.read(), s.scale(), scratch.data()});
  });
  return r;
}

struct RowsFunction : torch::autograd::Function<RowsFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& q, const Tensor& k, const Tensor& v,
                        const std::vector<int64_t>& rows, const Context* c) {
    const RowsResult r = forward_rows(*c, {q, k, v}, rows);
    ctx->save_for_backward({q, k, v, r.out, r.lse});
    ctx->saved_data["rows"] = rows;
    ctx->saved_data["context"] = reinterpret_cast<int64_t>(c);
    return r.out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Heads x{saved[0], saved[1], saved[2]};
    const Shape s(x);
    const std::vector<int64_t> rows = ctx->saved_data["rows"].toIntVector();
    const Context& c = *reinterpret_cast<const Context*>(ctx->saved_data["context"].toInt());
    const Tensor d = grads[0].contiguous();
    const Tensor dq = at::empty_like(x.q), dk = at::empty_like(x.k), dv = at::empty_like(x.v);
    const float *q = x.q.const_data_ptr<float>(), *k = x.k.const_data_ptr<float>(),
                *v = x.v.const_data_ptr<float>();
    const float *out = saved[3].const_data_ptr<float>(), *lse = saved[4].const_data_ptr<float>();
    const float* dout = d.const_data_ptr<float>();
    float *pq = dq.mutable_data_ptr<float>(), *pk = dk.mutable_data_ptr<float>(),
          *pv = dv.mutable_data_ptr<float>();
    c.pool.run(static_cast<int64_t>(rows.size() - 1) * s.kv_heads, [&](int64_t unit) {
      const int64_t row = unit / s.kv_heads, g = unit % s.kv_heads, ch = s.channels;
      const int64_t first = rows[row], tokens = rows[row + 1] - first, stride = s.kv_heads * ch;
      const int64_t kv = first * stride + g * ch, qo = first * s.heads * ch;
      Pages key_lanes(tokens, s), key_rows(tokens, s), value_lanes(tokens, s), key_grad(tokens, s),
          value_grad(tokens, s);
      key_lanes.fill_lanes(k + kv, stride, tokens, ch);
      key_rows.fill_rows(k + kv, stride, tokens, ch, s.padded);
      value_lanes.fill_lanes(v + kv, stride, tokens, ch);
      const auto qs = queries(q + qo, tokens, s, g, ch), outs = queries(out + qo, tokens, s, g, ch);
      const auto douts = queries(dout + qo, tokens, s, g, ch);
      const auto dqs = queries(pq + qo, tokens, s, g, ch);
      const auto lses = queries(lse + first * s.heads, tokens, s, g, 1);
      const auto limits = causal_keys(tokens, 0, s.group);
      std::vector<float> scratch(static_cast<size_t>(attend_scratch(tokens, ch)));
      kernels().attend_backward({static_cast<int64_t>(qs.size()), ch, qs.data(), outs.data(), douts.data(),
                                 lses.data(), dqs.data(), limits.data(), key_lanes.read(), key_rows.read(),
                                 value_lanes.read(), key_grad.write(), value_grad.write(), s.scale(),
                                 scratch.data()});
      for (int64_t t = 0; t < tokens; t++)
        for (int64_t i = 0; i < ch; i++) {
          pk[kv + t * stride + i] = key_grad.row(t, s.padded)[i];
          pv[kv + t * stride + i] = value_grad.row(t, s.padded)[i];
        }
    });
    return {dq, dk, dv, Variable(), Variable()};
  }
};

// ---------------------------------------------------------------------------------------------------------------------
// Plain ATen
// ---------------------------------------------------------------------------------------------------------------------

/// q [T, H, C] over k, v [S, G, C]; the last query sees all S keys. -> [T, H C]
Tensor plain_attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  const int64_t t = q.size(0), heads = q.size(1), keys = k.size(0), group = heads / k.size(1);
  const Tensor kh = k.repeat_interleave(group, 1).permute({1, 2, 0}),
               vh = v.repeat_interleave(group, 1).transpose(0, 1);
  Tensor scores = at::matmul(q.transpose(0, 1), kh) / std::sqrt(static_cast<double>(q.size(2)));
  const Tensor hidden =
      at::ones({t, keys}, q.options().dtype(at::kBool).requires_grad(false)).triu(keys - t + 1);
  scores = scores.to(at::kFloat).masked_fill(hidden, -INFINITY);
  return at::matmul(at::softmax(scores, -1).to(v.scalar_type()), vh).transpose(0, 1).reshape({t, -1});
}

void write_segment(const Heads& x, const Segment& s, const KvPool& pool, int64_t layer, bool plain) {
  const int64_t g = x.k.size(1), ch = x.k.size(2), padded = round_up(ch, kPage);
  const Tensor &keys = pool.keys(layer), &values = pool.values(layer);
  for (int64_t t = 0; t < s.length;) {
    const int64_t slot = (s.past + t) % kPage, n = std::min(kPage - slot, s.length - t);
    const int64_t page = (*s.pages)[static_cast<size_t>((s.past + t) / kPage)];
    if (plain) {
      keys[page].narrow(2, slot, n).copy_(x.k.narrow(0, s.start + t, n).permute({1, 2, 0}));
      values[page].narrow(1, slot, n).narrow(2, 0, ch).copy_(x.v.narrow(0, s.start + t, n).transpose(0, 1));
    } else {
      const float* k = x.k.const_data_ptr<float>() + (s.start + t) * g * ch;
      const float* v = x.v.const_data_ptr<float>() + (s.start + t) * g * ch;
      float* kp = keys.mutable_data_ptr<float>() + page * g * ch * kPage;
      float* vp = values.mutable_data_ptr<float>() + page * g * kPage * padded;
      for (int64_t i = 0; i < n; i++)
        for (int64_t h = 0; h < g; h++)
          for (int64_t c = 0; c < ch; c++) {
            kp[(h * ch + c) * kPage + slot + i] = k[(i * g + h) * ch + c];
            vp[(h * kPage + slot + i) * padded + c] = v[(i * g + h) * ch + c];
          }
    }
    t += n;
  }
}

Tensor cached_on_kernels(const Context& c, const Heads& x, const std::vector<Segment>& segments,
                         const KvPool& pool, int64_t layer) {
  struct Unit {
    const Segment* segment;
    int64_t first, tokens, kv_head;
  };
  const Shape s(x);
  std::vector<Unit> units;
  for (const Segment& segment : segments)
    for (int64_t first = 0; first < segment.length; first += kQueriesAtOnce)
      for (int64_t g = 0; g < s.kv_heads; g++)
        units.push_back({&segment, first, std::min(kQueriesAtOnce, segment.length - first), g});
  const Tensor result = at::empty({x.q.size(0), s.heads * s.channels}, x.q.options());
  const float* q = x.q.const_data_ptr<float>();
  const float* keys = pool.keys(layer).const_data_ptr<float>();
  const float* values = pool.values(layer).const_data_ptr<float>();
  float* out = result.mutable_data_ptr<float>();
  c.pool.run(static_cast<int64_t>(units.size()), [&](int64_t i) {
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

}  // namespace

Tensor attend_rows(const Context& c, const Heads& x, const std::vector<int64_t>& rows) {
  if (on_kernels(c, x.q)) {
    if (at::GradMode::is_enabled() && x.q.requires_grad())
      return RowsFunction::apply(x.q, x.k, x.v, rows, &c);
    return forward_rows(c, x, rows).out;
  }
  std::vector<Tensor> outs;
  for (size_t i = 0; i + 1 < rows.size(); i++) {
    const int64_t first = rows[i], n = rows[i + 1] - first;
    outs.push_back(
        plain_attention(x.q.narrow(0, first, n), x.k.narrow(0, first, n), x.v.narrow(0, first, n)));
  }
  return at::cat(outs);
}

Tensor attend_cached(const Context& c, const Heads& x, const std::vector<Segment>& segments,
                     const KvPool& pool, int64_t layer) {
  const bool plain = !on_kernels(c, x.q);
  for (const Segment& s : segments) write_segment(x, s, pool, layer, plain);
  if (!plain) return cached_on_kernels(c, x, segments, pool, layer);
  std::vector<Tensor> outs;
  for (const Segment& s : segments) {
    const int64_t total = s.past + s.length, channels = x.k.size(2);
    const Tensor pages =
        at::tensor(at::ArrayRef<int64_t>(s.pages->data(), (total + kPage - 1) / kPage)).to(x.q.device());
    const Tensor k =
        pool.keys(layer).index_select(0, pages).permute({0, 3, 1, 2}).flatten(0, 1).narrow(0, 0, total);
    const Tensor v =
        pool.values(layer).index_select(0, pages).transpose(1, 2).flatten(0, 1).narrow(0, 0, total);
    outs.push_back(plain_attention(x.q.narrow(0, s.start, s.length), k, v.narrow(2, 0, channels)));
  }
  return at::cat(outs);
}

}  // namespace tarl
