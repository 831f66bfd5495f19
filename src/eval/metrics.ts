// What an evaluation measured: pass^k, intervals, differences, waits and lengths. Every figure is in docs/metrics.md.
// Plays nothing and prints nothing (evaluate.ts does).
// Test: test/unit/metrics.test.ts, test/golden/algorithms.test.ts

import { faulty } from "../errors.ts";
import type { Ledger, Rollout } from "../types.ts";

/** Attempts at one task. */
export interface Tally {
  readonly task: string;
  readonly family: string;
  readonly trials: number;
  readonly successes: number;
}

export type Interval = readonly [low: number, high: number];

/** Two-sided 95% quantile of the normal distribution. */
const z95 = 1.959963984540054;

/** Attempts and successes by task, in the order of first appearance. One that broke off counts as a failure. */
export function tally(
  attempts: readonly (Pick<Tally, "task" | "family"> & Pick<Rollout, "ending" | "outcome">)[],
): Tally[] {
  const tallies = new Map<string, Tally>();
  for (const { task, family, ending, outcome } of attempts) {
    const { trials, successes } = tallies.get(task) ?? { trials: 0, successes: 0 };
    tallies.set(task, {
      task,
      family,
      trials: trials + 1,
      successes: successes + (faulty(ending) ? 0 : outcome.success),
    });
  }
  return [...tallies.values()];
}

/** pass^k (tau-bench, arXiv:2406.12045): C(c, k) / C(n, k), the chance that k of n trials with c successes all succeed. */
export function passHat(trials: number, successes: number, k: number): number {
  if (k > trials) throw new RangeError(`pass^${k} of ${trials} trials: expected at least ${k} trials of every task`);
  let chance = 1;
  for (let i = 0; i < k; i++) chance *= Math.max(successes - i, 0) / (trials - i);
  return chance;
}

/** pass@k eq. 1 (arXiv:2107.03374): 1 - C(n - c, k) / C(n, k), the chance that one of k attempts succeeds. */
export function passAt(trials: number, successes: number, k: number): number {
  return 1 - passHat(trials, trials - successes, k);
}

/** Mean over tasks of pass^k (or of pass@k, with `passAt`). Throws a RangeError where a task has fewer than k trials. */
export function pass(tallies: readonly Tally[], k: number, measure = passHat): number {
  return mean(tallies.map(({ trials, successes }) => measure(trials, successes, k)));
}

/**
 * 95% interval of pass^k over tasks: Wilson's, on the number of independent trials that would have this much spread
 * between tasks, n = p (1 - p) / SE^2 (Korn and Graubard 1998). Trials of one task are alike, so that this is less than
 * tasks x trials. Where every task has the same result, tasks that all fail or all succeed count once each.
 */
export function passInterval(tallies: readonly Tally[], k: number): Interval {
  const values = tallies.map(({ trials, successes }) => passHat(trials, successes, k));
  const p = mean(values);
  if (p === 0 || p === 1 || values.length === 1) return wilson(p * values.length, values.length) as Interval;
  const trials = tallies.reduce((sum, tally) => sum + tally.trials, 0);
  const effective = Math.min((p * (1 - p)) / standardError(values) ** 2, trials);
  return wilson(p * effective, effective) as Interval;
}

/** pass^1 to pass^`most` with their intervals, each over the tasks with as many trials, as far as there are any. */
export interface PassTable {
  readonly pass: readonly number[];
  readonly interval: readonly Interval[];
  /** Tasks that each of them is a mean over. */
  readonly over: readonly number[];
}

export function passTable(tallies: readonly Tally[], most = 4): PassTable {
  const rows = Array.from({ length: most }, (_, i) => ({
    k: i + 1,
    counted: tallies.filter(({ trials }) => trials > i),
  })).filter(({ counted }) => counted.length > 0);
  return {
    pass: rows.map(({ k, counted }) => pass(counted, k)),
    interval: rows.map(({ k, counted }) => passInterval(counted, k)),
    over: rows.map(({ counted }) => counted.length),
  };
}

/** pass^1 with its interval, by family in the order of first appearance. */
export interface FamilyTable {
  readonly [family: string]: { readonly tasks: number; readonly pass1: number; readonly interval: Interval };
}

