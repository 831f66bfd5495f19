// Importers against a checkout of tau-bench, named by the environment variable TAU_BENCH: tasks, schemas and policy equal
// what upstream's own Python made of them (golden/tau-bench/data), all of them.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { domain as findDomain } from "../../src/domains/index.ts";
import { dumps, parse, type Value } from "../../src/domains/python.ts";
import { Store } from "../../src/domains/store.ts";
import { callTool, readCall } from "../../src/domains/tool.ts";
import { readDatabase } from "../../src/sandbox/replay.ts";
import { verify } from "../../src/sandbox/verify.ts";
import { assigned, readModule } from "../../src/tasks/literals.ts";
import { type TaskSet, withSet } from "../../src/tasks/set.ts";
import { importTauBench } from "../../src/tasks/tau-bench.ts";
import type { Entry, Task, WrittenCall } from "../../src/types.ts";
import { golden } from "../golden.ts";

const checkout = process.env.TAU_BENCH;
const folder = golden("tau-bench");
const ready = checkout !== undefined && folder !== null;
if (!ready) {
  const lacking =
    checkout === undefined ? "TAU_BENCH names no checkout of tau-bench" : "no golden data beside the checkout";
  console.log(`SKIP 1 import: ${lacking}`);
  test.skip(`import: ${lacking}`, () => undefined);
}

/** Tasks that an agent wins which does nothing, measured with upstream's Python. */
const IDLE: Readonly<Record<string, number>> = {
  "retail test": 7,
  "retail train": 5,
  "retail dev": 1,
  "airline test": 19,
};

const data = (domain: string, name: string) => join(folder!, "data", domain, name);
const json = (domain: string, name: string) => parse(readFileSync(data(domain, name), "utf8")) as Value[];
const domains = ready
  ? readdirSync(join(folder, "data")).filter((name) => existsSync(data(name, "tools_info.json")))
  : [];

for (const domain of domains) {
  const splits = readdirSync(join(folder!, "data", domain)).flatMap(
    (name) => /^tasks_(\w+)\.json$/.exec(name)?.[1] ?? [],
  );
  const found = importTauBench(checkout!, domain);

  test(`${domain}: the splits that were recorded`, () => {
    assert.equal(Object.keys(found.splits).sort(), splits.sort());
  });

  for (const split of splits) {
    const expected = json(domain, `tasks_${split}.json`) as Map<string, Value>[];
    test(`${domain} ${split}: ${expected.length} tasks, texts and numbers as spelled`, () => {
      const tasks = found.splits[split];
      assert.is(tasks.length, expected.length);
      for (const [i, task] of tasks.entries()) {
        const spelled = (calls: readonly WrittenCall[] = []) =>
          calls.map(({ name, arguments: args }) => `${name} ${args}`);
        const theirs = (expected[i].get("actions") as Map<string, Value>[]).map(
          (action) => `${action.get("name")} ${dumps(action.get("kwargs")!)}`,
        );
        const isLookup = (call: string) => !/^(transfer|cancel|modify|return|exchange|book|update|send)_/.test(call);
        assert.is(task.id, `${domain}/tau-bench-${split}/${i}`);
        assert.is(task.instruction, expected[i].get("instruction"));
        assert.equal(spelled(task.lookups), theirs.filter(isLookup));
        assert.equal(
          spelled(task.actions),
          theirs.filter((call) => !isLookup(call)),
        );
        assert.equal(task.outputs, expected[i].get("outputs"));
        assert.is(task.customer, expected[i].get("user_id"));
      }
    });
  }

  test(`${domain}: schemas and policy`, () => {
    const info = found.tools!.map((schema) => ({ type: "function", function: schema }));
    assert.equal(info, JSON.parse(readFileSync(data(domain, "tools_info.json"), "utf8")));
    assert.is(found.policy, readFileSync(data(domain, "policy.md"), "utf8"));
    for (const name of readdirSync(found.data).filter((name) => name.endsWith(".json")))
      assert.ok(readFileSync(join(found.data, name)).equals(readFileSync(data(domain, name))), name);
  });

  test(`${domain}: the ground truth of every task wins it, doing nothing wins as often as is known`, async () => {
    const own = await findDomain(domain, "tau1");
    const database = readDatabase(own, found.data);
    const manifest: TaskSet["manifest"] = {
      kind: "tasks",
      domain,
      source: "test",
      splits: {},
      files: {},
      checkOutputs: true,
    };
    const overlay = { policy: found.policy, tools: found.tools };
    const played = withSet({ ...own, database: () => database }, { path: "set", manifest, overlay });
    const won = (task: Task, actions: readonly WrittenCall[], outputs: readonly string[]) => {
      const store = new Store(database);
      for (const action of actions) {
        const tool = played.tools.find(({ name }) => name === action.name);
        if (tool && !tool.ends) callTool(tool, store, readCall(played, action).arguments);
      }
      const transcript: Entry[] = outputs.map((text, turn) => ({ role: "agent", turn, text }));
      return verify({ domain: played, task, store, transcript, ending: "user-stop" }, played.checkOutputs).success;
    };
    for (const [split, tasks] of Object.entries(found.splits)) {
      for (const task of tasks) assert.is(won(task, task.actions, task.outputs), 1, task.id);
      const idle = tasks.filter((task) => won(task, [], [])).length;
      assert.is(idle, IDLE[`${domain} ${split}`], `${domain} ${split}`);
    }
  });

  test(`${domain}: the tasks as plain dictionaries of older versions`, () => {
    const file = join(checkout!, "tau_bench", "envs", domain, "tasks.py");
    const tasks = assigned(readModule(readFileSync(file, "utf8"), file), "tasks");
    assert.ok(Array.isArray(tasks) && tasks.length > 40);
    for (const task of tasks as Map<string, Value>[])
      assert.ok(typeof task.get("instruction") === "string" && Array.isArray(task.get("actions")));
  });
}

test.run();
