// The profile tau2 without upstream's data: small databases of our own and what upstream's Python answered over them
// (test/fixtures/tau2/make.py), schemas but for their texts, the reward's parts, the importer, and every kind of bad file.

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import yargs from "yargs";
import sandbox from "../../src/cli/sandbox.ts";
import { domain, domainNames, profilesOf } from "../../src/domains/index.ts";
import { at, type Dict, dumps, parse, parseObject } from "../../src/domains/python.ts";
import { Store } from "../../src/domains/store.ts";
import { readDatabase, type Tau2Domain } from "../../src/domains/tau2/data.ts";
import { airline, retail } from "../../src/domains/tau2/index.ts";
import { type Field, float, int, type Problem } from "../../src/domains/tau2/model.ts";
import { checks } from "../../src/domains/tau2/reward.ts";
import { UsageError } from "../../src/errors.ts";
import { root } from "../../src/root.ts";
import { replayFile } from "../../src/sandbox/replay.ts";
import { verify } from "../../src/sandbox/verify.ts";
import { importTau2 } from "../../src/tasks/tau2-bench.ts";
import { readToolSchemas } from "../../src/tasks/tau2-tools.ts";
import type { Checks, Domain, Ending, Entry, Task } from "../../src/types.ts";

const test = suite<{ dir: string }>("tau2");
test.before((context) => {
  context.dir = mkdtempSync(join(tmpdir(), "tarl-tau2-"));
});
test.after(({ dir }) => rmSync(dir, { recursive: true }));

const fixtures = join(root, "test", "fixtures", "tau2");
const backends = { retail, airline };
const recorded = parse(readFileSync(join(fixtures, "cases.json"), "utf8")) as Dict;

const cases = at(recorded, "cases") as Dict[];
test(`${cases.length} recorded sequences: every answer and the hash`, ({ dir }) => {
  for (const wanted of cases) {
    const name = at(wanted, "domain") as Tau2Domain;
    const steps = at(wanted, "steps") as Dict[];
    const file = join(dir, "calls.jsonl");
    writeFileSync(file, `{"id": 0, "steps": []}\n{"id": 1, "steps": ${dumps(steps)}}\n`);
    const database = readDatabase(name, join(fixtures, `${name}.json`));
    const [before, after] = [...replayFile(backends[name], database, file)];
    for (const [i, step] of steps.entries())
      assert.is(after.observations[i], at(step, "observation"), `${name} ${at(wanted, "name")} ${i}`);
    assert.is(before.hash, at(wanted, "before"));
    assert.is(after.hash, at(wanted, "hash"), `${name} ${at(wanted, "name")}`);
  }
});

test("numbers in text are those that pydantic 2.12.4 reads: TypeAdapter(int), TypeAdapter(float).validate_python", () => {
  const none = null;
  const table: [text: string, int: bigint | null, float: number | null][] = [
    [" 1 ", 1n, 1],
    ["+1", 1n, 1],
    ["1.00", 1n, 1],
    ["1_000", 1000n, 1000],
    ["1__0", none, none],
    ["_1", none, none],
    [" 5_0", 50n, none],
    ["1_.0", none, 1],
    ["1._5", none, 1.5],
    ["8E_06", none, 8e6],
    ["0_-_46", -46n, none],
    ["-_4", none, -4],
    ["00-7", -7n, none],
    ["0".repeat(5000), 0n, 0],
    ["9".repeat(4301), none, Number.POSITIVE_INFINITY],
    ["-i_nf", none, Number.NEGATIVE_INFINITY],
  ];
  const read = (field: Field, text: string) => {
    const problems: Problem[] = [];
    const value = field(text, [], problems);
    return problems.length === 0 ? value : null;
  };
  for (const [text, asInt, asFloat] of table) {
    assert.is(read(int, text), asInt, `int ${text.slice(0, 9)}`);
    assert.is(read(float, text), asFloat, `float ${text.slice(0, 9)}`);
  }
});

for (const name of ["retail", "airline"] as const)
  test(`${name}: tools in upstream's order, their schemas but for the texts`, () => {
    const wanted = JSON.parse(dumps(at(at(recorded, "schemas") as Dict, name)));
    const got = backends[name].tools.map(({ name, parameters, writes }) => ({ name, parameters, writes }));
    assert.is(JSON.stringify(got, withoutTexts), JSON.stringify(wanted), "in the same order too");
  });

/** Drops descriptions, which are texts; a property that is called so would be a schema. */
function withoutTexts(key: string, value: unknown): unknown {
  return key === "description" && typeof value === "string" ? undefined : value;
}

