// Task sets: what is written is what is read, numbers keep their spelling, every mistake in a file is named by its place,
// and an overlay changes a domain in what it says and in nothing else.

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { shop } from "../../src/domains/shop/index.ts";
import { checkNew, type Draft, openSet, tasksOf, withSet, writeSet } from "../../src/tasks/set.ts";
import type { Domain, Task } from "../../src/types.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-set-"));
test.after(() => fs.rmSync(dir, { recursive: true }));
let made = 0;
const fresh = () => join(dir, String(made++));

const task = (id: string, change: Partial<Task> = {}): Task => ({
  id,
  domain: "shop",
  family: "return",
  database: 3,
  instruction: "You are Zoë.\nYou want 1 € back.",
  scenario: {
    opening: "Hi.",
    facts: { order: "It is #1." },
    given: ["order"],
    fallback: "No.",
    style: "terse",
    slips: { order: "It is #2." },
    otherwise: ["Then nothing."],
  },
  actions: [
    { name: "pay", arguments: '{"amount": 1.0, "count": 1, "big": 123456789012345678901, "to": [1e-07, "\\u00e9"]}' },
  ],
  outputs: ["12"],
  ...change,
});

const draft = (change: Partial<Draft<Task>> = {}): Draft<Task> => ({
  kind: "tasks",
  domain: "shop",
  source: "test",
  splits: { train: [task("a"), task("b", { family: "refuse", actions: [] })], "held-out": [task("c")] },
  ...change,
});

/** The message that an action ends with. */
function failure(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.is((error as Error).name, "UsageError");
    return (error as Error).message.replaceAll(`${dir}/`, "");
  }
  return assert.unreachable() as never;
}

test("a set is read as it was written; numbers keep their spelling", () => {
  const path = fresh();
  const lookups = [{ name: "look", arguments: '{"id": 2.0}' }];
  const forbidden = { action: { name: "pay", arguments: '{"x": 0.10}' }, rule: "too late" };
  const splits = {
    train: [task("a", { lookups, forbidden, customer: "ann" }), task("b", { family: "refuse" })],
    "held-out": [task("c")],
  };
  const manifest = writeSet(path, draft({ splits, seed: 7, profile: "shop", policy: "Be kind.\n" }));
  const set = openSet(path);
  assert.equal(set.manifest, manifest);
  assert.equal(manifest.splits.train, { count: 2, families: { return: 1, refuse: 1 } });
  assert.equal([...set.splits.keys()], ["train", "held-out"]);
  assert.equal(set.overlay, { policy: "Be kind.\n" });
  const [first, second] = tasksOf(set, "train");
  assert.equal(second, splits.train[1]);
  assert.equal(first, {
    ...splits.train[0],
    forbidden: { ...forbidden, action: { name: "pay", arguments: '{"x": 0.1}' } },
  });
  assert.is(tasksOf(set).length, 3);
  assert.equal(fs.readdirSync(path).sort(), ["held-out.jsonl", "manifest.json", "policy.md", "train.jsonl"]);
  assert.match(
    fs.readFileSync(join(path, "train.jsonl"), "utf8"),
    '"arguments": {"amount": 1.0, "count": 1, "big": 12345',
  );
});

test("any text and any arguments survive the disk", () => {
  const json = fc.json({ maxDepth: 3 }).map((text) => `{"x": ${text}}`);
  // A slot may have any name but the one that zod passes over.
  const slot = fc.string({ unit: "binary" }).filter((text) => text !== "__proto__");
  fc.assert(
    fc.property(slot, json, (text, args) => {
      const path = fresh();
      const facts = { [text]: text };
      const given = task("a", {
        instruction: text,
        scenario: { opening: `.${text}`, facts, fallback: "." },
        actions: [{ name: "pay", arguments: args }],
      });
      writeSet(path, draft({ splits: { train: [given] } }));
      const [read] = tasksOf(openSet(path));
      assert.is(read.instruction, text);
      assert.equal(read.scenario, given.scenario);
      assert.equal(JSON.parse(read.actions[0].arguments), JSON.parse(args));
      fs.rmSync(path, { recursive: true });
    }),
    { numRuns: 100 },
  );
});

test("families, splits and slots may have any name", () => {
  const path = fresh();
  const { scenario } = task("a");
  const facts = { parameters: "Two.", arguments: "None." };
  const named = task("a", { family: "arguments", scenario: { ...scenario, facts } });
  const splits = { parameters: [named], arguments: [task("b", { family: "parameters" })] };
  const manifest = writeSet(path, draft({ splits }));
  const set = openSet(path);
  assert.equal(set.manifest, manifest);
  assert.equal(Object.fromEntries(set.splits), splits);
});

