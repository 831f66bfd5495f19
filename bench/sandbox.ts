// How fast is the sandbox beside tau-bench's own Python? The same data, tasks and calls in one run, the two sides in
// alternation: tool calls, session starts, and the whole replay of retail's training tasks with their comparison; and
// what a thousand sessions at once take of memory. No model plays. The other side: tau_bench.py.
// Run: TAU_BENCH=<checkout> npm run bench -- sandbox

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { domain } from "../src/domains/index.ts";
import { at, type Dict, dumps, parse } from "../src/domains/python.ts";
import { Store } from "../src/domains/store.ts";
import { callTool, readCall } from "../src/domains/tool.ts";
import { root } from "../src/root.ts";
import { readDatabase } from "../src/sandbox/replay.ts";
import { Session } from "../src/sandbox/session.ts";
import type { AgentTurn, Domain, Task, User, WrittenCall } from "../src/types.ts";
import { golden } from "../test/golden.ts";
import { close, line, machine, type Spread, seconds, spread } from "./common.ts";
import { Peer } from "./peers.ts";

const REPEATS = 5;
/** Of the list of calls, in one measurement, of which the best counts: a pass is shorter than a slice of time. */
const PASSES = 50;
/** Sessions started in one measurement: here, and there, where each reads its data from the disk. */
const STARTS = { tarl: 2000, tauBench: 20 };
const SESSIONS = 1000;

const silent: User = { open: async () => "", reply: async () => ({ text: "", done: true }) };
const goodbye: AgentTurn = { text: "Goodbye.", calls: [], invalid: null };

/** Rates of both sides. */
interface Comparison {
  readonly tarl: Spread;
  readonly tauBench: Spread;
}

type Written = Pick<Task, "instruction" | "actions" | "outputs">;

interface Memory {
  readonly sessions: number;
  readonly residentMiB: number;
}

interface Opened {
  readonly versions: Readonly<Record<string, string>>;
  /** Retail's splits, and airline's only one. */
  readonly train: readonly Written[];
  readonly test: readonly Written[];
  readonly airline: readonly Written[];
}

/** A domain on tau-bench's own data, and tau-bench's tasks. */
interface Stage {
  readonly domain: Domain;
  readonly tasks: readonly Task[];
}

async function stage(name: "retail" | "airline", checkout: string, tasks: readonly Written[]): Promise<Stage> {
  const chosen = await domain(name);
  const database = readDatabase(chosen, join(checkout, "tau_bench", "envs", name, "data"));
  return {
    // What has to be said where nothing is to be changed is known of the domain's own tasks alone.
    domain: { ...chosen, database: () => database, answered: undefined },
    tasks: tasks.map((task, i) => ({
      ...task,
      id: `tau-bench/${name}/${i}`,
      domain: name,
      family: "tau-bench",
      database: 0,
      scenario: { opening: "", facts: {}, fallback: "" },
    })),
  };
}

/** One round to warm up, then REPEATS that count. */
async function alternate(round: (repeat: number) => Promise<[ours: number, theirs: number]>): Promise<Comparison> {
  await round(-1);
  const rates: [number, number][] = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) rates.push(await round(repeat));
  return { tarl: spread(rates.map(([ours]) => ours)), tauBench: spread(rates.map(([, theirs]) => theirs)) };
}

/** The calls of a list that succeed when all of it is executed on one state, so that none of them raises or ends it. */
function succeeding(domain: Domain, calls: readonly WrittenCall[]): WrittenCall[] {
  const store = new Store(domain.database(0));
  return calls.filter((call) => {
    const tool = domain.tools.find(({ name }) => name === call.name);
    return tool && !tool.ends && !callTool(tool, store, readCall(domain, call).arguments).failed;
  });
}

/** Each side takes a call as a model writes it, with JSON for arguments, through the step of its own sandbox. */
async function compareCalls({ domain, tasks: [task] }: Stage, calls: readonly WrittenCall[], peer: Peer) {
  const turns = calls.map((call): AgentTurn => ({ text: "", calls: [call], invalid: null }));
  await peer.ask("prepare", { calls });
  return alternate(async () => {
    const observations: string[] = [];
    let ours = Number.POSITIVE_INFINITY;
    for (let pass = 0; pass < PASSES; pass++) {
      const session = new Session(domain, task, silent, { turns: Number.POSITIVE_INFINITY });
      await session.start();
      observations.length = 0;
      const time = await seconds(async () => {
        for (const turn of turns) observations.push((await session.act(turn)).messages[0].text);
      });
      ours = Math.min(ours, time);
    }
    const theirs = await peer.ask<{ seconds: number; observations: string }>("calls", { passes: PASSES });
    if (createHash("sha256").update(observations.join("\n")).digest("hex") !== theirs.observations)
      throw new Error("the two sides observe different things");
    return [calls.length / ours, calls.length / theirs.seconds];
  });
}

async function compareStarts(domain: Domain, tasks: readonly Task[], peer: Peer): Promise<Comparison> {
  return alternate(async () => {
    const ours = await seconds(async () => {
      for (let i = 0; i < STARTS.tarl; i++) await new Session(domain, tasks[i % tasks.length], silent).start();
    });
    const theirs = await peer.ask<{ seconds: number }>("starts", { count: STARTS.tauBench });
    return [STARTS.tarl / ours, STARTS.tauBench / theirs.seconds];
  });
}

