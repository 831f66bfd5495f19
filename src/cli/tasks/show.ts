// `tarl tasks show`: prints one task, of a domain or of a set, as a reader or as JSON.

import type { Argv, CommandModule } from "yargs";
import { domainNames, domain as findDomain } from "../../domains/index.ts";
import { UsageError } from "../../errors.ts";
import { tasksOf } from "../../tasks/set.ts";
import type { Task } from "../../types.ts";
import { described, jsonOption, openNamed } from "../options.ts";

interface Options {
  readonly id: string;
  readonly tasks: string | undefined;
  readonly domain: string | undefined;
  readonly json: boolean | undefined;
}

export default {
  command: "show <id>",
  describe: "Print one task, by the id that list printed",
  builder: (yargs: Argv) =>
    yargs
      .positional("id", {
        type: "string",
        demandOption: true,
        describe: "domain/database/family/index, or an id of the set",
      })
      .option("tasks", described("the task set that it is in", "folder or .jsonl", "none"))
      .option("domain", described("the folder of a domain of your own", "folder", "the domain that the id names"))
      .option("json", jsonOption) as unknown as Argv<Options>,
  handler: async ({ id, tasks, domain, json }) => {
    if (tasks !== undefined && domain !== undefined)
      throw new UsageError("--domain with --tasks: the set names its domain");
    const task = tasks === undefined ? await findTask(id, domain) : findInSet(id, tasks);
    process.stdout.write(`${json ? JSON.stringify(task) : describe(task)}\n`);
  },
} satisfies CommandModule<object, Options>;

function findInSet(id: string, path: string): Task {
  const tasks = tasksOf(openNamed(path));
  const task = tasks.find((task) => task.id === id);
  if (!task) throw new UsageError(`${id}: no such task in ${path}; expected an id as "tasks list --tasks" prints it`);
  return task;
}

async function findTask(id: string, folder: string | undefined): Promise<Task> {
  const [name, database, family, index] = id.split("/");
  const known = folder ?? (domainNames.includes(name) ? name : null);
  const domain = known === null ? null : await findDomain(known);
  const numbers = [database, index].map(Number);
  const task =
    domain?.families.includes(family) && numbers.every((n) => Number.isInteger(n) && n >= 0)
      ? domain.task(family, numbers[0], numbers[1])
      : null;
  if (task?.id !== id)
    throw new UsageError(
      `${id}: no such task; expected domain/database/family/index, as "tasks list" prints it (of a folder: with --domain)`,
    );
  return task;
}

function describe({ id, instruction, scenario, lookups = [], actions, outputs, forbidden }: Task): string {
  return [
    id,
    "",
    instruction,
    "",
    `opening    ${scenario.opening}`,
    ...Object.entries(scenario.facts).map(([slot, answer]) => `fact       ${slot}: ${answer}`),
    ...lookups.map((lookup) => `look-up    ${lookup.name} ${lookup.arguments}`),
    ...actions.map((action) => `action     ${action.name} ${action.arguments}`),
    ...(forbidden ? [`forbidden  ${forbidden.action.name} ${forbidden.action.arguments}: ${forbidden.rule}`] : []),
    ...outputs.map((output) => `to be said ${output}`),
    ...(actions.length ? [] : ["action     none: nothing may change"]),
  ].join("\n");
}
