// Sessions and the verifier, on a domain of two tools written here.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { ToolError } from "../../src/errors.ts";
import { Session, type SessionOptions } from "../../src/sandbox/session.ts";
import { withSet } from "../../src/tasks/set.ts";
import type { AgentTurn, Domain, Entry, Task, User } from "../../src/types.ts";
import { call, say } from "../talk.ts";

interface Counter {
  value: number;
}

const counters: Domain = {
  name: "counters",
  profile: "test",
  checkOutputs: false,
  policy: "Count.",
  toolsInPrompt: true,
  families: ["count"],
  tools: [
    {
      name: "add",
      description: "Adds.",
      parameters: {
        type: "object",
        properties: {
          id: { type: "string" },
          by: { type: "integer" },
          fast: { type: "boolean" },
          tags: { type: "array" },
        },
        required: ["id", "by"],
      },
      writes: true,
      call(store, { id, by }) {
        if (!store.get("counters", id)) throw new ToolError("no such counter");
        if (by === 0) return "Error: nothing to add";
        store.edit<Counter>("counters", id).value += by;
        return String(store.get<Counter>("counters", id)!.value);
      },
    },
    {
      name: "stop",
      description: "Ends.",
      parameters: { type: "object", properties: {} },
      writes: false,
      ends: true,
      call: () => "stopped",
    },
  ],
  database: () => new Map([["counters", new Map([["a", { value: 1 }]])]]),
  task: () => null,
  asks: () => [],
  hears: () => ({ confirms: false, claimsDone: false, refuses: false }),
  violates: () => null,
};

const task = (change: Partial<Task> = {}): Task => ({
  id: "counters/0",
  domain: "counters",
  family: "count",
  database: 0,
  instruction: "",
  scenario: { opening: "Add 2 to a.", facts: {}, fallback: "" },
  actions: [{ name: "add", arguments: '{"id": "a", "by": 2}' }],
  outputs: [],
  ...change,
});

/** Repeats what it hears; leaves at "bye". */
const echo: User = {
  open: async () => "Add 2 to a.",
  reply: async (message) => ({ text: `> ${message}`, done: message === "bye" }),
};

async function play(
  turns: readonly AgentTurn[],
  options: Partial<SessionOptions> = {},
  of = task(),
  domain = counters,
  user = echo,
) {
  const session = new Session(domain, of, user, options);
  const start = await session.start();
  const replies = [];
  for (const turn of turns) replies.push(await session.act(turn));
  return { session, start, replies, last: replies.at(-1)!, outcome: session.outcome() };
}

const invalid = (entry: Entry) => entry.role === "invalid" && entry.reason;

test("start: policy, tools where the prompt holds them, the customer's first words", async () => {
  const { start, session } = await play([]);
  assert.is(start.system, "Count.");
  assert.is(start.tools, counters.tools);
  assert.is(start.user, "Add 2 to a.");
  assert.equal(session.transcript, [{ role: "user", text: "Add 2 to a." }]);
  assert.equal((await play([], {}, task(), { ...counters, toolsInPrompt: false })).start.tools, []);
});

test("a call runs on the session's own state, a message gets an answer", async () => {
  const { session, replies, outcome } = await play([call("add", { id: "a", by: 2 }), say("hello"), say("bye")]);
  assert.equal(replies, [
    { messages: [{ role: "tool", text: "3" }], ending: null },
    { messages: [{ role: "user", text: "> hello" }], ending: null },
    { messages: [], ending: "user-stop" },
  ]);
  assert.equal(session.transcript.slice(1), [
    {
      role: "tool",
      turn: 0,
      call: { name: "add", arguments: { id: "a", by: 2 } },
      observation: "3",
      failed: false,
      wrote: true,
    },
    { role: "agent", turn: 1, text: "hello" },
    { role: "user", text: "> hello" },
    { role: "agent", turn: 2, text: "bye" },
    { role: "user", text: "> bye" },
  ]);
  assert.equal(outcome, { success: 1, stateMatches: true, outputsSaid: true, writes: 1 });
});

test("only the first call of a turn runs, and text beside it stays unsaid", async () => {
  const two = [call("add", { id: "a", by: 2 }), call("add", { id: "a", by: 5 })].flatMap((turn) => turn.calls);
  const { session } = await play([{ text: "I add.", calls: two, invalid: null }]);
  assert.equal(session.store.get("counters", "a"), { value: 3 });
  assert.is(session.transcript.length, 2);
});

