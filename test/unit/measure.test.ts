// Measuring: what a server spoils is played again and never a zero; an evaluation that was killed goes on to the same
// bytes; models behind an API play under the same rules, customers too.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Config, resolveConfig } from "../../src/config/config.ts";
import { agents, type Evaluation } from "../../src/eval/evaluate.ts";
import { ruleJudge } from "../../src/judge/rules.ts";
import { type Measured, measure, measureAgent } from "../../src/measure.ts";
import { openTasks, type Played, perform } from "../../src/play.ts";
import type { Attempt } from "../../src/rollout/collect.ts";
import { Results } from "../../src/run/results.ts";
import { writeSet } from "../../src/tasks/set.ts";
import type { Rollout } from "../../src/types.ts";
import { type Behaviour, fine, llmServer } from "../llm-server.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-measure-"));
test.after(() => fs.rmSync(dir, { recursive: true }));
const configOf = (values: Partial<Config>): Config =>
  resolveConfig("embedded", { values: { evalTasks: 5, trials: 3, ...values }, label: String });
const say = (content: string): Behaviour => ({ do: "say", message: { role: "assistant", content } });

/** The oracle, and a word about each conversation before it is handed on. */
async function oracle(
  config: Config,
  change: (rollout: Rollout, attempt: Attempt) => Rollout = (rollout) => rollout,
): Promise<{ played: Played; measured: Measured }> {
  const played = await openTasks(config);
  const { domain } = played;
  const play = async (attempt: Attempt) =>
    change(await perform(played, attempt, agents.oracle(domain, attempt.task, attempt.seed)!, config), attempt);
  return { played, measured: { agent: "oracle", sampling: null, play, decode: () => "" } };
}
const broken = (rollout: Rollout): Rollout => ({
  ...rollout,
  ending: "user-fault",
  error: "status 500",
  outcome: { ...rollout.outcome, success: 0 },
});
/** A chat that answers nothing: it says that a server takes part. */
const chat = (stopped: () => Error | null = () => null, dollars = () => 0) =>
  ({
    counts: () => ({ calls: 0, retries: 0, cached: 0, failures: {}, dollars: dollars() }),
    stopped,
  }) as unknown as Measured["chat"];
const bill = { calls: 1, inputTokens: 10, outputTokens: 5, dollars: 0.25 };

test("what a server spoils is played again up to two times, then left out", async () => {
  const config = configOf({});
  const tries = new Map<string, number>();
  const { played, measured } = await oracle(config, (rollout, { task, sample }) => {
    const key = `${task.id} ${sample}`;
    tries.set(key, (tries.get(key) ?? 0) + 1);
    const fails = sample === 1 ? 2 : sample === 2 ? 9 : 0; // the second comes right at last, the third never
    return tries.get(key)! <= fails ? broken({ ...rollout, bill }) : { ...rollout, bill };
  });
  const found = await measure(config, played, ruleJudge(played.domain), { ...measured, chat: chat() });
  assert.equal(found.pass, [1, 1], "two of three trials of each task came to an end");
  assert.equal(found.published, [2 / 3, 1 / 3, 0]);
  assert.equal([found.played, found.faults, found.replays], [15, 5, 20]);
  assert.equal(found.causes, { outage: 5 });
  assert.is(found.cost!.calls, 5 + 15 + 15, "every try is paid for");
  assert.is(found.error, "status 500");
  assert.is(found.stopped, undefined);
});

test("without a server nothing is played again: it would come out the same", async () => {
  const config = configOf({ evalTasks: 2, trials: 1 });
  let plays = 0;
  const { played, measured } = await oracle(config, (rollout) => {
    plays++;
    return broken(rollout);
  });
  const found = await measure(config, played, ruleJudge(played.domain), measured);
  assert.equal([plays, found.faults, found.pass], [2, 2, []]);
});

test("a server that is down, a spent budget and Ctrl-C end an evaluation, which says so", async () => {
  const config = configOf({ evalTasks: 100, concurrent: 1, budget: 3 });
  const run = async (change: (rollout: Rollout) => Rollout, ...made: Parameters<typeof chat>) => {
    const { played, measured } = await oracle(config, change);
    return measure(config, played, ruleJudge(played.domain), { ...measured, chat: chat(...made) });
  };
  const down = await run(broken);
  assert.is(down.stopped, "20 conversations in a row were spoiled, the last one: status 500");
  assert.is(down.played, 20);

  let dollars = 0;
  const poor = await run(
    (rollout) => {
      dollars++;
      return rollout;
    },
    () => null,
    () => dollars,
  );
  assert.equal([poor.stopped, poor.played, poor.pass[0]], ["the budget of 3 dollars is spent", 3, 1]);

  const refused = await run(broken, () => new Error("the key is refused"));
  assert.equal([refused.stopped, refused.played], ["the key is refused", 0]);

  const abort = new AbortController();
  const { played, measured } = await oracle(config, (rollout, { sample }) => {
    if (sample === 1) abort.abort();
    return rollout;
  });
  const stopped = await measure(config, played, ruleJudge(played.domain), measured, { signal: abort.signal });
  assert.equal([stopped.stopped, stopped.played], ["interrupted", 2]);
});

