// How hard tasks are for a policy as it stands: the share of its conversations about each that it wins, and a set of
// those that are neither always lost nor always won, from which alone there is something to learn. The command is
// cli/tasks/rate.ts.
// Tests: test/unit/rate.test.ts, test/e2e/rate.test.ts

import type { Tally } from "./eval/metrics.ts";
import type { TaskSet } from "./tasks/set.ts";
import type { Task } from "./types.ts";

/** Shares of won conversations, both ends included. */
export interface Range {
  readonly least: number;
  readonly most: number;
}

/** The tasks with their rates, in order. One of whose conversations none came to an end has none, and is left out. */
export function rated(tasks: readonly Task[], tallies: readonly Tally[]): Task[] {
  const found = new Map(tallies.map((tally) => [tally.task, tally]));
  return tasks.flatMap((task) => {
    const tally = found.get(task.id);
    return tally ? { ...task, rate: tally.successes / tally.trials } : [];
  });
}

export function within(tasks: readonly Task[], { least, most }: Range): Task[] {
  return tasks.filter(({ rate }) => rate !== undefined && rate >= least && rate <= most);
}

/** How many tasks were won in each number of `trials` conversations, 0 first: "3 of 8" counts at 3. */
export function histogram(tasks: readonly Task[], trials: number): number[] {
  const counts = new Array<number>(trials + 1).fill(0);
  for (const { rate = 0 } of tasks) counts[Math.round(rate * trials)]++;
  return counts;
}

/** The set again with one split in place of its own; `path` is where it was read from. */
export function replaced({ path, manifest, splits, overlay }: TaskSet, split: string, tasks: readonly Task[]) {
  const { domain, profile, checkOutputs } = manifest;
  return {
    kind: "tasks" as const,
    source: "rate",
    from: path,
    domain,
    ...(profile !== undefined && { profile }),
    ...(checkOutputs !== undefined && { checkOutputs }),
    ...overlay,
    splits: { ...Object.fromEntries(splits), [split]: tasks },
  };
}
