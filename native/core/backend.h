// What kernels of ours compute on one device: raw passes over tensors, forward and backward. cpu/backend.cpp
// and cuda/backend.cpp implement it; ops.cpp and attention.cpp differentiate it and hold its slow twin, plain
// ATen, which runs on any device. Knows nothing of models, conversations and losses.
//
// T tokens, D width, H query heads, G key-value heads, C channels per head, F feed-forward, V vocabulary, N
// outputs, K inputs; B rows or conversations. Tensors are contiguous, of the backend's dtype unless a line
// says fp32; sums are fp32 inside. Gradients of parameters are fp32 and are added to.

#pragma once
#include <torch/torch.h>

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "sampler.h"

namespace tarl {

/// cos and sin of the tokens' positions, [T, C/2], fp32.
struct Rotation {
  at::Tensor cos, sin;
};

struct HeadShape {
  int64_t heads, kv_heads, channels;
  int64_t width() const { return (heads + 2 * kv_heads) * channels; }
};

struct Heads {
  at::Tensor q, k, v;  // [T, H, C], [T, G, C], [T, G, C]
};

/// Rows of a packed batch. Position p of row r is token place[start[r] + p]; the first shared[r] positions
/// are tokens of an earlier row, which computes them, and a row's own tokens lie one after the other.
struct Rows {
  std::vector<int64_t> start;   // [B+1]
  std::vector<int64_t> place;   // [start[B]]
  std::vector<int64_t> shared;  // [B]
  int64_t count() const { return static_cast<int64_t>(shared.size()); }
  int64_t length(int64_t row) const { return start[row + 1] - start[row]; }
};

/// Some new tokens of one conversation, at [start, start + length) of the packed batch; `past` tokens are
/// cached. `pages` holds the conversation's pages, those for the new tokens included.
struct Segment {
  int64_t start, length, past;
  const std::vector<int64_t>* pages;
};

/// Where attention looks, in whatever form a device likes it: made once, used by every layer.
struct RowsPlan {
  virtual ~RowsPlan() = default;
};
struct CachedPlan {
  virtual ~CachedPlan() = default;
};

/// One layer's part of the KV pool.
struct KvLayer {
  at::Tensor keys, values;  // [P, ...] as Backend::key_page and value_page say
};

/// Weights [N, K] of one layer, with the copies of them that a device wants.
class LinearKernel {
 public:
  virtual ~LinearKernel() = default;
  /// x [T, K] -> x W^T + b, [T, N]; `wide`: in fp32.
  virtual at::Tensor forward(const at::Tensor& x, bool wide) = 0;
  /// dy [T, N] -> dy W, [T, K]
  virtual at::Tensor backward(const at::Tensor& dy) = 0;
  /// grad [N, K] += dy^T x; bias_grad [N] += column sums of dy. Either may be undefined.
  virtual void gradient(const at::Tensor& x, const at::Tensor& dy, const at::Tensor& grad,
                        const at::Tensor& bias_grad) = 0;
  /// Weights were written: copies are stale.
  virtual void changed() = 0;
};

struct NormRows {
  at::Tensor sum, normed;  // [T, D]
  at::Tensor rstd;         // [T] fp32
};
struct SplitRows {
  Heads heads;
  at::Tensor rstd;  // [T, H + G] fp32
};
struct AttentionRows {
  at::Tensor out;  // [T, H C]
  at::Tensor lse;  // fp32, as backward wants it
};
struct LogpRows {
  at::Tensor logp, entropy;  // [T] fp32, nats
  at::Tensor stats;          // [T, 3] fp32, as backward wants it
};

/// One AdamW update (Loshchilov and Hutter 2019): decoupled decay, bias-corrected moments.
struct AdamwStep {
  double lr, beta1, beta2, eps, weight_decay;
  int64_t step;  // counts from 1
  double scale;  // gradients are multiplied by it first
};

class Backend {
 public:
  virtual ~Backend() = default;
  /// What runs: "avx512", "sm_90".
  virtual const char* name() const = 0;
  /// A row's bits do not depend on the other rows of a call, nor on the segments a sequence comes in.
  virtual bool batch_invariant() const = 0;

  /// `bias` [N] may be undefined. The tensors stay the owner's; they are read again after `changed`.
  virtual std::unique_ptr<LinearKernel> linear(const at::Tensor& weight, const at::Tensor& bias) = 0;

