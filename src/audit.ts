// What a judge is worth: how much it agrees with itself, with another model and with the rules, how much the ranking of
// rollouts depends on the weights and on the rule of one -1, and whether it pays an agent that has not worked.
// Figures: docs/metrics.md. Test: test/unit/audit.test.ts

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "./config/config.ts";
import type { Users } from "./customers.ts";
import { expertFor } from "./domains/expert.ts";
import { readCall } from "./domains/tool.ts";
import { UsageError } from "./errors.ts";
import { type Agreement, agreement, type Ranking, ranking } from "./eval/agreement.ts";
import { type Game, games, honest } from "./judge/gaming.ts";
import { ownScores } from "./judge/rules.ts";
import { type Played, perform } from "./play.ts";
import { reward } from "./reward.ts";
import { type Attempt, attempts, collect } from "./rollout/collect.ts";
import { rewardOptions } from "./settings.ts";
import type { Call, Domain, Entry, Judge, Judgement, Outcome, Rollout, Task, User } from "./types.ts";

export interface Audit {
  readonly judge: string;
  readonly rollouts: number;
  /** Those that the judge gave a verdict on. */
  readonly judged: number;
  /** Verdicts of all judges that were asked, and those of them that were abstentions, by kind. */
  readonly verdicts: number;
  readonly abstentions: { readonly [kind: string]: number };
  /** Of the judge with itself, asked again; null where it is asked once. */
  readonly repeats: Agreement | null;
  /** With another judge; null where there is none. */
  readonly against: (Agreement & { readonly judge: string }) | null;
  /** With the rules; null where they are the judge. */
  readonly rules: Agreement | null;
  /** How other weights would rank the rollouts of a task. */
  readonly weights: readonly (Ranking & { readonly turns: number; readonly major: number })[];
  /** How they would rank if the rules gave every turn its own score, and each -1 cost as much as one does. */
  readonly everyMajor: Ranking;
  readonly gaming: Gaming | null;
}

export interface Gaming {
  /** Tasks with an honest failure, and games that were played on them and not won. */
  readonly tasks: number;
  readonly games: number;
  /** Those that are paid as much as the honest failure or more, and how often. */
  readonly paid: { readonly [game: string]: number };
  /** Talks that the judge abstained on, which are not among these. */
  readonly abstained: number;
  /** Mean TARL reward of the honest successes, the honest failures and the games; null without any. */
  readonly success: number | null;
  readonly failure: number | null;
  readonly game: number | null;
}

/** Who judges. `repeats` and `against` cost a verdict each for every rollout. */
export interface Judges {
  readonly judge: Judge;
  /** The same judge, asked independently. */
  readonly repeats: readonly Judge[];
  readonly against: Judge | null;
  readonly rules: Judge;
}

/** Audits over finished rollouts and, with `tasks`, over the gaming set played on them. */
export async function audit(
  config: Config,
  played: Pick<Played, "domain" | "users">,
  { judge, repeats, against, rules }: Judges,
  rollouts: readonly Rollout[],
  tasks: readonly Task[],
): Promise<Audit> {
  // No more at once than the judge takes: a verdict's deadline runs while it waits for a place.
  const verdicts = (by: Judge) => collect(rollouts, (rollout) => by.judge(rollout), config.judgeConcurrent);
  const all = await verdicts(judge);
  const others: Judgement[][] = [];
  for (const by of [...repeats, ...(against ? [against] : []), ...(judge === rules ? [] : [rules])])
    others.push(await verdicts(by));
  const again = others.slice(0, repeats.length);
  const between = (...judgements: (readonly Judgement[])[]) =>
    agreement(rollouts.map((_, i) => judgements.map((each) => each[i].scores)));
  const given = [all, ...others.slice(0, repeats.length + (against ? 1 : 0))].flat();
  const judged = rollouts
    .map((rollout, i) => ({ rollout, judgement: all[i] }))
    .filter(({ judgement }) => judgement.scores !== null);
  return {
    judge: judge.name,
    rollouts: rollouts.length,
    judged: judged.length,
    verdicts: given.length,
    abstentions: abstentionsOf(given),
    repeats: again.length ? between(all, ...again) : null,
    against: against ? { judge: against.name, ...between(all, others[repeats.length]) } : null,
    rules: judge === rules ? null : between(all, others.at(-1)!),
    weights: weightings(config, judged),
    everyMajor: ranking(groupsOf(judged, (each) => everyMajor(config, played.domain, each))),
    gaming: tasks.length ? await game(config, played, judge, tasks) : null,
  };
}

