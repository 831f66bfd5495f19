// The gates over tasks: for each gate tasks that fail it and no other, by hand; and whole sets of the domains that pass.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { asksFor, hears, isSaid } from "../../src/domains/ears.ts";
import { scriptedExpert } from "../../src/domains/expert.ts";
import { domain as findDomain } from "../../src/domains/index.ts";
import { ToolError } from "../../src/errors.ts";
import { failures, gates, validate } from "../../src/gates.ts";
import { mix, sampleTasks, trainDatabases } from "../../src/tasks/sampler.ts";
import type { Database, Domain, Task, Tool, WrittenCall } from "../../src/types.ts";
import { say } from "../talk.ts";

interface Lamp {
  light: number;
}
const database: Database = new Map([
  ["lamps", new Map(["a", "b", "hall"].map((id) => [id, { light: 1, made: "in 1931" }]))],
]);

/** Calls of `flicker` so far. */
let flickers = 0;

const tools: Tool[] = [
  tool("look", false, (store, { id }) => JSON.stringify(lamp(store.get("lamps", id)))),
  tool("dim", true, (store, { id, light }) => {
    lamp(store.get("lamps", id));
    store.edit<Lamp>("lamps", id).light = light;
    return "dimmed";
  }),
  tool("invert", true, (store, { id }) => {
    store.edit<Lamp>("lamps", id).light *= -1;
    return "inverted";
  }),
  tool("halve", true, (store, { id }) => {
    store.edit<Lamp>("lamps", id).light /= 2;
    throw new ToolError("it flickers");
  }),
  tool("flicker", true, (store, { id }) => {
    store.edit<Lamp>("lamps", id).light = ++flickers < 5 ? 2 : 3;
    return "flickered";
  }),
];

function tool(name: string, writes: boolean, call: Tool["call"]): Tool {
  const properties = { id: { type: "string" }, light: { type: "number" } };
  return { name, description: name, parameters: { type: "object", properties, required: ["id"] }, writes, call };
}

function lamp(found: unknown): Lamp {
  if (!found) throw new ToolError("no such lamp");
  return found as Lamp;
}

const readings = new Map<string, WrittenCall[][]>();
const HALL = "the light in the hall stays on";

const base: Domain = {
  name: "lamps",
  profile: "own",
  checkOutputs: true,
  policy: "",
  toolsInPrompt: true,
  tools,
  families: ["f"],
  database: () => database,
  task: () => null,
  asks: asksFor({}),
  hears,
  violates: () => null,
  rules: ({ name, arguments: { id, light } }) => [
    ...(name !== "look" && id === "hall" ? [HALL] : []),
    ...(light > 9 ? ["nothing is brighter than 9"] : []),
  ],
  readings: ({ id, actions }) => readings.get(id) ?? [[...actions]],
  answered: ({ forbidden, outputs }, talk) =>
    forbidden
      ? talk.some((entry) => entry.role === "agent" && hears(entry.text).refuses)
      : outputs.every((output) => isSaid(output, talk)),
};
const domain: Domain = { ...base, expert: scriptedExpert(base, { identify: [], details: [] }) };

const call = (name: string, args: object | string): WrittenCall => ({
  name,
  arguments: typeof args === "string" ? args : JSON.stringify(args),
});
const dim = (id: string, light: number) => call("dim", { id, light });
const look = (id: string) => call("look", { id });

let count = 0;
function task(actions: readonly WrittenCall[], more: Partial<Task> = {}): Task {
  const opening = `Wish ${count}.`;
  const scenario = { opening, facts: {}, fallback: opening };
  return {
    id: `lamps/1/f/${count++}`,
    domain: "lamps",
    family: "f",
    database: 1,
    instruction: "",
    scenario,
    actions,
    outputs: [],
    ...more,
  };
}
const refusal = (action: WrittenCall, rule = HALL) => task([], { forbidden: { action, rule } });
function read(task: Task, ...others: WrittenCall[][]): Task {
  readings.set(task.id, others);
  return task;
}

const good: [what: string, task: Task][] = [
  ["a change", task([dim("a", 5)])],
  ["two changes", task([dim("a", 5), dim("b", 5)], { lookups: [look("a"), look("b")] })],
  ["an answer", task([], { lookups: [look("a")], outputs: ["1931"] })],
  ["a refusal", refusal(dim("hall", 5))],
  ["a refusal between changes", task([dim("a", 5)], { forbidden: { action: dim("hall", 5), rule: HALL } })],
  [
    "readings that break a rule, fail, or come to the same",
    read(task([dim("a", 5)]), [dim("hall", 5)], [dim("c", 5)], [dim("a", 3), dim("a", 5)]),
  ],
];
for (const [what, task] of good)
  test(`nothing is wrong with ${what}`, async () => assert.equal(await failures(domain, task), []));

