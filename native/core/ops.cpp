#include "ops.h"

#include <cmath>
#include <numbers>

#include "error.h"

namespace tarl {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

namespace {

constexpr int64_t kRowBlock = 32;    // rows of element-wise work that a thread takes at once
constexpr int64_t kLogitRows = 256;  // rows of logits that exist at once

const float* in(const Tensor& t) { return t.const_data_ptr<float>(); }
float* out(const Tensor& t) { return t.mutable_data_ptr<float>(); }
Tensor like(const Tensor& t, at::IntArrayRef shape) {
  return at::empty(shape, t.options().requires_grad(false));
}

/// Runs f(first, last) over blocks of rows.
template <class F>
void over_rows(const Context& c, int64_t rows, const F& f) {
  c.pool.run((rows + kRowBlock - 1) / kRowBlock,
             [&](int64_t b) { f(b * kRowBlock, std::min(rows, (b + 1) * kRowBlock)); });
}

/// The gradient that adds up in a parameter, made when first needed.
Tensor& grad_of(const Tensor& parameter) {
  Tensor& g = parameter.mutable_grad();
  if (!g.defined()) g = at::zeros_like(parameter);
  return g;
}

/// Adds per-block partial sums [blocks, D] to a gradient in the order of the blocks: the same bits for any
/// threads.
void add_partial(const Tensor& parameter, const std::vector<float>& partial, int64_t blocks) {
  float* g = out(grad_of(parameter));
  const int64_t d = parameter.numel();
  for (int64_t b = 0; b < blocks; b++)
    for (int64_t i = 0; i < d; i++) g[i] += partial[static_cast<size_t>(b * d + i)];
}

template <class T>
void keep(AutogradContext* ctx, const char* name, T* pointer) {
  ctx->saved_data[name] = reinterpret_cast<int64_t>(pointer);
}
template <class T>
T& kept(AutogradContext* ctx, const char* name) {
  return *reinterpret_cast<T*>(ctx->saved_data[name].toInt());
}

bool records(const Tensor& t) { return at::GradMode::is_enabled() && t.requires_grad(); }

}  // namespace

bool on_kernels(const Context& c, const Tensor& t) {
  return c.kernels && t.device().is_cpu() && t.scalar_type() == at::kFloat;
}

// ---------------------------------------------------------------------------------------------------------------------
// Linear
// ---------------------------------------------------------------------------------------------------------------------

Linear::Linear(std::vector<Tensor> weights, std::vector<Tensor> biases, int64_t limit)
    : weights_(std::move(weights)), biases_(std::move(biases)), in_(weights_.at(0).size(1)), out_(0) {
  for (const Tensor& w : weights_) out_ += w.size(0);
  if (limit > 0) out_ = std::min(out_, limit);
}

const Packed& Linear::packed(const Context& c) {
  if (!forward_fresh_) {
    int64_t at = 0;
    for (size_t i = 0; i < weights_.size(); i++) {
      forward_.pack(c.pool, in_, rows(i), in(weights_[i]), 1, in_, at, out_);
      at += rows(i);
    }
    forward_fresh_ = true;
  }
  return forward_;
}

const Packed& Linear::packed_backward(const Context& c) {
  if (!backward_fresh_) {
    const Tensor w = weights_.size() == 1 ? weights_[0].detach() : at::cat(weights_).detach();
    backward_.pack(c.pool, out_, in_, in(w), in_, 1, 0, in_);
    backward_fresh_ = true;
  }
  return backward_;
}

Tensor Linear::multiply(const Context& c, const Tensor& x) {
  const int64_t t = x.size(0);
  Tensor y = like(x, {t, out_});
  gemm(c.pool, t, {in(x), in_, 1}, packed(c), out(y), out_, false);
  int64_t at = 0;
  for (size_t i = 0; i < biases_.size(); i++) {
    if (biases_[i].defined()) y.narrow(1, at, rows(i)).add_(biases_[i].detach());
    at += rows(i);
  }
  return y;
}

Tensor Linear::backward(const Context& c, const Tensor& x, const Tensor& dy) {
  const int64_t t = x.size(0);
  scratch_.pack(c.pool, t, in_, in(x), in_, 1, 0, in_);
  int64_t at = 0;
  for (size_t i = 0; i < weights_.size(); i++) {
    if (weights_[i].requires_grad())
      gemm(c.pool, rows(i), {in(dy) + at, 1, out_}, scratch_, out(grad_of(weights_[i])), in_, true);
    if (i < biases_.size() && biases_[i].defined() && biases_[i].requires_grad())
      grad_of(biases_[i]).add_(dy.narrow(1, at, rows(i)).sum(0));
    at += rows(i);
  }
  Tensor dx = like(x, {t, in_});
  gemm(c.pool, t, {in(dy), out_, 1}, packed_backward(c), out(dx), in_, false);
  return dx;
}

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, Linear* layer, const Context* c) {
    ctx->save_for_backward({x});
    keep(ctx, "layer", layer);
    keep(ctx, "context", c);
    return layer->multiply(*c, x);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor x = ctx->get_saved_variables()[0];
    const Tensor dx =
        kept<Linear>(ctx, "layer").backward(kept<const Context>(ctx, "context"), x, grads[0].contiguous());
    return {dx, Variable(), Variable()};
  }
};

