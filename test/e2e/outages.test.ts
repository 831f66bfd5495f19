// `tarl eval` on the command line against a server that fails in every way it can: the evaluation ends, every failure is
// counted, no outage is a zero, and the same command goes on. And a broken tool stands beside the score.

import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { tarlArgs } from "../../bench/command.ts";
import { shop } from "../../src/domains/shop/index.ts";
import type { Evaluation } from "../../src/eval/evaluate.ts";
import { root } from "../../src/root.ts";
import { writeSet } from "../../src/tasks/set.ts";
import type { Task } from "../../src/types.ts";
import { GOODBYE } from "../../src/user/llm.ts";
import { ScriptedUser } from "../../src/user/scripted.ts";
import { type Behaviour, llmServer, type Seen } from "../llm-server.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-outages-"));
test.after(() => fs.rmSync(dir, { recursive: true }));

/** How requests fail, and what each failure is counted as. */
const failures: readonly (readonly [kind: string, behaviour: Behaviour])[] = [
  ["timeout", { do: "stall-headers" }],
  ["timeout", { do: "stall-body" }],
  ["connection", { do: "drop" }],
  ["connection", { do: "drop-body" }],
  ["not-json", { do: "raw", text: "<html>busy</html>", type: "text/html" }],
  ["not-json", { do: "raw", text: '{"choices": [' }],
  ["no-choice", { do: "raw", text: "{}" }],
  ["http-429", { do: "status", status: 429, headers: { "retry-after-ms": "1" } }],
  ["http-500", { do: "status", status: 500 }],
];
/** Requests of each kind that fail, where each of `failures` fails so many times. */
const counted = (times: number) => {
  const counts: Record<string, number> = {};
  for (const [kind] of failures) counts[kind] = (counts[kind] ?? 0) + times;
  return counts;
};

/** A task of each opening: all that a model sees of a conversation tells which one it is. */
function tasksOf(families: readonly string[], count: number): Task[] {
  const tasks = new Map<string, Task>();
  for (let seed = 1_000_001; tasks.size < count; seed++) {
    const task = shop.task(families[seed % families.length], seed, 0);
    if (task) tasks.set(task.scenario.opening, task);
  }
  return [...tasks.values()];
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function tarl(...args: string[]): Promise<Ended> {
  const { OPENAI_API_KEY, OPENAI_BASE_URL, ...env } = process.env;
  const child = spawn(process.execPath, tarlArgs(args), { cwd: dir, env });
  let [out, err] = ["", ""];
  child.stdout.on("data", (text) => (out += text));
  child.stderr.on("data", (text) => (err += text));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out, err })));
}

const read = (out: string, name: string) => fs.readFileSync(join(dir, out, name), "utf8");
const found = (out: string): Evaluation => JSON.parse(read(out, "evaluation.json"));
const say = (content: string): Behaviour => ({ do: "say", message: { role: "assistant", content } });

/** What the scripted customer of the same task would write. */
async function customer(task: Task, { messages }: Seen["body"]): Promise<Behaviour> {
  const user = new ScriptedUser(shop, task, 1);
  let said = { text: await user.open(), done: false };
  for (const { role, content } of messages.slice(2)) if (role === "user") said = await user.reply(content);
  return say(`${said.text}${said.done ? ` ${GOODBYE}` : ""}`);
}

type Fails = (task: number, request: number) => Behaviour | null;

/** A server that fails where `fails` says so; `healed` has it fail no more. */
async function serve(tasks: readonly Task[], find: (task: Task, body: Seen["body"]) => boolean, fails: Fails) {
  const seen = new Map<Task, number>();
  let healed = false;
  const server = await llmServer([], ({ body }) => {
    const task = tasks.find((each) => find(each, body))!;
    const request = seen.get(task) ?? 0;
    seen.set(task, request + 1);
    const behaviour = healed ? null : fails(tasks.indexOf(task), request);
    return behaviour ?? customer(task, body);
  });
  const heal = () => {
    healed = true;
  };
  return { ...server, heal };
}
const playsCustomer = ({ instruction }: Task, { messages }: Seen["body"]) => messages[0].content.endsWith(instruction);

function writeTasks(name: string, tasks: readonly Task[]): void {
  writeSet(join(dir, name), { kind: "tasks", domain: "shop", source: "test", splits: { test: tasks } });
}

