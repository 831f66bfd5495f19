// What the tests of learning share: a small model, a batch whose rows start alike, an engine that is closed whatever
// happens, a folder that is removed.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ModelConfig } from "../src/policy/model.ts";
import { type EnginePolicy, openPolicy, type PolicyOptions } from "../src/policy/policy.ts";
import { Random } from "../src/random.ts";
import type { Batch, LossOptions, OptimizerOptions } from "../src/types.ts";

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

export const loss: LossOptions = {
  ratio: "token",
  clipLow: 0.2,
  clipHigh: 0.2,
  dualClip: 0,
  klCoef: 0,
  klKind: "k3",
  entropyCoef: 0.01,
  temperature: 0.9,
};

export const adamw: OptimizerOptions = {
  kind: "adamw",
  lr: 0.01,
  muonScale: 0.5,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0.1,
  decayVectors: false,
  maxGradNorm: 1,
};

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
export async function opened<T>(
  options: Partial<PolicyOptions>,
  work: (policy: EnginePolicy) => Promise<T>,
): Promise<T> {
  const model = { config: small, seed: 3 };
  const policy = await openPolicy({ model, device: "cpu", dtype: "fp32", threads: 2, role: "policy", ...options });
  try {
    return await work(policy);
  } finally {
    await policy.dispose();
  }
}

export async function inFolder(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "tarl-"));
  try {
    await work(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
