// What is written down of one update: the line of metrics.jsonl, and the line of rollouts/ for every rollout. Values that
// the seed decides, none that the clock decides. Every name is explained in docs/metrics.md.
// Test: test/unit/record.test.ts

import { isNoWriteFailure } from "../eval/trial.ts";
import { plainJson } from "../json.ts";
import type { Ending, Judgement, Reward, RewardClass, Rollout, StepStats } from "../types.ts";

/** A rollout with all that was made of it. */
export interface Graded {
  readonly rollout: Rollout;
  /** Null: nobody was asked (spoiled, left out by dynamic sampling, or of a domain whose turns have no scores). */
  readonly judgement: Judgement | null;
  /** What the policy learns from; `tarl` is the TARL reward, whether it learns from that or not. */
  readonly reward: Reward;
  readonly tarl: Reward;
  /** False: its group was left out by dynamic sampling, unjudged. */
  readonly kept: boolean;
  /** False: left out of the update (spoiled, by dynamic sampling, or without a verdict where those are dropped). */
  readonly learned: boolean;
}

/** One line of metrics.jsonl. */
export interface StepLine extends StepStats {
  readonly step: number;
  /** What was played. */
  readonly domain: string;
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
  /** Turns that were held back, per rollout. */
  readonly reflections: number;
  /** Rollouts of which the judge said nothing, and the same by kind. */
  readonly abstained: number;
  readonly abstentions: { readonly [kind: string]: number };
  /** Share of the groups in which all rewards are equal. */
  readonly flatGroups: number;
  readonly endings: { readonly [ending in Ending]?: number };
  readonly classes: { readonly [name in RewardClass]?: number };
}

/** `stats` of every optimizer step of the update, in order; where there was none, zeros. */
export function stepLine(
  step: number,
  lr: number,
  graded: readonly Graded[],
  flatGroups: number,
  stats: readonly StepStats[],
): StepLine {
  const rollouts = graded.map(({ rollout }) => rollout);
  const kept = graded.filter((each) => each.kept);
  const rewards = kept.map(({ reward }) => reward.total);
  const center = mean(rewards);
  const silent = graded.flatMap(({ judgement }) => (judgement?.scores === null ? judgement : []));
  return {
    step,
    domain: rollouts[0].task.domain,
    lr,
    rollouts: rollouts.length,
    excluded: graded.filter(({ learned }) => !learned).length,
    reward: center,
    rewardStd: Math.sqrt(mean(rewards.map((value) => (value - center) ** 2))),
    rewardOutcome: mean(kept.map(({ tarl }) => tarl.parts.outcome)),
    rewardTurns: mean(kept.map(({ tarl }) => tarl.parts.turns)),
    rewardMajor: mean(kept.map(({ tarl }) => tarl.parts.major)),
    tarl: mean(kept.map(({ tarl }) => tarl.total)),
    pass: mean(rollouts.map(({ outcome }) => outcome.success)),
    passByFamily: byFamily(rollouts),
    turns: mean(rollouts.map(({ turns }) => turns)),
    length: mean(rollouts.map(({ ledger }) => count(ledger.mask))),
    contextLength: mean(rollouts.map(({ ledger }) => ledger.ids.length)),
    noWriteFailures: mean(rollouts.map((rollout) => Number(isNoWriteFailure(rollout)))),
    reflections: mean(rollouts.map(reflectionsOf)),
    abstained: silent.length,
    abstentions: tallyBy(silent.map(({ abstained = "unsaid" }) => abstained)),
    flatGroups,
    endings: tallyBy(rollouts.map(({ ending }) => ending)),
    classes: tallyBy(kept.map(({ tarl }) => tarl.class)),
    ...together(stats),
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
  valueLoss: 0,
  valueClipped: 0,
  valueExplained: 0,
  gradNorm: 0,
  tokens: 0,
  computedTokens: 0,
  lossTokens: 0,
};

/**
 * Several optimizer steps as one: tokens are added, the rest is a mean over them; the mismatch is the first one's, since the
 * policy has moved on in later ones.
 */
function together(stats: readonly StepStats[]): StepStats {
  if (stats.length <= 1) return stats[0] ?? noStats;
  const all = Object.entries(stats[0]).map(([name]) => {
    const values = stats.map((each) => each[name as keyof StepStats]);
    return [name, isCount(name) ? values.reduce((sum, value) => sum + value, 0) : mean(values)];
  });
  return { ...(Object.fromEntries(all) as StepStats), mismatch: stats[0].mismatch };
}

const isCount = (name: string) => name === "tokens" || name === "computedTokens" || name === "lossTokens";

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
    scores: judgement?.scores ?? null,
    reasons: judgement?.reasons ?? [],
    ...(judgement?.abstained !== undefined && { abstained: judgement.abstained }),
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
function tallyBy<T extends string>(names: readonly T[]): { [name in T]: number } {
  const counts = {} as { [name in T]: number };
  for (const name of [...names].sort()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function reflectionsOf({ transcript }: Rollout): number {
  return transcript.filter((entry) => entry.role === "invalid" && entry.reason === "reflected").length;
}

function count(mask: Uint8Array): number {
  return mask.reduce((sum, bit) => sum + bit, 0);
}

function mean(values: readonly number[]): number {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;
}
