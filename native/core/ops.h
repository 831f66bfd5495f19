// The operations that a decoder is made of, each with its gradient. Two twins of every one: plain ATen, on
// any device and dtype, and the kernels of a Backend. `Context` chooses; the plain one is the reference.
// Attention is in attention.h. Not here: the order in which a model calls them (model.h).
//
// T tokens, D width, H query heads, G key-value heads, C channels per head, F feed-forward, V vocabulary.

#pragma once
#include <torch/torch.h>

#include <memory>
#include <vector>

#include "backend.h"

namespace tarl {

/// How operations run. One per engine; not shared between threads.
struct Context {
  /// Kernels of ours for the model's device and dtype; null: plain ATen.
  Backend* backend;
};

/// A tensor that the model computes with, and perhaps learns: one parameter, or several whose rows are
/// stacked (q, k and v), so that they are one product.
struct Weight {
  at::Tensor value;  // requires grad when it is learned
  at::Tensor grad;   // fp32 whatever the value is; undefined until there is one

  /// `grad`, made when first needed; undefined where the weight is not learned.
  const at::Tensor& gradient();
  /// Moves what autograd has left at `value` to `grad`. For plain twins, after each backward.
  void collect();
};

class Lora;

/// y = x W^T + b for weights [N, K].
class Linear {
 public:
  /// bias may be null. `limit`: only the first outputs are computed; 0: all.
  Linear(Weight& weight, Weight* bias, int64_t limit = 0);
  /// Adds what an adapter adds (lora.h) from now on; null: nothing any more.
  void adapt(Lora* lora) { lora_ = lora; }
  /// x [T, K] -> [T, N]; `wide`: in fp32 whatever the dtype.
  at::Tensor operator()(const Context&, const at::Tensor& x, bool wide = false);
  /// Adds the gradients of weight and bias and returns that of x. With kernels only.
  at::Tensor backward(const Context&, const at::Tensor& x, const at::Tensor& dy);
  /// Columns of the result.
  int64_t outputs() const { return out_; }
  /// To be called after weights were written. Where nobody has, the copies of frozen ones stay.
  void changed();

 private:
  friend struct LinearFunction;
  LinearKernel& kernel(const Context&);
  at::Tensor own(const Context&, const at::Tensor& x, bool wide);
  at::Tensor used(const at::Tensor& rows) const;

  Weight& weight_;
  Weight* bias_;
  int64_t out_;
  std::unique_ptr<LinearKernel> kernel_;
  uint32_t copied_ = 0;  // version of weight and bias that the kernel's copies were made of
  Lora* lora_ = nullptr;
};

/// Rows of the weight [V, D] for ids [T] int32.
at::Tensor embed(const Context&, Weight&, const at::Tensor& ids);

/// sum = x + add (x where add is undefined); normed = w * sum / rms(sum). [T, D] each.
struct Normed {
  at::Tensor sum, normed;
};
Normed add_rms_norm(const Context&, const at::Tensor& x, const at::Tensor& add, Weight& w, double eps);

/// Llama 3's stretch of the slow rotations (transformers' rope type "llama3"): a frequency that turns less
/// than `low` times in `original` positions is divided by `factor`, one that turns more than `high` times is
/// kept, and in between the two are mixed.
struct RopeScaling {
  double factor = 1, low = 1, high = 1;
  int64_t original = 0;  // 0: none
};
/// Angles as transformers makes them: fp32, theta^(-2i/C).
Rotation rotation(const at::Tensor& positions, int64_t channels, double theta, const RopeScaling&);

/// Splits qkv [T, (H + 2G) C], norms q and k per head (weights [C]; null: no norm), rotates them.
Heads split_heads(const Context&, const at::Tensor& qkv, HeadShape, Weight* q_norm, Weight* k_norm,
                  double eps, const Rotation&);

/// silu(gate) * up; gate_up [T, 2F] -> [T, F]
at::Tensor swiglu(const Context&, const at::Tensor& gate_up);

/// Rows of h [T, D], some perhaps several times; their gradients are summed in fp32.
at::Tensor take_rows(const at::Tensor& h, const std::vector<int64_t>& rows);

/// What is known of the token that follows each position.
struct TokenLogp {
  at::Tensor logp, entropy;  // [N] fp32, nats
};
/// log softmax(h W^T / temperature)[ids] and its entropy; with kernels in chunks of rows, so that [N, V] is
/// never whole. h [N, D], ids [N] on the host; INVALID_ARGUMENT for an id that has no logit. `top`, where no
/// gradients are recorded: gets the likeliest id after each row.
TokenLogp token_logp(const Context&, const at::Tensor& h, Linear& head, const std::vector<int32_t>& ids,
                     double temperature, std::vector<int32_t>* top = nullptr);

/// h w^T, [N] fp32: product and gradients in fp32 whatever the dtype; h [N, D], w [1, D].
at::Tensor token_values(const Context&, const at::Tensor& h, Weight& w);

/// A token for each row of logits [B, V] fp32 from a uniform number in [0, 1) each.
std::vector<Draw> sample(const Context&, const at::Tensor& logits, std::span<const Sampling* const>,
                         std::span<const double> uniform);

}  // namespace tarl
