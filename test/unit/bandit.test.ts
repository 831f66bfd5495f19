// Every algorithm on the smallest problem: one token, two actions. All outcomes of sampling a group are enumerated, each
// goes through advantages, batch and loss as in training, and the expected step is compared with the policy gradient.
//
// Exact where the estimate is unbiased: RLOO; REINFORCE++, SPO and PPO without whitening, whatever they expect of the task;
// ratios that are not clipped, of an older policy or of a sampler with other bits; KL in the reward. Dr. GRPO and
// REINFORCE++-baseline know their factor: the mean that they take off holds the rollout itself, (n - 1) / n.
// Only in sign and order where it is not: GRPO and credit by turn divide by a deviation that the rollouts decide, and so
// does whitening. What that loses is tested, too: the scale of rewards.

import { test } from "uvu";
import * as assert from "uvu/assert";
import type { AlgorithmOptions, Sample } from "../../src/algorithms/algorithm.ts";
import { algorithm } from "../../src/algorithms/index.ts";
import { corrected } from "../../src/algorithms/tis.ts";
import { pack } from "../../src/batch.ts";
import { resolveConfig } from "../../src/config/config.ts";
import { algorithmOptions } from "../../src/settings.ts";
import { logLikelihood } from "../../src/sft.ts";
import type { LossOptions } from "../../src/types.ts";
import { policyLoss, unflat } from "../rows.ts";

interface Bandit {
  /** Probability of action 1 under the policy that is improved, under the one that sampled, and under the reference. */
  readonly p: number;
  readonly sampler?: number;
  readonly ref?: number;
  /** Rewards of actions 0 and 1. */
  readonly rewards: readonly [number, number];
  readonly n?: number;
}

interface Method extends Partial<AlgorithmOptions> {
  readonly loss?: Partial<LossOptions>;
  /** What a critic, or a tracker, expects. */
  readonly value?: number;
  /** The trainer's own probability differs from the sampler's, and is corrected for. */
  readonly tis?: boolean;
}

const options = algorithmOptions(resolveConfig("embedded"));
const unclipped: LossOptions = { ...logLikelihood, ratio: "token", clipLow: 1, clipHigh: 1e9, dualClip: 0 };
const packing = { aggregation: "token-mean", normConst: 1, excludeEmpty: true, dropZero: false } as const;
const log = (p: number, action: number) => Math.log(action ? p : 1 - p);

/** Expected step of the logit of action 1: minus the mean gradient of the loss over all 2^n outcomes. */
function expectedStep({ p, sampler = p, ref = p, rewards, n = 4 }: Bandit, { loss, value = 0, tis, ...own }: Method) {
  let step = 0;
  for (let outcome = 0; outcome < 2 ** n; outcome++) {
    const actions = Array.from({ length: n }, (_, i) => (outcome >> i) & 1);
    const chance = actions.reduce((product, action) => product * Math.exp(log(sampler, action)), 1);
    const ledgers = actions.map((action) => ({
      ids: Int32Array.of(7, action),
      mask: Uint8Array.of(0, 1),
      turn: Int16Array.of(-1, 0),
      logp: Float32Array.of(0, log(sampler, action)),
    }));
    const samples = actions.map((action, i): Sample => {
      const total = rewards[action];
      const reward = { total, perTurn: [total], parts: { outcome: total, turns: 0, major: 0 }, class: "good" } as const;
      const known = { refLogp: [0, log(ref, action)], values: [99, value], expected: value };
      return { task: "a", reward, ledger: { ...ledgers[i], logp: [0, log(sampler, action)] }, ...known };
    });
    const { values } = algorithm({ ...options, ...own })(samples);
    const logp = actions.map((action) => Float32Array.of(0, log(p, action)));
    const lessons = ledgers.map((ledger, i) => ({
      ledger,
      advantage: values[i],
      ...(tis && { oldLogp: logp[i] }),
    }));
    const batch = pack(tis ? corrected(lessons, tisOptions) : lessons, packing);
    const { gradLogp } = policyLoss(
      {
        logp: actions.map((action) => [0, log(p, action)]),
        weight: unflat(batch.weight, batch.rows),
        advantage: unflat(batch.advantage, batch.rows),
        old: unflat(batch.oldLogp!, batch.rows),
        ref: actions.map((action) => [0, log(ref, action)]),
      },
      { ...unclipped, ...loss },
    );
    for (const [i, action] of actions.entries()) step -= chance * gradLogp[i][1] * (action - p);
  }
  return step;
}

const tisOptions = { level: "token", mode: "clamp", low: 0, cap: 1e9, norm: false } as const;

/** d / d logit of the expected reward. */
const gradient = ({ p, rewards }: Bandit) => p * (1 - p) * (rewards[1] - rewards[0]);

/** A batch holds single precision. */
function near(got: number, expected: number, what: string): void {
  assert.ok(
    Math.abs(got - expected) <= 2e-6 * Math.max(1, Math.abs(expected)),
    `${what}: ${got}, expected ${expected}`,
  );
}

const bandits: readonly Bandit[] = [
  { p: 0.5, rewards: [0, 1] },
  { p: 0.2, rewards: [0, 1] },
  { p: 0.9, rewards: [12.5, -5] },
  { p: 0.3, rewards: [10, 15], n: 2 },
  { p: 0.3, rewards: [10, 15], n: 5 },
];