test("generated data become typed records, and tau-bench's tasks can be played on them", async () => {
  assert.ok(["retail", "airline"].every((name) => domainNames.includes(name) && profilesOf(name).includes("tau2")));
  const chosen = await domain("retail", "tau2");
  assert.is(chosen.profile, "tau2");
  assert.is(chosen.database(3), chosen.database(3));
  const store = new Store(chosen.database(3));
  const [[id, user]] = [...store.entries<Dict>("users")];
  assert.is(user.get("user_id"), id);
  const [[, order]] = [...store.entries<Dict>("orders")];
  assert.is(order.get("return_items"), null);
  assert.not(chosen.tools.some((tool) => tool.name === "think"));
});

test("a database that does not fit is one line with file, place and value", ({ dir }) => {
  const fails = (text: string | null, reason: RegExp) => {
    const file = join(dir, "db.json");
    rmSync(file, { force: true });
    if (text !== null) writeFileSync(file, text);
    for (const path of text === null ? [file] : [file, dir])
      assert.throws(
        () => readDatabase("airline", path),
        (error: Error) =>
          error instanceof UsageError &&
          error.message.startsWith(`${file}: `) &&
          reason.test(error.message) &&
          !error.message.includes("\n"),
        text ?? "no file",
      );
  };
  const good = readFileSync(join(fixtures, "airline.json"), "utf8");
  fails(null, /no such file, expected tau2-bench.s data/);
  fails("{", /Expecting property name.*line 1/);
  fails("[]", /expected one JSON object with flights, users, reservations/);
  fails('{"flights": {}}', /no table users/);
  fails('{"flights": {}, "orders": {}}', /table orders, expected/);
  fails(good.replace('"price": 55', '"price": 55.5'), /reservations\.R00001\.flights\.0\.price: .*fraction.*got 55\.5/);
  fails(
    good.replace('"insurance": "no"', '"insurance": "maybe"'),
    /insurance: Input should be 'yes' or 'no', got "maybe"/,
  );
  fails(good.replace('"dob": "1980-02-29",', ""), /users\.olu_7\.dob: Field required/);
  fails(
    good.replace('"status": "landed"', '"status": "lost"'),
    /dates\.2024-05-08\.status: Input should be.*got "lost"/,
  );
  fails(good.replace('"economy": 3', '"first": 3'), /available_seats\.first/);
  fails(good.replace('"source": "credit_card"', '"source": "cash"'), /credit_card_7\.source: .*got "cash"/);
});

const TASK: Task = {
  id: "retail/tau2/test/0",
  domain: "retail",
  family: "tau2-test",
  database: 0,
  instruction: "",
  scenario: { opening: "x", facts: {}, fallback: "x" },
  actions: [],
  outputs: ["1,200", "Blue"],
};
const told = (text: string): Entry => ({ role: "agent", turn: 0, text });
const called = (name: string, json: string): Entry => ({
  role: "tool",
  turn: 0,
  call: { name, arguments: parseObject(json) },
  observation: "",
  failed: false,
  wrote: false,
});

