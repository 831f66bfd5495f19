// What an evaluation found, made from what was kept of its conversations: pass^k with intervals, by family, why
// conversations failed, faults beside every score, cost. Agents that need no policy. Plays nothing: measure.ts does.
// Formulas are in metrics.ts, printing in run/report.ts. Test: test/unit/evaluate.test.ts

import type { Bill } from "../chat.ts";
import type { ChatErrorKind } from "../errors.ts";
import type { AgentTurn, Domain, Ending, Entry, Habits, Part, Task, ToolFault, UserFault } from "../types.ts";
import {
  type FamilyTable,
  families,
  type Interval,
  type PassTable,
  pairedDifference,
  passTable,
  type Tally,
  tally,
} from "./metrics.ts";
import { type Cause, causes, isNoWriteFailure, isSpoiled, type Trial } from "./trial.ts";

/** What was measured, and under which rules: it stands beside every score. */
export interface Setting {
  /** "policy", the name of one of `agents`, or "openai:" and a model. */
  readonly agent: string;
  /** The policy's folder; absent without one. */
  readonly model?: string;
  /** Whether what the policy says depends on nothing but its seed and its weights; absent without one. */
  readonly batchInvariant?: boolean;
  /** How the agent's turns were drawn; null where nothing is. */
  readonly sampling: { readonly temperature: number; readonly maxTokens: number } | null;
  readonly domain: string;
  readonly profile: string;
  readonly checkOutputs: boolean;
  /** "generated", or the set that they were taken from. */
  readonly tasks: string;
  /** Which of its splits. */
  readonly split?: string;
  readonly user:
    | { readonly kind: "scripted"; readonly disturbances: number }
    | { readonly kind: "llm"; readonly model: string; readonly temperature: number };
  readonly seed: number;
  /** Most turns of the agent. */
  readonly turns: number;
}

/** Requests to models behind an API. */
export interface Requests {
  /** Sent, repeated ones included. */
  readonly calls: number;
  readonly retries: number;
  /** Answers that the cache gave instead. */
  readonly cached: number;
  /** Failed ones, by kind. */
  readonly failures: { readonly [kind in ChatErrorKind]?: number };
}

/** `sign` -1 takes the other away. */
export function addRequests(one: Requests, other: Requests, sign: 1 | -1 = 1): Requests {
  return {
    calls: one.calls + sign * other.calls,
    retries: one.retries + sign * other.retries,
    cached: one.cached + sign * other.cached,
    failures: addCounts(one.failures, other.failures, sign),
  };
}

/** What one evaluation found. The same tasks and seeds before and after, so that two of them can be paired by task. */
export interface Evaluation extends PassTable {
  readonly setting: Setting;
  readonly tasks: number;
  /** Conversations about each of them. */
  readonly trials: number;
  /** Conversations that were played, and those of them that every try had to break off: they are in no mean. */
  readonly played: number;
  readonly faults: number;
  /** Conversations that were played again after an outage, each time. */
  readonly replays: number;
  /** Why not all were played; absent where they were. */
  readonly stopped?: string;
  /** pass^k as tau-bench counts: one that broke off is a failure. */
  readonly published: readonly number[];
  readonly families: FamilyTable;
  /** pass^1 of an agent that does nothing, on the same tasks; absent where nobody asked. */
  readonly inaction?: number;
  /** Means over rollouts: "wait" in the agent's own words, policy tokens, turns. */
  readonly waits: number;
  readonly length: number;
  readonly turns: number;
  /** Mean TARL reward of the rollouts with a verdict; null where there is none. */
  readonly tarl: number | null;
  /** Share of rollouts that failed without a single write although the task asks for one. */
  readonly noWriteFailures: number;
  /** Rollouts by the way they ended; failed ones by their cause. */
  readonly endings: { readonly [ending in Ending]?: number };
  readonly causes: { readonly [cause in Cause]?: number };
  /** Broken tools, by tool and how; mistakes of a simulated customer, by kind. */
  readonly toolFaults: { readonly [tool: string]: { readonly [fault in ToolFault]?: number } };
  readonly userFaults: { readonly [kind in UserFault["kind"]]?: number };
  /** Parts of the score that nobody judged, in how many rollouts: success is the product of the others. */
  readonly unjudged: { readonly [part in Part]?: number };
  /** Rollouts in which the scripted customer disturbed the talk, and their successes; absent where it never did. */
  readonly disturbances?: { readonly [name: string]: { readonly rollouts: number; readonly successes: number } };
  /** What models behind an API took for these conversations, and all requests to them; absent where none was asked. */
  readonly cost?: Bill;
  readonly requests?: Requests;
  /** What broke the first of those that were spoiled; absent where none was. */
  readonly error?: string;
  /** Successes of every task, over the conversations that came to an end. */
  readonly tallies: readonly Tally[];
}

