// Figures of an evaluation worked by hand, tables of Student's t, and coverage of the intervals.

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  averages,
  countWaits,
  families,
  pairedDifference,
  pass,
  passAt,
  passHat,
  passInterval,
  passTable,
  studentQuantile,
  type Tally,
  tally,
  turnIds,
  wilson,
} from "../../src/eval/metrics.ts";
import { Random } from "../../src/random.ts";
import type { Ending } from "../../src/types.ts";

function near(got: number, expected: number, tolerance = 1e-12): void {
  assert.ok(Math.abs(got - expected) <= tolerance, `${got}, expected ${expected}`);
}

function tallies(successes: readonly number[], trials = 4): Tally[] {
  return successes.map((count, i) => ({ task: `t${i}`, family: i % 2 ? "odd" : "even", trials, successes: count }));
}

test("pass^k and pass@k of one task", () => {
  near(passHat(4, 2, 1), 1 / 2);
  near(passHat(4, 2, 2), 1 / 6);
  assert.is(passHat(4, 2, 3), 0);
  near(passAt(4, 2, 2), 5 / 6);
  assert.is(passAt(4, 2, 3), 1);
  assert.throws(() => passHat(3, 3, 4), /pass\^4 of 3 trials: expected at least 4/);
});

test("pass^k is the mean over tasks, each with its own number of trials", () => {
  const mixed = [...tallies([1], 2), { task: "x", family: "f", trials: 4, successes: 4 }];
  near(pass(mixed, 1), 3 / 4);
  near(pass(mixed, 2), 1 / 2);
  assert.throws(() => pass(mixed, 3), /at least 3/);
  assert.throws(() => pass([], 1), /at least one/);
});

test("trials are counted by task; a crashed one is a failure even when its state matched", () => {
  const outcome = { success: 1, stateMatches: true, outputsSaid: true, writes: 0 } as const;
  const rollout = (id: string, ending: Ending, success: 0 | 1) => ({
    task: id,
    family: "f",
    ending,
    outcome: { ...outcome, success },
  });
  const counted = tally([
    rollout("a", "user-stop", 1),
    rollout("b", "tool-end", 0),
    rollout("a", "error", 1),
    rollout("a", "user-fault", 1),
    rollout("a", "turn-limit", 1),
    rollout("b", "aborted", 1),
  ]);
  assert.equal(counted, [
    { task: "a", family: "f", trials: 4, successes: 2 },
    { task: "b", family: "f", trials: 2, successes: 0 },
  ]);
});

test("Wilson's interval, 2 of 4 at 95%", () => {
  // z^2 = 3.8414588; center 1/2, half = z sqrt(0.25/4 + z^2/64) / (1 + z^2/4) = 0.3499610
  const interval = wilson(2, 4);
  near(interval?.[0] ?? 0, 0.150039, 1e-6);
  near(interval?.[1] ?? 0, 0.849961, 1e-6);
  assert.is(wilson(0, 0), null);
});

test("the interval of pass^k counts as many trials as the spread between tasks allows", () => {
  // Six tasks, each all or nothing: p = 1/2, s^2 = 6/5 / 4 = 0.3, SE^2 = 0.05, n = 0.25 / 0.05 = 5 of 24.
  assert.equal(passInterval(tallies([4, 4, 4, 0, 0, 0]), 1), wilson(2.5, 5));
  // No spread at all: every trial counts.
  assert.equal(passInterval(tallies([2, 2, 2]), 1), wilson(6, 12));
  // All succeed: each task counts once.
  assert.equal(passInterval(tallies([4, 4, 4, 4, 4]), 3), wilson(5, 5));
  assert.equal(passInterval(tallies([0, 0]), 1), wilson(0, 2));
});

test("95% intervals cover the truth about that often", () => {
  // Tasks that are solved at rates of their own: uniform, or mostly never or always. True pass^k = E[rate^k].
  const random = new Random("coverage");
  const worlds: [string, (u: number) => number, (k: number) => number][] = [
    ["uniform", (u) => u, (k) => 1 / (k + 1)],
    ["split", (u) => (u < 0.5 ? 0.05 : 0.9), (k) => (0.05 ** k + 0.9 ** k) / 2],
  ];
  for (const [name, rate, truth] of worlds) {
    for (const k of [1, 4]) {
      let hits = 0;
      const runs = 1000;
      for (let run = 0; run < runs; run++) {
        const successes = Array.from({ length: 40 }, () => {
          const chance = rate(random.float());
          return [0, 0, 0, 0].filter(() => random.chance(chance)).length;
        });
        const [low, high] = passInterval(tallies(successes), k);
        if (low <= truth(k) && truth(k) <= high) hits++;
      }
      assert.ok(hits / runs > 0.92 && hits / runs < 0.985, `${name} k=${k}: ${hits / runs}`);
    }
  }
});

