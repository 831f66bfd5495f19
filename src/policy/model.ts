// What a policy is made of: its sizes, read from and written to an HF config.json, and its parameters by name.
// Not weights: see checkpoint.ts. Tests: test/unit/model.test.ts, test/golden/checkpoint.test.ts.

import { CheckpointError } from "../errors.ts";

/** A dense decoder: Qwen3, Qwen2 (no q/k norms; biases on q, k and v) or Llama (no q/k norms). */
export interface ModelConfig {
  readonly modelType: Family;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Divides `heads`: query head j reads key-value head floor(j / (heads / kvHeads)). */
  readonly kvHeads: number;
  /** Channels of one head; its own number, not hiddenSize / heads. */
  readonly headDim: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | null;
  readonly rmsEps: number;
  /** True when the output matrix is the embedding: one parameter. */
  readonly tied: boolean;
  readonly qkNorm: boolean;
  readonly qkvBias: boolean;
  readonly oBias: boolean;
  readonly mlpBias: boolean;
  readonly maxPositions: number;
  readonly initializerRange: number;
  readonly eosIds: readonly number[];
  /** Kept for those who read what is saved; nothing here looks at them. */
  readonly bosId: number | null;
  readonly padId: number | null;
  /** Not in config.json; without it "logits". */
  readonly output?: Output;
}

/** What is made of the last hidden states: logits of the next token, a value (what reward is still to come), or both. */
export type Output = "logits" | "values" | "both";

/**
 * Llama 3's stretch of the slow rotations, rope type "llama3" of transformers: frequencies that turn less than `low` times
 * in `original` positions are divided by `factor`, those that turn more than `high` times are kept, and in between the
 * two are mixed.
 */
export interface RopeScaling {
  readonly factor: number;
  readonly low: number;
  readonly high: number;
  /** Positions that the model was first trained on. */
  readonly original: number;
}

export type Family = "qwen3" | "qwen2" | "llama";

/** What the names of each family's classes in transformers begin with. */
const CLASSES: { readonly [family in Family]: string } = { qwen3: "Qwen3", qwen2: "Qwen2", llama: "Llama" };
const families = Object.keys(CLASSES) as Family[];

/** The row that makes values of hidden states, in transformers' classes for token classification. */
export const VALUE_HEAD = "score.weight";

/** What the weights are stored as, in safetensors' words. */
export type StoredType = "F32" | "BF16" | "F16" | "F64";

type Raw = { readonly [key: string]: unknown };

/**
 * Reads a parsed config.json in either dialect of transformers: `rope_theta` and `rope_scaling` (4), or
 * `rope_parameters` (5). Sizes have no default but those that Llama's own files leave out. Throws a CheckpointError
 * that names `source`, the key, and what was found.
 */
export function parseConfig(json: unknown, source = "config.json"): ModelConfig {
  const refuse = (what: string): never => {
    throw new CheckpointError(`${source}: ${what}`);
  };
  if (!isObject(json)) return refuse("expected a JSON object");
  const raw = json;

  const size = (key: string): number => {
    const value = raw[key];
    const fits = Number.isSafeInteger(value) && (value as number) > 0;
    return fits ? (value as number) : refuse(`${key} is ${show(value)}, expected a positive integer`);
  };
  const positive = (key: string, value: unknown): number =>
    typeof value === "number" && Number.isFinite(value) && value > 0
      ? value
      : refuse(`${key} is ${show(value)}, expected a positive number`);
  const flag = (key: string): boolean => {
    const value = raw[key] ?? false;
    return typeof value === "boolean" ? value : refuse(`${key} is ${show(value)}, expected true or false`);
  };
  const id = (key: string): number | null => (Number.isSafeInteger(raw[key]) ? (raw[key] as number) : null);

  const family = families.find((name) => name === raw.model_type);
  if (!family) return refuse(`model_type is ${show(raw.model_type)}, expected "qwen3", "qwen2" or "llama"`);
  const llama = family === "llama";
  refuseVariants(raw, family, refuse);

  const layers = size("num_hidden_layers");
  if (layers > MAX_LAYERS) refuse(`num_hidden_layers is ${layers}, expected at most ${MAX_LAYERS}`);
  const hiddenSize = size("hidden_size");
  const heads = size("num_attention_heads");
  const kvHeads = llama && raw.num_key_value_heads == null ? heads : size("num_key_value_heads");
  if (heads % kvHeads !== 0)
    refuse(`num_key_value_heads is ${kvHeads}, which does not divide num_attention_heads (${heads})`);
  const derived = family !== "qwen3" && raw.head_dim == null;
  if (derived && hiddenSize % heads !== 0)
    refuse(`hidden_size is ${hiddenSize}, which num_attention_heads (${heads}) does not divide`);
  const headDim = derived ? hiddenSize / heads : size("head_dim");
  if (headDim % 2 !== 0) refuse(`head_dim is ${headDim}, expected an even number`);

  const bias = flag("attention_bias");
  const rope = ropeOf(raw, refuse);
  return {
    modelType: family,
    vocabSize: size("vocab_size"),
    hiddenSize,
    intermediateSize: size("intermediate_size"),
    layers,
    heads,
    kvHeads,
    headDim,
    ropeTheta: positive("rope_theta", rope.rope_theta ?? (llama ? LLAMA_THETA : undefined)),
    ropeScaling: ropeScaling(rope, raw, refuse),
    rmsEps: positive("rms_norm_eps", raw.rms_norm_eps),
    tied: flag("tie_word_embeddings"),
    qkNorm: family === "qwen3",
    qkvBias: family === "qwen2" || bias,
    oBias: family !== "qwen2" && bias,
    mlpBias: llama && flag("mlp_bias"),
    maxPositions: size("max_position_embeddings"),
    initializerRange: positive("initializer_range", raw.initializer_range ?? 0.02),
    eosIds: parseEos(raw.eos_token_id, source),
    bosId: id("bos_token_id"),
    padId: id("pad_token_id"),
  };
}

