// Reads a language model's verdict: scores and reasons, or what is wrong with it in words of our own, which may be told to
// the model. Repairs nothing but what stands around the JSON. Test: test/unit/llm-judge.test.ts

import type { TurnScore } from "../types.ts";

export interface ReadVerdict {
  readonly scores: readonly TurnScore[];
  readonly reasons: readonly string[];
}

/** Characters of a reason: a long line of a careful model. */
const REASON_CHARS = 1000;

/**
 * A verdict on `turns` turns: one JSON object, after a thought and inside of a code fence at most, with an entry for each
 * turn in order, scores of -1, 0 and 1, at most one -1, reasons of one line, and nothing else. Else what is wrong, in
 * one line.
 */
export function readVerdict(answer: string, turns: number): ReadVerdict | string {
  const text = answer
    .replace(/^[\s\S]*<\/think>/, "")
    .trim()
    .replace(/^```(?:json)?\s*([\s\S]*?)\s*```$/, "$1");
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch {
    return "it is not one JSON object and nothing else";
  }
  if (!hasOnly(whole, ["turns"]) || !Array.isArray(whole.turns))
    return 'expected an object with the one field "turns", a list';
  const entries: readonly unknown[] = whole.turns;
  if (entries.length !== turns) return `the agent has ${turns} turns, not ${entries.length}`;
  const scores: TurnScore[] = [];
  const reasons: string[] = [];
  for (const [i, entry] of entries.entries()) {
    const name = `entry ${i + 1}`;
    if (!hasOnly(entry, ["turn", "reason", "score"])) return `${name}: expected the fields turn, reason and score`;
    const { turn, reason, score } = entry;
    if (turn !== i + 1) return `${name}: expected turn ${i + 1}`;
    if (score !== -1 && score !== 0 && score !== 1) return `${name}: expected a score of -1, 0 or 1`;
    if (
      typeof reason !== "string" ||
      reason.trim() === "" ||
      reason.length > REASON_CHARS ||
      /[\r\n]/.test(reason.trim())
    )
      return `${name}: expected a reason of one short line`;
    scores.push(score);
    reasons.push(reason.trim());
  }
  if (scores.filter((score) => score === -1).length > 1) return "more than one turn scores -1";
  return { scores, reasons };
}

/** An object with these fields and no other. */
function hasOnly<K extends string>(value: unknown, names: readonly K[]): value is { readonly [name in K]: unknown } {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return false;
  const own = Object.keys(value);
  return own.length === names.length && names.every((name) => Object.hasOwn(value, name));
}
