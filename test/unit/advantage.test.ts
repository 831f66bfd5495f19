// Group advantages worked by hand, and the group without spread, which floating point gets wrong.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { advantages, algorithms, spreadTurns, turnAdvantages } from "../../src/advantage.ts";

const plain = { ...algorithms.grpo, eps: 0 };

function near(got: readonly number[], expected: readonly number[], tolerance = 1e-12): void {
  assert.is(got.length, expected.length);
  for (const [i, value] of got.entries())
    assert.ok(Math.abs(value - expected[i]) <= tolerance, `${i}: ${value}, expected ${expected[i]}`);
}

test("GRPO section 4.1.2 (arXiv:2402.03300): z-scores in each group, groups in any order", () => {
  // Group a: 1, 2, 3: mean 2, deviation 1 (n-1) or sqrt(2/3) (n). Group b: 0, 10: mean 5, deviation sqrt(50) or 5.
  const rewards = [1, 0, 2, 10, 3];
  const groups = ["a", "b", "a", "b", "a"];
  near(advantages(rewards, groups, plain).values, [-1, -Math.SQRT1_2, 0, Math.SQRT1_2, 1]);
  const population = advantages(rewards, groups, { ...plain, std: "population" }).values;
  near(population, [-Math.sqrt(1.5), -1, 0, 1, Math.sqrt(1.5)]);
  near(advantages(rewards, groups, { ...plain, std: "none" }).values, [-1, -5, 0, 5, 1]);
  // The whole batch: mean 3.2, squares 4.84 + 10.24 + 1.44 + 46.24 + 0.04 = 62.8, deviation sqrt(15.7).
  const batch = Math.sqrt(15.7);
  const whole = advantages(rewards, groups, { ...plain, std: "batch" }).values;
  near(whole, [-1 / batch, -5 / batch, 0, 5 / batch, 1 / batch]);
});

test("eps is added to the deviation", () => {
  near(advantages([0, 2], ["a", "a"], { ...plain, std: "population", eps: 1 }).values, [-0.5, 0.5]);
  const [low] = advantages([0, 1], ["a", "a"], algorithms.grpo).values;
  near([low], [-0.5 / (Math.SQRT1_2 + 1e-6)]);
});

test("RLOO (arXiv:2402.14740): reward less the mean of the others", () => {
  near(advantages([0, 3, 6, 15], ["a", "a", "a", "a"], algorithms.rloo).values, [-8, -4, 0, 12]);
});

test("a group without spread is exactly 0 and named, however its mean rounds", () => {
  assert.is.not((0.1 + 0.1 + 0.1) / 3, 0.1);
  const rewards = [0.1, 0.1, 3, 0.1, 5, 15];
  const groups = [7, 7, 8, 7, 8, 9];
  for (const std of ["sample", "population", "none", "batch"] as const) {
    const { values, flat } = advantages(rewards, groups, { ...plain, std });
    for (const i of [0, 1, 3, 5]) assert.is(values[i], 0);
    assert.ok(values[2] < 0 && values[4] > 0);
    assert.equal(flat, [7, 9]);
  }
});

test("a group of one has no advantage, or its own reward", () => {
  const alone = (options: Parameters<typeof advantages>[2]) => advantages([15], ["a"], options).values;
  assert.equal(alone(plain), [0]);
  assert.equal(alone({ ...plain, singleton: "raw", eps: 0.5 }), [10]);
  assert.equal(alone({ ...plain, singleton: "raw", eps: 0.5, std: "none" }), [15]);
});

test("nothing in, nothing out", () => {
  assert.equal(advantages([], [], algorithms.grpo), { values: [], flat: [] });
});

test("GRPO section 4.1.3 (arXiv:2402.03300): turns are normalised together and credited with what follows", () => {
  // Shares 1, 3, 5, 7: mean 4, deviation sqrt(5) over n. z = -3, -1, 1, 3 over sqrt(5).
  const options = { std: "population", eps: 0, gamma: 1 } as const;
  const { values, flat } = turnAdvantages([[1, 3, 5], [7], [2, 2]], ["a", "a", "b"], options);
  const s = Math.sqrt(5);
  near(values[0], [-3 / s, 0, 1 / s]);
  near(values[1], [3 / s]);
  assert.equal(values[2], [0, 0]);
  assert.equal(flat, ["b"]);
  const half = turnAdvantages([[1, 3, 5], [7]], ["a", "a"], { ...options, gamma: 0.5 }).values;
  near(half[0], [(-3 - 0.5 + 0.25) / s, (-1 + 0.5) / s, 1 / s]);
});

test("an unjudged rollout takes no part in turn credit", () => {
  const options = { std: "population", eps: 0, gamma: 1 } as const;
  const { values } = turnAdvantages([[0], [], [2]], ["a", "a", "a"], options);
  assert.equal(values, [[-1], [], [1]]);
  assert.equal([...spreadTurns(values[1], Int16Array.of(-1, 0, 1))], [0, 0, 0]);
});

test("turn values reach the tokens of their turns", () => {
  assert.equal([...spreadTurns([2, -3], Int16Array.of(-1, 0, 0, -1, 1, -1))], [0, 2, 2, 0, -3, 0]);
});

test.run();
