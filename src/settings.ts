// What each stage needs of a config, in the stage's own words. Only renaming: no stage reads the config itself.
// Test: test/unit/config.test.ts

import type { AlgorithmOptions } from "./algorithms/algorithm.ts";
import type { OverlongOptions } from "./algorithms/overlong.ts";
import type { DrawOptions, TrackerOptions } from "./algorithms/spo.ts";
import type { TisOptions } from "./algorithms/tis.ts";
import type { PackOptions } from "./batch.ts";
import type { Config } from "./config/config.ts";
import type { ValueOptions } from "./policy/critic.ts";
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

export function algorithmOptions(config: Config): AlgorithmOptions {
  const { algo, credit, std, stdEps, gae, gamma, gammaTurn, lambda, whiten, klKind: kind, klClamp: clamp } = config;
  const kl = config.klIn === "reward" && config.klCoef > 0 ? { coef: config.klCoef, kind, clamp } : null;
  return { algo, credit, std, stdEps, gae, gamma, gammaTurn, lambda, whiten, rewardRange: rewardRange(config), kl };
}

/** Lowest and highest reward that a rollout can have. */
export function rewardRange(config: Config): readonly [number, number] {
  const { tarl, outcomeWeight, turnsWeight, majorWeight, overlongBuffer, overlongFactor } = config;
  const overlong = overlongBuffer > 0 ? overlongFactor : 0;
  return tarl ? [0 - majorWeight - overlong, outcomeWeight + turnsWeight] : [0 - overlong, 1];
}

export function overlongOptions(config: Config): OverlongOptions {
  return { maxTokens: config.contextTokens, buffer: config.overlongBuffer, factor: config.overlongFactor };
}

export function trackerOptions({ spoHalfLife, spoRhoMin, spoRhoMax }: Config): TrackerOptions {
  return { halfLife: spoHalfLife, rhoMin: spoRhoMin, rhoMax: spoRhoMax };
}

export function drawOptions({ spoExplore, spoPower }: Config): DrawOptions {
  return { explore: spoExplore, power: spoPower };
}

/** Null: the trainer's log-probs are not asked for. */
export function tisOptions({ tis, tisMode, tisLow, tisCap, tisNorm }: Config): TisOptions | null {
  return tis === "off" ? null : { level: tis, mode: tisMode, low: tisLow, cap: tisCap, norm: tisNorm };
}

/** Weight of the KL in the loss. */
function klInLoss({ klIn, klCoef }: Config): number {
  return klIn === "loss" ? klCoef : 0;
}

export function packOptions(config: Config): PackOptions {
  const { aggregation, contextTokens, entropyCoef, algo } = config;
  const dropZero = klInLoss(config) === 0 && entropyCoef === 0 && algo !== "ppo";
  return { aggregation, normConst: contextTokens, excludeEmpty: true, dropZero };
}

export function lossOptions(config: Config): LossOptions {
  const { ratio, clipLow, clipHigh, dualClip, klKind, klClamp, entropyCoef, temperature } = config;
  const klCoef = klInLoss(config);
  const value = criticOf(config) === "shared" ? { value: { coef: config.valueCoef, ...valueOptions(config) } } : {};
  return { ratio, clipLow, clipHigh, dualClip, klCoef, klKind, klClamp, entropyCoef, temperature, ...value };
}

/** Where PPO's critic stands; null: there is none. */
export function criticOf({ algo, critic }: Config): Config["critic"] | null {
  return algo === "ppo" ? critic : null;
}

export function valueOptions({ valueClip: clip }: Config): ValueOptions {
  return { clip };
}

/** Of a critic on a trunk of its own: the policy's, but for the learning rate, which has the same schedule. */
export function criticOptimizer(config: Config, step: number): OptimizerOptions {
  return optimizerOptions({ ...config, lr: config.criticLr }, step);
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
