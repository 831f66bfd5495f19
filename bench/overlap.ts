// What does a slow judge cost? Updates of the default run with a judge behind an API that answers after --latency seconds,
// beside the same updates with one that answers at once: both are served here, give the same verdicts and so make the same
// policy. Each side is a run of the real command in a process of its own, the two in turns; the first update of each does not
// count. --ahead is handed to the runs. Run: npm run bench -- overlap. Test: test/e2e/overlap.test.ts

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { presets } from "../src/config/config.ts";
import { UsageError } from "../src/errors.ts";
import { type LlmServer, llmServer, type Seen } from "../test/llm-server.ts";
import { endOf, startTarl } from "./command.ts";
import { attempt, close, keep, line, machine, say, spread } from "./common.ts";
import { describeMachine, processor } from "./machine.ts";
import { readTyped, type Typed, wholeOf } from "./options.ts";

/** Seconds of each update but the first, and what the run found. */
interface Run {
  readonly seconds: readonly number[];
  readonly metrics: string;
}

/** A judge that finds every third turn, by the length of its line, neither good nor bad. */
function verdictOn({ body }: Seen): string {
  const asked = body.messages.find(({ role }: { role: string }) => role === "user");
  const { turns, conversation } = JSON.parse(asked.content);
  const lengths = new Map<number, number>();
  for (const line of conversation) if (line.role === "agent") lengths.set(line.turn, JSON.stringify(line).length);
  const scores = Array.from({ length: turns }, (_, i) => ((lengths.get(i + 1) ?? 0) % 3 ? 1 : 0));
  return JSON.stringify({ turns: scores.map((score, i) => ({ turn: i + 1, reason: "By its length.", score })) });
}

function judgeAfter(seconds: number): Promise<LlmServer> {
  return llmServer([], async (seen) => {
    await delay(1000 * seconds);
    return { do: "say", message: { role: "assistant", content: verdictOn(seen) } };
  });
}

async function train(runs: string, name: string, url: string, flags: readonly string[]): Promise<Run> {
  const judge = ["--judge", "llm", "--judge-model", "stand-in", "--judge-url", url, "--cache", "none"];
  const args = ["--algo", "grpo", "--tarl", ...judge, ...flags, "--eval-tasks", "0", "--runs", runs, "--run", name];
  const child = startTarl(args, { OPENAI_API_KEY: "none" });
  const times: number[] = [];
  child.stdout.on("data", (chunk: Buffer) => {
    for (const _ of String(chunk).matchAll(/^step \d+\//gm)) times.push(performance.now());
  });
  const { code, why } = await endOf(child);
  if (code !== 0) throw new UsageError(why);
  return {
    seconds: times.slice(1).map((time, i) => (time - times[i]) / 1000),
    metrics: readFileSync(join(runs, name, "metrics.jsonl"), "utf8"),
  };
}

type Side = "instant" | "slow";

/** Runs of both sides, [repeat], in turns; throws where a pair did not learn the same. */
async function measure(latency: number, repeats: number, flags: readonly string[]): Promise<Record<Side, Run>[]> {
  const runs = mkdtempSync(join(tmpdir(), "tarl-overlap-"));
  const [prompt, late] = [await judgeAfter(0), await judgeAfter(latency)];
  const pairs: Record<Side, Run>[] = [];
  try {
    for (let repeat = 0; repeat < repeats; repeat++) {
      const instant = await train(runs, `instant-${repeat}`, prompt.url, flags);
      const slow = await train(runs, `slow-${repeat}`, late.url, flags);
      if (instant.metrics !== slow.metrics) throw new Error("the two sides did not learn the same: no ratio");
      pairs.push({ instant, slow });
    }
    return pairs;
  } finally {
    await prompt.close();
    await late.close();
    rmSync(runs, { recursive: true, force: true });
  }
}

async function compare(typed: Typed): Promise<void> {
  const { embedded: own } = presets;
  const whole = (name: string, value: number) => wholeOf(typed, name, value);
  const latency = numberOf(typed, "latency", 2);
  const [repeats, updates, threads] = [whole("repeats", 3), whole("steps", 6), whole("threads", machine.threads)];
  const [tasks, group] = [whole("tasks-per-step", own.tasksPerStep), whole("samples", own.samples)];
  const values = { steps: updates + 1, "tasks-per-step": tasks, samples: group, threads, decay: "none" };
  const flags = Object.entries({ ...values, ...(typed.ahead && { ahead: typed.ahead }) });
  say(`overlap: ${updates} updates of ${tasks} x ${group} rollouts, ${repeats} times`);
  say(describeMachine(threads));
  const pairs = await measure(
    latency,
    repeats,
    flags.flatMap(([name, value]) => [`--${name}`, String(value)]),
  );
  const of = (side: Side) => spread(pairs.flatMap((pair) => pair[side].seconds));
  const seconds = { instant: of("instant"), slow: of("slow") };
  line("instant judge", seconds.instant, "s an update");
  line(`${latency} s a verdict`, seconds.slow, "s an update");
  const ratios = { "slow over instant": seconds.slow.median / seconds.instant.median };
  const byRepeat = pairs.map(({ instant, slow }) => spread(slow.seconds).median / spread(instant.seconds).median);
  const each = byRepeat.map((ratio) => ratio.toFixed(3)).join(", ");
  say(`ratio ${ratios["slow over instant"].toFixed(3)}, median against median; by repeat ${each}`);
  const run = { model: "embedded", dtype: own.dtype, device: "cpu", batch: tasks * group, group, threads };
  const ahead = typed.ahead ?? "auto";
  const asked = { latency, ahead, repeats, updates };
  const figures = { features: processor.features, ...run, ...asked, seconds, ratios, byRepeat };
  if (typed.save !== undefined)
    keep(
      "overlap",
      `overlap-${latency}s-${ahead}-b${tasks * group}-g${group}-${processor.slug}-${threads}t.json`,
      figures,
    );
  close("overlap", figures);
}

function numberOf(typed: Typed, name: string, value: number): number {
  const given = typed[name];
  if (given === undefined) return value;
  if (!/^\d{0,4}\.?\d{1,3}$/.test(given)) throw new UsageError(`--${name} ${given}: expected a number of 0 or more`);
  return Number(given);
}

const NAMES = ["latency", "steps", "repeats", "ahead", "tasks-per-step", "samples", "threads"];
await attempt("overlap", () => compare(readTyped(process.argv.slice(2), NAMES)));
