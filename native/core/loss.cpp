#include "loss.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "error.h"

namespace tarl {
namespace {

// k3 is flat above this, as in verl (core_algos.py, kl_penalty; its bound of 20 on |d| is implied).
constexpr double kK3Clamp = 10;

/// The larger one; NaN, where either is.
double largest(double a, double b) { return std::isnan(a) || a >= b ? a : b; }

struct Term {
  double value;
  double slope;
};

// Estimate of the KL and its slope with respect to logp. k1 to k3: Schulman, "Approximating KL divergence"
// (2020); k3 is GRPO eq. 4 (arXiv:2402.03300).
Term kl_term(KlKind kind, double logp, double ref_logp) {
  const double d = ref_logp - logp;
  switch (kind) {
    case KlKind::k1:
      return {-d, 1};
    case KlKind::k2:
      return {d * d / 2, -d};
    case KlKind::abs:
      return {std::abs(d), d > 0 ? -1.0 : d < 0 ? 1.0 : 0.0};
    case KlKind::k3:
      break;
  }
  const double value = std::expm1(d) - d;
  return value > kK3Clamp ? Term{kK3Clamp, 0} : Term{value, -std::expm1(d)};
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

void check(const LossInput& in, size_t grad_logp, size_t grad_entropy) {
  const size_t n = in.logp.size();
  const auto length = [n](const char* name, size_t size, bool optional) {
    const std::string found =
        std::string("policy loss: ") + name + " has " + std::to_string(size) + " values";
    require(size == n || (optional && size == 0), found + ", expected " + std::to_string(n));
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

  LossSums result;
  LossStats& sum = result.sum;
  sum.tokens = static_cast<int64_t>(in.logp.size());
  std::vector<size_t> members;  // tokens of one row that are in the loss

  for (size_t row = 0; row + 1 < in.rows.size(); row++) {
    members.clear();
    for (size_t t = in.rows[row]; t < static_cast<size_t>(in.rows[row + 1]); t++) {
      if (in.weight[t] != 0) members.push_back(t);
    }
    const double count = static_cast<double>(members.size());
    double mean_log_ratio = 0;
    for (size_t t : members) mean_log_ratio += log_ratio(t) / count;
    double row_slope = 0;  // d loss / d mean_log_ratio

    for (size_t t : members) {
      const double weight = in.weight[t], advantage = in.advantage[t], d = log_ratio(t);
      const double clamped = std::clamp(d, -options.log_ratio_clamp, options.log_ratio_clamp);
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
          ratio = std::exp(mean_log_ratio);
          pg = clipped_term(ratio, advantage, options, sum);
          row_slope += weight * pg.slope;
          break;
      }
      sum.pg_loss += weight * pg.value;
      sum.ratio += ratio;
      sum.approx_kl -= clamped;
      sum.mismatch = largest(sum.mismatch, std::abs(d));

      if (!in.ref_logp.empty()) {
        const Term kl = kl_term(options.kl_kind, in.logp[t], in.ref_logp[t]);
        sum.kl_loss += weight * kl.value;
        sum.kl += kl_term(KlKind::k3, in.logp[t], in.ref_logp[t]).value;
        grad_logp[t] += options.kl_coef * weight * kl.slope;
      }
      if (!in.entropy.empty()) {
        sum.entropy += in.entropy[t];
        sum.loss -= options.entropy_coef * weight * in.entropy[t];
        grad_entropy[t] = -options.entropy_coef * weight;
      }
    }
    if (options.ratio == Ratio::sequence) {
      for (size_t t : members) grad_logp[t] += row_slope / count;
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

}  // namespace tarl