Tensor Linear::operator()(const Context& c, const Tensor& x) {
  if (on_kernels(c, x)) return records(x) ? LinearFunction::apply(x, this, &c) : multiply(c, x);
  std::vector<Tensor> parts;
  for (size_t i = 0; i < weights_.size(); i++)
    parts.push_back(at::linear(x, used(i), i < biases_.size() ? biases_[i] : Tensor()));
  return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
}

// ---------------------------------------------------------------------------------------------------------------------
// RMS norm on the residual stream
// ---------------------------------------------------------------------------------------------------------------------

namespace {

struct NormRows {
  Tensor sum, normed, rstd;
};

NormRows norm_rows(const Context& c, const Tensor& x, const Tensor& add, const Tensor& w, double eps) {
  const int64_t t = x.size(0), d = x.size(1);
  NormRows r{add.defined() ? like(x, {t, d}) : x, like(x, {t, d}), like(x, {t})};
  const float *from = in(x), *plus = add.defined() ? in(add) : nullptr, *weight = in(w);
  float *sum = plus ? out(r.sum) : nullptr, *y = out(r.normed), *rstd = out(r.rstd);
  over_rows(c, t, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++)
      rstd[i] = kernels().rms_norm(d, from + i * d, plus ? plus + i * d : nullptr,
                                   plus ? sum + i * d : nullptr, weight, static_cast<float>(eps), y + i * d);
  });
  return r;
}

struct NormFunction : torch::autograd::Function<NormFunction> {
  /// autograd takes no undefined input: where there is nothing to add, `add` is x and `adds` false.
  static variable_list forward(AutogradContext* ctx, const Tensor& x, const Tensor& add, bool adds,
                               const Tensor& w, double eps, const Context* c) {
    const NormRows r = norm_rows(*c, x, adds ? add : Tensor(), w, eps);
    ctx->save_for_backward({r.sum, w, r.rstd});
    ctx->saved_data["adds"] = adds;
    keep(ctx, "context", c);
    return {adds ? r.sum : x.view_as(x), r.normed};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &sum = saved[0], &w = saved[1];
    const Context& c = kept<const Context>(ctx, "context");
    const int64_t t = sum.size(0), d = sum.size(1);
    Tensor dx = grads[0].defined() ? grads[0].clone(at::MemoryFormat::Contiguous) : at::zeros_like(sum);
    const Tensor dy = grads[1].contiguous();
    const int64_t blocks = (t + kRowBlock - 1) / kRowBlock;
    std::vector<float> partial(static_cast<size_t>(blocks * d));
    const float *px = in(sum), *pw = in(w), *prstd = in(saved[2]), *pdy = in(dy);
    float* pdx = out(dx);
    over_rows(c, t, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++)
        kernels().rms_norm_backward(d, px + i * d, pw, prstd[i], pdy + i * d, pdx + i * d,
                                    partial.data() + first / kRowBlock * d);
    });
    if (w.requires_grad()) add_partial(w, partial, blocks);
    return {dx,        ctx->saved_data["adds"].toBool() ? dx : Variable(), Variable(), Variable(), Variable(),
            Variable()};
  }
};

