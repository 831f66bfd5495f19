// REINFORCE++: every policy token gets the reward that is still to come, whitened over the update; no critic, no group.
// Test: test/unit/algorithms.test.ts, test/golden/algorithms.test.ts

import type { Algorithm, AlgorithmOptions } from "./algorithm.ts";
import { tokenRewards } from "./place.ts";
import { whiten } from "./whiten.ts";

/** REINFORCE++ (arXiv:2501.03262). */
export const reinforce =
  (options: AlgorithmOptions): Algorithm =>
  (samples) => {
    const masks = samples.map(({ ledger }) => ledger.mask);
    const values = samples.map((sample) =>
      rewardsToGo(tokenRewards(sample, options), sample.ledger.mask, options.gamma),
    );
    return { values: options.whiten ? whiten(values, masks) : values, flat: 0, groups: 0 };
  };

/** Sum of a policy token's own and later rewards, each policy token in between discounting by `gamma`, [N]. */
export function rewardsToGo(rewards: ArrayLike<number>, mask: Uint8Array, gamma: number): Float64Array {
  const sums = new Float64Array(mask.length);
  let next = 0;
  for (let t = mask.length - 1; t >= 0; t--) {
    if (!mask[t]) continue;
    next = rewards[t] + gamma * next;
    sums[t] = next;
  }
  return sums;
}
