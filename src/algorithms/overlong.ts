// The price of a conversation that comes near its limit of tokens.
// Test: test/unit/algorithms.test.ts, test/golden/algorithms.test.ts

import type { Reward } from "../types.ts";

export interface OverlongOptions {
  /** The limit. */
  readonly maxTokens: number;
  /** Tokens before it in which the price rises from 0 to `factor`; 0 is no price. */
  readonly buffer: number;
  readonly factor: number;
}

/** DAPO eq. 13 (arXiv:2503.14476): 0 until the buffer begins, then down to -factor at the limit, and no further. */
export function overlongPenalty(tokens: number, { maxTokens, buffer, factor }: OverlongOptions): number {
  if (buffer === 0) return 0;
  return 0 - factor * Math.min(Math.max((tokens - (maxTokens - buffer)) / buffer, 0), 1);
}

/** The reward with that price as a part of its own, on the last turn. `tokens`: of the conversation's longest context. */
export function lessOverlong(reward: Reward, tokens: number, options: OverlongOptions): Reward {
  if (options.buffer === 0) return reward;
  const overlong = overlongPenalty(tokens, options);
  const last = reward.perTurn.length - 1;
  return {
    ...reward,
    total: reward.total + overlong,
    parts: { ...reward.parts, overlong },
    perTurn: reward.perTurn.map((share, turn) => (turn === last ? share + overlong : share)),
  };
}
