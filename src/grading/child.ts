// The process that grades: takes lists of answers over IPC and sends their verdicts back in order, however long one takes.
// Whoever started it kills it when one takes too long (grader.ts); it ends with whoever started it.
// Test: test/unit/grading.test.ts

import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { type Expressions, isRight } from "./equal.ts";
import { sameExpression, sameUpToFactor } from "./expression.ts";

/** What is sent: a message of the agent, and the answer that is expected. */
export type Question = readonly [message: string, expected: string];

/** An expression may take long: what is known is sent before it is looked at. */
class Late extends Error {}

const never: Expressions = {
  same: () => {
    throw new Late();
  },
  sameUpToFactor: () => {
    throw new Late();
  },
};
const expressions: Expressions = { same: sameExpression, sameUpToFactor };

const waiting: Question[] = [];
let working = false;

async function work(): Promise<void> {
  working = true;
  let known: boolean[] = [];
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const quick = grade(next, never);
    if (quick !== null) {
      known.push(quick);
      continue;
    }
    if (known.length) await send(known);
    known = [grade(next, expressions) ?? false];
    await send(known);
    known = [];
    await setImmediate(); // more may have come
  }
  if (known.length) await send(known);
  working = false;
}

/** Null where it is late. Whatever else a text does to the parser makes it no answer. */
function grade([message, expected]: Question, by: Expressions): boolean | null {
  try {
    return isRight(message, expected, by);
  } catch (error) {
    return error instanceof Late ? null : false;
  }
}

function send(verdicts: readonly boolean[]): Promise<void> {
  return new Promise((resolve) => process.send?.(verdicts, () => resolve()));
}

process.on("message", (questions: readonly Question[]) => {
  waiting.push(...questions);
  if (!working) void work();
});
process.on("disconnect", () => process.exit());
// In an endless loop nobody hears of that: a thread looks whether the parent is still the same.
new Worker(
  `const parent = process.ppid; setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, "SIGKILL"); }, 500);`,
  { eval: true },
).unref();
sameExpression("1+1", "2"); // the first one takes longest
process.send?.("ready");
