// PPO's advantages: generalized advantage estimation with a critic's values, by token, by turn, or by token inside of
// turns. Environment tokens are no steps: value and advantage are carried across them, and no reward lands on one.
// Test: test/unit/algorithms.test.ts, test/golden/algorithms.test.ts

import type { Ledger } from "../types.ts";
import type { Algorithm, AlgorithmOptions } from "./algorithm.ts";
import { tokenRewards } from "./place.ts";
import { indicesBy } from "./statistics.ts";
import { whiten } from "./whiten.ts";

/** PPO (arXiv:1707.06347): GAE, whitened; the critic learns advantage + value as it was before whitening. */
export const ppo =
  (options: AlgorithmOptions): Algorithm =>
  (samples) => {
    const estimates = samples.map((sample) => {
      if (!sample.values) throw new Error(`PPO on ${sample.task}: a rollout without the critic's values`);
      return estimators[options.gae](tokenRewards(sample, options), sample.values, sample.ledger, options);
    });
    const values = estimates.map(({ advantage }) => advantage);
    const masks = samples.map(({ ledger }) => ledger.mask);
    return {
      values: options.whiten ? whiten(values, masks) : values,
      returns: estimates.map(({ returns }) => returns),
      flat: 0,
      groups: 0,
    };
  };

export type Discounts = Pick<AlgorithmOptions, "gamma" | "gammaTurn" | "lambda">;

/** Both [N], 0 outside the mask; returns = advantage + value. */
export interface Estimate {
  readonly advantage: Float64Array;
  readonly returns: Float64Array;
}

/** `rewards` and `values`, [N], are read under the mask. */
type Estimator = (
  rewards: ArrayLike<number>,
  values: ArrayLike<number>,
  ledger: Pick<Ledger, "mask" | "turn">,
  discounts: Discounts,
) => Estimate;

/** GAE eq. 16 (arXiv:1506.02438); a step is a policy token. */
export const tokenGae: Estimator = (rewards, values, { mask }, { gamma, lambda }) => {
  const tokens = [...mask.keys()].filter((t) => mask[t]);
  const steps = generalized(pick(rewards, tokens), pick(values, tokens), gamma, lambda);
  return estimate(mask.length, (write) => {
    for (const [step, t] of tokens.entries()) write(t, steps[step], values[t]);
  });
};

/** GAE whose steps are turns: a turn's reward is the sum of its tokens', its value that of its first token. */
export const turnGae: Estimator = (rewards, values, { turn }, { gamma, lambda }) => {
  const turns = tokensByTurn(turn);
  const sums = turns.map((own) => pick(rewards, own).reduce((sum, reward) => sum + reward, 0));
  const firsts = turns.map(([first]) => values[first]);
  const steps = generalized(sums, firsts, gamma, lambda);
  return estimate(turn.length, (write) => {
    for (const [step, own] of turns.entries()) for (const t of own) write(t, steps[step], firsts[step]);
  });
};

/**
 * Bi-level GAE (VAGEN, arXiv:2510.16907): GAE over the turns' last tokens with `gammaTurn`, then inside each turn GAE over
 * its tokens that ends in the turn's advantage. Turns are where the ledger says, whatever they were rewarded with.
 */
export const bilevelGae: Estimator = (rewards, values, { turn }, { gamma, gammaTurn, lambda }) => {
  const turns = tokensByTurn(turn);
  const lasts = turns.map((own) => own[own.length - 1]);
  const steps = generalized(pick(rewards, lasts), pick(values, lasts), gammaTurn, lambda);
  return estimate(turn.length, (write) => {
    for (const [step, own] of turns.entries()) {
      let advantage = steps[step];
      write(own[own.length - 1], advantage, values[own[own.length - 1]]);
      for (let i = own.length - 2; i >= 0; i--) {
        const [t, next] = [own[i], own[i + 1]];
        advantage = rewards[t] + gamma * values[next] - values[t] + gamma * lambda * advantage;
        write(t, advantage, values[t]);
      }
    }
  });
};

const estimators = { token: tokenGae, turn: turnGae, bilevel: bilevelGae };

/** A_k = delta_k + gamma lambda A_k+1 with delta_k = r_k + gamma V_k+1 - V_k; after the last step V = A = 0. */
function generalized(rewards: number[], values: number[], gamma: number, lambda: number): number[] {
  const advantages = new Array<number>(rewards.length);
  let [next, value] = [0, 0];
  for (let k = rewards.length - 1; k >= 0; k--) {
    next = rewards[k] + gamma * value - values[k] + gamma * lambda * next;
    value = values[k];
    advantages[k] = next;
  }
  return advantages;
}

function estimate(n: number, fill: (write: (t: number, advantage: number, value: number) => void) => void): Estimate {
  const advantage = new Float64Array(n);
  const returns = new Float64Array(n);
  fill((t, own, value) => {
    advantage[t] = own;
    returns[t] = own + value;
  });
  return { advantage, returns };
}

const pick = (values: ArrayLike<number>, places: readonly number[]): number[] => places.map((t) => values[t]);

/** Places of each turn's tokens, turns in their order. */
function tokensByTurn(turn: Int16Array): number[][] {
  const turns = [...indicesBy([...turn])].filter(([k]) => k >= 0);
  return turns.sort(([a], [b]) => a - b).map(([, own]) => own);
}
