// `tarl tasks list`: draws tasks as training or evaluation would, or lists those of a set in their order.

import type { Argv, CommandModule } from "yargs";
import { type Config, flagName } from "../../config.ts";
import { blame, UsageError } from "../../errors.ts";
import type { TaskSource } from "../../tasks/sampler.ts";
import { openSet, tasksOf } from "../../tasks/set.ts";
import type { Task } from "../../types.ts";
import {
  addOptions,
  addSources,
  configOf,
  described,
  jsonOption,
  type Sources,
  typedOptions,
  wholeNumber,
} from "../options.ts";

interface Options extends Sources {
  readonly tasks: string | undefined;
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
      .option("tasks", described("a task set to list instead", "folder or .jsonl", "none"))
      .option(
        "split",
        described("which databases they are played on; of a set, its split", "train|held-out", "train; all"),
      )
      .option("count", described("how many", "tasks", "10"))
      .option("json", jsonOption) as unknown as Argv<Options>,
  handler: async (argv) => {
    const count = wholeNumber("count", argv.count ?? "10", 1);
    const tasks = argv.tasks === undefined ? await drawn(argv, count) : listed(argv.tasks, argv, count);
    for (const task of tasks)
      process.stdout.write(
        argv.json ? `${JSON.stringify(task)}\n` : `${task.id.padEnd(30)} ${oneLine(task.scenario.opening)}\n`,
      );
  },
} satisfies CommandModule<object, Options>;

async function drawn(argv: Options, count: number): Promise<Task[]> {
  const { openTasks } = await import("../../play.ts");
  const config = configOf(argv, KEYS);
  const { tasks } = await openTasks(config);
  const draw = drawOf(argv.split ?? "train", config, tasks);
  return blame(`--count ${count}`, () => draw(count));
}

function listed(path: string, argv: Options, count: number): readonly Task[] {
  const sources = (["preset", "config"] as const).filter((key) => argv[key] !== undefined);
  const typed = [...sources, ...Object.keys(typedOptions(argv))].find((key) => key !== "tasks");
  if (typed)
    throw new UsageError(`--tasks ${path} with ${flagName(typed)}: a set is listed as it is, leave one of them out`);
  return tasksOf(openSet(path), argv.split).slice(0, count);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ");
}

/** The tasks of a run's first update, or of its evaluations. */
export function drawOf(split: string, { seed, evalSeed }: Config, tasks: TaskSource): (count: number) => Task[] {
  if (split === "train") return (count) => tasks.train(count, seed, 0);
  if (split === "held-out") return (count) => tasks.heldOut(count, evalSeed);
  throw new UsageError(`--split ${split}: expected train or held-out`);
}