const exact: Record<string, Method> = {
  RLOO: { algo: "rloo" },
  "RLOO, product of ratios": { algo: "rloo", loss: { ratio: "product" } },
  "RLOO, no ratio": { algo: "rloo", loss: { ratio: "none" } },
  "REINFORCE++": { algo: "reinforce++", whiten: false },
  "REINFORCE++, by turn": { algo: "reinforce++", whiten: false, credit: "turn" },
  "PPO, any value": { algo: "ppo", whiten: false, value: 3.7 },
  "PPO by turn": { algo: "ppo", whiten: false, value: -2, gae: "turn", credit: "turn" },
  "PPO, bi-level": { algo: "ppo", whiten: false, value: 1, gae: "bilevel", lambda: 0.5 },
  "SPO, any expectation": { algo: "spo", whiten: false, value: 0.3, rewardRange: [-5, 15] },
};

for (const [name, method] of Object.entries(exact))
  test(`${name}: the policy gradient itself`, () => {
    const scale = method.algo === "spo" ? 20 : 1; // rewards as parts of their range
    for (const bandit of bandits) near(scale * expectedStep(bandit, method), gradient(bandit), JSON.stringify(bandit));
  });

for (const [name, method] of Object.entries<Method>({
  "Dr. GRPO": { algo: "grpo", std: "none" },
  "Dr. GRPO with GSPO's ratio": { algo: "grpo", std: "none", loss: { ratio: "sequence" } },
  "REINFORCE++-baseline": { algo: "reinforce++-baseline", whiten: false },
}))
  test(`${name}: the policy gradient times (n - 1) / n`, () => {
    for (const bandit of bandits) {
      const { n = 4 } = bandit;
      near(expectedStep(bandit, method), (gradient(bandit) * (n - 1)) / n, JSON.stringify(bandit));
    }
  });

const biased: Record<string, Method> = {
  GRPO: { algo: "grpo" },
  "GRPO over n": { algo: "grpo", std: "population" },
  GSPO: { algo: "grpo", loss: { ratio: "sequence", clipLow: 3e-4, clipHigh: 4e-4 } },
  "GRPO by turn": { algo: "grpo", credit: "turn" },
  "REINFORCE++, whitened": { algo: "reinforce++" },
  "REINFORCE++-baseline, whitened": { algo: "reinforce++-baseline" },
  "SPO, whitened": { algo: "spo", value: 0.8, rewardRange: [-5, 15] },
  "PPO, whitened": { algo: "ppo", value: 0.8 },
};

for (const [name, method] of Object.entries(biased))
  test(`${name}: the policy gradient in sign and order, but not in scale`, () => {
    const step = (bandit: Bandit) => expectedStep(bandit, method);
    for (const bandit of bandits)
      assert.is(Math.sign(step(bandit)), Math.sign(gradient(bandit)), JSON.stringify(bandit));
    near(step({ p: 0.3, rewards: [4, 4] }), 0, "nothing to learn");
    // The nearer to even, the steeper.
    const steps = [0.02, 0.1, 0.25, 0.5].map((p) => step({ p, rewards: [0, 1] }));
    assert.equal(
      [...steps].sort((a, b) => a - b),
      steps,
    );
    // Ten times the reward is the same step.
    assert.ok(Math.abs(step({ p: 0.3, rewards: [0, 10] }) / step({ p: 0.3, rewards: [0, 1] }) - 1) < 1e-4);
  });

test("an older policy's rollouts, ratio not clipped: the gradient of the policy as it is now", () => {
  for (const sampler of [0.2, 0.6]) near(expectedStep({ p: 0.4, sampler, rewards: [1, 3] }, exact.RLOO), 0.48, "RLOO");
});

test("a sampler of other bits, corrected without a cap: the trainer's gradient", () => {
  const bandit: Bandit = { p: 0.4, sampler: 0.5, rewards: [1, 3] };
  near(expectedStep(bandit, { ...exact.RLOO, tis: true }), 0.48, "corrected");
  // Where nobody looks at ratios the sampler's bits would be learned from.
  assert.ok(Math.abs(expectedStep(bandit, exact["RLOO, no ratio"]) - 0.48) > 0.01);
});

test("KL: where it is, and by which estimator", () => {
  const bandit: Bandit = { p: 0.4, ref: 0.7, rewards: [1, 1] };
  const { p, ref = 0 } = bandit;
  const logits = Math.log(p / (1 - p)) - Math.log(ref / (1 - ref));
  const reverse = p * (1 - p) * logits; // d KL(pi || ref) / d logit
  const forward = p - ref; // d KL(ref || pi) / d logit
  const kl = { coef: 0.1, kind: "k1", clamp: 10 } as const;
  near(expectedStep(bandit, { algo: "rloo", kl }), -0.1 * reverse, "in the reward");
  const inLoss = (klKind: LossOptions["klKind"]) =>
    expectedStep(bandit, { algo: "rloo", loss: { klCoef: 0.1, klKind } });
  for (const klKind of ["k2", "k1+", "k3+", "k3_is", "k3_score"] as const) near(inLoss(klKind), -0.1 * reverse, klKind);
  near(inLoss("k1"), 0, "k1 has no slope in the mean");
  near(inLoss("k3"), -0.1 * forward, "k3 follows the forward KL");
});

test.run();
