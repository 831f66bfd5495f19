// Importance weights in a batch: what they reach, and what they leave alone. The weights themselves are golden cases.

import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Lesson } from "../../src/algorithms/algorithm.ts";
import { corrected, mismatch, tisWeights } from "../../src/algorithms/tis.ts";

const options = { level: "token", mode: "clamp", low: 0, cap: 2, norm: false } as const;

/** A rollout of three tokens, the first of which is the environment's. */
function lesson(advantage: number, sampler: number[], trainer?: number[]): Lesson {
  const ledger = {
    ids: Int32Array.of(1, 2, 3),
    mask: Uint8Array.of(0, 1, 1),
    logp: Float32Array.from(sampler),
    turn: Int16Array.of(-1, 0, 0),
  };
  return { ledger, advantage, ...(trainer && { oldLogp: Float32Array.from(trainer) }) };
}

const half = Math.log(0.5);
/** Ratios 1/2 and e^2; 1 and 1/2. */
const lessons = [lesson(2, [0, -1, -2], [5, -1 + half, 0]), lesson(-4, [0, -1, -1], [5, -1, -1 + half])];

function near(got: readonly Lesson[], expected: readonly number[]): void {
  const values = got.flatMap(({ advantage }) => [...(advantage as Float64Array)]);
  for (const [t, value] of expected.entries()) assert.ok(Math.abs(values[t] - value) < 1e-5, `${t}: ${values[t]}`);
}

test("advantages are weighed, the old policy is the trainer's, the rest stays", () => {
  const after = corrected(lessons, options);
  near(after, [0, 1, 4, 0, -4, -2]);
  for (const [i, { ledger, oldLogp }] of after.entries()) {
    assert.is(ledger, lessons[i].ledger);
    assert.is(oldLogp, lessons[i].oldLogp);
  }
  assert.is(lessons[0].advantage, 2);
  const perToken = { ...lessons[0], advantage: Float64Array.of(9, 2, 3) };
  near(corrected([perToken], options), [0, 1, 6]);
});

test("a rollout's product for all of its tokens", () => {
  // The first one's e^2 / 2 is over the cap and left out.
  near(corrected(lessons, { ...options, level: "sequence", mode: "mask" }), [0, 0, 0, 0, -2, -2]);
});

test("the mismatch is the largest difference at a policy token", () => {
  assert.is(mismatch(lessons), 2);
});

test("equal bits weigh 1; a log-prob that is not known has ratio 1", () => {
  near(corrected([lesson(2, [0, -1, -2])], options), [0, 2, 2]);
  const [row] = tisWeights([[-1, -1]], [[Number.NaN, -2]], [[1, 1]], { ...options, level: "sequence", cap: 10 });
  assert.ok(Math.abs(row[0] - Math.E) < 1e-12 && row[0] === row[1]);
});

test.run();
