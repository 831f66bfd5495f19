// What is gathered for an update: judged while others are still played, drawn again until enough groups teach something.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { resolveConfig } from "../../src/config/config.ts";
import type { Table } from "../../src/play.ts";
import { type Attempt, collect } from "../../src/rollout/collect.ts";
import { type Gathering, gather, regain } from "../../src/training/gather.ts";
import type { Judge, Rollout, Task } from "../../src/types.ts";

const task = (id: string) => ({ id, family: "f", actions: [] }) as unknown as Task;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** `play` says of a task's name and the sample how the conversation went. */
function setUp(
  options: { readonly [key: string]: unknown },
  play: (id: string, sample: number) => Promise<Partial<Rollout> & { success?: 0 | 1 }>,
  draws: readonly string[][],
  judge: Judge | null,
): Gathering {
  const values = { tasksPerStep: draws[0].length, samples: 2, evalTasks: 0, ...options };
  const config = resolveConfig("embedded", { values, label: (key) => key });
  const converse = async (attempt: Attempt) => {
    const { success = 0, ...rest } = await play(attempt.task.id, attempt.sample);
    const outcome = { success, stateMatches: success === 1, outputsSaid: true, writes: 0 };
    const ledger = { ids: new Int32Array(5) };
    return {
      ...attempt,
      ledger,
      turns: 1,
      transcript: [],
      ending: "user-stop",
      outcome,
      ...rest,
    } as unknown as Rollout;
  };
  const table = {
    converse,
    collect: (list: readonly Attempt[], play: (attempt: Attempt) => Promise<Rollout>, finished: () => void) =>
      collect(list, play, 128, finished),
    users: {},
  } as unknown as Table;
  return { config, table, judge, tasks: (draw) => (draws[draw] ?? []).map(task), finished: () => () => {} };
}

const good: Judge = { name: "good", judge: async () => ({ scores: [1], reasons: ["fine"] }) };

test("a rollout is judged when it ends, not when all have ended", async () => {
  const events: string[] = [];
  const judge: Judge = {
    name: "noting",
    async judge({ task, sample }) {
      events.push(`judge ${task.id}${sample}`);
      return { scores: [1], reasons: ["fine"] };
    },
  };
  const play = async (id: string, sample: number) => {
    await pause(id === "slow" ? 60 : 5 + sample);
    events.push(`end ${id}${sample}`);
    return { success: 1 as const };
  };
  const { played, graded } = gather(setUp({ tarl: true }, play, [["slow", "fast"]], judge), 0);
  const rollouts = await played;
  assert.equal(
    rollouts.map(({ rollout }) => `${rollout.task.id}${rollout.sample}`),
    ["slow0", "slow1", "fast0", "fast1"],
  );
  assert.ok(events.indexOf("judge fast1") < events.indexOf("end slow0"), events.join(", "));
  assert.equal(
    (await graded).map(({ reward }) => reward.total),
    [15, 15, 15, 15],
  );
  assert.is(events.filter((event) => event.startsWith("judge")).length, 4, "each is judged once");
});

test("dynamic sampling leaves out groups without a difference in outcome, and draws again", async () => {
  const judged: string[] = [];
  const judge: Judge = {
    name: "noting",
    async judge({ task, sample }) {
      judged.push(`${task.id}${sample}`);
      return { scores: [0], reasons: ["so"] };
    },
  };
  // lost and won: all alike; mixed: one success of two.
  const play = async (id: string, sample: number) => ({
    success: (id.startsWith("won") || (id.startsWith("mixed") && sample === 0) ? 1 : 0) as 0 | 1,
  });
  const draws = [
    ["lost", "mixed1"],
    ["mixed1", "won", "mixed2", "mixed3"],
  ];
  const setting = setUp({ tarl: true, dynamicSampling: true, maxDraws: 5 }, play, draws, judge);
  const graded = await gather(setting, 3).graded;
  assert.equal(
    graded.map(({ rollout, learned }) => [rollout.task.id, learned]),
    [
      ["lost", false],
      ["lost", false],
      ["mixed1", true],
      ["mixed1", true],
      ["won", false],
      ["won", false],
      ["mixed2", true],
      ["mixed2", true],
      ["mixed3", false],
      ["mixed3", false],
    ],
  );
  assert.ok(graded.every(({ kept, learned }) => kept === learned));
  assert.equal(judged.sort(), ["mixed10", "mixed11", "mixed20", "mixed21"], "verdicts are asked for kept groups alone");
});

