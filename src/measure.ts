// Measures an agent on held-out tasks: the same tasks, users and seeds every time, so that two measurements can be paired.
// Joins sampler, conversations, judge and src/eval/; used by train.ts before and after, and by the eval command.
// Test: test/unit/evaluate.test.ts

import type { Config } from "./config.ts";
import { blame, faulty, UsageError } from "./errors.ts";
import { agents, type Evaluation, evaluate } from "./eval/evaluate.ts";
import { ruleJudge } from "./judge/rules.ts";
import { openTasks, perform, Table } from "./play.ts";
import { reward } from "./reward.ts";
import { type Attempt, attempts, collect } from "./rollout/collect.ts";
import { evalSampling, rewardOptions } from "./settings.ts";
import type { TaskSource } from "./tasks/sampler.ts";
import type { Judge, Rollout } from "./types.ts";

/** Plays a plan of conversations and reports every finished one. */
type Play = (plan: readonly Attempt[]) => Promise<readonly Rollout[]>;

export function measure(
  config: Config,
  { tasks: source, decode }: { tasks: TaskSource; decode: (ids: Int32Array) => string },
  judge: Judge,
  play: Play,
): Promise<Evaluation> {
  const { evalTasks, evalTrials, evalSeed } = config;
  const tasks = blame(`--eval-tasks ${evalTasks}`, () => source.heldOut(evalTasks, evalSeed));
  return evaluate(tasks, {
    trials: evalTrials,
    play: (tasks, trials) => play(attempts(tasks, trials, evalSeed, "held-out")),
    decode,
    value: async (rollout) => {
      if (faulty(rollout.ending)) return null;
      const verdict = { outcome: rollout.outcome, judgement: await judge.judge(rollout) };
      return verdict.judgement.scores && reward(verdict, rollout.turns, rewardOptions(config, true)).total;
    },
  });
}

/** A measurement by itself: of the policy of a config, or of one of `agents`. */
export async function measureAgent(
  config: Config,
  name: string,
  finished: (done: number, count: number) => void,
): Promise<Evaluation> {
  const told = (plan: readonly Attempt[]) => (_: Rollout, done: number) => finished(done, plan.length);
  if (name === "policy") {
    const table = await Table.open(config, null);
    const sampling = evalSampling(config);
    try {
      return await measure(config, table, ruleJudge(table.domain), (plan) =>
        table.collect(plan, (attempt) => table.converse(attempt, sampling), told(plan)),
      );
    } finally {
      await table.policy.dispose();
    }
  }
  const { domain, tasks } = await openTasks(config);
  return measure(config, { tasks, decode: () => "" }, ruleJudge(domain), (plan) =>
    collect(
      plan,
      (attempt) => {
        const agent = agents[name](domain, attempt.task, attempt.seed);
        if (!agent) throw new UsageError(`--agent ${name}: the domain ${domain.name} has none`);
        return perform(domain, attempt, agent, config);
      },
      config.concurrent,
      told(plan),
    ),
  );
}
