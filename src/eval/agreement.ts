// How much judges agree with each other, and how much a ranking depends on what is varied: pure statistics of scores and of
// rewards that somebody else has made. Figures: docs/metrics.md. Test: test/unit/agreement.test.ts

import { Random } from "../random.ts";
import type { Interval } from "./metrics.ts";

export interface Agreement {
  /** Conversations and turns that at least two verdicts score. */
  readonly conversations: number;
  readonly turns: number;
  /** Share of pairs of verdicts on one turn that are equal; null without any. */
  readonly exact: number | null;
  /** Krippendorff's alpha, nominal: 1 is agreement, 0 what chance gives; null where every score is the same. */
  readonly alpha: number | null;
  /** 95%, by resampling conversations; null where its figure is null. */
  readonly exactInterval: Interval | null;
  readonly alphaInterval: Interval | null;
}

/** Verdicts on one conversation: scores of its turns, or null where a judge abstained. */
export type Verdicts = readonly (readonly number[] | null)[];

/** Samples of the bootstrap: enough for two digits of an interval. */
const SAMPLES = 1000;

/** Agreement of verdicts on the same turns, conversation by conversation; abstentions are missing values. */
export function agreement(conversations: readonly Verdicts[]): Agreement {
  const tables = conversations.map(turnsOf).filter((turns) => turns.length > 0);
  const whole = figures(tables.flat());
  const random = new Random("agreement", tables.length);
  const samples = Array.from({ length: tables.length > 1 ? SAMPLES : 0 }, () =>
    figures(tables.flatMap(() => tables[random.int(tables.length)])),
  );
  return {
    conversations: tables.length,
    turns: tables.flat().length,
    ...whole,
    exactInterval: quantiles(samples.map(({ exact }) => exact)),
    alphaInterval: quantiles(samples.map(({ alpha }) => alpha)),
  };
}

/** The scores of each turn that has two or more. */
function turnsOf(verdicts: Verdicts): number[][] {
  const given = verdicts.filter((scores) => scores !== null);
  if (given.length < 2) return [];
  return given[0].map((_, turn) => given.map((scores) => scores[turn]));
}

/**
 * Krippendorff's alpha for nominal data and any number of raters: 1 - (n - 1) sum o_ck / sum n_c n_k over c != k, with o the
 * coincidences of values, each unit's pairs weighted by 1 / (raters - 1) (Krippendorff 2011, "Computing Krippendorff's
 * alpha-reliability").
 */
function figures(units: readonly (readonly number[])[]): Pick<Agreement, "exact" | "alpha"> {
  const totals = new Map<number, number>();
  let [pairs, equal, differing, n] = [0, 0, 0, 0];
  for (const values of units) {
    n += values.length;
    for (const [i, a] of values.entries()) {
      totals.set(a, (totals.get(a) ?? 0) + 1);
      for (const [j, b] of values.entries()) {
        if (i === j) continue;
        pairs++;
        if (a === b) equal++;
        else differing += 1 / (values.length - 1);
      }
    }
  }
  const expected = n ** 2 - [...totals.values()].reduce((sum, count) => sum + count ** 2, 0);
  return { exact: pairs ? equal / pairs : null, alpha: expected ? 1 - ((n - 1) * differing) / expected : null };
}

/** Where the middle 95% of the samples lie, those without a value left out. */
function quantiles(values: readonly (number | null)[]): Interval | null {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))];
  return [at(0.025), at(0.975)];
}

/** How another reward ranks the rollouts of a group, beside the one that is used. */
export interface Ranking {
  /** Mean over groups of Kendall's tau-b; null where no group has two ranks in both. */
  readonly tau: number | null;
  /** Groups that it is a mean over. */
  readonly groups: number;
  /** Share of all groups whose best rollout is another one; null without groups. */
  readonly bestChanges: number | null;
}

/** `groups`: for each rollout of a group its reward as it is, and as it would be. */
export function ranking(groups: readonly (readonly (readonly [own: number, other: number])[])[]): Ranking {
  const taus = groups.map(kendall).filter((tau) => tau !== null);
  return {
    tau: taus.length ? taus.reduce((sum, tau) => sum + tau, 0) / taus.length : null,
    groups: taus.length,
    bestChanges: groups.length ? groups.filter(losesBest).length / groups.length : null,
  };
}

/** Kendall's tau-b (1945): concordant minus discordant pairs over the geometric mean of the pairs untied in each. */
export function kendall(pairs: readonly (readonly [number, number])[]): number | null {
  let [agreeing, inOwn, inOther] = [0, 0, 0];
  for (const [i, [a, b]] of pairs.entries())
    for (const [c, d] of pairs.slice(0, i)) {
      const [one, two] = [Math.sign(a - c), Math.sign(b - d)];
      agreeing += one * two;
      inOwn += Math.abs(one);
      inOther += Math.abs(two);
    }
  return inOwn * inOther > 0 ? agreeing / Math.sqrt(inOwn * inOther) : null;
}

/** Is none of the best rollouts among the best of the other reward? */
function losesBest(pairs: readonly (readonly [number, number])[]): boolean {
  const [own, other] = [0, 1].map((side) => Math.max(...pairs.map((pair) => pair[side])));
  return !pairs.some(([a, b]) => a === own && b === other);
}
