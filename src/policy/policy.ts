// The typed door to the engine: a Policy from a checkpoint folder. Checks what callers give it, turns native failures
// into EngineErrors, keeps deadlines. What is computed is in native/core.
// Test: test/native/policy.test.ts

import { existsSync, renameSync, writeFileSync } from "node:fs";
import { availableParallelism, freemem } from "node:os";
import { dirname, join } from "node:path";
import { EngineError, type EngineErrorCode } from "../errors.ts";
import type {
  Batch,
  Conversation,
  Generation,
  LossOptions,
  OptimizerOptions,
  Policy,
  Sampling,
  StepStats,
} from "../types.ts";
import { type Companions, readCheckpoint, readCompanions, saveCheckpoint } from "./checkpoint.ts";
import { type ModelConfig, parameterShapes } from "./model.ts";
import { type EngineStats, type NativeEngine, type NativeOptions, native } from "./native.ts";
import { makeHeader, readHeader, type TensorEntry } from "./safetensors.ts";

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
  /** "off": plain ATen, the slow twin of our kernels. */
  readonly kernels?: "on" | "off";
  /** Leaves optimizer state in the folder unread: a new run that starts from another one's checkpoint. */
  readonly fresh?: boolean;
  /** Ids from there on get no logit, in sampling and learning alike. 0: none. */
  readonly vocabLimit?: number;
  /** Most tokens of the KV pool; default: a quarter of the free memory, at most 4 million tokens. */
  readonly kvTokens?: number;
  /** Most tokens that go through the model at once. */
  readonly roundTokens?: number;
  /** A call that takes longer ends with a DEADLINE error. */
  readonly deadlineMs?: number;
}

const ROUND_TOKENS = 4096;
const DEADLINE_MS = 30 * 60_000;
const OPTIMIZER_FILE = "optimizer.safetensors";

/** Opens a policy; throws a CheckpointError or an EngineError. Optimizer state in the folder is loaded with it. */
export async function openPolicy(options: PolicyOptions): Promise<EnginePolicy> {
  const { model } = options;
  const random = typeof model !== "string";
  const checkpoint = random ? null : readCheckpoint(model);
  const config = random ? model.config : checkpoint!.config;
  for (const warning of checkpoint?.warnings ?? []) process.stderr.write(`warning: ${warning}\n`);
  const engine = await call(() => new native.Engine(engineOptions(config, options)));
  try {
    if (random) await call(() => engine.initialise(model.seed));
    else await call(() => engine.read(checkpoint!.tensors));
    const state = random || options.fresh ? null : join(model, OPTIMIZER_FILE);
    if (state && options.role === "policy" && existsSync(state)) await call(() => engine.read(readHeader(state)));
  } catch (error) {
    await engine.dispose();
    throw error;
  }
  return new EnginePolicy(engine, config, random ? new Map() : readCompanions(model), options);
}

function engineOptions(config: ModelConfig, options: PolicyOptions): NativeOptions {
  const kvBytes = 2 * 4 * config.layers * config.kvHeads * config.headDim;
  return {
    config,
    shapes: parameterShapes(config),
    device: options.device === "auto" ? (native.cuda() ? "cuda" : "cpu") : options.device,
    dtype: options.dtype,
    threads: options.threads || availableParallelism(),
    kernels: options.kernels !== "off",
    trained: options.role === "policy",
    vocabLimit: options.vocabLimit ?? 0,
    contextLength: config.maxPositions,
    kvTokens: options.kvTokens ?? Math.min(4e6, Math.floor(freemem() / 4 / kvBytes)),
    roundTokens: options.roundTokens ?? ROUND_TOKENS,
  };
}

export class EnginePolicy implements Policy {
  readonly vocabSize: number;
  readonly contextLength: number;
  #conversations = 0;

