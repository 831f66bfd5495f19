// The policy loss on plain numbers: what the batch's tokens cost, and the gradients with respect to their
// log-probs and entropies. Knows nothing of models, tensors, devices or JavaScript: the trainer converts, and
// sends the gradients on through the network. Formulas: docs/math.md, under the labels in loss.cpp.
// Test: test/golden/algorithms.test.ts, test/unit/loss.test.ts

#pragma once

#include <cstdint>
#include <span>

namespace tarl {

/// How log pi is compared with the old one: by token (PPO), by the mean of a row (GSPO), not at all
/// (REINFORCE).
enum class Ratio { token, sequence, none };

/// Estimator of KL(pi || reference).
enum class KlKind { k1, k2, k3, abs };

struct LossOptions {
  Ratio ratio = Ratio::token;
  double clip_low = 0.2;  // the ratio is clipped to [1 - clip_low, 1 + clip_high]
  double clip_high = 0.2;
  double dual_clip = 0;  // largest loss per unit of negative advantage; 0 is off
  double kl_coef = 0;
  KlKind kl_kind = KlKind::k3;
  double entropy_coef = 0;
  double log_ratio_clamp = 20;  // for Ratio::token; beyond it there is no gradient
};

/// N tokens in B rows, all spans [N] but `rows`; log-probs and entropies in nats.
/// A token is in the loss when its weight is not 0; the others' values are never read.
struct LossInput {
  std::span<const double> logp;
  std::span<const double> entropy;    // empty: not known; then it counts as 0
  std::span<const double> old_logp;   // empty: `logp` itself, detached (ratio 1)
  std::span<const double> ref_logp;   // empty: no reference; then the KL is 0
  std::span<const double> advantage;  // with Ratio::sequence constant over a row
  std::span<const double> weight;     // the whole batch's normaliser included, so that micro-batches add up
  std::span<const int32_t> rows;      // [B+1], first 0, last N
};

/// StepStats of src/types.ts, less what only the trainer knows. Token means under the mask, but the losses.
struct LossStats {
  double loss = 0;
  double pg_loss = 0;
  double kl_loss = 0;  // before kl_coef
  double kl = 0;       // k3, whatever kl_kind is
  double entropy = 0;
  double approx_kl = 0;
  double ratio = 0;
  double clip_low = 0;
  double clip_high = 0;
  double dual_clip = 0;
  double mismatch = 0;          // largest |logp - old_logp|
  int64_t tokens = 0;           // of all rows
  int64_t computed_tokens = 0;  // less those that rows had in common
  int64_t loss_tokens = 0;
};

/// Sums over tokens: those of the micro-batches of one batch add up to those of the batch.
struct LossSums {
  LossStats sum;

  void add(const LossSums& other);
  /// Divides the token sums by the number of tokens in the loss; all 0 where there is none.
  LossStats finish() const;
};

/// Loss of a batch, or of a micro-batch of whole rows. Writes d loss / d logp and d loss / d entropy, both
/// [N] and 0 outside the mask. Throws INVALID_ARGUMENT where lengths or rows do not fit together.
LossSums policy_loss(const LossInput& in, const LossOptions& options, std::span<double> grad_logp,
                     std::span<double> grad_entropy);

}  // namespace tarl
