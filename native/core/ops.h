// The operations that a decoder is made of, each with its gradient. Two twins of every one: plain ATen, on
// any device and dtype, and (fp32 on the CPU) the row-wise kernels of kernels.h. `Context` chooses; the plain
// one is the reference. Not here: the order in which a model calls them (model.h).
//
// T tokens, D width, H query heads, G key-value heads, C channels per head, F feed-forward, V vocabulary.

#pragma once
#include <torch/torch.h>

#include <memory>
#include <vector>

#include "cpu/gemm.h"

namespace tarl {

/// Where and how operations run. One per engine; not shared between threads.
struct Context {
  Pool& pool;
  /// Our kernels, where tensors are fp32 on the CPU.
  bool kernels;
};

/// A learned tensor: `value` requires grad when the model is trained. Its gradient adds up in value.grad().
struct Parameter {
  std::string name;
  at::Tensor value;
};

/// y = x W^T + b for the rows of several weights stacked: q, k and v, or gate and up, are one product.
/// The packed copies for the kernels are made at first use, again after `changed`.
class Linear {
 public:
  /// weights: [N_i, K] each; biases: empty, or [N_i] each (undefined: none). `limit`: outputs that are
  /// computed, the first ones of a single weight; 0: all.
  explicit Linear(std::vector<at::Tensor> weights, std::vector<at::Tensor> biases = {}, int64_t limit = 0);
  /// x [T, K] -> [T, sum N_i]
  at::Tensor operator()(const Context&, const at::Tensor& x);
  /// Adds dy^T x to the weights' gradients and returns dy W. fp32 on the CPU.
  at::Tensor backward(const Context&, const at::Tensor& x, const at::Tensor& dy);
  /// Columns of the result.
  int64_t outputs() const { return out_; }
  void changed() { forward_fresh_ = backward_fresh_ = false; }

 private:
  friend struct LinearFunction;
  const Packed& packed(const Context&);
  const Packed& packed_backward(const Context&);
  at::Tensor multiply(const Context&, const at::Tensor& x);

  at::Tensor used(size_t i) const {
    return out_ < weights_[i].size(0) ? weights_[i].narrow(0, 0, out_) : weights_[i];
  }
  int64_t rows(size_t i) const { return std::min(out_, weights_[i].size(0)); }

  std::vector<at::Tensor> weights_, biases_;
  int64_t in_, out_;
  Packed forward_, backward_, scratch_;
  bool forward_fresh_ = false, backward_fresh_ = false;
};

/// sum = x + add (x where add is undefined); normed = w * sum / rms(sum). [T, D] each.
struct Normed {
  at::Tensor sum, normed;
};
Normed add_rms_norm(const Context&, const at::Tensor& x, const at::Tensor& add, const at::Tensor& w,
                    double eps);

/// cos and sin of positions, [T, C/2], fp32. Angles as transformers makes them: fp32, theta^(-2i/C).
struct Rotation {
  at::Tensor cos, sin;
};
Rotation rotation(const at::Tensor& positions, int64_t channels, double theta);

struct Heads {
  at::Tensor q, k, v;  // [T, H, C], [T, G, C], [T, G, C]
};
/// Splits qkv [T, (H + 2G) C], norms q and k per head (weights [C]; undefined: no norm), rotates them.
Heads split_heads(const Context&, const at::Tensor& qkv, int64_t heads, int64_t kv_heads,
                  const at::Tensor& q_norm, const at::Tensor& k_norm, double eps, const Rotation&);

/// silu(gate) * up; gate_up [T, 2F] -> [T, F]
at::Tensor swiglu(const Context&, const at::Tensor& gate_up);

/// What is known of the token that follows each position.
struct TokenLogp {
  at::Tensor logp, entropy;  // [N] fp32, nats
};
/// log softmax(h W^T / temperature)[ids] and its entropy, on the kernels in chunks of rows: [N, V] is never
/// whole. h [N, D], ids [N] on the host; INVALID_ARGUMENT for an id that has no logit.
TokenLogp token_logp(const Context&, const at::Tensor& h, Linear& head, const std::vector<int32_t>& ids,
                     double temperature);

/// The likeliest id after each row of h, in chunks of rows.
std::vector<int32_t> top_ids(const Context&, const at::Tensor& h, Linear& head);

bool on_kernels(const Context&, const at::Tensor&);

}  // namespace tarl