test("an evaluation that was stopped goes on to the same bytes, and plays nothing twice", async () => {
  const config = configOf({ concurrent: 4 });
  const play = async (name: string, most: number, signal?: AbortSignal, abort?: () => void) => {
    const results = Results.open(join(dir, name), { "--agent": "oracle" });
    let plays = 0;
    const { played, measured } = await oracle(config, (rollout) => {
      if (++plays === most) abort!();
      return rollout;
    });
    const found = await measure(config, played, ruleJudge(played.domain), measured, { results, signal });
    results.close();
    return { found, plays };
  };
  const straight = await play("straight", 0);
  assert.is(straight.plays, 15);
  const abort = new AbortController();
  const first = await play("stopped", 6, abort.signal, () => abort.abort());
  assert.is(first.found.stopped, "interrupted");
  fs.appendFileSync(join(dir, "stopped/rollouts.jsonl"), '{"task":');
  const second = await play("stopped", 0);
  assert.is(first.found.played + second.plays, 15);
  assert.equal(second.found, straight.found);
  const read = (name: string) => fs.readFileSync(join(dir, name, "rollouts.jsonl"), "utf8");
  assert.is(read("stopped"), read("straight"));
  assert.is((await play("stopped", 0)).plays, 0);
});

test("disturbed customers leave their mark, and the score of doing nothing stands beside", async () => {
  const oracle = await measureAgent(configOf({ evalTasks: 20, disturbances: 1 }), "oracle");
  const { none, ...kinds } = oracle.disturbances!;
  assert.ok(Object.keys(kinds).length > 1, Object.keys(kinds).join());
  assert.equal(oracle.setting.user, { kind: "scripted", disturbances: 1 });
  assert.is(oracle.inaction, 0);
});

test("a model behind an API is measured as an agent; its answers are counted and priced", async () => {
  const server = await llmServer([], say("I am sorry, I cannot do that."));
  try {
    const access = { agentURL: server.url, agentPrices: "100000,0" };
    const config = configOf({ evalTasks: 4, trials: 1 });
    const found = await measureAgent(config, "openai:m", { access });
    assert.equal(found.setting.sampling, { temperature: 1, maxTokens: 96 });
    assert.is(found.endings["user-stop"], 4, "the customer accepts a refusal");
    assert.equal(found.cost, { calls: 4, inputTokens: 40, outputTokens: 20, dollars: 4 });
    assert.equal(found.requests, { calls: 4, retries: 0, cached: 0, failures: {} });
    assert.is(server.seen[0].body.max_tokens, 96);
    assert.ok(server.seen[0].body.tools.length > 3);
  } finally {
    await server.close();
  }
});

test("a hostile server spoils no score: evaluations end, and every failure is counted", async () => {
  const script: Behaviour[] = [
    { do: "stall-headers" },
    { do: "stall-body" },
    { do: "drop" },
    { do: "raw", text: "<html>busy</html>", type: "text/html" },
    { do: "raw", text: '{"choices": [' },
    { do: "raw", text: "{}" },
    { do: "status", status: 429, headers: { "retry-after-ms": "1" } },
    { do: "status", status: 500 },
  ];
  const server = await llmServer(script, say("I cannot do that."));
  try {
    const config = configOf({ evalTasks: 3, trials: 1, apiTimeout: 1, apiRetries: 0, concurrent: 1 });
    const found = await measureAgent(config, "openai:m", { access: { agentURL: server.url } });
    // Eight failures of one try each: conversations 1 and 2 are broken off three times, the third one twice.
    assert.equal([found.played, found.faults, found.replays], [3, 2, 6]);
    assert.equal(found.published[0] <= found.pass[0], true);
    const { failures } = found.requests!;
    assert.equal(failures, { timeout: 2, connection: 1, "not-json": 2, "no-choice": 1, "http-429": 1, "http-500": 1 });
    assert.match(found.error!, /m at http:.*: /);
  } finally {
    await server.close();
  }
});

