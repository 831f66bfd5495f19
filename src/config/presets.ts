// Presets that change a part of the options, each a published variant: `--preset paper,dapo` lays one over another.
// Values that a source leaves open stay as they were. The whole presets, embedded and paper, are in config.ts.
// Test: test/unit/presets.test.ts

import type { Config } from "./config.ts";

type Variant = (base: Config) => Partial<Config>;

export const variants: { readonly [name: string]: Variant } = {
  // DeepSeekMath, sections 4.1.2 and 4.2 (arXiv:2402.03300).
  grpo: () => ({
    algo: "grpo",
    std: "sample",
    ratio: "token",
    aggregation: "seq-mean-token-mean",
    klIn: "loss",
    klKind: "k3",
    klCoef: 0.04,
  }),
  // Dr. GRPO (arXiv:2503.20783): no division by deviation or length, no KL.
  "dr-grpo": () => ({ algo: "grpo", std: "none", ratio: "token", aggregation: "seq-mean-token-sum-norm", klCoef: 0 }),
  // DAPO, section 4.1 (arXiv:2503.14476): its buffer is 4,096 of 20,480 tokens.
  dapo: ({ contextTokens }) => ({
    algo: "grpo",
    std: "sample",
    ratio: "token",
    clipLow: 0.2,
    clipHigh: 0.28,
    aggregation: "token-mean",
    klCoef: 0,
    dynamicSampling: true,
    overlongBuffer: Math.round(contextTokens / 5),
  }),
  // GSPO, section 5.1 (arXiv:2507.18071).
  gspo: () => ({
    algo: "grpo",
    std: "sample",
    ratio: "sequence",
    clipLow: 3e-4,
    clipHigh: 4e-4,
    aggregation: "seq-mean-token-mean",
    miniBatches: 4,
  }),
  // RLOO, section 3 (arXiv:2402.14740): the rollout is one action, without ratio and clipping, the KL in its reward.
  rloo: () => ({ algo: "rloo", ratio: "none", aggregation: "seq-mean-token-sum", klIn: "reward", klKind: "k1" }),
  // PPO (arXiv:1707.06347); gamma, lambda and the clips as TARL's runs have them.
  ppo: () => ({ algo: "ppo", ratio: "token", clipLow: 0.2, clipHigh: 0.2, gae: "token", gamma: 1, lambda: 1 }),
  // SPO (arXiv:2509.13232), with as many rollouts as there were, each of its own task.
  spo: ({ tasksPerStep, samples, spoPool }) => ({
    algo: "spo",
    samples: 1,
    tasksPerStep: tasksPerStep * samples,
    spoPool: Math.max(spoPool, 4 * tasksPerStep * samples),
  }),
  // REINFORCE++ (arXiv:2501.03262): discounted rewards to go, the KL among them, whitened.
  "reinforce++": () => ({ algo: "reinforce++", ratio: "token", gamma: 1, whiten: true, klIn: "reward", klKind: "k1" }),
  // The same paper's variant for groups, with k2 in the loss.
  "reinforce++-baseline": () => ({
    algo: "reinforce++-baseline",
    ratio: "token",
    whiten: true,
    klIn: "loss",
    klKind: "k2",
  }),
  // TARL (arXiv:2509.14480): the judge's turn scores in the reward of the whole rollout.
  tarl: () => ({ tarl: true, credit: "trajectory", outcomeWeight: 10, turnsWeight: 5, majorWeight: 5 }),
  // Its ablation by an entropy bonus; the paper's weight is not known, ours is verl's usual one.
  entropy: () => ({ entropyCoef: 0.001 }),
};
