// `tarl tasks list`: draws tasks as training or evaluation would, or lists those of a set in their order.

import type { Argv, CommandModule } from "yargs";
import { tasksOf } from "../../tasks/set.ts";
import type { Task } from "../../types.ts";
import { configOf, openNamed, wholeNumber } from "../options.ts";
import { addSelection, checkAlone, draw, type Selection } from "./selection.ts";

const KEYS = ["domain", "profile", "families", "refuseShare", "trainDatabases", "seed", "evalSeed"] as const;

export default {
  command: "list",
  describe: "Draw tasks over families and databases",
  builder: (yargs: Argv) => addSelection(yargs, KEYS, "list", "10"),
  handler,
} satisfies CommandModule<object, Selection>;

async function handler(argv: Selection): Promise<void> {
  const count = wholeNumber("count", argv.count ?? "10", 1);
  const tasks = argv.tasks === undefined ? await drawn(argv, count) : listed(argv.tasks, argv, count);
  for (const task of tasks)
    process.stdout.write(
      argv.json ? `${JSON.stringify(task)}\n` : `${task.id.padEnd(30)} ${oneLine(task.scenario.opening)}\n`,
    );
}

async function drawn(argv: Selection, count: number): Promise<Task[]> {
  const { openTasks } = await import("../../play.ts");
  const config = configOf(argv, KEYS);
  return draw(await openTasks(config), config, argv.split, count);
}

function listed(path: string, argv: Selection, count: number): readonly Task[] {
  checkAlone(argv);
  return tasksOf(openNamed(path), argv.split).slice(0, count);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ");
}
