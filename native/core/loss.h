// The losses of policy and critic on plain numbers: what the batch's tokens cost, and the gradients with
// respect to their log-probs, entropies and values. Knows nothing of models, tensors, devices or JavaScript:
// the trainer converts, and sends the gradients on through the network. Formulas: docs/math.md, under the
// labels in loss.cpp. Test: test/golden/algorithms.test.ts, test/unit/loss.test.ts

#pragma once

#include <cstdint>
#include <span>

namespace tarl {

/// How log pi is compared with the old one: by token (PPO), by the mean of a row (GSPO), by its sum, so that
/// a row has the product of its tokens' ratios, or not at all (REINFORCE).
enum class Ratio { token, sequence, product, none };

/// Estimator of KL(pi || reference). "through": the value of k1 or k3 with the slope of k2; "is": k3 weighed
/// by the ratio to the old policy; "score": k3 with the slope that its own sampling adds.
enum class KlKind { k1, k2, k3, abs, k1_through, k3_through, k3_is, k3_score };

struct LossOptions {
  Ratio ratio = Ratio::token;
  double clip_low = 0.2;  // the ratio is clipped to [1 - clip_low, 1 + clip_high]
  double clip_high = 0.2;
  double dual_clip = 0;  // largest loss per unit of negative advantage; 0 is off
  double kl_coef = 0;
  KlKind kl_kind = KlKind::k3;
  double kl_clamp = 10;  // k3 is flat above this, but k3_is; 0 is off
  double entropy_coef = 0;
  double value_coef = 0;        // of the critic's loss, where it is on the policy's trunk
  double value_clip = 0;        // as value_loss has it
  double log_ratio_clamp = 20;  // for Ratio::token and product; beyond it there is no gradient
};

/// N tokens in B rows, all spans [N] but `rows`; log-probs and entropies in nats.
/// A token is in the loss when its weight is not 0; the others' values are never read.
struct LossInput {
  std::span<const double> logp;
  std::span<const double> entropy;    // empty: not known; then it counts as 0
  std::span<const double> old_logp;   // empty: `logp` itself, detached (ratio 1)
  std::span<const double> ref_logp;   // empty: no reference; then the KL is 0
  std::span<const double> advantage;  // with Ratio::sequence and product constant over a row
  std::span<const double> weight;     // the whole batch's normaliser included, so that micro-batches add up
  std::span<const int32_t> rows;      // [B+1], first 0, last N
};

/// Of a critic; all 0 where there is none.
struct ValueStats {
  double loss = 0;
  double clipped = 0;    // share of the tokens in the loss
  double explained = 0;  // 1 - var(return - value) / var(return), 0 where returns are all equal
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
  ValueStats value;
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

/// N tokens, all spans [N]. A token is in the loss when its weight is not 0; the others' values are never
/// read.
struct ValueInput {
  std::span<const double> values;      // of the critic as it is now
  std::span<const double> old_values;  // as it was when advantages were made; empty: no clipping
  std::span<const double> returns;     // what it should have said
  std::span<const double> weight;      // as in LossInput
};

/// How far some numbers spread; 0, and not nearly, where they are all equal.
struct Spread {
  double count = 0, mean = 0;
  double squares = 0;  // of the distances from the mean

  void add(const Spread& other);
};

/// Sums over tokens; those of micro-batches add up.
struct ValueSums {
  double loss = 0;     // weights included
  double clipped = 0;  // tokens whose loss is that of the clipped value
  int64_t tokens = 0;  // in the loss
  Spread returns, errors;

  void add(const ValueSums& other);
  ValueStats finish() const;
};

/// Loss of a critic whose values are held within `clip` of the old ones (0: off). Writes d loss / d values,
/// [N], 0 outside the mask. Throws INVALID_ARGUMENT where lengths do not fit together.
ValueSums value_loss(const ValueInput& in, double clip, std::span<double> grad_values);

}  // namespace tarl
