// What the tests of learning share: a small model, and a batch whose rows start alike. Not a test itself.

import type { ModelConfig } from "../../src/policy/model.ts";
import type { EnginePolicy, PolicyOptions } from "../../src/policy/policy.ts";
import { Random } from "../../src/random.ts";
import type { Batch, LossOptions } from "../../src/types.ts";
import { loss as spoken, using } from "./tiny.ts";

export { adamw, inFolder } from "./tiny.ts";

export const small: ModelConfig = {
  modelType: "qwen3",
  vocabSize: 97,
  hiddenSize: 40,
  intermediateSize: 56,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  headDim: 12,
  ropeTheta: 1e4,
  rmsEps: 1e-6,
  tied: true,
  qkNorm: true,
  qkvBias: false,
  oBias: false,
  maxPositions: 200,
  initializerRange: 0.2,
  eosIds: [],
  mlpBias: false,
  ropeScaling: null,
  bosId: null,
  padId: null,
};

export const loss: LossOptions = { ...spoken, temperature: 0.9 };

/** Three rows that start alike and one that does not; about half of the tokens are learned. */
export function lesson(vocab: number, seed = 1): Batch {
  const random = new Random("lesson", seed);
  const some = (length: number) => Array.from({ length }, () => random.int(vocab));
  const prompt = some(19);
  const rows = [[...prompt, ...some(11)], [...prompt, ...some(23)], some(31), [...prompt, ...some(2)]];
  const ids = rows.flat();
  const starts = Int32Array.of(
    0,
    ...rows.map(
      (
        (sum) => (row: number[]) =>
          (sum += row.length)
      )(0),
    ),
  );
  return {
    ids: Int32Array.from(ids),
    rows: starts,
    weight: Float32Array.from(ids, (_, i) => (starts.includes(i) || random.int(2) === 0 ? 0 : random.float() / 40)),
    advantage: Float32Array.from(ids, () => random.float() - 0.5),
    oldLogp: null,
    refLogp: null,
  };
}

/** Does `work` with an engine of random weights, or of what `options` say. */
export function opened<T>(options: Partial<PolicyOptions>, work: (policy: EnginePolicy) => Promise<T>): Promise<T> {
  return using({ model: { config: small, seed: 3 }, ...options }, work);
}
