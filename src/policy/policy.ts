// The typed door to the engine: a Policy from a checkpoint folder. Checks what callers give it, turns native failures
// into EngineErrors, keeps deadlines. What is computed is in native/core.
// Test: test/native/policy.test.ts

import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import { EngineError } from "../errors.ts";
import type {
  Batch,
  Conversation,
  Generation,
  LossOptions,
  OptimizerOptions,
  Policy,
  Sampling,
  Scorer,
  StepStats,
} from "../types.ts";
import { type Companions, readCheckpoint, readCompanions, saveCheckpoint } from "./checkpoint.ts";
import { adapterShapes, type Lora, layOutAdapter, readAdapter } from "./lora.ts";
import { availableMemory } from "./memory.ts";
import { type ModelConfig, type Output, parameterShapes } from "./model.ts";
import { type EngineStats, type NativeEngine, type NativeOptions, native, wrapped } from "./native.ts";
import { defaultState, type Learned, layOutState, readState, type StateOptions } from "./state.ts";

export interface PolicyOptions {
  /** Checkpoint folder; or a shape, for random weights. */
  readonly model: string | { readonly config: ModelConfig; readonly seed: number };
  /** "auto" takes a GPU if there is one. */
  readonly device: "auto" | "cpu" | "cuda";
  readonly dtype: "fp32" | "bf16";
  /** 0: every core. */
  readonly threads: number;
  /** A policy learns; a reference only scores and speaks. */
  readonly role: "policy" | "reference";
  /** "both": a critic on the policy's own trunk; "values": a critic alone (critic.ts). Default: "logits". */
  readonly output?: Output;
  /** "off": plain ATen, the slow twin of our kernels. */
  readonly kernels?: "on" | "off";
  /** "on": refused where a conversation's bits depend on its company. Our kernels are always invariant, at no cost. */
  readonly batchInvariant?: "auto" | "on" | "off";
  /** Leaves optimizer state in the folder unread: a new run that starts from another one's checkpoint. */
  readonly fresh?: boolean;
  /** Ids from there on get no logit, in sampling and learning alike. 0: none. */
  readonly vocabLimit?: number;
  /** Goes into every checkpoint beside the model's own files, over those of the same name. */
  readonly files?: Companions;
  /** Most tokens of the KV pool; default: a quarter of the device's free memory, at most 4 million tokens. */
  readonly kvTokens?: number;
  /** Most tokens of conversations that go through the model at once. */
  readonly roundTokens?: number;
  /** Most tokens of a micro-batch of learning, those that rows have in common counted once; a longer row is one alone. */
  readonly microTokens?: number;
  /** Keeps only the layers' inputs for backward, and runs each layer again there: the same gradients. */
  readonly recompute?: boolean;
  readonly state?: StateOptions;
  /** Learns an adapter, and leaves the weights as they are. */
  readonly lora?: NewAdapter;
  /** A generation that takes longer ends with a DEADLINE error. */
  readonly deadlineMs?: number;
}

/** An adapter and where its numbers come from: a checkpoint, with the optimizer's state; or a seed. */
export interface NewAdapter extends Lora {
  readonly from: string | { readonly seed: number };
}

const ROUND_TOKENS = 4096;
export const MICRO_TOKENS = 4096;
const DEADLINE_MS = 30 * 60_000;

