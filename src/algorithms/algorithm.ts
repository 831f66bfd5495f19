// What every algorithm is told and answers: the records between the loop (train.ts) and the files of this folder.
// No code.

import type { Ledger, LossOptions, Reward } from "../types.ts";

/** What an algorithm is told of one rollout; arrays are [N], N tokens of its ledger, read under the mask. */
export interface Sample {
  /** Attempts at one task are a group. */
  readonly task: string;
  readonly reward: Reward;
  readonly ledger: Pick<Ledger, "mask" | "turn"> & { readonly logp: ArrayLike<number> };
  /** Log-probs of the reference, where the KL goes into the reward. */
  readonly refLogp?: ArrayLike<number>;
  /** What the critic expected at each token, for PPO. */
  readonly values?: ArrayLike<number>;
  /** Success that the task's tracker expects, 0 to 1, for SPO. */
  readonly expected?: number;
}

export interface Advantages {
  /** Of each rollout: one number for all policy tokens, or one for each token, [N]. */
  readonly values: readonly (number | Float64Array)[];
  /** What the critic learns, [N] each; without a critic absent. */
  readonly returns?: readonly Float64Array[];
  /** Groups whose rewards are all equal, without advantages, of so many groups; both 0 where rollouts stand alone. */
  readonly flat: number;
  readonly groups: number;
}

/** A rollout and what is to be learned from it; arrays are [N], a value for each token of the ledger. */
export interface Lesson {
  readonly ledger: Ledger;
  /** One number for all policy tokens, or one for each token. */
  readonly advantage: number | Float64Array;
  /** The old policy's log-probs, where they are not the sampler's. */
  readonly oldLogp?: Float32Array;
  /** The reference's. */
  readonly refLogp?: Float32Array;
  /** What the critic said, and should have said. */
  readonly values?: { readonly old: Float32Array; readonly returns: Float64Array };
}

/** From the rollouts of one update to their advantages: a pure function in double precision. */
export type Algorithm = (samples: readonly Sample[]) => Advantages;

/** Price of leaving the reference, taken off the reward of each policy token. */
export interface KlPrice {
  readonly coef: number;
  readonly kind: LossOptions["klKind"];
  /** Largest k3 of a token; 0 is off. */
  readonly clamp: number;
}

export interface AlgorithmOptions {
  readonly algo: "grpo" | "ppo" | "rloo" | "spo" | "reinforce++" | "reinforce++-baseline";
  /** Where TARL's reward is put: on the last policy token, or each turn's share on that turn's last one. */
  readonly credit: "trajectory" | "turn";
  /** What GRPO divides by, plus `stdEps`. */
  readonly std: "sample" | "population" | "batch" | "none";
  readonly stdEps: number;
  /** Steps of PPO's estimate: tokens, turns, or tokens inside of turns. */
  readonly gae: "token" | "turn" | "bilevel";
  /** Discount from one policy token to the next; of turns, with "bilevel", `gammaTurn`. */
  readonly gamma: number;
  readonly gammaTurn: number;
  readonly lambda: number;
  /** Mean 0 and deviation 1 over the update, for all but GRPO and RLOO. */
  readonly whiten: boolean;
  /** Lowest and highest reward: SPO learns from where a reward lies between them. */
  readonly rewardRange: readonly [low: number, high: number];
  /** Null: no KL in the reward. */
  readonly kl: KlPrice | null;
}
