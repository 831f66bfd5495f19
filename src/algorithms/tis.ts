// Truncated importance sampling: tokens are weighed by how likely the trainer finds what the sampler drew, where the two
// do not compute the same bits. The weights go into the advantages, so that the native trainer knows nothing of them.
// Test: test/unit/tis.test.ts, test/golden/algorithms.test.ts

import type { Lesson } from "./algorithm.ts";
import { mean } from "./statistics.ts";

export interface TisOptions {
  /** A weight for each token, or the product of a rollout's for all of them. */
  readonly level: "token" | "sequence";
  /** Weights outside of [low, cap] are set to the bound, or to 0. */
  readonly mode: "clamp" | "mask";
  readonly low: number;
  readonly cap: number;
  /** Divides by the mean weight, over tokens or over rollouts. */
  readonly norm: boolean;
}

/** As verl and OpenRLHF hold log-ratios (verl, rollout_corr_helper.py). */
const MAX_LOG_RATIO = 20;

/**
 * w = exp(trainer - sampler), [N] for each row, 0 outside the mask (TIS, Yao et al. 2025, "Your efficient RL framework
 * secretly brings you off-policy RL training"). `trainer`: log-probs before the update. A sampler's NaN is not known:
 * such a token's ratio is 1.
 */
export function tisWeights(
  trainer: readonly ArrayLike<number>[],
  sampler: readonly ArrayLike<number>[],
  masks: readonly ArrayLike<number>[],
  { level, mode, low, cap, norm }: TisOptions,
): Float64Array[] {
  const bound = (ratio: number) => {
    const held = Math.min(Math.max(ratio, low), cap);
    return mode === "clamp" || held === ratio ? held : 0;
  };
  const weigh = (logRatio: number) => bound(Math.exp(Math.min(Math.max(logRatio, -MAX_LOG_RATIO), MAX_LOG_RATIO)));
  const filled = masks.map((mask, i) => {
    const ratios = Array.from(mask, (bit, t) => {
      const known = bit !== 0 && !Number.isNaN(sampler[i][t]);
      return known ? trainer[i][t] - sampler[i][t] : 0;
    });
    const whole = level === "sequence" ? weigh(ratios.reduce((sum, ratio) => sum + ratio, 0)) : null;
    return Float64Array.from(mask, (bit, t) => (bit === 0 ? 0 : (whole ?? weigh(ratios[t]))));
  });
  if (!norm) return filled;
  const counted = filled.flatMap((row, i) => {
    const own = [...row].filter((_, t) => masks[i][t] !== 0);
    return level === "sequence" ? own.slice(0, 1) : own;
  });
  const center = counted.length > 0 ? mean(counted) : 0;
  return center === 0 ? filled : filled.map((row) => row.map((weight) => weight / center));
}

/**
 * Lessons with their advantages weighed, and the trainer's own log-probs as the old policy's. A rollout is one sequence, also
 * where its context began anew.
 */
export function corrected(lessons: readonly Lesson[], options: TisOptions): Lesson[] {
  const trainer = lessons.map(({ oldLogp, ledger }) => oldLogp ?? ledger.logp);
  const sampler = lessons.map(({ ledger }) => ledger.logp);
  const masks = lessons.map(({ ledger }) => ledger.mask);
  const weights = tisWeights(trainer, sampler, masks, options);
  return lessons.map((lesson, i) => {
    const { advantage } = lesson;
    return {
      ...lesson,
      advantage: weights[i].map((w, t) => w * (typeof advantage === "number" ? advantage : advantage[t])),
    };
  });
}

/** Largest |trainer - sampler| of a policy token, in nats. */
export function mismatch(lessons: readonly Lesson[]): number {
  let most = 0;
  for (const { ledger, oldLogp } of lessons)
    if (oldLogp)
      for (const [t, bit] of ledger.mask.entries())
        if (bit) most = Math.max(most, Math.abs(oldLogp[t] - ledger.logp[t]));
  return most;
}