test("under dynamic sampling verdicts are asked for while further tasks are drawn", async () => {
  const events: string[] = [];
  const judge: Judge = {
    name: "noting",
    async judge({ task, sample }) {
      events.push(`judge ${task.id}${sample}`);
      return { scores: [1], reasons: ["fine"] };
    },
  };
  const play = async (id: string, sample: number) => {
    await pause(5);
    events.push(`end ${id}${sample}`);
    return { success: (sample % 2) as 0 | 1 };
  };
  const draws = [["a"], ["b"]];
  const setting = setUp({ tasksPerStep: 2, tarl: true, dynamicSampling: true }, play, draws, judge);
  await gather(setting, 0).graded;
  assert.equal(events, ["end a0", "end a1", "judge a0", "judge a1", "end b0", "end b1", "judge b0", "judge b1"]);
});

test("what fails while nobody waits for it yet does not end the process", async () => {
  const strays: unknown[] = [];
  const note = (error: unknown) => void strays.push(error);
  process.on("unhandledRejection", note);
  const setting = setUp({}, async () => ({}), [["a"]], good);
  const tasks = () => {
    throw new Error("no more tasks");
  };
  const { played, graded } = gather({ ...setting, tasks }, 0);
  await pause(5);
  process.off("unhandledRejection", note);
  assert.equal(strays, []);
  for (const each of [played, graded])
    assert.is(await each.then(String, (error: Error) => error.message), "no more tasks");
});

test("dynamic sampling gives up after its draws, and keeps what there is", async () => {
  const draws = [["a"], ["b"], ["c"]];
  const setting = setUp(
    { tasksPerStep: 1, dynamicSampling: true, maxDraws: 2 },
    async () => ({ success: 1 }),
    draws,
    good,
  );
  const graded = await gather(setting, 0).graded;
  assert.equal(
    graded.map(({ rollout, learned }) => [rollout.task.id, learned]),
    [
      ["a", false],
      ["a", false],
      ["b", false],
      ["b", false],
    ],
  );
});

test("what was broken off is neither judged nor learned from; an abstention is no zero", async () => {
  const judge: Judge = {
    name: "half",
    judge: async ({ sample }) => (sample ? { scores: null, reasons: [] } : { scores: [1], reasons: ["fine"] }),
  };
  const play = async (id: string) => (id === "broken" ? { ending: "error" as const } : { success: 1 as const });
  for (const abstain of ["outcome", "drop"]) {
    const graded = await gather(setUp({ tarl: true, abstain }, play, [["broken", "whole"]], judge), 0).graded;
    assert.equal(
      graded.map(({ learned, judgement, reward }) => [learned, judgement?.scores, reward.total]),
      [
        [false, undefined, 0],
        [false, undefined, 0],
        [true, [1], 15],
        [abstain === "outcome", null, 10],
      ],
    );
  }
});

test("rollouts that were played before are judged again, and not played", async () => {
  const setting = setUp({ tarl: true }, async () => ({ success: 1 as const }), [["a"]], good);
  const played = await gather(setting, 0).played;
  const again = await regain(setting, played).graded;
  assert.equal(
    again.map(({ reward }) => reward.total),
    [15, 15],
  );
});

test("where turns have no scores nobody is asked", async () => {
  const graded = await gather(
    setUp({ tarl: true }, async () => ({ success: 1 as const }), [["a"]], null),
    0,
  ).graded;
  assert.equal(
    graded.map(({ judgement, reward, learned }) => [judgement, reward.total, reward.class, learned]),
    [
      [null, 10, "unjudged", true],
      [null, 10, "unjudged", true],
    ],
  );
});

test.run();
