// Log-probs and values of given tokens, and the learning step: loss, gradients over micro-batches, one
// optimizer update. Algorithm-blind: advantages, weights and loss options come in, statistics go out.

#pragma once
#include <atomic>
#include <span>
#include <vector>

#include "attention.h"
#include "loss.h"
#include "model.h"
#include "optimizer.h"
#include "packing.h"

namespace tarl {

/// Batch of src/types.ts; spans [N], rows [B+1]. old_logp and ref_logp may be empty; returns and old_values
/// are there where the model has values.
struct Batch {
  std::span<const int32_t> ids, rows;
  std::span<const float> weight, advantage, old_logp, ref_logp, old_values, returns;
};

struct Scores {
  std::vector<float> logp, entropy;  // [N], 0 on each row's first token
  std::vector<int32_t> top1;         // likeliest id in the token's place, -1 on each row's first
};

struct Step {
  LossStats stats;
  double grad_norm;  // before clipping
};

/// Outputs of one pass over packed rows, for comparing with a reference.
struct Trace {
  at::Tensor logits, hidden;
  std::vector<at::Tensor> residuals;
};

/// Throws INVALID_ARGUMENT where an id is not in a vocabulary of `vocab`.
void check_ids(std::span<const int32_t> ids, int64_t vocab);

/// How learning uses memory; the gradients are the same for all of it.
struct TrainerOptions {
  /// Most tokens of a micro-batch, those that rows have in common counted once, unless a single row is
  /// longer.
  int64_t micro_tokens = 4096;
  bool recompute = false;  // Model::forward
  StateOptions state;
};

class Trainer {
 public:
  /// `stopping`: when it turns true, scores and gradients under way end as DISPOSED at the next micro-batch.
  Trainer(Model& model, const Context& context, const TrainerOptions&, const std::atomic<bool>& stopping);

  /// `adapter` false: of the model without its adapter.
  Scores score(std::span<const int32_t> ids, std::span<const int32_t> rows, double temperature,
               bool adapter = true);
  /// What the model's value head says before each token, [N]; 0 on each row's first.
  std::vector<float> values(std::span<const int32_t> ids, std::span<const int32_t> rows);
  /// positions empty: each row counts from 0.
  Trace trace(std::span<const int32_t> ids, std::span<const int32_t> rows,
              std::span<const int32_t> positions);

  /// Adds the batch's gradients to those of the parameters: of the policy's loss where the model makes
  /// logits, and of the critic's where it makes values. Returns the statistics, gradient norm excepted.
  LossStats backward(const Batch&, const LossOptions&, double temperature);
  /// Gradients, then one update. A step that fails leaves no gradients behind.
  Step step(const Batch&, const LossOptions&, double temperature, const OptimizerOptions&);
  Optimizer& optimizer() { return optimizer_; }

 private:
  /// Some rows of a batch, next to each other, that go through the model together.
  struct MicroBatch {
    int64_t first, last;
    Packing packing;
  };
  /// The largest comes first, so that what does not fit into memory fails at once.
  std::vector<MicroBatch> split(std::span<const int32_t> ids, std::span<const int32_t> rows) const;
  template <class F>
  void over(const std::vector<MicroBatch>&, const F& f) const;
  /// Tokens of a micro-batch that something is to be said of.
  struct Predicted {
    std::vector<int64_t> before;   // place among the packed tokens of the one before each
    std::vector<int32_t> tokens;   // their places in the batch
    std::vector<int32_t> rows{0};  // [rows + 1] where those of each row begin
  };
  template <class F>
  static Predicted predicted(const MicroBatch&, std::span<const int32_t> rows, const F& wanted);
  /// What backward starts from: outputs and the loss's gradients with respect to them.
  struct Roots {
    std::vector<at::Tensor> outputs, gradients;
    void add(const at::Tensor& output, const at::Tensor& gradient);
  };
  LossSums policy_part(const Predicted&, const at::Tensor& h, const Batch&, const LossOptions&,
                       double temperature, Roots&);
  ValueSums value_part(const Predicted&, const at::Tensor& h, const Batch&, const LossOptions&, Roots&);
  at::Tensor hidden(const Packing&, const RowAttention&, const std::vector<int64_t>& wanted);

  Model& model_;
  const Context& context_;
  TrainerOptions options_;
  const std::atomic<bool>& stopping_;
  Optimizer optimizer_;
};

}  // namespace tarl
