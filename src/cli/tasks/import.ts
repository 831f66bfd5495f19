// `tarl tasks import`: makes a task set of a user's own checkout of a benchmark, or of a file of conversations or problems.

import { resolve } from "node:path";
import type { Argv, CommandModule } from "yargs";
import { described, jsonOption } from "../options.ts";

interface Options {
  readonly source: string;
  readonly path: string;
  readonly out: string;
  readonly domain: string | undefined;
  readonly split: string | undefined;
  readonly integers: boolean | undefined;
  readonly json: boolean | undefined;
}

export default {
  command: "import <source> <path>",
  describe: "Make a task set of a checkout or file of your own",
  builder: (yargs: Argv) =>
    yargs
      .positional("source", {
        type: "string",
        demandOption: true,
        describe: "tau-bench, tau2-bench, apigen or deepscaler",
      })
      .positional("path", { type: "string", demandOption: true, describe: "the checkout, or the file" })
      .option("out", { ...described("folder of the set: new, or empty", "folder", "none"), demandOption: true })
      .option("domain", described("which domain of a benchmark", "retail|airline", "none"))
      .option("split", described("the only split to read, or what a file's split is called", "split", "all, or train"))
      .option("integers", {
        describe: "only problems whose answer is a whole number [true/false] (default false; ours)",
        type: "boolean",
      })
      .option("json", jsonOption) as unknown as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

async function handler({ source, path, out, json, ...options }: Options): Promise<void> {
  const { importSet } = await import("../../tasks/import.ts");
  const { writeSet } = await import("../../tasks/set.ts");
  const draft = await importSet(source, resolve(path), options);
  const manifest = writeSet(out, draft);
  if (json) return void process.stdout.write(`${JSON.stringify(manifest)}\n`);
  for (const [split, { count }] of Object.entries(manifest.splits))
    process.stdout.write(`${out}: ${split}: ${count} ${manifest.kind}\n`);
}
