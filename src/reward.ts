// What a finished conversation was worth: the verifier's outcome and the judge's turn scores as one reward.
// Not where turns are judged (src/judge), nor where rewards are compared (src/algorithms).
// Test: test/unit/reward.test.ts, test/golden/algorithms.test.ts

import type { Reward, RewardClass, Verdict } from "./types.ts";

export interface RewardOptions {
  /** False: the outcome alone is the reward, 0 or 1, and the judgement is not looked at. */
  readonly tarl: boolean;
  /** Weight of success. */
  readonly outcome: number;
  /** Weight of the share of turns scored +1. */
  readonly turns: number;
  /** Taken off when a turn is scored -1. */
  readonly major: number;
  /** A success with a -1, where judge and verifier disagree: drop the -1, or keep it. */
  readonly conflict: "trust-verifier" | "keep";
}

/**
 * TARL reward (arXiv:2509.14480): 10 R + 5 n+/T - 5 [a -1 exists], with R the outcome, T = `turns` the number of the
 * agent's turns and n+ of those scored +1. Without a judgement, or without turns, 10 R and class "unjudged".
 * Throws a RangeError on scores that `checkScores` finds fault with: a judge that may err checks first, and abstains.
 */
export function reward(verdict: Verdict, turns: number, options: RewardOptions): Reward {
  const success = verdict.outcome.success;
  const scores = options.tarl ? (verdict.judgement?.scores ?? null) : null;
  if (scores !== null) {
    const problems = checkScores(scores, turns);
    if (problems.length) throw new RangeError(`invalid judgement: ${problems.join(", ")}`);
  }
  if (scores === null || turns === 0) {
    const total = (options.tarl ? options.outcome : 1) * success;
    return { total, parts: { outcome: total, turns: 0, major: 0 }, class: "unjudged", perTurn: [] };
  }

  const good = scores.filter((score) => score === 1).length;
  const failed = scores.includes(-1);
  const penalty = failed && !(success && options.conflict === "trust-verifier") ? options.major : 0;
  const parts = { outcome: options.outcome * success, turns: (options.turns * good) / turns, major: 0 - penalty };
  return {
    total: parts.outcome + parts.turns + parts.major,
    parts,
    class: classify(success, good === turns, failed),
    perTurn: scores.map((score, turn) => {
      const own = score === 1 ? options.turns / turns : score === -1 ? 0 - penalty : 0;
      return turn === turns - 1 ? own + parts.outcome : own;
    }),
  };
}

/** What is wrong with a judge's scores of `turns` turns; empty when they can be used. */
export function checkScores(scores: readonly number[], turns: number): string[] {
  const problems: string[] = [];
  if (scores.some((score) => score !== -1 && score !== 0 && score !== 1)) problems.push("score outside {-1, 0, 1}");
  if (scores.filter((score) => score === -1).length > 1) problems.push("more than one -1");
  if (scores.length !== turns) problems.push("number of scores differs from number of agent turns");
  return problems;
}

function classify(success: 0 | 1, allGood: boolean, failed: boolean): RewardClass {
  if (failed) return success ? "conflict" : "failed";
  if (!success) return "good_attempt";
  return allGood ? "perfect" : "good";
}
