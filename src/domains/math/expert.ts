// The scripted expert of the generated problems: says each calculation with its result, the answer last. It solves
// nothing: it knows the problem that a task was made of. Its one bad habit is a slip in a calculation. Not for problems
// of a set.
// Test: test/unit/math.test.ts

import { Random } from "../../random.ts";
import type { AgentTurn, Habits, Task } from "../../types.ts";
import { answer, type Calculation, type Problem, result } from "./problems.ts";

/** Mistakes of a child; one that does not apply to the numbers changes nothing. */
const SLIPS: readonly ((right: number, { a, sign, b }: Calculation) => number)[] = [
  // The carry, or the ten that was borrowed, is forgotten.
  (right, { a, sign, b }) => {
    if (sign === "+") return (a % 10) + (b % 10) >= 10 ? right - 10 : right;
    if (sign === "-") return a % 10 < b % 10 ? right + 10 : right;
    return a * (b % 10) >= 10 && b >= 10 ? right - 10 : right;
  },
  // One too many or too few.
  (right, { a }) => (a % 2 === 0 ? right + 1 : right - 1),
  // Digits change places.
  (right) => Number([...String(right)].reverse().join("")),
];

/** The answer as one message, whatever was said before. */
export function answerLike(problem: Problem, habits: Habits, seed: number, task: Task): AgentTurn {
  const random = new Random("math expert", seed, task.id);
  const slips = random.chance(habits.wrongChoice);
  return { text: said(problem, slips, random), calls: [], invalid: null };
}

function said(problem: Problem, slips: boolean, random: Random): string {
  const { steps, choices } = problem;
  if (choices.length) return `The most is ${slips ? random.pick(choices) : answer(problem)}.`;
  const slip = slips ? random.pick(SLIPS) : (right: number) => right;
  const wrong = random.int(steps.length);
  const lines: string[] = [];
  let before: number | null = null; // what is carried into the next step
  for (const [i, step] of steps.entries()) {
    const done: Calculation = before === null ? step : { ...step, b: before };
    before = i === wrong ? slip(result(done), done) : result(done);
    lines.push(`${written(done)}=${before}`);
  }
  return `${lines.join(", ")}.`;
}

/** `a sign b` as it is said. */
export const written = ({ a, sign, b }: Calculation) => `${a}${sign}${b}`;
