// What the benchmarks feed the policy with: random prompts, training rows, and the ways to use the engine that they time.
// Not what is measured of it. Test: test/unit/bench.test.ts

import { pack } from "../src/batch.ts";
import type { ModelConfig } from "../src/policy/checkpoint.ts";
import { Random } from "../src/random.ts";
import type { Batch, Conversation, Generation, OptimizerOptions, Policy, Sampling } from "../src/types.ts";

/** Random ids without 0, [rows][length]: `group` rows after each other are the same. */
export function randomRows(
  { vocabSize }: Pick<ModelConfig, "vocabSize">,
  rows: number,
  length: number,
  group: number,
  ...seeds: (number | string)[]
): number[][] {
  const random = new Random("bench", ...seeds);
  const draw = () => Array.from({ length }, () => 1 + random.int(vocabSize - 1));
  return Array.from({ length: rows / group }, draw).flatMap((row) => Array.from({ length: group }, () => row));
}

/** From the whole distribution, without an end. */
export function sampling(tokens: number): Sampling {
  return { temperature: 1, topP: 1, topK: 0, minP: 0, stopIds: [], maxTokens: tokens };
}

/** Conversations with these prompts, open while `use` lasts. */
export async function withTalks<T>(
  policy: Policy,
  prompts: readonly number[][],
  seed: number,
  use: (talks: readonly Conversation[]) => Promise<T>,
): Promise<T> {
  const talks = prompts.map((prompt, i) => policy.open(prompt, seed * prompts.length + i));
  try {
    return await use(talks);
  } finally {
    for (const talk of talks) talk.close();
  }
}

/** All of them at once say `tokens` tokens each. */
export function speak(talks: readonly Conversation[], tokens: number): Promise<Generation[]> {
  return Promise.all(talks.map((talk) => talk.generate(sampling(tokens))));
}

/** Rows of equal length, of each the last `learnt` tokens learnt: the loss is the mean of their -log p. */
export function lesson(rows: readonly number[][], learnt: number): Batch {
  const lessons = rows.map((ids) => ({
    ledger: {
      ids: Int32Array.from(ids),
      mask: Uint8Array.from(ids, (_, t) => (t >= ids.length - learnt ? 1 : 0)),
      logp: new Float32Array(ids.length),
      turn: new Int16Array(ids.length),
    },
    advantage: 1,
  }));
  const weights = { aggregation: "token-mean", normConst: 1, excludeEmpty: true, dropZero: false } as const;
  return { ...pack(lessons, weights), oldLogp: null };
}

/** AdamW over all parameters with PyTorch's defaults, but for the rate: small, so that repeats are alike. */
export const adamw: OptimizerOptions = {
  kind: "adamw",
  lr: 1e-5,
  muonScale: 1,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0.01,
  decayVectors: true,
  maxGradNorm: 1,
};