test("the reward is the product of the basis; what nobody judged is named, not passed", () => {
  const database = readDatabase("retail", join(fixtures, "retail.json"));
  const [same, truth, other] = [new Store(database), new Store(database), new Store(database)];
  other.edit<Dict>("orders", "#A1").set("status", "cancelled");
  const parts = (criteria: Task["criteria"], store: Store, ...talk: Entry[]) =>
    checks({ ...TASK, criteria }, talk, store, truth);

  assert.equal(parts(undefined, same), {});
  assert.equal(parts({ basis: ["DB"] }, same), { DB: true });
  assert.equal(parts({ basis: ["DB"] }, other), { DB: false });
  // An output keeps its comma, a message loses its own: one with a comma can never be said.
  assert.equal(parts({ basis: ["COMMUNICATE"] }, same, told("1,200, BLUE")), { COMMUNICATE: false });
  const plain = { ...TASK, outputs: ["1200", "Blue"], criteria: { basis: ["COMMUNICATE"] } } as const;
  assert.equal(checks(plain, [told("1,200"), told("a bLUE one")], same, truth), { COMMUNICATE: true });
  assert.equal(checks(plain, [told("1,200")], same, truth), { COMMUNICATE: false });
  assert.equal(parts({ basis: ["NL_ASSERTION"] }, same), { NL_ASSERTION: true });
  assert.equal(parts({ basis: ["NL_ASSERTION"], assertions: ["is kind"] }, same), { NL_ASSERTION: null });

  const wants = (json: string, compared?: string[]) => ({
    basis: ["ACTION"] as const,
    calls: [{ name: "f", arguments: json, ...(compared && { compared }) }],
  });
  const acts = (criteria: Task["criteria"], json: string, name = "f") =>
    parts(criteria, same, called(name, json)).ACTION;
  assert.is(acts(wants('{"a": 1, "b": [2]}'), '{"b": [2.0], "a": true}'), true, "as Python compares");
  assert.is(acts(wants('{"a": 1}'), '{"a": 1, "b": 2}'), false);
  assert.is(acts(wants('{"a": 1, "b": 2}'), '{"a": 1}'), true, "what the agent left out is not compared");
  assert.is(acts(wants('{"a": 1}'), "{}"), true);
  assert.is(acts(wants('{"a": 1}', ["a"]), "{}"), false);
  assert.is(acts(wants('{"a": 1, "b": 2}', ["a"]), '{"a": 1, "b": 3}'), true);
  assert.is(acts(wants('{"a": 1}', []), '{"a": 2}'), true);
  assert.is(acts(wants('{"a": 1}'), '{"a": 1}', "g"), false);

  const outcome = (found: Checks, ending: Ending | null) => {
    const domain = { database: () => database, tools: [], checks: () => found } as unknown as Domain;
    const task = { ...TASK, actions: [], criteria: { basis: [] } };
    const { success, unjudged } = verify({ domain, task, store: same, transcript: [], ending }, true);
    return [success, unjudged];
  };
  assert.equal(outcome({}, "user-stop"), [1, undefined]);
  assert.equal(outcome({ DB: true, NL_ASSERTION: null }, "tool-end"), [1, ["NL_ASSERTION"]]);
  assert.equal(outcome({ DB: false, NL_ASSERTION: null }, "user-stop"), [0, ["NL_ASSERTION"]]);
  for (const ending of ["turn-limit", "invalid-limit", "error", null] as const)
    assert.is(outcome({ DB: true }, ending)[0], 0);
});

const ROW = {
  id: "a",
  user_scenario: {
    persona: null,
    instructions: {
      domain: "retail",
      reason_for_call: "You want a kettle.",
      known_info: "You are Ida.",
      unknown_info: null,
      task_instructions: "Be brief.",
    },
  },
  initial_state: null,
  evaluation_criteria: {
    actions: [
      { action_id: "0", name: "get_user_details", arguments: { user_id: "ida_1" } },
      { action_id: "1", name: "modify_pending_order_items", arguments: { price: 0 }, compare_args: ["price"] },
    ],
    communicate_info: ["20"],
    nl_assertions: ["Is brief."],
    reward_basis: ["DB", "NL_ASSERTION"],
  },
};

function checkout(dir: string, tasks: unknown, splits: unknown): string {
  const folder = join(dir, "data", "tau2", "domains", "retail");
  mkdirSync(folder, { recursive: true });
  const text = typeof tasks === "string" ? tasks : JSON.stringify(tasks);
  writeFileSync(join(folder, "tasks.json"), text.replaceAll('"price":0', '"price":1.0'));
  writeFileSync(join(folder, "split_tasks.json"), JSON.stringify(splits));
  writeFileSync(join(folder, "policy.md"), "# Be kind\r\n");
  return dir;
}

test("tasks are read from a checkout: own layout, numbers as they are spelled, what is looked up apart", ({ dir }) => {
  const acting = { ...ROW.evaluation_criteria, reward_basis: ["ACTION"] };
  const rows = [
    ROW,
    { ...ROW, id: "b", evaluation_criteria: null },
    { id: "c", user_scenario: { persona: "Tired.", instructions: "Say no." }, evaluation_criteria: {} },
    { ...ROW, id: "d", evaluation_criteria: acting },
  ];
  const found = importTau2(checkout(dir, rows, { test: ["c", "a"], train: ["b", "d"] }), "retail");
  assert.is(found.policy, "# Be kind\n");
  assert.is(found.data, join(dir, "data", "tau2", "domains", "retail"));
  const [a, c] = found.splits.test;
  assert.equal(a, {
    id: "retail/tau2/test/a",
    domain: "retail",
    family: "tau2-test",
    database: 0,
    instruction: "Why you call:\nYou want a kettle.\n\nWhat you know:\nYou are Ida.\n\nHow you go about it:\nBe brief.",
    scenario: { opening: "I want a kettle.", facts: { user_id: "I am Ida." }, fallback: "I am Ida." },
    actions: [{ name: "modify_pending_order_items", arguments: '{"price": 1.0}' }],
    lookups: [{ name: "get_user_details", arguments: '{"user_id": "ida_1"}' }],
    outputs: ["20"],
    criteria: { basis: ["DB", "NL_ASSERTION"], assertions: ["Is brief."] },
  });
  assert.is(c.instruction, "Who you are:\nTired.\n\nWhat this is about:\nSay no.");
  assert.equal(c.criteria, { basis: ["COMMUNICATE"] }, "no word about the state: any will do");
  const [b, d] = found.splits.train;
  assert.equal(b.criteria, { basis: [] });
  assert.equal(d.criteria?.calls?.[1], {
    name: "modify_pending_order_items",
    arguments: '{"price": 1.0}',
    compared: ["price"],
  });
  assert.equal(Object.keys(importTau2(dir, "retail", "train").splits), ["train"]);
});