test("a model plays the customer: its faults stand beside the score, its cache answers the second time", async () => {
  const server = await llmServer([], ({ body }) =>
    say(body.messages.length > 4 ? "Fine, bye. [GOODBYE]" : "My order is #W9999999, please hurry."),
  );
  try {
    const options = { user: "llm", userModel: "c", userUrl: server.url, cache: join(dir, "cache") } as const;
    const config = configOf({ ...options, evalTasks: 2, trials: 1, turns: 6 });
    const found = await measureAgent(config, "refuse");
    assert.equal(found.setting.user, { kind: "llm", model: "c", temperature: 1 });
    assert.ok(found.userFaults.invented! >= 2, JSON.stringify(found.userFaults));
    assert.is(found.causes["user-fault"], 2);
    const asked = server.seen.length;
    assert.is(found.requests!.calls, asked);
    const again = await measureAgent(config, "refuse");
    assert.is(server.seen.length, asked, "nothing is asked twice");
    assert.equal([again.requests!.calls, again.requests!.cached, again.cost!.calls], [0, asked, 0]);
    const without = ({ cost, requests, ...rest }: Evaluation) => rest;
    assert.equal(without(again), without(found));
  } finally {
    await server.close();
  }
});

test("a customer's model that answers no more is no failure of the agent", async () => {
  const server = await llmServer([fine, fine], { do: "status", status: 401 });
  try {
    const config = configOf({ user: "llm", userModel: "c", userUrl: server.url, concurrent: 1 });
    const found = await measureAgent(config, "refuse");
    assert.match(found.stopped!, /status 401/);
    assert.equal([found.faults, found.pass], [0, []]);
  } finally {
    await server.close();
  }
});

test("a set is played as it wants it: its tasks, policy text, tools, outputs and data", async () => {
  const shopTasks = (await openTasks(configOf({}))).tasks;
  const [task, other] = shopTasks.heldOut(2, 0);
  const splits = { train: [other], "held-out": [task] };
  writeSet(join(dir, "set"), {
    kind: "tasks",
    domain: "shop",
    source: "test",
    policy: "Be kind.",
    checkOutputs: true,
    splits,
  });
  const { domain, tasks, origin } = await openTasks(configOf({ tasks: join(dir, "set") }));
  assert.equal([domain.policy, domain.checkOutputs, origin], ["Be kind.", true, join(dir, "set")]);
  assert.equal([tasks.train(1, 1, 0), tasks.heldOut(9), tasks.split], [[other], [task], "held-out"]);
  assert.ok(domain.database(task.database).size > 0, "without data of its own the domain's are played");

  fs.mkdirSync(join(dir, "data"));
  for (const table of ["users", "orders", "products"])
    fs.writeFileSync(join(dir, "data", `${table}.json`), table === "users" ? '{"ann": {"age": 1.0}}' : "{}");
  const refund = {
    ...task,
    id: "r",
    domain: "retail",
    actions: [],
    outputs: [],
    scenario: { ...task.scenario, style: "terse" as const },
  };
  const draft = {
    kind: "tasks",
    domain: "retail",
    source: "test",
    data: "../data",
    splits: { test: [refund] },
  } as const;
  writeSet(join(dir, "desk"), draft);
  const desk = await openTasks(configOf({ tasks: join(dir, "desk"), domain: "retail" }));
  assert.equal([...desk.domain.database(7).get("users")!.keys()], ["ann"]);
  const wrong = await openTasks(configOf({ tasks: join(dir, "desk") })).catch((error) => error);
  assert.match(wrong.message, /a set of the domain retail, played on shop$/);
});

test("models need a server or a key, and a budget needs prices", async () => {
  const fails = async (values: Partial<Config>, name: string, message: RegExp, access = {}) => {
    const error = await measureAgent(configOf(values), name, { access }).catch((error) => error);
    assert.match(error.message, message);
  };
  await fails({}, "openai:m", /^--agent openai:m: expected a key in OPENAI_API_KEY, or a server of your own/);
  await fails({ user: "llm", userModel: "c" }, "refuse", /^--user-model c: expected a key in OPENAI_API_KEY/);
  const agentURL = "http://localhost:1";
  await fails({ budget: 1 }, "openai:m", /^--budget 1 with --agent openai:m: expected the prices/, { agentURL });
  await fails({}, "openai:m", /^--agent openai:m: base URL nowhere: expected http/, { agentURL: "nowhere" });
});

test.run();
