// Importers on shapes of our own making: what is read, what is refused and where, and the way import -> list -> show.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { root } from "../../src/root.ts";
import { importApigen } from "../../src/tasks/apigen.ts";
import { firstPerson } from "../../src/tasks/benchmark.ts";
import { importDeepScaler } from "../../src/tasks/deepscaler.ts";
import { openDialogues } from "../../src/tasks/dialogues.ts";
import { importSet } from "../../src/tasks/import.ts";
import { openSet, tasksOf, writeSet } from "../../src/tasks/set.ts";
import { importTauBench } from "../../src/tasks/tau-bench.ts";
import { runIn } from "../command.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-import-"));
test.after(() => fs.rmSync(dir, { recursive: true }));
let made = 0;
const fresh = () => join(dir, String(made++));
const file = (text: string | Buffer, name = fresh()) => {
  fs.mkdirSync(dirname(name), { recursive: true });
  fs.writeFileSync(name, text);
  return name;
};

/** The message that an action ends with, without the test's folder. */
async function failure(act: () => unknown): Promise<string> {
  try {
    await act();
  } catch (error) {
    assert.is((error as Error).name, "UsageError", (error as Error).stack);
    return (error as Error).message.replaceAll(`${dir}/`, "");
  }
  return assert.unreachable() as never;
}

/** Runs a command; what it complains of is without the test's folder. */
async function run(...args: string[]) {
  const ran = await runIn(dir, args);
  return { ...ran, err: ran.err.replaceAll(`${dir}/`, "") };
}

// ---------------------------------------------------------------------------------------------------
// A checkout in tau-bench's layout: a zoo
// ---------------------------------------------------------------------------------------------------

const TASKS = `from tau_bench.types import Action, Task

TASKS_TEST = [
    Task(
        annotator="0",
        user_id="ann_1",
        instruction="You are Ann. You want your "
        'zebra "Zoë" moved, and you\\'ll wait. If they ask you, say yes.',
        actions=[
            Action(name="move_animal", kwargs={"animal": "#Z1", "weight": 300.0, "count": 1, "to": ["A", None]}),
            Action(name="transfer_to_human_agents", kwargs={}), Action(name="find_animal", kwargs={"id": 1.0}),
        ],
        outputs=["12"],
    ),
    Task(annotator="1", user_id="bob_2", instruction="Count.", actions=[], outputs=[]),
]
`;
const TOOLS = `from .feed import Feed
from .move_animal import MoveAnimal

ALL_TOOLS = [
    MoveAnimal,
    Feed,
]
`;
const tool = (className: string, name: string) => `class ${className}(Tool):
    @staticmethod
    def invoke(data, animal: str) -> str:
        if animal not in data["animals"]:
            return f"Error: {animal!r} not found"
        return json.dumps({"moved": animal})

    @staticmethod
    def get_info() -> Dict[str, Any]:
        return {
            "type": "function",
            "function": {
                "name": "${name}",
                "description": ("Moves " "an animal."),
                "parameters": {
                    "type": "object",
                    "properties": {"animal": {"type": "string", "minLength": 1}},
                    "required": ["animal"],
                },
            },
        }
`;

function checkout(change: { readonly [name: string]: string | null } = {}): string {
  const top = fresh();
  const files: { [name: string]: string | null } = {
    "wiki.md": "# Zoo\r\nBe kind.\n",
    "tasks_test.py": TASKS,
    "tasks_train.py": "TASKS = []\n",
    "tools/__init__.py": TOOLS,
    "tools/feed.py": tool("Feed", "feed"),
    "tools/move_animal.py": tool("MoveAnimal", "move_animal"),
    "data/animals.json": '{"#Z1": {"weight": 300.0}}',
    ...change,
  };
  for (const [name, text] of Object.entries(files))
    if (text !== null) file(text, join(top, "tau_bench", "envs", "zoo", name));
  return top;
}

test("an instruction in the first person", () => {
  const table = [
    ["You're Ann. You've lost your card; it made you anxious.", "I'm Ann. I've lost my card; it made me anxious."],
    ["Whatever saves you money. Would they compensate you?", "Whatever saves me money. Would they compensate me?"],
    ["If you can, you'd do it yourself; it is yours.", "If I can, I'd do it myself; it is mine."],
  ];
  for (const [instruction, said] of table) assert.is(firstPerson(instruction), said);
});

