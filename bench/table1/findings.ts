// What a comparison found: every row's figures with intervals, differences on the same held-out tasks, the paper's ordering
// checked pair by pair, and what orderings can be diagnosed by. Plain data: it is the JSON of the bench, and all that
// markdown.ts and picture.ts see. Every figure is in docs/bench.md. Test: test/unit/table1.test.ts

import type { Evaluation } from "../../src/eval/evaluate.ts";
import { alarm, closingAlarm } from "../../src/run/progress.ts";
import { differenceOf, type Estimate, passOf, type Seeds } from "./crossed.ts";
import { contrasts, type Plan, paperOrder, type Row } from "./rows.ts";
import type { Made } from "./runs.ts";

/** A row and its runs. Of the base, which is not trained, there is none: it is what the others start from. */
export interface Trained {
  readonly row: Row;
  readonly made: readonly Made[];
}

/** A row of the table. `pass` and the differences go from k = 1 up to the trials, at most 4. */
export interface Finding {
  readonly name: string;
  readonly title: string;
  /** Seeds of the runs that it is made of; of the base, which has none, []. */
  readonly seeds: readonly number[];
  readonly pass: readonly Estimate[];
  /** Against GRPO and against the base, over the seeds that both have; [] where there are none, and of a row to itself. */
  readonly toGrpo: readonly Estimate[];
  readonly toBase: readonly Estimate[];
  /** Means over seeds of what the held-out conversations were like. */
  readonly waits: number;
  readonly length: number;
  readonly turns: number;
  readonly diagnosis: Diagnosis | null;
  readonly published: Row["published"] | null;
}

/** Means over a row's runs, where nothing else is said. */
export interface Diagnosis {
  /** Held-out TARL reward and share of no-write failures, before and after; null without a verdict. */
  readonly tarl: readonly [before: number | null, after: number | null];
  readonly noWriteFailures: readonly [before: number, after: number];
  /** Rollouts of a run on the domain's own tasks, and on those that were mixed in: together the budget, or less of it. */
  readonly rollouts: number;
  readonly mixed: number;
  /** Held-out pass^1 of the tasks that were mixed in, before and after; null where none were. */
  readonly mixedPass: readonly [before: number, after: number] | null;
  /** Over all updates on its own tasks: share of groups with equal rewards, of rollouts without a verdict and left out. */
  readonly flatGroups: number;
  readonly abstained: number;
  readonly excluded: number;
  /** Runs that rang the alarm "TARL reward up, success down": while they learned, or between the two evaluations. */
  readonly alarms: number;
  /** Seconds of a run on the clock, evaluations included, and of all cores together. */
  readonly wall: number;
  readonly cpu: number;
  /** Share of successes in the rollouts of each update on its own tasks. */
  readonly curve: readonly (readonly [step: number, pass: number])[];
}

/** A claim of the paper about two rows, and what the data says of it at the level of 95%, pair by pair. */
export interface Claim {
  readonly lower: string;
  readonly higher: string;
  /** What the paper says: the first is lower, or both are level. */
  readonly paper: "lower" | "level";
  /** What pass^1 of the second is beside the first, from the paired interval; null where one of them is missing. */
  readonly found: "higher" | "lower" | "not told apart" | null;
  readonly difference: Estimate | null;
}

export interface Findings {
  readonly plan: Plan & { readonly seeds: readonly number[]; readonly rollouts: number };
  readonly rows: readonly Finding[];
  readonly ordering: readonly Claim[];
  /** Whether all runs started from the same conversations, as they must. */
  readonly sameStart: boolean;
}

/** `trained`: the rows that were asked for, in the table's order. */
export function findingsOf(trained: readonly Trained[], plan: Findings["plan"]): Findings {
  const all = trained.flatMap(({ made }) => made);
  const start = all[0]?.before;
  const tallies = new Map<string, ReadonlyMap<number, Evaluation["tallies"]>>();
  for (const { row, made } of trained) {
    const own = row.values ? made.map(({ seed, after }) => [seed, after.tallies] as const) : [];
    const base = start ? plan.seeds.map((seed) => [seed, start.tallies] as const) : [];
    tallies.set(row.name, new Map(row.values ? own : base));
  }
  const most = Math.min(4, plan.trials);
  const beside = (one: string, other: string) =>
    upTo(most, (k) => (one === other ? null : pairedBySeed(tallies.get(one), tallies.get(other), k)));
  const rows = trained
    .filter(({ row, made }) => (row.values ? made.length > 0 : start))
    .map(({ row, made }): Finding => {
      const ends = row.values ? made.map(({ after }) => after) : [start];
      return {
        name: row.name,
        title: row.title,
        seeds: made.map(({ seed }) => seed),
        pass: upTo(most, (k) =>
          passOf(
            ends.map((end) => end.tallies),
            k,
          ),
        ),
        toGrpo: beside(row.name, "grpo"),
        toBase: beside(row.name, "base"),
        waits: mean(ends.map(({ waits }) => waits)),
        length: mean(ends.map(({ length }) => length)),
        turns: mean(ends.map(({ turns }) => turns)),
        diagnosis: made.length ? diagnose(made) : null,
        published: row.published ?? null,
      };
    });
  const sameStart = all.every(({ before }) => JSON.stringify(before.tallies) === JSON.stringify(start.tallies));
  const gain = (lower: string, higher: string) => beside(higher, lower)[0] ?? null;
  const ordering = [
    ...orderingOf(paperOrder, gain),
    ...contrasts.flatMap((pair) =>
      orderingOf(
        pair.map((row) => [row]),
        gain,
      ),
    ),
  ];
  return { plan, rows, ordering, sameStart };
}

