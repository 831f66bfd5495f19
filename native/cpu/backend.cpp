#include "backend.h"

#include <cmath>

#include "attention.h"
#include "gemm.h"
#include "sampling.h"
#include "tensors.h"

namespace tarl {

using at::Tensor;

namespace {

constexpr int64_t kRowBlock = 32;      // rows that are added up before others join them
constexpr int64_t kFewRows = 8;        // rows of element-wise work that a thread takes at once
constexpr int64_t kLineBlock = 16384;  // numbers of a long line

/// Runs f(first, last) over blocks of rows.
template <class F>
void over_rows(Pool& pool, int64_t rows, int64_t block, const F& f) {
  pool.run((rows + block - 1) / block, [&](int64_t b) { f(b * block, std::min(rows, (b + 1) * block)); });
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
    float* g = out<float>(grad);
    for (int64_t b = 0; b < blocks_; b++)
      for (int64_t i = 0; i < width_; i++) g[i] += sums_[static_cast<size_t>(b * width_ + i)];
  }

 private:
  int64_t blocks_, width_;
  std::vector<float> sums_;
};

template <class E>
class CpuLinear : public LinearKernel {
 public:
  CpuLinear(Pool& pool, Packed<E>& scratch, const Tensor& weight, const Tensor& bias)
      : pool_(pool),
        scratch_(scratch),
        weight_(weight),
        bias_(bias),
        out_(weight.size(0)),
        in_(weight.size(1)) {}

  Tensor forward(const Tensor& x, bool wide) override {
    if (!fresh_) {
      packed_.pack(pool_, in_, out_, in<E>(weight_), 1, in_);
      wide_bias_.resize(bias_.defined() ? static_cast<size_t>(out_) : 0);
      if (bias_.defined()) kernels<E>().widen(out_, in<E>(bias_), wide_bias_.data());
    }
    fresh_ = true;
    const int64_t t = x.size(0);
    const Tensor y = wide ? like(x, {t, out_}, at::kFloat) : like(x, {t, out_});
    gemm<E>(pool_, t, {in<E>(x), in_, 1}, packed_,
            {.wide = wide ? out<float>(y) : nullptr,
             .narrow = wide ? nullptr : out<E>(y),
             .stride = out_,
             .bias = bias_.defined() ? wide_bias_.data() : nullptr});
    return y;
  }
  /// The weights are packed again each time, and not kept: little work beside a product with many rows.
  Tensor backward(const Tensor& dy) override {
    scratch_.pack(pool_, out_, in_, in<E>(weight_), in_, 1);
    const int64_t t = dy.size(0);
    const Tensor dx = like(dy, {t, in_});
    gemm<E>(pool_, t, {in<E>(dy), out_, 1}, scratch_, {.wide = nullptr, .narrow = out<E>(dx), .stride = in_});
    return dx;
  }
  void gradient(const Tensor& x, const Tensor& dy, const Tensor& grad, const Tensor& bias_grad) override {
    if (grad.defined()) {
      scratch_.pack(pool_, x.size(0), in_, in<E>(x), in_, 1);
      gemm<E>(pool_, out_, {in<E>(dy), 1, out_}, scratch_,
              {.wide = out<float>(grad), .narrow = nullptr, .stride = in_, .add = true});
    }
    if (bias_grad.defined()) bias_grad.add_(dy.sum(0, false, at::kFloat));
  }
  void changed() override { fresh_ = false; }

 private:
  Pool& pool_;
  Packed<E>& scratch_;
  Tensor weight_, bias_;
  int64_t out_, in_;
  Packed<E> packed_;
  std::vector<float> wide_bias_;
  bool fresh_ = false;
};

template <class E>
class CpuBackend : public Backend {
 public:
  explicit CpuBackend(int threads) : pool_(threads) {}

  const char* name() const override { return kernel_.isa; }
  bool batch_invariant() const override { return true; }

  std::unique_ptr<LinearKernel> linear(const Tensor& weight, const Tensor& bias) override {
    return std::make_unique<CpuLinear<E>>(pool_, scratch_, weight, bias);
  }

