// Checks of advantages: groups, turns, critics, rewards to go, SPO, whitening, importance weights, and what is taken off
// rewards.

import type { Sample } from "../../../src/algorithms/algorithm.ts";
import { bilevelGae, type Estimate, tokenGae, turnGae } from "../../../src/algorithms/gae.ts";
import { advantages, comparisons, mixedGroups } from "../../../src/algorithms/group.ts";
import { algorithm } from "../../../src/algorithms/index.ts";
import { overlongPenalty } from "../../../src/algorithms/overlong.ts";
import { wholeReward } from "../../../src/algorithms/place.ts";
import {
  drawWeight,
  expectation,
  forgetting,
  movement,
  standardised,
  start,
  visit,
} from "../../../src/algorithms/spo.ts";
import { mean, underMask, variance } from "../../../src/algorithms/statistics.ts";
import { tisWeights } from "../../../src/algorithms/tis.ts";
import { spreadTurns, turnAdvantages } from "../../../src/algorithms/turns.ts";
import { type WhitenOptions, whiten } from "../../../src/algorithms/whiten.ts";
import { pack } from "../../../src/batch.ts";
import { lessons, type Rows, unflat } from "../../rows.ts";
import {
  algorithmOf,
  type Case,
  type Checks,
  creditOf,
  type Data,
  ledgers,
  maskOf,
  samples,
  tisOf,
  total,
  turnOf,
  weightOptions,
  weightRows,
} from "./case.ts";

function whitenOptions({ unbiased, eps, eps_mode, shift_mean }: Data): WhitenOptions {
  const own = { epsMode: eps_mode ?? "add", shiftMean: shift_mean ?? true };
  return { variance: unbiased ? "sample" : "population", eps, ...own };
}

/** Advantages and returns of a case of GAE, row by row. */
function estimates(estimator: typeof tokenGae, { params, inputs }: Case, rewards: Rows): Estimate[] {
  const { gamma, lambda, gamma_turn: gammaTurn = 1 } = params;
  const ledgers = inputs.mask.map((mask: number[], i: number) => ({
    mask: maskOf(mask),
    turn: turnOf(inputs.turn[i]),
  }));
  return rewards.map((row, i) => estimator(row, inputs[params.values][i], ledgers[i], { gamma, lambda, gammaTurn }));
}