/**
 * What is found of an ordering, given from the lowest place to the highest: every pair of neighbouring places, and of rows
 * in one place. `gain` says by how much the second of two rows is above the first; null where it is not known.
 */
export function orderingOf(
  order: readonly (readonly string[])[],
  gain: (lower: string, higher: string) => Estimate | null,
): Claim[] {
  const claim = (paper: Claim["paper"], lower: string, higher: string): Claim => {
    const difference = gain(lower, higher);
    return { lower, higher, paper, found: difference && verdictOf(difference), difference };
  };
  return order.flatMap((place, i) => [
    ...place.slice(1).map((other) => claim("level", place[0], other)),
    ...place.flatMap((lower) => (order[i + 1] ?? []).map((higher) => claim("lower", lower, higher))),
  ]);
}

/** Told apart are two rows where the interval of their difference does not hold 0. */
export function verdictOf({ interval: [low, high] }: Estimate): NonNullable<Claim["found"]> {
  if (low > 0) return "higher";
  return high < 0 ? "lower" : "not told apart";
}

type BySeed = ReadonlyMap<number, Evaluation["tallies"]>;

function pairedBySeed(one: BySeed | undefined, other: BySeed | undefined, k: number): Estimate | null {
  const seeds = [...(one?.keys() ?? [])].filter((seed) => other?.has(seed));
  if (seeds.length === 0) return null;
  const [left, right] = [one!, other!].map((row): Seeds => seeds.map((seed) => row.get(seed)!));
  return differenceOf(left, right, k);
}

function diagnose(made: readonly Made[]): Diagnosis {
  const steps = made.flatMap(({ steps }) => steps);
  type Line = Made["steps"][number];
  const total = (lines: readonly Line[], value: (line: Line) => number) =>
    lines.reduce((sum, line) => sum + value(line), 0);
  const mixed = made.flatMap(({ beside }) => (beside ? [beside] : []));
  const rollouts = total(steps, (line) => line.rollouts);
  const both = <T>(value: (evaluation: Evaluation) => number | null): readonly [T, T] =>
    [made.map(({ before }) => value(before)), made.map(({ after }) => value(after))].map(meanOf) as never;
  const rang = ({ before, after, steps }: Made) =>
    closingAlarm(before, after) !== null || steps.some((_, i) => alarm(steps.slice(0, i + 1)) !== null);
  return {
    tarl: both<number | null>(({ tarl }) => tarl),
    noWriteFailures: both<number>(({ noWriteFailures }) => noWriteFailures),
    rollouts: rollouts / made.length,
    mixed: mean(made.map(({ mixed }) => total(mixed, (line) => line.rollouts))),
    mixedPass: mixed.length ? [mean(mixed.map(([was]) => was.pass[0])), mean(mixed.map(([, is]) => is.pass[0]))] : null,
    flatGroups: mean(steps.map(({ flatGroups }) => flatGroups)),
    abstained: total(steps, ({ abstained }) => abstained) / rollouts,
    excluded: total(steps, ({ excluded }) => excluded) / rollouts,
    alarms: made.filter(rang).length,
    wall: mean(made.map(({ wall }) => wall)),
    cpu: mean(made.map(({ cpu }) => cpu)),
    curve: made[0].steps.map(({ step }, i) => [step, mean(made.map(({ steps }) => steps[i].pass))]),
  };
}

/** Values of k = 1, 2 ... as far as there are any. */
function upTo<T>(most: number, value: (k: number) => T | null): T[] {
  const values = Array.from({ length: most }, (_, i) => value(i + 1));
  const end = values.indexOf(null);
  return values.slice(0, end < 0 ? most : end) as T[];
}

/** Null where one is. */
function meanOf(values: readonly (number | null)[]): number | null {
  return values.some((value) => value === null) ? null : mean(values as readonly number[]);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
