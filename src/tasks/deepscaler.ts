// Imports mathematical problems with known answers, shaped as DeepScaleR's: {problem, answer, solution?} in JSON, JSON lines
// or Parquet. The answer becomes the task's only output; solutions are left out. Not a grader. Test: test/unit/import.test.ts

import { text, type Value } from "../domains/python.ts";
import { UsageError } from "../errors.ts";
import type { Task } from "../types.ts";
import { type Row, readRows } from "./rows.ts";

const COLUMNS = ["problem", "answer"] as const;
const WHOLE = /^[+-]?\d+$/;

/** The problems of a file as tasks of the domain "math"; `integers`: only those whose answer is a whole number. */
export async function importDeepScaler(file: string, split: string, integers: boolean): Promise<Task[]> {
  const tasks: Task[] = [];
  let n = 0;
  for await (const row of readRows(file, COLUMNS)) {
    const problem = field(row, "problem", (value) => (typeof value === "string" ? value : null), "text");
    const answer = field(row, "answer", answerOf, "text or a number");
    const id = `math/${split}/${n++}`; // of the file's row, with and without the filter
    if (!integers) tasks.push(taskOf(id, problem, answer));
    else if (WHOLE.test(answer)) tasks.push(taskOf(id, problem, answer.replace("+", "")));
  }
  if (n === 0) throw new UsageError(`${file}: holds no problem`);
  if (tasks.length === 0) throw new UsageError(`${file}: none of its ${n} answers is a whole number`);
  return tasks;
}

function field({ place, value }: Row, key: string, read: (value: Value) => string | null, type: string): string {
  const found = value.get(key);
  if (found === undefined) throw new UsageError(`${place}: ${key}: missing, expected ${type}`);
  const said = read(found)?.trim();
  if (said === undefined) throw new UsageError(`${place}: ${key}: expected ${type}`);
  if (said === "") throw new UsageError(`${place}: ${key}: empty, expected ${type}`);
  return said;
}

function answerOf(value: Value): string | null {
  return typeof value === "string" || typeof value === "number" || typeof value === "bigint" ? text(value) : null;
}

function taskOf(id: string, problem: string, answer: string): Task {
  return {
    id,
    domain: "math",
    family: "problem",
    database: 0,
    instruction: problem,
    scenario: { opening: problem, facts: {}, fallback: "Please tell me the answer." },
    actions: [],
    outputs: [answer],
  };
}