Tensor plain_norm(const Tensor& x, const Tensor& w, double eps) {
  const Tensor wide = x.to(at::kFloat);
  return w * (wide * at::rsqrt(wide.square().mean(-1, true) + eps)).to(x.scalar_type());
}

}  // namespace

Normed add_rms_norm(const Context& c, const Tensor& x, const Tensor& add, const Tensor& w, double eps) {
  if (on_kernels(c, x)) {
    if (!records(x)) {
      const NormRows r = norm_rows(c, x, add, w, eps);
      return {r.sum, r.normed};
    }
    const variable_list r = NormFunction::apply(x, add.defined() ? add : x, add.defined(), w, eps, &c);
    return {r[0], r[1]};
  }
  const Tensor sum = add.defined() ? x + add : x;
  return {sum, plain_norm(sum, w, eps)};
}

// ---------------------------------------------------------------------------------------------------------------------
// Heads: split, norm, rotate
// ---------------------------------------------------------------------------------------------------------------------

namespace {

/// The order of operations is transformers', so that the bits are.
Tensor stretch(const Tensor& frequency, const RopeScaling& s) {
  const double original = static_cast<double>(s.original);
  const Tensor wavelength = 2 * std::numbers::pi / frequency;
  const Tensor slow = wavelength > original / s.low, fast = wavelength < original / s.high;
  const Tensor ends = at::where(slow, frequency / s.factor, frequency);
  const Tensor smooth = (original / wavelength - s.low) / (s.high - s.low);
  const Tensor mixed = (1 - smooth) * ends / s.factor + smooth * ends;
  return at::where(slow.logical_or(fast), ends, mixed);
}

}  // namespace

Rotation rotation(const Tensor& positions, int64_t channels, double theta, const RopeScaling& scaling) {
  const Tensor exponent = at::arange(0, channels, 2, positions.options().dtype(at::kLong)).to(at::kFloat) /
                          static_cast<double>(channels);
  Tensor inverse = 1.0 / at::pow(theta, exponent);
  if (scaling.original > 0) inverse = stretch(inverse, scaling);
  const Tensor angle = positions.to(at::kFloat).unsqueeze(1) * inverse.unsqueeze(0);
  return {angle.cos().contiguous(), angle.sin().contiguous()};
}

namespace {

struct SplitShape {
  int64_t heads, kv_heads, channels;
  int64_t width() const { return (heads + 2 * kv_heads) * channels; }
};

struct SplitRows {
  Heads heads;
  Tensor rstd;  // [T, H + G]
};

SplitRows split_rows(const Context& c, const Tensor& qkv, SplitShape s, const Tensor& q_norm,
                     const Tensor& k_norm, double eps, const Rotation& rotation) {
  const int64_t t = qkv.size(0), ch = s.channels;
  SplitRows r{{like(qkv, {t, s.heads, ch}), like(qkv, {t, s.kv_heads, ch}), like(qkv, {t, s.kv_heads, ch})},
              like(qkv, {t, s.heads + s.kv_heads})};
  const float *from = in(qkv), *wq = q_norm.defined() ? in(q_norm) : nullptr, *wk = wq ? in(k_norm) : nullptr;
  const float *cos = in(rotation.cos), *sin = in(rotation.sin);
  float *q = out(r.heads.q), *k = out(r.heads.k), *v = out(r.heads.v), *rstd = out(r.rstd);
  over_rows(c, t, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) {
      const float* row = from + i * s.width();
      for (int64_t h = 0; h < s.heads + s.kv_heads; h++, row += ch) {
        float* to = h < s.heads ? q + (i * s.heads + h) * ch : k + (i * s.kv_heads + h - s.heads) * ch;
        if (wq)
          rstd[i * (s.heads + s.kv_heads) + h] = kernels().rms_norm(
              ch, row, nullptr, nullptr, h < s.heads ? wq : wk, static_cast<float>(eps), to);
        else
          std::copy(row, row + ch, to);
        kernels().rope(ch, to, cos + i * (ch / 2), sin + i * (ch / 2), 1.f);
      }
      std::copy(row, row + s.kv_heads * ch, v + i * s.kv_heads * ch);
    }
  });
  return r;
}

