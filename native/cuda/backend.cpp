#include "backend.h"

#include <ATen/Context.h>

#include "attention.h"
#include "core/page.h"
#include "linear.h"
#include "runtime.h"

#if !defined(TARL_EMULATE_CUDA)
#include <c10/cuda/CUDAFunctions.h>

#include "graph.h"
#endif

namespace tarl {

namespace {

using at::Tensor;
using cuda::in;
using cuda::like;
using cuda::on;
using cuda::out;
using cuda::wide_like;

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const CudaOptions& options) : options_(options), attention_(options) {
#if defined(TARL_EMULATE_CUDA)
    name_ = "emulated";
#else
    cudaDeviceProp properties;
    C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, options.device.index()));
    name_ = "sm_" + std::to_string(properties.major) + std::to_string(properties.minor);
    at::globalContext().setAllowTF32CuBLAS(false);
    at::globalContext().setAllowBF16ReductionCuBLAS(false);
#endif
    if (options.batch_invariant) at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  }

  const char* name() const override { return name_.c_str(); }
  bool batch_invariant() const override { return options_.batch_invariant; }

  std::unique_ptr<LinearKernel> linear(const Tensor& weight, const Tensor& bias) override {
    return cuda::linear(weight, bias, options_.batch_invariant);
  }

  NormRows norm(const Tensor& x, const Tensor& add, const Tensor& w, double eps) override {
    const int64_t t = x.size(0), d = x.size(1);
    const NormRows r{add.defined() ? like(x, {t, d}) : x, like(x, {t, d}), wide_like(x, {t})};
    on(x, [&]<class T>(T, cuda::Stream stream) {
      cuda::norm<T>({t, d, in<T>(x), in<T>(add), in<T>(w), static_cast<float>(eps),
                     add.defined() ? out<T>(r.sum) : nullptr, out<T>(r.normed), out<float>(r.rstd)},
                    stream);
    });
    return r;
  }

  Tensor norm_backward(const Tensor& d_sum, const Tensor& d_normed, const Tensor& sum, const Tensor& w,
                       const Tensor& rstd, const Tensor& grad) override {
    const int64_t t = sum.size(0), d = sum.size(1);
    const Tensor dx = like(sum, {t, d}),
                 partial = wide_like(sum, {grad.defined() ? cuda::partials(t) : 0, d});
    on(sum, [&]<class T>(T, cuda::Stream stream) {
      cuda::norm_backward<T>({t, d, in<T>(d_sum), in<T>(d_normed), in<T>(sum), in<T>(w), in<float>(rstd),
                              out<T>(dx), out<float>(grad), out<float>(partial)},
                             stream);
    });
    return dx;
  }

  SplitRows split(const Tensor& qkv, HeadShape s, const Tensor& q_norm, const Tensor& k_norm, double eps,
                  const Rotation& r) override {
    const int64_t t = qkv.size(0), c = s.channels;
    const SplitRows rows{
        {like(qkv, {t, s.heads, c}), like(qkv, {t, s.kv_heads, c}), like(qkv, {t, s.kv_heads, c})},
        wide_like(qkv, {t, s.heads + s.kv_heads})};
    on(qkv, [&]<class T>(T, cuda::Stream stream) {
      cuda::split<T>(
          {t, narrow_int(s.heads), narrow_int(s.kv_heads), narrow_int(c), in<T>(qkv), in<T>(q_norm),
           in<T>(k_norm), static_cast<float>(eps), in<float>(r.cos), in<float>(r.sin), out<T>(rows.heads.q),
           out<T>(rows.heads.k), out<T>(rows.heads.v), out<float>(rows.rstd)},
          stream);
    });
    return rows;
  }

  Tensor split_backward(const Heads& d, const Tensor& qkv, const Tensor& q_norm, const Tensor& k_norm,
                        const Tensor& rstd, const Rotation& r, const Tensor& q_grad,
                        const Tensor& k_grad) override {
    const int64_t t = qkv.size(0), c = d.q.size(2);
    const bool learns = q_grad.defined() || k_grad.defined();
    const Tensor dqkv = like(qkv, qkv.sizes()),
                 partial = wide_like(qkv, {learns ? cuda::partials(t) : 0, 2 * c});
    on(qkv, [&]<class T>(T, cuda::Stream stream) {
      cuda::split_backward<T>(
          {t, narrow_int(d.q.size(1)), narrow_int(d.k.size(1)), narrow_int(c), in<T>(d.q), in<T>(d.k),
           in<T>(d.v), in<T>(qkv), in<T>(q_norm), in<T>(k_norm), in<float>(rstd), in<float>(r.cos),
           in<float>(r.sin), out<T>(dqkv), out<float>(q_grad), out<float>(k_grad), out<float>(partial)},
          stream);
    });
    return dqkv;
  }

  Tensor swiglu(const Tensor& gate_up) override {
    const int64_t t = gate_up.size(0), f = gate_up.size(1) / 2;
    const Tensor y = like(gate_up, {t, f});
    on(gate_up,
       [&]<class T>(T, cuda::Stream stream) { cuda::swiglu<T>(t, f, in<T>(gate_up), out<T>(y), stream); });
    return y;
  }

  Tensor swiglu_backward(const Tensor& gate_up, const Tensor& d) override {
    const int64_t t = gate_up.size(0), f = gate_up.size(1) / 2;
    const Tensor result = like(gate_up, gate_up.sizes());
    on(gate_up, [&]<class T>(T, cuda::Stream stream) {
      cuda::swiglu_backward<T>(t, f, in<T>(gate_up), in<T>(d), out<T>(result), stream);
    });
    return result;
  }

  std::unique_ptr<RowsPlan> plan(const Rows& rows) override { return attention_.plan(rows); }
  AttentionRows attend(const Heads& x, const RowsPlan& plan) override { return attention_.attend(x, plan); }
  Heads attend_backward(const Heads& x, const AttentionRows& r, const Tensor& d_out,
                        const RowsPlan& plan) override {
    return attention_.backward(x, r, d_out, plan);
  }

  std::vector<int64_t> key_page(int64_t kv_heads, int64_t channels) const override {
    return {kPage, kv_heads, channels};
  }
  std::vector<int64_t> value_page(int64_t kv_heads, int64_t channels) const override {
    return key_page(kv_heads, channels);
  }
  std::unique_ptr<CachedPlan> plan(const std::vector<Segment>& segments) override {
    return attention_.plan(segments);
  }
