// Plays held-out tasks several times each and says what came out: pass^1..4 with intervals, per family, lengths, waits,
// endings. Baselines are agents that need no policy. Formulas are in metrics.ts, printing in run/progress.ts.
// Test: test/unit/evaluate.test.ts

import { faulty } from "../errors.ts";
import type { AgentTurn, Domain, Ending, Entry, Habits, Rollout, Task } from "../types.ts";
import { averages, families, type Interval, pairedDifference, passTable, type Tally, tally } from "./metrics.ts";

/** What one evaluation found. The same tasks and seeds before and after, so that two of them can be paired by task. */
export interface Evaluation {
  readonly tasks: number;
  readonly trials: number;
  /** pass^1 to pass^4 (as far as there are trials) and their 95% intervals. */
  readonly pass: readonly number[];
  readonly interval: readonly Interval[];
  readonly families: {
    readonly [family: string]: { readonly tasks: number; readonly pass1: number; readonly interval: Interval };
  };
  /** Means over rollouts: "wait" in the policy's own words, policy tokens, turns. */
  readonly waits: number;
  readonly length: number;
  readonly turns: number;
  /** Mean TARL reward of the rollouts with a verdict; null where no judge was asked. */
  readonly tarl: number | null;
  /** Share of rollouts that failed without a single write although the task asks for one. */
  readonly noWriteFailures: number;
  /** Rollouts by the way they ended. */
  readonly endings: { readonly [ending in Ending]?: number };
  /** Rollouts spoiled by user or sandbox: they count as failures, and here. */
  readonly faults: number;
  /** What broke the first of those that ended as "error"; absent where there is none. */
  readonly error?: string;
  /** Successes of every task. */
  readonly tallies: readonly Tally[];
}

export interface EvaluateOptions {
  readonly trials: number;
  /** Plays every task `trials` times. */
  readonly play: (tasks: readonly Task[], trials: number) => Promise<readonly Rollout[]>;
  readonly decode: (ids: Int32Array) => string;
  /** TARL reward of a rollout, null where the judge abstained. */
  readonly value?: (rollout: Rollout) => Promise<number | null>;
}

export async function evaluate(tasks: readonly Task[], options: EvaluateOptions): Promise<Evaluation> {
  const { trials, play, decode, value } = options;
  const rollouts = await play(tasks, trials);
  const tallies = tally(rollouts);
  const values = value ? (await Promise.all(rollouts.map(value))).filter((reward) => reward !== null) : [];
  const endings: { [ending in Ending]?: number } = {};
  for (const { ending } of rollouts) endings[ending] = (endings[ending] ?? 0) + 1;
  const broken = rollouts.find(({ ending }) => ending === "error");
  return {
    tasks: tasks.length,
    trials,
    ...passTable(tallies, Math.min(4, trials)),
    families: families(tallies),
    ...averages(rollouts, decode),
    tarl: values.length ? values.reduce((sum, reward) => sum + reward, 0) / values.length : null,
    noWriteFailures: rollouts.filter(isNoWriteFailure).length / rollouts.length,
    endings,
    faults: rollouts.filter(({ ending }) => faulty(ending)).length,
    ...(broken ? { error: broken.error } : {}),
    tallies,
  };
}

/** Did the agent fail without writing anything, where something had to be written? */
export function isNoWriteFailure({ task, outcome }: Pick<Rollout, "task" | "outcome">): boolean {
  return outcome.success === 0 && outcome.writes === 0 && task.actions.length > 0;
}

/** The closing table of a run, as its summary.json holds it. */
export interface Summary {
  readonly before: Score;
  readonly after: Score;
  readonly difference: { readonly pass1: number; readonly interval: Interval };
  readonly tasks: number;
  readonly trials: number;
  readonly seed: number;
  readonly wall_s: number;
}
type Score = Pick<Evaluation, (typeof SCORE)[number]>;
const SCORE = ["pass", "interval", "families", "waits", "length", "turns", "tarl", "noWriteFailures"] as const;

export function summarize(before: Evaluation, after: Evaluation, seed: number, seconds: number): Summary {
  const score = (all: Evaluation) => Object.fromEntries(SCORE.map((key) => [key, all[key]])) as unknown as Score;
  const { difference, interval } = pairedDifference(before.tallies, after.tallies);
  return {
    before: score(before),
    after: score(after),
    difference: { pass1: difference, interval },
    tasks: before.tasks,
    trials: before.trials,
    seed,
    wall_s: seconds,
  };
}

/** An agent without a policy: what it says next, given the talk so far. */
export type Agent = (transcript: readonly Entry[]) => AgentTurn | Promise<AgentTurn>;

const say = (text: string): AgentTurn => ({ text, calls: [], invalid: null });
/** No mistakes. */
export const oracleHabits: Habits = {
  skipsLookup: 0,
  skipsConfirmation: 0,
  wrongChoice: 0,
  ignoresRules: 0,
  recovers: 0,
};

/** Agents to hold a policy against; null where the domain has no such agent. */
export const agents: { readonly [name: string]: (domain: Domain, task: Task, seed: number) => Agent | null } = {
  "do-nothing": () => () => say("Okay."),
  refuse: () => () => say("I am sorry, I cannot do that."),
  oracle: (domain, task, seed) => domain.expert?.(task, oracleHabits, seed) ?? null,
};
