// Checks of losses, values and gradients: weights, ratios, KL, entropy, the critic, and whole pipelines.

import { advantages } from "../../../src/algorithms/group.ts";
import { algorithm } from "../../../src/algorithms/index.ts";
import { tisWeights } from "../../../src/algorithms/tis.ts";
import { pack } from "../../../src/batch.ts";
import { logLikelihood } from "../../../src/sft.ts";
import type { LossOptions } from "../../../src/types.ts";
import { lessons, policyLoss, type Rows, type RowsLoss, unflat, valueLoss } from "../../rows.ts";
import {
  algorithmOf,
  type Checks,
  creditOf,
  type Data,
  ledgers,
  samples,
  single,
  tisOf,
  total,
  weightOptions,
  weightRows,
} from "./case.ts";

function lossOptions(params: Data): LossOptions {
  return {
    ...logLikelihood,
    ratio: params.ratio ?? "token",
    clipLow: params.clip_low,
    clipHigh: params.clip_high,
    dualClip: params.dual_clip ?? 0,
    klCoef: params.kl?.coef ?? 0,
    klKind: params.kl?.type ?? "k3",
    klClamp: params.kl?.output_clamp ?? 0,
  };
}

function logSoftmax(logits: number[]): number[] {
  const top = Math.max(...logits);
  const sum = Math.log(total(logits.map((z) => Math.exp(z - top)))) + top;
  return logits.map((z) => z - sum);
}

const entropyOf = (logp: number[]): number => -total(logp.map((l) => Math.exp(l) * l));

/** d / d logits of a loss whose slope is `slopes[v]` for the log-prob of v and `entropySlope` for the entropy. */
function toLogits(logp: number[], slopes: number[], entropySlope: number): number[] {
  const sum = total(slopes);
  const h = entropyOf(logp);
  return logp.map((l, v) => slopes[v] - Math.exp(l) * sum - entropySlope * Math.exp(l) * (l + h));
}

