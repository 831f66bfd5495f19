// `tarl tasks validate`: draws tasks of every family, or takes those of a set, and says what is wrong with them. The gates
// are ../../gates.ts.

import type { Argv, CommandModule } from "yargs";
import type { Report } from "../../gates.ts";
import type { Domain, Task } from "../../types.ts";
import { configOf, openNamed, typedOptions, wholeNumber } from "../options.ts";
import { addSelection, checkAlone, draw, type Selection } from "./selection.ts";

/** Families are drawn alike, however few tasks of some a run would play. */
const KEYS = ["domain", "profile", "families", "trainDatabases", "seed", "evalSeed"] as const;

export default {
  command: "validate",
  describe: "Prove tasks: their truth runs, matters and is unique, silence does not pass, the expert wins",
  builder: (yargs: Argv) => addSelection(yargs, KEYS, "prove", "200; all of a set"),
  handler,
} satisfies CommandModule<object, Selection>;

async function handler(argv: Selection): Promise<void> {
  const count = argv.count === undefined ? undefined : wholeNumber("count", argv.count, 1);
  const { domain, tasks } = argv.tasks === undefined ? await drawn(argv, count) : await listed(argv.tasks, argv, count);
  const { validate } = await import("../../gates.ts");
  const { Display } = await import("../../run/progress.ts");
  const display = new Display(process.stderr);
  const report = await validate(domain, tasks, (done) => display.live(`tasks ${done}/${tasks.length}`));
  display.clear();
  process.stdout.write(`${argv.json ? JSON.stringify(report) : describe(report)}\n`);
  if (report.failures.length > 0) process.exitCode = 1;
}

interface Chosen {
  readonly domain: Domain;
  readonly tasks: readonly Task[];
}

async function drawn(argv: Selection, count = 200): Promise<Chosen> {
  const config = { ...configOf(argv, KEYS), refuseShare: 1 };
  const { openTasks } = await import("../../play.ts");
  const played = await openTasks(config);
  return { domain: played.domain, tasks: draw(played, config, argv.split, count) };
}

/** A set on the domain that it names, or on a folder that is typed beside it. */
async function listed(path: string, argv: Selection, count?: number): Promise<Chosen> {
  checkAlone(argv, "domain");
  const { tasksOf } = await import("../../tasks/set.ts");
  const { domainOf } = await import("../../play.ts");
  const set = openNamed(path);
  const { domain: typed } = typedOptions(argv) as { domain?: string };
  const domain = await domainOf(set, typed ?? set.manifest.domain, set.manifest.profile);
  return { domain, tasks: tasksOf(set, argv.split).slice(0, count) };
}

function describe({ tasks, gates, inaction, withoutWrites, failures }: Report): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
  return [
    `${"gate".padEnd(12)} ${"checked".padStart(8)} ${"failed".padStart(8)}`,
    ...Object.entries(gates).map(
      ([name, { checked, failed, first }]) =>
        `${name.padEnd(12)} ${String(checked).padStart(8)} ${String(failed).padStart(8)}${first ? `  ${first}` : ""}`,
    ),
    `${tasks} tasks; doing nothing wins ${percent(inaction)}, ${percent(withoutWrites)} are without writes`,
    ...failures.map(({ task, gate, reason }) => `${task}  ${gate}: ${reason}`),
  ].join("\n");
}
