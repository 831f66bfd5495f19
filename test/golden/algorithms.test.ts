// The golden cases for rewards, advantages, losses and metrics, through the code that the trainer runs. Every file and
// case of the folder is found, not listed; kinds without a check here are counted and named as skipped.
// disagreements.json documents where libraries differ: it holds no expectations.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { advantages, spreadTurns, turnAdvantages } from "../../src/advantage.ts";
import { type Aggregation, pack, tokenWeights } from "../../src/batch.ts";
import { averages, countWaits, pass, passAt, passHat, type Tally, wilson } from "../../src/eval/metrics.ts";
import { checkScores, placeReward, reward } from "../../src/reward.ts";
import { logLikelihood } from "../../src/sft.ts";
import type { Ledger, LossOptions, TurnScore } from "../../src/types.ts";
import { golden } from "../golden.ts";
import { policyLoss, type Rows, type RowsLoss, unflat } from "../rows.ts";

/** Golden files are data of many shapes. */
type Data = any;

interface Case {
  id: string;
  kind: string;
  params: Data;
  /** The shared batch's fields, overridden by the case's own. */
  inputs: Data;
  expected: Data;
  tolerance: string;
}

/** Fails where `got` is not what the case expects. */
type Near = (got: unknown, expected: Data, precision?: "f64" | "f32") => void;

const folder = golden("algorithms");
if (!folder) throw new Error("no golden/algorithms: set TARL_GOLDEN to the folder that holds it");
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
const contents = files.map((name) => [name, JSON.parse(readFileSync(join(folder, name), "utf8"))] as const);
const batches: Record<string, Data> = Object.assign({}, ...contents.map(([, content]) => content.batches ?? {}));

// ---------------------------------------------------------------------------------------------------
// From golden cases to what our functions take
// ---------------------------------------------------------------------------------------------------

function ledgers(masks: Rows, logp: Rows): Ledger[] {
  return masks.map((mask, i) => ({
    ids: new Int32Array(mask.length),
    mask: Uint8Array.from(mask),
    logp: Float32Array.from(logp[i]),
    turn: Int16Array.from(mask, (bit) => bit - 1),
  }));
}

function weightOptions(params: Data) {
  const aggregation: Aggregation = params.agg;
  return { aggregation, normConst: params.norm_const ?? 1, excludeEmpty: params.exclude_empty ?? true };
}

/** One weight for each token, in double precision. */
function weightRows(masks: Rows, params: Data): Rows {
  const bits = masks.map((mask) => Uint8Array.from(mask));
  const weights = tokenWeights(bits, weightOptions(params));
  return masks.map((mask, i) => mask.map((bit) => (bit ? weights[i] : 0)));
}

function lossOptions(params: Data): LossOptions {
  return {
    ...logLikelihood,
    ratio: params.ratio ?? "token",
    clipLow: params.clip_low,
    clipHigh: params.clip_high,
    dualClip: params.dual_clip ?? 0,
    klCoef: params.kl?.coef ?? 0,
    klKind: params.kl?.type ?? "k3",
  };
}

const total = (values: number[]): number => values.reduce((sum, value) => sum + value, 0);

/** Rounded to single precision, as the trainer's batch holds it. */
const single = (rows: Rows): Rows => rows.map((row) => row.map(Math.fround));

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

function verdict(success: 0 | 1, scores: TurnScore[] | null) {
  const outcome = { success, stateMatches: success === 1, outputsSaid: true, writes: 0 };
  return { outcome, judgement: { scores, reasons: [] } };
}

function tarlOptions([outcome, turns, major] = [10, 5, 5]) {
  return { tarl: true, outcome, turns, major, conflict: "keep" } as const;
}

function tallies(successes: number[], trials: number[]): Tally[] {
  return successes.map((count, i) => ({ task: `${i}`, family: "", trials: trials[i], successes: count }));
}

// ---------------------------------------------------------------------------------------------------
// Checks by kind
// ---------------------------------------------------------------------------------------------------

