// What is written down of one update: the line of metrics.jsonl, and the line of rollouts/ for every rollout. Values that
// the seed decides, none that the clock decides. Every name is explained in docs/metrics.md.
// Test: test/unit/record.test.ts

import { isNoWriteFailure } from "../eval/trial.ts";
import type { Ending, Judgement, Reward, RewardClass, Rollout, StepStats } from "../types.ts";

/** A rollout with all that was made of it. */
export interface Graded {
  readonly rollout: Rollout;
  readonly judgement: Judgement;
  /** What the policy learns from; `tarl` is the TARL reward, whether it learns from that or not. */
  readonly reward: Reward;
  readonly tarl: Reward;
  /** False: left out of the update (spoiled, or without a verdict where those are dropped). */
  readonly learned: boolean;
}

/** One line of metrics.jsonl. */
export interface StepLine extends StepStats {
  readonly step: number;
  readonly lr: number;
  readonly rollouts: number;
  /** Rollouts that were not learned from. */
  readonly excluded: number;
  readonly reward: number;
  readonly rewardStd: number;
  /** Means of the parts of the TARL reward, and of their sum. */
  readonly rewardOutcome: number;
  readonly rewardTurns: number;
  readonly rewardMajor: number;
  readonly tarl: number;
  readonly pass: number;
  readonly passByFamily: { readonly [family: string]: number };
  readonly turns: number;
  /** Policy tokens, and all tokens, per rollout. */
  readonly length: number;
  readonly contextLength: number;
  readonly noWriteFailures: number;
  readonly abstained: number;
  /** Share of the groups in which all rewards are equal. */
  readonly flatGroups: number;
  readonly endings: { readonly [ending in Ending]?: number };
  readonly classes: { readonly [name in RewardClass]?: number };
}

/**
 * `stats` of the update's epochs: the last one's are kept, with the first one's mismatch (later ones have moved on). None
 * at all where every group was flat: zeros.
 */
export function stepLine(
  step: number,
  lr: number,
  graded: readonly Graded[],
  flatGroups: number,
  stats: readonly StepStats[],
): StepLine {
  const rollouts = graded.map(({ rollout }) => rollout);
  const rewards = graded.map(({ reward }) => reward.total);
  const center = mean(rewards);
  return {
    step,
    lr,
    rollouts: rollouts.length,
    excluded: graded.filter(({ learned }) => !learned).length,
    reward: center,
    rewardStd: Math.sqrt(mean(rewards.map((value) => (value - center) ** 2))),
    rewardOutcome: mean(graded.map(({ tarl }) => tarl.parts.outcome)),
    rewardTurns: mean(graded.map(({ tarl }) => tarl.parts.turns)),
    rewardMajor: mean(graded.map(({ tarl }) => tarl.parts.major)),
    tarl: mean(graded.map(({ tarl }) => tarl.total)),
    pass: mean(rollouts.map(({ outcome }) => outcome.success)),
    passByFamily: byFamily(rollouts),
    turns: mean(rollouts.map(({ turns }) => turns)),
    length: mean(rollouts.map(({ ledger }) => count(ledger.mask))),
    contextLength: mean(rollouts.map(({ ledger }) => ledger.ids.length)),
    noWriteFailures: mean(rollouts.map((rollout) => Number(isNoWriteFailure(rollout)))),
    abstained: graded.filter(({ judgement }) => judgement.scores === null).length,
    flatGroups,
    endings: tallyBy(rollouts.map(({ ending }) => ending)),
    classes: tallyBy(graded.map(({ tarl }) => tarl.class)),
    ...(stats.at(-1) ?? noStats),
    mismatch: stats.at(0)?.mismatch ?? 0,
  };
}

const noStats: StepStats = {
  loss: 0,
  pgLoss: 0,
  klLoss: 0,
  kl: 0,
  entropy: 0,
  approxKl: 0,
  ratio: 1,
  clipLow: 0,
  clipHigh: 0,
  dualClip: 0,
  mismatch: 0,
  gradNorm: 0,
  tokens: 0,
  computedTokens: 0,
  lossTokens: 0,
};

/**
 * A whole rollout as one line of JSON; log-probs keep the nine digits that give a float32 back. `advantage` is one number,
 * or one for each token; absent where it was not learned from.
 */
export function rolloutLine(graded: Graded, advantage: number | Float64Array | undefined): string {
  const { rollout, judgement, reward, tarl } = graded;
  const { task, sample, seed, ledger, turns, transcript, ending, outcome, error } = rollout;
  const line = {
    task,
    sample,
    seed,
    turns,
    ending,
    outcome,
    error,
    scores: judgement.scores,
    reasons: judgement.reasons,
    reward: reward.total,
    tarl: tarl.total,
    class: tarl.class,
    advantage: typeof advantage === "object" ? [...advantage] : (advantage ?? null),
    transcript,
    ids: [...ledger.ids],
    mask: [...ledger.mask],
    turn: [...ledger.turn],
    ...(ledger.rows && { rows: [...ledger.rows] }),
    logp: Array.from(ledger.logp, (value) => Number(value.toPrecision(9))),
  };
  return `${JSON.stringify(line, plainJson)}\n`;
}

/** Domains may hold a call's arguments as Maps and bigints; whole numbers that JSON readers would round stay text. */
export function plainJson(_: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  if (typeof value !== "bigint") return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

function byFamily(rollouts: readonly Rollout[]): { [family: string]: number } {
  const names = [...new Set(rollouts.map(({ task }) => task.family))].sort();
  return Object.fromEntries(
    names.map((name) => [
      name,
      mean(rollouts.filter(({ task }) => task.family === name).map(({ outcome }) => outcome.success)),
    ]),
  );
}

/** How often each name occurs, in alphabetical order. */
function tallyBy<T extends string>(names: readonly T[]): { [name in T]?: number } {
  const counts: { [name in T]?: number } = {};
  for (const name of [...names].sort()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function count(mask: Uint8Array): number {
  return mask.reduce((sum, bit) => sum + bit, 0);
}

function mean(values: readonly number[]): number {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;
}
