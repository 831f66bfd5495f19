// The rows of the comparison, and what a run of each is made with. A row is data: a name, what the paper says of it, and the
// training options that make it differ from GRPO. Every row has the same budget of rollouts. Test: test/unit/table1.test.ts

import { type Config, flagName, resolveConfig } from "../../src/config/config.ts";
import { UsageError } from "../../src/errors.ts";

type Values = { readonly [option: string]: string | number | boolean };

export interface Row {
  readonly name: string;
  readonly title: string;
  /** What it is trained with; null: it is not trained. */
  readonly values: Values | null;
  /** One rollout about each task, and so many tasks more, as far as the option is in use. */
  readonly single?: true;
  /** Its row of the paper (arXiv:2509.14480, Qwen3-8B, retail): pass^1 to pass^4, waits. Orientation, not a target. */
  readonly published?: { readonly pass: readonly number[]; readonly waits: number };
}

const published = (waits: number, ...percent: number[]) => ({ pass: percent.map((value) => value / 100), waits });

export const rows: readonly Row[] = [
  { name: "base", title: "Base", values: null, published: published(1.83, 42.1, 24.3, 16.2, 11.2) },
  { name: "spo", title: "SPO (single stream)", values: { algo: "spo" }, single: true },
  {
    name: "rloo",
    title: "SPO (RLOO)",
    values: { algo: "rloo" },
    published: published(1.63, 45.4, 26.5, 18.0, 12.5),
  },
  { name: "ppo", title: "PPO", values: { algo: "ppo" }, published: published(1.48, 49.3, 29.8, 19.8, 14.1) },
  { name: "grpo", title: "GRPO", values: { algo: "grpo" }, published: published(1.51, 51.2, 30.7, 20.9, 15.3) },
  {
    name: "math",
    title: "Math",
    values: { algo: "grpo", mix: "math" },
    published: published(1.95, 51.5, 31.0, 21.0, 15.8),
  },
  { name: "control", title: "Math control", values: { algo: "grpo", mix: "math", mixControl: true } },
  {
    name: "tarl",
    title: "GRPO+TARL",
    values: { algo: "grpo", tarl: true },
    published: published(1.86, 55.4, 33.7, 23.4, 17.1),
  },
  {
    name: "math-tarl",
    title: "Math+TARL",
    values: { algo: "grpo", tarl: true, mix: "math" },
    published: published(2.21, 57.4, 35.1, 24.1, 17.9),
  },
];

/** The paper's ordering of pass^1, lowest first; rows in one place are level. */
export const paperOrder: readonly (readonly string[])[] = [
  ["base"],
  ["rloo"],
  ["ppo"],
  ["grpo", "math"],
  ["tarl"],
  ["math-tarl"],
];

/**
 * Differences that the paper does not report and that its claims need: is the mix better than its share of tool use alone?
 */
export const contrasts: readonly (readonly [lower: string, higher: string])[] = [["control", "math"]];

/** What every run of a comparison has in common. */
export interface Plan {
  readonly steps: number;
  readonly tasksPerStep: number;
  readonly samples: number;
  readonly evalTasks: number;
  readonly trials: number;
}

/** Rollouts of one run. */
export function budgetOf({ steps, tasksPerStep, samples }: Plan): number {
  return steps * tasksPerStep * samples;
}

/** One run: a row with a seed. */
export interface Cell {
  readonly row: string;
  readonly seed: number;
  /** Name of its run. */
  readonly run: string;
  /** As they are typed; all options of the run that are not defaults of the preset. */
  readonly flags: readonly string[];
  readonly config: Config;
}

/** Throws a UsageError where the row's options are none. */
export function cellOf(row: Row, seed: number, plan: Plan): Cell {
  const { steps, tasksPerStep, samples, evalTasks, trials } = plan;
  const played = row.single ? { tasksPerStep: tasksPerStep * samples, samples: 1 } : { tasksPerStep, samples };
  const values: Values = { ...row.values, seed, steps, ...played, evalTasks, trials, keep: 1, saveRollouts: false };
  const config = resolveConfig("embedded", { values, label: (key) => `row ${row.name}: ${flagName(key)}` });
  const flags = Object.entries(values).flatMap(([key, value]) => flagOf(key, value));
  return { row: row.name, seed, run: `table1-${row.name}-s${seed}`, flags, config };
}

function flagOf(key: string, value: Values[string]): string[] {
  const name = flagName(key);
  if (value === true) return [name];
  return value === false ? [name.replace("--", "--no-")] : [name, String(value)];
}

/** Rows by name, in the table's order, with the base, which costs nothing; throws a UsageError that names what is none. */
export function rowsNamed(names: readonly string[]): Row[] {
  const known = rows.map(({ name }) => name);
  const wrong = names.find((name) => !known.includes(name));
  if (wrong !== undefined) throw new UsageError(`--rows ${wrong}: expected some of ${known.join(",")}`);
  if (names.every((name) => name === "base"))
    throw new UsageError("--rows base: it is measured by the runs of others; expected one of them beside it");
  return rows.filter(({ name, values }) => !values || names.includes(name));
}
