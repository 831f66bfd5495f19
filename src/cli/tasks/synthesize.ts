// `tarl tasks synthesize`: makes a task set of a domain's own families. The drawing is ../../synthesize.ts.

import type { Argv, CommandModule } from "yargs";
import { familyNames } from "../../config/config.ts";
import { domain as findDomain } from "../../domains/index.ts";
import {
  addOptions,
  addSources,
  configOf,
  described,
  jsonOption,
  type Sources,
  share,
  wholeNumber,
} from "../options.ts";

interface Options extends Sources {
  readonly count: string | undefined;
  readonly out: string;
  readonly heldOut: string | undefined;
  readonly json: boolean | undefined;
}

/** What a set depends on. */
const KEYS = ["domain", "profile", "families", "refuseShare", "trainDatabases", "seed"] as const;

export default {
  command: "synthesize",
  describe: "Make a task set: many tasks of a domain, each of them proven, no two alike",
  builder: (yargs: Argv) =>
    addOptions(addSources(yargs), KEYS)
      .option("count", described("how many, all splits together", "tasks", "2000"))
      .option("held-out", described("of them on databases that training never sees", "share", "0.1"))
      .option("out", { ...described("folder of the set: new, or empty", "folder", "none"), demandOption: true })
      .option("json", jsonOption) as unknown as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

async function handler(argv: Options): Promise<void> {
  const config = configOf(argv, KEYS);
  const { seed, refuseShare, trainDatabases } = config;
  const count = wholeNumber("count", argv.count ?? "2000", 1, 1_000_000);
  const heldOut = share("held-out", argv.heldOut ?? "0.1");
  const { checkFree, writeSet } = await import("../../tasks/set.ts");
  const { synthesize } = await import("../../synthesize.ts");
  const { Display, duration } = await import("../../run/progress.ts");
  checkFree(argv.out);
  const domain = await findDomain(config.domain, config.profile);
  const display = new Display(process.stderr);
  const start = performance.now();
  const options = { seed, count, heldOut, families: familyNames(config), refuseShare, trainDatabases };
  const draft = await synthesize(domain, options, (done) => display.live(`tasks ${done}/${count}`));
  const manifest = writeSet(argv.out, draft);
  display.clear();
  const { rejected } = manifest.synthesis!;
  const left = Object.entries(rejected).map(([gate, times]) => `${gate} ${times}`);
  const took = duration((performance.now() - start) / 1000);
  process.stderr.write(
    `${count} tasks of ${domain.name} (${domain.profile}) in ${took}; left out: ${left.join(", ") || "none"}\n`,
  );
  if (argv.json) return void process.stdout.write(`${JSON.stringify(manifest)}\n`);
  for (const [split, { count }] of Object.entries(manifest.splits))
    process.stdout.write(`${argv.out}: ${split}: ${count} tasks\n`);
}
