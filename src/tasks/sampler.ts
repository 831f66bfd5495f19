// Which tasks are played when: a domain's own synthesized tasks, mixed over families and databases.
// Stateless: the tasks of a step are a function of (seed, step), so resuming needs no state. Train and held-out tasks
// are played on databases of different seeds. Knows nothing of how a task is made: that is the domain's.
// Test: test/unit/tasks.test.ts

import { UsageError } from "../errors.ts";
import { Random } from "../random.ts";
import type { Domain, Task } from "../types.ts";

/** Held-out databases have these seeds, training databases lower ones. */
const HELD_OUT: Databases = { first: 1_000_000, count: 1000 };
/** Draws before a family is given up: a database may have no room for a family. */
const MAX_DRAWS = 1000;

/** How often each family is drawn; the weights sum to 1. */
export interface Mix {
  readonly families: readonly { readonly name: string; readonly weight: number }[];
}

/** The databases that tasks are drawn from: seeds `first` .. `first + count - 1`. */
export interface Databases {
  readonly first: number;
  readonly count: number;
}

export const trainDatabases = (count: number): Databases => ({ first: 1, count });
export const heldOutDatabases = (count = HELD_OUT.count): Databases => ({ ...HELD_OUT, count });

/**
 * Equal weights, but the families in which nothing may be written get at most `refuseShare` together, so that an agent
 * that does nothing stays far below one that works. `names` empty: all families of the domain.
 */
export function mix(domain: Domain, names: readonly string[], refuseShare: number): Mix {
  if (domain.families.length === 0) throw new UsageError(`--domain ${domain.name}: it has no tasks of its own`);
  for (const name of names)
    if (!domain.families.includes(name))
      throw new UsageError(`--families ${name}: ${domain.name} has ${domain.families.join(", ")}`);
  const chosen = names.length ? [...new Set(names)] : domain.families;
  const passive = chosen.filter(
    (name) => drawTask(domain, name, trainDatabases(50), new Random(name)).actions.length === 0,
  );
  const share = passive.length === chosen.length ? 1 : Math.min(refuseShare, passive.length / chosen.length);
  const active = chosen.length - passive.length;
  return {
    families: chosen.map((name) => ({
      name,
      weight: passive.includes(name) ? share / passive.length : (1 - share) / active,
    })),
  };
}

/**
 * `count` different tasks, named by `seeds`. Families follow the mix as closely as `count` allows (systematic sampling:
 * each gets its expected number, rounded up or down); the order is shuffled.
 */
export function sampleTasks(
  domain: Domain,
  mix: Mix,
  databases: Databases,
  count: number,
  ...seeds: (number | string)[]
): Task[] {
  const random = new Random("tasks", ...seeds);
  const tasks = new Map<string, Task>();
  for (const family of systematic(mix, count, random.float())) {
    let task = drawTask(domain, family, databases, random);
    for (let draws = 1; tasks.has(task.id); draws++) {
      if (draws === MAX_DRAWS)
        throw new UsageError(
          `${domain.name} has too few ${family} tasks on ${databases.count} databases for ${count} different ones`,
        );
      task = drawTask(domain, family, databases, random);
    }
    tasks.set(task.id, task);
  }
  return random.shuffle([...tasks.values()]);
}

/** Families by name, as often as the mix asks for them, rounded up or down; `offset` (0 to 1) decides which. */
export function systematic({ families }: Mix, count: number, offset: number): string[] {
  const drawn: string[] = [];
  let passed = 0;
  for (const { name, weight } of families) {
    passed += weight * count;
    while (drawn.length + offset < passed && drawn.length < count) drawn.push(name);
  }
  while (drawn.length < count) drawn.push(families[families.length - 1].name); // rounding of the last sum
  return drawn;
}

/** A task of a family on a random database; databases without room for it are passed over. */
function drawTask(domain: Domain, family: string, databases: Databases, random: Random): Task {
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const seed = databases.first + random.int(databases.count);
    // Indices run from 0 as far as a database has room: start anywhere, halve until there is a task.
    for (let index = random.int(16); ; index = index >> 1) {
      const task = domain.task(family, seed, index);
      if (task) return task;
      if (index === 0) break;
    }
  }
  throw new UsageError(
    `${domain.name} has no ${family} task on databases ${databases.first} to ${databases.first + databases.count - 1}`,
  );
}

