// pass^k and differences of it where the same held-out tasks were played by policies of several training seeds: means
// with 95% intervals that allow for other tasks and for other seeds. What one evaluation can say is src/eval/metrics.ts;
// coverage in simulations: docs/log.md. Test: test/unit/table1.test.ts

import { type Interval, passHat, passInterval, studentQuantile, type Tally, wilson } from "../../src/eval/metrics.ts";

/** The tallies of every seed of a row. */
export type Seeds = readonly (readonly Tally[])[];

export interface Estimate {
  readonly mean: number;
  readonly interval: Interval;
  /** What the mean is over. */
  readonly tasks: number;
  readonly seeds: number;
}

/**
 * Variance of the mean of `values[seed][task]` (S x T), which are crossed: V = V_S + V_T, the variance of the mean of S
 * seeds and that of the mean of T tasks, each from its own means (for random effects: Searle, Casella and McCulloch 1992,
 * 4.7). What is left over of seed and task together is in both, so that V is rather too large. Degrees of freedom after
 * Satterthwaite (1946), V^2 / (V_S^2 / (S - 1) + V_T^2 / (T - 1)). With one seed there is no V_S, with one task no V_T.
 */
export function crossed(values: readonly (readonly number[])[]): { mean: number; variance: number; degrees: number } {
  const bySeed = values.map(mean);
  const byTask = values[0].map((_, task) => mean(values.map((row) => row[task])));
  const parts = [bySeed, byTask].map((means) => ({ variance: ofMean(means), degrees: means.length - 1 }));
  const variance = parts[0].variance + parts[1].variance;
  const spent = parts.reduce((sum, part) => sum + (part.degrees ? part.variance ** 2 / part.degrees : 0), 0);
  const degrees = spent > 0 ? variance ** 2 / spent : Math.max(...parts.map((part) => part.degrees));
  return { mean: mean(bySeed), variance, degrees };
}

/**
 * pass^k of a row. The interval is Wilson's, as that of one evaluation is, on as many independent trials as have the
 * variance V, with Student's quantile in place of the normal one. Over the tasks that have k trials in every seed; null
 * where there are none.
 */
export function passOf(seeds: Seeds, k: number): Estimate | null {
  const tasks = tasksOf([seeds], k);
  if (tasks.length === 0) return null;
  const sizes = { tasks: tasks.length, seeds: seeds.length };
  const { mean, variance, degrees } = crossed(valuesOf(seeds, tasks, k));
  if (seeds.length === 1) {
    const counted = seeds[0].filter(({ task }) => tasks.includes(task));
    return { mean, interval: passInterval(counted, k), ...sizes };
  }
  if (variance === 0) return { mean, interval: wilson(mean * tasks.length, tasks.length) as Interval, ...sizes };
  const trials = (mean * (1 - mean)) / variance;
  return { mean, interval: wilson(mean * trials, trials, quantile(degrees)) as Interval, ...sizes };
}

/**
 * What pass^k is higher in `one` than in `other`, paired by task and by seed: seed i of the one beside seed i of the other.
 * Student's interval on V of the differences. Where no task differs from another, Wilson's for none of so many says what
 * others may bring; [-1, 1] with one task alone. Null without a task in common.
 */
export function differenceOf(one: Seeds, other: Seeds, k: number): Estimate | null {
  if (one.length !== other.length)
    throw new RangeError(`paired difference of ${one.length} and ${other.length} seeds: expected as many`);
  const tasks = tasksOf([one, other], k);
  if (tasks.length === 0) return null;
  const [left, right] = [one, other].map((seeds) => valuesOf(seeds, tasks, k));
  const gains = left.map((row, seed) => row.map((value, task) => value - right[seed][task]));
  const { mean, variance, degrees } = crossed(gains);
  const unseen = tasks.length === 1 ? 2 : (wilson(0, tasks.length) as Interval)[1];
  const half = variance === 0 || tasks.length === 1 ? unseen : quantile(degrees) * Math.sqrt(variance);
  const interval = [Math.max(-1, mean - half), Math.min(1, mean + half)] as const;
  return { mean, interval, tasks: tasks.length, seeds: one.length };
}

/** Tasks with at least k trials everywhere, in the order of the first. */
function tasksOf(rows: readonly Seeds[], k: number): string[] {
  const counted = rows.flat().map((tallies) => tallies.filter(({ trials }) => trials >= k).map(({ task }) => task));
  const sets = counted.map((tasks) => new Set(tasks));
  return (counted[0] ?? []).filter((task) => sets.every((own) => own.has(task)));
}

function valuesOf(seeds: Seeds, tasks: readonly string[], k: number): number[][] {
  return seeds.map((tallies) => {
    const own = new Map(tallies.map((tally) => [tally.task, tally]));
    return tasks.map((task) => passHat(own.get(task)!.trials, own.get(task)!.successes, k));
  });
}

/** Degrees are rounded down, which widens. */
function quantile(degrees: number): number {
  return studentQuantile(Math.max(1, Math.floor(degrees + 1e-9)));
}

/** Variance of the mean of independent values, from their deviation over n - 1; 0 of one. */
function ofMean(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const center = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
  return squares / (values.length - 1) / values.length;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