/** Opens a policy; throws a CheckpointError or an EngineError. Optimizer state in the folder is loaded with it. */
export async function openPolicy(options: PolicyOptions): Promise<EnginePolicy> {
  const { model, lora, output = "logits" } = options;
  const random = typeof model !== "string";
  const checkpoint = random ? null : readCheckpoint(model, output);
  const config = random ? { ...model.config, output } : checkpoint!.config;
  const adapter = typeof lora?.from === "string" ? readAdapter(lora.from, config, lora) : null;
  const source = lora ? lora.from : model;
  const state =
    typeof source === "string" && options.role === "policy" && !options.fresh
      ? readState(source, learnedOf(config, options))
      : null;
  for (const warning of checkpoint?.warnings ?? []) process.stderr.write(`warning: ${warning}\n`);
  const engine = await call(() => new native.Engine(engineOptions(config, options)));
  try {
    if (random) await call(() => engine.initialise(model.seed));
    else await call(() => engine.read(checkpoint!.tensors));
    if (adapter) await call(() => engine.read(adapter));
    else if (lora && typeof lora.from !== "string") await engine.initialiseAdapter(lora.from.seed);
    if (state) await call(() => engine.read(state));
  } catch (error) {
    await engine.dispose();
    throw error;
  }
  return new EnginePolicy(
    engine,
    config,
    new Map([...(random ? [] : readCompanions(model)), ...(options.files ?? [])]),
    options,
  );
}

/** What learns, and how the optimizer remembers it. */
function learnedOf(config: ModelConfig, { dtype, lora, state = defaultState }: PolicyOptions): Learned {
  return { shapes: lora ? adapterShapes(config, lora) : parameterShapes(config), dtype, state };
}

function engineOptions(config: ModelConfig, options: PolicyOptions): NativeOptions {
  const device = options.device === "auto" ? (native.cuda() ? "cuda" : "cpu") : options.device;
  const kvBytes = 2 * (options.dtype === "bf16" ? 2 : 4) * config.layers * config.kvHeads * config.headDim;
  return {
    config,
    shapes: parameterShapes(config),
    device,
    dtype: options.dtype,
    threads: options.threads || availableParallelism(),
    kernels: options.kernels !== "off",
    batchInvariant: options.batchInvariant === "on",
    trained: options.role === "policy",
    vocabLimit: options.vocabLimit ?? 0,
    contextLength: config.maxPositions,
    kvTokens: options.kvTokens ?? Math.min(4e6, Math.floor(availableMemory(device) / 4 / kvBytes)),
    roundTokens: options.roundTokens ?? ROUND_TOKENS,
    microTokens: options.microTokens ?? MICRO_TOKENS,
    recompute: options.recompute ?? false,
    ...(options.state ?? defaultState),
    lora: options.lora ?? null,
  };
}

export class EnginePolicy implements Policy {
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly batchInvariant: boolean;
  #conversations = 0;
  #disposed: Promise<void> | undefined;

  /** `engine` is for tests and benchmarks. */
  constructor(
    readonly engine: NativeEngine,
    readonly config: ModelConfig,
    private readonly companions: Companions,
    private readonly options: PolicyOptions,
  ) {
    this.vocabSize = config.vocabSize;
    this.contextLength = config.maxPositions;
    this.batchInvariant = engine.batchInvariant();
  }

  open(ids: ArrayLike<number>, seed: number): Conversation {
    if (!Number.isSafeInteger(seed) || seed < 0) throw invalid(`seed: ${seed}, expected an integer of 0 or more`);
    const id = this.#conversations++;
    const tokens = this.ids(ids);
    check(() => this.engine.open(id, tokens, seed));
    return new EngineConversation(this, id, tokens.length);
  }

  /** The copy that a fork speaks through. */
  fork(from: number, length: number, seed: number): Conversation {
    const twin = this.#conversations++;
    check(() => this.engine.fork(from, twin, seed));
    return new EngineConversation(this, twin, length);
  }

  async score(ids: Int32Array, rows: Int32Array, temperature: number) {
    return this.#score(ids, rows, temperature, true);
  }

  /** The model without its adapter: what it was when it began to learn. Null where there is no adapter. */
  get base(): Scorer | null {
    if (!this.options.lora) return null;
    return {
      score: (ids, rows, temperature) => this.#score(ids, rows, temperature, false),
      dispose: async () => {}, // the policy's own engine
    };
  }