test("where every call of a turn runs, each has its answer, until one ends the talk", async () => {
  const calls = [
    ...call("add", { id: "a", by: 2 }).calls,
    ...call("none", {}).calls,
    ...call("add", { id: "a", by: 5 }).calls,
  ];
  const turn = { text: "I add.", calls, invalid: null };
  const { session, last } = await play([turn], { everyCall: true, invalidInRow: 1 });
  assert.equal(session.store.get("counters", "a"), { value: 8 });
  assert.equal(
    last.messages.map(({ text }) => text),
    ["3", "Error: unknown tool none", "8"],
  );
  assert.equal(
    session.transcript.slice(1).map((entry) => [entry.role, entry.role === "user" ? -1 : entry.turn]),
    [
      ["tool", 0],
      ["invalid", 0],
      ["tool", 0],
    ],
  );
  const refused = { ...turn, calls: [calls[1], calls[1]] };
  assert.is((await play([refused, refused], { everyCall: true, invalidInRow: 2 })).session.ending, "invalid-limit");
  assert.is((await play([refused], { everyCall: true, invalidInRow: 2 })).session.ending, null);
});

test("what a tool throws, and what it reports as an error, is a failed observation that wrote nothing", async () => {
  const { session, replies, outcome } = await play([call("add", { id: "b", by: 1 }), call("add", { id: "a", by: 0 })]);
  assert.equal(
    replies.map((reply) => reply.messages[0].text),
    ["Error: no such counter", "Error: nothing to add"],
  );
  assert.equal(
    session.transcript.slice(1).map((entry) => entry.role === "tool" && [entry.failed, entry.wrote]),
    [
      [true, false],
      [true, false],
    ],
  );
  assert.is(outcome.writes, 0);
});

test("turns that cannot be acted on: type and answer", async () => {
  const table: [AgentTurn, string, string][] = [
    [call("add", "{"), "json", "Error: arguments are not a JSON object"],
    [call("add", "[1]"), "arguments", "Error: arguments are not a JSON object"],
    [call("add", "null"), "arguments", "Error: arguments are not a JSON object"],
    [call("sub", { id: "a" }), "unknown-tool", "Error: unknown tool sub"],
    [call("constructor", {}), "unknown-tool", "Error: unknown tool constructor"],
    [call("s".repeat(99), {}), "unknown-tool", `Error: unknown tool ${"s".repeat(40)}...`],
    [call("add", { id: "a" }), "arguments", "Error: missing argument by"],
    [call("add", { id: "a", by: 1, "x\ny": 1 }), "arguments", "Error: unknown argument x y"],
    [call("add", '{"id": "a", "by": 1, "__proto__": 1}'), "arguments", "Error: unknown argument __proto__"],
    [call("add", { id: 1, by: 1 }), "arguments", "Error: argument id must be of type string"],
    [call("add", { id: "a", by: 1.5 }), "arguments", "Error: argument by must be of type integer"],
    [call("add", { id: "a", by: 1, fast: "no" }), "arguments", "Error: argument fast must be of type boolean"],
    [call("add", { id: "a", by: 1, tags: {} }), "arguments", "Error: argument tags must be of type array"],
    [
      call("add", `{"id": "a", "by": 1, "tags": ${"[".repeat(99)}${"]".repeat(99)}}`),
      "arguments",
      "Error: arguments are nested too deeply",
    ],
    [call("add", `{"id": "${"x".repeat(1e6)}", "by": 1}`), "too-long", "Error: arguments too long"],
    [say("x".repeat(1e6)), "too-long", "Error: message too long"],
    [say(" \n"), "empty", "Error: empty turn"],
    [{ text: "I", calls: [], invalid: { reason: "cut", observation: "Error: cut" } }, "cut", "Error: cut"],
  ];
  for (const [turn, reason, observation] of table) {
    const { session, last } = await play([turn]);
    assert.equal(last, { messages: [{ role: "tool", text: observation }], ending: null }, reason);
    assert.is(invalid(session.transcript[1]), reason);
    assert.ok((session.transcript[1] as { text: string }).text.length <= 500);
    assert.equal(session.store.get("counters", "a"), { value: 1 });
  }
});

test("a domain that reads arguments itself gets them unchecked", async () => {
  const lenient = { ...counters, parse: (json: string) => ({ ...JSON.parse(json), by: 2 }) };
  assert.is((await play([call("add", { id: "a", more: 1 }), say("bye")], {}, task(), lenient)).outcome.success, 1);
  const broken = await play([call("add", "nonsense")], {}, task(), lenient);
  assert.is(invalid(broken.session.transcript[1]), "json");
});

