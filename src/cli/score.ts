// `tarl score`: log-probs of given tokens under a model, one JSON object per line of the file of ids.

import type { Argv, CommandModule } from "yargs";
import { openHub } from "./hub.ts";
import { readIds } from "./ids.ts";
import { addOptions, alwaysJson, configOf, described, inFp32 } from "./options.ts";

interface Options {
  readonly ids: string;
  readonly json: boolean | undefined;
}

/** Tokens of one call of the engine: enough to keep it busy, few enough to print while it works. */
const CALL_TOKENS = 16_384;

const KEYS = ["model", "device", "dtype", "threads", "kernels", "batchInvariant", "temperature"] as const;

export default {
  command: "score",
  describe: "Print log-prob, entropy and likeliest id of every token of a file of ids, given those before it",
  builder: (yargs: Argv) =>
    addOptions(yargs, KEYS, inFp32)
      .option("ids", {
        ...described("one JSON array of token ids per line", "file", "none, it is required"),
        demandOption: true,
      })
      .option("json", alwaysJson) as unknown as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

async function handler(argv: Options): Promise<void> {
  const { openPolicy } = await import("../policy/policy.ts");
  const { engineOf, findModel } = await import("../play.ts");
  const config = configOf({ preset: undefined, config: undefined, ...argv }, KEYS, inFp32);
  const model = await findModel(config.model, openHub());
  const policy = await openPolicy({ ...engineOf(config, model), role: "reference" });
  try {
    const lines = readIds(argv.ids, policy.vocabSize, policy.contextLength);
    for (let from = 0, to = 0; from < lines.length; from = to) {
      for (let size = 0; to < lines.length && (to === from || size + lines[to].length <= CALL_TOKENS); to++)
        size += lines[to].length;
      const rows = new Int32Array(to - from + 1);
      for (let row = from; row < to; row++) rows[row - from + 1] = rows[row - from] + lines[row].length;
      const ids = new Int32Array(rows[to - from]);
      for (let row = from; row < to; row++) ids.set(lines[row], rows[row - from]);
      const scores = await policy.score(ids, rows, config.temperature);
      for (let row = 0; row < to - from; row++) {
        const list = (values: Float32Array | Int32Array) => [null, ...values.subarray(rows[row] + 1, rows[row + 1])];
        const { logp, entropy, top1 } = scores;
        process.stdout.write(`${JSON.stringify({ logp: list(logp), entropy: list(entropy), top1: list(top1) })}\n`);
      }
    }
  } finally {
    await policy.dispose();
  }
}
