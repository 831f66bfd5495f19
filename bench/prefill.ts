// How fast are prompts read, up to and with their first token? With --group, a prompt is that of several conversations.
// Run: npm run bench -- prefill --batch 4 --prompt 1024

import { seconds } from "./common.ts";
import { distinctPairs, distinctTokens, forwardFlops } from "./flops.ts";
import { randomRows, speak, withTalks } from "./inputs.ts";
import type { Side } from "./peers.ts";
import { run } from "./run.ts";

const defaults = { batch: 4, prompt: 1024, new: 1, group: 1, repeats: 5 };

await run("prefill", defaults, ({ options: { batch, prompt, group }, policy, config }) => {
  const rows = { rows: batch, group, prompt, own: 0 };
  const prompts = (repeat: number) => randomRows(config, batch, prompt, group, repeat);
  const ask = async ({ peer }: Side, repeat: number) =>
    (await peer.ask<{ first: number }>("generate", { prompts: prompts(repeat), tokens: 1 })).first;
  return {
    what: `${batch} prompts of ${prompt} tokens, groups of ${group}`,
    tokens: batch * prompt,
    flops: forwardFlops(config, distinctTokens(rows), distinctPairs(rows), batch),
    ours: (repeat) => withTalks(policy, prompts(repeat), repeat, (talks) => seconds(() => speak(talks, 1))),
    theirs: { transformers: ask, "llama.cpp": ask },
  };
});
