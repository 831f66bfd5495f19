// How much better each rollout was than the others of its group, the attempts at the same task: GRPO, Dr. GRPO, RLOO,
// REINFORCE++-baseline, and which groups DAPO keeps. Not what a rollout was worth (reward.ts).
// Test: test/unit/algorithms.test.ts, test/golden/algorithms.test.ts

import type { Outcome } from "../types.ts";
import type { Algorithm, AlgorithmOptions } from "./algorithm.ts";
import { wholeReward } from "./place.ts";
import { deviation, indicesBy, isFlat, mean } from "./statistics.ts";
import { whiten } from "./whiten.ts";

export interface AdvantageOptions {
  /** What a reward is compared with: the mean of its group, or the mean of the others in it. */
  readonly baseline: "group-mean" | "leave-one-out";
  /** What the difference is divided by, plus `eps`: the group's deviation over n-1 or n, the batch's over n-1, or 1. */
  readonly std: "sample" | "population" | "batch" | "none";
  readonly eps: number;
  /** A group of one: no advantage, or its own reward over a deviation of 1 (a convention that golden cases know). */
  readonly singleton: "zero" | "raw";
}

export const comparisons = {
  /** GRPO section 4.1.2 (arXiv:2402.03300): A = (R - mean) / (std + eps). Without a std: Dr. GRPO (arXiv:2503.20783). */
  grpo: { baseline: "group-mean", std: "sample", eps: 1e-6, singleton: "zero" },
  /** RLOO (arXiv:2402.14740): A = R - mean of the others. */
  rloo: { baseline: "leave-one-out", std: "none", eps: 0, singleton: "zero" },
  centered: { baseline: "group-mean", std: "none", eps: 0, singleton: "zero" },
} as const satisfies Record<string, AdvantageOptions>;

export const grpo = ({ std, stdEps: eps, kl }: Pick<AlgorithmOptions, "std" | "stdEps" | "kl">): Algorithm =>
  inGroups({ ...comparisons.grpo, std, eps }, kl);

export const rloo = ({ kl }: Pick<AlgorithmOptions, "kl">): Algorithm => inGroups(comparisons.rloo, kl);

/** REINFORCE++-baseline (arXiv:2501.03262): R - mean of the group, whitened over the policy tokens of the update. */
export const reinforceBaseline = (options: Pick<AlgorithmOptions, "whiten" | "kl">): Algorithm => {
  const centered = inGroups(comparisons.centered, options.kl);
  return (samples) => {
    const { values, ...counts } = centered(samples);
    if (!options.whiten) return { values, ...counts };
    const masks = samples.map(({ ledger }) => ledger.mask);
    const tokens = masks.map((mask, i) => Float64Array.from(mask, (bit) => bit * (values[i] as number)));
    return { values: whiten(tokens, masks), ...counts };
  };
};

function inGroups(options: AdvantageOptions, kl: AlgorithmOptions["kl"]): Algorithm {
  return (samples) => {
    const tasks = samples.map(({ task }) => task);
    const rewards = samples.map((sample) => wholeReward(sample, kl));
    const { values, flat } = advantages(rewards, tasks, options);
    return { values, flat: flat.length, groups: new Set(tasks).size };
  };
}

/**
 * Groups in which some attempts succeeded and some failed: what DAPO's dynamic sampling keeps (arXiv:2503.14476, eq. 11).
 * Of shaped rewards it would keep groups that differ in their judge's scores alone.
 */
export function mixedGroups<Group>(outcomes: readonly Outcome["success"][], groups: readonly Group[]): Group[] {
  const members = [...indicesBy(groups)];
  return members.filter(([, own]) => !isFlat(own.map((i) => outcomes[i]))).map(([group]) => group);
}

export interface GroupAdvantages<Group> {
  /** One per rollout, in the order of the rewards. */
  readonly values: readonly number[];
  /** Groups whose rewards are all equal (exact comparison): they have no advantages. */
  readonly flat: readonly Group[];
}

/** Advantage of each rollout; `groups[i]` names the group that rollout i belongs to (attempts at one task). */
export function advantages<Group>(
  rewards: readonly number[],
  groups: readonly Group[],
  { baseline, std, eps, singleton }: AdvantageOptions,
): GroupAdvantages<Group> {
  const values = new Array<number>(rewards.length).fill(0);
  const flat: Group[] = [];
  const all = std === "batch" ? deviation(rewards, "sample") : 0;

  for (const [group, members] of indicesBy(groups)) {
    const own = members.map((i) => rewards[i]);
    const n = own.length;
    if (isFlat(own)) {
      flat.push(group);
      if (n === 1 && singleton === "raw") values[members[0]] = std === "none" ? own[0] : own[0] / (1 + eps);
      continue;
    }
    const scale = std === "none" ? 1 : (std === "batch" ? all : deviation(own, std)) + eps;
    // R - mean of the others = (R - mean) n / (n - 1)
    const others = baseline === "leave-one-out" ? n / (n - 1) : 1;
    const center = mean(own);
    for (const i of members) values[i] = ((rewards[i] - center) * others) / scale;
  }
  return { values, flat };
}