#if !defined(TARL_EMULATE_CUDA)
  Tensor pass(const std::vector<Segment>& segments, const std::vector<int32_t>& ids,
              const std::vector<int32_t>& positions, int64_t memory, const Pass& model) override {
    return rounds_.pass(segments, ids, positions, memory, model);
  }
#endif
  Tensor attend_cached(const Heads& x, const CachedPlan& plan, const KvLayer& kv) override {
    return attention_.attend_cached(x, plan, kv);
  }

  LogpRows logp(const Tensor& logits, const Tensor& ids, double temperature) override {
    const int64_t t = logits.size(0);
    const LogpRows r{wide_like(logits, {t}), wide_like(logits, {t}), wide_like(logits, {t, 3})};
    on(logits, [&](auto, cuda::Stream stream) {
      cuda::logp(t, logits.size(1), in<float>(logits), in<int32_t>(ids), inverse(temperature),
                 out<float>(r.logp), out<float>(r.entropy), out<float>(r.stats), stream);
    });
    return r;
  }

  Tensor logp_backward(const Tensor& logits, const Tensor& ids, const Tensor& stats, double temperature,
                       const Tensor& d_logp, const Tensor& d_entropy) override {
    const Tensor d =
        dtype_ == at::kFloat ? logits : at::empty(logits.sizes(), logits.options().dtype(dtype_));
    on(d, [&]<class T>(T, cuda::Stream stream) {
      cuda::logp_backward<T>(logits.size(0), logits.size(1), in<float>(logits), in<int32_t>(ids),
                             in<float>(stats), inverse(temperature), in<float>(d_logp), in<float>(d_entropy),
                             out<T>(d), stream);
    });
    return d;
  }

  std::vector<Draw> sample(const Tensor& logits, std::span<const Sampling* const> how,
                           std::span<const double> uniform) override {
    std::vector<cuda::Choice> choices;
    for (size_t i = 0; i < how.size(); i++) {
      const Sampling& s = *how[i];
      const bool greedy = s.temperature == 0;
      choices.push_back(
          {uniform[i], s.top_p, s.min_p, s.top_k, greedy ? 1.f : inverse(s.temperature), greedy});
    }
    const auto rows = static_cast<int64_t>(choices.size());
    const Tensor asked = cuda::pinned(choices.data(), choices.size() * sizeof(cuda::Choice), logits.device())
                             .to(logits.device(), /*non_blocking=*/true);
    const Tensor drawn = at::empty({rows * static_cast<int64_t>(sizeof(cuda::Drawn))}, asked.options());
    on(logits, [&](auto, cuda::Stream stream) {
      cuda::sample(rows, logits.size(1), in<float>(logits),
                   static_cast<const cuda::Choice*>(asked.const_data_ptr()),
                   static_cast<cuda::Drawn*>(drawn.mutable_data_ptr()), stream);
    });
    const Tensor host = drawn.to(at::kCPU);  // the one place of a round that waits for the device
    std::vector<Draw> draws;
    for (const auto *d = static_cast<const cuda::Drawn*>(host.const_data_ptr()), *end = d + rows; d < end;
         d++)
      draws.push_back({d->id, d->logp});
    return draws;
  }

  void adamw(const Tensor& value, const Tensor& grad, const Tensor& master, const Tensor& m, const Tensor& v,
             const AdamwStep& s) override {
    const double rate = s.lr / (1 - std::pow(s.beta1, s.step)),
                 root = 1 / std::sqrt(1 - std::pow(s.beta2, s.step));
    const cuda::Adamw step{static_cast<float>(1 - s.lr * s.weight_decay),
                           static_cast<float>(rate),
                           static_cast<float>(root),
                           static_cast<float>(s.beta1),
                           static_cast<float>(s.beta2),
                           static_cast<float>(s.eps),
                           static_cast<float>(s.scale)};
    on(value, [&]<class T>(T, cuda::Stream stream) {
      cuda::adamw<T>(value.numel(), out<T>(value), in<float>(grad), out<float>(master), out<float>(m),
                     out<float>(v), step, stream);
    });
  }

  double sum_squares(std::span<const Tensor> tensors) override {
    Tensor sum;  // on the device, so that it is waited for once
    for (const Tensor& t : tensors) {
      const Tensor part = t.to(at::kDouble).square().sum();
      sum = sum.defined() ? sum + part : part;
    }
    return sum.defined() ? sum.item<double>() : 0;
  }
  Tensor product(const Tensor& a, const Tensor& b) override { return cuda::product(a, b); }

 private:
  static int narrow_int(int64_t n) { return static_cast<int>(n); }
  static float inverse(double temperature) { return static_cast<float>(1 / temperature); }

  CudaOptions options_;
  at::ScalarType dtype_ = options_.dtype;
  cuda::Attention attention_;
  std::string name_;
#if !defined(TARL_EMULATE_CUDA)
  cuda::Rounds rounds_{options_, attention_};
#endif
};

}  // namespace
}  // namespace tarl

const char* tarl_cuda_interface() { return tarl::kInterface; }

tarl::Backend* tarl_cuda_backend(const tarl::CudaOptions* options) {
  return std::make_unique<tarl::CudaBackend>(*options).release();
}
