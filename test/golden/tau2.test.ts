// The profile tau2 on upstream's own data, read from a checkout of tau2-bench that TAU2_BENCH names: the hash of the fresh
// database, every task imported, its ground truth replayed and scored. Recorded answers: test/unit/tau2.test.ts.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Store } from "../../src/domains/store.ts";
import { airline, retail } from "../../src/domains/tau2/index.ts";
import { callTool, readCall } from "../../src/domains/tool.ts";
import { verify } from "../../src/sandbox/verify.ts";
import { importTau2 } from "../../src/tasks/tau2-bench.ts";
import type { Backend, Database, Domain, Entry, Json, Task } from "../../src/types.ts";

/** Of tau2-bench a2c0247: what upstream's Python says of its own files. */
const EXPECTED = {
  retail: {
    backend: retail,
    hash: "b25c9cb211f5efcaee5dd646054a73c4a9f43f4f5acc32c10713cd9f9ac20e9c",
    splits: { train: 74, test: 40, base: 114 },
    /** Tasks of the base split in which a judge has something to judge. */
    judged: 40,
  },
  airline: { backend: airline, hash: null, splits: { train: 30, test: 20, base: 50 }, judged: 0 },
} as const;

const checkout = process.env.TAU2_BENCH;
if (!checkout) {
  console.log("SKIP 2 tau2: no checkout of tau2-bench (TAU2_BENCH names the folder)");
  test.skip("tau2: no checkout", () => undefined);
} else
  for (const [name, expected] of Object.entries(EXPECTED)) {
    const { splits, data, tools } = importTau2(checkout, name);
    test(`${name}: every task of every split`, () => {
      const counts = Object.fromEntries(Object.entries(splits).map(([split, tasks]) => [split, tasks.length]));
      assert.equal(counts, expected.splits);
      const judged = splits.base.filter(({ criteria }) => criteria?.assertions?.length);
      assert.is(judged.length, expected.judged);
    });
    test(`${name}: schemas read from upstream's source are ours but for the texts`, () => {
      const parameters = (list: readonly { readonly parameters: Json }[]) =>
        JSON.stringify(
          list.map(({ parameters }) => parameters),
          withoutTexts,
        );
      assert.is(parameters(tools!), parameters(expected.backend.tools));
    });
    if (existsSync(join(data, "db.json")))
      test(`${name}: the database's hash, and each truth scored`, () => replayed(expected, data, splits.base));
    else console.log(`SKIP 1 tau2: ${join(data, "db.json")} does not exist`);
  }

function withoutTexts(key: string, value: unknown): unknown {
  return key === "description" && typeof value === "string" ? undefined : value;
}

function replayed(
  { backend, hash, judged }: { backend: Backend; hash: string | null; judged: number },
  data: string,
  tasks: readonly Task[],
): void {
  const database = backend.read!(data);
  if (hash) assert.is(backend.hash!(new Store(database)), hash);
  let open = 0;
  for (const task of tasks) {
    const calls = [...(task.lookups ?? []), ...task.actions];
    const said = task.outputs.map((text): Entry => ({ role: "agent", turn: 0, text }));
    const { store, transcript } = play(backend, database, calls);
    const domain = { ...backend, database: () => database } as unknown as Domain;
    const played = { domain, task, store, transcript: [...transcript, ...said], ending: "user-stop" } as const;
    const { success, unjudged = [] } = verify(played, false);
    assert.is(success, 1, task.id);
    open += unjudged.length;
  }
  assert.is(open, judged);
}

function play(backend: Backend, database: Database, calls: Task["actions"]): { store: Store; transcript: Entry[] } {
  const store = new Store(database);
  const transcript = calls.map((written): Entry => {
    const call = readCall(backend, written);
    const tool = backend.tools.find(({ name }) => name === call.name);
    assert.ok(tool, call.name);
    const { observation, failed } = callTool(tool!, store, call.arguments);
    return { role: "tool", turn: 0, call, observation, failed, wrote: tool!.writes && !failed };
  });
  return { store, transcript };
}

test.run();
