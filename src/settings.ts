// What each stage needs of a config, in the stage's own words. Only renaming: no stage reads the config itself.
// Test: test/unit/config.test.ts

import { type AdvantageOptions, algorithms, type TurnAdvantageOptions } from "./advantage.ts";
import type { PackOptions } from "./batch.ts";
import type { Config } from "./config.ts";
import { type Lora, readTargets } from "./policy/lora.ts";
import type { StateOptions } from "./policy/state.ts";
import type { RewardOptions } from "./reward.ts";
import type { LossOptions, OptimizerOptions, Sampling } from "./types.ts";

/** A format adds the stop ids. */
export type SamplingSettings = Omit<Sampling, "stopIds">;

export function trainSampling({ temperature, topP, topK, minP, turnTokens }: Config): SamplingSettings {
  return { temperature, topP, topK, minP, maxTokens: turnTokens };
}

/** Evaluations see the whole distribution. */
export function evalSampling({ evalTemperature, turnTokens }: Config): SamplingSettings {
  return { temperature: evalTemperature, topP: 1, topK: 0, minP: 0, maxTokens: turnTokens };
}

/** `tarl` is its own argument because the TARL reward is logged whether the policy learns from it or not. */
export function rewardOptions(config: Config, tarl: boolean): RewardOptions {
  const { outcomeWeight: outcome, turnsWeight: turns, majorWeight: major, conflict } = config;
  return { tarl, outcome, turns, major, conflict };
}

export function advantageOptions({ algo, std, stdEps: eps }: Config): AdvantageOptions {
  return algo === "grpo" ? { ...algorithms.grpo, std, eps } : algorithms.rloo;
}

/** With --credit turn, where the config lets `std` be nothing else. */
export function turnAdvantageOptions({ std, stdEps: eps }: Config): TurnAdvantageOptions {
  return { std: std as TurnAdvantageOptions["std"], eps, gamma: 1 };
}

export function packOptions({ aggregation, contextTokens, klCoef, entropyCoef }: Config): PackOptions {
  return { aggregation, normConst: contextTokens, excludeEmpty: true, dropZero: klCoef === 0 && entropyCoef === 0 };
}

export function lossOptions(config: Config): LossOptions {
  const { ratio, clipLow, clipHigh, dualClip, klCoef, klKind, entropyCoef, temperature } = config;
  return { ratio, clipLow, clipHigh, dualClip, klCoef, klKind, entropyCoef, temperature };
}

/** The adapter that is learned; null: all weights are. */
export function loraOptions({ loraRank: rank, loraAlpha: alpha, loraTargets }: Config): Lora | null {
  const targets = readTargets(loraTargets);
  return rank > 0 ? { rank, alpha, targets } : null;
}

export function stateOptions({ master, moments }: Config): StateOptions {
  return { master, moments };
}

/** `step` counts the updates before this one. */
export function optimizerOptions(config: Config, step: number): OptimizerOptions {
  const { optimizer: kind, muonScale, beta1, beta2, eps, weightDecay, decayVectors, maxGradNorm } = config;
  return { kind, lr: learningRate(config, step), muonScale, beta1, beta2, eps, weightDecay, decayVectors, maxGradNorm };
}

/** Rises linearly over `warmup` updates, then stays, or falls to 0 by the end of the run. */
function learningRate({ lr, warmup, decay, steps }: Config, step: number): number {
  if (step < warmup) return (lr * (step + 1)) / warmup;
  const passed = (step - warmup) / (steps - warmup);
  if (decay === "linear") return lr * (1 - passed);
  if (decay === "cosine") return (lr * (1 + Math.cos(Math.PI * passed))) / 2;
  return lr;
}