  NormRows norm(const Tensor& x, const Tensor& add, const Tensor& w, double eps) override {
    const int64_t t = x.size(0), d = x.size(1);
    const NormRows r{add.defined() ? like(x, {t, d}) : x, like(x, {t, d}), like(x, {t}, at::kFloat)};
    const E *from = in<E>(x), *plus = in_or_null<E>(add), *weight = in<E>(w);
    E *sum = plus ? out<E>(r.sum) : nullptr, *y = out<E>(r.normed);
    float* rstd = out<float>(r.rstd);
    over_rows(pool_, t, kFewRows, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++)
        rstd[i] = kernel_.rms_norm(d, from + i * d, plus ? plus + i * d : nullptr,
                                   plus ? sum + i * d : nullptr, weight, static_cast<float>(eps), y + i * d);
    });
    return r;
  }

  Tensor norm_backward(const Tensor& d_sum, const Tensor& d_normed, const Tensor& sum, const Tensor& w,
                       const Tensor& rstd, const Tensor& grad) override {
    const int64_t t = sum.size(0), d = sum.size(1);
    const Tensor dx = like(sum, sum.sizes());
    Partial partial(t, d);
    const E *px = in<E>(sum), *pw = in<E>(w), *pdy = in<E>(d_normed), *plus = in_or_null<E>(d_sum);
    const float* pr = in<float>(rstd);
    E* pdx = out<E>(dx);
    over_rows(pool_, t, kRowBlock, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++)
        kernel_.rms_norm_backward(d, px + i * d, pw, pr[i], pdy + i * d, plus ? plus + i * d : nullptr,
                                  pdx + i * d, partial.of(first));
    });
    partial.add_to(grad);
    return dx;
  }

  SplitRows split(const Tensor& qkv, HeadShape s, const Tensor& q_norm, const Tensor& k_norm, double eps,
                  const Rotation& rotation) override {
    const int64_t t = qkv.size(0), ch = s.channels, turned = s.heads + s.kv_heads;
    const SplitRows r{
        {like(qkv, {t, s.heads, ch}), like(qkv, {t, s.kv_heads, ch}), like(qkv, {t, s.kv_heads, ch})},
        like(qkv, {t, turned}, at::kFloat)};
    const E *from = in<E>(qkv), *wq = in_or_null<E>(q_norm), *wk = in_or_null<E>(k_norm);
    const float *cos = in<float>(rotation.cos), *sin = in<float>(rotation.sin);
    E *q = out<E>(r.heads.q), *k = out<E>(r.heads.k), *v = out<E>(r.heads.v);
    float* rstd = out<float>(r.rstd);
    over_rows(pool_, t, kFewRows, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) {
        const E* row = from + i * s.width();
        for (int64_t h = 0; h < turned; h++, row += ch) {
          const bool query = h < s.heads;
          E* to = query ? q + (i * s.heads + h) * ch : k + (i * s.kv_heads + h - s.heads) * ch;
          rstd[i * turned + h] = kernel_.head(ch, row, query ? wq : wk, static_cast<float>(eps),
                                              cos + i * (ch / 2), sin + i * (ch / 2), to);
        }
        std::copy_n(row, s.kv_heads * ch, v + i * s.kv_heads * ch);
      }
    });
    return r;
  }

  Tensor split_backward(const Heads& d, const Tensor& qkv, const Tensor& q_norm, const Tensor& k_norm,
                        const Tensor& rstd, const Rotation& rotation, const Tensor& q_grad,
                        const Tensor& k_grad) override {
    const int64_t heads = d.q.size(1), kv_heads = d.k.size(1), ch = d.q.size(2), t = qkv.size(0);
    const HeadShape s{heads, kv_heads, ch};
    const Tensor dqkv = like(qkv, qkv.sizes());
    Partial q_partial(t, ch), k_partial(t, ch);
    const E *x = in<E>(qkv), *wq = in_or_null<E>(q_norm), *wk = in_or_null<E>(k_norm);
    const float *cos = in<float>(rotation.cos), *sin = in<float>(rotation.sin), *pr = in<float>(rstd);
    const E *pq = in<E>(d.q), *pk = in<E>(d.k), *pv = in<E>(d.v);
    E* to = out<E>(dqkv);
    over_rows(pool_, t, kRowBlock, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) {
        const E* row = x + i * s.width();
        E* dx = to + i * s.width();
        for (int64_t h = 0; h < heads + kv_heads; h++, row += ch, dx += ch) {
          const bool query = h < heads;
          kernel_.head_backward(ch, row, query ? wq : wk, pr[i * (heads + kv_heads) + h], cos + i * (ch / 2),
                                sin + i * (ch / 2),
                                query ? pq + (i * heads + h) * ch : pk + (i * kv_heads + h - heads) * ch, dx,
                                (query ? q_partial : k_partial).of(first));
        }
        std::copy_n(pv + i * kv_heads * ch, kv_heads * ch, dx);
      }
    });
    q_partial.add_to(q_grad);
    k_partial.add_to(k_grad);
    return dqkv;
  }

  Tensor swiglu(const Tensor& gate_up) override {
    const int64_t t = gate_up.size(0), f = gate_up.size(1) / 2;
    const Tensor y = like(gate_up, {t, f});
    const E* from = in<E>(gate_up);
    E* to = out<E>(y);
    over_rows(pool_, t, kFewRows, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) kernel_.swiglu(f, from + i * 2 * f, to + i * f);
    });
    return y;
  }

  Tensor swiglu_backward(const Tensor& gate_up, const Tensor& d) override {
    const int64_t t = gate_up.size(0), f = gate_up.size(1) / 2;
    const Tensor result = like(gate_up, gate_up.sizes());
    const E *from = in<E>(gate_up), *dy = in<E>(d);
    E* to = out<E>(result);
    over_rows(pool_, t, kFewRows, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++)
        kernel_.swiglu_backward(f, from + i * 2 * f, dy + i * f, to + i * 2 * f);
    });
    return result;
  }

  std::unique_ptr<RowsPlan> plan(const Rows& rows) override { return cpu_plan(rows); }
  AttentionRows attend(const Heads& x, const RowsPlan& plan) override {
    return cpu_attend<E>(pool_, x, plan);
  }
  Heads attend_backward(const Heads& x, const AttentionRows& r, const Tensor& d_out,
                        const RowsPlan& plan) override {
    return cpu_attend_backward<E>(pool_, x, r, d_out, plan);
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
    return cpu_attend_cached<E>(pool_, x, plan, kv);
  }

  LogpRows logp(const Tensor& logits, const Tensor& ids, double temperature) override {
    const int64_t n = logits.size(0), v = logits.size(1);
    const LogpRows r{like(logits, {n}), like(logits, {n}), like(logits, {n, 3})};
    const float inverse = static_cast<float>(1.0 / temperature), *z = in<float>(logits);
    const int32_t* id = ids.const_data_ptr<int32_t>();
    float *logp = out<float>(r.logp), *entropy = out<float>(r.entropy), *stats = out<float>(r.stats);
    pool_.run(n, [&](int64_t i) {
      const SoftmaxStats s = kernel_.softmax_stats(v, z + i * v, inverse, nullptr);
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
    const float *st = in<float>(stats), *gl = in<float>(d_logp), *ge = in<float>(d_entropy);
    const float* z = in<float>(logits);
    const Tensor d = kSide<E> == 1 ? logits : like(logits, {n, v}, at::kBFloat16);
    E* to = out<E>(d);
    pool_.run(n, [&](int64_t i) {
      kernel_.logp_backward(v, z + i * v, inverse, {st[3 * i], st[3 * i + 1], st[3 * i + 2]}, id[i], gl[i],
                            ge[i], to + i * v);
    });
    return d;
  }

  std::vector<Draw> sample(const Tensor& logits, std::span<const Sampling* const> how,
                           std::span<const double> uniform) override {
    const int64_t v = logits.size(1);
    const float* z = in<float>(logits);
    std::vector<Draw> draws(how.size());
    pool_.run(static_cast<int64_t>(how.size()), [&](int64_t i) {
      const size_t row = static_cast<size_t>(i);
      draws[row] = sample_row({z + i * v, static_cast<size_t>(v)}, *how[row], uniform[row]);
    });
    return draws;
  }

  void adamw(const Tensor& value, const Tensor& grad, const Tensor& master, const Tensor& m, const Tensor& v,
             const AdamwStep& s) override {
    const double first = 1 - std::pow(s.beta1, s.step), second = 1 - std::pow(s.beta2, s.step);
    const AdamwRow row{static_cast<float>(s.scale),
                       static_cast<float>(s.beta1),
                       static_cast<float>(s.beta2),
                       static_cast<float>(s.eps),
                       static_cast<float>(s.lr / first),
                       static_cast<float>(1 / second),
                       static_cast<float>(1 - s.lr * s.weight_decay)};
    E* const to = out<E>(value);
    const float* g = in<float>(grad);
    float *w = out<float>(master), *pm = out<float>(m), *pv = out<float>(v);
    over_line(value.numel(),
              [&](int64_t i, int64_t n) { kernel_.adamw(n, to + i, g + i, w + i, pm + i, pv + i, row); });
  }

  double sum_squares(std::span<const Tensor> tensors) override {
    double total = 0;
    for (const Tensor& t : tensors) {
      std::vector<double> parts(static_cast<size_t>((t.numel() + kLineBlock - 1) / kLineBlock));
      const float* x = in<float>(t);
      over_line(t.numel(), [&](int64_t i, int64_t n) {
        parts[static_cast<size_t>(i / kLineBlock)] = kernel_.square(n, x + i);
      });
      for (const double part : parts) total += part;
    }
    return total;
  }

  Tensor product(const Tensor& a, const Tensor& b) override {
    Packed<float> packed;
    packed.pack(pool_, b.size(0), b.size(1), in<float>(b), b.stride(0), b.stride(1));
    const Tensor y = at::empty({a.size(0), b.size(1)}, a.options());
    gemm<float>(pool_, a.size(0), {in<float>(a), a.stride(0), a.stride(1)}, packed,
                {.wide = out<float>(y), .narrow = nullptr, .stride = b.size(1)});
    return y;
  }

 private:
  /// Runs f(first, count) over blocks of a long line.
  template <class F>
  void over_line(int64_t n, const F& f) {
    pool_.run((n + kLineBlock - 1) / kLineBlock,
              [&](int64_t b) { f(b * kLineBlock, std::min(kLineBlock, n - b * kLineBlock)); });
  }

  const Kernels<E>& kernel_ = kernels<E>();
  Pool pool_;
  Packed<E> scratch_;  // the right operand of a product that is not a forward one
};

}  // namespace

std::unique_ptr<Backend> cpu_backend(at::ScalarType dtype, int threads) {
  if (dtype == at::kFloat) return std::make_unique<CpuBackend<float>>(threads);
  if (dtype == at::kBFloat16) return std::make_unique<CpuBackend<bf16>>(threads);
  return nullptr;
}

}  // namespace tarl
