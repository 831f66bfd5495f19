// The process that grades: takes lists of answers over IPC and sends their verdicts back, one by one and in order.
// Whoever started it kills it when one takes too long (grader.ts); it ends with whoever started it.
// Test: test/unit/grading.test.ts

import { Worker } from "node:worker_threads";
import { type Expressions, isRight } from "./equal.ts";
import { sameExpression, sameUpToFactor } from "./expression.ts";

/** What is sent: a message of the agent, and the answer that is expected. */
export type Question = readonly [message: string, expected: string];

const expressions: Expressions = { same: sameExpression, sameUpToFactor };

const waiting: Question[] = [];
let working = false;

/** A verdict is out before the next answer is looked at: the first without one is always the one that hangs. */
async function work(): Promise<void> {
  working = true;
  for (let next = waiting.shift(); next; next = waiting.shift()) await send(grade(next));
  working = false;
}

/** Whatever a text does to the parser makes it no answer. */
function grade([message, expected]: Question): boolean {
  try {
    return isRight(message, expected, expressions);
  } catch {
    return false;
  }
}

function send(right: boolean): Promise<void> {
  return new Promise((resolve) => process.send?.(right, () => resolve()));
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
