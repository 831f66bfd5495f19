// How much better each turn was than those of its group: GRPO with process supervision, for --credit turn.
// Not PPO's estimate by turns (gae.ts).
// Test: test/unit/algorithms.test.ts, test/golden/algorithms.test.ts

import type { Reward } from "../types.ts";
import type { Algorithm, AlgorithmOptions, Sample } from "./algorithm.ts";
import { deviation, indicesBy, isFlat, mean } from "./statistics.ts";

/** GRPO section 4.1.3 (arXiv:2402.03300) on the shares of TARL's reward; `std` is "sample" or "population". */
export const processGrpo = ({ std, stdEps: eps, gamma }: AlgorithmOptions): Algorithm => {
  if (std !== "sample" && std !== "population") throw new Error(`credit by turn has no std ${std}`);
  return (samples) => {
    const tasks = samples.map(({ task }) => task);
    const { values, flat } = turnAdvantages(samples.map(shares), tasks, { std, eps, gamma });
    return {
      values: samples.map(({ ledger }, i) => spreadTurns(values[i], ledger.turn)),
      flat: flat.length,
      groups: new Set(tasks).size,
    };
  };
};

/** What each turn brought; a rollout without a verdict has its whole reward on the last one. */
function shares({ reward, ledger }: { reward: Reward; ledger: Pick<Sample["ledger"], "turn"> }): readonly number[] {
  if (reward.perTurn.length > 0) return reward.perTurn;
  const last = ledger.turn.reduce((most, turn) => Math.max(most, turn), -1);
  return Array.from({ length: last + 1 }, (_, turn) => (turn === last ? reward.total : 0));
}

export interface TurnAdvantageOptions {
  readonly std: "sample" | "population";
  readonly eps: number;
  readonly gamma: number;
}

/**
 * Advantage of each turn: `values[i][k]` for turn k of rollout i, given its share of the reward `perTurn[i][k]`.
 * GRPO with process supervision, section 4.1.3 (arXiv:2402.03300): the shares of all turns of a group are normalised
 * together, whatever their position, and a turn gets the sum of its own and the later ones, discounted by `gamma`.
 * A rollout without shares (unjudged) takes no part.
 */
export function turnAdvantages<Group>(
  perTurn: readonly (readonly number[])[],
  groups: readonly Group[],
  { std, eps, gamma }: TurnAdvantageOptions,
): { values: readonly (readonly number[])[]; flat: readonly Group[] } {
  const values: (readonly number[])[] = perTurn.map((shares) => shares.map(() => 0));
  const flat: Group[] = [];
  for (const [group, members] of indicesBy(groups)) {
    const all = members.flatMap((i) => perTurn[i]);
    if (isFlat(all)) {
      flat.push(group);
      continue;
    }
    const center = mean(all);
    const scale = deviation(all, std) + eps;
    for (const i of members) {
      const own = perTurn[i].map((share) => (share - center) / scale);
      for (let k = own.length - 2; k >= 0; k--) own[k] += gamma * own[k + 1];
      values[i] = own;
    }
  }
  return { values, flat };
}

/** The advantage of each token, [N], given that of each turn; `turn` is the ledger's. 0 where there is none. */
export function spreadTurns(turnValues: readonly number[], turn: Int16Array): Float64Array {
  return Float64Array.from(turn, (k) => turnValues[k] ?? 0);
}
