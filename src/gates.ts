// What has to hold of a task before it is worth playing: its truth runs, matters and is the only right one, nobody passes by
// silence or by accident, and the scripted expert wins it. For any domain: built in, one's own, imported. A gate is a name
// and a function from a task to what is wrong with it, in one line. Test: test/unit/gates.test.ts

import { isSaid } from "./domains/ears.ts";
import { expertFor } from "./domains/expert.ts";
import { run as lawful } from "./domains/making/goals.ts";
import { Store, sameState } from "./domains/store.ts";
import { callTool, openCall, readCall } from "./domains/tool.ts";
import { UsageError } from "./errors.ts";
import { oracleHabits } from "./eval/evaluate.ts";
import { Session } from "./sandbox/session.ts";
import { replayTruth, verify } from "./sandbox/verify.ts";
import type { Domain, Entry, Task, Tool, WrittenCall } from "./types.ts";
import { ScriptedUser } from "./user/scripted.ts";

export interface Failure {
  readonly task: string;
  readonly gate: string;
  readonly reason: string;
}

/** Null: it holds. "skip": there is nothing that it could look at. */
type Found = string | null | "skip";
type Gate = (domain: Domain, task: Task) => Found | Promise<Found>;

/** Readings that are tried of one task. */
const MAX_READINGS = 10_000;
/** An output of digits is no accident from so many on, zeros at its end left out: "150.0" is said as easily as "15". */
const LEAST_DIGITS = 3;
const LEAST_CHARACTERS = 2;

/** In the order of their meaning: where one fails, those after it may fail for the same reason. */
export const gates: Readonly<Record<string, Gate>> = {
  calls: (domain, { actions, forbidden }) => {
    for (const action of [...actions, ...(forbidden ? [forbidden.action] : [])]) {
      const wrong = misshapen(domain, action);
      if (wrong) return wrong;
    }
    const refused = forbidden && toolOf(domain, forbidden.action)!;
    return refused && !refused.writes && !refused.ends ? `${refused.name} is forbidden, but writes nothing` : null;
  },

  succeeds: (domain, task) => {
    const store = fresh(domain, task);
    for (const action of writes(domain, task)) {
      const { failed, observation } = run(domain, store, action);
      if (failed) return `${spell(action)}: ${observation}`;
    }
    return null;
  },

  changes: (domain, task) => {
    const { actions, outputs } = task;
    // Imported truths hold look-ups too; then what they show has to be said.
    if (writes(domain, task).length === 0)
      return actions.length === 0 || outputs.length > 0 ? "skip" : "none of the actions is a tool that writes";
    return sameState(fresh(domain, task), replayTruth(domain, task)) ? "the actions leave everything as it was" : null;
  },

  needed: (domain, task) => {
    const all = writes(domain, task);
    if (all.length === 0) return "skip";
    const truth = replayTruth(domain, task);
    for (const left of all) {
      const store = fresh(domain, task);
      const failed = all.filter((each) => each !== left).some((each) => run(domain, store, each).failed);
      if (!failed && sameState(store, truth)) return `without ${spell(left)} the state is the same`;
    }
    return null;
  },

  repeats: (domain, task) => {
    if (writes(domain, task).length === 0) return "skip";
    return sameState(replayTruth(domain, task), replayTruth(domain, task)) ? null : "played twice the states differ";
  },

  rules: (domain, task) => {
    if (!domain.rules || writes(domain, task).length === 0) return "skip";
    const store = fresh(domain, task);
    for (const action of writes(domain, task)) {
      const [broken] = domain.rules(readCall(domain, action), store, task.customer);
      if (broken) return `${spell(action)} breaks a rule: ${broken}`;
      run(domain, store, action);
    }
    return null;
  },

  forbidden: (domain, task) => {
    const { forbidden } = task;
    if (!forbidden || !domain.rules) return "skip";
    const { action, rule } = forbidden;
    const moments = [...states(domain, task)];
    const broken = moments.map((store) => [...domain.rules!(readCall(domain, action), store, task.customer)]);
    const place = broken.findIndex((rules) => rules.length === 1 && rules[0] === rule);
    if (place >= 0) {
      if (broken.at(-1)!.length === 0) return `${spell(action)} breaks no rule any more once the actions are done`;
      const { failed, observation, fault } = run(domain, moments[place], action);
      // Tools that keep the rules themselves, as tau-bench's do, refuse for that one reason; one's own are to leave it
      // to the agent.
      return failed && (fault || domain.profile === "own")
        ? `${spell(action)} would fail anyway: ${observation}`
        : null;
    }
    const [now] = broken;
    if (now.length === 1) return `${spell(action)} breaks "${now[0]}", expected "${rule}"`;
    return `${spell(action)} breaks ${now.length || "no"} rules, expected one${now.length ? `: ${now.join("; ")}` : ""}`;
  },

  unique: (domain, task) => {
    // A domain knows the words of its own tasks alone.
    if (!domain.readings || !isOwn(domain, task)) return "skip";
    const ground = { domain, database: domain.database(task.database), customer: task.customer };
    const truth = replayTruth(domain, task);
    let count = 0;
    let found = task.actions.length === 0;
    for (const reading of domain.readings(task)) {
      if (++count > MAX_READINGS) return `more than ${MAX_READINGS} readings`;
      const state = lawful(ground, reading);
      if (!state) continue;
      if (!sameState(state, truth)) return `another reading fits: ${reading.map(spell).join(", ") || "nothing"}`;
      found = true;
    }
    return found ? null : "the actions are none of the readings";
  },

  lookups: (domain, { lookups, ...task }) => {
    if (!lookups?.length) return "skip";
    const store = fresh(domain, task);
    for (const lookup of lookups) {
      const wrong = misshapen(domain, lookup);
      if (wrong) return wrong;
      const { failed, observation } = run(domain, store, lookup);
      if (failed) return `${spell(lookup)}: ${observation}`;
    }
    return sameState(store, fresh(domain, task)) ? null : "the look-ups change the state";
  },

  outputs: (domain, { outputs }) => {
    if (outputs.length === 0 || domain.grade) return "skip";
    const short = outputs.find(isAccident);
    if (short !== undefined) return `"${short}" can be said by accident`;
    // What is said is heard without its commas.
    const mute = outputs.find((output) => output.includes(","));
    return mute === undefined ? null : `"${mute}" holds a comma and is never heard`;
  },

  shown: (domain, task) => {
    const { lookups = [], outputs } = task;
    if (lookups.length === 0 || outputs.length === 0) return "skip";
    const store = fresh(domain, task);
    const shown = lookups.map((lookup) => run(domain, store, lookup).observation);
    const said: Entry[] = shown.map((text) => ({ role: "agent", turn: 0, text }));
    const missing = outputs.find((output) => !isSaid(output, said));
    return missing === undefined ? null : `no look-up shows "${missing}"`;
  },

  silence: (domain, task) => (passesIdle(domain, task) ? "doing nothing succeeds" : null),

  oracle: async (domain, task) => {
    const agent = expertFor(domain, task)?.(task, oracleHabits, 0);
    if (!agent) return "skip";
    const session = new Session(domain, task, new ScriptedUser(domain, task, 0), { checkOutputs: domain.checkOutputs });
    await session.start();
    while (!session.ending) {
      const turn = agent(session.transcript);
      const [call] = turn.calls;
      const tool = call && toolOf(domain, call);
      const broken =
        isOwn(domain, task) &&
        tool?.writes &&
        domain.violates(readCall(domain, call), session.store, session.transcript);
      if (broken) return `the expert's ${spell(call)} breaks a rule: ${broken}`;
      await session.act(turn);
    }
    if (session.outcome().success) return null;
    const { stateMatches, outputsSaid } = session.outcome();
    const what = !stateMatches ? "another state" : !outputsSaid ? "outputs unsaid" : "what had to be said unsaid";
    return `the expert fails (${session.ending}, ${what})`;
  },
};

