// The rule judge: scores every turn against the ground truth and the domain's rules. No model, no network.
// RULES is the whole judgement, read from the top: the first rule that fits a turn decides. Facts are found below it.
// Test: test/unit/judge.test.ts

import { equal, Store, sameState } from "../domains/store.ts";
import { callTool, openCall, readCall } from "../domains/tool.ts";
import { faulty } from "../errors.ts";
import type { AgentTurn, Call, Domain, Entry, Judge, Judgement, Rollout, Speech, Task, TurnScore } from "../types.ts";

/** What is known of one entry of a turn: a call, a message, or what could not be acted on. */
interface Facts {
  readonly call: boolean;
  readonly message: boolean;
  /** The turn was stopped by a limit. */
  readonly cut: boolean;
  readonly failed: boolean;
  readonly wrote: boolean;
  /** The write is one that the ground truth still asks for. */
  readonly wanted: boolean;
  /** The rule of the domain that the write breaks. */
  readonly violation: string | null;
  /** The call ends the talk. */
  readonly ends: boolean;
  /** The same call was made before, and nothing was written since. */
  readonly repeated: boolean;
  /**
   * The look-up is an expert's, uses what the customer named, or is a first search; where no expert's are known, also one
   * that shows or uses something that the task is about.
   */
  readonly onTheWay: boolean;
  readonly says: Speech;
  /** Neither asks for anything nor for consent: a customer who believes it leaves. */
  readonly closing: boolean;
  /** Asks for something that the customer knows and has not said. */
  readonly asksNew: boolean;
  /** What is said now was not said before: a claim since the last write, a refusal at all. */
  readonly news: boolean;
  /** A change of the ground truth is left to do. */
  readonly left: boolean;
  /** The task asks for no change. */
  readonly idle: boolean;
  /** The customer has something else in mind when this is refused. */
  readonly fallsBack: boolean;
  /** The task asks for no change, and what had to be said instead has been said. */
  readonly answered: boolean;
  /** The next write, before any other request for consent, is a wanted one that breaks no rule. */
  leads: boolean;
}

interface Rule {
  readonly score: TurnScore;
  readonly reason: string;
  /** A wrong end: if the talk fails, no other turn counts either. Nothing that ends early, untruly or never earns. */
  readonly voids?: true;
  readonly when: (f: Facts) => boolean;
}

/** With a change left a claim is true only of one just made, in a talk that goes on. */
const untrue = (f: Facts) => (f.left ? f.closing || !f.news : f.idle && !f.answered);

/** After the first -1 every turn scores 0, as a consequence. */
const RULES: readonly Rule[] = [
  { score: -1, reason: "the turn did not end", voids: true, when: (f) => f.cut },
  { score: 0, reason: "could not be acted on", when: (f) => !f.call && !f.message },

  { score: -1, reason: "a change that was not asked for", when: (f) => f.wrote && !f.wanted },
  { score: -1, reason: "a change against the rules", when: (f) => f.wrote && f.violation !== null },
  { score: 1, reason: "the change that was asked for", when: (f) => f.wrote },
  { score: -1, reason: "hands over what is left to do", voids: true, when: (f) => f.ends && f.left },
  { score: 1, reason: "hands over what is not its to do", when: (f) => f.ends && f.answered },
  { score: 0, reason: "the tool failed", when: (f) => f.failed },
  { score: 0, reason: "repeated call", when: (f) => f.repeated },
  { score: 1, reason: "look-up on the way", when: (f) => f.onTheWay },
  { score: 0, reason: "unneeded call", when: (f) => f.call },

  { score: -1, reason: "claims what was not done", voids: true, when: (f) => f.says.claimsDone && untrue(f) },
  { score: 1, reason: "explains why it cannot be done", when: (f) => f.says.refuses && f.fallsBack && f.closing },
  { score: -1, reason: "refuses what is allowed", voids: true, when: (f) => f.says.refuses && f.left && f.closing },
  { score: 1, reason: "says what was done", when: (f) => f.says.claimsDone && !f.left && f.news },
  { score: 1, reason: "explains why it cannot be done", when: (f) => f.says.refuses && f.answered && f.news },
  { score: 1, reason: "asks for consent to the right change", when: (f) => f.says.confirms && f.leads },
  { score: 1, reason: "asks for what is missing", when: (f) => f.asksNew },
  { score: 0, reason: "adds nothing", when: () => true },
];

/** A talk that failed without any of the above: whatever the last turn was, it left the customer without an end. */
const UNFINISHED: Rule = {
  score: -1,
  reason: "the talk ended with something left to do",
  voids: true,
  when: () => true,
};

/**
 * Judges conversations of one domain; of a domain that grades answers there is no turn to score. Abstains where the
 * talk was broken off by something that is not the policy.
 */
export function ruleJudge(domain: Domain): Judge {
  return {
    name: "rules",
    async judge(rollout) {
      if (faulty(rollout.ending)) return { scores: null, reasons: [] };
      if (domain.grade) return { scores: null, reasons: [] };
      return score(study(domain, rollout), rollout);
    },
  };
}

