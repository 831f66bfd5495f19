// From rollouts and advantages to the flat arrays that the trainer sees: which token weighs how much.
// Masks come from the ledger and from nowhere else. Not the loss itself (native/core/loss.h).
// Test: test/unit/batch.test.ts, test/golden/algorithms.test.ts

import type { Batch, Ledger } from "./types.ts";

/** How the losses of tokens become one number; S sequences, n tokens of one sequence, N tokens in all. */
export type Aggregation =
  | "token-mean" // 1 / N, DAPO eq. 8 (arXiv:2503.14476)
  | "token-sum" // 1
  | "seq-mean-token-sum" // 1 / S
  | "seq-mean-token-mean" // 1 / (S n), GRPO eq. 3 (arXiv:2402.03300)
  | "seq-mean-token-sum-norm"; // 1 / (S normConst), Dr. GRPO (arXiv:2503.20783)

export interface WeightOptions {
  readonly aggregation: Aggregation;
  /** A constant length in tokens, for "seq-mean-token-sum-norm" alone. */
  readonly normConst: number;
  /** Sequences without a policy token do not count as sequences. */
  readonly excludeEmpty: boolean;
}

export interface PackOptions extends WeightOptions {
  /**
   * Leaves out rollouts whose advantages are all 0, as they have no gradient. Only where the loss is the policy's
   * alone: KL and entropy act on every token. The weights of the others stay what they were.
   */
  readonly dropZero: boolean;
}

/**
 * Packs rollouts in their order; one whose context began anew takes a row for each of its contexts, and counts as one
 * sequence all the same. `advantages[i]` is one number for all policy tokens of rollout i, or one for each
 * token of its ledger ([N of that ledger], read under the mask). `oldLogp` is the sampler's; `refLogp` is null.
 * A batch without rows (nothing to learn from) has `rows` [0].
 */
export function pack(
  ledgers: readonly Ledger[],
  advantages: readonly (number | Float64Array)[],
  options: PackOptions,
): Batch {
  const masks = ledgers.map(({ mask }) => mask);
  const weights = tokenWeights(masks, options);
  const kept = [...ledgers.keys()].filter((i) => !options.dropZero || !isZero(advantages[i], masks[i]));

  const starts = [0];
  for (const i of kept) {
    const { ids, rows = [0, ids.length] } = ledgers[i];
    const start = starts.at(-1)!;
    for (let row = 1; row < rows.length; row++) starts.push(start + rows[row]);
  }
  const n = starts.at(-1)!;
  const ids = new Int32Array(n);
  const weight = new Float32Array(n);
  const advantage = new Float32Array(n);
  const oldLogp = new Float32Array(n);

  let start = 0;
  for (const i of kept) {
    const { ids: ownIds, mask, logp } = ledgers[i];
    const own = advantages[i];
    ids.set(ownIds, start);
    for (let t = 0; t < mask.length; t++) {
      if (!mask[t]) continue;
      weight[start + t] = weights[i];
      advantage[start + t] = typeof own === "number" ? own : own[t];
      oldLogp[start + t] = logp[t];
    }
    start += ownIds.length;
  }
  return { ids, rows: Int32Array.from(starts), weight, advantage, oldLogp, refLogp: null };
}

/** The weight of each sequence's policy tokens, [S]: the same for all of them, 0 where there are none. */
export function tokenWeights(masks: readonly Uint8Array[], options: WeightOptions): number[] {
  const lengths = masks.map((mask) => mask.reduce((sum, bit) => sum + bit, 0));
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const sequences = options.excludeEmpty ? lengths.filter((length) => length > 0).length : lengths.length;
  const weigh = (length: number): number => {
    switch (options.aggregation) {
      case "token-mean":
        return 1 / tokens;
      case "token-sum":
        return 1;
      case "seq-mean-token-sum":
        return 1 / sequences;
      case "seq-mean-token-mean":
        return 1 / (sequences * length);
      case "seq-mean-token-sum-norm":
        return 1 / (sequences * options.normConst);
    }
  };
  return lengths.map((length) => (length === 0 ? 0 : weigh(length)));
}

function isZero(advantage: number | Float64Array, mask: Uint8Array): boolean {
  return typeof advantage === "number" ? advantage === 0 : advantage.every((value, t) => value === 0 || !mask[t]);
}