/** The one gate that looks at more than one task. */
const DUPLICATE = "different";

/** What is wrong with one task. */
export async function failures(domain: Domain, task: Task): Promise<Failure[]> {
  return (await examine(domain, task)).failures;
}

interface Examined {
  readonly failures: Failure[];
  readonly skipped: readonly string[];
}

async function examine(domain: Domain, task: Task): Promise<Examined> {
  const failures: Failure[] = [];
  const skipped: string[] = [];
  const tell = (gate: string, reason: string) => failures.push({ task: task.id, gate, reason });
  for (const [name, gate] of Object.entries(gates)) {
    // Calls that cannot be read would only be told of again by every gate that runs them.
    if (failures.length > 0 && failures[0].gate === "calls") skipped.push(name);
    else {
      const found = await attempt(gate, domain, task);
      if (found === "skip") skipped.push(name);
      else if (found !== null) tell(name, found);
    }
  }
  return { failures, skipped };
}

/** A domain that breaks under a task is a reason like any other. */
async function attempt(gate: Gate, domain: Domain, task: Task): Promise<Found> {
  try {
    return await gate(domain, task);
  } catch (error) {
    return `${error instanceof Error ? error.message : error}`;
  }
}

/** What a whole set came to. */
export interface Report {
  readonly tasks: number;
  /** Gate -> tasks that it looked at, tasks that failed it, and the first reason. */
  readonly gates: {
    readonly [gate: string]: { readonly checked: number; readonly failed: number; readonly first?: string };
  };
  /** Share of the tasks that doing nothing wins. */
  readonly inaction: number;
  /** Share of the tasks in which nothing may be written. */
  readonly withoutWrites: number;
  readonly failures: readonly Failure[];
}

