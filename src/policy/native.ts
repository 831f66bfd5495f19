// The face of the native module (native/addon): types, and the one place that loads it.
// Not for use outside of this folder but in tests: nothing here checks its arguments.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { EngineError, type EngineErrorCode, UsageError } from "../errors.ts";
import { root } from "../root.ts";
import type { Batch, Generation, LossOptions, OptimizerOptions, Sampling, StepStats } from "../types.ts";
import type { Lora } from "./lora.ts";
import type { ModelConfig } from "./model.ts";
import type { TensorEntry } from "./safetensors.ts";
import type { StateOptions } from "./state.ts";

export interface NativeOptions {
  readonly config: ModelConfig;
  readonly shapes: readonly (readonly [name: string, shape: readonly number[]])[];
  readonly device: string;
  readonly dtype: "fp32" | "bf16";
  readonly threads: number;
  /** Kernels of ours, where the device has them; off: plain ATen, the reference. */
  readonly kernels: boolean;
  /** Required; where it cannot be had the constructor throws. */
  readonly batchInvariant: boolean;
  readonly trained: boolean;
  /** Ids from there on get no logit; 0: none. */
  readonly vocabLimit: number;
  readonly contextLength: number;
  readonly kvTokens: number;
  /** Most tokens of a round of conversations, and of a micro-batch of learning. */
  readonly roundTokens: number;
  readonly microTokens: number;
  /** Keep only the layers' inputs for backward. */
  readonly recompute: boolean;
  readonly master: StateOptions["master"];
  readonly moments: StateOptions["moments"];
  readonly lora: Lora | null;
}

export interface EngineStats {
  readonly rounds: number;
  /** Tokens of conversations that went through the model. */
  readonly computed: number;
  /** Of those: computed once more, since their conversation had to give its pages up. */
  readonly recomputed: number;
  readonly sampled: number;
  /** Tokens whose keys and values another conversation had already. */
  readonly shared: number;
  /** Generations that are not admitted yet: the pages that they may need are promised to others. */
  readonly waiting: number;
  readonly pages: number;
  readonly pagesLimit: number;
}

/** One pass over packed rows, all arrays flat: logits [N, V], hidden [N, D], residual stream [N, D] by layer. */
export interface Trace {
  readonly logits: Float32Array;
  readonly hidden: Float32Array;
  readonly residuals: readonly Float32Array[];
}

/** Jobs run in the order in which they were asked for; what fails rejects with an Error that has a `code`. */
export interface NativeEngine {
  initialise(seed: number): Promise<void>;
  /** An adapter that adds nothing yet. */
  initialiseAdapter(seed: number): Promise<void>;
  /** Tensors: parameters by name, "grad/NAME", "merged/NAME" (with the adapter's part; to write alone), those of `state`. */
  read(places: readonly TensorEntry[]): Promise<void>;
  write(places: readonly TensorEntry[]): Promise<void>;
  tensor(name: string): Promise<{ shape: number[]; data: Float32Array }>;
  open(id: number, ids: Int32Array, seed: number): void;
  append(id: number, ids: Int32Array): void;
  generate(id: number, sampling: Sampling): Promise<Generation>;
  /** With a message, the generation fails with DEADLINE. Nothing on a disposed engine. */
  abort(id: number, late?: string): void;
  fork(id: number, twin: number, seed: number): void;
  close(id: number): void;
  score(
    ids: Int32Array,
    rows: Int32Array,
    temperature: number,
    adapter: boolean,
  ): Promise<{ logp: Float32Array; entropy: Float32Array; top1: Int32Array }>;
  values(ids: Int32Array, rows: Int32Array): Promise<Float32Array>;
  trace(ids: Int32Array, rows: Int32Array, positions: Int32Array | null): Promise<Trace>;
  traceCached(ids: Int32Array, parts: Int32Array): Promise<Trace>;
  /** Gradients, and no update: for tests that look at them. */
  backward(batch: Batch, loss: LossOptions): Promise<Omit<StepStats, "gradNorm">>;
  step(batch: Batch, loss: LossOptions, optimizer: OptimizerOptions): Promise<StepStats>;
  /** Names of the optimizer's tensors, as `read` and `write` take them. */
  state(): Promise<string[]>;
  stats(): Promise<EngineStats>;
  /** Whether a conversation's bits do not depend on its company. */
  batchInvariant(): boolean;
  /** Once. */
  dispose(): Promise<void>;
}

export interface PlainLoss {
  readonly gradLogp: Float64Array;
  readonly gradEntropy: Float64Array;
  readonly stats: Omit<StepStats, "gradNorm">;
}

interface Native {
  readonly Engine: new (options: NativeOptions) => NativeEngine;
  policyLoss(
    input: {
      readonly logp: Float64Array;
      readonly entropy: Float64Array;
      readonly oldLogp: Float64Array | null;
      readonly refLogp: Float64Array | null;
      readonly advantage: Float64Array;
      readonly weight: Float64Array;
      readonly rows: Int32Array;
    },
    options: Omit<LossOptions, "temperature">,
  ): PlainLoss;
  /** `clip` 0 is off. `clipped` and `tokens` are counts under the mask. */
  valueLoss(
    input: {
      readonly values: Float64Array;
      readonly oldValues: Float64Array | null;
      readonly returns: Float64Array;
      readonly weight: Float64Array;
    },
    clip: number,
  ): { readonly gradValues: Float64Array; readonly loss: number; readonly clipped: number; readonly tokens: number };
  distribution(logits: Float32Array, sampling: Sampling): Float64Array;
  /** Random starting weights, those of `initialise`, into laid out files; a piece at a time, on this thread. */
  writeStart(
    places: readonly TensorEntry[],
    shapes: NativeOptions["shapes"],
    initializerRange: number,
    layers: number,
    seed: number,
  ): void;
  /** Instruction set of the CPU's kernels in use: generic, avx2, avx512 or avx512_bf16. */
  isa(): string;
  /** True when there is a GPU that libtorch can use. */
  cuda(): boolean;
  /** Free bytes of the first one; 0 without. */
  cudaMemory(): number;
}

const file = join(root, "build", "Release", "tarl.node");

function load(): Native {
  if (!existsSync(file)) throw new UsageError(`${file} is not built: run node train.js setup`);
  return createRequire(import.meta.url)(file) as Native;
}

let loaded: Native | undefined;

/** Loaded at first use, so that commands without a policy start without it. */
export const native: Native = new Proxy({} as Native, {
  get: (_, key) => {
    loaded ??= load();
    return loaded[key as keyof Native];
  },
});

/** What the addon throws, as an EngineError. */
export function wrapped(error: unknown): unknown {
  const { code, message } = error as { code?: EngineErrorCode; message: string };
  return code ? new EngineError(code, message) : error;
}
