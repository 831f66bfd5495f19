// `tarl tasks list`: draws tasks as training or evaluation would.

import type { Argv, CommandModule } from "yargs";
import type { Config } from "../../config.ts";
import { blame, UsageError } from "../../errors.ts";
import { openTasks } from "../../play.ts";
import type { TaskSource } from "../../tasks/sampler.ts";
import type { Task } from "../../types.ts";
import { addOptions, addSources, configOf, described, jsonOption, type Sources, wholeNumber } from "../options.ts";

interface Options extends Sources {
  readonly split: string | undefined;
  readonly count: string | undefined;
  readonly json: boolean | undefined;
}

/** What a draw depends on. */
const KEYS = ["domain", "profile", "families", "refuseShare", "trainDatabases", "seed", "evalSeed"] as const;

export default {
  command: "list",
  describe: "Draw tasks over families and databases",
  builder: (yargs: Argv) =>
    addOptions(addSources(yargs), KEYS)
      .option("split", described("which databases they are played on", "train|held-out", "train"))
      .option("count", described("how many", "tasks", "10"))
      .option("json", jsonOption) as unknown as Argv<Options>,
  handler: async (argv) => {
    const config = configOf(argv, KEYS);
    const { tasks } = await openTasks(config);
    const count = wholeNumber("count", argv.count ?? "10", 1);
    const draw = drawOf(argv.split ?? "train", config, tasks);
    for (const task of blame(`--count ${count}`, () => draw(count)))
      process.stdout.write(
        argv.json ? `${JSON.stringify(task)}\n` : `${task.id.padEnd(30)} ${task.scenario.opening}\n`,
      );
  },
} satisfies CommandModule<object, Options>;

/** The tasks of a run's first update, or of its evaluations. */
export function drawOf(split: string, { seed, evalSeed }: Config, tasks: TaskSource): (count: number) => Task[] {
  if (split === "train") return (count) => tasks.train(count, seed, 0);
  if (split === "held-out") return (count) => tasks.heldOut(count, evalSeed);
  throw new UsageError(`--split ${split}: expected train or held-out`);
}
