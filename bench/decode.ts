// How fast are tokens made, one after the other, by many conversations at once? Prompts are read before the clock starts,
// on every side. With --group, conversations share their prompt. Run: npm run bench -- decode --batch 32

import { seconds } from "./common.ts";
import { decodeBytes, decodePairs, forwardFlops } from "./flops.ts";
import { randomRows, speak, withTalks } from "./inputs.ts";
import type { Side } from "./peers.ts";
import { run } from "./run.ts";

const defaults = { batch: 32, prompt: 64, new: 128, group: 1, repeats: 5 };

await run("decode", defaults, ({ options, policy, config }) => {
  const { batch, prompt, group, dtype } = options;
  const count = options.new;
  const prompts = (repeat: number) => randomRows(config, batch, prompt, group, repeat);
  const ask = async ({ peer }: Side, repeat: number) =>
    (await peer.ask<{ rest: number }>("generate", { prompts: prompts(repeat), tokens: count + 1 })).rest;
  return {
    what: `${batch} conversations, ${count} tokens each after ${prompt} and a first one, groups of ${group}`,
    tokens: batch * count,
    flops: forwardFlops(config, batch * count, decodePairs(batch, prompt, count), batch * count),
    bytes: decodeBytes(config, { rows: batch, group, prompt, own: count }, count, dtype === "bf16" ? 2 : 4),
    ours: (repeat) =>
      withTalks(policy, prompts(repeat), repeat, async (talks) => {
        await speak(talks, 1);
        return seconds(() => speak(talks, count));
      }),
    theirs: { transformers: ask, "llama.cpp": ask },
  };
});