const bad: [gate: string, reason: RegExp, task: Task, domain?: Domain][] = [
  ["calls", /^fly is no tool of lamps$/, task([call("fly", {})])],
  ["calls", /^look is forbidden, but writes nothing$/, refusal(look("a"))],
  ["calls", /^dim \{"light":5\}: missing argument id$/, task([call("dim", { light: 5 })])],
  [
    "calls",
    /^dim \{"id":"a","light":"5"\}: argument light must be of type number$/,
    task([call("dim", { id: "a", light: "5" })]),
  ],
  ["calls", /^dim \{: arguments are not a JSON object$/, task([call("dim", "{")])],
  ["calls", /: arguments are nested too deeply$/, task([call("dim", `{"room": ${"[".repeat(16)}${"]".repeat(16)}}`)])],
  ["calls", /^fly is no tool of lamps$/, refusal(call("fly", {}))],
  [
    "succeeds",
    /^halve \{"id":"a"\}: Error: it flickers$/,
    task([call("halve", { id: "a" })]),
    { ...domain, readings: undefined },
  ],
  [
    "changes",
    /^the actions leave everything as it was$/,
    task([call("invert", { id: "a" }), call("invert", { id: "a" })], { outputs: ["bright"] }),
  ],
  ["needed", /^without dim \{"id":"a","light":3\} the state is the same$/, task([dim("a", 3), dim("a", 5)])],
  [
    "repeats",
    /^played twice the states differ$/,
    task([call("flicker", { id: "a" })]),
    { ...domain, readings: undefined },
  ],
  [
    "rules",
    /^dim \{"id":"hall","light":5\} breaks a rule: the light in the hall stays on$/,
    task([dim("hall", 5)]),
    { ...domain, readings: undefined },
  ],
  [
    "forbidden",
    /^dim \{"id":"hall","light":10\} breaks 2 rules, expected one: the light in the hall stays on; nothing is brighter than 9$/,
    refusal(dim("hall", 10)),
  ],
  ["forbidden", /^dim \{"id":"a","light":5\} breaks no rules, expected one$/, refusal(dim("a", 5))],
  [
    "forbidden",
    /^dim \{"id":"a","light":10\} breaks "nothing is brighter than 9", expected "the light in the hall stays on"$/,
    refusal(dim("a", 10)),
  ],
  [
    "forbidden",
    /^halve \{"id":"hall"\} would fail anyway: Error: it flickers$/,
    refusal(call("halve", { id: "hall" })),
  ],
  [
    "forbidden",
    /^dim \{"id":"hall","light":5\} breaks no rule any more once the actions are done$/,
    task([dim("a", 5)], { forbidden: { action: dim("hall", 5), rule: HALL } }),
    {
      ...domain,
      rules: ({ arguments: { id } }, store) =>
        id === "hall" && store.get<Lamp>("lamps", "a")?.light !== 5 ? [HALL] : [],
    },
  ],
  [
    "unique",
    /^another reading fits: dim \{"id":"b","light":5\}$/,
    (() => {
      const t = task([dim("a", 5)]);
      return read(t, [dim("a", 5)], [dim("b", 5)]);
    })(),
  ],
  ["unique", /^another reading fits: nothing$/, read(task([dim("a", 5)]), [])],
  [
    "unique",
    /^another reading fits: dim \{"id":"a","light":5\}$/,
    read(refusal(dim("hall", 5)), [dim("hall", 5)], [dim("a", 5)]),
  ],
  ["unique", /^the actions are none of the readings$/, read(task([dim("a", 5)]), [dim("hall", 5)])],
  ["lookups", /^look \{"id":"zz"\}: Error: no such lamp$/, task([dim("a", 5)], { lookups: [look("zz")] })],
  ["lookups", /^fly is no tool of lamps$/, task([dim("a", 5)], { lookups: [call("fly", {})] })],
  ["lookups", /^the look-ups change the state$/, task([dim("a", 5)], { lookups: [dim("a", 4)] })],
  ["outputs", /^"5" can be said by accident$/, task([dim("a", 5)], { outputs: ["1931", "5"] })],
  ["outputs", /^"150.0" can be said by accident$/, task([dim("a", 5)], { outputs: ["150.0"] })],
  ["outputs", /^"x" can be said by accident$/, task([dim("a", 5)], { outputs: ["x"] })],
  [
    "outputs",
    /^"1,234" holds a comma and is never heard$/,
    task([dim("a", 5)], { outputs: ["1,234"] }),
    { ...domain, checkOutputs: false },
  ],
  ["shown", /^no look-up shows "1932"$/, task([dim("a", 5)], { lookups: [look("a")], outputs: ["1932"] })],
  ["silence", /^doing nothing succeeds$/, task([]), { ...domain, readings: undefined }],
  [
    "oracle",
    /^the expert fails \(user-stop, another state\)$/,
    task([dim("a", 5)]),
    { ...domain, expert: () => () => say("All set.") },
  ],
  [
    "oracle",
    /^the expert fails \(user-stop, outputs unsaid\)$/,
    task([dim("a", 5)], { outputs: ["dark red"] }),
    { ...domain, expert: mute },
  ],
  [
    "oracle",
    /^the expert's dim \{"id":"a","light":5\} breaks a rule: no yes$/,
    task([dim("a", 5)]),
    { ...domain, violates: () => "no yes" },
  ],
];
function mute({ actions }: Task) {
  const turns = [{ text: "", calls: [...actions], invalid: null }];
  return () => turns.pop() ?? say("All set.");
}
for (const [gate, reason, task, played = domain] of bad)
  test(`${gate}, and it alone: ${reason.source.slice(1, 60)}`, async () => {
    flickers = 0;
    const found = await failures(played, task);
    assert.equal(
      found.map((failure) => [failure.task, failure.gate]),
      [[task.id, gate]],
    );
    assert.match(found[0].reason, reason);
  });

test("actions that write nothing prove nothing, but where what they show has to be said", async () => {
  const played = { ...domain, readings: undefined };
  const found = await failures(played, task([look("a")]));
  assert.equal(
    found.map(({ gate, reason }) => [gate, reason]),
    [
      ["changes", "none of the actions is a tool that writes"],
      ["silence", "doing nothing succeeds"],
    ],
  );
  assert.equal(await failures(played, task([look("a")], { outputs: ["1931"] })), []);
});

test("an imported task is neither read nor played by the domain's own words", async () => {
  const played: Domain = {
    ...domain,
    violates: () => "no yes",
    readings: () => {
      throw new Error("whose?");
    },
    expert: () => {
      throw new Error("whose?");
    },
  };
  assert.equal(await failures(played, { ...task([dim("a", 5)]), family: "imported" }), []);
  assert.equal(
    (await failures(played, task([dim("a", 5)]))).map(({ gate, reason }) => [gate, reason]),
    [
      ["unique", "whose?"],
      ["oracle", "whose?"],
    ],
  );
});

test("every gate has a task that fails it", () => {
  assert.equal([...new Set(bad.map(([gate]) => gate))].sort(), Object.keys(gates).sort());
});

test("outputs of enough digits or letters are no accident", async () => {
  const outputs = ["2025-03-24", "1234", "120.5", "no", "#W12"];
  assert.equal(await failures(domain, task([dim("a", 5)], { outputs })), []);
});

test("tools that keep the rules themselves may refuse what is forbidden", async () => {
  const upstream: Domain = { ...domain, profile: "tau1" };
  assert.equal(await failures(upstream, refusal(call("halve", { id: "hall" }))), []);
});

test("a set: duplicates, counts, shares", async () => {
  const [a, b, c] = [task([dim("a", 5)]), task([], { outputs: ["x"] }), task([])];
  const twin = { ...a, id: "lamps/1/f/twin" };
  const elsewhere = { ...a, id: "lamps/2/f/0", database: 2 };
  const done: number[] = [];
  const report = await validate({ ...domain, readings: undefined }, [a, twin, elsewhere, b, c], (n) => done.push(n));
  assert.equal(
    report.failures.map(({ task, gate }) => [task, gate]),
    [
      [twin.id, "different"],
      [b.id, "outputs"],
      [c.id, "silence"],
    ],
  );
  assert.equal([report.tasks, report.inaction, report.withoutWrites], [5, 0.2, 0.4]);
  assert.equal(report.gates.outputs, { checked: 1, failed: 1, first: '"x" can be said by accident' });
  assert.equal(report.gates.different, {
    checked: 5,
    failed: 1,
    first: `the same database, opening and actions as ${a.id}`,
  });
  assert.equal(report.gates.changes, { checked: 3, failed: 0 });
  assert.equal(report.gates.unique, { checked: 0, failed: 0 });
  assert.equal(done, [1, 2, 3, 4, 5]);
});

for (const name of ["shop", "retail", "airline"])
  test(`${name} passes every gate`, async () => {
    const played = await findDomain(name);
    const tasks = sampleTasks(played, mix(played, [], 1), trainDatabases(1000), 60, "gates");
    const { failures: found, inaction } = await validate(played, tasks);
    assert.equal([found, inaction], [[], 0]);
  });

test("a set without tasks has no shares", async () => {
  const error = await validate(domain, []).then(
    () => new Error("validated"),
    (error: Error) => error,
  );
  assert.is(error.name, "UsageError");
  assert.match(error.message, /: no tasks to prove, expected at least one$/);
});

test.run();