const TOOLS = `class DeskTools:
    @is_tool(ToolType.WRITE)
    def paint(
        self,
        fence: str,
        coats: int,
        colours: List[str],
        gloss: Gloss,
        posts: List[Post | dict],
    ) -> dict[str, list]:  # noqa
        """
        Paints a fence.
        All of it: one side
          and the other.

        Args:
            fence: Which one: by its name.
            coats: How often.
                Twice is
                  enough.
            posts: Each post.

        Returns:
            The fence: painted.
        """

    @is_tool()
    def fences(self) -> list:
        """Lists the fences."""
`;
const MODELS = `Gloss = Literal["matt", "high"]


class Post(BaseModel):
    height: int = Field(description="In 'cm'.")

    name: str = Field(
        description='Its "name".'
    )


class Wide(Post):
    width: int = Field(description="Not read.")
`;

test("tool schemas are read from signatures and docstrings", ({ dir }) => {
  const read = (tools: string, models = MODELS) => {
    const files = [join(dir, "tools.py"), join(dir, "data_model.py")] as const;
    writeFileSync(files[0], tools);
    writeFileSync(files[1], models);
    return readToolSchemas(...files);
  };
  const parameters =
    '{"$defs":{"Post":{"properties":{"height":{"description":"In \'cm\'.","title":"Height","type":"integer"},' +
    '"name":{"description":"Its \\"name\\".","title":"Name","type":"string"}},"required":["height","name"],' +
    '"title":"Post","type":"object"}},"properties":{"fence":{"description":"Which one: by its name.","title":"Fence",' +
    '"type":"string"},"coats":{"description":"How often.\\nTwice is\\nenough.","title":"Coats","type":"integer"},' +
    '"colours":{"items":{"type":"string"},"title":"Colours","type":"array"},"gloss":{"enum":["matt","high"],' +
    '"title":"Gloss","type":"string"},"posts":{"description":"Each post.","items":{"anyOf":[{"$ref":"#/$defs/Post"},' +
    '{"additionalProperties":true,"type":"object"}]},"title":"Posts","type":"array"}},"required":["fence","coats",' +
    '"colours","gloss","posts"],"title":"parameters","type":"object"}';
  const [paint, fences] = read(TOOLS);
  assert.equal(read(TOOLS.replaceAll("\n", "\r\n"), MODELS.replaceAll("\n", "\r\n")), [paint, fences]);
  assert.is(paint.name, "paint");
  assert.is(paint.description, "Paints a fence.\n\nAll of it: one side\n  and the other.");
  assert.is(JSON.stringify(paint.parameters), parameters);
  assert.equal(fences, {
    name: "fences",
    description: "Lists the fences.",
    parameters: { properties: {}, title: "parameters", type: "object" },
  });
  assert.throws(() => read("x = 1\n"), /tools\.py: no tools: expected methods under @is_tool/);
  assert.throws(
    () => read(TOOLS.replace('"""Lists the fences."""', "return []")),
    /tools\.py: 1 of 2 methods under @is_tool have a form that is not read/,
  );
  assert.throws(() => read(TOOLS.replace("coats: int", "coats: float")), /tools\.py: paint: type float is not known/);
  assert.throws(() => read(TOOLS.replace("coats: int", "coats")), /paint: expected "name: type", got coats/);
  assert.throws(() => read(TOOLS.replace("Paints a", "Paints\\n a")), /paint: a docstring with a backslash/);
  assert.throws(() => read(TOOLS, ""), /type Gloss is not known/);
  const wood = (field: string) => MODELS.replace("    name: str", `    wood: ${field}\n    name: str`);
  for (const field of ["str", 'Wood = Field(description="a")', 'str = Field(default="a", description="b")'])
    assert.throws(() => read(TOOLS, wood(field)), /paint: field wood of Post has a form that is not read/, field);
  const unused = `${MODELS}\n\nclass Gate(BaseModel):\n    wood: str`;
  assert.equal(read(TOOLS, unused), [paint, fences]);
  assert.throws(
    () => read(TOOLS.replace("List[Post", "List[Gate"), unused),
    /paint: field wood of Gate has a form that is not read/,
  );
  assert.throws(() => readToolSchemas(join(dir, "none.py"), join(dir, "data_model.py")), /none\.py: no such file/);
});

