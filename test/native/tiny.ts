// A small policy with random weights, and conversations with it that are functions of a number: what the tests of the
// engine share. Not a test itself.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { EngineError } from "../../src/errors.ts";
import type { ModelConfig } from "../../src/policy/model.ts";
import { type EnginePolicy, openPolicy, type PolicyOptions } from "../../src/policy/policy.ts";
import { Random } from "../../src/random.ts";
import type { Batch, LossOptions, OptimizerOptions, Sampling } from "../../src/types.ts";

export const config: ModelConfig = {
  modelType: "qwen3",
  vocabSize: 211,
  hiddenSize: 48,
  intermediateSize: 72,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 24,
  ropeTheta: 1e4,
  ropeScaling: null,
  rmsEps: 1e-6,
  tied: true,
  qkNorm: true,
  qkvBias: false,
  oBias: false,
  mlpBias: false,
  maxPositions: 400,
  initializerRange: 0.3,
  eosIds: [],
  bosId: null,
  padId: null,
};

export const sampling: Sampling = { temperature: 0.8, topP: 1, topK: 0, minP: 0, stopIds: [7], maxTokens: 12 };
export const loss: LossOptions = {
  ratio: "token",
  clipLow: 0.2,
  clipHigh: 0.2,
  dualClip: 0,
  klCoef: 0,
  klKind: "k3",
  klClamp: 10,
  entropyCoef: 0.01,
  temperature: 0.8,
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

export function open(options: Partial<PolicyOptions> = {}): Promise<EnginePolicy> {
  const model = { config, seed: 3 };
  return openPolicy({ model, device: "cpu", dtype: "fp32", threads: 2, role: "policy", ...options });
}

export async function using<T>(
  options: Partial<PolicyOptions>,
  work: (policy: EnginePolicy) => Promise<T>,
): Promise<T> {
  const policy = await open(options);
  try {
    return await work(policy);
  } finally {
    await policy.dispose();
  }
}

export async function inFolder(work: (dir: string) => Promise<void> | void): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "tarl-"));
  try {
    await work(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

export function ids(random: Random, length: number): number[] {
  return Array.from({ length }, () => random.int(config.vocabSize));
}

export interface Talk {
  ids: number[];
  /** Log-prob at sampling, null where the environment wrote. */
  logp: (number | null)[];
}

/** Three turns with environment tokens between them; a function of `n` alone. */
export async function talk(policy: EnginePolicy, n: number): Promise<Talk> {
  const random = new Random("talk", n);
  const prompt = [...ids(new Random("group", n % 3), 37), ...ids(random, n % 5)];
  const conversation = policy.open(prompt, n);
  const record: Talk = { ids: [...prompt], logp: prompt.map(() => null) };
  for (let turn = 0; turn < 3; turn++) {
    const generation = await conversation.generate(sampling);
    const env = ids(random, random.int(20));
    conversation.append(env);
    record.ids.push(...generation.ids, ...env);
    record.logp.push(...generation.logp, ...env.map(() => null));
  }
  conversation.close();
  return record;
}

export function flat(talks: readonly Talk[]): { ids: Int32Array; rows: Int32Array } {
  let end = 0;
  return {
    ids: Int32Array.from(talks.flatMap((each) => each.ids)),
    rows: Int32Array.of(0, ...talks.map((each) => (end += each.ids.length))),
  };
}

export function batchOf(talks: readonly Talk[]): Batch {
  const { ids, rows } = flat(talks);
  const logp = talks.flatMap((each) => each.logp);
  return {
    ids,
    rows,
    weight: Float32Array.from(logp, (x) => (x === null ? 0 : 0.01)),
    advantage: Float32Array.from(logp, (_, i) => Math.sin(i)),
    oldLogp: Float32Array.from(logp, (x) => x ?? 0),
    refLogp: null,
  };
}

export const all = (policy: EnginePolicy, count: number) =>
  Promise.all(Array.from({ length: count }, (_, n) => talk(policy, n)));

export async function refuses(code: string, work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, EngineError);
    assert.is((error as EngineError).code, code, (error as Error).message);
    return;
  }
  assert.unreachable(`expected an EngineError ${code}`);
}