struct SplitFunction : torch::autograd::Function<SplitFunction> {
  /// As in NormFunction: without norms, q_norm and k_norm are qkv and `norms` false.
  static variable_list forward(AutogradContext* ctx, const Tensor& qkv, int64_t heads, int64_t kv_heads,
                               bool norms, const Tensor& q_norm, const Tensor& k_norm, double eps,
                               const Tensor& cos, const Tensor& sin, const Context* c) {
    const SplitShape s{heads, kv_heads, qkv.size(1) / (heads + 2 * kv_heads)};
    const Tensor none, &wq = norms ? q_norm : none, &wk = norms ? k_norm : none;
    const SplitRows r = split_rows(*c, qkv, s, wq, wk, eps, {cos, sin});
    ctx->save_for_backward({qkv, wq, wk, cos, sin, r.rstd});
    ctx->saved_data["heads"] = heads;
    ctx->saved_data["kv_heads"] = kv_heads;
    keep(ctx, "context", c);
    return {r.heads.q, r.heads.k, r.heads.v};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &qkv = saved[0], &q_norm = saved[1], &k_norm = saved[2];
    const Context& c = kept<const Context>(ctx, "context");
    const int64_t heads = ctx->saved_data["heads"].toInt(), kv_heads = ctx->saved_data["kv_heads"].toInt();
    const SplitShape s{heads, kv_heads, qkv.size(1) / (heads + 2 * kv_heads)};
    const int64_t t = qkv.size(0), ch = s.channels, blocks = (t + kRowBlock - 1) / kRowBlock;
    const Tensor dq = grads[0].contiguous(), dk = grads[1].contiguous(), dv = grads[2].contiguous();
    Tensor dqkv = at::zeros_like(qkv);
    std::vector<float> q_partial(static_cast<size_t>(blocks * ch)),
        k_partial(static_cast<size_t>(blocks * ch));
    const float *x = in(qkv), *cos = in(saved[3]), *sin = in(saved[4]), *rstd = in(saved[5]);
    const float *wq = q_norm.defined() ? in(q_norm) : nullptr, *wk = wq ? in(k_norm) : nullptr;
    const float *pq = in(dq), *pk = in(dk), *pv = in(dv);
    float* to = out(dqkv);
    over_rows(c, t, [&](int64_t first, int64_t last) {
      std::vector<float> turned(static_cast<size_t>(ch));
      for (int64_t i = first; i < last; i++) {
        const float* row = x + i * s.width();
        float* dx = to + i * s.width();
        for (int64_t h = 0; h < heads + kv_heads; h++, row += ch, dx += ch) {
          const bool query = h < heads;
          const float* dy = query ? pq + (i * heads + h) * ch : pk + (i * kv_heads + h - heads) * ch;
          std::copy(dy, dy + ch, turned.data());
          kernels().rope(ch, turned.data(), cos + i * (ch / 2), sin + i * (ch / 2), -1.f);
          if (wq)
            kernels().rms_norm_backward(ch, row, query ? wq : wk, rstd[i * (heads + kv_heads) + h],
                                        turned.data(), dx,
                                        (query ? q_partial : k_partial).data() + first / kRowBlock * ch);
          else
            std::copy(turned.begin(), turned.end(), dx);
        }
        std::copy(pv + i * kv_heads * ch, pv + (i + 1) * kv_heads * ch, dx);
      }
    });
    if (wq && q_norm.requires_grad()) {
      add_partial(q_norm, q_partial, blocks);
      add_partial(k_norm, k_partial, blocks);
    }
    variable_list result(10);
    result[0] = dqkv;
    return result;
  }
};