test("`sandbox replay --profile tau2` takes a db.json or its folder", async ({ dir }) => {
  const calls = join(dir, "calls.jsonl");
  writeFileSync(
    calls,
    '{"id": "a", "steps": [{"name": "calculate", "kwargs": {"expression": "x"}}, {"name": "no", "kwargs": {}}]}',
  );
  const run = async (...more: string[]) => {
    const { write } = process.stdout;
    let printed = "";
    process.stdout.write = ((text: string) => {
      printed += text;
      return true;
    }) as typeof write;
    try {
      const args = ["sandbox", "replay", "--domain", "retail", "--calls", calls, ...more];
      await yargs(args).command(sandbox).strict().exitProcess(false).fail(false).parseAsync();
    } finally {
      process.stdout.write = write;
    }
    return printed;
  };
  const printed = await run("--profile", "tau2", "--data", join(fixtures, "retail.json"));
  const { observations, hash } = JSON.parse(printed);
  assert.equal(observations, ["Error: Invalid characters in expression", "Error: Tool 'no' not found."]);
  assert.is(hash, at(cases.find((one) => at(one, "domain") === "retail")!, "before"));
  copyFileSync(join(fixtures, "retail.json"), join(dir, "db.json"));
  assert.is(await run("--profile", "tau2", "--data", dir), printed);
  const refused = async (...more: string[]) => run(...more).then(String, (error: Error) => error.message);
  assert.match(await refused("--profile", "tau3", "--data", dir), /--profile tau3: retail has tau1, fixed, tau2/);
  assert.match(await refused("--data", dir), /orders\.json: no such file/);
});

test("what is wrong with a checkout is one line with file, place and reason", ({ dir }) => {
  const fails = (tasks: unknown, reason: RegExp, splits: unknown = { test: ["a"] }) =>
    assert.throws(
      () => importTau2(checkout(dir, tasks, splits), "retail"),
      (error: Error) => error instanceof UsageError && reason.test(error.message) && !error.message.includes("\n"),
      String(reason),
    );
  const criteria = (change: object) => [{ ...ROW, evaluation_criteria: { ...ROW.evaluation_criteria, ...change } }];
  fails("[{]", /tasks\.json: .*line 1 column 3/);
  fails({}, /tasks\.json: expected a list, got \{\}/);
  fails([5], /tasks\.json: \[0\]: expected an object, got 5/);
  fails([ROW, ROW], /tasks\.json: \[1\]\.id: is taken already, got "a"/);
  fails([ROW], /split_tasks\.json: test\[0\]: no task of that id in .*tasks\.json, got "z"/, { test: ["z"] });
  fails([ROW], /split_tasks\.json: test: expected a list/, { test: "a" });
  fails([{ ...ROW, user_scenario: 1 }], /\[0\]\.user_scenario: expected an object, got 1/);
  fails([{ ...ROW, initial_state: { message_history: [] } }], /\[0\]\.initial_state: expected null/);
  fails(criteria({ actions: [{ name: 1, arguments: {} }] }), /criteria\.actions\[0\]\.name: expected text, got 1/);
  fails(criteria({ actions: [{ name: "x" }] }), /actions\[0\]\.arguments: expected an object, got nothing/);
  fails(criteria({ actions: [{ name: "x", arguments: {}, requestor: "user" }] }), /requestor: expected assistant/);
  fails(criteria({ reward_basis: ["LUCK"] }), /reward_basis\[0\]: expected one of DB, .*got "LUCK"/);
  fails(criteria({ env_assertions: [{}] }), /env_assertions: expected none/);
  assert.throws(() => importTau2(dir, "telecom"), /--domain telecom: expected retail or airline/);
  assert.throws(() => importTau2(dir, "airline"), /no checkout of tau2-bench: .*airline does not exist/);
  checkout(dir, [ROW], { test: ["a"] });
  assert.throws(() => importTau2(dir, "retail", "dev"), /--split dev: .*split_tasks\.json has test/);
});

test.run();