/** Every turn by itself, as if there could be several -1 and nothing were the consequence of one. */
export function ownScores(domain: Domain, rollout: Rollout): readonly TurnScore[] {
  const turns = study(domain, rollout);
  return Array.from({ length: rollout.turns }, (_, turn) => ruleOf(turns[turn])?.score ?? 0);
}

/**
 * Looks at each turn of one conversation before it is acted on, as far as the rules know it by then: why it would be the
 * major deviation, or null. `everyCall`: all calls of a turn run, not the first alone. The transcript may grow in between.
 */
export function intervention(
  domain: Domain,
  task: Task,
  everyCall = false,
): (turn: AgentTurn, transcript: readonly Entry[]) => string | null {
  return (turn, transcript) => {
    const known = new Knowledge(domain, task);
    for (const [i, entry] of transcript.entries()) {
      if (entry.role === "user") known.customer += ` ${entry.text}`;
      else known.facts(entry, transcript.slice(0, i + 1));
    }
    const talk = [...transcript];
    for (const entry of known.entriesOf(turn, everyCall)) {
      talk.push(entry);
      const rule = ruleOf([known.facts(entry, talk)]);
      if (rule?.score === -1) return rule.reason;
    }
    return null;
  };
}

function score(turns: readonly (readonly Facts[] | undefined)[], { turns: count, outcome }: Rollout): Judgement {
  const scores: TurnScore[] = [];
  const reasons: string[] = [];
  let major: { rule: Rule; turn: number } | null = null;
  for (let turn = 0; turn < count; turn++) {
    const rule = ruleOf(turns[turn]);
    scores.push(major || !rule ? 0 : rule.score);
    reasons.push(major ? "after a major error" : (rule?.reason ?? "not acted on"));
    if (!major && rule?.score === -1) major = { rule, turn };
  }
  if (outcome.success || count === 0) return { scores, reasons };
  major ??= { rule: UNFINISHED, turn: count - 1 };
  const { rule, turn } = major;
  reasons[turn] = rule.reason;
  return { scores: scores.map((own, i) => (i === turn ? -1 : rule.voids ? 0 : own)), reasons };
}

/** The rule that decides a turn; one of several calls is as good as the worst of them. */
function ruleOf(facts: readonly Facts[] = []): Rule | undefined {
  return facts
    .map((each) => RULES.find(({ when }) => when(each))!)
    .reduce<Rule | undefined>((low, rule) => (low && low.score <= rule.score ? low : rule), undefined);
}

/** Plays the talk again on fresh data and finds the facts of each turn's entries; a hole where a turn left no trace. */
function study(domain: Domain, { task, transcript }: Rollout): Facts[][] {
  const turns: Facts[][] = [];
  const known = new Knowledge(domain, task);
  for (const [i, entry] of transcript.entries()) {
    if (entry.role === "user") known.customer += ` ${entry.text}`;
    else turns[entry.turn] = [...(turns[entry.turn] ?? []), known.facts(entry, transcript.slice(0, i + 1))];
  }
  let wanted = false;
  for (const facts of turns.flat().toReversed()) {
    facts.leads = wanted;
    if (facts.wrote) wanted = facts.wanted && facts.violation === null;
    if (facts.says.confirms) wanted = false;
  }
  return turns;
}

const SILENT: Speech = { confirms: false, claimsDone: false, refuses: false };

/** What has been done, shown and said so far. */
class Knowledge {
  /** All words of the customer. */
  customer = "";
  readonly #domain: Domain;
  readonly #task: Task;
  /** Changes of the ground truth still to do. */
  readonly #left: Call[];
  readonly #written: Call[] = [];
  readonly #calls: Call[] = [];
  /** Values that the task is about: in the arguments of its truth, and in what must be said. */
  readonly #goal: readonly string[];
  /** What an expert looks up. */
  readonly #lookups: readonly Call[];
  /** Tools that have shown or used one of them. */
  readonly #found = new Set<string>();
  readonly #asked: Set<string>;
  readonly #idle: boolean;
  /** Nothing was written since the last claim, so there is nothing new to claim. */
  #claimed: boolean;
  /** Refusals so far. */
  #refused = 0;

  constructor(domain: Domain, task: Task) {
    this.#domain = domain;
    this.#task = task;
    const actions = task.actions.map((action) => readCall(domain, action));
    this.#left = changes(domain, task, actions);
    this.#goal = [...actions.flatMap((action) => valuesOf(action.arguments)), ...task.outputs];
    this.#lookups = (task.lookups ?? []).map((lookup) => readCall(domain, lookup));
    this.#asked = new Set(task.scenario.given);
    this.#idle = this.#left.length === 0;
    this.#claimed = !this.#idle;
  }