/** Far above any model; the names of more would fill the memory. */
export const MAX_LAYERS = 10_000;
/** Of configurations that were written before there was another one. */
const LLAMA_THETA = 10_000;

/** What changes the function that the weights stand for, and is not built. */
function refuseVariants(raw: Raw, family: Family, refuse: (what: string) => never): void {
  if (raw.quantization_config != null) {
    const method = Object(raw.quantization_config).quant_method;
    refuse(`quantization_config is set (${show(method)}); quantized weights cannot be trained`);
  }
  const attention = "only full attention is supported";
  if ((raw.use_sliding_window ?? false) !== false)
    refuse(`use_sliding_window is ${show(raw.use_sliding_window)}; ${attention}`);
  if (family === "llama" && raw.sliding_window != null)
    refuse(`sliding_window is ${show(raw.sliding_window)}; ${attention}`);
  const kinds: unknown = raw.layer_types ?? [];
  const otherKind = Array.isArray(kinds) ? kinds.find((kind) => kind !== "full_attention") : kinds;
  if (otherKind !== undefined) refuse(`layer_types holds ${show(otherKind)}; ${attention}`);
  const fixed = { hidden_act: "silu", pretraining_tp: 1, partial_rotary_factor: 1 };
  for (const [key, value] of Object.entries(fixed))
    if ((raw[key] ?? value) !== value) refuse(`${key} is ${show(raw[key])}, expected ${show(value)}`);
}

/** `eos_token_id` as config.json and generation_config.json write it: absent, one id, or a list. */
export function parseEos(value: unknown, source: string): number[] {
  const ids: unknown[] = value == null ? [] : Array.isArray(value) ? value : [value];
  for (const id of ids)
    if (!Number.isSafeInteger(id) || (id as number) < 0)
      throw new CheckpointError(`${source}: eos_token_id is ${show(value)}, expected an id or a list of ids`);
  return ids as number[];
}

/** Everything that is said of rotary positions, in one object; `rope_scaling` wins, as in transformers. */
function ropeOf(raw: Raw, refuse: (what: string) => never): Raw {
  let rope: Raw = { rope_theta: raw.rope_theta };
  for (const key of ["rope_parameters", "rope_scaling"]) {
    const part = raw[key] ?? {};
    if (!isObject(part)) return refuse(`${key} is ${show(part)}, expected an object`);
    const nested = Object.keys(part).find((name) => isObject(part[name]));
    if (nested !== undefined) refuse(`${key} holds rotations of their own for ${show(nested)}, expected one for all`);
    const kind = part.rope_type ?? part.type ?? "default";
    if (kind !== "default" && kind !== "llama3")
      refuse(`${key} asks for rope type ${show(kind)}, expected "default" or "llama3"`);
    const share = part.partial_rotary_factor ?? 1;
    if (share !== 1) refuse(`${key}.partial_rotary_factor is ${show(share)}, expected 1`);
    const given = Object.entries(part).filter(([, value]) => value != null);
    rope = { ...rope, ...Object.fromEntries(given), ...(given.length > 0 && { rope_type: kind }) };
  }
  return rope;
}

