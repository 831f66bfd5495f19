// Where on a rollout's tokens its reward lands, and what leaving the reference takes off it. Not what the reward is
// (src/reward.ts).
// Test: test/unit/algorithms.test.ts, test/golden/algorithms.test.ts

import type { Ledger, Reward } from "../types.ts";
import type { AlgorithmOptions, KlPrice, Sample } from "./algorithm.ts";

/**
 * The reward of each token, [N]: "trajectory" puts all of it on the last policy token, "turn" each turn's share on that
 * turn's last token. An unjudged reward has no shares and is placed as a trajectory.
 */
export function placeReward(
  reward: Pick<Reward, "total" | "perTurn">,
  ledger: Pick<Ledger, "mask" | "turn">,
  credit: "trajectory" | "turn",
): Float64Array {
  const tokens = new Float64Array(ledger.mask.length);
  if (credit === "trajectory" || reward.perTurn.length === 0) {
    const last = ledger.mask.lastIndexOf(1);
    if (last >= 0) tokens[last] = reward.total;
    return tokens;
  }
  for (const [turn, share] of reward.perTurn.entries()) {
    const last = ledger.turn.lastIndexOf(turn);
    if (last >= 0) tokens[last] = share;
  }
  return tokens;
}

/** Estimate of KL(pi || reference) at one token; kinds that differ in their slope alone have the same value. */
export function klValue(logp: number, refLogp: number, { kind, clamp }: Pick<KlPrice, "kind" | "clamp">): number {
  const d = refLogp - logp;
  if (kind === "k1" || kind === "k1+") return -d;
  if (kind === "k2") return (d * d) / 2;
  if (kind === "abs") return Math.abs(d);
  const k3 = Math.expm1(d) - d;
  return clamp > 0 ? Math.min(k3, clamp) : k3;
}

/** What the KL takes off each policy token's reward, [N], 0 elsewhere. */
export function klPrices({ ledger, refLogp }: Sample, kl: KlPrice | null): Float64Array {
  const prices = new Float64Array(ledger.mask.length);
  if (!kl) return prices;
  if (!refLogp) throw new Error("KL in the reward of a rollout without the reference's log-probs");
  for (const [t, bit] of ledger.mask.entries()) if (bit) prices[t] = kl.coef * klValue(ledger.logp[t], refLogp[t], kl);
  return prices;
}

/** The reward of each policy token, the KL's price taken off it, [N], 0 elsewhere. */
export function tokenRewards(sample: Sample, { credit, kl }: Pick<AlgorithmOptions, "credit" | "kl">): Float64Array {
  const prices = klPrices(sample, kl);
  return placeReward(sample.reward, sample.ledger, credit).map((reward, t) => reward - prices[t]);
}

/** The reward of the whole rollout, the KL's price of all its policy tokens taken off it. */
export function wholeReward(sample: Sample, kl: KlPrice | null): number {
  return klPrices(sample, kl).reduce((total, price) => total - price, sample.reward.total);
}
