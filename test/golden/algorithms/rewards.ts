// Checks of rewards and of the figures of an evaluation.

import * as assert from "uvu/assert";
import { placeReward } from "../../../src/algorithms/place.ts";
import { averages, countWaits, pass, passAt, passHat, type Tally, wilson } from "../../../src/eval/metrics.ts";
import { checkScores, reward } from "../../../src/reward.ts";
import type { TurnScore } from "../../../src/types.ts";
import { type Checks, type Data, tarlOptions, total, verdict } from "./case.ts";

function tallies(successes: number[], trials: number[]): Tally[] {
  return successes.map((count, i) => ({ task: `${i}`, family: "", trials: trials[i], successes: count }));
}

export const rewardChecks: Checks = {
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
