#include "loss.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "error.h"

namespace tarl {
namespace {

/// The larger one; NaN, where either is.
double largest(double a, double b) { return std::isnan(a) || a >= b ? a : b; }

struct Term {
  double value;
  double slope;
};

// Estimate of the KL and its slope with respect to logp. k1 to k3: Schulman, "Approximating KL divergence"
// (2020); k3 is GRPO eq. 4 (arXiv:2402.03300), its bound is verl's (core_algos.py, kl_penalty).
Term kl_term(const LossOptions& options, KlKind kind, double logp, double ref_logp, double log_ratio) {
  const double d = ref_logp - logp;
  const Term k3{std::expm1(d) - d, -std::expm1(d)};
  const bool flat = options.kl_clamp > 0 && k3.value > options.kl_clamp;
  switch (kind) {
    case KlKind::k1:
      return {-d, 1};
    case KlKind::k2:
      return {d * d / 2, -d};
    case KlKind::abs:
      return {std::abs(d), d > 0 ? -1.0 : d < 0 ? 1.0 : 0.0};
    case KlKind::k1_through:
      return {-d, -d};
    case KlKind::k3_through:
      return {flat ? options.kl_clamp : k3.value, -d};
    case KlKind::k3_is: {  // DeepSeek-V3.2 section 3.1 (arXiv:2512.02556)
      const double ratio = std::exp(log_ratio);
      return {ratio * k3.value, ratio * (k3.value + k3.slope)};
    }
    case KlKind::k3_score:
      return flat ? Term{options.kl_clamp, 0} : Term{k3.value, -d};
    case KlKind::k3:
      break;
  }
  return flat ? Term{options.kl_clamp, 0} : k3;
}

// Clipped policy loss of one token, and its slope with respect to the log of the ratio.
Term clipped_term(double ratio, double advantage, const LossOptions& options, LossStats& sum) {
  // PPO eq. 7 (arXiv:1707.06347), with two bounds as in DAPO eq. 8 (arXiv:2503.14476)
  const double low = 1 - options.clip_low, high = 1 + options.clip_high;
  const double plain = -ratio * advantage;
  const double clipped = -std::clamp(ratio, low, high) * advantage;
  const Term term = clipped > plain ? Term{clipped, 0} : Term{plain, plain};
  sum.clip_high += ratio > high && advantage > 0;
  sum.clip_low += ratio < low && advantage < 0;

  // Dual clip eq. 5 (arXiv:1912.09729)
  const double ceiling = -options.dual_clip * advantage;
  if (options.dual_clip <= 0 || advantage >= 0 || term.value <= ceiling) return term;
  sum.dual_clip += 1;
  return {ceiling, 0};
}

/// Refuses a field that has not `n` values; an optional one may have none.
void check_length(const char* loss, const char* name, size_t size, size_t n, bool optional = false) {
  require(size == n || (optional && size == 0), std::string(loss) + ": " + name + " has " +
                                                    std::to_string(size) + " values, expected " +
                                                    std::to_string(n));
}

void check(const LossInput& in, size_t grad_logp, size_t grad_entropy) {
  const size_t n = in.logp.size();
  const auto length = [n](const char* name, size_t size, bool optional) {
    check_length("policy loss", name, size, n, optional);
  };
  length("entropy", in.entropy.size(), true);
  length("old_logp", in.old_logp.size(), true);
  length("ref_logp", in.ref_logp.size(), true);
  length("advantage", in.advantage.size(), false);
  length("weight", in.weight.size(), false);
  length("grad_logp", grad_logp, false);
  length("grad_entropy", grad_entropy, false);
  require(!in.rows.empty() && in.rows.front() == 0 && in.rows.back() == static_cast<int64_t>(n) &&
              std::is_sorted(in.rows.begin(), in.rows.end()),
          "policy loss: rows must rise from 0 to " + std::to_string(n));
}

}  // namespace

LossSums policy_loss(const LossInput& in, const LossOptions& options, std::span<double> grad_logp,
                     std::span<double> grad_entropy) {
  check(in, grad_logp.size(), grad_entropy.size());
  std::fill(grad_logp.begin(), grad_logp.end(), 0.0);
  std::fill(grad_entropy.begin(), grad_entropy.end(), 0.0);
  const auto log_ratio = [&](size_t t) { return in.old_logp.empty() ? 0 : in.logp[t] - in.old_logp[t]; };
  const auto within = [&](double d) {
    return std::clamp(d, -options.log_ratio_clamp, options.log_ratio_clamp);
  };

  LossSums result;
  LossStats& sum = result.sum;
  sum.tokens = static_cast<int64_t>(in.logp.size());
  std::vector<size_t> members;  // tokens of one row that are in the loss

  for (size_t row = 0; row + 1 < in.rows.size(); row++) {
    members.clear();
    for (size_t t = in.rows[row]; t < static_cast<size_t>(in.rows[row + 1]); t++) {
      if (in.weight[t] != 0) members.push_back(t);
    }
    // One ratio for the row: the mean of its log-ratios, or their sum.
    const double share = options.ratio == Ratio::product ? 1 : static_cast<double>(members.size());
    double row_log_ratio = 0;
    for (size_t t : members) row_log_ratio += log_ratio(t) / share;
    double row_slope = 0;  // d loss / d row_log_ratio

    for (size_t t : members) {
      const double weight = in.weight[t], advantage = in.advantage[t], d = log_ratio(t);
      const double clamped = within(d);
      double ratio = std::exp(clamped);
      Term pg{};
      switch (options.ratio) {
        case Ratio::none:  // REINFORCE (Williams 1992)
          pg = {-advantage * in.logp[t], -advantage};
          grad_logp[t] = weight * pg.slope;
          break;
        case Ratio::token:
          pg = clipped_term(ratio, advantage, options, sum);
          grad_logp[t] = clamped == d ? weight * pg.slope : 0;
          break;
        case Ratio::sequence:  // GSPO eq. 7 (arXiv:2507.18071)
          ratio = std::exp(row_log_ratio);
          pg = clipped_term(ratio, advantage, options, sum);
          row_slope += weight * pg.slope;
          break;
        case Ratio::product:  // RLOO (arXiv:2402.14740): the rollout is one action
          ratio = std::exp(within(row_log_ratio));
          pg = clipped_term(ratio, advantage, options, sum);
          if (within(row_log_ratio) == row_log_ratio) row_slope += weight * pg.slope;
          break;
      }
      sum.pg_loss += weight * pg.value;
      sum.ratio += ratio;
      sum.approx_kl -= clamped;
      sum.mismatch = largest(sum.mismatch, std::abs(d));

      if (!in.ref_logp.empty()) {
        const Term kl = kl_term(options, options.kl_kind, in.logp[t], in.ref_logp[t], d);
        sum.kl_loss += weight * kl.value;
        sum.kl += kl_term(options, KlKind::k3, in.logp[t], in.ref_logp[t], d).value;
        grad_logp[t] += options.kl_coef * weight * kl.slope;
      }
      if (!in.entropy.empty()) {
        sum.entropy += in.entropy[t];
        sum.loss -= options.entropy_coef * weight * in.entropy[t];
        grad_entropy[t] = -options.entropy_coef * weight;
      }
    }
    if (options.ratio == Ratio::sequence || options.ratio == Ratio::product) {
      for (size_t t : members) grad_logp[t] += row_slope / share;
    }
    sum.loss_tokens += static_cast<int64_t>(members.size());
  }
  sum.loss += sum.pg_loss + options.kl_coef * sum.kl_loss;
  return result;
}

void LossSums::add(const LossSums& other) {
  for (double LossStats::*field : {&LossStats::loss, &LossStats::pg_loss, &LossStats::kl_loss, &LossStats::kl,
                                   &LossStats::entropy, &LossStats::approx_kl, &LossStats::ratio,
                                   &LossStats::clip_low, &LossStats::clip_high, &LossStats::dual_clip}) {
    sum.*field += other.sum.*field;
  }
  sum.mismatch = largest(sum.mismatch, other.sum.mismatch);
  sum.tokens += other.sum.tokens;
  sum.computed_tokens += other.sum.computed_tokens;
  sum.loss_tokens += other.sum.loss_tokens;
}

LossStats LossSums::finish() const {
  LossStats mean = sum;
  const double count = static_cast<double>(std::max<int64_t>(sum.loss_tokens, 1));
  for (double LossStats::*field :
       {&LossStats::kl, &LossStats::entropy, &LossStats::approx_kl, &LossStats::ratio, &LossStats::clip_low,
        &LossStats::clip_high, &LossStats::dual_clip}) {
    mean.*field /= count;
  }
  return mean;
}

ValueSums value_loss(const ValueInput& in, double clip, std::span<double> grad_values) {
  const size_t n = in.values.size();
  check_length("value loss", "old_values", in.old_values.size(), n, true);
  check_length("value loss", "returns", in.returns.size(), n);
  check_length("value loss", "weight", in.weight.size(), n);
  check_length("value loss", "grad_values", grad_values.size(), n);
  std::fill(grad_values.begin(), grad_values.end(), 0.0);
  ValueSums sums;
  for (size_t t = 0; t < n; t++) {
    const double weight = in.weight[t];
    if (weight == 0) continue;
    // The larger of two squared errors, Baselines' ppo2 (PPO's authors), half of it as in PPO eq. 9
    const double error = in.values[t] - in.returns[t];
    double square = error * error;
    grad_values[t] = weight * error;
    if (clip > 0 && !in.old_values.empty()) {
      const double old = in.old_values[t];
      const double held = std::clamp(in.values[t], old - clip, old + clip) - in.returns[t];
      if (held * held > square) {
        square = held * held;
        grad_values[t] = 0;
        sums.clipped += 1;
      }
    }
    sums.loss += weight * square / 2;
    sums.returns.add({1, in.returns[t]});
    sums.errors.add({1, error});
    sums.tokens++;
  }
  return sums;
}

void ValueSums::add(const ValueSums& other) {
  loss += other.loss;
  clipped += other.clipped;
  tokens += other.tokens;
  returns.add(other.returns);
  errors.add(other.errors);
}

ValueStats ValueSums::finish() const {
  return {loss, tokens ? clipped / static_cast<double>(tokens) : 0,
          returns.squares > 0 ? 1 - errors.squares / returns.squares : 0};
}

// Pairwise update: Chan, Golub and LeVeque 1979
void Spread::add(const Spread& other) {
  if (other.count == 0) return;
  const double all = count + other.count, gap = other.mean - mean;
  mean += gap * other.count / all;
  squares += other.squares + gap * gap * count * other.count / all;
  count = all;
}

}  // namespace tarl
