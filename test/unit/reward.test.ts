// The TARL reward on its class borders, and both ways with a conflict. Expected values are worked by hand.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { checkScores, type RewardOptions, reward } from "../../src/reward.ts";
import type { Reward, TurnScore, Verdict } from "../../src/types.ts";

const tarlReward: RewardOptions = { tarl: true, outcome: 10, turns: 5, major: 5, conflict: "trust-verifier" };
const keep: RewardOptions = { ...tarlReward, conflict: "keep" };

function verdict(success: 0 | 1, scores: readonly number[] | null): Verdict {
  const outcome = { success, stateMatches: success === 1, outputsSaid: true, writes: 1 };
  return { outcome, judgement: { scores: scores as TurnScore[] | null, reasons: [] } };
}

function judge(success: 0 | 1, scores: readonly number[], options = tarlReward): Reward {
  return reward(verdict(success, scores), scores.length, options);
}

test("each class at its borders (TARL, arXiv:2509.14480)", () => {
  const cases: [0 | 1, number[], number, string][] = [
    [1, [1, 1, 1, 1], 15, "perfect"],
    [1, [1, 0, 1, 1], 13.75, "good"],
    [1, [0], 10, "good"],
    [0, [1, 1], 5, "good_attempt"],
    [0, [0, 0], 0, "good_attempt"],
    [0, [1, -1, 1, 1], -1.25, "failed"],
    [0, [0, -1], -5, "failed"],
  ];
  for (const [success, scores, total, name] of cases) {
    const result = judge(success, scores);
    assert.is(result.total, total);
    assert.is(result.class, name);
  }
});

test("a conflict drops the -1 or keeps it, and stays a conflict", () => {
  const dropped = judge(1, [1, -1, 1, 0]);
  assert.equal(dropped, {
    total: 12.5,
    parts: { outcome: 10, turns: 2.5, major: 0 },
    class: "conflict",
    perTurn: [1.25, 0, 1.25, 10],
  });
  const kept = judge(1, [1, -1, 1, 0], keep);
  assert.equal(kept, {
    total: 7.5,
    parts: { outcome: 10, turns: 2.5, major: -5 },
    class: "conflict",
    perTurn: [1.25, -5, 1.25, 10],
  });
});

test("a -1 costs the same whichever way conflicts go when the task failed", () => {
  assert.is(judge(0, [1, -1], tarlReward).total, -2.5);
  assert.is(judge(0, [1, -1], keep).total, -2.5);
});

test("without a label the outcome alone counts", () => {
  const unjudged = (total: number) => ({
    total,
    parts: { outcome: total, turns: 0, major: 0 },
    class: "unjudged",
    perTurn: [],
  });
  assert.equal(reward(verdict(1, null), 3, tarlReward), unjudged(10));
  assert.equal(reward({ ...verdict(1, null), judgement: null }, 3, tarlReward), unjudged(10));
  assert.equal(reward(verdict(0, null), 3, tarlReward), unjudged(0));
  assert.equal(reward(verdict(1, []), 0, tarlReward), unjudged(10));
});

test("without tarl the reward is the outcome, 0 or 1, and the judge is not heard", () => {
  const off = { ...tarlReward, tarl: false };
  assert.is(reward(verdict(1, [-1, 0]), 2, off).total, 1);
  assert.is(reward(verdict(0, [1, 1]), 2, off).total, 0);
  assert.is(reward(verdict(1, [9]), 2, off).total, 1);
});

test("weights are options", () => {
  const result = judge(1, [1, 0, -1, 1], { tarl: true, outcome: 2, turns: 8, major: 3, conflict: "keep" });
  assert.equal(result.parts, { outcome: 2, turns: 4, major: -3 });
  assert.equal(result.perTurn, [2, 0, -3, 4]);
});

test("invalid scores are named and refused", () => {
  assert.equal(checkScores([1, 0, -1], 3), []);
  assert.equal(checkScores([], 0), []);
  assert.equal(checkScores([-1, 1, -1], 3), ["more than one -1"]);
  assert.equal(checkScores([0.5, 1], 2), ["score outside {-1, 0, 1}"]);
  assert.equal(checkScores([Number.NaN], 1), ["score outside {-1, 0, 1}"]);
  assert.equal(checkScores([1], 2), ["number of scores differs from number of agent turns"]);
  assert.is(checkScores([2, -1, -1], 2).length, 3);
  assert.throws(() => judge(0, [-1, -1]), /invalid judgement: more than one -1/);
  assert.throws(() => reward(verdict(1, []), 2, tarlReward), /number of scores/);
});

test.run();
