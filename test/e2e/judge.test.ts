// Training with a judge behind an API, by the real command, against a server that judges well, not at all, or at a price:
// the run goes on, every abstention is counted by its kind, none is a zero, and what was answered is not asked again.
// time limit: 600 s

import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { tarlArgs } from "../../bench/command.ts";
import type { StepLine } from "../../src/run/metrics.ts";
import type { Timing } from "../../src/run/observer.ts";
import { type Behaviour, llmServer, type Seen } from "../llm-server.ts";
import { judgeAsModel } from "../standin.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-judge-"));
test.after(() => fs.rmSync(dir, { recursive: true }));

/** Rollouts of an update; a run has two where it says nothing else. */
const ROLLOUTS = 8;
const run = "--tarl --tasks-per-step 2 --samples 4 --eval-tasks 0 --seed 3 --threads 1".split(" ");
const model = "--judge llm --judge-model j --api-retries 0".split(" ");

interface Ended {
  readonly code: number | null;
  readonly out: string;
}

/** `url`: the server of the model that judges; null: the rules do. */
function tarl(url: string | null, ...args: string[]): Promise<Ended> {
  const { OPENAI_API_KEY, OPENAI_BASE_URL, TARL_JUDGE_API_KEY, ...env } = process.env;
  const steps = args.includes("--steps") ? [] : ["--steps", "2"];
  const line = [...run, ...(url ? model : []), ...steps, ...args];
  const child = spawn(process.execPath, tarlArgs(line), {
    cwd: dir,
    env: { ...env, ...(url && { OPENAI_BASE_URL: url }) },
  });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (out += chunk));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out })));
}

const read = (name: string, file: string) => fs.readFileSync(join(dir, "runs", name, file), "utf8");
function lines<T>(name: string, file: string): T[] {
  return read(name, file)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as T);
}
const metrics = (name: string) => lines<StepLine>(name, "metrics.jsonl");

interface Line {
  readonly scores: readonly number[] | null;
  readonly abstained?: string;
  readonly reward: number;
  readonly class: string;
  readonly advantage: number | null;
  readonly outcome: { readonly success: 0 | 1 };
}
const rollouts = (name: string) =>
  metrics(name).flatMap(({ step }) => lines<Line>(name, `rollouts/step-${step}.jsonl`));

const judge = ({ body }: Seen): Behaviour => ({
  do: "say",
  message: { role: "assistant", content: judgeAsModel(body.messages) },
  usage: { prompt_tokens: 1000, completion_tokens: 100 },
});

/** With a server of its own. */
async function against(
  otherwise: Behaviour | ((seen: Seen) => Behaviour),
  work: (url: string, seen: Seen[]) => Promise<void>,
) {
  const server = await llmServer([], otherwise);
  try {
    await work(server.url, server.seen);
  } finally {
    await server.close();
  }
}

/** A rollout without a verdict is worth its outcome and no more: no turn of it counts as 0, or as anything. */
function assertUnjudged({ scores, reward, class: kind, outcome }: Line): void {
  assert.equal([scores, kind, reward], [null, "unjudged", 10 * outcome.success]);
}

test("the same run twice uses the cache, makes no call, and has the same bytes", () =>
  against(judge, async (url, seen) => {
    const cache = ["--cache", join(dir, "cache"), "--judge-prices", "2,8"];
    const first = await tarl(url, ...cache, "--run", "asks");
    assert.is(first.code, 0, first.out);
    assert.match(first.out, /judge j: 16 verdicts, at most about .* tokens in and .* out, 0\.\d\d dollars/);
    assert.ok(seen.length > 0 && seen.length <= 2 * ROLLOUTS, "equal conversations may share a verdict");
    for (const { abstained, abstentions, rewardTurns } of metrics("asks")) {
      assert.equal([abstained, abstentions], [0, {}]);
      assert.ok(rewardTurns > 0);
    }
    const took = lines<Timing>("asks", "timing.jsonl").map(({ verdicts }) => verdicts!);
    const sum = (name: "calls" | "inputTokens" | "dollars") => took.reduce((total, each) => total + each[name], 0);
    assert.is(sum("calls"), seen.length);
    assert.is(sum("inputTokens"), 1000 * seen.length);
    assert.ok(Math.abs(sum("dollars") - 0.0028 * seen.length) < 1e-9, "2 and 8 dollars for a million");

    const asked = seen.length;
    const again = await tarl(url, ...cache, "--run", "knows");
    assert.is(again.code, 0, again.out);
    assert.is(seen.length, asked, "nothing is asked again");
    assert.match(again.out, `judge: 0 requests, 16 answers from the cache`);
    for (const file of ["metrics.jsonl", "rollouts/step-1.jsonl", "rollouts/step-2.jsonl"])
      assert.is(read("knows", file), read("asks", file), file);
  }));

