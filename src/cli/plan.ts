// `tarl plan`: the memory that a run would take with its options, part by part, and what would make it fit. Loads nothing,
// and fetches no weights. The figures are ../policy/memory.ts's. Tests: test/unit/cli.test.ts, test/unit/hub.test.ts

import type { Argv, CommandModule } from "yargs";
import { bytesText } from "../policy/amount.ts";
import { access, addOptions, addSources, configOf, jsonOption, type Sources } from "./options.ts";

type Options = Sources & { readonly json: boolean | undefined };

const KEYS = [
  ...(["model", "device", "dtype", "loraRank", "loraAlpha", "loraTargets", "contextTokens", "promptTokens"] as const),
  ...(["concurrent", "klCoef", "optimizer", "memory", "microTokens", "recompute", "moments", "master"] as const),
];

export default {
  command: "plan",
  describe: "Print the memory that a run would take, part by part, and what would make it fit",
  builder: (yargs: Argv) => addOptions(addSources(yargs), KEYS).option("json", jsonOption) as unknown as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

async function handler(argv: Options): Promise<void> {
  const { readConfig } = await import("../policy/checkpoint.ts");
  const { refusal } = await import("../policy/memory.ts");
  const { findModel, memoryOf } = await import("../play.ts");
  const config = configOf(argv, KEYS);
  const plan = memoryOf(config, readConfig(await findModel(config.model, access().hub, "shape")));
  if (argv.json) {
    process.stdout.write(`${JSON.stringify(plan)}\n`);
    return;
  }
  const { parts, total, available, recompute, kvTokens } = plan;
  const rows = [...parts, { name: "at most at once", bytes: total }, { name: "there is", bytes: available }];
  for (const { name, bytes } of rows) process.stdout.write(`${name.padEnd(18)}${bytesText(bytes).padStart(10)}\n`);
  const notes = [`room for ${kvTokens} tokens of conversations`, ...(recompute ? ["layers are computed again"] : [])];
  process.stdout.write(`${notes.join("; ")}\n`);
  if (plan.remedy !== null) process.stdout.write(`${refusal(plan)}\n`);
}