test("line breaks of another system change nothing", () => {
  const path = fresh();
  writeSet(path, draft({ policy: "Be kind.\r\nBe brief.\r\n" }));
  const set = openSet(path);
  assert.is(set.overlay.policy, "Be kind.\nBe brief.\n");
  for (const name of fs.readdirSync(path)) {
    const text = fs.readFileSync(join(path, name), "utf8");
    fs.writeFileSync(join(path, name), text.replaceAll("\n", "\r\n"));
  }
  assert.equal(openSet(path), set);
});

test("a file that changed is refused, and what is wrong in it is named", () => {
  const line = (change: object) => `${JSON.stringify({ ...task("z"), actions: [], ...change })}\n`;
  const cases: [text: string, message: RegExp][] = [
    [line({}), /^\d+\/train.jsonl: changed since the set was made/],
    [`${line({})}\n{"id": `, /^\d+\/train.jsonl:3: Expecting value: line 1 column 8/],
    [`${line({})}${line({ id: "y", database: 1.5 })}`, /train.jsonl:2: database: expected a whole number/],
    [line({ id: 1 }), /train.jsonl:1: id: expected text/],
    [line({ outputs: [1] }), /train.jsonl:1: outputs.0: expected text/],
    [line({ surprise: 1 }), /train.jsonl:1: Unrecognized key: "surprise"/],
    [line({ domain: "retail" }), /train.jsonl:1: domain: retail, expected shop as in the rest of the set/],
    [line({ actions: [{ name: "pay", arguments: "{}" }] }), /train.jsonl:1: actions.0.arguments: expected an object/],
    [line({ actions: [{ name: "pay" }] }), /train.jsonl:1: actions.0.arguments: expected an object/],
    [`${line({})}${line({})}`, /train.jsonl:2: id: z stands at \d+\/train.jsonl:1 already/],
    ["[]\n", /train.jsonl:1: Invalid input: expected object, received array/],
    [`${"[".repeat(100_000)}\n`, /train.jsonl:1: More than 990 nested arrays and objects/],
    [line({ scenario: { opening: "", facts: {}, fallback: "." } }), /train.jsonl:1: scenario.opening: expected text/],
    [line({ scenario: 1 }), /train.jsonl:1: scenario: expected \{ opening, facts \}/],
    [line({ database: -1 }), /train.jsonl:1: database: expected a whole number from 0 on/],
  ];
  for (const [text, message] of cases) {
    const path = fresh();
    writeSet(path, draft());
    fs.writeFileSync(join(path, "train.jsonl"), text);
    assert.match(
      failure(() => openSet(path)),
      message,
      text.slice(0, 60),
    );
  }
  const path = fresh();
  writeSet(path, draft());
  fs.writeFileSync(join(path, "train.jsonl"), Buffer.from([0xff, 0xfe]));
  assert.match(
    failure(() => openSet(path)),
    /train.jsonl: not UTF-8 text$/,
  );
  fs.rmSync(join(path, "train.jsonl"));
  assert.match(
    failure(() => openSet(path)),
    /train.jsonl: no such file$/,
  );
});

test("a manifest that is wrong is named", () => {
  const cases: [change: (manifest: any) => unknown, message: RegExp][] = [
    [(m) => ({ ...m, kind: "songs" }), /^\d+\/manifest.json: kind: Invalid option/],
    [(m) => ({ ...m, kind: "dialogues" }), /^\d+: a set of dialogues, expected one of tasks$/],
    [(m) => ({ ...m, policy: "../../etc/passwd" }), /manifest.json: policy: expected a plain file name$/],
    [
      (m) => ({ ...m, splits: { "../x": { count: 1 } } }),
      /manifest.json: splits.*expected a plain file name|Invalid key/,
    ],
    [(m) => ({ ...m, files: {} }), /manifest.json: files: lacks train.jsonl$/],
    [
      (m) => ({ ...m, splits: { train: { count: 3 } } }),
      /manifest.json: splits.train.count: 3, but train.jsonl has 2$/,
    ],
    [(m) => ({ ...m, policy: "policy.md" }), /policy.md: no such file$/],
    [() => [], /manifest.json: Invalid input: expected object/],
  ];
  for (const [change, message] of cases) {
    const path = fresh();
    const manifest = writeSet(path, draft());
    fs.writeFileSync(join(path, "manifest.json"), JSON.stringify(change(manifest)));
    assert.match(
      failure(() => openSet(path)),
      message,
    );
  }
  const path = fresh();
  writeSet(path, draft());
  fs.writeFileSync(join(path, "manifest.json"), '{"kind": ');
  assert.match(
    failure(() => openSet(path)),
    /manifest.json: Expecting value/,
  );
  fs.rmSync(join(path, "manifest.json"));
  assert.match(
    failure(() => openSet(path)),
    /^\d+: has no manifest.json; expected the folder of a task set$/,
  );
  assert.is(
    failure(() => openSet(join(dir, "nowhere"))),
    "nowhere: no such task set",
  );
});

