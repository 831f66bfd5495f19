// The rollouts of one update with their verdicts and rewards. Each is judged as soon as it ends, while others are still
// played; under dynamic sampling, as soon as its group turns out to be one that teaches something. Not the learning.
// Test: test/unit/gather.test.ts

import { mixedGroups } from "../algorithms/group.ts";
import { lessOverlong } from "../algorithms/overlong.ts";
import type { Config } from "../config/config.ts";
import { faulty } from "../errors.ts";
import type { Table } from "../play.ts";
import { reward } from "../reward.ts";
import { attempts } from "../rollout/collect.ts";
import type { Graded } from "../run/metrics.ts";
import { overlongOptions, rewardOptions, trainSampling } from "../settings.ts";
import type { Judge, Judgement, Ledger, Rollout, Task } from "../types.ts";

/** How an update's rollouts are gathered. */
export interface Gathering {
  readonly config: Config;
  readonly table: Table;
  /** Null: turns have no scores here. */
  readonly judge: Judge | null;
  /** The tasks of a draw: 0, and further ones where groups of earlier ones were left out. */
  readonly tasks: (draw: number) => readonly Task[];
  /** Told of every conversation that ends, of `count` that are played. */
  readonly finished: (count: number) => (rollout: Rollout, done: number) => void;
  /** Ends the wait for verdicts, which are abstentions then; conversations are played to their end. */
  readonly signal?: AbortSignal;
}

/** What is gathered for one update. Both promises are under way. */
export interface Harvest {
  /** Every rollout, in the order of the plan; the engine is idle when it resolves. */
  readonly played: Promise<readonly Gathered[]>;
  readonly graded: Promise<readonly Graded[]>;
}

/** A rollout; not `kept`: its group was left out. */
export interface Gathered {
  readonly rollout: Rollout;
  readonly kept: boolean;
}

export function gather(gathering: Gathering, step: number): Harvest {
  const verdicts = new Verdicts(gathering.judge, gathering.signal);
  return harvest(gathering.config, play(gathering, step, verdicts), verdicts);
}

/** Goes on with rollouts that were played before. */
export function regain(
  { config, judge, signal }: Pick<Gathering, "config" | "judge" | "signal">,
  rollouts: readonly Gathered[],
): Harvest {
  return harvest(config, Promise.resolve(rollouts), new Verdicts(judge, signal));
}

function harvest(config: Config, played: Promise<readonly Gathered[]>, verdicts: Verdicts): Harvest {
  const graded = grade(config, played, verdicts);
  graded.catch(() => {}); // whoever awaits it later is told
  return { played, graded };
}

async function play(
  { config, table, tasks, finished }: Gathering,
  step: number,
  verdicts: Verdicts,
): Promise<readonly Gathered[]> {
  const { samples, seed, dynamicSampling, maxDraws, tasksPerStep, reflection } = config;
  const sampling = trainSampling(config);
  const played: Gathered[] = [];
  const drawn = new Set<string>();
  let groups = 0;
  for (let draw = 0; groups < tasksPerStep && draw < (dynamicSampling ? maxDraws : 1); draw++) {
    const fresh = tasks(draw).filter(({ id }) => !drawn.has(id));
    for (const { id } of fresh) drawn.add(id);
    const plan = attempts(fresh, samples, seed, "train", step);
    const converse = async (attempt: (typeof plan)[number]) => {
      const rollout = await table.converse(attempt, sampling, undefined, reflection);
      if (!dynamicSampling) verdicts.ask(rollout);
      return rollout;
    };
    const rollouts = await table.collect(plan, converse, finished(plan.length));
    const teaching = dynamicSampling ? mixed(rollouts).slice(0, tasksPerStep - groups) : fresh.map(({ id }) => id);
    groups += teaching.length;
    for (const rollout of rollouts) {
      const kept = teaching.includes(rollout.task.id);
      if (kept) verdicts.ask(rollout);
      played.push({ rollout, kept });
    }
    if (table.users.chat?.stopped()) break;
  }
  return played;
}

/** Tasks with successes and failures among the conversations that came to an end. */
function mixed(rollouts: readonly Rollout[]): string[] {
  const whole = rollouts.filter(({ ending }) => !faulty(ending));
  return mixedGroups(
    whole.map(({ outcome }) => outcome.success),
    whole.map(({ task }) => task.id),
  );
}

async function grade(
  config: Config,
  played: Promise<readonly Gathered[]>,
  verdicts: Verdicts,
): Promise<readonly Graded[]> {
  return Promise.all(
    (await played).map(async ({ rollout, kept }) => {
      const spoiled = faulty(rollout.ending);
      const judgement = kept && !spoiled ? await verdicts.ask(rollout) : null;
      const verdict = { outcome: rollout.outcome, judgement };
      const [plain, tarl] = [config.tarl, true].map((tarl) =>
        reward(verdict, rollout.turns, rewardOptions(config, tarl)),
      );
      const own = lessOverlong(plain, longest(rollout.ledger), overlongOptions(config));
      const abstained = judgement !== null && judgement.scores === null;
      const learned = kept && !spoiled && !(abstained && config.abstain === "drop");
      return { rollout, judgement, reward: own, tarl, kept, learned };
    }),
  );
}

/** Asks once for each rollout. */
class Verdicts {
  readonly #asked = new Map<Rollout, Promise<Judgement | null>>();

  constructor(
    private readonly judge: Judge | null,
    private readonly signal?: AbortSignal,
  ) {}

  ask(rollout: Rollout): Promise<Judgement | null> {
    const known = this.#asked.get(rollout);
    if (known) return known;
    const asked =
      faulty(rollout.ending) || !this.judge ? Promise.resolve(null) : this.judge.judge(rollout, this.signal);
    asked.catch(() => {}); // whoever awaits it later is told
    this.#asked.set(rollout, asked);
    return asked;
  }
}

/** Tokens of the longest context that a rollout was played in. */
function longest({ ids, rows = Int32Array.of(0, ids.length) }: Ledger): number {
  return rows.subarray(1).reduce((most, end, i) => Math.max(most, end - rows[i]), 0);
}