test("the ways to end", async () => {
  const bad = call("add", "{");
  assert.is(
    (await play([bad, bad, say("hm"), bad, bad, bad], { turns: 9 })).last.ending,
    "invalid-limit",
    "three in a row",
  );
  assert.is((await play([say("a"), say("b")], { turns: 2 })).last.ending, "turn-limit");
  assert.is((await play([say("a"), say("bye")], { turns: 2 })).last.ending, "user-stop", "the last turn may end it");
  assert.is((await play([call("stop", {})])).last.ending, "tool-end");
  const { session } = await play([say("bye")]);
  try {
    await session.act(say("more"));
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, "the talk is over (user-stop)");
  }
});

test("a user that fails ends the talk as the user's fault", async () => {
  const failing = async () => Promise.reject(new Error("no line"));
  const { session, last, outcome } = await play([say("hi")], {}, task(), counters, { ...echo, reply: failing });
  assert.equal(last, { messages: [], ending: "user-fault" });
  assert.is(session.error, "no line");
  assert.is(outcome.success, 0);
  const never = new Session(counters, task(), { ...echo, open: failing });
  const message = await never.start().then(
    () => "",
    (error) => error.message,
  );
  assert.is(message, "no line");
  assert.is(never.ending, "user-fault");
});

test("verifier: the state that the truth leads to, by any way, in a talk that came to its end", async () => {
  const add = (by: number) => call("add", { id: "a", by });
  const table: [string, AgentTurn[], 0 | 1, boolean][] = [
    ["right", [add(2), say("bye")], 1, true],
    ["another way", [add(5), add(-3), say("bye")], 1, true],
    ["wrong", [add(3), say("bye")], 0, false],
    ["nothing", [say("bye")], 0, false],
    ["right, ended by a tool", [add(2), call("stop", {})], 1, true],
    ["right, not ended", [add(2)], 0, true],
    ["right, never ends", [add(2), say("a"), say("b")], 0, true],
  ];
  for (const [name, turns, success, stateMatches] of table) {
    const { outcome } = await play(turns, { turns: 3 });
    assert.is(outcome.success, success, name);
    assert.is(outcome.stateMatches, stateMatches, name);
  }
});

test("verifier: outputs as in tau-bench (any case, commas of the message aside), only where they are asked for", async () => {
  const wants = (...outputs: string[]) => task({ outputs });
  const talk = [call("add", { id: "a", by: 2 }), say("It is 1,234 Dollars"), say("bye")];
  const table: [Task, boolean][] = [
    [wants("1234"), true],
    [wants("dollars", "IS"), true],
    [wants("1,234"), false],
    [wants("> It"), false],
  ];
  for (const [of, said] of table) {
    const { outcome } = await play(talk, { checkOutputs: true }, of);
    assert.is(outcome.outputsSaid, said, of.outputs.join());
    assert.is(outcome.success, said ? 1 : 0);
    assert.is((await play(talk, {}, of)).outcome.success, 1);
  }
});

test("verifier: truth that fails changes nothing, truth that ends the talk is not run", async () => {
  const actions: Task["actions"] = [
    { name: "add", arguments: '{"id": "b", "by": 1}' },
    { name: "stop", arguments: "{}" },
    { name: "none", arguments: "{}" },
  ];
  assert.is((await play([say("bye")], {}, task({ actions }))).outcome.success, 1);
});

test("verifier: a task without writes is passed by words where the domain asks for them", async () => {
  const idle = task({ actions: [] });
  const strict: Domain = {
    ...counters,
    answered: (_, talk) => talk.some((e) => e.role === "agent" && e.text === "I cannot."),
  };
  assert.is((await play([say("bye")], {}, idle)).outcome.success, 1);
  assert.is((await play([say("bye")], {}, idle, strict)).outcome.success, 0);
  assert.is((await play([say("I cannot."), say("bye")], {}, idle, strict)).outcome.success, 1);
  const actions: Task["actions"] = [
    { name: "add", arguments: '{"id": "b", "by": 1}' },
    { name: "stop", arguments: "{}" },
  ];
  for (const of of [task({ actions }), task({ actions: actions.slice(1) })]) {
    assert.is((await play([say("bye")], {}, of, strict)).outcome.success, 0, "a refused write and a transfer are none");
    assert.is((await play([say("I cannot."), say("bye")], {}, of, strict)).outcome.success, 1);
  }
  const manifest = { kind: "tasks", domain: "counters", source: "test", splits: {}, files: {} } as const;
  const theirs = withSet(strict, { path: "set", manifest, overlay: {} });
  const imported = task({ actions, family: "theirs" });
  assert.is(
    (await play([say("bye")], {}, imported, theirs)).outcome.success,
    1,
    "upstream asks state and outputs alone",
  );
});

test.run();