/** All tasks here, and a slice of them there: after REPEATS measurements they have all been replayed on both sides. */
async function compareReplay(domain: Domain, tasks: readonly Task[], peer: Peer): Promise<Comparison> {
  const slice = tasks.length / REPEATS;
  return alternate(async (repeat) => {
    let successes = 0;
    const ours = await seconds(async () => {
      for (const task of tasks) successes += await replay(domain, task);
    });
    const request = repeat < 0 ? { first: 0, count: 1 } : { first: repeat * slice, count: slice };
    const theirs = await peer.ask<{ seconds: number; successes: number }>("replay", request);
    if (successes !== tasks.length || theirs.successes !== request.count)
      throw new Error(`${successes} of ${tasks.length} succeed here, ${theirs.successes} of ${request.count} there`);
    return [tasks.length / ours, request.count / theirs.seconds];
  });
}

/** A session from its start over the task's own actions to its outcome. */
async function replay(domain: Domain, task: Task): Promise<number> {
  const session = new Session(domain, task, silent, { checkOutputs: false });
  await session.start();
  await act(session);
  await session.act(goodbye);
  return session.outcome().success;
}

/** The calls of the session's own task. */
async function act(session: Session): Promise<void> {
  for (const call of session.task.actions) {
    if (session.ending) return;
    await session.act({ text: "", calls: [call], invalid: null });
  }
}

function show(what: string, unit: string, comparison: Comparison): void {
  process.stdout.write(`${what}\n`);
  line("  tarl", comparison.tarl, unit);
  line("  tau-bench", comparison.tauBench, unit);
  process.stdout.write(`  ${ratio(comparison).toFixed(1)}x, best against best\n`);
}

function ratio({ tarl, tauBench }: Comparison): number {
  return tarl.high / tauBench.high;
}

/** Calls of the recorded odd cases that do succeed, where the recordings are there. */
function recorded(): WrittenCall[] {
  const folder = golden("tau-bench");
  if (!folder) return [];
  const lines = readFileSync(join(folder, "retail_adversarial.jsonl"), "utf8").split("\n").filter(Boolean);
  const steps = lines.map((text) => parse(text) as Dict);
  return steps.map((step) => ({ name: at(step, "name") as string, arguments: dumps(at(step, "kwargs")) }));
}

/** Sessions at once, each with its task's own calls made, which stay alive to their comparison: MiB of the process. */
async function measureMemory({ domain, tasks }: Stage): Promise<Memory> {
  const sessions = Array.from({ length: SESSIONS }, (_, i) => new Session(domain, tasks[i % tasks.length], silent));
  for (const session of sessions) await session.start();
  for (const session of sessions) await act(session);
  const residentMiB = process.memoryUsage().rss / 2 ** 20;
  if (sessions.some((session) => !session.outcome().stateMatches)) throw new Error("a session has another's state");
  return { sessions: SESSIONS, residentMiB };
}

const checkout = process.env.TAU_BENCH ?? "";
if (existsSync(join(checkout, "tau_bench", "envs"))) {
  const peer = new Peer("python3", join(root, "bench", "tau_bench.py"));
  try {
    const { versions, ...written } = await peer.ask<Opened>("open", { checkout });
    const { domain, tasks } = await stage("retail", checkout, written.train);
    const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
    process.stdout.write(`${machine.cpu}, Node ${machine.node}, ${names.join(", ")}\n`);

    // The test split's look-ups and changes, as an agent makes them, beside the training split's, which are changes alone.
    const mixed = succeeding(domain, [...written.test.flatMap(({ actions }) => actions), ...recorded()]);
    const calls = await compareCalls({ domain, tasks }, mixed, peer);
    show(`tool calls, ${mixed.length} in a row, look-ups and changes`, "calls/s", calls);
    const changes = succeeding(
      domain,
      tasks.flatMap(({ actions }) => actions),
    );
    const writes = await compareCalls({ domain, tasks }, changes, peer);
    show(`tool calls, ${changes.length} in a row, changes alone`, "calls/s", writes);
    const starts = await compareStarts(domain, tasks, peer);
    show("session starts", "starts/s", starts);
    const replays = await compareReplay(domain, tasks, peer);
    show(`replay of ${tasks.length} tasks`, "tasks/s", replays);
    const memory = await measureMemory(await stage("airline", checkout, written.airline));
    process.stdout.write(`${memory.sessions} sessions at once: ${Math.round(memory.residentMiB)} MiB resident\n`);
    const ratios = {
      tool_calls: ratio(calls),
      writes: ratio(writes),
      session_starts: ratio(starts),
      replay: ratio(replays),
    };
    close("sandbox", { versions, ratios, tool_calls: calls, writes, session_starts: starts, replay: replays, memory });
  } finally {
    peer.close();
  }
} else {
  process.stdout.write("skipped: TAU_BENCH names no checkout of tau-bench\n");
  const ratios = { tool_calls: null, session_starts: null, replay: null };
  close("sandbox", { versions: null, ratios });
}
