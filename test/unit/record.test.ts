// What is written down of an update: figures worked out by hand, and rollouts that can be read back.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Graded, rolloutLine, stepLine } from "../../src/run/metrics.ts";
import type { Ending, Reward, Rollout, StepStats } from "../../src/types.ts";

function graded(family: string, success: 0 | 1, ending: Ending, writes: number, tarl: Reward, learned = true): Graded {
  const rollout = {
    task: { id: `shop/1/${family}/0`, domain: "shop", family, actions: [{ name: "x", arguments: "{}" }] },
    sample: 0,
    seed: 7,
    turns: 2,
    ending,
    outcome: { success, stateMatches: success === 1, outputsSaid: true, writes },
    transcript: [
      {
        role: "tool",
        turn: 0,
        call: {
          name: "f",
          arguments: new Map<string, unknown>([
            ["n", 3n],
            ["big", 2n ** 70n],
            ["x", 1.5],
          ]),
        },
        observation: "",
        failed: false,
        wrote: false,
      },
    ],
    ledger: {
      ids: Int32Array.of(5, 6, 7, 8),
      mask: Uint8Array.of(0, 1, 1, 0),
      turn: Int16Array.of(-1, 0, 1, -1),
      logp: Float32Array.of(0, -0.1, -1 / 3, 0),
    },
  } as unknown as Rollout;
  const own: Reward = {
    total: success,
    parts: { outcome: success, turns: 0, major: 0 },
    class: "unjudged",
    perTurn: [],
  };
  const judgement = { scores: tarl.class === "unjudged" ? null : ([1, 0] as const), reasons: ["a", "b"] };
  return { rollout, judgement, reward: own, tarl, kept: true, learned };
}
const tarl = (outcome: number, turns: number, major: number, name: Reward["class"]): Reward => ({
  total: outcome + turns + major,
  parts: { outcome, turns, major },
  class: name,
  perTurn: [],
});
const three = [
  graded("cancel", 1, "user-stop", 1, tarl(10, 2.5, 0, "good")),
  graded("return", 0, "user-stop", 0, tarl(0, 1, -5, "failed")),
  graded("return", 0, "error", 0, tarl(0, 0, 0, "unjudged"), false),
];
const stats = (mismatch: number, kl: number) => ({ mismatch, kl, loss: 0.5, tokens: 12, gradNorm: 2 }) as StepStats;

test("the line of an update", () => {
  const line = stepLine(4, 0.1, three, 0.5, [stats(1e-6, 0), stats(9, 0.25)]);
  assert.is(line.step, 4);
  assert.is(line.domain, "shop");
  assert.is(line.rollouts, 3);
  assert.is(line.excluded, 1);
  assert.is(line.reward, 1 / 3);
  assert.ok(Math.abs(line.rewardStd - Math.sqrt(2) / 3) < 1e-12);
  assert.ok(Math.abs(line.tarl - (12.5 - 4 + 0) / 3) < 1e-12);
  assert.equal([line.rewardOutcome, line.rewardTurns, line.rewardMajor], [10 / 3, 3.5 / 3, -5 / 3]);
  assert.is(line.pass, 1 / 3);
  assert.equal(line.passByFamily, { cancel: 1, return: 0 });
  assert.equal([line.turns, line.length, line.contextLength], [2, 2, 4]);
  assert.is(line.noWriteFailures, 1 / 3, "what was broken off is none");
  assert.is(line.abstained, 1);
  assert.equal(line.endings, { error: 1, "user-stop": 2 });
  assert.equal(line.classes, { failed: 1, good: 1, unjudged: 1 });
  assert.is(line.mismatch, 1e-6, "of the first step");
  assert.is(line.kl, 0.125, "their mean");
  assert.is(line.tokens, 24, "their sum");
});

test("what dynamic sampling leaves out is in no mean of a reward, but in all others", () => {
  const part = [three[0], { ...three[1], kept: false, learned: false }];
  const line = stepLine(1, 0.1, part, 0, []);
  assert.equal([line.reward, line.tarl, line.rewardMajor, line.classes], [1, 12.5, 0, { good: 1 }]);
  assert.equal([line.rollouts, line.excluded, line.pass], [2, 1, 0.5]);
  const none = stepLine(
    1,
    0.1,
    part.map((each) => ({ ...each, kept: false, learned: false })),
    0,
    [],
  );
  assert.equal([none.reward, none.tarl, none.excluded, none.pass], [0, 0, 2, 0.5]);
});

test("an update without anything to learn from has zeros", () => {
  const line = stepLine(1, 0.1, three, 1, []);
  assert.equal([line.loss, line.gradNorm, line.mismatch, line.tokens, line.ratio], [0, 0, 0, 0, 1]);
});

test("a rollout can be read back: log-probs to the bit, arguments as JSON", () => {
  const line = JSON.parse(rolloutLine(three[0], 0.5));
  assert.equal(Float32Array.from(line.logp), three[0].rollout.ledger.logp);
  assert.equal(
    [line.ids, line.mask, line.turn],
    [
      [5, 6, 7, 8],
      [0, 1, 1, 0],
      [-1, 0, 1, -1],
    ],
  );
  assert.equal(line.transcript[0].call.arguments, { n: 3, big: String(2n ** 70n), x: 1.5 });
  assert.equal([line.advantage, line.reward, line.tarl, line.class], [0.5, 1, 12.5, "good"]);
  assert.equal(JSON.parse(rolloutLine(three[1], Float64Array.of(0, 1, 2, 0))).advantage, [0, 1, 2, 0]);
  assert.is(JSON.parse(rolloutLine(three[2], undefined)).advantage, null);
  assert.ok(rolloutLine(three[0], 0).endsWith("}\n"));
});

test.run();
