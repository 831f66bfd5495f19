// A folder's tools against a run: whatever they do, a call ends as text, a refusal or a typed fault, the state is as it was
// where the call failed, and session, verifier and judge see the same.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { freeze, guard, guardTool, unjson, within } from "../../src/domains/own/guard.ts";
import { Store } from "../../src/domains/store.ts";
import { callTool } from "../../src/domains/tool.ts";
import { ToolError } from "../../src/errors.ts";
import { ruleJudge } from "../../src/judge/rules.ts";
import { Session } from "../../src/sandbox/session.ts";
import { replayTruth } from "../../src/sandbox/verify.ts";
import type { Database, Domain, Task, Tool } from "../../src/types.ts";
import { ScriptedUser } from "../../src/user/scripted.ts";
import { always, call, first, playTalk, say } from "../talk.ts";

const DEADLINE_MS = 100;
const database: Database = new Map([["rows", new Map([["a", freeze({ n: 1, list: [1] })]])]]);
interface Row {
  n: unknown;
  list?: number[];
}

function tool(body: (store: Store, args: any) => unknown, writes = true): Tool {
  const parameters = { type: "object", properties: { x: { type: "number" } } };
  return guardTool({ name: "work", description: "", parameters, writes, call: body as Tool["call"] }, DEADLINE_MS);
}

/** Runs a body that first writes; what came of it, and whether the state is as it was. */
function ran(body: (store: Store, args: any) => unknown, args: unknown = {}) {
  const store = new Store(database);
  const found = callTool(
    tool((store, args) => {
      store.edit<Row>("rows", "a").n = 2;
      return body(store, args);
    }),
    store,
    args,
  );
  return { ...found, kept: store.get<Row>("rows", "a")!.n === 2 };
}

const cyclic: { self?: unknown } = {};
cyclic.self = cyclic;
class Point {
  x = 1;
}

const broken: [what: string, body: () => unknown, fault: string, observation: RegExp][] = [
  ["an error", () => (null as any).x, "threw", /^Error: Cannot read properties of null/],
  ["text that is thrown", () => thrown("out of\nluck"), "threw", /^Error: threw out of luck$/],
  ["undefined that is thrown", () => thrown(undefined), "threw", /^Error: threw undefined$/],
  ["what cannot be made text", () => thrown(Object.create(null)), "threw", /^Error: threw something that has no text$/],
  ["an error without a message", () => thrown(new RangeError()), "threw", /^Error: RangeError$/],
  ["endless recursion", () => deeper(), "threw", /^Error: Maximum call stack size exceeded$/],
  ["an endless loop", () => forever(), "hung", /^Error: the tool did not answer within 0\.1 s$/],
  ["a loop that catches", () => stubborn(), "hung", /^Error: the tool did not answer/],
  ["an endless pattern", () => /^(a+)+$/.test(`${"a".repeat(40)}b`), "hung", /^Error: the tool did not answer/],
  ["a promise", () => Promise.resolve("text"), "result", /^Error: the tool returned a promise/],
  ["a promise that fails", async () => thrown(new Error("late")), "result", /^Error: the tool returned a promise/],
  ["nothing", () => undefined, "result", /^Error: the tool returned undefined, which JSON cannot hold$/],
  ["a function", () => say, "result", /returned a function/],
  ["a symbol", () => Symbol("s"), "result", /returned a symbol/],
  ["a BigInt", () => ({ a: [1n] }), "result", /returned a bigint at \.a\[0\]/],
  ["NaN", () => [0, Number.NaN], "result", /returned NaN at \[1\]/],
  ["infinity", () => ({ a: -Infinity }), "result", /returned -Infinity at \.a/],
  ["a hole", () => [1, undefined], "result", /returned undefined at \[1\]/],
  ["a cycle", () => cyclic, "result", /returned a cycle, or more than 64 levels/],
  ["a Map", () => ({ a: new Map() }), "result", /returned a Map at \.a/],
  ["a Date", () => new Date(0), "result", /returned a Date/],
  ["a thing of a class", () => new Point(), "result", /returned a Point/],
  [
    "a getter that throws",
    () => ({
      get a() {
        return thrown(new Error("trap"));
      },
    }),
    "threw",
    /^Error: trap$/,
  ],
];

