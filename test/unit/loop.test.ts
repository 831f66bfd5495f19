// The loop of updates over a policy that only counts: what a checkpoint carries, what spoils it, and why a run ends.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { resolveConfig } from "../../src/config/config.ts";
import type { Table } from "../../src/play.ts";
import { type Attempt, collect } from "../../src/rollout/collect.ts";
import { readCarried } from "../../src/run/carried.ts";
import type { RunDirectory } from "../../src/run/directory.ts";
import type { Observer } from "../../src/run/observer.ts";
import { train } from "../../src/train.ts";
import type { Judge, Rollout, StepStats, Task } from "../../src/types.ts";

const dir = mkdtempSync(join(tmpdir(), "tarl-loop-"));
test.after(() => rmSync(dir, { recursive: true }));

const lost: Judge = { name: "down", judge: async () => ({ scores: null, reasons: [], abstained: "timeout" }) };
const right: Judge = { name: "good", judge: async () => ({ scores: [1], reasons: ["fine"] }) };

interface Played {
  readonly task: string;
  readonly updates: number;
}

/** Without a KL, which would want a reference. */
const small = { tasksPerStep: 1, samples: 2, steps: 3, saveEvery: 1, evalTasks: 0, saveRollouts: false, klCoef: 0 };

/** A run of updates of one task with two rollouts; `broken` says of an update's number whether customers are gone in it. */
function setUp(
  options: object,
  { judge = right, broken = (_: number): boolean => false, wins = (n: number) => n, spoiled = false } = {},
) {
  const config = resolveConfig("embedded", {
    values: { ...small, ...options },
    label: (key) => key,
  });
  const folder = mkdtempSync(join(dir, "run-"));
  const played: Played[] = [];
  const written: { readonly step: number }[] = [];
  let updates = 0;
  let stopped: Error | null = null;
  const converse = async (attempt: Attempt) => {
    const update = Number(attempt.task.id);
    if (broken(update)) stopped = new Error("nobody pays");
    played.push({ task: attempt.task.id, updates });
    const success = (wins(attempt.sample) % 2) as 0 | 1;
    return {
      ...attempt,
      ledger: {
        ids: Int32Array.of(1, 2),
        mask: Uint8Array.of(0, 1),
        logp: Float32Array.of(0, -1),
        turn: Int16Array.of(-1, 0),
      },
      turns: 1,
      transcript: [],
      ending: spoiled ? "error" : stopped ? "user-fault" : "user-stop",
      outcome: { success, stateMatches: true, outputsSaid: true, writes: 0 },
    } as unknown as Rollout;
  };
  const stats = { tokens: 2, computedTokens: 2, lossTokens: 1, mismatch: 0 } as StepStats;
  const step = async () => {
    updates++;
    return stats;
  };
  const task = (n: number) => ({ id: String(n), domain: "d", family: "f", actions: [] }) as unknown as Task;
  const table = {
    domain: {},
    policy: { step },
    users: { chat: { stopped: () => stopped } },
    tasks: { train: (_: number, __: number, n: number) => [task(n)] },
    converse,
    collect: (list: readonly Attempt[], play: (attempt: Attempt) => Promise<Rollout>) => collect(list, play, 8),
    save: async () => {},
  } as unknown as Table;
  const checkpointPath = (step: number) => join(folder, String(step));
  const run = {
    name: "loop",
    checkpointPath,
    append: (_: string, line: { readonly step: number }) => written.push(line),
    checkpoint: async (step: number, _: number, save: (dir: string) => Promise<void>) => {
      mkdirSync(checkpointPath(step));
      await save(checkpointPath(step));
    },
  } as unknown as RunDirectory;
  const observer = { began: () => {}, playing: () => () => () => {}, updated: () => {} } as unknown as Observer;
  const stop = { requested: false, signal: new AbortController().signal };
  const go = (start = 0) => train({ config, table, judge: () => judge, run, observer, stop }, start);
  const carried = (step: number) => readCarried<{ ahead: { rollout: Rollout }[] }>(checkpointPath(step));
  return { go, played, written, carried, stop };
}

const message = (run: () => Promise<unknown>) =>
  run().then(
    () => "it ended well",
    (error: Error) => error.message,
  );

test("played ahead: with the weights from before the update, and carried by a checkpoint", async () => {
  const { go, played, written, carried } = setUp({ ahead: "on" });
  assert.ok(await go());
  assert.equal(
    played.filter((_, i) => i % 2 === 0),
    [
      { task: "0", updates: 0 },
      { task: "1", updates: 0 },
      { task: "2", updates: 1 },
    ],
  );
  assert.equal(
    carried(1)!.ahead.map(({ rollout }) => rollout.task.id),
    ["1", "1"],
  );
  assert.is(carried(3), null);
  assert.is(written.length, 3);
});

test("stopped while the next update is played: its verdicts are waited for no more, or not even asked for", async () => {
  for (const [moment, asks] of [
    [1, 2],
    [0, 0],
  ] as const) {
    let [asked, aborted] = [0, 0];
    const judge: Judge = {
      name: "slow",
      judge: (rollout, signal) => {
        if (rollout.task.id === "0") return right.judge(rollout);
        asked++;
        return new Promise((resolve) =>
          signal!.addEventListener("abort", () => {
            aborted++;
            resolve({ scores: null, reasons: [], abstained: "aborted" });
          }),
        );
      },
    };
    const { go, stop, written, carried } = setUp(
      { ahead: "on", tarl: true },
      {
        judge,
        broken: (update) => {
          stop.requested ||= update === moment;
          return false;
        },
      },
    );
    assert.is(await go(), false);
    assert.equal([asked, aborted, written.length], [asks, asks, 1]);
    assert.is(carried(1)!.ahead.length, 2);
  }
});

test("customers that are gone while the next update is played: it is learned from what was whole, and nothing is carried", async () => {
  const { go, written, carried } = setUp({ ahead: "on" }, { broken: (update) => update === 1 });
  assert.is(await message(go), "nobody pays; --resume loop goes on");
  assert.equal(
    written.map(({ step }) => step),
    [1],
  );
  assert.is(carried(1), null);
});

test("an update without anything to learn from leaves the weights as they are, and the run goes on", async () => {
  for (const { go, played, written } of [
    setUp({ tarl: true, abstain: "drop" }, { judge: lost }),
    setUp({ dynamicSampling: true, maxDraws: 2 }, { wins: () => 1 }),
  ]) {
    assert.ok(await go());
    assert.is(written.length, 3);
    assert.ok(played.every(({ updates }) => updates === 0));
  }
});

test("an update of which every rollout was spoiled ends the run", async () => {
  const broken = setUp({}, { spoiled: true });
  assert.match(await message(broken.go), /^step 1: every rollout was spoiled: it ended with "error"$/);
});

test.run();