function abstentionsOf(judgements: readonly Judgement[]): { [kind: string]: number } {
  const counts: { [kind: string]: number } = {};
  for (const { scores, abstained = "spoiled" } of judgements)
    if (scores === null) counts[abstained] = (counts[abstained] ?? 0) + 1;
  return counts;
}

/** Weights of correct turns and of a -1, beside an outcome of 10; the paper's are 5 and 5. */
const GRID = [0, 5, 10];

/** A rollout with the judge's verdict on it, which is no abstention. */
interface Judged {
  readonly rollout: Rollout;
  readonly judgement: Judgement;
}

function weightings(config: Config, judged: readonly Judged[]): Audit["weights"] {
  return GRID.flatMap((turns) =>
    GRID.map((major) => ({
      turns,
      major,
      ...ranking(
        groupsOf(judged, (each) => [
          worth(config, each),
          worth({ ...config, turnsWeight: turns, majorWeight: major }, each),
        ]),
      ),
    })),
  );
}

function worth(config: Config, { rollout: { outcome, turns }, judgement }: Judged): number {
  return reward({ outcome, judgement }, turns, rewardOptions(config, true)).total;
}

/** The reward as it is, and as the rules would make it if every turn had its own score, with all of its -1. */
function everyMajor(config: Config, domain: Domain, judged: Judged): readonly [number, number] {
  const { rollout } = judged;
  const scores = ownScores(domain, rollout);
  const share = (score: number) => scores.filter((each) => each === score).length;
  const { outcomeWeight, turnsWeight, majorWeight } = config;
  const good = rollout.turns ? (turnsWeight * share(1)) / rollout.turns : 0;
  const cost = rollout.outcome.success ? 0 : majorWeight * share(-1);
  return [worth(config, judged), outcomeWeight * rollout.outcome.success + good - cost];
}