Tensor rotate(const Tensor& x, const Rotation& r) {
  const Tensor cos = at::cat({r.cos, r.cos}, 1).unsqueeze(1).to(x.scalar_type());
  const Tensor sin = at::cat({r.sin, r.sin}, 1).unsqueeze(1).to(x.scalar_type());
  const int64_t half = x.size(2) / 2;
  const Tensor turned = at::cat({-x.narrow(2, half, half), x.narrow(2, 0, half)}, 2);
  return x * cos + turned * sin;
}

}  // namespace

Heads split_heads(const Context& c, const Tensor& qkv, int64_t heads, int64_t kv_heads, const Tensor& q_norm,
                  const Tensor& k_norm, double eps, const Rotation& r) {
  const int64_t t = qkv.size(0), ch = qkv.size(1) / (heads + 2 * kv_heads);
  if (on_kernels(c, qkv)) {
    if (!records(qkv)) return split_rows(c, qkv, {heads, kv_heads, ch}, q_norm, k_norm, eps, r).heads;
    const bool norms = q_norm.defined();
    const variable_list parts = SplitFunction::apply(qkv, heads, kv_heads, norms, norms ? q_norm : qkv,
                                                     norms ? k_norm : qkv, eps, r.cos, r.sin, &c);
    return {parts[0], parts[1], parts[2]};
  }
  Tensor q = qkv.narrow(1, 0, heads * ch).view({t, heads, ch});
  Tensor k = qkv.narrow(1, heads * ch, kv_heads * ch).view({t, kv_heads, ch});
  const Tensor v = qkv.narrow(1, (heads + kv_heads) * ch, kv_heads * ch).view({t, kv_heads, ch});
  if (q_norm.defined()) {
    q = plain_norm(q, q_norm, eps);
    k = plain_norm(k, k_norm, eps);
  }
  return {rotate(q, r), rotate(k, r), v};
}

// ---------------------------------------------------------------------------------------------------------------------
// SwiGLU
// ---------------------------------------------------------------------------------------------------------------------

namespace {

Tensor swiglu_rows(const Context& c, const Tensor& gu) {
  const int64_t t = gu.size(0), f = gu.size(1) / 2;
  Tensor y = like(gu, {t, f});
  const float* from = in(gu);
  float* to = out(y);
  over_rows(c, t, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) kernels().swiglu(f, from + i * 2 * f, to + i * f);
  });
  return y;
}

struct SwigluFunction : torch::autograd::Function<SwigluFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& gu, const Context* c) {
    ctx->save_for_backward({gu});
    keep(ctx, "context", c);
    return swiglu_rows(*c, gu);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor gu = ctx->get_saved_variables()[0], dy = grads[0].contiguous();
    Tensor dgu = like(gu, gu.sizes());
    const int64_t t = gu.size(0), f = gu.size(1) / 2;
    const float *from = in(gu), *d = in(dy);
    float* to = out(dgu);
    over_rows(kept<const Context>(ctx, "context"), t, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++)
        kernels().swiglu_backward(f, from + i * 2 * f, d + i * f, to + i * 2 * f);
    });
    return {dgu, Variable()};
  }
};

}  // namespace

Tensor swiglu(const Context& c, const Tensor& gu) {
  if (on_kernels(c, gu)) return records(gu) ? SwigluFunction::apply(gu, &c) : swiglu_rows(c, gu);
  const int64_t f = gu.size(1) / 2;
  return at::silu(gu.narrow(1, 0, f)) * gu.narrow(1, f, f);
}

// ---------------------------------------------------------------------------------------------------------------------
// Log-probs
// ---------------------------------------------------------------------------------------------------------------------