function set(store: Store, id: string, n: unknown): string {
  store.edit<Row>("rows", id).n = n;
  return "read";
}
/** What to return after something was done. */
function after<T>(_: unknown, result: T): T {
  return result;
}
function thrown(what: unknown): never {
  throw what;
}
function forever(): never {
  for (;;);
}
function deeper(): number {
  return 1 + deeper();
}
function stubborn(): never {
  for (;;)
    try {
      forever();
    } catch {}
}

for (const [what, body, fault, observation] of broken)
  test(`a tool that gives ${what} is a fault, and nothing is changed`, () => {
    const found = ran(body);
    assert.match(found.observation, observation);
    assert.not.match(found.observation, /\n/);
    assert.equal([found.failed, found.fault, found.kept], [true, fault, false]);
    assert.not(found.crashed, "the talk goes on");
  });

test("a refusal is no fault, thrown or returned, and changes nothing either", () => {
  const refused = ran(() => thrown(new ToolError("no such row")));
  assert.equal(refused, { observation: "Error: no such row", failed: true, kept: false });
  assert.equal(
    ran(() => "Error: no"),
    { observation: "Error: no", failed: true, kept: false },
  );
});

test("text stays as it is, other JSON becomes JSON text, a property that is undefined is left out", () => {
  assert.equal(
    ran(() => "done"),
    { observation: "done", failed: false, kept: true },
  );
  assert.is(ran(() => ({ a: 1, b: [null, "x", true], c: undefined })).observation, '{"a":1,"b":[null,"x",true]}');
  assert.is(ran(() => null).observation, "null");
  assert.is(ran(() => "").observation, "");
});

test("what a tool stores has to be plain data too", () => {
  const stored = (value: unknown) => ran((store) => after(store.put("rows", "b", value), "done"));
  assert.match(stored({ at: new Date(0) }).observation, /^Error: the tool stored a Date at \.at in rows b/);
  assert.equal([stored(cyclic).fault, stored(cyclic).kept], ["result", false]);
  assert.not(stored({ at: "2025-03-03" }).failed);
});

test("a tool that only looks up changes nothing, and nobody changes the database", () => {
  const store = new Store(database);
  const edit = tool((store) => set(store, "a", 5), false);
  assert.equal(callTool(edit, store, {}), { observation: "read", failed: false });
  assert.is(store.get<Row>("rows", "a")!.n, 1);
  const direct = callTool(
    tool((store) => store.get<Row>("rows", "a")!.list!.push(2)),
    store,
    {},
  );
  assert.equal([direct.fault, store.get<Row>("rows", "a")!.list], ["threw", [1]]);
});

test("arguments that a tool writes into stay as they were", () => {
  const args = { x: { list: [1] } };
  assert.is(ran((_, { x }) => x.list.push(2), args).observation, "2");
  assert.equal(args, { x: { list: [1] } });
});

test("a write that comes after the answer changes nothing", async () => {
  const store = new Store(database);
  const late = tool(async (store) => {
    await Promise.resolve();
    store.edit<Row>("rows", "a").n = 9;
  });
  assert.is(callTool(late, store, {}).fault, "result");
  await new Promise((resolve) => setTimeout(resolve, 1));
  assert.is(store.get<Row>("rows", "a")!.n, 1);
});