test("Student's t at 95%, against the printed tables", () => {
  const table: [number, number][] = [
    [1, 12.706],
    [2, 4.303],
    [3, 3.182],
    [5, 2.571],
    [10, 2.228],
    [29, 2.045],
    [30, 2.042],
    [100, 1.984],
    [1000, 1.962],
  ];
  for (const [degrees, t] of table) near(studentQuantile(degrees), t, 0.0005);
});

test("paired differences pair by task", () => {
  const before = tallies([0, 1, 2, 3]);
  const after = tallies([2, 2, 2, 4]).reverse();
  // Gains 1/2, 1/4, 0, 1/4: mean 1/4, s^2 = 1/24, SE = sqrt(1/96); t(3) = 3.182446.
  const { difference, interval } = pairedDifference(before, after);
  near(difference, 0.25);
  near(interval[0], 0.25 - 3.182446 * Math.sqrt(1 / 96), 1e-6);
  near(interval[1], 0.25 + 3.182446 * Math.sqrt(1 / 96), 1e-6);
  assert.throws(() => pairedDifference(before, after.slice(1)), /expected the same tasks/);
  const other = [...after.slice(1), { ...after[0], task: "new" }];
  assert.throws(() => pairedDifference(before, other), /task new has no result/);
  assert.equal(pairedDifference(tallies([1]), tallies([2])), { difference: 0.25, interval: [-1, 1] });
  assert.equal(pairedDifference([], []), { difference: 0, interval: [-1, 1] });
});

test("the table and the families", () => {
  const result = passTable(tallies([4, 2, 4, 2]));
  for (const [i, value] of [3 / 4, 7 / 12, 1 / 2, 1 / 2].entries()) near(result.pass[i], value);
  assert.is(result.interval.length, 4);
  assert.equal(result.over, [4, 4, 4, 4]);
  const short = passTable([...tallies([2]), { task: "x", family: "f", trials: 1, successes: 1 }], 8);
  assert.equal(short.over, [2, 1, 1, 1], "each over the tasks with as many trials, as far as there are any");
  near(short.pass[0], 3 / 4);
  near(short.pass[1], 1 / 6);
  assert.equal(passTable([]), { pass: [], interval: [], over: [] });
  const byFamily = families(tallies([4, 2, 4, 0, 0]));
  assert.equal(Object.keys(byFamily), ["even", "odd"]);
  assert.is(byFamily.even.tasks, 3);
  near(byFamily.even.pass1, 2 / 3);
  near(byFamily.odd.pass1, 1 / 4);
});

test("waits are whole words in any case", () => {
  assert.is(countWaits("Wait, wait... WAIT! waiting await wait_list wait2"), 3);
  assert.is(countWaits("Hmm.\nwa\u0131t \u00e9wait"), 1);
});

test("averages read the policy's turns only, one at a time", () => {
  const texts = ["wait", "Wait!", "wa", "it", "x"];
  const decode = (ids: Int32Array) => [...ids].map((id) => texts[id]).join("");
  const ledger = (ids: number[], turn: number[]) => ({ ids: Int32Array.from(ids), turn: Int16Array.from(turn) });
  // "wait" of the environment, then "Wait!x"; then turn 1 "wa" directly followed by turn 2 "it".
  const one = ledger([0, 1, 4, 0, 2, 3], [-1, 0, 0, -1, 1, 2]);
  const two = ledger([4, 4], [-1, 0]);
  assert.equal(
    turnIds(one).map((ids) => [...ids]),
    [[1, 4], [2], [3]],
  );
  const rollouts = [
    { turns: 3, ledger: one },
    { turns: 1, ledger: two },
  ];
  assert.equal(averages(rollouts, decode), { waits: 0.5, turns: 2, length: 2.5 });
});

test.run();
