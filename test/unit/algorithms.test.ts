// Advantages worked by hand: groups, turns, critics, rewards to go; and the group without spread, which floating point gets
// wrong.

import { test } from "uvu";
import * as assert from "uvu/assert";
import type { AlgorithmOptions, Sample } from "../../src/algorithms/algorithm.ts";
import { advantages, comparisons, mixedGroups } from "../../src/algorithms/group.ts";
import { algorithm } from "../../src/algorithms/index.ts";
import { lessOverlong, overlongPenalty } from "../../src/algorithms/overlong.ts";
import { klValue, placeReward } from "../../src/algorithms/place.ts";
import { spreadTurns, turnAdvantages } from "../../src/algorithms/turns.ts";
import { type WhitenOptions, whiten, whitening } from "../../src/algorithms/whiten.ts";
import { resolveConfig } from "../../src/config/config.ts";
import { algorithmOptions } from "../../src/settings.ts";
import type { Reward } from "../../src/types.ts";

const plain = { ...comparisons.grpo, eps: 0 };

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
  const [low] = advantages([0, 1], ["a", "a"], comparisons.grpo).values;
  near([low], [-0.5 / (Math.SQRT1_2 + 1e-6)]);
});

test("RLOO (arXiv:2402.14740): reward less the mean of the others", () => {
  near(advantages([0, 3, 6, 15], ["a", "a", "a", "a"], comparisons.rloo).values, [-8, -4, 0, 12]);
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
  assert.equal(advantages([], [], comparisons.grpo), { values: [], flat: [] });
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

// ---------------------------------------------------------------------------------------------------
// Through the door that the loop uses
// ---------------------------------------------------------------------------------------------------

/** Two turns of two policy tokens each, an environment token before each of them and one at the end. */
const mask = Uint8Array.of(0, 1, 1, 0, 1, 1, 0);
const turn = Int16Array.of(-1, 0, 0, -1, 1, 1, -1);

function worth(perTurn: readonly number[]): Reward {
  const total = perTurn.reduce((sum, share) => sum + share, 0);
  return { total, parts: { outcome: total, turns: 0, major: 0 }, class: "good", perTurn };
}

function sample(task: string, perTurn: readonly number[], more: Partial<Sample> = {}): Sample {
  return { task, reward: worth(perTurn), ledger: { mask, turn, logp: new Float64Array(7) }, ...more };
}

function run(options: Partial<AlgorithmOptions>, samples: readonly Sample[]) {
  const { values, ...rest } = algorithm({ ...algorithmOptions(resolveConfig("embedded")), ...options })(samples);
  return { values: values.map((own) => (typeof own === "number" ? own : [...own])), ...rest };
}

test("the reward lands on policy tokens only", () => {
  assert.equal([...placeReward(worth([2, 5]), { mask, turn }, "trajectory")], [0, 0, 0, 0, 0, 7, 0]);
  assert.equal([...placeReward(worth([2, 5]), { mask, turn }, "turn")], [0, 0, 2, 0, 0, 5, 0]);
  const unjudged = { total: 10, perTurn: [] };
  assert.equal([...placeReward(unjudged, { mask, turn }, "turn")], [0, 0, 0, 0, 0, 10, 0]);
  const silent = { mask: new Uint8Array(2), turn: Int16Array.of(-1, -1) };
  assert.equal([...placeReward(unjudged, silent, "trajectory")], [0, 0]);
});

test("groups: one number a rollout, flat groups counted, whatever stands between their members", () => {
  const samples = [sample("a", [1]), sample("b", [4]), sample("a", [3]), sample("b", [4])];
  assert.equal(run({ algo: "grpo", std: "none" }, samples), { values: [-1, 0, 1, 0], flat: 1, groups: 2 });
  assert.equal(run({ algo: "rloo" }, samples), { values: [-2, 0, 2, 0], flat: 1, groups: 2 });
});

test("KL in the reward: its price is taken off before rewards are compared", () => {
  // k1 = log pi - log ref = .5 on each of the four policy tokens of the first rollout.
  const near1 = { mask, turn, logp: Float64Array.of(9, 0, 0, 9, 0, 0, 9) };
  const refLogp = Float64Array.of(0, -0.5, -0.5, 0, -0.5, -0.5, 0);
  const samples = [sample("a", [1], { ledger: near1, refLogp }), sample("a", [1], { refLogp: new Float64Array(7) })];
  const kl = { coef: 0.1, kind: "k1", clamp: 10 } as const;
  const { values } = run({ algo: "rloo", kl }, samples);
  near(values as number[], [-0.2, 0.2]);
  assert.throws(() => run({ algo: "rloo", kl }, [sample("a", [1])]), /without the reference's log-probs/);
});

test("estimators of the KL at one token", () => {
  const value = (kind: AlgorithmOptions["kl"] & object extends { kind: infer K } ? K : never) =>
    klValue(-2, -1, { kind, clamp: 10 });
  near([value("k1"), value("k1+"), value("k2"), value("abs")], [-1, -1, 0.5, 1]);
  near([value("k3"), value("k3_is")], [Math.E - 2, Math.E - 2]);
  assert.is(klValue(-20, 0, { kind: "k3", clamp: 10 }), 10);
});

test("REINFORCE++ (arXiv:2501.03262): what is still to come, discounted by policy tokens alone", () => {
  const { values } = run({ algo: "reinforce++", whiten: false, gamma: 0.5, credit: "turn" }, [sample("a", [2, 8])]);
  assert.equal(values, [[0, 2, 4, 0, 4, 8, 0]]);
});

test("REINFORCE++-baseline: centred in the group, then whitened over tokens", () => {
  const { values } = run({ algo: "reinforce++-baseline" }, [sample("a", [1]), sample("a", [3])]);
  // Eight tokens, four of -1 and four of 1: variance 8/7.
  const one = Math.sqrt(7 / 8);
  near(values[0] as number[], [0, -one, -one, 0, -one, -one, 0], 1e-7);
});

test("whitening: over the policy tokens of all rollouts, eps added to the variance or its least value", () => {
  const rows = [
    [99, 1, 5],
    [3, 99, 99],
  ];
  const masks = [Uint8Array.of(0, 1, 1), Uint8Array.of(1, 0, 0)];
  const white = (options: Partial<WhitenOptions>) =>
    whiten(rows, masks, { ...whitening, ...options }).flatMap((row) => [...row]);
  // Mean 3, variance 4 over n - 1, 8/3 over n.
  near(white({ eps: 5 }), [0, -2 / 3, 2 / 3, 0, 0, 0]);
  near(white({ eps: 16, epsMode: "clamp" }), [0, -0.5, 0.5, 0, 0, 0]);
  near(white({ variance: "population", eps: 16 / 3 - 8 / 3 }), [0, -Math.sqrt(3) / 2, Math.sqrt(3) / 2, 0, 0, 0]);
  near(white({ eps: 5, shiftMean: false }), [0, 3 - 2 / 3, 3 + 2 / 3, 3, 0, 0]);
  const flat = [Float64Array.of(0.1, 0.1, 0.1)];
  assert.equal([...whiten(flat, [Uint8Array.of(1, 1, 1)])[0]], [0, 0, 0]);
});

test("PPO: GAE eq. 16 (arXiv:1506.02438) steps over environment tokens and never reads their values", () => {
  const values = Float64Array.of(99, 1, 2, 99, 3, 4, 99);
  const given = [sample("a", [2, 8], { values })];
  // Rewards 0 2 0 8, values 1 2 3 4; lambda 0: delta = r + V' - V.
  const one = { algo: "ppo", credit: "turn", whiten: false } as const;
  const td = run({ ...one, lambda: 0 }, given);
  assert.equal(td.values, [[0, 1, 3, 0, 1, 4, 0]]);
  assert.equal([...td.returns![0]], [0, 2, 5, 0, 4, 8, 0]);
  // lambda 1: what is to come, less the value.
  assert.equal(run({ ...one, lambda: 1 }, given).values, [[0, 9, 8, 0, 5, 4, 0]]);
  // By turns: rewards 2 and 8, values 1 and 3.
  assert.equal(run({ ...one, lambda: 0, gae: "turn" }, given).values, [[0, 4, 4, 0, 5, 5, 0]]);
  // Bi-level, lambda 1: turns' ends 2 + 4 - 2 + 4 = 8 and 8 - 4 = 4; inside a turn V' - V + A'.
  assert.equal(run({ ...one, lambda: 1, gae: "bilevel" }, given).values, [[0, 9, 8, 0, 5, 4, 0]]);
  // With gamma_turn 0 turns do not see each other.
  assert.equal(run({ ...one, gae: "bilevel", gammaTurn: 0 }, given).values, [[0, 1, 0, 0, 5, 4, 0]]);
  assert.throws(() => run({ algo: "ppo" }, [sample("a", [1])]), /without the critic's values/);
});

test("SPO: what was not expected, standardised over the rollouts", () => {
  const samples = [sample("a", [15], { expected: 0.5 }), sample("b", [-5], { expected: 0.5 })];
  const raw = run({ algo: "spo", whiten: false, rewardRange: [-5, 15] }, samples);
  assert.equal(raw, { values: [0.5, -0.5], flat: 0, groups: 0 });
  near(run({ algo: "spo", rewardRange: [-5, 15] }, samples).values as number[], [Math.SQRT1_2, -Math.SQRT1_2], 1e-7);
});

test("credit by turn: a rollout without a verdict has its reward on its last turn", () => {
  const unjudged = { total: 4, parts: { outcome: 4, turns: 0, major: 0 }, class: "unjudged", perTurn: [] } as const;
  const samples = [sample("a", [0, 4]), { ...sample("a", []), reward: unjudged }];
  const { values } = run({ algo: "grpo", credit: "turn", std: "population", stdEps: 1e-12 }, samples);
  near(values[1] as number[], [0, 0, 0, 0, 1, 1, 0], 1e-9);
});

test("DAPO keeps groups with success and failure, whatever their rewards", () => {
  assert.equal(mixedGroups([1, 0, 1, 1, 0, 0], ["a", "a", "b", "b", "c", "c"]), ["a"]);
});

test("DAPO eq. 13 (arXiv:2503.14476): the last tokens of the context cost, on the last turn", () => {
  const options = { maxTokens: 100, buffer: 20, factor: 2 };
  assert.equal(
    [80, 85, 100, 120].map((tokens) => overlongPenalty(tokens, options)),
    [0, -0.5, -2, -2],
  );
  const less = lessOverlong(worth([2, 8]), 90, options);
  assert.equal([less.total, less.parts.overlong, less.perTurn], [9, -1, [2, 7]]);
  assert.is(overlongPenalty(100, { ...options, buffer: 0 }), 0);
});

test.run();