test("a fork starts from what was done, and deleted rows stay deleted", () => {
  const store = new Store(database);
  assert.not(
    callTool(
      tool((store) => after(store.put("rows", "b", { n: 1 }), "ok")),
      store,
      {},
    ).failed,
  );
  assert.not(
    callTool(
      tool((store) => after(store.delete("rows", "a"), "ok")),
      store,
      {},
    ).failed,
  );
  assert.ok(
    callTool(
      tool((store) => [set(store, "b", 7), forever()]),
      store,
      {},
    ).failed,
  );
  assert.equal([...store.entries("rows")], [["b", { n: 1 }]]);
});

test("a deadline inside of a deadline, and work after one that was missed", () => {
  assert.throws(() => within(1000, () => within(20, forever)), /timed out after 20ms/);
  assert.is(
    within(1000, () => within(1000, () => 3)),
    3,
  );
});

test("any other function of a folder is named, with the place of its error", () => {
  const work = guard("./lib", "task", "file:///lib", () =>
    thrown(Object.assign(new Error("no\nbook"), { stack: "Error\n at f (file:///lib/tasks.js:12:3)" })),
  );
  assert.throws(
    work,
    (e: Error) => e.name === "UsageError" && e.message === "--domain ./lib: task: no book (tasks.js:12)",
  );
  assert.is(guard("./lib", "task", "file:///lib", (n: number) => n + 1)(1), 2);
});

test("odd values are named by their place", () => {
  assert.is(unjson({ a: [{ b: 1 }, { c: "x" }] }), null);
  assert.is(unjson({ a: [{ b: 1 }, { c: undefined }] }), null);
  assert.is(unjson({ a: [{ b: 1 }, { c: 1n }] }), "a bigint at .a[1].c");
});

// Session, verifier and judge run the same guarded tools.
const task: Task = {
  id: "own/1/f/0",
  domain: "own",
  family: "f",
  database: 1,
  instruction: "",
  scenario: { opening: "Hi.", facts: {}, fallback: "?" },
  actions: [{ name: "work", arguments: '{"x": 1}' }],
  outputs: [],
};
const domain: Domain = {
  name: "own",
  profile: "own",
  checkOutputs: false,
  policy: "",
  toolsInPrompt: true,
  tools: [
    tool((store, { x }) => {
      store.edit<Row>("rows", "a").n = x;
      if (x === 2) thrown(new TypeError("two"));
      if (x === 3) forever();
      return x === 4 ? undefined : "ok";
    }),
  ],
  families: ["f"],
  database: () => database,
  task: () => task,
  asks: () => [],
  hears: (message) => ({ confirms: false, claimsDone: message === "Done.", refuses: false }),
  violates: () => null,
};

test("a talk goes on after every fault, and ends in the state of its good calls", async () => {
  const calls = [2, 3, 4, 1].map((x) => call("work", { x }));
  const rollout = await playTalk(domain, task, first(calls, always(say("Done."))));
  const faults = rollout.transcript.flatMap((entry) => (entry.role === "tool" ? [entry.fault] : []));
  assert.equal(faults, ["threw", "hung", "result", undefined]);
  assert.equal([rollout.ending, rollout.outcome.success, rollout.outcome.writes], ["user-stop", 1, 1]);
  const { scores } = await ruleJudge(domain).judge(rollout);
  assert.is(scores!.length, 5);
});

test("the verifier replays a truth whose tool is broken: nothing is changed and nothing thrown", () => {
  const store = replayTruth(domain, {
    ...task,
    actions: [2, 3, 4].map((x) => ({ name: "work", arguments: `{"x":${x}}` })),
  });
  assert.is(store.get<Row>("rows", "a")!.n, 1);
});

test("a customer who cannot hear ends the talk as the customer's fault, with the folder named", async () => {
  const hears = guard("./lib", "hears", "file:///lib", () => thrown(new Error("deaf")));
  const session = new Session(domain, task, new ScriptedUser({ ...domain, hears }, task, 1));
  await session.start();
  await session.act(say("Hello?"));
  assert.equal([session.ending, session.error], ["user-fault", "--domain ./lib: hears: deaf"]);
});

test.run();
