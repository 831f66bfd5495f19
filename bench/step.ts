// How long does a whole GRPO step take: sampling, advantages, loss, gradients, update? Rewards are random numbers and cost
// nothing, on both sides; no KL. The other side is TRL's GRPOTrainer. Run: npm run bench -- step

import { advantages, comparisons } from "../src/algorithms/group.ts";
import { pack } from "../src/batch.ts";
import { Random } from "../src/random.ts";
import type { Ledger, LossOptions } from "../src/types.ts";
import { seconds } from "./common.ts";
import { decodePairs, distinctPairs, distinctTokens, forwardFlops, trainFlops } from "./flops.ts";
import { adamw, randomRows, speak, withTalks } from "./inputs.ts";
import { run } from "./run.ts";

/** 4 prompts x 8. */
const defaults = { batch: 32, prompt: 256, new: 64, group: 8, repeats: 5 };

/** GRPO eq. 3 (arXiv:2402.03300) without its KL term. */
const grpo: LossOptions = {
  ratio: "token",
  clipLow: 0.2,
  clipHigh: 0.2,
  dualClip: 0,
  klCoef: 0,
  klKind: "k3",
  klClamp: 10,
  entropyCoef: 0,
  temperature: 1,
};
const weights = { aggregation: "token-mean", normConst: 1, excludeEmpty: true, dropZero: false } as const;

await run("step", defaults, ({ options, policy, config }) => {
  const { batch, prompt, group } = options;
  const own = options.new;
  const rows = { rows: batch, group, prompt, own };
  const times: { rollout: number; train: number }[] = [];

  async function sample(repeat: number): Promise<Ledger[]> {
    const prompts = randomRows(config, batch, prompt, group, repeat);
    const said = await withTalks(policy, prompts, repeat, (talks) => speak(talks, own));
    return said.map(({ ids, logp }, i) => ({
      ids: Int32Array.of(...prompts[i], ...ids),
      mask: Uint8Array.from({ length: prompt + own }, (_, t) => (t < prompt ? 0 : 1)),
      logp: Float32Array.of(...new Float32Array(prompt), ...logp),
      turn: new Int16Array(prompt + own),
    }));
  }

  async function step(repeat: number): Promise<number> {
    let ledgers: Ledger[] = [];
    const rollout = await seconds(async () => {
      ledgers = await sample(repeat);
    });
    const train = await seconds(() => {
      const random = new Random("reward", repeat);
      const rewards = ledgers.map(() => random.float());
      const groups = ledgers.map((_, i) => Math.floor(i / group));
      const { values } = advantages(rewards, groups, comparisons.grpo);
      const lessons = ledgers.map((ledger, i) => ({ ledger, advantage: values[i] }));
      return policy.step(pack(lessons, weights), grpo, adamw);
    });
    if (repeat > 0) times.push({ rollout, train });
    return rollout + train;
  }

  const mean = (key: "rollout" | "train") => times.reduce((sum, time) => sum + time[key], 0) / times.length;
  return {
    what: `${batch / group} prompts x ${group}, ${prompt} + ${own} tokens`,
    tokens: batch * (prompt + own),
    flops:
      forwardFlops(
        config,
        distinctTokens(rows),
        distinctPairs({ ...rows, own: 0 }) + decodePairs(batch, prompt, own),
        batch * own,
      ) + trainFlops(config, distinctTokens(rows), distinctPairs(rows), batch * own),
    ours: step,
    theirs: {
      trl: async ({ peer }) => (await peer.ask<{ seconds: number }>("step")).seconds,
    },
    more: () => ({ rolloutSeconds: mean("rollout"), trainSeconds: mean("train") }),
  };
});