export const advantageChecks: Checks = {
  group_advantage({ params, inputs, expected }, near) {
    const { kl } = algorithmOf({}, params);
    const rewards = kl ? samples(inputs).map((sample) => wholeReward(sample, kl)) : inputs.reward;
    near(advantages(rewards, inputs.group, { eps: 0, ...params }).values, expected.advantage);
    if (!inputs.mask || params.singleton === "raw") return;
    const algo = params.baseline === "leave-one-out" ? "rloo" : "grpo";
    const options = algorithmOf({ algo, std: params.std, stdEps: params.eps ?? 0 }, params);
    near(algorithm(options)(samples(inputs)).values, expected.advantage);
  },

  token_broadcast({ params, inputs, expected }, near) {
    const { values } = advantages(inputs.reward, inputs.group, params);
    const options = { ...weightOptions({ agg: "token-mean" }), dropZero: false };
    const batch = pack(lessons(ledgers(inputs.mask, inputs.mask), values), options);
    near(unflat(batch.advantage, batch.rows), expected.advantage_tokens, "single");
  },

  reinforce_pp({ params, inputs, expected }, near) {
    const own = { algo: "reinforce++", whiten: false } as const;
    const returns = algorithm(algorithmOf(own, params))(samples(inputs));
    near(returns.values, expected.returns);
    near(algorithm(algorithmOf({ ...own, whiten: true }, params))(samples(inputs)).values, expected.advantage);
  },

  reinforce_pp_baseline({ params, inputs, expected }, near) {
    const { kl } = algorithmOf({}, params);
    const rewards = samples(inputs).map((sample) => wholeReward(sample, kl));
    const { singleton } = params;
    const { values } = advantages(rewards, inputs.group, { ...comparisons.centered, singleton });
    near(values, expected.centered);
    const masks = inputs.mask.map(maskOf);
    const tokens = masks.map((mask: Uint8Array, i: number) => Array.from(mask, (bit) => bit * values[i]));
    near(whiten(tokens, masks, whitenOptions(params.whiten)), expected.advantage);
    if (singleton === "raw") return;
    near(algorithm(algorithmOf({ algo: "reinforce++-baseline" }, params))(samples(inputs)).values, expected.advantage);
  },

  dynamic_filter({ inputs, expected }, near) {
    const named = (kept: string[]) =>
      Object.fromEntries(inputs.group.map((group: string) => [group, kept.includes(group)]));
    near(named(mixedGroups<string>(inputs.outcome, inputs.group)), expected.keep);
    near(named(mixedGroups<string>(inputs.reward, inputs.group)), expected.keep_if_filtered_on_shaped_reward);
  },

  gae(c, near) {
    const { params, inputs, expected } = c;
    const named = params.rewards === "inputs.token_rewards";
    const options = algorithmOf({ algo: "ppo", credit: creditOf(params.rewards), whiten: false }, params);
    const raw = named
      ? estimates(tokenGae, c, inputs.token_rewards).map(({ advantage }) => advantage)
      : (algorithm(options)(samples(inputs)).values as Float64Array[]);
    const returns = named
      ? estimates(tokenGae, c, inputs.token_rewards).map((each) => each.returns)
      : algorithm(options)(samples(inputs)).returns;
    near(raw, expected.advantage_raw);
    near(returns, expected.returns);
    if (!expected.advantage_whitened) return;
    near(whiten(raw, inputs.mask.map(maskOf), whitenOptions(params.whiten)), expected.advantage_whitened);
    if (!named) near(algorithm({ ...options, whiten: true })(samples(inputs)).values, expected.advantage_whitened);
  },

  turn_gae(c, near) {
    const own = estimates(turnGae, c, c.inputs[c.params.rewards]);
    near(
      own.map(({ advantage }) => advantage),
      c.expected.advantage,
    );
    near(
      own.map(({ returns }) => returns),
      c.expected.returns,
    );
    const credit = creditOf(c.params.rewards);
    const options = algorithmOf({ algo: "ppo", gae: "turn", credit, whiten: false }, c.params);
    near(algorithm(options)(samples(c.inputs)).values, c.expected.advantage);
  },

  bilevel_gae(c, near) {
    const own = estimates(bilevelGae, c, c.inputs[c.params.rewards]);
    near(
      own.map(({ advantage }) => advantage),
      c.expected.advantage_raw,
    );
    near(
      own.map(({ returns }) => returns),
      c.expected.returns,
    );
    const options = algorithmOf({ algo: "ppo", gae: "bilevel", credit: creditOf(c.params.rewards) }, c.params);
    near(algorithm(options)(samples(c.inputs)).values, c.expected.advantage_whitened);
  },

  whiten({ params, inputs, expected }, near) {
    const rows = inputs[params.field.replace(/^inputs\./, "")];
    near(whiten(rows, inputs.mask.map(maskOf), whitenOptions(params)), expected.whitened);
  },

  masked_stats({ inputs, expected }, near) {
    const masks: Uint8Array[] = inputs.mask.map(maskOf);
    const rows = inputs.x.map((row: number[], i: number) => underMask([row], [masks[i]]));
    near(mean(underMask(inputs.x, masks)), expected.global);
    near(variance(underMask(inputs.x, masks), "sample"), expected.variance_unbiased);
    const means: (number | null)[] = rows.map((row: number[]) => (row.length > 0 ? mean(row) : null));
    near(means, expected.per_sequence);
    // As the loss makes it: by weights.
    const weighted = weightRows(inputs.mask, { agg: "seq-mean-token-mean" }).flat();
    near(total(inputs.x.flat().map((x: number, t: number) => x * weighted[t])), expected.mean_of_sequence_means);
  },

  spo_init({ params, inputs, expected }, near) {
    const belief = start(inputs.scores, params.rho_min, params.prior);
    near([belief.alpha, belief.beta], [expected.alpha, expected.beta]);
    near(expectation(belief), expected.v_hat);
    near(belief.alpha + belief.beta, expected.n_eff);
  },

  spo_track({ params, inputs, expected }, near) {
    const options = { halfLife: params.D_half, rhoMin: params.rho_min, rhoMax: params.rho_max };
    let belief = { alpha: inputs.alpha0, beta: inputs.beta0 };
    for (const [i, each] of expected.visits.entries()) {
      const v = expectation(belief);
      near([v, inputs.r[i] - v], [each.v_hat_before, each.advantage]);
      near(forgetting(inputs.D[i], { ...options, rhoMin: 0, rhoMax: 1 }), each.rho_raw);
      near(forgetting(inputs.D[i], options), each.rho);
      belief = visit(belief, inputs.r[i], inputs.D[i], options);
      near([belief.alpha, belief.beta, expectation(belief)], [each.alpha, each.beta, each.v_hat_after]);
    }
  },

  spo_batch({ params, inputs, expected }, near) {
    const beliefs = inputs.r.map((_: number, i: number) => ({ alpha: inputs.alpha[i], beta: inputs.beta[i] }));
    const raw = inputs.r.map((r: number, i: number) => r - expectation(beliefs[i]));
    near(raw, expected.advantage_raw);
    near(standardised(raw), expected.advantage);
    const weights = beliefs.map((belief: Data) => drawWeight(belief, { explore: params.sampling_eps, power: 0 }));
    near(weights, expected.sampling_weight);
    near(
      weights.map((weight: number) => weight / total(weights)),
      expected.sampling_prob,
    );
    const moved = inputs.mask.map((mask: number[], i: number) =>
      movement(inputs.logp_last[i], inputs.logp_now[i], mask),
    );
    near(moved, expected.D_abs_logp);
    const rollouts: Sample[] = inputs.r.map((r: number, i: number) => ({
      task: `${i}`,
      reward: { total: r, perTurn: [], parts: { outcome: r, turns: 0, major: 0 }, class: "unjudged" },
      ledger: { mask: maskOf(inputs.mask[i]), turn: new Int16Array(inputs.mask[i].length), logp: [] },
      expected: expectation(beliefs[i]),
    }));
    near(algorithm(algorithmOf({ algo: "spo" }, {}))(rollouts).values, expected.advantage);
  },

  tis_weights({ params, inputs, expected }, near) {
    const sampler = inputs.logp_rollout.map((row: (number | null)[]) => row.map((logp) => logp ?? Number.NaN));
    near(tisWeights(inputs.logp_old, sampler, inputs.mask, tisOf(params)), expected.weights);
  },

  overlong_penalty({ params, inputs, expected }, near) {
    const options = { maxTokens: params.max_len, buffer: params.buffer, factor: params.factor };
    near(
      inputs.length.map((tokens: number) => overlongPenalty(tokens, options)),
      expected.penalty,
    );
  },

  process_grpo({ params, inputs, expected }, near) {
    const { values } = turnAdvantages<string>(inputs[params.rewards], inputs.group, params);
    near(values, expected.turn_advantage);
    const tokens = values.map((own, i) => spreadTurns(own, turnOf(inputs.turn[i])));
    near(tokens, expected.advantage);
    const own = { credit: "turn", std: params.std, stdEps: params.eps } as const;
    near(algorithm(algorithmOf(own, params))(samples(inputs)).values, expected.advantage);
  },
};