/** Proves one task after the other and keeps count. */
export class Proof {
  readonly #domain: Domain;
  /** Gate -> tasks that it looked at. */
  readonly #checked = new Map([...Object.keys(gates), DUPLICATE].map((name) => [name, 0]));
  readonly #failures: Failure[] = [];
  /** Id of the task with this database, opening and actions. */
  readonly #seen = new Map<string, string>();
  #tasks = 0;
  #inaction = 0;
  #withoutWrites = 0;

  constructor(domain: Domain) {
    this.#domain = domain;
  }

  /** What is wrong with the task, beside those before it too. */
  async add(task: Task): Promise<readonly Failure[]> {
    const { failures, skipped } = await examine(this.#domain, task);
    const key = JSON.stringify([task.database, task.scenario.opening, task.actions]);
    const twin = this.#seen.get(key);
    if (twin !== undefined)
      failures.push({ task: task.id, gate: DUPLICATE, reason: `the same database, opening and actions as ${twin}` });
    else this.#seen.set(key, task.id);
    for (const [name, count] of this.#checked) if (!skipped.includes(name)) this.#checked.set(name, count + 1);
    this.#failures.push(...failures);
    this.#tasks++;
    if (passesIdle(this.#domain, task)) this.#inaction++;
    if (writes(this.#domain, task).length === 0) this.#withoutWrites++;
    return failures;
  }

  report(): Report {
    const row = ([name, checked]: [string, number]) => {
      const failed = this.#failures.filter(({ gate }) => gate === name);
      return [name, { checked, failed: failed.length, ...(failed.length && { first: failed[0].reason }) }];
    };
    return {
      tasks: this.#tasks,
      gates: Object.fromEntries([...this.#checked].map(row)),
      inaction: this.#inaction / this.#tasks,
      withoutWrites: this.#withoutWrites / this.#tasks,
      failures: this.#failures,
    };
  }
}

export async function validate(domain: Domain, tasks: readonly Task[], tell?: (done: number) => void): Promise<Report> {
  if (tasks.length === 0) throw new UsageError(`${domain.name}: no tasks to prove, expected at least one`);
  const proof = new Proof(domain);
  for (const [i, task] of tasks.entries()) {
    await proof.add(task);
    tell?.(i + 1);
  }
  return proof.report();
}

/** Could an agent have said it without knowing it? */
function isAccident(output: string): boolean {
  if (output.length < LEAST_CHARACTERS) return true;
  if (!/^[-+]?[\d.,]+$/.test(output)) return false;
  return output.replace(/[^\d]/g, "").replace(/^0+|0+$/g, "").length < LEAST_DIGITS;
}

/** Does a talk win in which the agent neither does nor says anything and the customer leaves? */
function passesIdle(domain: Domain, task: Task): boolean {
  const transcript: Entry[] = [{ role: "user", text: task.scenario.opening }];
  const store = fresh(domain, task);
  return verify({ domain, task, store, transcript, ending: "user-stop" }, domain.checkOutputs).success === 1;
}

/** Fresh data, and as it stands after each of the actions: what is refused may come between them. */
function* states(domain: Domain, task: Task): Generator<Store> {
  const done: WrittenCall[] = [];
  for (const next of [null, ...writes(domain, task)]) {
    if (next) done.push(next);
    const store = fresh(domain, task);
    for (const action of done) run(domain, store, action);
    yield store;
  }
}

function fresh(domain: Domain, { database }: Pick<Task, "database">): Store {
  return new Store(domain.database(database));
}

/** The actions that change something: not those that end the talk, nor the look-ups of imported truths. */
function writes(domain: Domain, { actions }: Task): WrittenCall[] {
  return actions.filter((action) => toolOf(domain, action)?.writes && !toolOf(domain, action)?.ends);
}

/** Is a task one that the domain made? An imported one it can neither read nor play by its own words. */
function isOwn(domain: Domain, { family }: Task): boolean {
  return domain.families.includes(family);
}

function toolOf(domain: Domain, { name }: WrittenCall): Tool | undefined {
  return domain.tools.find((tool) => tool.name === name);
}

function run(domain: Domain, store: Store, call: WrittenCall) {
  return callTool(toolOf(domain, call)!, store, readCall(domain, call).arguments);
}

/** Why a session would not act on a call, or null. */
function misshapen(domain: Domain, call: WrittenCall): string | null {
  const opened = openCall(domain, call);
  if (opened.reason === null) return null;
  if (opened.reason === "unknown-tool") return `${call.name} is no tool of ${domain.name}`;
  return `${spell(call)}: ${opened.observation.replace("Error: ", "")}`;
}

function spell({ name, arguments: json }: WrittenCall): string {
  return `${name} ${json}`;
}