export const lossChecks: Checks = {
  aggregation({ params, inputs, expected }, near) {
    const weight = weightRows(inputs.mask, params);
    near(weight, expected.weights);
    // -A log pi with log pi = 1 and A = -x is x.
    const logp = inputs.mask.map((row: number[]) => row.map(() => 1));
    const advantage = inputs.loss_mat.map((row: number[]) => row.map((x) => -x));
    near(policyLoss({ logp, weight, advantage }, logLikelihood).loss, expected.loss);
  },

  policy_loss({ params, inputs, expected }, near) {
    const options = lossOptions(params);
    const old: Rows = inputs[params.old];
    const logp: Rows = params.on_policy ? old : inputs.logp_new;
    const tis = params.tis && tisWeights(inputs.logp_old, inputs.logp_rollout, inputs.mask, tisOf(params.tis));
    const plain: Rows = inputs[params.adv];
    const advantage = plain.map((row, i) => row.map((own, t) => (tis ? own * tis[i][t] : own)));
    const ref: Rows | undefined = params.kl ? inputs.logp_ref : undefined;
    const match = (loss: RowsLoss, precision?: "single") => {
      near(loss.loss, expected.loss, precision);
      near(loss.pgLoss, expected.pg_loss, precision);
      if (params.kl) near(loss.klLoss, expected.kl_loss, precision);
      near(loss.gradLogp, expected.grad_logp_new, precision);
    };
    const count = (loss: RowsLoss, precision?: "single") => {
      if (!expected.metrics) return;
      near(loss.clipHigh, expected.metrics.clip_frac_high, precision);
      near(loss.clipLow, expected.metrics.clip_frac_low, precision);
      near(loss.clipHigh + loss.clipLow, expected.metrics.clip_frac, precision);
      near(loss.dualClip, expected.metrics.dual_clip_frac, precision);
      near(loss.ratio, expected.metrics.mean_ratio, precision);
      near(loss.approxKl, expected.metrics.approx_kl_k1, precision);
    };
    const rows = { logp, weight: weightRows(inputs.mask, params), advantage, ref };
    match(policyLoss({ ...rows, old }, options));
    // A token that importance sampling leaves out has advantage 0, and is clipped on neither side; the reference counts
    // what is clipped before it weighs.
    count(policyLoss({ ...rows, advantage: plain, old }, options));
    if (params.on_policy) match(policyLoss(rows, options));

    // The same through the batch that the trainer is given.
    const perToken = advantage.map((row) => Float64Array.from(row));
    const batch = pack(lessons(ledgers(inputs.mask, old), perToken), { ...weightOptions(params), dropZero: false });
    const packed = {
      logp: single(logp),
      weight: unflat(batch.weight, batch.rows),
      advantage: unflat(batch.advantage, batch.rows),
      old: unflat(batch.oldLogp ?? [], batch.rows),
      ref: ref && single(ref),
    };
    match(policyLoss(packed, options), "single");
  },

  policy_loss_microbatch({ params, inputs, expected }, near) {
    const weight = weightRows(inputs.mask, params);
    const gradient: Rows = [];
    const losses: number[] = params.splits.map((members: number[]) => {
      const pick = (rows: Rows) => members.map((i) => rows[i]);
      const rows = {
        logp: pick(inputs.logp_new),
        weight: pick(weight),
        advantage: pick(inputs[params.adv]),
        old: pick(inputs[params.old]),
      };
      const loss = policyLoss(rows, lossOptions(params));
      for (const [row, i] of members.entries()) gradient[i] = loss.gradLogp[row];
      return loss.loss;
    });
    near(losses, expected.micro_losses);
    near(total(losses), expected.loss);
    near(gradient, expected.grad_logp_new);
  },

  policy_loss_sequence_product({ params, inputs, expected }, near) {
    // The mean over sequences of one loss each is that of token losses, averaged in their sequence.
    const weight = weightRows(inputs.mask, { agg: "seq-mean-token-mean", exclude_empty: false });
    const rows = { logp: inputs.logp_new, weight, advantage: inputs[params.adv], old: inputs.logp_old };
    const loss = policyLoss(rows, lossOptions({ ...params, ratio: "product" }));
    near(loss.loss, expected.loss);
    near(loss.gradLogp, expected.grad_logp_new);
  },

  value_loss({ params, inputs, expected }, near) {
    const values = inputs[params.values];
    const weight = weightRows(inputs.mask, params);
    const loss = valueLoss(
      { values, old: inputs[params.old], returns: inputs[params.returns], weight },
      params.clip ?? 0,
    );
    near(loss.loss, expected.loss);
    near(loss.gradValues, expected.grad_values);
    near(loss.clipped, expected.clip_frac);
  },

  kl_estimator({ params, inputs, expected }, near) {
    const options = { ...logLikelihood, klCoef: 1, klKind: params.type, klClamp: params.output_clamp ?? 0 };
    const losses: RowsLoss[] = inputs.logp.map((logp: number, i: number) =>
      policyLoss(
        { logp: [[logp]], weight: [[1]], ref: [[inputs.logp_ref[i]]], old: [[inputs.logp_old?.[i] ?? logp]] },
        options,
      ),
    );
    const values = losses.map(({ klLoss }) => klLoss);
    near(values, expected.value);
    const slopes = losses.map(({ gradLogp }) => gradLogp[0][0]);
    near(slopes, expected.grad_logp);
  },

  kl_expectation({ inputs, expected }, near) {
    const logp = logSoftmax(inputs.logits_p);
    const rows = { logp: [logp], weight: [logp.map(Math.exp)], ref: [logSoftmax(inputs.logits_q)] };
    for (const klKind of ["k1", "k2", "k3"] as const) {
      const loss = policyLoss(rows, { ...logLikelihood, klCoef: 1, klKind });
      near(loss.klLoss, expected[`mean_${klKind}`]);
      near(toLogits(logp, loss.gradLogp[0], 0), expected[`mean_grad_${klKind}`]);
    }
  },

  entropy_bonus({ params, inputs, expected }, near) {
    const tokens: number[][][] = inputs.logits.map((row: Rows) => row.map(logSoftmax));
    const entropy = tokens.map((row) => row.map(entropyOf));
    const rows = { logp: inputs.mask, weight: weightRows(inputs.mask, params), entropy };
    const loss = policyLoss(rows, { ...logLikelihood, entropyCoef: params.coef });
    near(loss.loss, expected.loss);
    near(-loss.loss / params.coef, expected.agg_entropy);
    const none = new Array<number>(inputs.logits[0][0].length).fill(0);
    const gradient = tokens.map((row, i) => row.map((token, t) => toLogits(token, none, loss.gradEntropy[i][t])));
    near(gradient, expected.grad_logits);
  },

  pipeline_grpo_logits({ params, inputs, expected }, near) {
    const std = params.std ? "sample" : "none";
    const options = { baseline: "group-mean", std, eps: params.advantage_eps, singleton: "zero" } as const;
    const { values } = advantages<string>(inputs.reward, inputs.group, options);
    near(values, expected.advantage);

    const tokens: number[][][] = inputs.logits.map((row: Rows) =>
      row.map((z) => logSoftmax(z.map((x) => x / params.temperature))),
    );
    const rows = {
      logp: tokens.map((row, i) => row.map((token, t) => token[inputs.token[i][t]])),
      entropy: tokens.map((row) => row.map(entropyOf)),
      weight: weightRows(inputs.mask, params),
      advantage: inputs.mask.map((row: number[], i: number) => row.map(() => values[i])),
      old: inputs.logp_old,
      ref: inputs.logp_ref,
    };
    const kl = { type: params.kl, coef: params.kl_coef, output_clamp: 10 };
    const loss = policyLoss(rows, { ...lossOptions({ ...params, kl }), entropyCoef: params.entropy_coef });
    near(loss.pgLoss, expected.pg_loss);
    near(loss.klLoss, expected.kl_loss);
    near(loss.loss, expected.loss);
    const gradient = tokens.map((row, i) =>
      row.map((token, t) => {
        const slopes = token.map((_, v) => (v === inputs.token[i][t] ? loss.gradLogp[i][t] : 0));
        return toLogits(token, slopes, loss.gradEntropy[i][t]).map((slope) => slope / params.temperature);
      }),
    );
    near(gradient, expected.grad_logits);
  },

  pipeline_ppo({ params, inputs, expected }, near) {
    const kl_in_reward = { type: "k1", coef: params.kl_in_reward };
    const options = algorithmOf({ algo: "ppo", credit: creditOf(params.rewards) }, { ...params, kl_in_reward });
    const { values, returns } = algorithm(options)(samples(inputs));
    near(values, expected.advantage);
    near(returns, expected.returns);
    const weight = weightRows(inputs.mask, params);
    const advantage = (values as Float64Array[]).map((row) => [...row]);
    const policy = policyLoss({ logp: inputs.logp_new, weight, advantage, old: inputs.logp_old }, lossOptions(params));
    near(policy.loss, expected.policy_loss);
    near(policy.gradLogp, expected.grad_logp_new);
    const rows = {
      values: inputs.values_new,
      old: inputs.values_old,
      returns: returns!.map((row) => [...row]),
      weight,
    };
    const critic = valueLoss(rows, params.value_clip);
    near(critic.loss, expected.value_loss);
    near(critic.gradValues, expected.grad_values);
  },
};
