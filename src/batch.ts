// From rollouts and advantages to the flat arrays that the trainer sees: which rollouts, which token weighs how much.
// Masks come from the ledger and from nowhere else. Not the loss itself (native/core/loss.h).
// Test: test/unit/batch.test.ts, test/golden/algorithms.test.ts

import type { Lesson } from "./algorithms/algorithm.ts";
import type { Random } from "./random.ts";
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
   * alone: KL, entropy and a critic act on every token. The weights of the others stay what they were.
   */
  readonly dropZero: boolean;
}

/** Rollouts one after the other, as a policy scores them. */
export interface Laid {
  readonly ids: Int32Array;
  /** [B+1], a row for each context. */
  readonly rows: Int32Array;
  /** Where each rollout begins, and the end of the last one. */
  readonly starts: readonly number[];
}

/** Lays rollouts one after the other, in their order; one whose context began anew takes a row for each. */
export function lay(ledgers: readonly Pick<Ledger, "ids" | "rows">[]): Laid {
  const starts = [0];
  const rows = [0];
  for (const { ids, rows: own = [0, ids.length] } of ledgers) {
    const start = starts.at(-1)!;
    for (let row = 1; row < own.length; row++) rows.push(start + own[row]);
    starts.push(start + ids.length);
  }
  const ids = new Int32Array(starts.at(-1)!);
  for (const [i, ledger] of ledgers.entries()) ids.set(ledger.ids, starts[i]);
  return { ids, rows: Int32Array.from(rows), starts };
}

/** Each rollout's part of what has one value for every token that was laid. */
export function cut<T extends Float32Array | Float64Array>(values: T, { starts }: Laid): T[] {
  return starts.slice(1).map((end, i) => values.subarray(starts[i], end) as T);
}

/**
 * Packs lessons in their order; a rollout whose context began anew counts as one sequence all the same. Values are read under
 * the mask, and 0 outside of it. A batch without rows (nothing to learn from) has `rows` [0].
 */
export function pack(lessons: readonly Lesson[], options: PackOptions): Batch {
  const weights = tokenWeights(
    lessons.map(({ ledger }) => ledger.mask),
    options,
  );
  const kept = [...lessons.keys()].filter((i) => !options.dropZero || !isZero(lessons[i]));
  const laid = lay(kept.map((i) => lessons[i].ledger));
  const fill = (value: (lesson: Lesson, t: number, i: number) => number) => {
    const filled = new Float32Array(laid.ids.length);
    for (const [place, i] of kept.entries())
      for (const [t, bit] of lessons[i].ledger.mask.entries())
        if (bit) filled[laid.starts[place] + t] = value(lessons[i], t, i);
    return filled;
  };
  const [first] = lessons;
  return {
    ids: laid.ids,
    rows: laid.rows,
    weight: fill((_lesson, _t, i) => weights[i]),
    advantage: fill(({ advantage }, t) => (typeof advantage === "number" ? advantage : advantage[t])),
    oldLogp: fill(({ oldLogp, ledger }, t) => (oldLogp ?? ledger.logp)[t]),
    refLogp: first?.refLogp ? fill(({ refLogp }, t) => refLogp![t]) : null,
    ...(first?.values && {
      values: { old: fill(({ values }, t) => values!.old[t]), returns: fill(({ values }, t) => values!.returns[t]) },
    }),
  };
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

function isZero({ advantage, ledger: { mask } }: Lesson): boolean {
  return typeof advantage === "number" ? advantage === 0 : advantage.every((value, t) => value === 0 || !mask[t]);
}

/** Cuts whole groups into `count` parts of nearly the same number of groups, shuffled; one part keeps the order. */
export function miniBatches(groups: readonly string[], count: number, random: Random): number[][] {
  if (count === 1) return [[...groups.keys()]];
  const names = random.shuffle([...new Set(groups)]);
  const part = new Map(names.map((name, i) => [name, Math.floor((i * count) / names.length)]));
  const parts = Array.from({ length: count }, (_, k) => [...groups.keys()].filter((i) => part.get(groups[i]) === k));
  return parts.filter((members) => members.length > 0);
}
