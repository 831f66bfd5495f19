// `tarl tasks rate`: plays every task of a set some times with a policy, writes down how often it won, and keeps those
// that are neither too hard nor too easy for it. What is played is kept beside the new set until that is written: the
// same command goes on there. The rating is ../../rate.ts.

import { rmSync } from "node:fs";
import { resolve } from "node:path";
import type { Argv, CommandModule } from "yargs";
import { flagName } from "../../config/config.ts";
import { UsageError } from "../../errors.ts";
import { gradingNote } from "../../grading/grader.ts";
import { pinned } from "../hub.ts";
import {
  access,
  addOptions,
  addSources,
  configOf,
  described,
  jsonOption,
  openNamed,
  type Sources,
  share,
  wholeNumber,
} from "../options.ts";

interface Options extends Sources {
  readonly split: string | undefined;
  readonly count: string | undefined;
  readonly least: string | undefined;
  readonly most: string | undefined;
  readonly out: string;
  readonly json: boolean | undefined;
}

/** What a rate depends on. */
const DECIDES = [
  ...(["model", "format", "device", "dtype", "kernels", "batchInvariant", "tasks", "domain", "profile"] as const),
  ...(["families", "refuseShare", "trainDatabases", "turns", "turnTokens", "promptTokens", "contextTokens"] as const),
  ...(["invalidInRow", "calls", "checkOutputs", "trials", "seed", "evalSeed", "evalTemperature"] as const),
];
const KEYS = [...DECIDES, "threads", "concurrent"] as const;
/** Eight conversations tell 1/8 from 0. */
const own = { trials: 8 };

export default {
  command: "rate",
  describe: "Measure how hard tasks are for a policy, and keep those that it sometimes wins",
  builder: (yargs: Argv) =>
    addOptions(addSources(yargs), KEYS, own)
      .option(
        "split",
        described("of a set: the split that is rated; the others stay as they are", "name", "train, or the only one"),
      )
      .option("count", described("how many", "tasks", "200; all of a set"))
      .option("least", described("least share of conversations won", "share", "0.125"))
      .option("most", described("most share of conversations won", "share", "0.875"))
      .option("out", { ...described("folder of the set: new, or empty", "folder", "none"), demandOption: true })
      .option("json", jsonOption) as unknown as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

async function handler(argv: Options): Promise<void> {
  const reach = access();
  const config = await pinned(configOf(argv, KEYS, own), reach.hub);
  const range = { least: share("least", argv.least ?? "0.125"), most: share("most", argv.most ?? "0.875") };
  if (range.least > range.most) throw new UsageError(`--least ${range.least}: expected at most --most ${range.most}`);
  const { checkFree, writeSet } = await import("../../tasks/set.ts");
  const { Table } = await import("../../play.ts");
  const { measure, policyOf } = await import("../../measure.ts");
  const { ruleJudge } = await import("../../judge/rules.ts");
  const { histogram, rated, replaced, within } = await import("../../rate.ts");
  const { Display } = await import("../../run/progress.ts");
  const { Results } = await import("../../run/results.ts");
  const { onInterrupt, STOPPED } = await import("../running.ts");
  checkFree(argv.out);

  const set = config.tasks === "generated" ? null : openNamed(config.tasks);
  if (!set && argv.split !== undefined) throw new UsageError(`--split ${argv.split}: expected --tasks with a set`);
  const split = set ? splitOf(argv.split, [...set.splits.keys()], set.path) : "train";
  const count = argv.count === undefined ? undefined : wholeNumber("count", argv.count, 1, 1_000_000);
  const table = await Table.open(config, { access: reach, role: "reference" });
  const tasks = set ? set.splits.get(split)!.slice(0, count) : table.tasks.train(count ?? 200, config.seed, 0);
  // A folder of results says who was measured.
  const identity = { "--agent": "policy", ...Object.fromEntries(DECIDES.map((key) => [flagName(key), config[key]])) };
  const display = new Display(process.stderr);
  const { signal, release } = onInterrupt(display, "stopping; Ctrl-C again stops at once");
  const results = Results.open(`${resolve(argv.out)}.rating`, {
    ...identity,
    "--split": split,
    "--count": tasks.length,
  });
  try {
    const measured = policyOf(config, table, signal);
    const finished = (done: number, of: number) => display.live(`conversations ${done}/${of}`);
    const found = await measure(config, table, ruleJudge(table.domain), measured, { results, signal, finished }, tasks);
    display.clear();
    const note = gradingNote();
    if (note) display.line(note);
    if (found.stopped !== undefined) {
      process.exitCode = signal.aborted ? STOPPED : 1;
      return display.line(
        `stopped (${found.stopped}): ${found.played} conversations are finished; the same command goes on`,
      );
    }
    const all = rated(tasks, found.tallies);
    const kept = within(all, range);
    if (kept.length === 0)
      throw new UsageError(`--least ${range.least} --most ${range.most}: none of ${all.length} tasks is between them`);
    const { name: domain, profile } = table.domain;
    writeSet(
      argv.out,
      set ? replaced(set, split, kept) : { kind: "tasks", source: "rate", domain, profile, splits: { train: kept } },
    );
    const line = {
      rated: all.length,
      kept: kept.length,
      mean: found.pass[0],
      histogram: histogram(all, config.trials),
    };
    process.stdout.write(argv.json ? `${JSON.stringify(line)}\n` : text(argv.out, line));
  } finally {
    release();
    results.close();
    await table.dispose();
  }
  rmSync(results.dir, { recursive: true });
}

function text(
  out: string,
  { rated, kept, mean, histogram }: { rated: number; kept: number; mean: number; histogram: readonly number[] },
): string {
  const won = histogram.map((tasks, times) => `${times}: ${tasks}`).join("  ");
  return `${out}: ${kept} of ${rated} tasks kept; won on average ${mean.toFixed(3)}; tasks by conversations won  ${won}\n`;
}

function splitOf(typed: string | undefined, names: readonly string[], path: string): string {
  const split = typed ?? (names.length === 1 ? names[0] : "train");
  if (names.includes(split)) return split;
  throw new UsageError(
    `${typed === undefined ? "--tasks" : `--split ${typed}`}: ${path} has ${names.join(", ")}; name one by --split`,
  );
}