  /** `engine` is for tests and benchmarks. */
  constructor(
    readonly engine: NativeEngine,
    readonly config: ModelConfig,
    private readonly companions: Companions,
    private readonly options: PolicyOptions,
  ) {
    this.vocabSize = config.vocabSize;
    this.contextLength = config.maxPositions;
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
    const tokens = this.ids(ids);
    return this.#within("score", () => this.engine.score(tokens, rows, temperature));
  }

  async step(batch: Batch, loss: LossOptions, optimizer: OptimizerOptions): Promise<StepStats> {
    if (this.options.role !== "policy") throw invalid("a reference does not learn");
    const stats = await this.#within("step", () => this.engine.backward(batch, loss));
    return { ...stats, gradNorm: await this.#within("step", () => this.engine.update(optimizer)) };
  }

  stats(): Promise<EngineStats> {
    return this.#within("stats", () => this.engine.stats());
  }

  async save(dir: string, { optimizer = false } = {}): Promise<void> {
    const dtype = this.options.dtype === "bf16" ? "BF16" : "F32";
    await saveCheckpoint(dir, this.config, { dtype, companions: this.companions }, async (tensors) => {
      await this.#within("save", () => this.engine.write(tensors));
      if (optimizer) await this.#saveOptimizer(dirname(tensors[0].file));
    });
  }

  async #saveOptimizer(dir: string): Promise<void> {
    const shapes = parameterShapes(this.config);
    const state = (kind: string) => shapes.map(([name, shape]) => ({ name: `${kind}/${name}`, dtype: "F32", shape }));
    const tensors = [
      { name: "steps", dtype: "F32", shape: [1] },
      ...state("m"),
      ...state("v"),
      ...(this.options.dtype === "bf16" ? state("master") : []),
    ];
    const { header, offsets, fileBytes } = makeHeader(tensors);
    const file = join(dir, OPTIMIZER_FILE);
    const partial = `${file}.partial`;
    writeFileSync(partial, Buffer.concat([header, Buffer.alloc(fileBytes - header.length)]));
    const bytes = (shape: readonly number[]) => 4 * shape.reduce((a, b) => a * b, 1);
    const places: TensorEntry[] = tensors.map((tensor, i) => ({
      ...tensor,
      file: partial,
      offset: offsets[i],
      bytes: bytes(tensor.shape),
    }));
    await this.#within("save", () => this.engine.write(places));
    renameSync(partial, file);
  }

  async dispose(): Promise<void> {
    await this.engine.dispose();
  }

  /** A checked copy. */
  ids(ids: ArrayLike<number>): Int32Array {
    for (let i = 0; i < ids.length; i++)
      if (!Number.isInteger(ids[i]) || ids[i] < 0 || ids[i] >= this.vocabSize)
        throw invalid(`ids[${i}]: ${ids[i]}, expected an integer from 0 to ${this.vocabSize - 1}`);
    return Int32Array.from(ids);
  }

  /** The engine's answer; a named error where it takes too long (the work itself goes on to its end). */
  async #within<T>(what: string, work: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const fail = () => reject(new EngineError("DEADLINE", `${what} took longer than ${this.deadlineMs} ms`));
      timer = setTimeout(fail, this.deadlineMs);
    });
    try {
      return await Promise.race([call(work), late]);
    } finally {
      clearTimeout(timer);
    }
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
    let late = false;
    const abort = () => engine.abort(this.id);
    const timer = setTimeout(() => {
      late = true;
      abort();
    }, deadlineMs);
    signal?.addEventListener("abort", abort, { once: true });
    this.#state = "generating";
    try {
      const generation = await call(() => engine.generate(this.id, sampling));
      this.#length += generation.ids.length;
      if (late) throw new EngineError("DEADLINE", `generation took longer than ${deadlineMs} ms`);
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

function wrapped(error: unknown): unknown {
  const { code, message } = error as { code?: EngineErrorCode; message: string };
  return code ? new EngineError(code, message) : error;
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
