#include "backend.h"

#include <ATen/ops/_fused_adamw.h>

#include <cmath>
#include <limits>

#include "attention.h"
#include "gemm.h"

namespace tarl {

using at::Tensor;

namespace {

constexpr int64_t kRowBlock = 32;  // rows of element-wise work that a thread takes at once

const float* in(const Tensor& t) { return t.const_data_ptr<float>(); }
float* out(const Tensor& t) { return t.mutable_data_ptr<float>(); }
const float* in_or_null(const Tensor& t) { return t.defined() ? in(t) : nullptr; }
Tensor like(const Tensor& t, at::IntArrayRef shape) {
  return at::empty(shape, t.options().requires_grad(false));
}

/// Runs f(first, last) over blocks of rows.
template <class F>
void over_rows(Pool& pool, int64_t rows, const F& f) {
  pool.run((rows + kRowBlock - 1) / kRowBlock,
           [&](int64_t b) { f(b * kRowBlock, std::min(rows, (b + 1) * kRowBlock)); });
}

/// Sums of blocks of rows, added up in the order of the blocks: the same bits for any threads.
class Partial {
 public:
  Partial(int64_t rows, int64_t width)
      : blocks_((rows + kRowBlock - 1) / kRowBlock),
        width_(width),
        sums_(static_cast<size_t>(blocks_ * width)) {}
  float* of(int64_t row) { return sums_.data() + row / kRowBlock * width_; }
  void add_to(const Tensor& grad) const {
    if (!grad.defined()) return;
    float* g = out(grad);
    for (int64_t b = 0; b < blocks_; b++)
      for (int64_t i = 0; i < width_; i++) g[i] += sums_[static_cast<size_t>(b * width_ + i)];
  }

 private:
  int64_t blocks_, width_;
  std::vector<float> sums_;
};

class CpuLinear : public LinearKernel {
 public:
  /// `scratch` serves all layers, one after the other.
  CpuLinear(Pool& pool, Packed& scratch, const Tensor& weight, const Tensor& bias)
      : pool_(pool),
        scratch_(scratch),
        weight_(weight),
        bias_(bias),
        out_(weight.size(0)),
        in_(weight.size(1)) {}

  Tensor forward(const Tensor& x, bool) override {
    if (!forward_fresh_) forward_.pack(pool_, in_, out_, in(weight_), 1, in_, 0, out_);
    forward_fresh_ = true;
    const int64_t t = x.size(0);
    const Tensor y = like(x, {t, out_});
    gemm(pool_, t, {in(x), in_, 1}, forward_, out(y), out_, false);
    if (bias_.defined()) y.add_(bias_);
    return y;
  }
  Tensor backward(const Tensor& dy) override {
    if (!backward_fresh_) backward_.pack(pool_, out_, in_, in(weight_), in_, 1, 0, in_);
    backward_fresh_ = true;
    const int64_t t = dy.size(0);
    const Tensor dx = like(dy, {t, in_});
    gemm(pool_, t, {in(dy), out_, 1}, backward_, out(dx), in_, false);
    return dx;
  }
  void gradient(const Tensor& x, const Tensor& dy, const Tensor& grad, const Tensor& bias_grad) override {
    if (grad.defined()) {
      scratch_.pack(pool_, x.size(0), in_, in(x), in_, 1, 0, in_);
      gemm(pool_, out_, {in(dy), 1, out_}, scratch_, out(grad), in_, true);
    }
    if (bias_grad.defined()) bias_grad.add_(dy.sum(0));
  }
  void changed() override { forward_fresh_ = backward_fresh_ = false; }

 private:
  Pool& pool_;
  Packed& scratch_;
  Tensor weight_, bias_;
  int64_t out_, in_;
  Packed forward_, backward_;
  bool forward_fresh_ = false, backward_fresh_ = false;
};

class CpuBackend : public Backend {
 public:
  explicit CpuBackend(int threads) : pool_(threads) {}

  const char* name() const override { return kernels().isa; }
  bool batch_invariant() const override { return true; }

  std::unique_ptr<LinearKernel> linear(const Tensor& weight, const Tensor& bias) override {
    return std::make_unique<CpuLinear>(pool_, scratch_, weight, bias);
  }

  NormRows norm(const Tensor& x, const Tensor& add, const Tensor& w, double eps) override {
    const int64_t t = x.size(0), d = x.size(1);
    const NormRows r{add.defined() ? like(x, {t, d}) : x, like(x, {t, d}), like(x, {t})};
    const float *from = in(x), *plus = in_or_null(add), *weight = in(w);
    float *sum = plus ? out(r.sum) : nullptr, *y = out(r.normed), *rstd = out(r.rstd);
    over_rows(pool_, t, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++)
        rstd[i] =
            kernels().rms_norm(d, from + i * d, plus ? plus + i * d : nullptr, plus ? sum + i * d : nullptr,
                               weight, static_cast<float>(eps), y + i * d);
    });
    return r;
  }

