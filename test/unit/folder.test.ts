// A domain of one's own from a folder anywhere on the disk: each wrong shape has its line, what is left out is filled in, and
// what a function of it throws later names the folder, the function and the line.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { domain as findDomain } from "../../src/domains/index.ts";
import { Store } from "../../src/domains/store.ts";
import { callTool } from "../../src/domains/tool.ts";
import { root } from "../../src/root.ts";
import type { Domain, Task } from "../../src/types.ts";
import { call, first, oracle, playTalk, say } from "../talk.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-own-"));
test.after(() => fs.rmSync(dir, { recursive: true }));
let count = 0;

/** A folder of its own for each domain: modules are kept by their path. */
function folder(files: Readonly<Record<string, string>>): string {
  const path = join(dir, `own-${count++}`);
  fs.mkdirSync(path);
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(join(path, name), text);
  return path;
}

/** The smallest domain, with parts of it replaced (JavaScript text). */
const parts = {
  name: '"notes"',
  policy: '"Keep notes."',
  tools: `[
    { name: "read", description: "Reads a note.", parameters: { type: "object", properties: { id: { type: "string" } }, required: ["id"] },
      call: (store, { id }) => store.get("notes", id) ?? "nothing" },
    { name: "write", description: "Writes a note.", writes: true,
      parameters: z.object({ id: z.string(), text: z.string().max(9), times: z.int().default(2) }),
      call(store, { id, text, times }) { store.put("notes", id, { text: text.repeat(times) }); return { id }; } },
  ]`,
  database: '(seed) => ({ notes: { a: { text: "seed " + seed } } })',
  families: '["jot"]',
  task: `(family, seed, index) => index > 0 ? null : ({
    scenario: { opening: "Note something down for me.", facts: { noteText: "Write x." } },
    actions: [{ name: "write", arguments: { id: "b", text: "x" } }],
  })`,
};
type Parts = Partial<Record<string, string>>;

function index(changed: Parts = {}): string {
  const fields = Object.entries({ ...parts, ...changed }).filter(([, text]) => text !== undefined);
  return `export default ({ z, ToolError, agreed }) => ({\n${fields.map(([key, text]) => `${key}: ${text},`).join("\n")}\n});\n`;
}
const own = (changed: Parts = {}, files = {}) => findDomain(folder({ "index.mjs": index(changed), ...files }));

const tool = (changed: string) =>
  `[{ name: "t", description: "d", parameters: { type: "object" }, call() {}, ${changed} }]`;
const task = (changed: string) => `() => ({ scenario: { opening: "Hi.", facts: {} }, ${changed} })`;