/** Where tasks come from. Each draw has `count` different ones and is a function of its seeds. */
export interface TaskSource {
  train(count: number, ...seeds: (number | string)[]): Task[];
  heldOut(count: number, ...seeds: (number | string)[]): Task[];
  /** The split of a set that `heldOut` is taken from. */
  readonly split?: string;
}

/** The domain's own families; `databases`: how many seeds training draws from. */
export function generated(domain: Domain, families: Mix, databases: number): TaskSource {
  return {
    train: (count, ...seeds) => sampleTasks(domain, families, trainDatabases(databases), count, ...seeds),
    heldOut: (count, ...seeds) => sampleTasks(domain, families, HELD_OUT, count, "held-out", ...seeds),
  };
}

/** Splits that are measured on: the first that a set has. */
const MEASURED = ["held-out", "test", "dev"];

type Splits = ReadonlyMap<string, readonly Task[]>;

/** The tasks of a set named `path`. `names`: the families to take, empty for all; `measured`: a split's name, or "auto". */
export function listed(path: string, splits: Splits, names: readonly string[], measured: string): TaskSource {
  const lone = splits.size === 1 ? [...splits.keys()][0] : undefined;
  const has = [...new Set([...splits.values()].flatMap((tasks) => tasks.map(({ family }) => family)))];
  for (const name of names)
    if (!has.includes(name)) throw new UsageError(`--families ${name}: ${path} has ${has.join(", ")}`);
  if (measured !== "auto" && !splits.has(measured))
    throw new UsageError(`--eval-split ${measured}: ${path} has ${[...splits.keys()].join(", ")}`);
  const tasksOf = (split: string | undefined, wanted: string) => {
    const tasks = splits.get(split ?? "");
    if (!tasks) throw new UsageError(`--tasks ${path}: has no ${wanted}, only ${[...splits.keys()].join(", ")}`);
    const some = tasks.filter(({ family }) => names.length === 0 || names.includes(family));
    if (some.length === 0)
      throw new UsageError(
        names.length
          ? `--families ${names.join()}: ${path} has none in ${split}`
          : `--tasks ${path}: ${split} is empty`,
      );
    return some;
  };
  const trained = lone !== undefined && !MEASURED.includes(lone) ? lone : "train";
  const split = measuredSplit(splits, measured) ?? lone;
  return {
    train: (count, seed, step) => walk(path, tasksOf(trained, "train"), count, seed, Number(step)),
    heldOut: (count) => tasksOf(split, MEASURED.join(", ")).slice(0, count),
    ...(split !== undefined && { split }),
  };
}

/** The split of a set that is measured where nobody names one: none that is trained on. */
export function measuredSplit(splits: Splits, name = "auto"): string | undefined {
  return name === "auto" ? MEASURED.find((split) => splits.has(split)) : name;
}

/**
 * The tasks of update `step` on a walk through all of them in a shuffled order, then in the next one. Where an update
 * takes the rest of one order and the beginning of the next, the beginning leaves out what is in that rest.
 */
function walk(path: string, tasks: readonly Task[], count: number, seed: number | string, step: number): Task[] {
  if (count > tasks.length)
    throw new UsageError(`--tasks-per-step ${count}: ${path} has ${tasks.length} tasks to train on`);
  const drawn: Task[] = [];
  let order: Task[] = [];
  const from = step * count;
  for (let round = 0, start = 0; drawn.length < count; round++, start += tasks.length) {
    const taken = (start % count) as number;
    const rest = new Set(taken ? order.slice(-taken) : []);
    const next = new Random("walk", seed, round).shuffle([...tasks]);
    const first = next.filter((task) => !rest.has(task)).slice(0, taken ? count - taken : 0);
    order = [...first, ...next.filter((task) => !first.includes(task))];
    drawn.push(...order.slice(Math.max(from - start, 0), Math.max(from + count - start, 0)));
  }
  return drawn;
}