const checks: Record<string, (c: Case, near: Near) => void> = {
  group_advantage({ params, inputs, expected }, near) {
    near(advantages(inputs.reward, inputs.group, { eps: 0, ...params }).values, expected.advantage);
  },

  token_broadcast({ params, inputs, expected }, near) {
    const { values } = advantages(inputs.reward, inputs.group, params);
    const options = { ...weightOptions({ agg: "token-mean" }), dropZero: false };
    const batch = pack(ledgers(inputs.mask, inputs.mask), values, options);
    near(unflat(batch.advantage, batch.rows), expected.advantage_tokens, "f32");
  },

  dynamic_filter({ inputs, expected }, near) {
    const kept = (rewards: number[]) => {
      const options = { baseline: "group-mean", std: "none", eps: 0, singleton: "zero" } as const;
      const { flat } = advantages<string>(rewards, inputs.group, options);
      return Object.fromEntries(inputs.group.map((group: string) => [group, !flat.includes(group)]));
    };
    near(kept(inputs.outcome), expected.keep);
    near(kept(inputs.reward), expected.keep_if_filtered_on_shaped_reward);
  },

  process_grpo({ params, inputs, expected }, near) {
    const { values } = turnAdvantages<string>(inputs[params.rewards], inputs.group, params);
    near(values, expected.turn_advantage);
    const tokens = values.map((own, i) => spreadTurns(own, Int16Array.from(inputs.turn[i])));
    near(tokens, expected.advantage);
  },

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
    const advantage: Rows = inputs[params.adv];
    const ref: Rows | undefined = params.kl ? inputs.logp_ref : undefined;
    const match = (loss: RowsLoss, precision: "f64" | "f32") => {
      near(loss.loss, expected.loss, precision);
      near(loss.pgLoss, expected.pg_loss, precision);
      if (params.kl) near(loss.klLoss, expected.kl_loss, precision);
      near(loss.gradLogp, expected.grad_logp_new, precision);
      if (!expected.metrics) return;
      near(loss.clipHigh, expected.metrics.clip_frac_high, precision);
      near(loss.clipLow, expected.metrics.clip_frac_low, precision);
      near(loss.clipHigh + loss.clipLow, expected.metrics.clip_frac, precision);
      near(loss.dualClip, expected.metrics.dual_clip_frac, precision);
      near(loss.ratio, expected.metrics.mean_ratio, precision);
      near(loss.approxKl, expected.metrics.approx_kl_k1, precision);
    };
    const rows = { logp, weight: weightRows(inputs.mask, params), advantage, ref };
    match(policyLoss({ ...rows, old }, options), "f64");
    if (params.on_policy) match(policyLoss(rows, options), "f64");

    const perToken = advantage.map((row) => Float64Array.from(row));
    const batch = pack(ledgers(inputs.mask, old), perToken, { ...weightOptions(params), dropZero: false });
    const packed = {
      logp: single(logp),
      weight: unflat(batch.weight, batch.rows),
      advantage: unflat(batch.advantage, batch.rows),
      old: unflat(batch.oldLogp ?? [], batch.rows),
      ref: ref && single(ref),
    };
    match(policyLoss(packed, options), "f32");
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

  kl_estimator({ params, inputs, expected }, near) {
    const options = { ...logLikelihood, klCoef: 1, klKind: params.type };
    const pairs = inputs.logp.map((logp: number, i: number) => [logp, inputs.logp_ref[i]]);
    const losses: RowsLoss[] = pairs.map(([logp, ref]: number[]) =>
      policyLoss({ logp: [[logp]], weight: [[1]], ref: [[ref]] }, options),
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
    const kl = { type: params.kl, coef: params.kl_coef };
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

  tarl_reward({ params, inputs, expected }, near) {
    const { outcome, turn_scores: scores, turns } = inputs;
    const options = tarlOptions(params.weights);
    near(checkScores(scores ?? [], scores ? turns : 0), expected.problems);
    if (!expected.valid_verdict) {
      assert.throws(() => reward(verdict(outcome, scores), turns, options), /invalid judgement/);
      near(reward(verdict(outcome, null), turns, options).total, expected.reward_if_abstain);
      return;
    }
    const { total, parts, perTurn, class: name } = reward(verdict(outcome, scores), turns, options);
    near(total, expected.reward);
    near(parts.outcome + parts.turns + parts.major, expected.reward);
    near(perTurn, expected.turn_rewards);
    near(name, expected.class);
  },

  tarl_grid({ params, expected }, near) {
    for (const [outcome, turns, good, major, numerator, denominator, name] of expected.rows) {
      const scores = Array.from({ length: turns }, (_, i) => (i < good ? 1 : i < good + major ? -1 : 0)) as TurnScore[];
      const result = reward(verdict(outcome, scores), turns, tarlOptions(params.weights));
      near(result.total, numerator / denominator);
      near(result.class, name);
    }
  },

  tarl_placement({ params, inputs, expected }, near) {
    const { outcome, turn_scores: scores } = inputs;
    const ledger = { mask: Uint8Array.from(inputs.mask), turn: Int16Array.from(inputs.turn) };
    const result = reward(verdict(outcome, scores), scores.length, tarlOptions(params.weights));
    near(placeReward(result, ledger, "trajectory"), expected.trajectory);
    near(placeReward(result, ledger, "turn"), expected.turn);
  },

  pass_table({ expected }, near) {
    for (const [n, c, k, hatNumerator, hatDenominator, atNumerator, atDenominator] of expected.rows) {
      near(passHat(n, c, k), hatNumerator / hatDenominator);
      near(passAt(n, c, k), atNumerator / atDenominator);
    }
  },

  pass_tasks({ params, inputs, expected }, near) {
    const successes: number[] = inputs.successes;
    const trials = successes.map(() => params.n);
    const tasks = tallies(successes, trials);
    for (const [k, value] of Object.entries(expected.pass_hat)) near(pass(tasks, Number(k)), value);
    for (const [k, value] of Object.entries(expected.pass_at)) near(pass(tasks, Number(k), passAt), value);
    near(wilson(total(successes), total(trials), params.z), expected.pass1_wilson);
  },

  pass_ragged({ params, inputs, expected }, near) {
    const tasks = tallies(inputs.successes, inputs.trials);
    if (expected.error) {
      assert.throws(() => pass(tasks, params.k), /at least/);
      near(null, expected.pass_hat);
    } else near(pass(tasks, params.k), expected.pass_hat);
  },

  wilson({ expected }, near) {
    for (const [successes, trials, , z, low, high] of expected.rows)
      near(wilson(successes, trials, z) ?? [null, null], [low, high]);
  },

  wait_count({ expected }, near) {
    for (const { text, count } of expected.texts) near(countWaits(text), count);
  },

  wait_average({ inputs, expected }, near) {
    // The tokens of a message all carry its place among all messages, and decode to its text.
    const messages: Data[] = inputs.trajectories.flat();
    const decode = (ids: Int32Array) => messages[ids[0]].text;
    const rollouts = inputs.trajectories.map((own: Data[]) => {
      const fill = (value: (message: Data) => number) =>
        own.flatMap((message) => new Array<number>(message.tokens).fill(value(message)));
      const ids = Int32Array.from(fill((message) => messages.indexOf(message)));
      const turn = Int16Array.from(fill((message) => (message.role === "agent" ? own.indexOf(message) : -1)));
      return { turns: own.length, ledger: { ids, turn } };
    });
    for (const [i, rollout] of rollouts.entries()) {
      const own = averages([rollout], decode);
      near([own.waits, own.length], [expected.waits[i], expected.policy_tokens[i]]);
    }
    const all = averages(rollouts, decode);
    near(all.waits, expected.avg_waits);
    near(all.length, expected.avg_len);
  },
};

/** What a case is counted under when the trainer has no such thing yet; null when it is checked. */
function missing({ kind, params }: Case): string | null {
  if (!checks[kind]) return kind;
  const kl = kind === "kl_estimator" ? params : kind === "policy_loss" ? params.kl : null;
  if (kl && !["k1", "k2", "k3", "abs"].includes(kl.type)) return `${kind} with KL ${kl.type}`;
  if (kl?.type === "k3" && (kl.input_clamp !== 20 || kl.output_clamp !== 10)) return `${kind} with unclamped k3`;
  if (params.tis) return `${kind} with tis`;
  if (params.kl_in_reward) return `${kind} with KL in the reward`;
  return null;
}

// ---------------------------------------------------------------------------------------------------
// Cases
// ---------------------------------------------------------------------------------------------------

function compare(got: Data, expected: Data, bound: { rtol: number; atol: number }, where: string): void {
  if (typeof expected === "number") {
    const within = Math.abs(got - expected) <= bound.atol + bound.rtol * Math.abs(expected);
    assert.ok(typeof got === "number" && within, `${where}: ${got}, expected ${expected}`);
  } else if (Array.isArray(expected)) {
    assert.is(got?.length, expected.length, `${where}: length ${got?.length}, expected ${expected.length}`);
    for (const [i, value] of expected.entries()) compare(got[i], value, bound, `${where}[${i}]`);
  } else assert.equal(got, expected, `${where}: ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);
}

const skipped = new Map<string, number>();
for (const [file, content] of contents) {
  for (const raw of content.cases ?? []) {
    if (raw.kind === "disagreement") continue;
    const c: Case = { ...raw, inputs: { ...batches[raw.batch], ...raw.inputs } };
    const reason = missing(c);
    if (reason) {
      skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
      continue;
    }
    test(`${file} ${c.id}`, () => {
      let compared = 0;
      checks[c.kind](c, (got, expected, precision = "f64") => {
        const bound = content.tolerances[c.tolerance][precision];
        if (!bound) return;
        compared++;
        compare(got, expected, bound, c.id);
      });
      assert.ok(compared > 0, "nothing was compared");
    });
  }
}

for (const [name, batch] of Object.entries(batches)) {
  test(`batches.json ${name}: rewards from outcomes and turn scores`, () => {
    const tight = { rtol: 1e-9, atol: 1e-12 };
    for (const [i, scores] of batch.turn_scores.entries()) {
      const result = reward(verdict(batch.outcome[i], scores), scores.length, tarlOptions());
      const ledger = { mask: Uint8Array.from(batch.mask[i]), turn: Int16Array.from(batch.turn[i]) };
      compare(result.total, batch.reward[i], tight, `reward ${i}`);
      compare(result.perTurn, batch.turn_rewards[i], tight, `turn_rewards ${i}`);
      compare(placeReward(result, ledger, "trajectory"), batch.rewards_terminal[i], tight, `rewards_terminal ${i}`);
      compare(placeReward(result, ledger, "turn"), batch.rewards_turn[i], tight, `rewards_turn ${i}`);
    }
  });
}

for (const [reason, count] of skipped) console.log(`SKIP ${count} ${reason}: not built yet`);

test.run();
