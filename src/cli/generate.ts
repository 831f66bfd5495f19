// `tarl generate`: new tokens after given ones, one JSON object per line of the file of ids.

import type { Argv, CommandModule } from "yargs";
import { UsageError } from "../errors.ts";
import { derive } from "../random.ts";
import { openHub } from "./hub.ts";
import { readIds } from "./ids.ts";
import { addOptions, alwaysJson, configOf, described, inFp32, typedOptions, wholeNumber } from "./options.ts";

interface Options {
  readonly ids: string;
  readonly new: string;
  readonly greedy: boolean | undefined;
  readonly stop: string | undefined;
  readonly json: boolean | undefined;
}

const KEYS = [
  ...(["model", "device", "dtype", "threads", "kernels", "batchInvariant"] as const),
  ...(["seed", "temperature", "topP", "topK", "minP", "concurrent"] as const),
];

export default {
  command: "generate",
  describe: "Print new tokens and their log-probs after every line of a file of ids",
  builder: (yargs: Argv) =>
    addOptions(yargs, KEYS, inFp32)
      .option("ids", {
        ...described("one JSON array of token ids per line", "file", "none, it is required"),
        demandOption: true,
      })
      .option("new", {
        ...described("most new tokens of a line", "tokens", "none, it is required"),
        demandOption: true,
      })
      .option("greedy", { type: "boolean", describe: "always the likeliest token [true/false] (default false; ours)" })
      .option("stop", described("ids, separated by commas, that end a line and are kept", "ids", "none"))
      .option("json", alwaysJson) as unknown as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

async function handler(argv: Options): Promise<void> {
  const { openPolicy } = await import("../policy/policy.ts");
  const { engineOf, findModel } = await import("../play.ts");
  if (argv.greedy && Object.hasOwn(typedOptions(argv), "temperature"))
    throw new UsageError("--greedy with --temperature: leave one of them out");
  const config = configOf({ preset: undefined, config: undefined, ...argv }, KEYS, inFp32);
  const maxTokens = wholeNumber("new", String(argv.new), 1);
  const stopIds = argv.stop === undefined ? [] : argv.stop.split(",").map((id) => wholeNumber("stop", id, 0));
  const { topP, topK, minP } = config;
  const sampling = { temperature: argv.greedy ? 0 : config.temperature, topP, topK, minP, stopIds, maxTokens };
  const model = await findModel(config.model, openHub());
  const policy = await openPolicy({ ...engineOf(config, model), role: "reference" });
  try {
    const strange = stopIds.find((id) => id >= policy.vocabSize);
    if (strange !== undefined)
      throw new UsageError(`--stop ${strange}: expected whole numbers from 0 to ${policy.vocabSize - 1}`);
    const lines = readIds(argv.ids, policy.vocabSize, policy.contextLength - 1);
    for (let from = 0; from < lines.length; from += config.concurrent) {
      const results = await Promise.all(
        lines.slice(from, from + config.concurrent).map(async (ids, i) => {
          const talk = policy.open(ids, derive(config.seed, "generate", from + i));
          try {
            return await talk.generate(sampling);
          } finally {
            talk.close();
          }
        }),
      );
      for (const { ids, logp } of results)
        process.stdout.write(`${JSON.stringify({ ids: Array.from(ids), logp: Array.from(logp) })}\n`);
    }
  } finally {
    await policy.dispose();
  }
}