  Tensor norm_backward(const Tensor& d_sum, const Tensor& d_normed, const Tensor& sum, const Tensor& w,
                       const Tensor& rstd, const Tensor& grad) override {
    const int64_t t = sum.size(0), d = sum.size(1);
    const Tensor dx = d_sum.defined() ? d_sum.clone() : at::zeros_like(sum);
    Partial partial(t, d);
    const float *px = in(sum), *pw = in(w), *pr = in(rstd), *pdy = in(d_normed);
    float* pdx = out(dx);
    over_rows(pool_, t, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++)
        kernels().rms_norm_backward(d, px + i * d, pw, pr[i], pdy + i * d, pdx + i * d, partial.of(first));
    });
    partial.add_to(grad);
    return dx;
  }

  SplitRows split(const Tensor& qkv, HeadShape s, const Tensor& q_norm, const Tensor& k_norm, double eps,
                  const Rotation& rotation) override {
    const int64_t t = qkv.size(0), ch = s.channels, normed = s.heads + s.kv_heads;
    const SplitRows r{
        {like(qkv, {t, s.heads, ch}), like(qkv, {t, s.kv_heads, ch}), like(qkv, {t, s.kv_heads, ch})},
        like(qkv, {t, normed})};
    const float *from = in(qkv), *wq = in_or_null(q_norm), *wk = in_or_null(k_norm);
    const float *cos = in(rotation.cos), *sin = in(rotation.sin);
    float *q = out(r.heads.q), *k = out(r.heads.k), *v = out(r.heads.v), *rstd = out(r.rstd);
    over_rows(pool_, t, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) {
        const float* row = from + i * s.width();
        for (int64_t h = 0; h < normed; h++, row += ch) {
          const bool query = h < s.heads;
          float* to = query ? q + (i * s.heads + h) * ch : k + (i * s.kv_heads + h - s.heads) * ch;
          if (wq)
            rstd[i * normed + h] =
                kernels().rms_norm(ch, row, nullptr, nullptr, query ? wq : wk, static_cast<float>(eps), to);
          else
            std::copy(row, row + ch, to);
          kernels().rope(ch, to, cos + i * (ch / 2), sin + i * (ch / 2), 1.f);
        }
        std::copy(row, row + s.kv_heads * ch, v + i * s.kv_heads * ch);
      }
    });
    return r;
  }

  Tensor split_backward(const Heads& d, const Tensor& qkv, const Tensor& q_norm, const Tensor& k_norm,
                        const Tensor& rstd, const Rotation& rotation, const Tensor& q_grad,
                        const Tensor& k_grad) override {
    const int64_t heads = d.q.size(1), kv_heads = d.k.size(1), ch = d.q.size(2), t = qkv.size(0);
    const HeadShape s{heads, kv_heads, ch};
    const Tensor dqkv = at::zeros_like(qkv);
    Partial q_partial(t, ch), k_partial(t, ch);
    const float *x = in(qkv), *cos = in(rotation.cos), *sin = in(rotation.sin), *pr = in(rstd);
    const float *wq = in_or_null(q_norm), *wk = in_or_null(k_norm);
    const float *pq = in(d.q), *pk = in(d.k), *pv = in(d.v);
    float* to = out(dqkv);
    over_rows(pool_, t, [&](int64_t first, int64_t last) {
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
            kernels().rms_norm_backward(ch, row, query ? wq : wk, pr[i * (heads + kv_heads) + h],
                                        turned.data(), dx, (query ? q_partial : k_partial).of(first));
          else
            std::copy(turned.begin(), turned.end(), dx);
        }
        std::copy(pv + i * kv_heads * ch, pv + (i + 1) * kv_heads * ch, dx);
      }
    });
    q_partial.add_to(q_grad);
    k_partial.add_to(k_grad);
    return dqkv;
  }

  Tensor swiglu(const Tensor& gate_up) override {
    const int64_t t = gate_up.size(0), f = gate_up.size(1) / 2;
    const Tensor y = like(gate_up, {t, f});
    const float* from = in(gate_up);
    float* to = out(y);
    over_rows(pool_, t, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) kernels().swiglu(f, from + i * 2 * f, to + i * f);
    });
    return y;
  }

  Tensor swiglu_backward(const Tensor& gate_up, const Tensor& d) override {
    const int64_t t = gate_up.size(0), f = gate_up.size(1) / 2;
    const Tensor result = like(gate_up, gate_up.sizes());
    const float *from = in(gate_up), *dy = in(d);
    float* to = out(result);
    over_rows(pool_, t, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++)
        kernels().swiglu_backward(f, from + i * 2 * f, dy + i * f, to + i * 2 * f);
    });
    return result;
  }

  std::unique_ptr<RowsPlan> plan(const Rows& rows) override { return cpu_plan(rows); }
  AttentionRows attend(const Heads& x, const RowsPlan& plan) override { return cpu_attend(pool_, x, plan); }
  Heads attend_backward(const Heads& x, const AttentionRows& r, const Tensor& d_out,
                        const RowsPlan& plan) override {
    return cpu_attend_backward(pool_, x, r, d_out, plan);
  }

  std::vector<int64_t> key_page(int64_t kv_heads, int64_t channels) const override {
    return {kv_heads, channels, kPage};
  }
  std::vector<int64_t> value_page(int64_t kv_heads, int64_t channels) const override {
    return {kv_heads, kPage, round_up(channels, kPage)};
  }
  std::unique_ptr<CachedPlan> plan(const std::vector<Segment>& segments) override {
    return cpu_plan(segments);
  }
  Tensor attend_cached(const Heads& x, const CachedPlan& plan, const KvLayer& kv) override {
    return cpu_attend_cached(pool_, x, plan, kv);
  }

  LogpRows logp(const Tensor& logits, const Tensor& ids, double temperature) override {
    const int64_t n = logits.size(0), v = logits.size(1);
    const LogpRows r{like(logits, {n}), like(logits, {n}), like(logits, {n, 3})};
    const float inverse = static_cast<float>(1.0 / temperature), *z = in(logits);
    const int32_t* id = ids.const_data_ptr<int32_t>();
    float *logp = out(r.logp), *entropy = out(r.entropy), *stats = out(r.stats);
    pool_.run(n, [&](int64_t i) {
      const SoftmaxStats s = kernels().softmax_stats(v, z + i * v, inverse);
      logp[i] = log_prob(z[i * v + id[i]], inverse, s);
      entropy[i] = std::log(s.sum) - s.weighted / s.sum;
      stats[3 * i] = s.max, stats[3 * i + 1] = s.sum, stats[3 * i + 2] = s.weighted;
    });
    return r;
  }

  Tensor logp_backward(const Tensor& logits, const Tensor& ids, const Tensor& stats, double temperature,
                       const Tensor& d_logp, const Tensor& d_entropy) override {
    const int64_t n = logits.size(0), v = logits.size(1);
    const float inverse = static_cast<float>(1.0 / temperature);
    const int32_t* id = ids.const_data_ptr<int32_t>();
    const float *st = in(stats), *gl = in(d_logp), *ge = in(d_entropy);
    float* z = out(logits);
    pool_.run(n, [&](int64_t i) {
      kernels().logp_backward(v, z + i * v, inverse, {st[3 * i], st[3 * i + 1], st[3 * i + 2]}, id[i], gl[i],
                              ge[i]);
    });
    return logits;
  }

  std::vector<Draw> sample(const Tensor& logits, std::span<const Sampling* const> how,
                           std::span<const double> uniform) override {
    const int64_t v = logits.size(1);
    const float* z = in(logits);
    std::vector<Draw> draws(how.size());
    pool_.run(static_cast<int64_t>(how.size()), [&](int64_t i) {
      const Sampling& s = *how[static_cast<size_t>(i)];
      Draw& draw = draws[static_cast<size_t>(i)];
      const float inverse = static_cast<float>(1.0 / (s.temperature == 0 ? 1.0 : s.temperature));
      const SoftmaxStats stats = kernels().softmax_stats(v, z + i * v, inverse);
      draw.id = std::isfinite(stats.sum)
                    ? pick({z + i * v, static_cast<size_t>(v)}, s, uniform[static_cast<size_t>(i)])
                    : -1;
      draw.logp = draw.id < 0 ? std::numeric_limits<float>::quiet_NaN()
                              : log_prob(z[i * v + draw.id], inverse, stats);
    });
    return draws;
  }

  void adamw(const Tensor& value, const Tensor& grad, const Tensor& master, const Tensor& m, const Tensor& v,
             const AdamwStep& s) override {
    const Tensor step = at::tensor(static_cast<float>(s.step));
    at::_fused_adamw_({master}, {s.scale < 1 ? grad * s.scale : grad}, {m}, {v}, {}, {step}, s.lr, s.beta1,
                      s.beta2, s.weight_decay, s.eps, false, false);
    if (value.scalar_type() != at::kFloat) value.copy_(master);
  }

  Tensor product(const Tensor& a, const Tensor& b) override {
    Packed packed;
    packed.pack(pool_, b.size(0), b.size(1), in(b), b.stride(0), b.stride(1), 0, b.size(1));
    const Tensor y = at::empty({a.size(0), b.size(1)}, a.options());
    gemm(pool_, a.size(0), {in(a), a.stride(0), a.stride(1)}, packed, out(y), b.size(1), false);
    return y;
  }

 private:
  /// One expression for sampler and trainer, so that they agree to the bit.
  static float log_prob(float logit, float inverse, const SoftmaxStats& s) {
    return logit * inverse - s.max - std::log(s.sum);
  }

  Pool pool_;
  Packed scratch_;
};

}  // namespace

std::unique_ptr<Backend> cpu_backend(int threads) { return std::make_unique<CpuBackend>(threads); }

}  // namespace tarl