namespace {

/// Calls f(first row, logits of up to kLogitRows rows) for all of h.
template <class F>
void over_logits(const Context& c, const Tensor& h, Linear& head, const F& f) {
  const at::NoGradGuard guard;
  for (int64_t i = 0; i < h.size(0); i += kLogitRows)
    f(i, head(c, h.narrow(0, i, std::min(kLogitRows, h.size(0) - i))));
}

struct LogpFunction : torch::autograd::Function<LogpFunction> {
  static variable_list forward(AutogradContext* ctx, const Tensor& h, const Tensor& ids, Linear* head,
                               double temperature, const Context* c) {
    const int64_t n = h.size(0);
    const float inverse = static_cast<float>(1.0 / temperature);
    Tensor logp = like(h, {n}), entropy = like(h, {n}), stats = like(h, {n, 3});
    const int32_t* id = ids.const_data_ptr<int32_t>();
    float *lp = out(logp), *ent = out(entropy), *st = out(stats);
    over_logits(*c, h, *head, [&](int64_t first, const Tensor& logits) {
      const float* z = in(logits);
      const int64_t v = logits.size(1);
      c->pool.run(logits.size(0), [&](int64_t i) {
        const SoftmaxStats s = kernels().softmax_stats(v, z + i * v, inverse);
        const int64_t row = first + i;
        const float log_sum = std::log(s.sum);
        lp[row] = z[i * v + id[row]] * inverse - s.max - log_sum;
        ent[row] = log_sum - s.weighted / s.sum;
        st[3 * row] = s.max, st[3 * row + 1] = s.sum, st[3 * row + 2] = s.weighted;
      });
    });
    ctx->save_for_backward({h, ids, stats});
    ctx->saved_data["inverse"] = static_cast<double>(inverse);
    keep(ctx, "head", head);
    keep(ctx, "context", c);
    return {logp, entropy};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &h = saved[0], &ids = saved[1];
    const Context& c = kept<const Context>(ctx, "context");
    Linear& head = kept<Linear>(ctx, "head");
    const float inverse = static_cast<float>(ctx->saved_data["inverse"].toDouble());
    const Tensor dlogp = grads[0].defined() ? grads[0].contiguous() : at::zeros({h.size(0)}, h.options());
    const Tensor dent = grads[1].defined() ? grads[1].contiguous() : at::zeros({h.size(0)}, h.options());
    const int32_t* id = ids.const_data_ptr<int32_t>();
    const float *st = in(saved[2]), *gl = in(dlogp), *ge = in(dent);
    Tensor dh = like(h, h.sizes());
    over_logits(c, h, head, [&](int64_t first, const Tensor& logits) {
      float* z = out(logits);
      const int64_t v = logits.size(1), rows = logits.size(0);
      c.pool.run(rows, [&](int64_t i) {
        const int64_t row = first + i;
        kernels().logp_backward(v, z + i * v, inverse, {st[3 * row], st[3 * row + 1], st[3 * row + 2]},
                                id[row], gl[row], ge[row]);
      });
      dh.narrow(0, first, rows).copy_(head.backward(c, h.narrow(0, first, rows), logits));
    });
    return {dh, Variable(), Variable(), Variable(), Variable()};
  }
};

}  // namespace

TokenLogp token_logp(const Context& c, const Tensor& h, Linear& head, const std::vector<int32_t>& ids,
                     double temperature) {
  for (const int32_t id : ids)
    if (id < 0 || id >= head.outputs())
      throw Error("INVALID_ARGUMENT", "ids: there is no logit for " + std::to_string(id) +
                                          ", expected 0 to " + std::to_string(head.outputs() - 1));
  const Tensor id = at::tensor(ids, at::kInt);
  if (on_kernels(c, h)) {
    const variable_list r = LogpFunction::apply(h, id, &head, temperature, &c);
    return {r[0], r[1]};
  }
  const Tensor logp = at::log_softmax(head(c, h).to(at::kFloat) / temperature, 1);
  return {logp.gather(1, id.to(h.device(), at::kLong).unsqueeze(1)).squeeze(1), -(logp.exp() * logp).sum(1)};
}

std::vector<int32_t> top_ids(const Context& c, const Tensor& h, Linear& head) {
  std::vector<int32_t> ids;
  over_logits(c, h, head, [&](int64_t, const Tensor& logits) {
    const Tensor best = logits.argmax(1).to(at::kCPU, at::kInt);
    ids.insert(ids.end(), best.const_data_ptr<int32_t>(), best.const_data_ptr<int32_t>() + best.numel());
  });
  return ids;
}

}  // namespace tarl
