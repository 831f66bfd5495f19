// Evaluation: baselines on the real shop, paired tasks, and what counts as what.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { resolveConfig } from "../../src/config/config.ts";
import { type Evaluation, evaluation, type Setting, summarize } from "../../src/eval/evaluate.ts";
import type { Trial } from "../../src/eval/trial.ts";
import { measureAgent } from "../../src/measure.ts";

const config = resolveConfig("embedded", { values: { evalTasks: 40 }, label: String });
const measured = (name: string): Promise<Evaluation> => measureAgent(config, name);
const setting = { agent: "policy" } as Setting;

/** A conversation with the figures that matter to a test. */
export const trial = (task: string, given: Partial<Trial> & { success?: 0 | 1 } = {}): Trial => {
  const { success = 0, ...rest } = given;
  const outcome = { success, stateMatches: success === 1, outputsSaid: true, writes: 1 };
  const base = {
    family: "f",
    trial: 0,
    seed: 1,
    ending: "user-stop",
    turns: 2,
    length: 2,
    waits: 0,
    tarl: null,
  } as const;
  return { task, outcome, ...base, ...(success ? {} : { cause: "wrong-write" }), ...rest };
};

test("the oracle solves every held-out task with the best reward", async () => {
  const oracle = await measured("oracle");
  assert.equal(oracle.pass, [1, 1, 1, 1]);
  assert.equal(oracle.published, [1, 1, 1, 1]);
  assert.is(oracle.tarl, 15);
  assert.is(oracle.noWriteFailures, 0);
  assert.equal(oracle.endings, { "user-stop": 160 });
  assert.equal(oracle.causes, {});
  assert.equal(oracle.setting, {
    agent: "oracle",
    sampling: null,
    domain: "shop",
    profile: "shop",
    checkOutputs: false,
    tasks: "generated",
    user: { kind: "scripted", disturbances: 0 },
    seed: 0,
    turns: 14,
  });
});

test("an agent that does nothing and one that always refuses stay below .15", async () => {
  for (const name of ["do-nothing", "refuse"]) {
    const { pass, tarl, noWriteFailures, causes, inaction } = await measured(name);
    assert.ok(pass[0] < 0.15, `${name}: ${pass[0]}`);
    assert.ok(tarl! < 5, `${name}: ${tarl}`);
    assert.is(noWriteFailures, 34 / 40); // all but the 15% in which nothing may be written
    assert.is(causes["no-write"], 34 * 4);
    assert.is(inaction, 0, "doing nothing stands beside every score");
  }
});

test("two measurements see the same tasks in the same order", async () => {
  const [one, two] = [await measured("oracle"), await measured("refuse")];
  assert.equal(
    one.tallies.map(({ task }) => task),
    two.tallies.map(({ task }) => task),
  );
});

test("pass^k goes as far as there are trials", async () => {
  for (const trials of [1, 2, 6]) {
    const { pass, interval } = await measureAgent({ ...config, evalTasks: 4, trials }, "oracle");
    assert.equal(pass, Array(trials).fill(1));
    assert.is(interval.length, trials);
  }
});

test("a conversation that was broken off is in no mean, and a failure in the published score", () => {
  const idle = { success: 0, stateMatches: false, outputsSaid: true, writes: 0 } as const;
  const found = evaluation(
    [
      trial("a", { success: 1, tarl: 10, waits: 1 }),
      trial("a", { ending: "error", error: "no connection", cause: "outage", replays: 2 }),
      trial("b", { tarl: 0, cause: "no-write", outcome: idle }),
      trial("b", { tarl: null, ending: "token-limit", cause: "token-limit" }),
    ],
    { setting, tasks: 2, trials: 2 },
  );
  assert.equal(found.pass, [0.5, 0]);
  assert.equal(found.over, [2, 1]);
  assert.equal(found.published, [0.25, 0]);
  assert.equal([found.played, found.faults, found.replays, found.error], [4, 1, 2, "no connection"]);
  assert.is(found.tarl, 5);
  assert.is(found.noWriteFailures, 1 / 3);
  assert.is(found.waits, 1 / 3);
  assert.equal(found.endings, { "user-stop": 2, error: 1, "token-limit": 1 });
  assert.equal(Object.entries(found.causes), [
    ["outage", 1],
    ["token-limit", 1],
    ["no-write", 1],
  ]);
  assert.equal(found.tallies, [
    { task: "a", family: "f", trials: 1, successes: 1 },
    { task: "b", family: "f", trials: 2, successes: 0 },
  ]);
});

test("nothing at all has no score", () => {
  const { pass, published, faults, tarl } = evaluation([trial("a", { ending: "user-fault" })], {
    setting,
    tasks: 1,
    trials: 1,
  });
  assert.equal([pass, published, faults, tarl], [[], [0], 1, null]);
});

test("faults, disturbances and cost are added up", () => {
  const bill = { calls: 2, inputTokens: 100, outputTokens: 10, dollars: 0.5 };
  const found = evaluation(
    [
      trial("a", { toolFaults: { lend: { threw: 1 } }, disturbed: ["forgets", "forgets"], bill }),
      trial("b", {
        toolFaults: { lend: { threw: 2, hung: 1 }, find: { result: 1 } },
        userFaults: [
          { kind: "invented", turn: 1, evidence: "#1" },
          { kind: "invented", turn: 2, evidence: "#2" },
        ],
        bill,
      }),
      trial("c", { success: 1, disturbed: ["forgets", "talks"] }),
      trial("d", {
        outcome: { success: 1, stateMatches: true, outputsSaid: true, writes: 1, unjudged: ["NL_ASSERTION"] },
      }),
    ],
    { setting, tasks: 4, trials: 1 },
  );
  assert.equal(found.toolFaults, { lend: { threw: 3, hung: 1 }, find: { result: 1 } });
  assert.equal(found.userFaults, { invented: 2 });
  assert.equal(found.unjudged, { NL_ASSERTION: 1 });
  assert.equal(found.disturbances, {
    forgets: { rollouts: 2, successes: 1 },
    none: { rollouts: 2, successes: 1 },
    talks: { rollouts: 1, successes: 1 },
  });
  assert.equal(found.cost, { calls: 4, inputTokens: 200, outputTokens: 20, dollars: 1 });
});

test("two measurements are paired over the tasks that both have", () => {
  const given = { setting, tasks: 2, trials: 1 };
  const before = evaluation([trial("a"), trial("b", { ending: "error" })], given);
  const after = evaluation([trial("a", { success: 1 }), trial("b", { success: 1 })], given);
  assert.equal(summarize(before, after, 1, 1).difference, { pass1: 1, interval: [-1, 1] });
});

test.run();