test("a checkout's tasks, schemas, policy and data are found", () => {
  const top = checkout();
  const found = importTauBench(top, "zoo");
  assert.equal(Object.keys(found.splits), ["test", "train"]);
  const [first, second] = found.splits.test;
  const instruction = `You are Ann. You want your zebra "Zoë" moved, and you'll wait. If they ask you, say yes.`;
  assert.equal(first, {
    id: "zoo/tau-bench-test/0",
    domain: "zoo",
    family: "tau-bench-test",
    database: 0,
    customer: "ann_1",
    instruction,
    scenario: {
      opening: `I am Ann. I want my zebra "Zoë" moved, and I'll wait. If they ask me, say yes.`,
      facts: {},
      fallback: "I have told you all that I know. My user id is ann_1.",
    },
    actions: [
      { name: "move_animal", arguments: '{"animal": "#Z1", "weight": 300.0, "count": 1, "to": ["A", null]}' },
      { name: "transfer_to_human_agents", arguments: "{}" },
    ],
    lookups: [{ name: "find_animal", arguments: '{"id": 1.0}' }],
    outputs: ["12"],
  });
  assert.equal([second.id, second.actions, second.outputs], ["zoo/tau-bench-test/1", [], []]);
  const parameters = {
    type: "object",
    properties: { animal: { type: "string", minLength: 1 } },
    required: ["animal"],
  };
  assert.equal(found.tools, [
    { name: "move_animal", description: "Moves an animal.", parameters },
    { name: "feed", description: "Moves an animal.", parameters },
  ]);
  assert.is(found.policy, "# Zoo\nBe kind.\n");
  assert.is(found.data, join(top, "tau_bench/envs/zoo/data"));
  assert.equal(Object.keys(importTauBench(top, "zoo", "train").splits), ["train"]);
});

