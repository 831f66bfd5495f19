// The whole method on one page: here the stages meet, and no stage knows another.
// tasks -> rollouts -> judgements -> rewards -> advantages -> batch -> step -> metrics -> checkpoint.
// Each stage has its own file; nothing here computes. A run is a function of its config: resuming gives the same bytes.
// Test: test/e2e/train.test.ts

import { advantages, spreadTurns, turnAdvantages } from "./advantage.ts";
import { pack } from "./batch.ts";
import type { Config } from "./config.ts";
import { faulty } from "./errors.ts";
import { ruleJudge } from "./judge/rules.ts";
import { measure, policyOf } from "./measure.ts";
import { openReference, type Table } from "./play.ts";
import { reward } from "./reward.ts";
import { attempts } from "./rollout/collect.ts";
import { evaluationFile } from "./run/closing.ts";
import type { RunDirectory } from "./run/directory.ts";
import { type Graded, rolloutLine, type StepLine, stepLine } from "./run/metrics.ts";
import type { Observer } from "./run/observer.ts";
import {
  advantageOptions,
  lossOptions,
  optimizerOptions,
  packOptions,
  rewardOptions,
  trainSampling,
  turnAdvantageOptions,
} from "./settings.ts";
import type { Judge, Reward, Rollout, Scorer, StepStats } from "./types.ts";

/** How a person stops a run: `requested` ends it after the step, `signal` breaks off an evaluation. */
export interface Stop {
  readonly requested: boolean;
  readonly signal: AbortSignal;
}

/** What a run is made with. */
export interface Training {
  readonly config: Config;
  readonly table: Table;
  readonly run: RunDirectory;
  readonly observer: Observer;
  readonly stop: Stop;
}

/** Trains from `start` finished updates to the end; false when it was stopped before, with a checkpoint to go on from. */
export async function train(training: Training, start: number): Promise<boolean> {
  const { config, table, run, observer, stop } = training;
  const judge = ruleJudge(table.domain);
  const reference = config.klCoef > 0 ? await openReference(config, table) : null;
  let saved = start;
  const save = async (step: number) => {
    if (step === saved) return;
    await run.checkpoint(step, config.keep, (dir) => table.policy.save(dir, { optimizer: true }));
    saved = step;
  };
  try {
    for (let step = start; ; step++) {
      await measureWhereDue(training, judge, step);
      if (stop.requested) {
        await save(step);
        return false;
      }
      if (step === config.steps) return true;

      const line = await update(training, judge, reference, step);
      if (!line) {
        await save(step);
        throw new Error(`${table.users.chat!.stopped()!.message}; --resume ${run.name} goes on`);
      }
      run.append("metrics.jsonl", line);
      observer.updated(line);
      if (line.step % config.saveEvery === 0 || line.step === config.steps || stop.requested) await save(line.step);
    }
  } finally {
    await reference?.dispose();
  }
}

/**
 * One update, from the tasks of this step to the policy's next weights; null where the customers' model will not answer
 * any more. `step` counts the updates before it.
 */
async function update(
  training: Training,
  judge: Judge,
  reference: Scorer | null,
  step: number,
): Promise<StepLine | null> {
  const { config, table, run, observer } = training;
  const { policy } = table;
  const tasks = table.tasks.train(config.tasksPerStep, config.seed, step);

  observer.began("rollout");
  const plan = attempts(tasks, config.samples, config.seed, "train", step);
  const sampling = trainSampling(config);
  const rollouts = await table.collect(
    plan,
    (attempt) => table.converse(attempt, sampling),
    observer.played(plan.length),
  );
  if (table.users.chat?.stopped()) return null;

  observer.began("judge");
  const graded = await Promise.all(rollouts.map((rollout) => grade(config, judge, rollout)));
  const learned = graded.filter((each) => each.learned);
  if (learned.length === 0) throw new Error(`step ${step + 1}: no rollout can be learned from: ${whyNot(rollouts)}`);

  observer.began("train");
  const { values, flat, groups } = advantage(config, learned);
  let batch = pack(
    learned.map(({ rollout }) => rollout.ledger),
    values,
    packOptions(config),
  );
  if (reference) batch = { ...batch, refLogp: (await reference.score(batch.ids, batch.rows, config.temperature)).logp };
  const optimizer = optimizerOptions(config, step);
  const stats: StepStats[] = [];
  for (let epoch = 0; epoch < config.epochs && batch.ids.length > 0; epoch++)
    stats.push(await policy.step(batch, lossOptions(config), optimizer));

  observer.began("write");
  if (config.saveRollouts) {
    const lines = graded.map((each) => rolloutLine(each, values[learned.indexOf(each)]));
    run.writeText(`rollouts/step-${step + 1}.jsonl`, lines.join(""));
  }
  return stepLine(step + 1, optimizer.lr, graded, flat.length / groups, stats);
}

/** Verdict and rewards of one rollout. The TARL reward is made whether the policy learns from it or not. */
async function grade(config: Config, judge: Judge, rollout: Rollout): Promise<Graded> {
  const judgement = faulty(rollout.ending) ? { scores: null, reasons: [] } : await judge.judge(rollout);
  const verdict = { outcome: rollout.outcome, judgement };
  const [own, tarl] = [config.tarl, true].map((tarl) => reward(verdict, rollout.turns, rewardOptions(config, tarl)));
  const learned = !faulty(rollout.ending) && (config.abstain === "outcome" || judgement.scores !== null);
  return { rollout, judgement, reward: own, tarl, learned };
}

/** Advantages within the groups: one for each rollout, or one for each of its tokens where turns are credited. */
function advantage(config: Config, graded: readonly Graded[]) {
  const tasks = graded.map(({ rollout }) => rollout.task.id);
  const groups = new Set(tasks).size;
  if (config.credit === "trajectory")
    return {
      groups,
      ...advantages(
        graded.map(({ reward }) => reward.total),
        tasks,
        advantageOptions(config),
      ),
    };
  const shares = graded.map(({ reward, rollout }) => sharesOf(reward, rollout.turns));
  const { values, flat } = turnAdvantages(shares, tasks, turnAdvantageOptions(config));
  return { groups, flat, values: graded.map(({ rollout }, i) => spreadTurns(values[i], rollout.ledger.turn)) };
}

/** What each turn brought; a rollout without a verdict has its whole reward on the last one. */
function sharesOf({ perTurn, total }: Reward, turns: number): readonly number[] {
  return perTurn.length ? perTurn : Array.from({ length: turns }, (_, turn) => (turn === turns - 1 ? total : 0));
}

/** Plays the held-out tasks with the policy as it stands: before, after, and in between where the config asks for it. */
async function measureWhereDue(training: Training, judge: Judge, step: number): Promise<void> {
  const { config, table, run, observer, stop } = training;
  const { evalTasks, evalEvery, steps } = config;
  const due = step === 0 || step === steps || (evalEvery > 0 && step % evalEvery === 0);
  if (!due || evalTasks === 0 || run.readJson(evaluationFile(step))) return;
  observer.began("evaluate");
  const evaluation = await measure(config, table, judge, policyOf(config, table, stop.signal), {
    finished: observer.conversed,
    signal: stop.signal,
  });
  if (stop.signal.aborted) return;
  if (evaluation.stopped !== undefined) throw new Error(`the measurement stopped: ${evaluation.stopped}`);
  run.writeJson(evaluationFile(step), evaluation);
  observer.measured(step, evaluation);
}

function whyNot(rollouts: readonly Rollout[]): string {
  const { ending, error } = rollouts[0];
  return error ?? `the first one ended with "${ending}"`;
}
