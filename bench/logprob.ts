// How fast are given tokens scored: the log-prob of each token given those before it? Ours comes with the entropy and the
// likeliest id. The mean log-prob of both sides has to agree. Run: npm run bench -- logprob --batch 16 --prompt 256

import { seconds } from "./common.ts";
import { distinctPairs, distinctTokens, forwardFlops } from "./flops.ts";
import { randomRows } from "./inputs.ts";
import { run } from "./run.ts";

const defaults = { batch: 16, prompt: 256, new: 1, group: 1, repeats: 5 };

/** Of the mean log-prob, relative. */
const AGREEMENT = { fp32: 1e-5, bf16: 1e-2 };

await run("logprob", defaults, ({ options, policy, config }) => {
  const { batch, prompt, group } = options;
  const shared = { rows: batch, group, prompt, own: 0 };
  const scored = batch * (prompt - 1);
  const rows = (repeat: number) => randomRows(config, batch, prompt, group, repeat);
  const starts = Int32Array.from({ length: batch + 1 }, (_, row) => row * prompt);
  let mean = 0;
  return {
    what: `${batch} rows of ${prompt} tokens, groups of ${group}`,
    tokens: batch * prompt,
    flops: forwardFlops(config, distinctTokens(shared), distinctPairs(shared), (batch / group) * (prompt - 1)),
    ours: (repeat) => {
      const ids = Int32Array.from(rows(repeat).flat());
      return seconds(async () => {
        const { logp } = await policy.score(ids, starts, 1);
        mean = logp.reduce((sum, value) => sum + value, 0) / scored;
      });
    },
    theirs: {
      transformers: async ({ peer, dtype }, repeat) => {
        const answer = await peer.ask<{ seconds: number; mean: number }>("logprob", { rows: rows(repeat) });
        if (!(Math.abs(mean / answer.mean - 1) < Math.max(AGREEMENT[dtype], AGREEMENT[options.dtype])))
          throw new Error(`the mean log-prob is ${mean} here and ${answer.mean} there`);
        return answer.seconds;
      },
    },
  };
});
