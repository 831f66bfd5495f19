// The whole method on one page: here the stages meet, and no stage knows another.
// tasks -> rollouts -> verdicts -> rewards -> advantages -> batch -> step -> metrics -> checkpoint.
// Each stage has its own file; nothing here computes. A run is a function of its config: resuming gives the same bytes.
// Test: test/unit/loop.test.ts, test/e2e/train.test.ts, test/e2e/algorithms.test.ts

import { setMaxListeners } from "node:events";
import type { Advantages, Lesson } from "./algorithms/algorithm.ts";
import { algorithm } from "./algorithms/index.ts";
import type { Tracker } from "./algorithms/spo.ts";
import { corrected, mismatch } from "./algorithms/tis.ts";
import { miniBatches, pack } from "./batch.ts";
import { type Config, playsAhead } from "./config/config.ts";
import { faulty } from "./errors.ts";
import { ruleJudge } from "./judge/rules.ts";
import { measure, policyOf } from "./measure.ts";
import { openMix, type Table } from "./play.ts";
import { Random } from "./random.ts";
import { carry, readCarried } from "./run/carried.ts";
import { evaluationFile, mixEvaluationFile } from "./run/closing.ts";
import type { RunDirectory } from "./run/directory.ts";
import { type Graded, rolloutLine, type StepLine, stepLine } from "./run/metrics.ts";
import type { Observer } from "./run/observer.ts";
import { algorithmOptions, optimizerOptions, packOptions, tisOptions } from "./settings.ts";
import { Curriculum } from "./training/curriculum.ts";
import { type Gathered, gather, type Harvest, regain } from "./training/gather.ts";
import { playedFrom, scheduled } from "./training/mix.ts";
import { Networks } from "./training/networks.ts";
import type { Domain, Judge, StepStats } from "./types.ts";

/** How a person stops a run: `requested` ends it after the step, `signal` breaks off an evaluation. */
export interface Stop {
  readonly requested: boolean;
  readonly signal: AbortSignal;
}

/** What a run is made with. */
export interface Training {
  readonly config: Config;
  readonly table: Table;
  /** Scores what is learned from, by its domain; measurements are scored by the rules. */
  readonly judge: (domain: Domain) => Judge;
  readonly run: RunDirectory;
  readonly observer: Observer;
  readonly stop: Stop;
}

/** What a run carries from one update to the next besides the weights of its networks. */
type Carried = {
  /** Conversations of the next update that were played already. */
  readonly ahead: readonly Gathered[] | null;
  readonly tracker: Tracker | null;
};

/** Trains from `start` finished updates to the end; false when it was stopped before, with a checkpoint to go on from. */
export async function train(training: Training, start: number): Promise<boolean> {
  const { config, table, run, observer, stop } = training;
  const carried = readCarried<Carried>(start > 0 ? run.checkpointPath(start) : null);
  const curriculum = new Curriculum(config, carried?.tracker ?? null);
  const other = await openMix(config);
  const mixed = other && table.beside(other);
  const due = (step: number) => {
    const update = scheduled(config, step);
    const own = update.mixed ? mixed! : table;
    return { ...update, table: own, judge: own.domain.grade ? null : training.judge(own.domain) };
  };
  const over = new AbortController();
  const { signal } = over;
  setMaxListeners(0, signal); // every verdict under way listens
  const begin = (step: number): Harvest => {
    const { index, table, ...own } = due(step);
    const judge = stop.requested ? null : own.judge; // then whoever resumes asks
    const tasks = (again: number) => curriculum.tasks(table.tasks, index, again);
    return gather({ config, table, judge, tasks, finished: observer.playing(step), signal }, index);
  };
  const regained = () => regain({ config, judge: due(playedFrom(config, start)!).judge, signal }, carried!.ahead!);
  let ahead = carried?.ahead ? regained() : null;

  let saved = start;
  const save = async (step: number) => {
    if (step === saved) return;
    await run.checkpoint(step, config.keep, async (dir) => {
      await table.save(dir);
      const whole = table.users.chat?.stopped() ? null : await ahead?.played; // an outage spoils what is played ahead
      carry(dir, { ahead: whole ?? null, tracker: curriculum.tracker } satisfies Carried);
    });
    saved = step;
  };

  const networks = await Networks.open(config, table);
  try {
    for (let step = start; ; step++) {
      await measureWhereDue(training, mixed, step);
      if (stop.requested) {
        await save(step);
        return false;
      }
      if (step === config.steps) return true;
      if (due(step).skipped) {
        if ((step + 1) % config.saveEvery === 0 || step + 1 === config.steps) await save(step + 1);
        continue;
      }

      observer.began("rollout");
      const harvest = ahead ?? begin(step);
      await harvest.played;
      const silent = table.users.chat?.stopped();
      if (silent) {
        await save(step);
        throw new Error(`${silent.message}; --resume ${run.name} goes on`);
      }
      observer.began("judge");
      const next = playsAhead(config) ? playedFrom(config, step + 1) : null;
      ahead = next === null ? null : begin(next);
      const graded = await harvest.graded;
      await ahead?.played;

      const line = await update(training, networks, curriculum, graded, step);
      run.append("metrics.jsonl", line);
      observer.updated(line);
      if (line.step % config.saveEvery === 0 || line.step === config.steps || stop.requested) await save(line.step);
    }
  } finally {
    over.abort();
    await networks.dispose();
  }
}