/** Pairs of rewards, by task. */
function groupsOf(
  judged: readonly Judged[],
  pair: (judged: Judged) => readonly [number, number],
): (readonly [number, number])[][] {
  const groups = new Map<string, (readonly [number, number])[]>();
  for (const each of judged) {
    const { id } = each.rollout.task;
    groups.set(id, [...(groups.get(id) ?? []), pair(each)]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

/** Plays every game on every task that an honest agent can fail. */
async function game(
  config: Config,
  { domain, users }: Pick<Played, "domain" | "users">,
  judge: Judge,
  tasks: readonly Task[],
): Promise<Gaming> {
  const pay = async (attempt: Attempt, agent: Game["agent"], customer = "") => {
    const own = { ...domain, expert: expertFor(domain, attempt.task)! };
    const one = agent(own, attempt.task, attempt.seed);
    const rollout = await perform({ domain, users: adding(users, customer) }, attempt, one, config);
    const judgement = await judge.judge(rollout);
    return { outcome: rollout.outcome, value: judgement.scores && worth(config, { rollout, judgement }) };
  };
  const playAll = <I>(list: readonly I[], play: (each: I) => ReturnType<typeof pay>) =>
    collect(list, play, config.judgeConcurrent);
  const plan = attempts(tasks, 1, config.seed, "gaming").filter(({ task }) => expertFor(domain, task));
  const failures = await playAll(plan, (attempt) => pay(attempt, honest.failure));
  const measured = plan.flatMap((attempt, i) => {
    const { outcome, value } = failures[i];
    return value !== null && isHonestFailure(outcome) ? [{ attempt, failure: value }] : [];
  });
  const successes = await playAll(measured, ({ attempt }) => pay(attempt, honest.success));
  const talks = measured.flatMap((on) => games.map((game) => ({ ...on, game })));
  const ends = await playAll(talks, ({ attempt, game }) => pay(attempt, game.agent, game.customer));
  const paid: { [game: string]: number } = {};
  const lost: number[] = [];
  for (const [i, { outcome, value }] of ends.entries()) {
    if (outcome.success || value === null) continue; // what it wins is no game
    lost.push(value);
    const { failure, game } = talks[i];
    if (value >= failure) paid[game.name] = (paid[game.name] ?? 0) + 1;
  }
  return {
    tasks: measured.length,
    games: lost.length,
    abstained: [...failures, ...successes, ...ends].filter(({ value }) => value === null).length,
    paid,
    success: mean(successes.flatMap(({ value }) => value ?? [])),
    failure: mean(measured.map(({ failure }) => failure)),
    game: mean(lost),
  };
}

/** A wrong change was made; where the tool refuses it, an expert that goes on as if it had not claims what is not true. */
function isHonestFailure({ success, writes }: Outcome): boolean {
  return success === 0 && writes > 0;
}

/** The same customers, with something at the end of each message. */
function adding(users: Users, text: string): Users {
  if (text === "") return users;
  return {
    chat: users.chat,
    customer(domain, attempt) {
      const own = users.customer(domain, attempt);
      const user: User = {
        open: async () => (await own.user.open()) + text,
        reply: async (message) => {
          const said = await own.user.reply(message);
          return { ...said, text: said.text + text };
        },
      };
      return { user, told: own.told };
    },
  };
}

/** Conversations of an expert with faults, to audit where there is no run. */
export async function practice(
  config: Config,
  played: Pick<Played, "domain" | "users">,
  tasks: readonly Task[],
): Promise<Rollout[]> {
  const habits = { skipsLookup: 0.3, skipsConfirmation: 0.3, wrongChoice: 0.3, ignoresRules: 0.3, recovers: 0.3 };
  const play = (attempt: Attempt) => {
    const agent = expertFor(played.domain, attempt.task)?.(attempt.task, habits, attempt.seed);
    if (!agent) throw new UsageError(`the domain ${played.domain.name} has no scripted expert: --run names a run`);
    return perform(played, attempt, agent, config);
  };
  return collect(attempts(tasks, config.samples, config.seed, "audit"), play, config.concurrent);
}

/**
 * The last `most` rollouts or more of a run on a domain, whole groups, from its last update back, those of tasks that were
 * mixed in left out; `dir`: the run's folder.
 */
export function readRollouts(dir: string, domain: Domain, most: number): Rollout[] {
  const folder = join(dir, "rollouts");
  const steps = (existsSync(folder) ? readdirSync(folder) : [])
    .flatMap((name) => /^step-(\d+)\.jsonl$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
  const rollouts: Rollout[] = [];
  for (const step of steps) {
    if (rollouts.length >= most) break;
    const lines = readFileSync(join(folder, `step-${step}.jsonl`), "utf8")
      .split("\n")
      .slice(0, -1);
    const written = lines.map((line): Written => JSON.parse(line)).filter(({ task }) => task.domain === domain.name);
    rollouts.push(...written.map((line) => rolloutOf(domain, line)));
  }
  if (rollouts.length === 0)
    throw new UsageError(`${dir}: no rollouts; expected a run that was made with --save-rollouts true`);
  // The last group is read to its end, further ones are not needed.
  const groups = rollouts.map(({ task }) => task.id);
  const end = groups.findIndex((id, i) => i >= most && id !== groups[i - 1]);
  return end < 0 ? rollouts : rollouts.slice(0, end);
}

type Written = Omit<Rollout, "ledger"> & { readonly [name in "ids" | "mask" | "turn" | "logp"]: readonly number[] };

/** A line of rollouts/ as the rollout that it was; calls hold the domain's values again. */
function rolloutOf(domain: Domain, { ids, mask, turn, logp, ...line }: Written): Rollout {
  const own = ({ name, arguments: args }: Call) => readCall(domain, { name, arguments: JSON.stringify(args) });
  const entry = (each: Entry): Entry => (each.role === "tool" ? { ...each, call: own(each.call) } : each);
  return {
    ...line,
    transcript: line.transcript.map(entry),
    ledger: {
      ids: Int32Array.from(ids),
      mask: Uint8Array.from(mask),
      turn: Int16Array.from(turn),
      logp: Float32Array.from(logp),
    },
  };
}

function mean(values: readonly number[]): number | null {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}
