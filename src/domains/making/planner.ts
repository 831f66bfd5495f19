// From a database to its tasks: of each family the goals that a domain draws are proven, kept as plans, and put into
// words. Shared by the domains that make tasks from goals; which goals there are is the domain's, what they mean goals.ts,
// how they are said telling.ts. Test: test/unit/retail.test.ts, test/unit/airline-tasks.test.ts

import { Random } from "../../random.ts";
import type { Database, Domain, Task, Wording, WrittenCall } from "../../types.ts";
import { combinations, type Goal, type Ground, truthOf } from "./goals.ts";
import { drawWording, type Identity, tell } from "./telling.ts";

/** What a family draws. */
export interface Draft {
  readonly userId: string;
  /** As the customer wants them at first. */
  readonly wanted: readonly Goal[];
  /** What has to be refused, and the rule that forbids it. */
  readonly forbidden?: Task["forbidden"];
  /** What has to be told. */
  readonly outputs?: readonly string[];
  /** The call that hands the customer over. */
  readonly handover?: WrittenCall;
}

/** A draft with its ground truth. */
export interface Plan extends Draft {
  readonly wording: Wording;
  readonly actions: readonly WrittenCall[];
}

/** What a draft is drawn from. */
export interface Canvas<Tables, Start> {
  readonly tables: Tables;
  readonly database: Database;
  /** What a plan begins with: at most one plan of a family for each. */
  readonly start: Start;
  readonly random: Random;
  readonly wording: Wording;
}

export interface Maker<Tables, Start> {
  readonly name: string;
  /** Whose truth has to hold: more than one where profiles of a domain play the same tasks. */
  readonly grounds: readonly Ground["domain"][];
  makeTables(seed: number): Tables;
  toDatabase(tables: Tables): Database;
  starts(tables: Tables): readonly Start[];
  readonly draw: { readonly [family: string]: (canvas: Canvas<Tables, Start>) => Draft | null };
  /** Who a customer is, and the look-ups by which they are found. */
  identify(userId: string, tables: Tables, random: Random): Identity & { readonly lookups: readonly WrittenCall[] };
}

interface World<Tables> {
  readonly tables: Tables;
  readonly database: Database;
  /** Plans of a family, made as far as they were asked for. */
  readonly plans: Map<string, { readonly made: Plan[]; readonly rest: Iterator<Plan> }>;
}

/** Databases kept: training walks over very many of them. */
const KEPT = 64;
/** The family of tasks in which something is refused and something else done. */
const FALLBACK = "fallback";

/** `Domain.database`, `Domain.task` and `Domain.readings`. */
export function planner<Tables, Start>(
  maker: Maker<Tables, Start>,
): Pick<Domain, "database" | "task"> & { readings(task: Task): Iterable<readonly WrittenCall[]> } {
  const worlds = new Map<number, World<Tables>>();
  const planned = new WeakMap<Task, Plan>();

  function world(seed: number): World<Tables> {
    let made = worlds.get(seed);
    if (!made) {
      const tables = maker.makeTables(seed);
      made = { tables, database: maker.toDatabase(tables), plans: new Map() };
      if (worlds.size >= KEPT) worlds.delete(worlds.keys().next().value!);
      worlds.set(seed, made);
    }
    return made;
  }

  function plan(family: string, seed: number, index: number): Plan | undefined {
    const { tables, database, plans } = world(seed);
    const of = plans.get(family) ?? { made: [], rest: draft(maker, family, seed, tables, database) };
    plans.set(family, of);
    while (of.made.length <= index) {
      const { value, done } = of.rest.next();
      if (done) return undefined;
      of.made.push(value);
    }
    return of.made[index];
  }

  return {
    database: (seed) => world(seed).database,

    task(family, seed, index) {
      const made = Object.hasOwn(maker.draw, family) ? plan(family, seed, index) : undefined;
      if (!made) return null;
      const { userId, wanted, wording, actions, outputs = [], forbidden, handover } = made;
      const random = new Random(`${maker.name} task`, seed, family, index);
      const identity = maker.identify(userId, world(seed).tables, random);
      const lookups = [...identity.lookups, ...wanted.flatMap(lookupsOf), ...(handover ? [handover] : [])];
      const task: Task = {
        id: `${maker.name}/${seed}/${family}/${index}`,
        domain: maker.name,
        family,
        database: seed,
        customer: userId,
        ...tell(wanted, identity, wording, random),
        actions,
        outputs,
        lookups: [...new Map(lookups.map((call) => [call.name + call.arguments, call])).values()],
        ...(forbidden && { forbidden }),
      };
      planned.set(task, made);
      return task;
    },

    *readings(task) {
      const { id, family, database } = task;
      const { wanted } = planned.get(task) ?? plan(family, database, Number(id.slice(id.lastIndexOf("/") + 1)))!;
      for (const choice of combinations(wanted.map(ways))) yield choice.flat();
    },
  };
}

/** A family's plans on a database, in random order; no two want the same in the same words. */
function* draft<Tables, Start>(
  maker: Maker<Tables, Start>,
  family: string,
  seed: number,
  tables: Tables,
  database: Database,
): Generator<Plan, undefined> {
  const random = new Random(`${maker.name} plans`, seed, family);
  const seen = new Set<string>();
  for (const start of random.shuffle(maker.starts(tables))) {
    const wording = drawWording(random);
    const drawn = maker.draw[family]({ tables, database, start, random, wording });
    const truth = drawn && prove(drawn, family === FALLBACK, maker.grounds, database);
    if (!truth) continue;
    const key = JSON.stringify([drawn.wanted.map(({ want }) => want), truth.actions]);
    if (!seen.has(key)) yield { ...drawn, ...truth, wording };
    seen.add(key);
  }
}

/** The truth of a draft; null where there is not exactly one, on each ground the same. */
function prove(
  { wanted, userId }: Draft,
  fallsBack: boolean,
  grounds: Maker<unknown, unknown>["grounds"],
  database: Database,
): Pick<Plan, "actions" | "forbidden"> | null {
  if (wanted.every(({ readings }) => readings.length === 0)) return { actions: [] };
  let proven: Pick<Plan, "actions" | "forbidden"> | null = null;
  for (const domain of grounds) {
    const truth = truthOf({ domain, database, customer: userId }, wanted);
    if ("why" in truth || fallsBack !== truth.refused.length > 0) return null;
    const [forbidden] = truth.refused;
    const found = { actions: truth.actions, ...(forbidden && { forbidden }) };
    if (proven && JSON.stringify(proven) !== JSON.stringify(found)) return null;
    proven = found;
  }
  return proven;
}

function ways(goal: Goal): (readonly WrittenCall[])[] {
  return [...goal.readings, ...(goal.otherwise ? ways(goal.otherwise) : [])];
}

function lookupsOf(goal: Goal): readonly WrittenCall[] {
  return [...goal.lookups, ...(goal.otherwise ? lookupsOf(goal.otherwise) : [])];
}