/** One update, from graded rollouts to the networks' next weights. `step` counts the updates before it. */
async function update(
  { config, run, observer }: Training,
  networks: Networks,
  curriculum: Curriculum,
  graded: readonly Graded[],
  step: number,
): Promise<StepLine> {
  const [{ rollout: first }] = graded;
  if (graded.every(({ rollout: { ending } }) => faulty(ending)))
    throw new Error(`step ${step + 1}: every rollout was spoiled: ${first.error ?? `it ended with "${first.ending}"`}`);

  observer.began("train");
  const learned = graded.filter((each) => each.learned);
  const taught = learned.length > 0 ? await teach(config, networks, curriculum, learned, step) : nothing;

  observer.began("write");
  if (config.saveRollouts) {
    const lines = graded.map((each) => rolloutLine(each, taught.values[learned.indexOf(each)]));
    run.writeText(`rollouts/step-${step + 1}.jsonl`, lines.join(""));
  }
  const { flat, groups, stats, mismatch } = taught;
  const line = stepLine(step + 1, optimizerOptions(config, step).lr, graded, groups ? flat / groups : 0, stats);
  return mismatch === undefined ? line : { ...line, mismatch };
}

/** What was done with the rollouts of an update. */
interface Taught extends Advantages {
  readonly stats: readonly StepStats[];
  /** Between trainer and sampler, where the steps' own figure is of something else. */
  readonly mismatch?: number;
}

/** Where the judge abstained on all of them and `--abstain` is drop, or no group was kept: the weights stay as they are. */
const nothing: Taught = { values: [], flat: 0, groups: 0, stats: [] };

/** From rewards to advantages to batches to steps. */
async function teach(
  config: Config,
  networks: Networks,
  curriculum: Curriculum,
  learned: readonly Graded[],
  step: number,
): Promise<Taught> {
  const tasks = learned.map(({ rollout }) => rollout.task.id);
  const ledgers = learned.map(({ rollout }) => rollout.ledger);
  const said = await networks.read(ledgers);
  const samples = learned.map(({ reward }, i) => ({
    ...{ task: tasks[i], reward, ledger: ledgers[i] },
    ...said[i],
    ...curriculum.expected(tasks[i]),
  }));
  const advantages = algorithm(algorithmOptions(config))(samples);
  const { values, returns } = advantages;
  const plain = ledgers.map((ledger, i): Lesson => {
    const { ownLogp: oldLogp, refLogp, values: old } = said[i];
    const targets = old && returns && { values: { old, returns: returns[i] } };
    return { ledger, advantage: values[i], oldLogp, refLogp, ...targets };
  });
  const tis = tisOptions(config);
  const lessons = tis ? corrected(plain, tis) : plain;

  const stats: StepStats[] = [];
  for (let epoch = 0; epoch < config.epochs; epoch++) {
    const order = new Random("mini-batches", config.seed, step, epoch);
    for (const members of miniBatches(tasks, config.miniBatches, order)) {
      const batch = pack(
        members.map((i) => lessons[i]),
        packOptions(config),
      );
      if (batch.ids.length > 0) stats.push(await networks.learn(batch, step));
    }
  }
  if (curriculum.tracker) curriculum.visited(learned, await networks.logp(ledgers));
  return { ...advantages, stats, ...(tis && { mismatch: mismatch(plain) }) };
}

/**
 * Plays the held-out tasks with the policy as it stands: before, after, and in between where the config asks for it;
 * those that are mixed in, before and after.
 */
async function measureWhereDue(training: Training, mixed: Table | null, step: number): Promise<void> {
  const { config, table } = training;
  const { evalTasks, mixEvalTasks, evalEvery, steps } = config;
  const outer = step === 0 || step === steps;
  if (outer || (evalEvery > 0 && step % evalEvery === 0)) await measureOn(training, table, evalTasks, step);
  if (outer && mixed) await measureOn(training, mixed, mixEvalTasks, step, mixed.domain.name);
}

async function measureOn(training: Training, table: Table, tasks: number, step: number, mix?: string): Promise<void> {
  const { run, observer, stop } = training;
  const config = { ...training.config, evalTasks: tasks };
  const file = mix === undefined ? evaluationFile(step) : mixEvaluationFile(step);
  if (tasks === 0 || stop.requested || run.readJson(file)) return;
  observer.began("evaluate");
  const evaluation = await measure(config, table, ruleJudge(table.domain), policyOf(config, table, stop.signal), {
    finished: observer.conversed,
    signal: stop.signal,
  });
  if (stop.signal.aborted) return;
  if (evaluation.stopped !== undefined) throw new Error(`the measurement stopped: ${evaluation.stopped}`);
  run.writeJson(file, evaluation);
  observer.measured(step, evaluation, mix);
}