test("a customer's model that fails once in every conversation is asked again", async () => {
  const tasks = tasksOf(["return", "cancel", "refuse"], failures.length);
  writeTasks("once", tasks);
  const server = await serve(tasks, playsCustomer, (task, request) => (request === 1 ? failures[task][1] : null));
  try {
    const llm = ["--user", "llm", "--user-model", "c", "--user-url", server.url, "--api-timeout", "1"];
    const line = ["eval", "--tasks", "once", "--agent", "oracle", "--trials", "1", ...llm, "--api-retries", "2"];
    const { code, err } = await tarl(...line, "--out", "asked-again");
    assert.is(code, 0, err);
    const { pass, played, faults, replays, requests, causes } = found("asked-again");
    assert.equal([pass, played, faults, replays, causes], [[1], tasks.length, 0, 0, {}]);
    assert.equal(requests!.failures, counted(1));
    assert.is(requests!.retries, failures.length);
  } finally {
    await server.close();
  }
});

test("conversations that a customer's model always spoils are left out, and played when it has recovered", async () => {
  const tasks = tasksOf(["return", "cancel", "refuse"], 2 * failures.length);
  writeTasks("always", tasks);
  const server = await serve(tasks, playsCustomer, (task, request) =>
    request % 2 === 1 ? (failures[task]?.[1] ?? null) : null,
  );
  try {
    const llm = ["--user", "llm", "--user-model", "c", "--user-url", server.url, "--api-timeout", "1"];
    const line = ["eval", "--tasks", "always", "--agent", "oracle", "--trials", "1", ...llm, "--api-retries", "0"];
    const spoiled = await tarl(...line, "--out", "spoiled");
    assert.is(spoiled.code, 0, spoiled.err);
    assert.match(spoiled.err, /incomplete: 9 of 18 conversations are finished; the same command goes on with /);
    const { pass, over, published, played, faults, replays, requests, causes } = found("spoiled");
    assert.equal([pass, over, published], [[1], [9], [1 / 2]]);
    assert.equal([played, faults, replays, causes], [18, 9, 18, { outage: 9 }]);
    assert.equal(requests!.failures, counted(3));
    assert.match(read("spoiled", "evaluation.md"), /\| faults \| 9 broken off, 0 of tools, 0 of the customer \|/);

    server.heal();
    const whole = await tarl(...line, "--out", "spoiled");
    assert.is(whole.code, 0, whole.err);
    const after = found("spoiled");
    assert.equal([after.pass, after.over, after.faults, after.causes], [[1], [18], 0, {}]);
    assert.equal(after.requests!.failures, counted(3), "what failed before stays counted");
  } finally {
    await server.close();
  }
});

test("a model that is measured loses nothing by what its server spoils", async () => {
  const tasks = tasksOf(["refuse"], 2 * failures.length); // a refusal is all that they ask for
  writeTasks("refusals", tasks);
  const opened = ({ scenario }: Task, { messages }: Seen["body"]) => messages[1].content === scenario.opening;
  const refusal = ({ database, outputs: [order] }: Task) => {
    const { status } = shop.database(database).get("orders")!.get(order) as { status: string };
    return say(`I am sorry, I cannot do that: order ${order} is ${status}.`);
  };
  const server = await serve(tasks, opened, (task) => failures[task]?.[1] ?? refusal(tasks[task]));
  try {
    const llm = ["--agent", "openai:m", "--agent-url", server.url, "--api-timeout", "1", "--api-retries", "0"];
    const { code, err } = await tarl("eval", "--tasks", "refusals", "--trials", "1", ...llm, "--out", "model");
    assert.is(code, 0, err);
    const { pass, over, faults, replays, requests, causes } = found("model");
    assert.equal([pass, over, faults, replays, causes], [[1], [9], 9, 18, { outage: 9 }]);
    assert.equal(requests!.failures, counted(3));
  } finally {
    await server.close();
  }
});

test("a broken tool is counted beside the score", async () => {
  fs.cpSync(join(root, "examples/library"), join(dir, "lending"), { recursive: true });
  const tools = join(dir, "lending/tools.js");
  const text = fs.readFileSync(tools, "utf8");
  const broken = text.replace("call(store, { card }) {", '$& if (card) throw new TypeError("the desk is shut");');
  assert.is.not(broken, text);
  fs.writeFileSync(tools, broken);
  const line = ["eval", "--domain", "./lending", "--agent", "oracle", "--eval-tasks", "10", "--trials", "1"];
  const { code, err } = await tarl(...line, "--out", "shut");
  assert.is(code, 0, err);
  const calls = read("shut", "rollouts.jsonl").split('"name":"find_member"').length - 1;
  assert.ok(calls > 0);
  assert.equal(found("shut").toolFaults, { find_member: { threw: calls } });
  const table = read("shut", "evaluation.md");
  assert.match(table, new RegExp(`\\| tool faults: find_member \\| threw ${calls} \\|`));
  assert.match(table, new RegExp(`\\| faults \\| 0 broken off, ${calls} of tools \\|`));
});

test.run();
