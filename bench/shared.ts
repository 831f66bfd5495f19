// What does sharing a prompt save? A group of conversations over one prompt against as many whose prompts differ in their
// first token, so that nothing can be shared: sampling (prompts read and tokens made) and a training step on the tokens
// made. No other side: TRL and transformers compute a prompt once for each. Run: npm run bench -- shared

import { readConfig } from "../src/policy/checkpoint.ts";
import { openPolicy } from "../src/policy/policy.ts";
import { logLikelihood } from "../src/sft.ts";
import { alternate, line, say, seconds, spread } from "./common.ts";
import { adamw, lesson, randomRows, speak, withTalks } from "./inputs.ts";
import { describeMachine, forgetPeak, peakMiB } from "./machine.ts";
import { describe, finish, labelOf, start } from "./run.ts";
import { randomWeights } from "./weights.ts";

const defaults = { batch: 16, prompt: 2048, new: 128, group: 16, repeats: 3 };

await start("shared", defaults, async (options) => {
  const { dtype, device, threads, kernels, batch, prompt, group, repeats, new: own } = options;
  const dir = options.model ?? (await randomWeights(options.shape, dtype));
  const config = readConfig(dir);
  const prompts = (repeat: number, alone: boolean) => {
    const rows = randomRows(config, batch, prompt, group, repeat);
    return alone ? rows.map((row, i) => [1 + i, ...row.slice(1)]) : rows;
  };
  const policy = await openPolicy({ model: dir, device, dtype, threads, kernels, role: "policy", fresh: true });
  try {
    const roll = (alone: boolean) => (repeat: number) =>
      withTalks(policy, prompts(repeat, alone), repeat, (talks) => seconds(() => speak(talks, own)));
    const learn = (alone: boolean) => (repeat: number) => {
      const ends = randomRows(config, batch, own, 1, repeat, "end");
      const rows = prompts(repeat, alone).map((row, i) => [...row, ...ends[i]]);
      const batchOf = lesson(rows, own);
      return seconds(() => policy.step(batchOf, logLikelihood, adamw));
    };
    say(`shared: ${labelOf(options)}, ${dtype}, ${device}: ${batch} x ${prompt} + ${own} tokens, groups of ${group}`);
    say(describeMachine(threads));
    forgetPeak();
    const times = await alternate([roll(false), roll(true), learn(false), learn(true)], repeats);
    const [rollShared, rollAlone, learnShared, learnAlone] = times.map(spread);
    const figures = {
      rollout: { shared: rollShared, alone: rollAlone, ratio: rollAlone.median / rollShared.median },
      training: { shared: learnShared, alone: learnAlone, ratio: learnAlone.median / learnShared.median },
    };
    for (const [what, { shared, alone, ratio }] of Object.entries(figures)) {
      line(`${what}, shared`, shared, "s");
      line(`${what}, each its own`, alone, "s", `; sharing is ${ratio.toFixed(2)}x as fast, median against median`);
    }
    finish("shared", options, {
      ...describe(options),
      ...figures,
      ratios: { rollout: figures.rollout.ratio, training: figures.training.ratio },
      peakMiB: peakMiB(),
    });
  } finally {
    await policy.dispose();
  }
});