function ropeScaling(rope: Raw, raw: Raw, refuse: (what: string) => never): RopeScaling | null {
  if (rope.rope_type !== "llama3") return null;
  const number = (key: string, value: unknown = rope[key]): number =>
    typeof value === "number" && Number.isFinite(value) && value > 0
      ? value
      : refuse(`${key} of rope type "llama3" is ${show(value)}, expected a positive number`);
  const [low, high] = [number("low_freq_factor"), number("high_freq_factor")];
  if (high <= low) refuse(`high_freq_factor is ${high}, expected more than low_freq_factor (${low})`);
  const key = "original_max_position_embeddings";
  const original = number(key, raw[key] ?? rope[key]);
  if (!Number.isInteger(original)) refuse(`${key} is ${original}, expected an integer`);
  return { factor: number("factor"), low, high, original };
}

/**
 * Every parameter's HF name and shape, in the order of transformers' `named_parameters()`. A tied output matrix is
 * not listed apart; the value head comes last. Matrices are [out, in].
 */
export function parameterShapes(config: ModelConfig): [name: string, shape: number[]][] {
  const { hiddenSize: width, intermediateSize: inner, headDim, output = "logits" } = config;
  const shapes: [string, number[]][] = [["model.embed_tokens.weight", [config.vocabSize, width]]];
  for (let layer = 0; layer < config.layers; layer++) {
    const add = (name: string, ...shape: number[]) => shapes.push([`model.layers.${layer}.${name}`, shape]);
    for (const [name, heads] of [
      ["q", config.heads],
      ["k", config.kvHeads],
      ["v", config.kvHeads],
    ] as const) {
      add(`self_attn.${name}_proj.weight`, heads * headDim, width);
      if (config.qkvBias) add(`self_attn.${name}_proj.bias`, heads * headDim);
    }
    add("self_attn.o_proj.weight", width, config.heads * headDim);
    if (config.oBias) add("self_attn.o_proj.bias", width);
    if (config.qkNorm) for (const name of ["q", "k"]) add(`self_attn.${name}_norm.weight`, headDim);
    for (const [name, out, from] of [
      ["gate", inner, width],
      ["up", inner, width],
      ["down", width, inner],
    ] as const) {
      add(`mlp.${name}_proj.weight`, out, from);
      if (config.mlpBias) add(`mlp.${name}_proj.bias`, out);
    }
    add("input_layernorm.weight", width);
    add("post_attention_layernorm.weight", width);
  }
  shapes.push(["model.norm.weight", [width]]);
  if (!config.tied && output !== "values") shapes.push(["lm_head.weight", [config.vocabSize, width]]);
  if (output !== "logits") shapes.push([VALUE_HEAD, [1, width]]);
  return shapes;
}

/** Numbers that a model of this shape is made of; tied matrices count once. */
export function countParameters(config: ModelConfig): number {
  return parameterShapes(config).reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

const TORCH_NAMES: Record<StoredType, string> = { F32: "float32", BF16: "bfloat16", F16: "float16", F64: "float64" };

/**
 * The config.json of a checkpoint stored as `dtype`, in the dialect that transformers 4 and 5 both read. A critic is a
 * token classifier with one label, whose number is the value; a policy that has values as well is a policy.
 */
export function toJson(config: ModelConfig, dtype: StoredType = "F32"): { [key: string]: unknown } {
  const { modelType: family, ropeScaling: scaling } = config;
  const critic = config.output === "values";
  return {
    architectures: [`${CLASSES[family]}For${critic ? "TokenClassification" : "CausalLM"}`],
    ...(critic && { id2label: { 0: "value" }, label2id: { value: 0 }, token_classification_bias: false }),
    model_type: family,
    torch_dtype: TORCH_NAMES[dtype],
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    hidden_act: "silu",
    rms_norm_eps: config.rmsEps,
    rope_theta: config.ropeTheta,
    rope_scaling: scaling && {
      rope_type: "llama3",
      factor: scaling.factor,
      low_freq_factor: scaling.low,
      high_freq_factor: scaling.high,
      original_max_position_embeddings: scaling.original,
    },
    attention_bias: config.oBias,
    ...(family === "llama" ? { mlp_bias: config.mlpBias } : { use_sliding_window: false }),
    tie_word_embeddings: config.tied,
    max_position_embeddings: config.maxPositions,
    initializer_range: config.initializerRange,
    bos_token_id: config.bosId,
    eos_token_id: config.eosIds.length === 1 ? config.eosIds[0] : config.eosIds.length ? config.eosIds : null,
    pad_token_id: config.padId,
  };
}

function isObject(value: unknown): value is Raw {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  return value === undefined ? "missing" : JSON.stringify(value).slice(0, 80);
}
