// Means and deviations in double precision, and which values belong together. Not the figures of an evaluation
// (src/eval/metrics.ts).
// Test: test/golden/algorithms.test.ts

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean squared distance from the mean, over n-1 ("sample") or n. */
export function variance(values: readonly number[], kind: "sample" | "population"): number {
  const center = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
  return squares / (kind === "sample" ? values.length - 1 : values.length);
}

export function deviation(values: readonly number[], kind: "sample" | "population"): number {
  return Math.sqrt(variance(values, kind));
}

/** Exact: the mean of equal floats can be off by one bit, which a small deviation would blow up to a whole advantage. */
export function isFlat(values: readonly number[]): boolean {
  return values.every((value) => value === values[0]);
}

/** Places of each group's members, groups in the order in which they first occur. */
export function indicesBy<Group>(groups: readonly Group[]): Map<Group, number[]> {
  const members = new Map<Group, number[]>();
  for (const [i, group] of groups.entries()) {
    const list = members.get(group);
    if (list) list.push(i);
    else members.set(group, [i]);
  }
  return members;
}

/** The values of policy tokens, row after row; `rows[i]` and `masks[i]` are as long as each other. */
export function underMask(rows: readonly ArrayLike<number>[], masks: readonly Uint8Array[]): number[] {
  return rows.flatMap((row, i) => Array.from(row).filter((_, t) => masks[i][t]));
}