  /** `talk`: the transcript up to and with this entry. */
  facts(entry: Exclude<Entry, { role: "user" }>, talk: readonly Entry[]): Facts {
    const tool = entry.role === "tool" ? this.#domain.tools.find(({ name }) => name === entry.call.name) : undefined;
    const says = entry.role === "agent" ? this.#domain.hears(entry.text) : SILENT;
    const slots = entry.role === "agent" ? this.#domain.asks(entry.text) : [];
    const facts: Facts = {
      call: entry.role === "tool",
      message: entry.role === "agent",
      cut: entry.role === "invalid" && entry.reason === "cut",
      failed: entry.role === "tool" && entry.failed,
      wrote: entry.role === "tool" && entry.wrote,
      ends: tool?.ends ?? false,
      ...(entry.role === "tool" ? this.#study(entry, talk.slice(0, -1)) : NO_CALL),
      says,
      closing: !says.confirms && slots.length === 0,
      asksNew: slots.some((slot) => Object.hasOwn(this.#task.scenario.facts, slot) && !this.#asked.has(slot)),
      news: says.claimsDone ? !this.#claimed : says.refuses && this.#refused === 0,
      left: this.#left.length > 0,
      idle: this.#idle,
      fallsBack: this.#refused < (this.#task.scenario.otherwise?.length ?? 0),
      answered: this.#idle && (this.#domain.answered?.(this.#task, talk) ?? true),
      leads: false,
    };
    for (const slot of slots) this.#asked.add(slot);
    this.#claimed ||= says.claimsDone;
    if (says.refuses) this.#refused++;
    return facts;
  }

  /** What a turn would leave in the transcript if it were acted on; calls that cannot run leave nothing here. */
  *entriesOf({ text, calls, invalid }: AgentTurn, everyCall: boolean): Generator<Exclude<Entry, { role: "user" }>> {
    if (invalid) yield { role: "invalid", turn: 0, text, ...invalid };
    else if (calls.length === 0) yield { role: "agent", turn: 0, text };
    else
      for (const written of everyCall ? calls : calls.slice(0, 1)) {
        const opened = openCall(this.#domain, written);
        if (opened.reason) continue;
        const { tool, call } = opened;
        const { observation, failed } = callTool(tool, this.#after([]), call.arguments);
        yield { role: "tool", turn: 0, call, observation, failed, wrote: tool.writes && !failed };
      }
  }

  #study({ call, observation, failed, wrote }: Entry & { role: "tool" }, before: readonly Entry[]) {
    const repeated = this.#calls.some((made) => made.name === call.name && equal(made.arguments, call.arguments));
    this.#calls.push(call);
    if (wrote) return { repeated, onTheWay: false, ...this.#write(call, before) };
    const used = valuesOf(call.arguments);
    // Where an expert's look-ups are known, what a look-up happens to show is no reason: a country stands in most rows.
    const planless = this.#lookups.length === 0;
    const touches =
      planless && !failed && this.#goal.some((value) => used.includes(value) || observation.includes(value));
    const searches = !this.#found.has(call.name) && !this.#goal.some((value) => this.customer.includes(value));
    // There, and where a task names nothing, nothing says that a search has found it: one by each tool.
    if (touches || (!failed && (!planless || this.#goal.length === 0))) this.#found.add(call.name);
    const named = used.some((value) => this.customer.includes(value));
    const planned = this.#lookups.some(
      ({ name, arguments: args }) => name === call.name && equal(args, call.arguments),
    );
    return { repeated, onTheWay: planned || touches || searches || named, wanted: false, violation: null };
  }

  #write(call: Call, before: readonly Entry[]) {
    const violation = this.#domain.violates(call, this.#after([]), before);
    const next = this.#after([call]);
    const i = this.#left.findIndex((action) => sameState(next, this.#after([action])));
    if (i >= 0) this.#left.splice(i, 1);
    this.#written.push(call);
    this.#calls.length = 0;
    this.#claimed = false;
    return { wanted: i >= 0, violation };
  }

  /** Fresh data after everything written so far and some calls more. */
  #after(more: readonly Call[]): Store {
    const store = new Store(this.#domain.database(this.#task.database));
    for (const { name, arguments: args } of [...this.#written, ...more])
      callTool(this.#domain.tools.find((tool) => tool.name === name)!, store, args);
    return store;
  }
}

/** The writes of a ground truth that do not fail: one from elsewhere holds look-ups, transfers and refused writes, too. */
function changes(domain: Domain, task: Task, actions: readonly Call[]): Call[] {
  const store = new Store(domain.database(task.database));
  return actions.filter(({ name, arguments: args }) => {
    const tool = domain.tools.find((tool) => tool.name === name);
    return tool?.writes && !tool.ends && !callTool(tool, store, args).failed;
  });
}

const NO_CALL = { wanted: false, violation: null, repeated: false, onTheWay: false };

/** Strings and numbers inside of arguments, as text; too short ones say nothing. */
function valuesOf(value: unknown): string[] {
  if (value instanceof Map) return [...value.values()].flatMap(valuesOf);
  if (value !== null && typeof value === "object") return Object.values(value).flatMap(valuesOf);
  const text = String(value);
  return text.length > 2 ? [text] : [];
}
