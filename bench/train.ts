// How fast is a training step: forward, backward, clipping, AdamW over all parameters? With --group the rows of a group
// share their prompt and only the tokens after it are learnt; without, rows share nothing and all tokens but the first
// are learnt. The other side takes the same steps: loss and gradient norm have to agree, each time.
// Run: npm run bench -- train --batch 16 --prompt 128 --new 128

import { logLikelihood } from "../src/sft.ts";
import { seconds } from "./common.ts";
import { distinctPairs, distinctTokens, trainFlops } from "./flops.ts";
import { adamw, lesson, randomRows } from "./inputs.ts";
import type { Side } from "./peers.ts";
import { run } from "./run.ts";

const defaults = { batch: 16, prompt: 128, new: 128, group: 1, repeats: 5 };

/** Relative: fp32 sums in another order move loss and norm by 1e-5; bf16 has 8 bits. */
const AGREEMENT = { fp32: 1e-3, bf16: 5e-2 };

interface Step {
  readonly seconds: number;
  readonly loss: number;
  readonly gradNorm: number;
}

await run("train", defaults, ({ options, policy, config }) => {
  const { batch, prompt, group } = options;
  const length = prompt + options.new;
  const learnt = group > 1 ? options.new : length - 1;
  const shared = { rows: batch, group, prompt, own: options.new };
  const rows = (repeat: number) => {
    const ends = randomRows(config, batch, options.new, 1, repeat, "end");
    return randomRows(config, batch, prompt, group, repeat).map((row, i) => [...row, ...ends[i]]);
  };
  let own = { loss: 0, gradNorm: 0 };
  return {
    what: `a step on ${batch} rows of ${prompt} + ${options.new} tokens, ${learnt} of each learnt, groups of ${group}`,
    tokens: batch * length,
    flops: trainFlops(config, distinctTokens(shared), distinctPairs(shared), batch * learnt),
    ours: (repeat) => {
      const batchOf = lesson(rows(repeat), learnt);
      return seconds(async () => {
        own = await policy.step(batchOf, logLikelihood, adamw);
      });
    },
    theirs: {
      transformers: async ({ peer, dtype }: Side, repeat) => {
        const step = await peer.ask<Step>("train", { rows: rows(repeat), learnt, ...adamw });
        const tolerance = Math.max(AGREEMENT[dtype], AGREEMENT[options.dtype]);
        for (const key of ["loss", "gradNorm"] as const)
          if (!(Math.abs(own[key] / step[key] - 1) < tolerance))
            throw new Error(`${key} is ${own[key]} here and ${step[key]} there: the steps are not the same`);
        return step.seconds;
      },
    },
  };
});
