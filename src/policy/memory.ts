// The memory plan: what a policy of a shape takes while it plays and learns, part by part, made before anything is loaded.
// Sizes are computed from what native/core keeps (each formula says of what), not measured; docs/log.md has both.
// Test: test/unit/memory.test.ts

import { existsSync, readFileSync } from "node:fs";
import { freemem } from "node:os";
import { join } from "node:path";
import { bytesText } from "./amount.ts";
import { adapterShapes, type Lora, readTargets } from "./lora.ts";
import { type ModelConfig, parameterShapes } from "./model.ts";
import { native } from "./native.ts";
import { BLOCK, type Shapes, type StateOptions } from "./state.ts";

export interface MemoryOptions {
  readonly device: "cpu" | "cuda";
  readonly dtype: "fp32" | "bf16";
  /** False: it only speaks and scores. */
  readonly learns: boolean;
  readonly microTokens: number;
  /** Most tokens of one conversation: the longest row. */
  readonly contextTokens: number;
  /** Conversations at once. */
  readonly concurrent: number;
  readonly recompute: "auto" | "on" | "off";
  readonly state: StateOptions;
  readonly lora: Lora | null;
  /** A second engine scores for the KL. */
  readonly reference: boolean;
  /** PPO's critic: an engine of its own that learns all weights, or a head on the policy's trunk. Default: none. */
  readonly critic?: "own" | "shared" | null;
  /** Bytes that may be used. */
  readonly available: number;
}

export interface MemoryPlan {
  /** In the order in which they are met. */
  readonly parts: readonly { readonly name: string; readonly bytes: number }[];
  /** Less than their sum: activations and logits, and keys and values, are never there together. */
  readonly total: number;
  readonly available: number;
  readonly recompute: boolean;
  /** Size of the KV pool. */
  readonly kvTokens: number;
  /** Options that would make it fit, as they are typed; empty: nothing would. Null: it fits. */
  readonly remedy: string | null;
}

/** Rows of logits that exist at once (kLogitRows in native/core/ops.cpp). */
const LOGIT_ROWS = 256;
/** What is left to the rest of the machine. */
const MARGIN = 0.05;
/**
 * What malloc holds on to between tensors, as a share of the rest, where layers are kept (measured; native/core/engine.cpp).
 */
const HEAP = 0.2;
const LORA_RANK = 32;

/** What fits into the memory, or what would. */
export function planMemory(config: ModelConfig, options: MemoryOptions): MemoryPlan {
  const plan = fitted(config, options);
  return plan.total <= plan.available ? plan : { ...plan, remedy: remedy(config, options) };
}

/** With layers computed again only in learning, and there only where `auto` finds that they cannot be kept. */
function fitted(config: ModelConfig, options: MemoryOptions): MemoryPlan {
  const { recompute, learns } = options;
  if (!learns) return laidOut(config, options, false);
  if (recompute !== "auto") return laidOut(config, options, recompute === "on");
  const kept = laidOut(config, options, false);
  return kept.total <= kept.available ? kept : laidOut(config, options, true);
}

/** KV of every conversation at its longest. */
const wanted = ({ concurrent, contextTokens }: MemoryOptions): number => concurrent * contextTokens;

function laidOut(shape: ModelConfig, options: MemoryOptions, recompute: boolean): MemoryPlan {
  const { lora, learns, critic, available, contextTokens } = options;
  const bytes = itemBytes(options);
  const config: ModelConfig = learns && critic === "shared" ? { ...shape, output: "both" } : shape;
  const own = engineParts(config, options);
  const [{ bytes: weights }] = own;
  const kept = [
    ...own,
    { name: "reference", bytes: options.reference && !lora ? weights * (options.device === "cpu" ? 2 : 1) : 0 },
    { name: "critic", bytes: learns && critic === "own" ? criticBytes(shape, options, recompute) : 0 },
  ];
  const working = [
    { name: "activations", bytes: activations(config, options, bytes, recompute) },
    { name: "logits", bytes: LOGIT_ROWS * config.vocabSize * (4 + (options.device === "cpu" ? 0 : bytes)) },
  ];
  const heap = options.device === "cpu" && learns && !recompute ? HEAP * (sum(kept) + sum(working)) : 0;
  working.push({ name: "heap", bytes: heap });
  const perToken = 2 * config.layers * config.kvHeads * config.headDim * bytes;
  const left = available * (1 - MARGIN) - sum(kept);
  const kvTokens = Math.max(contextTokens, Math.min(wanted(options), Math.floor(left / perToken)));
  const parts = [...kept, ...working, { name: "keys and values", bytes: kvTokens * perToken }];
  return {
    parts: parts.filter(({ bytes }) => bytes > 0),
    // The pool gives its memory back while the policy learns (docs/engine.md).
    total: sum(kept) + Math.max(sum(working), kvTokens * perToken),
    available: available * (1 - MARGIN),
    recompute,
    kvTokens,
    remedy: null,
  };
}

