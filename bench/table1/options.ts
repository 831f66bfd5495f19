// The command line of the comparison, read and checked. Not what is done with it. Test: test/unit/table1.test.ts

import { join } from "node:path";
import { presets } from "../../src/config/config.ts";
import { UsageError } from "../../src/errors.ts";
import { root } from "../../src/root.ts";
import { readTyped, wholeOf } from "../options.ts";
import { type Plan, type Row, rows, rowsNamed } from "./rows.ts";

export interface Options {
  readonly rows: readonly Row[];
  readonly seeds: readonly number[];
  readonly plan: Plan;
  /** Folder of the runs. */
  readonly runs: string;
  /** Folders that the table is written to. */
  readonly out: readonly string[];
}

const NUMBERS = ["steps", "tasks-per-step", "samples", "eval-tasks", "trials"] as const;
const NAMES = ["rows", "seeds", "runs", "out", ...NUMBERS] as const;

/** Reads a command line (without node and script); throws a UsageError that names the option. */
export function readOptions(args: readonly string[]): Options {
  const values = readTyped(args, NAMES);
  const { embedded: own } = presets;
  const whole = (name: (typeof NUMBERS)[number], value: number) => wholeOf(values, name, value);
  const seeds = (values.seeds ?? "1,2,3").split(",").map((seed) => {
    if (!/^\d{1,9}$/.test(seed)) throw new UsageError(`--seeds ${values.seeds}: expected whole numbers, such as 1,2,3`);
    return Number(seed);
  });
  if (new Set(seeds).size < seeds.length)
    throw new UsageError(`--seeds ${values.seeds}: one of them stands there twice`);
  const plan: Plan = {
    steps: whole("steps", own.steps),
    tasksPerStep: whole("tasks-per-step", own.tasksPerStep),
    samples: whole("samples", own.samples),
    evalTasks: whole("eval-tasks", own.evalTasks),
    trials: whole("trials", own.trials),
  };
  const runs = values.runs ?? "runs";
  const kept = values.save === undefined ? [] : [join(root, "bench", "results")];
  return {
    rows: rowsNamed(values.rows?.split(",") ?? rows.map(({ name }) => name)),
    seeds,
    plan,
    runs,
    out: [values.out ?? runs, ...kept],
  };
}
