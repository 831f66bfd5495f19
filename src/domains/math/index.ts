// The domain math: no tools and nothing to change; the customer's opening is a problem, the agent's first message its
// answer, and with it the talk ends. Small problems are made here (problems.ts); others come as sets (docs/task-sets.md).
// Which answers are equal is decided elsewhere: grading/. Test: test/unit/math.test.ts

import { sharedGrader } from "../../grading/grader.ts";
import type { Domain, Task } from "../../types.ts";
import { counts, facts, numbers } from "./drills.ts";
import { answerLike } from "./expert.ts";
import { answer, FAMILIES, type Family, makeProblem, PROBLEMS, type Problem } from "./problems.ts";

export const math: Domain = {
  name: "math",
  profile: "math",
  checkOutputs: true,
  policy: "Solve the problem. The answer comes last.",
  toolsInPrompt: false,
  tools: [],
  families: FAMILIES,
  database: () => new Map(),
  task,
  asks: () => [],
  hears: () => ({ confirms: false, claimsDone: true, refuses: false }),
  violates: () => null,
  grade: ({ outputs: [answer] }, message) => sharedGrader().isRight(message, answer),
  expert: (task, habits, seed) => () => answerLike(problemOf(task), habits, seed, task),
  drills: { numbers, counts, facts },
};

function task(family: string, seed: number, index: number): Task | null {
  if (index >= PROBLEMS) return null;
  const problem = makeProblem(family as Family, seed, index);
  return {
    id: `math/${seed}/${family}/${index}`,
    domain: "math",
    family,
    database: seed,
    instruction: problem.text,
    scenario: { opening: problem.text, facts: {}, fallback: "Please tell me the answer." },
    actions: [],
    outputs: [String(answer(problem))],
  };
}

function problemOf({ id, family, database }: Task): Problem {
  return makeProblem(family as Family, database, Number(id.slice(id.lastIndexOf("/") + 1)));
}