for (const [kind, otherwise, more, requests] of [
  ["timeout", { do: "stall-headers" }, ["--judge-deadline", "1"], 1],
  ["http-500", { do: "status", status: 500 }, [], 1],
  ["connection", { do: "drop" }, [], 1],
  [
    "invalid",
    { do: "say", message: { role: "assistant", content: "All turns were fine." } },
    ["--judge-tries", "2"],
    2,
  ],
  ["no-choice", { do: "raw", text: "{}" }, [], 1],
] as [string, Behaviour, string[], number][])
  test(`a judge that is of no use (${kind}): the run goes on without verdicts`, () =>
    against(otherwise, async (url, seen) => {
      const { code, out } = await tarl(url, ...more, "--steps", "1", "--run", kind);
      assert.is(code, 0, out);
      assert.is(seen.length, ROLLOUTS * requests);
      for (const { abstained, abstentions, excluded } of metrics(kind))
        assert.equal([abstained, abstentions, excluded], [ROLLOUTS, { [kind]: ROLLOUTS }, 0]);
      for (const line of rollouts(kind)) {
        assert.is(line.abstained, kind);
        assertUnjudged(line);
        assert.ok(line.advantage !== null, "it is learned from by its outcome");
      }
    }));

test("some verdicts fail, each in its way: counted by kind, left out where the run says so", () => {
  const ways: readonly [string, Behaviour][] = [
    ["http-503", { do: "status", status: 503 }],
    ["not-json", { do: "raw", text: "<html>" }],
    ["refused", { do: "say", message: { role: "assistant", content: null, refusal: "No." } }],
  ];
  let asked = 0;
  const otherwise = (seen: Seen) => ways[asked++ % 5]?.[1] ?? judge(seen);
  return against(otherwise, async (url) => {
    const { code, out } = await tarl(url, "--judge-tries", "1", "--abstain", "drop", "--run", "some");
    assert.is(code, 0, out);
    const counts: Record<string, number> = {};
    for (const { abstained, abstentions, excluded } of metrics("some")) {
      assert.is(excluded, abstained);
      assert.is(
        Object.values(abstentions).reduce((sum, count) => sum + count, 0),
        abstained,
      );
      for (const [kind, count] of Object.entries(abstentions)) counts[kind] = (counts[kind] ?? 0) + count;
    }
    assert.equal(counts, { "http-503": 4, "not-json": 3, refused: 3 }); // requests 0 to 15, by fives
    for (const line of rollouts("some")) {
      assert.is(line.scores === null, line.abstained !== undefined);
      if (line.scores !== null) continue;
      assertUnjudged(line);
      assert.is(line.advantage, null);
    }
  });
});

for (const [name, limit, warned] of [
  ["money", ["--judge-prices", "100,1000", "--judge-budget", "0.5"], /WARNING: --judge-budget 0.5 may not last/],
  ["tokens", ["--judge-tokens", "2200"], /WARNING: --judge-tokens 2200 may not last/],
] as [string, string[], RegExp][])
  test(`a judge that costs too much (${name}): when it is spent the judge abstains, and says so once`, () =>
    against(judge, async (url, seen) => {
      const { code, out } = await tarl(url, ...limit, "--judge-concurrent", "1", "--run", name);
      assert.is(code, 0, out);
      assert.match(out, warned);
      assert.is(out.split("the judge abstains from now on: the budget of").length, 2, out);
      const paid = name === "money" ? 3 : 2; // 0.2 dollars, 1,100 tokens each
      assert.is(seen.length, paid);
      const [first, second] = metrics(name);
      assert.is(second.abstentions.budget, ROLLOUTS);
      assert.ok(first.abstentions.budget! >= ROLLOUTS - 2 * paid && first.abstentions.budget! <= ROLLOUTS - paid);
      for (const line of rollouts(name)) if (line.scores === null) assertUnjudged(line);
    }));

test("a key that is refused is tried once", () =>
  against({ do: "status", status: 401 }, async (url, seen) => {
    const { code, out } = await tarl(url, "--judge-concurrent", "1", "--run", "key");
    assert.is(code, 0, out);
    assert.is(seen.length, 1);
    assert.equal(
      metrics("key").map(({ abstentions }) => abstentions),
      [{ "http-401": ROLLOUTS }, { "http-401": ROLLOUTS }],
    );
    assert.match(out, /the judge abstains from now on: .*status 401/);
  }));

test("turns that are held back are learned from as any other, and sampler and trainer still agree", async () => {
  const { code, out } = await tarl(null, "--reflection", "1", "--steps", "1", "--run", "held");
  assert.is(code, 0, out);
  const [{ reflections, mismatch }] = metrics("held");
  const held = lines<{ transcript: { reason?: string }[]; turn: number[]; turns: number }>(
    "held",
    "rollouts/step-1.jsonl",
  );
  const counts = held.map(({ transcript }) => transcript.filter(({ reason }) => reason === "reflected").length);
  assert.is(reflections, counts.reduce((sum, count) => sum + count, 0) / ROLLOUTS);
  assert.ok(reflections > 0);
  assert.is(mismatch, 0);
  for (const { turn, turns } of held) assert.is(Math.max(...turn) + 1, turns, "every turn has tokens of its own");
});

test.run();
