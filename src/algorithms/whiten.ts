// Whitening: mean 0 and deviation 1 over the policy tokens of the whole update.
// Test: test/golden/algorithms.test.ts

import { isFlat, mean, underMask, variance } from "./statistics.ts";

export interface WhitenOptions {
  readonly variance: "sample" | "population";
  readonly eps: number;
  /** `eps` is added to the variance, or is its least value. */
  readonly epsMode: "add" | "clamp";
  /** False: the mean stays what it was. */
  readonly shiftMean: boolean;
}

/** As verl has it (core_algos.py, masked_whiten). */
export const whitening: WhitenOptions = { variance: "sample", eps: 1e-8, epsMode: "add", shiftMean: true };

/** (x - mean) / sqrt(variance + eps), [N] for each row of [N]; 0 outside the mask, and where there is no spread. */
export function whiten(
  rows: readonly ArrayLike<number>[],
  masks: readonly Uint8Array[],
  options: WhitenOptions = whitening,
): Float64Array[] {
  const { eps, epsMode, shiftMean } = options;
  const all = underMask(rows, masks);
  const center = mean(all);
  const spread = isFlat(all) ? 0 : variance(all, options.variance);
  const scale = Math.sqrt(epsMode === "add" ? spread + eps : Math.max(spread, eps));
  const kept = shiftMean ? 0 : center;
  const white = (x: number) => (spread === 0 ? 0 : (x - center) / scale) + kept;
  return rows.map((row, i) => Float64Array.from(masks[i], (bit, t) => (bit ? white(row[t]) : 0)));
}