/** What `evaluation` cannot see in the trials. */
export type Circumstances = Pick<Evaluation, "setting" | "tasks" | "trials" | "stopped" | "requests">;

/** `played`: the conversations that were played, in the order of the plan. */
export function evaluation(played: readonly Trial[], { stopped, requests, ...given }: Circumstances): Evaluation {
  const whole = played.filter((trial) => !isSpoiled(trial));
  const tallies = tally(whole);
  const rewards = whole.flatMap(({ tarl }) => (tarl === null ? [] : tarl));
  const bills = played.flatMap(({ bill }) => bill ?? []);
  const broken = played.find(isSpoiled);
  const disturbances = disturbancesOf(whole);
  return {
    ...given,
    played: played.length,
    faults: played.length - whole.length,
    replays: played.reduce((sum, { replays = 0 }) => sum + replays, 0),
    ...(stopped !== undefined && { stopped }),
    ...passTable(tallies, given.trials),
    published: passTable(tally(played), given.trials).pass,
    families: families(tallies),
    waits: mean(whole.map(({ waits }) => waits)),
    length: mean(whole.map(({ length }) => length)),
    turns: mean(whole.map(({ turns }) => turns)),
    tarl: rewards.length ? mean(rewards) : null,
    noWriteFailures: mean(whole.map((trial) => (isNoWriteFailure(trial) ? 1 : 0))),
    endings: count(played.map(({ ending }) => ending)),
    causes: inOrder(causes, count(played.flatMap(({ cause }) => cause ?? []))),
    toolFaults: toolFaultsOf(played),
    userFaults: count(played.flatMap(({ userFaults = [] }) => userFaults.map(({ kind }) => kind))),
    unjudged: count(whole.flatMap(({ outcome }) => outcome.unjudged ?? [])),
    ...(disturbances && { disturbances }),
    ...(bills.length && { cost: bills.reduce(addBills) }),
    ...(requests && { requests }),
    ...(broken && { error: broken.error ?? broken.ending }),
    tallies,
  };
}

type Counts<T extends string> = { readonly [name in T]?: number };

/** What comes to 0 is left out. */
function addCounts<T extends string>(one: Counts<T>, other: Counts<T>, sign = 1): Counts<T> {
  const names = Object.keys({ ...one, ...other }) as T[];
  const sums = names.map((name) => [name, (one[name] ?? 0) + sign * (other[name] ?? 0)] as const);
  return Object.fromEntries(sums.filter(([, times]) => times !== 0)) as Counts<T>;
}

/** How often each name occurs, in the order of first appearance. */
function count<T extends string>(names: readonly T[]): Counts<T> {
  const counts: { [name in T]?: number } = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function inOrder<T extends string>(names: readonly T[], counts: Counts<T>): Counts<T> {
  const known = names.filter((name) => counts[name] !== undefined);
  return Object.fromEntries(known.map((name) => [name, counts[name]])) as Counts<T>;
}

function toolFaultsOf(trials: readonly Trial[]): Evaluation["toolFaults"] {
  const sums: Record<string, Counts<ToolFault>> = {};
  for (const { toolFaults = {} } of trials)
    for (const [tool, faults] of Object.entries(toolFaults)) sums[tool] = addCounts(sums[tool] ?? {}, faults);
  return sums;
}

/** By name, and under "none" the others; null where there was none at all. */
function disturbancesOf(trials: readonly Trial[]): NonNullable<Evaluation["disturbances"]> | null {
  if (!trials.some(({ disturbed }) => disturbed)) return null;
  const rows: Record<string, { rollouts: number; successes: number }> = {};
  for (const { disturbed = ["none"], outcome } of trials)
    for (const name of new Set(disturbed)) {
      const { rollouts, successes } = rows[name] ?? { rollouts: 0, successes: 0 };
      rows[name] = { rollouts: rollouts + 1, successes: successes + outcome.success };
    }
  return rows;
}

export function addBills(one: Bill, other: Bill): Bill {
  const sums = Object.entries(one).map(([key, value]) => [key, value + other[key as keyof Bill]]);
  return Object.fromEntries(sums);
}

/** 0 of nothing: `played` and `faults` say so. */
function mean(values: readonly number[]): number {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;
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
  const both = [before, after].map(({ tallies }) => new Set(tallies.map(({ task }) => task)));
  const paired = ({ tallies }: Evaluation) => tallies.filter(({ task }) => both.every((own) => own.has(task)));
  const { difference, interval } = pairedDifference(paired(before), paired(after));
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