const itemBytes = ({ dtype }: MemoryOptions): number => (dtype === "bf16" ? 2 : 4);

/** What an engine keeps from one update to the next, the weights first. */
function engineParts(config: ModelConfig, options: MemoryOptions): { name: string; bytes: number }[] {
  const { dtype, lora, learns, state } = options;
  const bytes = itemBytes(options);
  const shapes = parameterShapes(config);
  const adapter = lora ? adapterShapes(config, lora) : [];
  const learned = !learns ? [] : lora ? adapter : shapes;
  const masters = { fp32: 4, split: 2, none: 0 }[state.master];
  return [
    { name: "weights", bytes: (count(shapes) + count(adapter)) * bytes },
    { name: "packed copies", bytes: options.device === "cpu" ? packedCopies(config, options, bytes) : 0 },
    { name: "gradients", bytes: 4 * count(learned) },
    { name: "master weights", bytes: dtype === "bf16" ? masters * count(learned) : 0 },
    { name: "moments", bytes: momentBytes(learned, state) },
  ];
}

/** A critic on a trunk of its own. Its activations may be there beside the policy's keys and values, or activations. */
function criticBytes(shape: ModelConfig, options: MemoryOptions, recompute: boolean): number {
  const config: ModelConfig = { ...shape, output: "values" };
  const alone = { ...options, lora: null };
  return sum(engineParts(config, alone)) + activations(config, alone, itemBytes(options), recompute);
}

/** The CPU's kernels keep each matrix packed; what backward packs, a matrix or a micro-batch, is there one at a time. */
function packedCopies(config: ModelConfig, options: MemoryOptions, bytes: number): number {
  const { lora, learns } = options;
  const of = (shapes: Shapes) => shapes.filter(([name, shape]) => shape.length === 2 && !/embed/.test(name));
  const head = [["lm_head.weight", [config.vocabSize, config.hiddenSize]]] as const;
  const matrices = [
    ...of(parameterShapes(config)),
    ...(config.tied && config.output !== "values" ? head : []),
    ...(lora ? of(adapterShapes(config, lora)) : []),
  ];
  const inputs = Math.max(config.hiddenSize, config.intermediateSize, config.heads * config.headDim);
  const largest = Math.max(tokensAtOnce(options) * inputs, ...matrices.map((each) => count([each])));
  return bytes * (count(matrices) + (learns ? largest : 0));
}

/** Of the largest micro-batch. */
const tokensAtOnce = ({ microTokens, contextTokens }: MemoryOptions): number => Math.max(microTokens, contextTokens);

function momentBytes(learned: Shapes, { moments }: StateOptions): number {
  const matrices = count(learned.filter(([, shape]) => shape.length === 2));
  const vectors = count(learned) - matrices;
  return 2 * (4 * vectors + matrices * (moments === "8bit" ? 1 + 4 / BLOCK : 4));
}

/**
 * What autograd keeps of the largest micro-batch. Of a layer: the residual stream and its norm twice, q, k and v before and
 * after their norms, attention's output, gate and up, their product (native/core/ops.cpp, attention.cpp). Backward
 * works on one layer's gradients beside them. Recomputed, only the residual stream of each layer stays, and one layer.
 */
function activations(config: ModelConfig, options: MemoryOptions, bytes: number, recompute: boolean): number {
  const { hiddenSize: width, intermediateSize: inner, heads, kvHeads, headDim, layers } = config;
  const { lora } = options;
  const heads_ = (heads + 2 * kvHeads) * headDim;
  const adapters = lora ? lora.rank * lora.targets.length : 0;
  const layer =
    bytes * (4 * width + 2 * heads_ + heads * headDim + 3 * inner + adapters) + 4 * (3 * heads + kvHeads + 2);
  const working = bytes * (2 * width + 3 * inner);
  const rest = 4 * bytes * width + 4 * headDim;
  const values = config.output ? 8 * width : 0; // what the value head reads and gives back is fp32
  const kept = !options.learns ? layer : recompute ? layers * bytes * width + layer : layers * layer;
  return tokensAtOnce(options) * (kept + working + rest + values);
}

interface Remedy {
  readonly typed: string;
  readonly useful: boolean;
  readonly change: (options: MemoryOptions) => MemoryOptions;
}

