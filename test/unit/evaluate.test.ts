// Evaluation: baselines on the real shop, paired tasks, and what counts as what.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { resolveConfig } from "../../src/config.ts";
import { type Evaluation, evaluate, isNoWriteFailure } from "../../src/eval/evaluate.ts";
import { measureAgent } from "../../src/measure.ts";
import type { Ending, Rollout, Task } from "../../src/types.ts";

const config = resolveConfig("embedded", { values: { evalTasks: 40 }, label: String });
const measured = (name: string): Promise<Evaluation> => measureAgent(config, name, () => {});

test("the oracle solves every held-out task with the best reward", async () => {
  const oracle = await measured("oracle");
  assert.equal(oracle.pass, [1, 1, 1, 1]);
  assert.is(oracle.tarl, 15);
  assert.is(oracle.noWriteFailures, 0);
  assert.equal(oracle.endings, { "user-stop": 160 });
});

test("an agent that does nothing and one that always refuses stay below .15", async () => {
  for (const name of ["do-nothing", "refuse"]) {
    const { pass, tarl, noWriteFailures } = await measured(name);
    assert.ok(pass[0] < 0.15, `${name}: ${pass[0]}`);
    assert.ok(tarl! < 5, `${name}: ${tarl}`);
    assert.is(noWriteFailures, 34 / 40); // all but the 15% in which nothing may be written
  }
});

test("two measurements see the same tasks in the same order", async () => {
  const [one, two] = [await measured("oracle"), await measured("refuse")];
  assert.equal(
    one.tallies.map(({ task }) => task),
    two.tallies.map(({ task }) => task),
  );
});

test("faults count as failures and apart; rewards are means of what was judged", async () => {
  const task = (id: string, actions: Task["actions"] = [{ name: "x", arguments: "{}" }]) =>
    ({ id, family: "f", actions }) as Task;
  const rollout = (task: Task, ending: Ending, success: 0 | 1, writes: number) =>
    ({
      task,
      ending,
      turns: 2,
      ...(ending === "error" ? { error: "broken" } : {}),
      outcome: { success, stateMatches: true, outputsSaid: true, writes },
      ledger: { ids: Int32Array.of(1, 2, 3), turn: Int16Array.of(-1, 0, 0) },
    }) as unknown as Rollout;
  const [a, b] = [task("a"), task("b")];
  const rollouts = [
    rollout(a, "user-stop", 1, 1),
    rollout(a, "error", 0, 0),
    rollout(b, "user-stop", 0, 0),
    rollout(b, "token-limit", 0, 1),
  ];
  const found = await evaluate([a, b], {
    trials: 2,
    play: async () => rollouts,
    decode: () => "Wait",
    value: async ({ ending, outcome }) => (ending === "error" ? null : 10 * outcome.success),
  });
  assert.equal(found.pass, [0.25, 0]);
  assert.is(found.faults, 1);
  assert.is(found.error, "broken");
  assert.is(found.tarl, 10 / 3);
  assert.is(found.noWriteFailures, 0.5);
  assert.equal(found.endings, { "user-stop": 2, error: 1, "token-limit": 1 });
  assert.is(found.waits, 1);
  assert.is(found.length, 2);
  assert.not(isNoWriteFailure(rollout(task("c", []), "user-stop", 0, 0)), "nothing was to be written");
});

test.run();
