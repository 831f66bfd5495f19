// `tarl tasks validate`: draws tasks of every family and says what is wrong with them. The gates are ../../tasks/gates.ts.

import type { Argv, CommandModule } from "yargs";
import { blame } from "../../errors.ts";
import type { Report } from "../../tasks/gates.ts";
import { addOptions, addSources, configOf, described, jsonOption, type Sources, wholeNumber } from "../options.ts";
import { drawOf } from "./list.ts";

interface Options extends Sources {
  readonly split: string | undefined;
  readonly count: string | undefined;
  readonly json: boolean | undefined;
}

/** What a draw depends on; families are drawn alike, however few tasks of some a run would play. */
const KEYS = ["domain", "profile", "families", "trainDatabases", "seed", "evalSeed"] as const;

export default {
  command: "validate",
  describe:
    "Draw tasks and prove them: their truth runs, matters and is unique, silence does not pass, the expert wins",
  builder: (yargs: Argv) =>
    addOptions(addSources(yargs), KEYS)
      .option("split", described("which databases they are played on", "train|held-out", "train"))
      .option("count", described("how many", "tasks", "200"))
      .option("json", jsonOption) as unknown as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

async function handler(argv: Options): Promise<void> {
  const config = { ...configOf(argv, KEYS), refuseShare: 1 };
  const { openTasks } = await import("../../play.ts");
  const { validate } = await import("../../tasks/gates.ts");
  const { Display } = await import("../../run/progress.ts");
  const { domain, tasks } = await openTasks(config);
  const count = wholeNumber("count", argv.count ?? "200", 1);
  const drawn = blame(`--count ${count}`, () => drawOf(argv.split ?? "train", config, tasks)(count));
  const display = new Display(process.stderr);
  const report = await validate(domain, drawn, (done) => display.live(`tasks ${done}/${drawn.length}`));
  display.clear();
  process.stdout.write(`${argv.json ? JSON.stringify(report) : describe(report)}\n`);
  if (report.failures.length > 0) process.exitCode = 1;
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