/** The first of the options below that suffices; else more and more of them together. */
function remedy(config: ModelConfig, options: MemoryOptions): string {
  const { state, microTokens, contextTokens, dtype } = options;
  const least = Math.max(256, contextTokens);
  const narrow: Remedy = {
    typed: "--dtype bf16",
    useful: dtype === "fp32",
    change: (o) => ({ ...o, dtype: "bf16" }),
  };
  const learning: readonly Remedy[] = [
    { typed: "--recompute on", useful: options.recompute === "off", change: (o) => ({ ...o, recompute: "on" }) },
    {
      typed: `--micro-tokens ${least}`,
      useful: microTokens > least,
      change: (o) => ({ ...o, microTokens: least }),
    },
    {
      typed: "--moments 8bit",
      useful: state.moments !== "8bit",
      change: (o) => ({ ...o, state: { ...o.state, moments: "8bit" } }),
    },
    {
      typed: dtype === "bf16" ? "--master split" : "--dtype bf16 --master split",
      useful: dtype === "fp32" || state.master === "fp32",
      change: (o) => ({ ...o, dtype: "bf16", state: { ...o.state, master: "split" } }),
    },
    { typed: "--kl-coef 0", useful: options.reference, change: (o) => ({ ...o, reference: false }) },
    {
      typed: `--lora-rank ${LORA_RANK}`,
      useful: options.lora === null && options.critic !== "shared",
      change: (o) => ({ ...o, lora: { rank: LORA_RANK, alpha: LORA_RANK, targets: readTargets("all") } }),
    },
  ];
  const useful = (options.learns ? learning : [narrow]).filter(({ useful }) => useful);
  const alone = useful.map((step) => [step]);
  const together = useful.map((_, n) => useful.slice(0, n + 1));
  const found = [...alone, ...together].find((some) => {
    const plan = fitted(
      config,
      some.reduce((o, { change }) => change(o), options),
    );
    return plan.total <= plan.available;
  });
  return found?.map(({ typed }) => typed).join(" ") ?? "";
}

/** Bytes that are free for this process: of the GPU, or of the machine and of the group of processes that it is in. */
export function availableMemory(device: "cpu" | "cuda"): number {
  if (device === "cuda") return native.cudaMemory();
  const stated = /^MemAvailable:\s+(\d+) kB$/m.exec(text("/proc/meminfo") ?? "")?.[1];
  const machine = stated === undefined ? freemem() : Number(stated) * 1024;
  return Math.min(machine, groupMemory());
}

/** What the control group leaves, version 2 or 1, less what is only cached; Infinity where it sets no limit. */
function groupMemory(): number {
  const group = (line: RegExp) => line.exec(text("/proc/self/cgroup") ?? "")?.[1] ?? "/";
  const folders = [`/sys/fs/cgroup${group(/^0::(\/.*)$/m)}`, `/sys/fs/cgroup/memory${group(/:memory:(\/.*)$/m)}`];
  // In a container the group's own folder is often the top one.
  const left = [...folders, "/sys/fs/cgroup", "/sys/fs/cgroup/memory"].map((folder) => {
    const read = (...names: string[]) => names.map((name) => text(join(folder, name))).find((found) => found !== null);
    const limit = Number(read("memory.max", "memory.limit_in_bytes") ?? Number.NaN);
    const used = Number(read("memory.current", "memory.usage_in_bytes") ?? Number.NaN);
    const cached = Number(/^(?:total_)?inactive_file (\d+)$/m.exec(read("memory.stat") ?? "")?.[1] ?? 0);
    return limit - used + cached;
  });
  return Math.min(Infinity, ...left.filter((bytes) => bytes >= 0));
}

function text(file: string): string | null {
  return existsSync(file) ? readFileSync(file, "utf8") : null;
}

function count(shapes: Shapes): number {
  return shapes.reduce((sum, [, shape]) => sum + shape.reduce((product, n) => product * n, 1), 0);
}

const sum = (parts: readonly { readonly bytes: number }[]): number => parts.reduce((sum, { bytes }) => sum + bytes, 0);

/** The plan on one line. */
export function memoryLine({ parts, total, available, recompute }: MemoryPlan): string {
  const each = [...parts].sort((a, b) => b.bytes - a.bytes).map(({ name, bytes }) => `${name} ${bytesText(bytes)}`);
  return `memory: ${bytesText(total)} of ${bytesText(available)}${recompute ? ", layers computed again" : ""}: ${each.join(", ")}`;
}

/** Why a plan is refused, on one line. */
export function refusal({ parts, total, available, remedy }: MemoryPlan): string {
  const largest = [...parts].sort((a, b) => b.bytes - a.bytes).slice(0, 3);
  const why = largest.map(({ name, bytes }) => `${name} ${bytesText(bytes)}`).join(", ");
  const how = remedy ? `would fit with ${remedy}` : "nothing would make it fit";
  return `memory: ${bytesText(total)} are needed (${why}) and ${bytesText(available)} are there: ${how}`;
}
