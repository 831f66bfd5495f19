// `tarl tasks`: what the agent is asked. `list` draws tasks as training or evaluation would, `show` prints one of them.

import type { Argv, CommandModule } from "yargs";
import { type Config, familyNames } from "../config.ts";
import { domainNames, domain as findDomain } from "../domains/index.ts";
import { blame, UsageError } from "../errors.ts";
import { heldOutTasks, type Mix, mix, sampleTasks, trainDatabases } from "../tasks/sampler.ts";
import type { Domain, Task } from "../types.ts";
import { addOptions, addSources, configOf, described, jsonOption, type Sources, wholeNumber } from "./options.ts";

interface ListOptions extends Sources {
  readonly split: string | undefined;
  readonly count: string | undefined;
  readonly json: boolean | undefined;
}

interface ShowOptions {
  readonly id: string;
  readonly json: boolean | undefined;
}

/** What a draw depends on. */
const KEYS = ["domain", "families", "refuseShare", "trainDatabases", "seed", "evalSeed"] as const;

const list: CommandModule<object, ListOptions> = {
  command: "list",
  describe: "Draw tasks over families and databases",
  builder: (yargs: Argv) =>
    addOptions(addSources(yargs), KEYS)
      .option("split", described("which databases they are played on", "train|held-out", "train"))
      .option("count", described("how many", "tasks", "10"))
      .option("json", jsonOption) as unknown as Argv<ListOptions>,
  handler: async (argv) => {
    const config = configOf(argv, KEYS);
    const domain = await findDomain(config.domain);
    const families = mix(domain, familyNames(config), config.refuseShare);
    const count = wholeNumber("count", argv.count ?? "10", 1);
    const draw = drawOf(argv.split ?? "train", config);
    for (const task of blame(`--count ${count}`, () => draw(domain, families, count)))
      process.stdout.write(
        argv.json ? `${JSON.stringify(task)}\n` : `${task.id.padEnd(30)} ${task.scenario.opening}\n`,
      );
  },
};

const show: CommandModule<object, ShowOptions> = {
  command: "show <id>",
  describe: "Print one task, by the id that list printed",
  builder: (yargs: Argv) =>
    yargs
      .positional("id", { type: "string", demandOption: true, describe: "domain/database/family/index" })
      .option("json", jsonOption) as unknown as Argv<ShowOptions>,
  handler: async ({ id, json }) => {
    const task = await findTask(id);
    process.stdout.write(`${json ? JSON.stringify(task) : describe(task)}\n`);
  },
};

/** The tasks of a run's first update, or of its evaluations. */
function drawOf(split: string, config: Config): (domain: Domain, families: Mix, count: number) => Task[] {
  if (split === "train")
    return (domain, families, count) =>
      sampleTasks(domain, families, trainDatabases(config.trainDatabases), count, config.seed, 0);
  if (split === "held-out") return (domain, families, count) => heldOutTasks(domain, families, count, config.evalSeed);
  throw new UsageError(`--split ${split}: expected train or held-out`);
}

async function findTask(id: string): Promise<Task> {
  const [name, database, family, index] = id.split("/");
  const domain = domainNames.includes(name) ? await findDomain(name) : null;
  const numbers = [database, index].map(Number);
  const task =
    domain?.families.includes(family) && numbers.every((n) => Number.isInteger(n) && n >= 0)
      ? domain.task(family, numbers[0], numbers[1])
      : null;
  if (task?.id !== id)
    throw new UsageError(`${id}: no such task; expected domain/database/family/index, as "tasks list" prints it`);
  return task;
}

function describe({ id, instruction, scenario, actions, outputs }: Task): string {
  return [
    id,
    "",
    instruction,
    "",
    `opening    ${scenario.opening}`,
    ...Object.entries(scenario.facts).map(([slot, answer]) => `fact       ${slot}: ${answer}`),
    ...actions.map((action) => `action     ${action.name} ${JSON.stringify(action.arguments)}`),
    ...outputs.map((output) => `to be said ${output}`),
    ...(actions.length ? [] : ["action     none: nothing may change"]),
  ].join("\n");
}

export default {
  command: "tasks",
  describe: "Look at tasks",
  builder: (yargs: Argv) => yargs.command(list).command(show).demandCommand(1, "tasks: expected list or show"),
  handler: () => {},
} satisfies CommandModule;