export function families(tallies: readonly Tally[]): FamilyTable {
  const names = [...new Set(tallies.map(({ family }) => family))];
  return Object.fromEntries(
    names.map((name) => {
      const own = tallies.filter(({ family }) => family === name);
      return [name, { tasks: own.length, pass1: pass(own, 1), interval: passInterval(own, 1) }];
    }),
  );
}

/**
 * What pass^k gained from `before` to `after` on the same tasks, and Student's 95% interval of the mean of the tasks'
 * differences. With one task or none the interval is [-1, 1]. Throws a RangeError where the tasks are not the same.
 */
export function pairedDifference(
  before: readonly Tally[],
  after: readonly Tally[],
  k = 1,
): { difference: number; interval: Interval } {
  const starts = new Map(before.map((tally) => [tally.task, tally]));
  if (starts.size !== after.length || before.length !== after.length)
    throw new RangeError(`paired difference of ${before.length} and ${after.length} tasks: expected the same tasks`);
  const gains = after.map(({ task, trials, successes }) => {
    const start = starts.get(task);
    if (!start) throw new RangeError(`paired difference: task ${task} has no result before`);
    return passHat(trials, successes, k) - passHat(start.trials, start.successes, k);
  });
  if (gains.length < 2) return { difference: gains[0] ?? 0, interval: [-1, 1] };
  const difference = mean(gains);
  const half = studentQuantile(gains.length - 1) * standardError(gains);
  return { difference, interval: [difference - half, difference + half] };
}

/** Wilson's score interval (1927) of a rate, without continuity correction; null without trials. Default 95%. */
export function wilson(successes: number, trials: number, z = z95): Interval | null {
  if (trials === 0) return null;
  const p = successes / trials;
  const scale = 1 + z ** 2 / trials;
  const center = (p + z ** 2 / (2 * trials)) / scale;
  const half = (z * Math.sqrt((p * (1 - p)) / trials + z ** 2 / (4 * trials ** 2))) / scale;
  return [Math.max(0, center - half), Math.min(1, center + half)];
}

/** How often a text says "wait": as a whole word of A-Z, a-z, 0-9 and _, in any case. */
export function countWaits(text: string): number {
  return text.match(/\bwait\b/gi)?.length ?? 0;
}

/** The policy's own tokens, turn by turn. */
export function turnIds({ ids, turn }: Pick<Ledger, "ids" | "turn">): Int32Array[] {
  const turns: Int32Array[] = [];
  for (let start = 0, end = 0; start < ids.length; start = end) {
    while (end < ids.length && turn[end] === turn[start]) end++;
    if (turn[start] >= 0) turns.push(ids.subarray(start, end));
  }
  return turns;
}

/** Waits, turns and policy tokens ("length") per rollout; only what the policy wrote is read, a turn at a time. */
export function averages(
  rollouts: readonly { readonly turns: number; readonly ledger: Pick<Ledger, "ids" | "turn"> }[],
  decode: (ids: Int32Array) => string,
): { waits: number; turns: number; length: number } {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const written = rollouts.map(({ ledger }) => turnIds(ledger));
  return {
    waits: mean(written.map((turns) => sum(turns.map((ids) => countWaits(decode(ids)))))),
    turns: mean(rollouts.map(({ turns }) => turns)),
    length: mean(written.map((turns) => sum(turns.map((ids) => ids.length)))),
  };
}

/** t with P(|T| < t) = 95% for Student's distribution with `degrees` (a whole number, 1 or more) of freedom. */
export function studentQuantile(degrees: number): number {
  let low = z95;
  let high = 13; // 12.706 with one degree
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (studentWithin(middle, degrees) < 0.95) low = middle;
    else high = middle;
  }
  return high;
}

/** P(|T| < t): Abramowitz and Stegun 26.7.3 (odd) and 26.7.4 (even). */
function studentWithin(t: number, degrees: number): number {
  const angle = Math.atan(t / Math.sqrt(degrees));
  const cos = Math.cos(angle);
  const odd = degrees % 2 === 1;
  let term = odd ? cos : 1;
  let series = 0;
  for (let k = odd ? 3 : 2; k <= degrees; k += 2) {
    series += term;
    term *= (cos * cos * (k - 1)) / k;
  }
  const within = Math.sin(angle) * series;
  return odd ? (2 / Math.PI) * (angle + within) : within;
}

function mean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("mean of nothing: expected at least one task or rollout");
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of the mean, from the deviation over n - 1. */
function standardError(values: readonly number[]): number {
  const center = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}
