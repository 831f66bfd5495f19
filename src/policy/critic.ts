// A critic on a trunk of its own: an engine with a value head and no logits, opened from the policy's starting checkpoint
// (its head then starts at 0) or from its own. It learns the value loss through the policy's training step, whose other
// loss is not there. Not here: a critic on the policy's trunk (`output: "both"` in policy.ts), what returns are.
// Test: test/native/critic.test.ts

import type { Batch, LossOptions, OptimizerOptions, StepStats } from "../types.ts";
import { openPolicy, type PolicyOptions } from "./policy.ts";

/** What a critic learns from. */
export type ValueBatch = Required<Pick<Batch, "ids" | "rows" | "weight" | "values">>;

export interface ValueOptions {
  /** How far a value may move from the old one; 0 is off. */
  readonly clip: number;
}

export type ValueStats = Pick<
  StepStats,
  "valueLoss" | "valueClipped" | "valueExplained" | "gradNorm" | "tokens" | "computedTokens" | "lossTokens"
>;

/** What tells how much reward is still to come, on a trunk of its own. */
export interface Critic {
  /** [N] said of each token from those before it in its row; 0 on each row's first. */
  values(ids: Int32Array, rows: Int32Array): Promise<Float32Array>;
  /** One optimizer step over the whole batch. */
  step(batch: ValueBatch, options: ValueOptions, optimizer: OptimizerOptions): Promise<ValueStats>;
  /** Writes a checkpoint that transformers loads as a token classifier; with `optimizer`, what resuming needs as well. */
  save(dir: string, options?: { optimizer?: boolean }): Promise<void>;
  dispose(): Promise<void>;
}

/** Where the critic lies in a checkpoint of its policy. */
export const CRITIC = "critic";

export type CriticOptions = Omit<
  PolicyOptions,
  "role" | "output" | "vocabLimit" | "files" | "kvTokens" | "roundTokens" | "lora" | "deadlineMs"
>;

/** Of a policy's loss; a critic has none. */
const noPolicy: LossOptions = {
  ratio: "none",
  clipLow: 0,
  clipHigh: 0,
  dualClip: 0,
  klCoef: 0,
  klKind: "k3",
  klClamp: 0,
  entropyCoef: 0,
  temperature: 1,
};

/** Opens a critic; throws a CheckpointError or an EngineError. Optimizer state in the folder is loaded with it. */
export async function openCritic(options: CriticOptions): Promise<Critic> {
  const engine = await openPolicy({ ...options, role: "policy", output: "values", kvTokens: 0 });
  return {
    values: (ids, rows) => engine.values(ids, rows),
    step: (batch, { clip }, optimizer) =>
      engine.step(
        { ...batch, advantage: new Float32Array(batch.ids.length), oldLogp: null, refLogp: null },
        { ...noPolicy, value: { coef: 1, clip } },
        optimizer,
      ),
    save: (dir, what) => engine.save(dir, what),
    dispose: () => engine.dispose(),
  };
}
