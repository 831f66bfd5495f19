// SPO, single stream (arXiv:2509.13232): one rollout a task, compared with what a tracker of that task expects. The
// tracker is a plain record, kept with a checkpoint; every function returns a new one. Nothing here plays or scores.
// Test: test/unit/spo.test.ts, test/golden/algorithms.test.ts

import type { Random } from "../random.ts";
import type { Algorithm, AlgorithmOptions } from "./algorithm.ts";
import { wholeReward } from "./place.ts";
import { deviation, isFlat, mean } from "./statistics.ts";

/** Beta(alpha, beta) over a task's success. */
export interface Belief {
  readonly alpha: number;
  readonly beta: number;
}

/** What is believed of every task that was visited, and how far the policy had moved by then. */
export interface Tracker {
  /** Mean |change of log-prob| of all updates so far, summed. */
  readonly moved: number;
  readonly tasks: { readonly [task: string]: Belief & { readonly moved: number } };
}

export interface TrackerOptions {
  /** Change of log-probs that halves the weight of what is known (D_half). */
  readonly halfLife: number;
  /** Bounds of that weight. */
  readonly rhoMin: number;
  readonly rhoMax: number;
}

export interface DrawOptions {
  /** Added to every task's weight, so that none is forgotten. */
  readonly explore: number;
  /** Power of the number of effective visits that a task's weight is divided by. */
  readonly power: number;
}

/** Before the first visit. */
export const untouched: Tracker = { moved: 0, tasks: {} };

/** What `scores` (0 to 1) tell of a task, weighed as 1 / (1 - rhoMin) visits; without any it is worth one. */
export function start(scores: readonly number[], rhoMin: number, prior = 0.5): Belief {
  if (scores.length === 0) return { alpha: prior, beta: prior };
  const visits = 1 / (1 - rhoMin);
  const sum = scores.reduce((total, score) => total + score, 0);
  const share = (count: number) => (visits * (count + prior)) / (scores.length + 2 * prior);
  return { alpha: share(sum), beta: share(scores.length - sum) };
}

/** Success that is expected, v = alpha / (alpha + beta). */
export function expectation({ alpha, beta }: Belief): number {
  return alpha / (alpha + beta);
}

/** What was known weighs less the more the policy moved since: rho = 2^(-moved / halfLife), within its bounds. */
export function forgetting(moved: number, { halfLife, rhoMin, rhoMax }: TrackerOptions): number {
  return Math.min(Math.max(2 ** (-moved / halfLife), rhoMin), rhoMax);
}

/** The belief after a success of `score`, 0 to 1: alpha = rho alpha + score, beta = rho beta + 1 - score. */
export function visit({ alpha, beta }: Belief, score: number, moved: number, options: TrackerOptions): Belief {
  const rho = forgetting(moved, options);
  return { alpha: rho * alpha + score, beta: rho * beta + 1 - score };
}

/** Mean |after - before| of log-probs where `weight` is not 0; 0 without any. The policy's move, D. */
export function movement(before: ArrayLike<number>, after: ArrayLike<number>, weight: ArrayLike<number>): number {
  let [sum, count] = [0, 0];
  for (let t = 0; t < weight.length; t++)
    if (weight[t] !== 0) {
      sum += Math.abs(after[t] - before[t]);
      count++;
    }
  return count === 0 ? 0 : sum / count;
}

/**
 * The tracker after an update that moved the policy by `moved` on its own rollouts. A task's move since its last visit is
 * the sum of those of all updates since then; SPO's code scores each task's last rollout again instead.
 */
export function track(
  tracker: Tracker,
  visits: readonly { readonly task: string; readonly score: number }[],
  moved: number,
  options: TrackerOptions,
): Tracker {
  const total = tracker.moved + moved;
  const tasks = { ...tracker.tasks };
  for (const { task, score } of visits) {
    const known = tracker.tasks[task];
    const since = known ? total - known.moved : 0;
    tasks[task] = { ...visit(known ?? start([], options.rhoMin), score, since, options), moved: total };
  }
  return { moved: total, tasks };
}

/** Success that is expected of a task; half, before its first visit. */
export function expected({ tasks }: Tracker, task: string): number {
  return expectation(tasks[task] ?? start([], 0));
}

/** How much a task is worth a visit: sqrt(v (1 - v)) / visits^power + explore. */
export function drawWeight(belief: Belief, { explore, power }: DrawOptions): number {
  const v = expectation(belief);
  return Math.sqrt(v * (1 - v)) / (belief.alpha + belief.beta) ** power + explore;
}

/** `count` different tasks of the pool, drawn by weight without replacement (Efraimidis and Spirakis 2006). */
export function draw<T extends { readonly id: string }>(
  pool: readonly T[],
  count: number,
  { tasks }: Tracker,
  options: DrawOptions,
  random: Random,
): T[] {
  const keyed = pool.map((task) => {
    const weight = drawWeight(tasks[task.id] ?? start([], 0), options);
    return { task, key: Math.log(1 - random.float()) / weight };
  });
  return keyed
    .sort((a, b) => b.key - a.key)
    .slice(0, count)
    .map(({ task }) => task);
}

/** A reward as a success from 0 to 1, by where it lies in the range of rewards. */
export function score(reward: number, [low, high]: AlgorithmOptions["rewardRange"]): number {
  return Math.min(Math.max((reward - low) / (high - low), 0), 1);
}

/** SPO eq. 5 (arXiv:2509.13232): A = score - what was expected before this visit, standardised over the rollouts. */
export const spo =
  ({ whiten, rewardRange, kl }: AlgorithmOptions): Algorithm =>
  (samples) => {
    const raw = samples.map((sample) => {
      if (sample.expected === undefined) throw new Error(`SPO on ${sample.task}: a rollout without an expectation`);
      return score(wholeReward(sample, kl), rewardRange) - sample.expected;
    });
    return { values: whiten ? standardised(raw) : raw, flat: 0, groups: 0 };
  };

/** (x - mean) / (deviation + 1e-8), as in SPO's code (verl-recipe, spo_ray_trainer.py); 0 without spread. */
export function standardised(values: readonly number[]): number[] {
  if (isFlat(values)) return values.map(() => 0);
  const center = mean(values);
  const scale = deviation(values, "sample") + 1e-8;
  return values.map((value) => (value - center) / scale);
}