test("a lone file of tasks is a set of one split", () => {
  const path = fresh();
  writeSet(path, draft());
  const set = openSet(join(path, "held-out.jsonl"));
  assert.equal([...set.splits.keys()], ["held-out"]);
  assert.equal(tasksOf(set, "held-out"), [task("c")]);
  assert.is(set.manifest.domain, "shop");
  const empty = join(dir, "empty.jsonl");
  fs.writeFileSync(empty, "\n");
  assert.is(
    failure(() => openSet(empty)),
    "empty.jsonl: holds no task",
  );
  assert.match(
    failure(() => tasksOf(set, "test")),
    /^--split test: \d+\/held-out.jsonl has held-out$/,
  );
});

test("nothing is written over, and nothing half", () => {
  const path = fresh();
  writeSet(path, draft());
  assert.match(
    failure(() => writeSet(path, draft())),
    /^--out .*\d+: exists already; expected a new or empty folder$/,
  );
  const other = fresh();
  const broken = draft({ splits: { train: [task("a", { actions: [{ name: "pay", arguments: "{" }] })] } });
  assert.throws(() => writeSet(other, broken));
  assert.not(fs.existsSync(other));
  fs.mkdirSync(other);
  writeSet(other, draft());
  assert.is(openSet(other).splits.size, 2);
  assert.match(
    failure(() => writeSet(join(path, "train.jsonl"), draft())),
    /exists already/,
  );
  assert.match(
    failure(() => writeSet(join(path, "train.jsonl", "x"), draft())),
    /^\d+\/train.jsonl\/x: ENOTDIR/,
  );
  assert.match(
    failure(() => writeSet("", draft())),
    /^--out: the folder of a set has no name/,
  );
  const third = fresh();
  fs.mkdirSync(`${third}.part`);
  writeSet(third, draft());
  assert.ok(fs.existsSync(`${third}.part`), "what lies beside it stays");
  assert.not(fs.readdirSync(dir).some((name) => name.includes(".part-")));
});

test("the hashes are those of the files", () => {
  const path = fresh();
  const { files } = writeSet(path, draft({ policy: "Grüße" }));
  for (const [name, hash] of Object.entries(files))
    assert.is(
      createHash("sha256")
        .update(fs.readFileSync(join(path, name)))
        .digest("hex"),
      hash,
    );
  assert.is(Object.keys(files).length, 3);
});

test("an overlay changes policy, schemas and what success asks for; the tools stay what they do", () => {
  const path = fresh();
  const tools = shop.tools
    .map(({ name, parameters }) => ({ name, description: `theirs: ${name}`, parameters }))
    .reverse();
  writeSet(path, draft({ policy: "Theirs.", tools, checkOutputs: true, data: "db" }));
  const set = openSet(path);
  assert.is(set.overlay.data, join(path, "db"));
  const domain: Domain = { ...shop, answered: () => false };
  const played = withSet(domain, set);
  assert.is(played.policy, "Theirs.");
  assert.ok(played.checkOutputs && played.toolsInPrompt);
  assert.equal(
    played.tools.map(({ name }) => name),
    shop.tools.map(({ name }) => name).reverse(),
  );
  for (const tool of played.tools) {
    assert.is(tool.description, `theirs: ${tool.name}`);
    assert.is(tool.call, shop.tools.find(({ name }) => name === tool.name)!.call);
  }
  assert.not(played.answered!(task("a"), []));
  assert.ok(played.answered!(task("a", { family: "imported" }), []));
  assert.is(domain.policy, shop.policy);

  const bare = { ...set, overlay: {}, manifest: { ...set.manifest, checkOutputs: undefined } };
  const same = withSet(shop, bare);
  assert.equal([same.policy, same.tools, same.checkOutputs], [shop.policy, shop.tools, shop.checkOutputs]);

  const few = { ...set, overlay: { tools: tools.slice(1) } };
  assert.match(
    failure(() => withSet(shop, few)),
    new RegExp(`: its tools lack ${tools[0].name}, which shop has$`),
  );
  const more = { ...set, overlay: { tools: [...tools, { ...tools[0], name: "fly" }] } };
  assert.match(
    failure(() => withSet(shop, more)),
    /: shop \(shop\) has no tool fly$/,
  );
  const other = { ...set, manifest: { ...set.manifest, domain: "retail" } };
  assert.match(
    failure(() => withSet(shop, other)),
    /: a set of the domain retail, played on shop$/,
  );
});

test("an id may stand once", () => {
  const seen = new Map<string, string>();
  checkNew("a", "x:1", seen);
  checkNew("b", "x:2", seen);
  assert.is(
    failure(() => checkNew("a", "y:3", seen)),
    "y:3: id: a stands at x:1 already",
  );
});

test.run();