  /// sum = x + add (x where add is undefined); normed = w sum / rms(sum).
  virtual NormRows norm(const at::Tensor& x, const at::Tensor& add, const at::Tensor& w, double eps) = 0;
  /// Gradient for x (and for `add`); d_sum may be undefined, grad [D] too.
  virtual at::Tensor norm_backward(const at::Tensor& d_sum, const at::Tensor& d_normed, const at::Tensor& sum,
                                   const at::Tensor& w, const at::Tensor& rstd, const at::Tensor& grad) = 0;

  /// Splits qkv [T, (H + 2G) C], norms q and k per head (weights [C]; undefined: no norm), rotates them.
  virtual SplitRows split(const at::Tensor& qkv, HeadShape, const at::Tensor& q_norm,
                          const at::Tensor& k_norm, double eps, const Rotation&) = 0;
  /// Gradient for qkv; q_grad, k_grad [C] may be undefined.
  virtual at::Tensor split_backward(const Heads& d, const at::Tensor& qkv, const at::Tensor& q_norm,
                                    const at::Tensor& k_norm, const at::Tensor& rstd, const Rotation&,
                                    const at::Tensor& q_grad, const at::Tensor& k_grad) = 0;

  /// silu(gate) up; gate_up [T, 2F] -> [T, F]
  virtual at::Tensor swiglu(const at::Tensor& gate_up) = 0;
  virtual at::Tensor swiglu_backward(const at::Tensor& gate_up, const at::Tensor& d) = 0;

  virtual std::unique_ptr<RowsPlan> plan(const Rows&) = 0;
  virtual AttentionRows attend(const Heads&, const RowsPlan&) = 0;
  virtual Heads attend_backward(const Heads&, const AttentionRows&, const at::Tensor& d_out,
                                const RowsPlan&) = 0;

  /// Sizes of one page of keys and of values.
  virtual std::vector<int64_t> key_page(int64_t kv_heads, int64_t channels) const = 0;
  virtual std::vector<int64_t> value_page(int64_t kv_heads, int64_t channels) const = 0;
  virtual std::unique_ptr<CachedPlan> plan(const std::vector<Segment>&) = 0;
  /// What a model makes of tokens [T] int32 at positions [T] int32.
  using Pass =
      std::function<at::Tensor(const at::Tensor& ids, const at::Tensor& positions, const CachedPlan&)>;
  /// model(ids, positions, plan(segments)). A device may record a round of single tokens and replay it for
  /// later ones: model has to launch the same for every round of as many segments, and to read nothing of the
  /// round but what it is given. `memory` changes when keys and values have moved.
  virtual at::Tensor pass(const std::vector<Segment>& segments, const std::vector<int32_t>& ids,
                          const std::vector<int32_t>& positions, int64_t /*memory*/, const Pass& model) {
    const auto here = [](const std::vector<int32_t>& list) {
      return at::from_blob(const_cast<int32_t*>(list.data()), static_cast<int64_t>(list.size()), at::kInt);
    };
    return model(here(ids), here(positions), *plan(segments));
  }
  /// Writes the segments' keys and values into their pages, then attends over past and new ones -> [T, H C].
  virtual at::Tensor attend_cached(const Heads&, const CachedPlan&, const KvLayer&) = 0;

  /// log softmax(logits / temperature)[id] of each row and its entropy; logits [T, V] fp32, ids [T] int32.
  virtual LogpRows logp(const at::Tensor& logits, const at::Tensor& ids, double temperature) = 0;
  /// Gradient for the logits, [T, V], in the backend's dtype; may reuse their memory. d_logp, d_entropy [T]
  /// fp32.
  virtual at::Tensor logp_backward(const at::Tensor& logits, const at::Tensor& ids, const at::Tensor& stats,
                                   double temperature, const at::Tensor& d_logp,
                                   const at::Tensor& d_entropy) = 0;

  /// A token for each row of logits [B, V] fp32 from a uniform number in [0, 1) each. Its log-prob has the
  /// bits that `logp` gives it.
  virtual std::vector<Draw> sample(const at::Tensor& logits, std::span<const Sampling* const>,
                                   std::span<const double> uniform) = 0;

  /// In place. value has the backend's dtype; grad, master, m, v fp32. Where value is fp32, master is value
  /// itself.
  virtual void adamw(const at::Tensor& value, const at::Tensor& grad, const at::Tensor& master,
                     const at::Tensor& m, const at::Tensor& v, const AdamwStep&) = 0;
  /// Of all elements, fp32; in double, in a fixed order.
  virtual double sum_squares(std::span<const at::Tensor>) = 0;
  /// a [M, K] b [K, N] -> [M, N], fp32; any strides.
  virtual at::Tensor product(const at::Tensor& a, const at::Tensor& b) = 0;
};

}  // namespace tarl
