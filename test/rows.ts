// The losses of policy and critic on ragged rows of numbers, one row a sequence, for tests that are written in such rows.

import type { Lesson } from "../src/algorithms/algorithm.ts";
import { native } from "../src/policy/native.ts";
import type { Ledger, LossOptions } from "../src/types.ts";

export type Rows = number[][];

/** Where rows begin, and the end of the last one. */
export function offsets(rows: Rows): Int32Array {
  const ends = Int32Array.of(0, ...rows.map((row) => row.length));
  for (let i = 1; i < ends.length; i++) ends[i] += ends[i - 1];
  return ends;
}

export function unflat(values: ArrayLike<number>, rows: Int32Array): Rows {
  return Array.from(rows.subarray(1), (end, i) => Array.from(values).slice(rows[i], end));
}

/** Of each ledger its advantage, and nothing else. */
export function lessons(ledgers: readonly Ledger[], advantages: readonly (number | Float64Array)[]): Lesson[] {
  return ledgers.map((ledger, i) => ({ ledger, advantage: advantages[i] }));
}

export interface LossRows {
  logp: Rows;
  weight: Rows;
  advantage?: Rows;
  old?: Rows;
  ref?: Rows;
  entropy?: Rows;
}

export type RowsLoss = ReturnType<typeof policyLoss>;

/** What the loss reports, and its gradients by row. Missing advantages and entropies are 0. */
export function policyLoss({ logp, weight, advantage, old, ref, entropy }: LossRows, options: LossOptions) {
  const rows = offsets(logp);
  const flat = (values: Rows) => Float64Array.from(values.flat());
  const zeros = logp.map((row) => row.map(() => 0));
  const { stats, gradLogp, gradEntropy } = native.policyLoss(
    {
      logp: flat(logp),
      entropy: flat(entropy ?? zeros),
      oldLogp: old ? flat(old) : null,
      refLogp: ref ? flat(ref) : null,
      advantage: flat(advantage ?? zeros),
      weight: flat(weight),
      rows,
    },
    options,
  );
  return { ...stats, gradLogp: unflat(gradLogp, rows), gradEntropy: unflat(gradEntropy, rows) };
}

/** The critic's loss; `clip` 0 or no old values: not clipped. `clipped` is a share of the tokens. */
export function valueLoss(
  { values, old, returns, weight }: { values: Rows; old?: Rows; returns: Rows; weight: Rows },
  clip: number,
) {
  const flat = (rows: Rows) => Float64Array.from(rows.flat());
  const { gradValues, loss, clipped, tokens } = native.valueLoss(
    { values: flat(values), oldValues: old ? flat(old) : null, returns: flat(returns), weight: flat(weight) },
    clip,
  );
  return { loss, clipped: tokens && clipped / tokens, gradValues: unflat(gradValues, offsets(values)) };
}