  async #score(ids: Int32Array, rows: Int32Array, temperature: number, adapter: boolean) {
    const tokens = this.ids(ids);
    return call(() => this.engine.score(tokens, rows, temperature, adapter));
  }

  async values(ids: Int32Array, rows: Int32Array): Promise<Float32Array> {
    const tokens = this.ids(ids);
    return call(() => this.engine.values(tokens, rows));
  }

  async step(batch: Batch, loss: LossOptions, optimizer: OptimizerOptions): Promise<StepStats> {
    if (this.options.role !== "policy") throw invalid("a reference does not learn");
    return call(() => this.engine.step(batch, loss, optimizer));
  }

  stats(): Promise<EngineStats> {
    return call(() => this.engine.stats());
  }

  async save(dir: string, { optimizer = false } = {}): Promise<void> {
    const { options, config, companions } = this;
    const dtype = options.dtype === "bf16" ? "BF16" : "F32";
    await saveCheckpoint(dir, config, { dtype, companions }, async (tensors) => {
      const { lora, model } = options;
      const partial = dirname(tensors[0].file);
      const merged = tensors.map((tensor) => ({ ...tensor, name: `merged/${tensor.name}` }));
      await call(() => this.engine.write(lora ? merged : tensors));
      if (lora) {
        const base = typeof model === "string" ? model : null;
        const places = layOutAdapter(partial, config, { lora, dtype, base });
        await call(() => this.engine.write(places));
      }
      if (!optimizer) return;
      const places = layOutState(partial, learnedOf(config, options), await call(() => this.engine.state()));
      await call(() => this.engine.write(places));
    });
  }

  dispose(): Promise<void> {
    this.#disposed ??= this.engine.dispose();
    return this.#disposed;
  }

  /** A checked copy. */
  ids(ids: ArrayLike<number>): Int32Array {
    for (let i = 0; i < ids.length; i++)
      if (!Number.isInteger(ids[i]) || ids[i] < 0 || ids[i] >= this.vocabSize)
        throw invalid(`ids[${i}]: ${ids[i]}, expected an integer from 0 to ${this.vocabSize - 1}`);
    return Int32Array.from(ids);
  }

  get deadlineMs(): number {
    return this.options.deadlineMs ?? DEADLINE_MS;
  }
}

class EngineConversation implements Conversation {
  #length: number;
  #state: "idle" | "generating" | "closed" = "idle";

  constructor(
    private readonly policy: EnginePolicy,
    private readonly id: number,
    length: number,
  ) {
    this.#length = length;
  }

  get length(): number {
    return this.#length;
  }

  append(ids: ArrayLike<number>): void {
    this.#idle("append");
    const tokens = this.policy.ids(ids);
    check(() => this.policy.engine.append(this.id, tokens));
    this.#length += tokens.length;
  }

  async generate(sampling: Sampling, signal?: AbortSignal): Promise<Generation> {
    this.#idle("generate");
    if (signal?.aborted) return { ids: new Int32Array(), logp: new Float32Array(), ended: "aborted" };
    const { engine, deadlineMs } = this.policy;
    const abort = () => engine.abort(this.id);
    const late = () => engine.abort(this.id, `generation took longer than ${deadlineMs} ms`);
    const timer = setTimeout(late, deadlineMs);
    signal?.addEventListener("abort", abort, { once: true });
    this.#state = "generating";
    try {
      const generation = await call(() => engine.generate(this.id, sampling));
      this.#length += generation.ids.length;
      return generation;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      if (this.#state === "generating") this.#state = "idle";
    }
  }

  fork(seed: number): Conversation {
    this.#idle("fork");
    return this.policy.fork(this.id, this.#length, seed);
  }

  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.policy.engine.close(this.id);
  }

  #idle(what: string): void {
    if (this.#state === "generating") throw new EngineError("BUSY", `${what}: the conversation is generating`);
    if (this.#state === "closed") throw new EngineError("DISPOSED", `${what}: the conversation is closed`);
  }
}

function invalid(message: string): EngineError {
  return new EngineError("INVALID_ARGUMENT", message);
}

function check(work: () => void): void {
  try {
    work();
  } catch (error) {
    throw wrapped(error);
  }
}

async function call<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw wrapped(error);
  }
}