const wrongCheckouts: [change: { readonly [name: string]: string | null }, message: RegExp][] = [
  [{ "tasks_test.py": TASKS.slice(0, 200) }, /tasks_test.py:\d+: the string is never closed$/],
  [{ "tasks_test.py": TASKS.slice(0, -3) }, /tasks_test.py:3: \[ is never closed$/],
  [{ "tasks_test.py": "TASKS = 3\n" }, /tasks_test.py: TASKS: expected a list of Task\(...\)$/],
  [{ "tasks_test.py": "TASKS = [3]\n" }, /tasks_test.py: TASKS\[0\]: expected Task\(...\)$/],
  [{ "tasks_test.py": "OTHER = []\n" }, /tasks_test.py: has no TASKS_TEST = ...$/],
  [
    { "tasks_test.py": "TASKS = make()\n" },
    /tasks_test.py:1: expected a literal or Task\(...\) or Action\(...\), got make$/,
  ],
  [
    { "tasks_test.py": TASKS.replace('user_id="bob_2"', "user_id=2") },
    /tasks_test.py:15: TASKS_TEST\[1\].user_id: expected text$/,
  ],
  [
    { "tasks_test.py": TASKS.replace(', user_id="bob_2"', "") },
    /tasks_test.py:15: TASKS_TEST\[1\]: Task\(...\) lacks user_id$/,
  ],
  [
    { "tasks_test.py": TASKS.replace("kwargs={}", "kwargs=[]") },
    /tasks_test.py:11: TASKS_TEST\[0\].actions\[1\].kwargs: expected a dict$/,
  ],
  [
    { "tasks_test.py": TASKS.replace("kwargs={}", "kwargs={'a': Task()}") },
    /tasks_test.py:11: expected a literal, got Task\(...\)$/,
  ],
  [
    { "tasks_test.py": TASKS.replace('["12"]', "[12]") },
    /tasks_test.py:4: TASKS_TEST\[0\].outputs: expected a list of texts$/,
  ],
  [{ "tasks_test.py": TASKS.replace("annotator", "user") }, /tasks_test.py:5: Task has no user; expected annotator, /],
  [{ "tasks_test.py": `TASKS = ${"[".repeat(100_000)}` }, /tasks_test.py:1: more than 200 nested brackets$/],
  [{ "tools/feed.py": null }, /tools\/feed.py: no such file$/],
  [{ "tools/__init__.py": null }, /tools\/__init__.py: no such file$/],
  [
    { "tools/__init__.py": "ALL_TOOLS = [Feed]\n" },
    /__init__.py: ALL_TOOLS\[0\]: expected a class imported from a file beside it$/,
  ],
  [{ "tools/feed.py": "class Feed: pass\n" }, /tools\/feed.py: has no function get_info$/],
  [
    { "tools/feed.py": tool("Feed", "feed").replace('("Moves " "an animal.")', "3") },
    /tools\/feed.py: get_info: function: description: Invalid input: expected string, received number$/,
  ],
  [{ "data/animals.json": null }, /zoo\/data: no such folder$/],
  [{ "wiki.md": null }, /^--domain zoo: .*envs has none$/],
];

for (const [change, message] of wrongCheckouts)
  test(`a checkout is refused: ${message.source}`, async () => {
    assert.match(await failure(() => importTauBench(checkout(change), "zoo")), message);
  });

test("a wrong folder, domain or split is one line", async () => {
  const top = checkout();
  assert.match(
    await failure(() => importTauBench(dir, "zoo")),
    /: no checkout of tau-bench: tau_bench\/envs does not exist$/,
  );
  assert.match(await failure(() => importTauBench(top, "bank")), /^--domain bank: \d+\/tau_bench\/envs has zoo$/);
  assert.match(await failure(() => importTauBench(top, "zoo", "dev")), /^--split dev: .*zoo has test, train$/);
  assert.match(await failure(() => importSet("tau-bench", top, {})), /^--domain: missing/);
  assert.match(
    await failure(() => importSet("tau-bench", join(dir, "nowhere"), { domain: "zoo" })),
    /^nowhere: no such file or folder$/,
  );
  assert.match(await failure(() => importSet("songs", top, {})), /^songs: expected one of tau-bench, /);
  assert.match(
    await failure(() => importSet("apigen", top, { split: "../x" })),
    /^--split \.\.\/x: expected a name of letters/,
  );
  assert.is(
    await failure(() => importSet("apigen", top, { integers: true })),
    "--integers true: apigen has only --split",
  );
});

test("import, list and show go together", async () => {
  const [top, out] = [checkout(), fresh()];
  const imported = await run("tasks", "import", "tau-bench", top, "--out", out, "--domain", "zoo");
  assert.equal([imported.code, imported.out], [0, `${out}: test: 2 tasks\n${out}: train: 0 tasks\n`]);
  const listed = await run("tasks", "list", "--tasks", out, "--split", "test");
  assert.is(listed.out.split("\n")[1], `${"zoo/tau-bench-test/1".padEnd(30)} Count.`);
  assert.is(listed.out.split("\n").length, 3);
  assert.is((await run("tasks", "list", "--tasks", out, "--count", "1")).out.split("\n").length, 2);
  const shown = await run("tasks", "show", "zoo/tau-bench-test/0", "--tasks", out);
  assert.match(shown.out, 'action     move_animal {"animal": "#Z1", "weight": 300.0, "count": 1, "to": ["A", null]}\n');
  assert.match(shown.out, "\nto be said 12\n");
  const json = await run("tasks", "show", "zoo/tau-bench-test/0", "--tasks", out, "--json");
  assert.equal(JSON.parse(json.out), importTauBench(top, "zoo").splits.test[0]);
  const set = openSet(out);
  assert.is(set.overlay.data, join(top, "tau_bench/envs/zoo/data"));
  assert.equal([set.manifest.profile, set.manifest.checkOutputs, set.manifest.source], ["tau1", true, "tau-bench"]);

  const bad: [args: string[], message: RegExp][] = [
    [
      ["import", "tau-bench", top, "--out", out, "--domain", "zoo"],
      /^tarl: --out \d+: exists already; expected a new or empty folder\n$/,
    ],
    [["import", "tau-bench", top, "--domain", "zoo"], /--out: missing/],
    [["list", "--tasks", out, "--split", "dev"], /^tarl: --split dev: \d+ has test, train\n$/],
    [["list", "--tasks", out, "--families", "a"], /^tarl: --tasks .* with --families: /],
    [["list", "--tasks", out, "--config", "a.json"], /^tarl: --tasks .* with --config: /],
    [["list", "--tasks", out, "--preset", "paper"], /^tarl: --tasks .* with --preset: /],
    [["list", "--tasks", join(dir, "nowhere")], /^tarl: --tasks: nowhere: no such task set\n$/],
    [["show", "zoo/tau-bench-test/7", "--tasks", out], /^tarl: zoo\/tau-bench-test\/7: no such task in \d+; /],
  ];
  for (const [args, message] of bad) {
    const { code, err } = await run("tasks", ...args);
    assert.is(code, 2);
    assert.match(err, message);
  }
});

// ---------------------------------------------------------------------------------------------------
// Conversations
// ---------------------------------------------------------------------------------------------------

const parameters = { type: "object", properties: { id: { type: "string" } } };
const look = { name: "look", description: "Looks.", parameters };
const said = (...all: [from: string, value: string][]) => all.map(([from, value]) => ({ from, value }));
const talk = (change: object = {}) => ({
  conversations: said(
    ["human", "Where is #1?"],
    ["function_call", '{"name": "look", "arguments": {"id": "#1", "n": 1.0}}'],
    ["observation", '{"at": "home"}'],
    ["gpt", "At home."],
    ["human", "Bye."],
  ),
  system: "Be kind.",
  tools: JSON.stringify([look]),
  ...change,
});

test("conversations become dialogues, and come back from the disk", async () => {
  const path = file(
    JSON.stringify([talk(), talk({ system: "", tools: "[]", conversations: said(["human", "Hi."], ["gpt", "Hi."]) })]),
  );
  const dialogues = await importApigen(path, "train");
  assert.equal(dialogues[0], {
    id: "apigen/train/0",
    system: "Be kind.",
    tools: [look],
    turns: [
      { role: "user", text: "Where is #1?" },
      { role: "agent", text: "", calls: [{ name: "look", arguments: '{"id": "#1", "n": 1.0}' }] },
      { role: "tool", text: '{"at": "home"}' },
      { role: "agent", text: "At home.", calls: [] },
      { role: "user", text: "Bye." },
    ],
  });
  assert.equal(await importApigen(file(`${JSON.stringify(talk())}\n`), "train"), [dialogues[0]]);
  const wrapped = talk({ tools: JSON.stringify([{ type: "function", function: { ...look, strict: true } }]) });
  assert.equal((await importApigen(file(JSON.stringify([wrapped])), "train"))[0].tools, [look]);

  const out = fresh();
  const { code } = await run("tasks", "import", "apigen", path, "--out", out);
  assert.is(code, 0);
  assert.equal(openDialogues(out), dialogues);
  assert.match(await failure(() => openSet(out)), /^\d+: a set of dialogues, expected one of tasks$/);
  const empty = fresh();
  writeSet(empty, { kind: "dialogues", source: "test", splits: { train: [] } });
  assert.match(await failure(() => openDialogues(empty)), /^\d+: holds no dialogue$/);
});

const wrongTalks: [rows: unknown, message: RegExp][] = [
  [[talk(), { conversations: [] }], /^\d+: row 2: system: Invalid input: expected string, received undefined$/],
  [[talk({ conversations: said(["robot", "x"]) })], /row 1: conversations.0.from: Invalid option/],
  [
    [talk({ conversations: [{ from: "human", value: 3 }] })],
    /row 1: conversations.0.value: Invalid input: expected string/,
  ],
  [[talk({ conversations: said(["gpt", "Hi."]) })], /row 1: turns.0: agent, expected user$/],
  [[talk({ conversations: said(["human", "Hi."]) })], /row 1: turns: the agent says nothing$/],
  [[talk({ conversations: [] })], /row 1: turns: the agent says nothing$/],
  [
    [talk({ conversations: said(["human", "a"], ["gpt", "b"], ["observation", "c"]) })],
    /row 1: turns.2: tool, expected user$/,
  ],
  [
    [talk({ conversations: said(["human", "a"], ["function_call", "{}"]) })],
    /row 1: conversations.1.value: expected \{name, arguments\}/,
  ],
  [
    [talk({ conversations: said(["human", "a"], ["function_call", '{"name": ']) })],
    /row 1: conversations.1.value: Expecting value: line 1 column 10/,
  ],
  [
    [talk({ conversations: said(["human", "a"], ["function_call", "[".repeat(5000)]) })],
    /conversations.1.value: More than 990 nested/,
  ],
  [[talk({ tools: "{" })], /row 1: tools: Expecting property name/],
  [[talk({ tools: '[{"name": "look"}]' })], /row 1: tools: 0: expected \{name, description, parameters\}$/],
  [[talk({ tools: [] })], /row 1: tools: Invalid input: expected string, received array$/],
  [[talk(), 3], /^\d+: row 2: expected an object$/],
  [[], /^\d+: holds no conversation$/],
  [{}, /^\d+:1: conversations: Invalid input/],
];

for (const [rows, message] of wrongTalks)
  test(`conversations are refused: ${message.source}`, async () => {
    assert.match(await failure(() => importApigen(file(JSON.stringify(rows)), "train")), message);
  });

test("a truncated file is named with the place", async () => {
  const text = JSON.stringify([talk(), talk()]);
  for (const length of [1, 30, text.length - 1])
    assert.match(
      await failure(() => importApigen(file(text.slice(0, length)), "train")),
      /^\d+: .*line 1 column \d+ \(char \d+\)$/,
    );
  assert.match(await failure(() => importApigen(file(""), "train")), /^\d+: holds no conversation$/);
  assert.match(await failure(() => importApigen(file(Buffer.from([0x5b, 0xff])), "train")), /^\d+: not UTF-8 text$/);
  assert.match(await failure(() => importApigen(dir, "train")), /: a folder, expected a file$/);
});

test("a set of dialogues that was changed by hand is refused at its line", async () => {
  const dialogues = await importApigen(file(JSON.stringify([talk(), talk()])), "train");
  const cases: [change: (line: any) => object, message: RegExp][] = [
    [(line) => ({ ...line, id: "apigen/train/0" }), /train.jsonl:2: id: apigen\/train\/0 stands at .*:1 already$/],
    [(line) => ({ ...line, turns: line.turns.slice(1) }), /train.jsonl:2: turns.0: agent, expected user$/],
    [(line) => ({ ...line, turns: [{ role: "cat", text: "" }] }), /train.jsonl:2: turns.0.role: Invalid/],
    [(line) => ({ ...line, system: "Be rude." }), /train.jsonl: changed since the set was made/],
  ];
  for (const [change, message] of cases) {
    const out = fresh();
    writeSet(out, { kind: "dialogues", source: "apigen", splits: { train: dialogues } });
    const path = join(out, "train.jsonl");
    const [first, second] = fs.readFileSync(path, "utf8").split("\n");
    fs.writeFileSync(path, `${first}\n${JSON.stringify(change(JSON.parse(second)))}\n`);
    assert.match(await failure(() => openDialogues(out)), message);
  }
});

// ---------------------------------------------------------------------------------------------------
// Problems
// ---------------------------------------------------------------------------------------------------

const fixtures = join(root, "test", "fixtures", "import");
const problems = ["What is $1 + 1$?", "What is half of seven?", "Wie viele Tage hat der März? \u2212 und 京?"];

test("problems are read from JSON, JSON lines and Parquet under every compression", async () => {
  const rows = problems.map((problem, i) => ({ problem, answer: ["2", "7/2", "31"][i], solution: "", level: 3 }));
  const files = [file(JSON.stringify(rows)), file(rows.map((row) => `${JSON.stringify(row)}\n`).join("\n"))];
  for (const codec of ["none", "snappy", "gzip", "zstd", "brotli", "lz4"])
    files.push(join(fixtures, `${codec}.parquet`));
  for (const path of files) {
    const tasks = await importDeepScaler(path, "train", false);
    assert.equal(
      tasks.map(({ outputs }) => outputs),
      [["2"], ["7/2"], ["31"]],
      path,
    );
    assert.equal(
      tasks.map(({ instruction }) => instruction),
      problems,
      path,
    );
    assert.equal(tasks.map(({ id, actions, scenario }) => [id, actions, scenario.opening])[2], [
      "math/train/2",
      [],
      problems[2],
    ]);
    const whole = await importDeepScaler(path, "train", true);
    assert.equal(
      whole.map(({ id }) => id),
      ["math/train/0", "math/train/2"],
      path,
    );
  }
});

test("answers that are numbers keep every digit", async () => {
  const spelled = file('[{"problem": "a", "answer": 12345678901234567890}, {"problem": "b", "answer": 2.50}]');
  const outputs = async (path: string) =>
    (await importDeepScaler(path, "test", false)).map(({ outputs }) => outputs[0]);
  assert.equal(await outputs(spelled), ["12345678901234567890", "2.5"]);
  assert.equal(await outputs(join(fixtures, "ints.parquet")), ["2", "-9007199254740993", "31"]);
});

const wrongProblems: [text: string | Buffer, message: RegExp][] = [
  ['[{"problem": "a"}]', /^\d+: row 1: answer: missing, expected text or a number$/],
  ['{"problem": "a", "answer": "1"}\n{"problem": "", "answer": "1"}', /^\d+:2: problem: empty, expected text$/],
  ['[{"problem": ["a"], "answer": "1"}]', /row 1: problem: expected text$/],
  ['[{"problem": "a", "answer": true}]', /row 1: answer: expected text or a number$/],
  ['[{"problem": "a", "answer": " "}]', /row 1: answer: empty, expected text or a number$/],
  ["[1]", /row 1: expected an object$/],
  ['{"problem": "a", "answer": "1"}\n{"prob', /^\d+:2: Unterminated string/],
  ["", /^\d+: holds no problem$/],
  ["PAR1", /^\d+: not Parquet that can be read: /],
  ["PAR1 and nothing more but PAR1", /^\d+: not Parquet that can be read: /],
  [fs.readFileSync(join(fixtures, "zstd.parquet")).subarray(0, 700), /^\d+: not Parquet that can be read: /],
  [fs.readFileSync(join(fixtures, "lacking.parquet")), /^\d+: not Parquet that can be read: .*answer$/],
  [fs.readFileSync(join(fixtures, "null.parquet")), /^\d+: row 2: answer: expected text or a number$/],
];

for (const [text, message] of wrongProblems)
  test(`problems are refused: ${message.source} ${text.length}`, async () => {
    assert.match(await failure(() => importDeepScaler(file(text), "train", false)), message);
  });

test("among whole numbers a plus says nothing; elsewhere answers stay as they are", async () => {
  const path = file(
    '{"problem": "a", "answer": "+5"}\n{"problem": "b", "answer": "-5"}\n{"problem": "c", "answer": "+x"}',
  );
  const outputs = async (integers: boolean) =>
    (await importDeepScaler(path, "test", integers)).map(({ outputs }) => outputs[0]);
  assert.equal(await outputs(true), ["5", "-5"]);
  assert.equal(await outputs(false), ["+5", "-5", "+x"]);
});

test("a set of problems is listed and shown", async () => {
  const out = fresh();
  const path = join(fixtures, "gzip.parquet");
  const imported = await run(
    "tasks",
    "import",
    "deepscaler",
    path,
    "--out",
    out,
    "--split",
    "test",
    "--integers",
    "--json",
  );
  assert.equal(JSON.parse(imported.out).splits, { test: { count: 2, families: { problem: 2 } } });
  assert.equal(
    tasksOf(openSet(out)).map(({ id }) => id),
    ["math/test/0", "math/test/2"],
  );
  const shown = await run("tasks", "show", "math/test/2", "--tasks", out);
  assert.match(shown.out, "to be said 31");
  const none = file('[{"problem": "a", "answer": "x"}]');
  const { code, err } = await run("tasks", "import", "deepscaler", none, "--out", fresh(), "--integers");
  assert.is(code, 2);
  assert.match(err, /none of its 1 answers is a whole number/);
});

test.run();
