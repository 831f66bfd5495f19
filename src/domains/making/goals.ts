// What a customer wants, as calls: the ground truth of a task is never typed, it is what remains when every reading of
// the words has been tried. Shared by the domains that make tasks from goals; how goals are said is telling.ts.
// Test: test/unit/goals.test.ts

import type { Database, Domain, WrittenCall } from "../../types.ts";
import { Store, sameState } from "../store.ts";
import { callTool, readCall } from "../tool.ts";

/** One thing that a customer wants: in words, and as every list of calls that the words admit. */
export interface Goal {
  /** What is wanted, after "I would like to"; in the first person. */
  readonly want: string;
  /** Parts of it that the customer may leave out until asked: how they follow `want`, and the answer. */
  readonly details: { readonly [slot: string]: Detail };
  /** What the customer answers when asked for the order, the items and the like again. */
  readonly facts: { readonly [slot: string]: string };
  /** The reads by which an expert finds out what there is to know. */
  readonly lookups: readonly WrittenCall[];
  /**
   * By enumeration over the data: each combination of things that the words fit. None: nothing is to be written. A question
   * beside other goals has one without calls.
   */
  readonly readings: readonly (readonly WrittenCall[])[];
  /** What the customer wants where the rules allow no reading. */
  readonly otherwise?: Goal;
}

export interface Detail {
  readonly said: string;
  readonly answer: string;
  /** A plausible wrong answer, a sentence too, for customers who correct themselves. */
  readonly slip?: string;
}

/** A goal that looks at nothing and leaves nothing to ask for. */
export const NOTHING: Omit<Goal, "want"> = { details: {}, facts: {}, lookups: [], readings: [] };

/** A thing that the customer names: in words, as an answer, and everything in the data that the words fit. */
export interface Reference<T> {
  readonly words: string;
  readonly answer: string;
  readonly fits: readonly T[];
}

export function write(name: string, args: { readonly [name: string]: unknown }): WrittenCall {
  return { name, arguments: JSON.stringify(args) };
}

/** Each choice of one thing from each list. */
export function combinations<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>((all, list) => all.flatMap((chosen) => list.map((each) => [...chosen, each])), [[]]);
}

/** What serves some goals, or why nothing does. */
export type Truth =
  | { readonly actions: readonly WrittenCall[]; readonly goals: readonly Goal[]; readonly refused: readonly Refused[] }
  | { readonly why: "ambiguous" | "impossible" | "idle" | "entangled" };

/** A wish that the rules forbid and that has a goal to fall back on. */
export interface Refused {
  readonly action: WrittenCall;
  readonly rule: string;
}

/** Whose rules hold, on which data, and who asks. */
export interface Ground {
  readonly domain: Pick<Domain, "tools" | "rules" | "parse">;
  readonly database: Database;
  readonly customer?: string;
}

/**
 * The one list of calls that serves the goals one after the other: of each the only reading that runs and breaks no rule,
 * or else that of the goal it falls back on. Refused where another reading ends elsewhere ("ambiguous"), none is left
 * ("impossible"), a call changes nothing ("idle"), or another order of the goals ends elsewhere or what is refused could be
 * had afterwards ("entangled").
 */
export function truthOf(ground: Ground, goals: readonly Goal[]): Truth {
  const truth = serve(ground, goals);
  if ("why" in truth) return truth;
  const { end, ...found } = truth;
  let store = new Store(ground.database);
  for (const action of found.actions) {
    // What was forked is not touched again: a fork reads from it.
    const next = store.fork();
    step(ground, next, action);
    if (sameState(store, next)) return { why: "idle" };
    store = next;
  }
  // What the rules allow after all, because of what was done instead, is no longer to be refused.
  if (found.refused.some(({ action }) => step(ground, end.fork(), action))) return { why: "entangled" };
  for (const order of permutations(goals).slice(1)) {
    const other = serve(ground, order);
    if ("why" in other || !sameState(other.end, end)) return { why: "entangled" };
  }
  return found;
}

type Served = Exclude<Truth, { why: string }> & { readonly end: Store };

function serve(ground: Ground, goals: readonly Goal[]): Served | Extract<Truth, { why: string }> {
  const actions: WrittenCall[] = [];
  const served: Goal[] = [];
  const refused: Refused[] = [];
  let store = new Store(ground.database);
  for (let goal of goals) {
    let found = allowed(ground, store, goal.readings);
    while (found === null) {
      const no = refusal(ground, store, goal.readings);
      if (!goal.otherwise || !no) return { why: "impossible" };
      refused.push(no);
      goal = goal.otherwise;
      found = allowed(ground, store, goal.readings);
    }
    if (found === "ambiguous") return { why: "ambiguous" };
    actions.push(...found.calls);
    served.push(goal);
    store = found.end;
  }
  return { actions, goals: served, refused, end: store };
}

/** Plays calls on fresh data; null where one fails or breaks a rule. */
export function run(ground: Ground, calls: readonly WrittenCall[]): Store | null {
  const store = new Store(ground.database);
  return calls.every((call) => step(ground, store, call)) ? store : null;
}

function step({ domain, customer }: Ground, store: Store, written: WrittenCall): boolean {
  const call = readCall(domain, written);
  if (domain.rules?.(call, store, customer).length) return false;
  const tool = domain.tools.find(({ name }) => name === call.name)!;
  return !callTool(tool, store, call.arguments).failed;
}

/** What a look-up shows on fresh data. */
export function look({ domain, database }: Pick<Ground, "domain" | "database">, written: WrittenCall): string {
  const tool = domain.tools.find(({ name }) => name === written.name)!;
  return callTool(tool, new Store(database), readCall(domain, written).arguments).observation;
}

interface Played {
  readonly calls: readonly WrittenCall[];
  readonly end: Store;
}

/** The only reading that can be played from here; null without one. Readings that end in the same state are one. */
function allowed(ground: Ground, from: Store, readings: Goal["readings"]): Played | "ambiguous" | null {
  let found: Played | null = null;
  for (const calls of readings) {
    const end = from.fork();
    if (!calls.every((call) => step(ground, end, call))) continue;
    if (found && !sameState(end, found.end)) return "ambiguous";
    found ??= { calls, end };
  }
  return found;
}

/** The one rule that forbids the only reading, as it stands after `before`; null where that cannot be said. */
export function forbiddenBy(
  ground: Ground,
  before: readonly WrittenCall[],
  readings: Goal["readings"],
): Refused | null {
  const store = run(ground, before);
  return store && refusal(ground, store, readings);
}

function refusal(ground: Ground, from: Store, readings: Goal["readings"]): Refused | null {
  if (readings.length !== 1) return null;
  const store = from.fork();
  for (const action of readings[0]) {
    const broken = ground.domain.rules?.(readCall(ground.domain, action), store, ground.customer) ?? [];
    if (broken.length === 1) return { action, rule: broken[0] };
    if (broken.length > 1 || !step(ground, store, action)) return null;
  }
  return null;
}

/** Every order of a few things, theirs first. */
export function permutations<T>(things: readonly T[]): T[][] {
  if (things.length < 2) return [[...things]];
  return things.flatMap((thing, i) => permutations(things.toSpliced(i, 1)).map((rest) => [thing, ...rest]));
}