const wrong: [what: string, parts: Parts, line: RegExp][] = [
  ["no name", { name: undefined }, /: name: expected text$/],
  ["a name in capitals", { name: '"Notes"' }, /: name: expected lower-case letters, digits and "-"$/],
  ["the name of a built-in domain", { name: '"retail"' }, /: name: retail is one of the project's own domains$/],
  ["no policy", { policy: "7" }, /: policy: expected text$/],
  ["a policy file that is missing", { policy: '"policy.md"' }, /: policy: policy\.md: no such file$/],
  ["a field that does not exist", { toolz: "[]" }, /: no such field: toolz, expected one of name, policy, tools, /],
  ["no tools", { tools: undefined }, /: tools: expected a list of tools$/],
  ["an empty list of tools", { tools: "[]" }, /: tools: expected at least one tool$/],
  ["a tool without a name", { tools: tool("name: undefined") }, /: tools\[0\]\.name: expected text$/],
  ["a tool's name with a space", { tools: tool('name: "a b"') }, /: tools\[0\]\.name: expected letters, digits/],
  ["a tool without a description", { tools: tool('description: ""') }, /: tools\[0\]\.description: expected text$/],
  [
    "parameters that are no schema",
    { tools: tool("parameters: { id: 1 }") },
    /: tools\[0\]\.parameters: expected a JSON schema of type object or a zod object$/,
  ],
  [
    "parameters that are no zod object",
    { tools: tool("parameters: z.string()") },
    /: tools\[0\]\.parameters: expected a JSON schema of type object or a zod object$/,
  ],
  [
    "a schema that is no JSON",
    { tools: tool('parameters: { type: "object", x: 1n }') },
    /: tools\[0\]\.parameters: it holds a bigint at \.x, /,
  ],
  [
    "a schema whose properties are no schemas",
    { tools: tool('parameters: { type: "object", properties: { a: null } }') },
    /: tools\[0\]\.parameters\.properties: expected an object: name -> schema$/,
  ],
  [
    "a schema whose required is no list",
    { tools: tool('parameters: { type: "object", required: true }') },
    /: tools\[0\]\.parameters\.required: expected a list of names$/,
  ],
  [
    "a zod object without a JSON schema",
    { tools: tool("parameters: z.object({ a: z.date() })") },
    /: tools\[0\]\.parameters: zod cannot write it as a JSON schema: /,
  ],
  [
    "a tool that cannot be called",
    { tools: tool('call: "x"') },
    /: tools\[0\]\.call: expected a function \(store, args\)$/,
  ],
  ["writes that is no flag", { tools: tool('writes: "yes"') }, /: tools\[0\]\.writes: expected true or false$/],
  ["a field that no tool has", { tools: tool("write: true") }, /: tools\[0\]: no such field: write$/],
  ["two tools of one name", { tools: `[...${tool("")}, ...${tool("")}]` }, /: tools: two of them are called t$/],
  [
    "no database",
    { database: undefined },
    /: database: expected a function \(seed\), tables, or the name of a JSON file$/,
  ],
  [
    "a database that throws",
    { database: "() => { throw new Error('no disk') }" },
    /: database: no disk \(index\.mjs:\d+\)$/,
  ],
  [
    "a database that is another every time",
    { database: "() => ({ notes: { a: { n: Math.random() } } })" },
    /: database: seed 1 gives other data the second time; draw it with kit\.Random$/,
  ],
  [
    "a task that is another every time",
    { task: '() => ({ scenario: { opening: "Hi " + Math.random() } })' },
    /: task: notes\/1\/jot\/0 is another task the second time; draw it with kit\.Random$/,
  ],
  [
    "a database that is no tables",
    { database: "() => [1]" },
    /: database: expected tables by name in an object, got \[1\]/,
  ],
  [
    "rows that are no rows",
    { database: "{ notes: 3 }" },
    /: database: expected notes: rows by name in an object, got 3$/,
  ],
  [
    "a row that is no JSON",
    { database: "{ notes: { a: { at: new Date() } } }" },
    /: database: notes a holds a Date at \.at, which JSON cannot hold$/,
  ],
  ["a database file that is missing", { database: '"data.json"' }, /: database: data\.json: no such file$/],
  ["no families", { families: undefined }, /: families: expected families and task, or a file of tasks$/],
  ["two families of one name", { families: '["jot", "jot"]' }, /: families: two of them are called jot$/],
  ["a family with a slash", { families: '["a/b"]' }, /: families\[0\]: expected a name without "\/"$/],
  [
    "a slot without a name",
    { task: task('scenario: { opening: "Hi.", facts: { "": "x" } }') },
    /: task: notes\/1\/jot\/0: scenario\.facts\."": expected the name of a slot$/,
  ],
  [
    "a slot of signs alone",
    { task: task('scenario: { opening: "Hi.", facts: { "-": "x" } }') },
    /: task: notes\/1\/jot\/0: scenario\.facts\.-: expected the name of a slot$/,
  ],
  ["no task", { task: undefined }, /: task: expected families and task, or a file of tasks$/],
  [
    "a file of tasks beside a function",
    { tasks: '"tasks.jsonl"' },
    /: tasks: tasks\.jsonl: leave task and families out/,
  ],
  ["held-out tasks without others", { heldOut: '"x.jsonl"' }, /: heldOut: x\.jsonl: only beside a file of tasks$/],
  ["a task that throws", { task: "() => null.x" }, /: task: Cannot read properties of null .*\(index\.mjs:\d+\)$/],
  [
    "a task without an opening",
    { task: "() => ({ scenario: { facts: {} } })" },
    /: task: notes\/1\/jot\/0: scenario\.opening: expected text/,
  ],
  [
    "a task without a scenario",
    { task: "() => ({})" },
    /: task: notes\/1\/jot\/0: scenario: expected \{ opening, facts \}/,
  ],
  [
    "a task with a field that no task has",
    { task: task("action: []") },
    /: task: notes\/1\/jot\/0: no such field: action, expected one of id, /,
  ],
  ["criteria, which a folder cannot judge", { task: task("criteria: { basis: [] }") }, /: no such field: criteria, /],
  ["a task with another id", { task: task('id: "x/1"') }, /: id: expected notes\/1\/jot\/0 or nothing, got x\/1/],
  [
    "an action without arguments",
    { task: task('actions: [{ name: "write" }]') },
    /: actions\[0\]\.arguments: expected an object, or one as JSON text/,
  ],
  [
    "arguments that are no object",
    { task: task('actions: [{ name: "write", arguments: "[1]" }]') },
    /: actions\[0\]\.arguments: expected a JSON object, got \[1\]/,
  ],
  [
    "ears of no kind",
    { asks: "7" },
    /: asks: expected a function \(message\), a list of slots, or an object: slot -> regular expression$/,
  ],
  ["hears that is no function", { hears: "true" }, /: hears: expected a function \(message\)$/],
  ["an expert of no kind", { expert: "{ says: 1 }" }, /: expert: no such field: says$/],
  ["drills of no kind", { drills: "{ a: 1 }" }, /: drills\.a: expected a function \(seed\)$/],
];
for (const [what, changed, line] of wrong)
  test(`one line for ${what}`, async () => {
    const path = folder({ "index.mjs": index(changed) });
    const error = await findDomain(path).then(
      () => assert.unreachable(),
      (error: Error) => error,
    );
    assert.is((error as Error).name, "UsageError");
    assert.ok((error as Error).message.startsWith(`--domain ${path}: `), (error as Error).message);
    assert.match((error as Error).message, line);
    assert.not.match((error as Error).message, /\n/);
  });

const files: [what: string, files: Record<string, string>, line: RegExp][] = [
  ["an empty folder", {}, /: expected index\.js or index\.mjs in it$/],
  [
    "a module that is no JavaScript",
    { "index.mjs": "export default {\n  name 7,\n};\n" },
    /: index\.mjs: Unexpected number \(index\.mjs:2\)$/,
  ],
  [
    "a module that throws",
    { "index.mjs": "throw new Error('not today');" },
    /: index\.mjs: not today \(index\.mjs:1\)$/,
  ],
  [
    "a function that throws",
    { "index.mjs": "export default (kit) => kit.missing.x;" },
    /: index\.mjs: Cannot read .*\(index\.mjs:1\)$/,
  ],
  ["no default export", { "index.mjs": "export const x = 1;" }, /: index\.mjs: expected a default export, /],
  ["an export that is no domain", { "index.mjs": "export default 7;" }, /: expected object/],
];
for (const [what, texts, line] of files)
  test(`one line for ${what}`, async () => {
    const error = await findDomain(folder(texts)).then(
      () => new Error("loaded"),
      (error: Error) => error,
    );
    assert.match(error.message, line);
    assert.is(error.name, "UsageError");
  });

test("a folder that is not there, a profile that it has not", async () => {
  const fails = async (work: Promise<unknown>, line: RegExp) =>
    assert.match(
      await work.then(
        () => "loaded",
        (error: Error) => error.message,
      ),
      line,
    );
  await fails(findDomain("./nowhere"), /^--domain \.\/nowhere: no such folder$/);
  await fails(findDomain(join(root, "package.json")), /package\.json: no such folder$/);
  await fails(findDomain(folder({ "index.mjs": index() }), "tau1"), /^--profile tau1: .* has own$/);
});

const written = (text = "xx"): [string, unknown] => ["b", { text }];
const say0 = (domain: Domain, name: string, args: unknown, store = new Store(domain.database(1))) => ({
  ...callTool(domain.tools.find((tool) => tool.name === name)!, store, args),
  rows: [...store.entries("notes")].slice(1),
});

test("what is left out is filled in", async () => {
  const domain = await own();
  assert.equal([domain.name, domain.profile, domain.checkOutputs, domain.toolsInPrompt], ["notes", "own", false, true]);
  assert.equal(domain.tools[1].parameters, {
    type: "object",
    properties: {
      id: { type: "string" },
      text: { type: "string", maxLength: 9 },
      times: { default: 2, type: "integer" },
    },
    required: ["id", "text"],
  });
  const made = domain.task("jot", 5, 0) as Task;
  assert.equal([made.id, made.domain, made.family, made.database], ["notes/5/jot/0", "notes", "jot", 5]);
  assert.equal(made.actions, [{ name: "write", arguments: '{"id":"b","text":"x"}' }]);
  assert.match(made.instruction, /^Note something down for me\. You know: Write x\.$/);
  assert.match(made.scenario.fallback, /Note something down for me\.$/);
  assert.equal(domain.asks("What is the note text?"), ["noteText"], "a slot of the tasks' facts, by its name");
  assert.is(domain.task("other", 1, 0), null);
  assert.is(domain.task("jot", 1, 1), null);
  assert.is(domain.database(3), domain.database(3), "kept");
  assert.throws(() => Object.assign(domain.database(3).get("notes")!.get("a") as object, { text: "" }), /read only/);
});

test("zod's parsed values reach the tool, and what does not fit is refused in one line", async () => {
  const domain = await own();
  assert.equal(say0(domain, "write", { id: "b", text: "x" }), {
    observation: '{"id":"b"}',
    failed: false,
    rows: [written()],
  });
  const long = say0(domain, "write", { id: "b", text: "x".repeat(10) });
  assert.match(long.observation, /^Error: argument text: Too big: /);
  assert.equal([long.failed, long.fault, long.rows], [true, undefined, []]);
  assert.is(say0(domain, "read", { id: "a" }).observation, '{"text":"seed 1"}');
});

test("the expert that is made of the tasks plays them, in words that the ears hear", async () => {
  const domain = await own();
  const made = domain.task("jot", 5, 0)!;
  const { outcome, transcript } = await playTalk(domain, made, domain.expert!(made, oracle, 1));
  assert.is(outcome.success, 1);
  assert.ok(transcript.some((entry) => entry.role === "agent" && entry.text === "What is the note text?"));
});

test("what a tool leaves behind and nobody waits for ends no process", async () => {
  const tools = `[{ name: "stray", description: "d", parameters: { type: "object" }, call() {
    (async () => { throw new Error("late"); })();
    setTimeout(() => { throw new Error("later"); }, 0);
    return "ok";
  } }]`;
  const domain = await own({ tools });
  const { write } = process.stderr;
  let said = "";
  process.stderr.write = (text) => {
    said += text;
    return true;
  };
  try {
    assert.equal(say0(domain, "stray", {}).observation, "ok");
    await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    process.stderr.write = write;
  }
  assert.match(
    said,
    /^tarl: --domain \S+: nobody waits for late \(index\.mjs:\d+\)\ntarl: .* later \(index\.mjs:\d+\)\n$/,
  );
});

test("by default a task without writes is won by its outputs, or by a refusal after a look", async () => {
  const facts = 'scenario: { opening: "Hi.", facts: {} }, lookups: [{ name: "read", arguments: { id: "a" } }]';
  const domain = await own({
    families: '["ask", "refuse"]',
    task: `(family, seed) => family === "ask" ? { ${facts}, outputs: ["seed " + seed] }
      : { ${facts}, forbidden: { action: { name: "write", arguments: { id: "a", text: "x" } }, rule: "a is kept" } }`,
  });
  const [ask, refuse] = ["ask", "refuse"].map((family) => domain.task(family, 1, 0)!);
  const won = async (task: Task, ...turns: Parameters<typeof first>[0]) =>
    (
      await playTalk(
        domain,
        task,
        first(turns, () => say("Is that fine? Bye.")),
      )
    ).outcome.success;
  const look = call("read", { id: "a" });
  assert.is(await won(ask, say("It says Seed 1. Anything else.")), 1);
  assert.is(await won(ask, say("Done.")), 0);
  assert.is(await won(refuse, look, say("I cannot do that.")), 1);
  assert.is(await won(refuse, say("I cannot do that.")), 0, "refused without a look");
  assert.is(await won(refuse, look, say("Done.")), 0);
});

test("rules stand in for violates, and what functions return is checked", async () => {
  const call = { name: "write", arguments: { id: "b" } };
  const domain = await own({ rules: '(call) => call.name === "write" ? ["b is kept", "so is all"] : []' });
  const store = new Store(domain.database(1));
  assert.is(domain.violates(call, store, []), "b is kept");
  assert.is(domain.violates({ ...call, name: "read" }, store, []), null);
  const odd = await own({
    rules: "() => 7",
    violates: "() => true",
    asks: "() => 'id'",
    hears: "() => undefined",
    readings: "() => [[{ name: 1 }]]",
    answered: "() => { throw 'deaf' }",
  });
  const task = odd.task("jot", 1, 0)!;
  assert.throws(() => odd.rules!(call, store), /: rules: returned 7, expected a list of rules/);
  assert.throws(
    () => odd.violates(call, store, []),
    /: violates: returned true, expected the rule that is broken, or null/,
  );
  assert.throws(() => odd.asks("?"), /: asks: returned "id", expected a list of slots/);
  assert.throws(() => odd.hears("?"), /: hears: returned undefined, expected \{ confirms, claimsDone, refuses \}/);
  assert.throws(() => odd.readings!(task), /: readings: \[0\]\.name: expected text/);
  assert.throws(() => odd.answered!(task, []), /: answered: threw deaf$/);
});

test("patterns for slots, with and without memory; an expert's own words and turns", async () => {
  const patterns = await own({
    asks: "{ noteText: /\\bsay\\b/g }",
    expert: '{ details: { noteText: "What shall it say?" } }',
  });
  assert.equal(
    [1, 2].map(() => patterns.asks("What shall it say?")),
    [["noteText"], ["noteText"]],
  );
  const made = patterns.task("jot", 1, 0)!;
  assert.is((await playTalk(patterns, made, patterns.expert!(made, oracle, 1))).outcome.success, 1);
  const turns = await own({
    expert:
      '() => (talk) => talk.length === 1 ? { calls: [{ name: "write", arguments: { id: "b", text: "x" } }] } : { text: "Done." }',
  });
  assert.is((await playTalk(turns, made, turns.expert!(made, oracle, 1))).outcome.success, 1);
  const mute = await own({ expert: "() => () => 'hi'" });
  assert.throws(() => mute.expert!(made, oracle, 1)([]), /: expert: returned "hi", expected \{ text, calls \}/);
  const spent = await own({ expert: "() => () => null" });
  assert.throws(() => spent.expert!(made, oracle, 1)([]), /: expert: returned null, expected \{ text, calls \}/);
});

const line = (n: number) =>
  `{"family": "f", "scenario": {"opening": "Task ${n}.", "facts": {}}, "actions": [{"name": "write", "arguments": {"id": "n${n}", "text": "x"}}]}`;
const listed = { task: undefined, families: undefined, tasks: '"tasks.jsonl"', database: '"data.json"' };
const data = '{"notes": {"a": {"text": "fixed"}}}';

test("tasks and data can be files: every task is drawn, training and held out", async () => {
  const texts = { "tasks.jsonl": `${[1, 2, 3].map(line).join("\n\n")}\n`, "held.jsonl": line(9), "data.json": data };
  const domain = await own({ ...listed, heldOut: '"held.jsonl"' }, texts);
  const openings = (from: number) =>
    Array.from({ length: 6 }, (_, n) => domain.task("f", from + n, 0)!.scenario.opening.slice(5, 6)).join("");
  assert.equal([openings(1), openings(1_000_000)], ["123123", "999999"]);
  assert.equal(
    [4, 1_000_005].map((seed) => domain.task("f", seed, 0)!.id),
    ["notes/1/f/0", "notes/1000000/f/0"],
  );
  assert.is(domain.task("f", 1, 1), null);
  assert.equal(domain.database(0).get("notes")!.get("a"), { text: "fixed" });
  const many = Array.from({ length: 40 }, (_, n) => line(n).replace('"facts": {}', `"facts": {"slot${n}x": "Yes."}`));
  const long = await own(listed, { ...texts, "tasks.jsonl": many.join("\n") });
  assert.equal(long.asks("What is the slot39x?"), ["slot39x"], "slots of every line");
  const same = await own(listed, texts);
  assert.is(same.task("f", 1_000_001, 0)!.scenario.opening, "Task 2.", "measured on all of them");
});

test("tables can be Maps, with or without a seed", async () => {
  const tables = 'new Map([["notes", new Map([["10", { text: "ten" }], ["9", { text: "nine" }]])]])';
  for (const database of [tables, `(seed) => ${tables}`]) {
    const { notes } = Object.fromEntries((await own({ database })).database(1));
    assert.equal([...notes.keys()], ["10", "9"], "in their order");
  }
});

test("one line for a bad file, with its place", async () => {
  const fails = async (texts: Record<string, string>, line: RegExp) => {
    const error = await own(listed, { "data.json": data, ...texts }).then(
      () => new Error("loaded"),
      (error: Error) => error,
    );
    assert.match(error.message, line);
  };
  await fails({ "tasks.jsonl": `${line(1)}\n{` }, /: tasks\.jsonl:2: /);
  await fails({ "tasks.jsonl": "\n" }, /: tasks\.jsonl: no tasks$/);
  await fails({ "tasks.jsonl": '{"scenario": {}}' }, /: tasks\.jsonl:1: family: expected text$/);
  await fails({ "tasks.jsonl": '{"family": "a/b"}' }, /: tasks\.jsonl:1: family: expected a name without "\/"$/);
  await fails(
    { "tasks.jsonl": `${line(1)}\n${line(2).replace("opening", "open")}` },
    /: tasks\.jsonl:2: scenario\.opening: expected text$/,
  );
  await fails({ "tasks.jsonl": line(1).replace("{", '{"id": "x", ') }, /: tasks\.jsonl:1: id: leave it out/);
  await fails({ "tasks.jsonl": line(1), "data.json": "[" }, /: database: data\.json: /);
});

test.run();
