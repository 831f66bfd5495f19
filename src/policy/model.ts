// What a policy is made of: its sizes, read from and written to an HF config.json, and its parameters by name.
// Not weights: see checkpoint.ts. Tests: test/golden/checkpoint.test.ts.

import { CheckpointError } from "../errors.ts";

/** A dense Qwen3 or Qwen2 decoder. Qwen2 is Qwen3 without q/k norms, with biases on q, k and v. */
export interface ModelConfig {
  readonly modelType: "qwen3" | "qwen2";
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
  readonly rmsEps: number;
  /** True when the output matrix is the embedding: one parameter. */
  readonly tied: boolean;
  readonly qkNorm: boolean;
  readonly qkvBias: boolean;
  readonly oBias: boolean;
  readonly maxPositions: number;
  readonly initializerRange: number;
  readonly eosIds: readonly number[];
}

/** What the weights are stored as, in safetensors' words. */
export type StoredType = "F32" | "BF16" | "F16" | "F64";

type Raw = { readonly [key: string]: unknown };

/**
 * Reads a parsed config.json in either dialect of transformers: `rope_theta` and `rope_scaling` (4), or
 * `rope_parameters` (5). Sizes have no default. Throws a CheckpointError that names `source` and the key.
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

  const modelType = raw.model_type;
  if (modelType !== "qwen3" && modelType !== "qwen2")
    return refuse(`model_type is ${show(modelType)}, expected "qwen3" or "qwen2"`);
  if (raw.quantization_config != null) refuse("quantization_config is set; quantized weights cannot be trained");
  if (flag("use_sliding_window")) refuse("use_sliding_window is true; only full attention is supported");
  const kinds = raw.layer_types ?? [];
  if (!Array.isArray(kinds)) return refuse(`layer_types is ${show(kinds)}, expected a list`);
  const otherKind = kinds.find((kind) => kind !== "full_attention");
  if (otherKind !== undefined) refuse(`layer_types holds ${show(otherKind)}, expected only "full_attention"`);
  const activation = raw.hidden_act ?? "silu";
  if (activation !== "silu") refuse(`hidden_act is ${show(activation)}, expected "silu"`);

  const hiddenSize = size("hidden_size");
  const heads = size("num_attention_heads");
  const kvHeads = size("num_key_value_heads");
  if (heads % kvHeads !== 0)
    refuse(`num_key_value_heads is ${kvHeads}, which does not divide num_attention_heads (${heads})`);
  const derived = modelType === "qwen2" && raw.head_dim == null;
  if (derived && hiddenSize % heads !== 0)
    refuse(`hidden_size is ${hiddenSize}, which num_attention_heads (${heads}) does not divide`);
  const headDim = derived ? hiddenSize / heads : size("head_dim");
  if (headDim % 2 !== 0) refuse(`head_dim is ${headDim}, expected an even number`);

  const bias = flag("attention_bias");
  return {
    modelType,
    vocabSize: size("vocab_size"),
    hiddenSize,
    intermediateSize: size("intermediate_size"),
    layers: size("num_hidden_layers"),
    heads,
    kvHeads,
    headDim,
    ropeTheta: positive("rope_theta", ropeTheta(raw, refuse)),
    rmsEps: positive("rms_norm_eps", raw.rms_norm_eps),
    tied: flag("tie_word_embeddings"),
    qkNorm: modelType === "qwen3",
    qkvBias: modelType === "qwen2" || bias,
    oBias: modelType === "qwen3" && bias,
    maxPositions: size("max_position_embeddings"),
    initializerRange: positive("initializer_range", raw.initializer_range ?? 0.02),
    eosIds: parseEos(raw.eos_token_id, source),
  };
}

/** `eos_token_id` as config.json and generation_config.json write it: absent, one id, or a list. */
export function parseEos(value: unknown, source: string): number[] {
  const ids: unknown[] = value == null ? [] : Array.isArray(value) ? value : [value];
  for (const id of ids)
    if (!Number.isSafeInteger(id) || (id as number) < 0)
      throw new CheckpointError(`${source}: eos_token_id is ${show(value)}, expected an id or a list of ids`);
  return ids as number[];
}

function ropeTheta(raw: Raw, refuse: (what: string) => never): unknown {
  for (const key of ["rope_parameters", "rope_scaling"]) {
    const rope = raw[key] ?? {};
    if (!isObject(rope)) return refuse(`${key} is ${show(rope)}, expected an object`);
    const kind = rope.rope_type ?? rope.type ?? "default";
    if (kind !== "default") refuse(`${key} asks for rope type ${show(kind)}, expected "default"`);
    const part = rope.partial_rotary_factor ?? 1;
    if (part !== 1) refuse(`${key}.partial_rotary_factor is ${show(part)}, expected 1`);
  }
  return (raw.rope_parameters as Raw | undefined)?.rope_theta ?? raw.rope_theta;
}

/**
 * Every parameter's HF name and shape, in the order of transformers' `named_parameters()`. A tied output matrix is
 * not listed apart. Matrices are [out, in].
 */
export function parameterShapes(config: ModelConfig): [name: string, shape: number[]][] {
  const { hiddenSize: width, intermediateSize: inner, headDim } = config;
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
    add("mlp.gate_proj.weight", inner, width);
    add("mlp.up_proj.weight", inner, width);
    add("mlp.down_proj.weight", width, inner);
    add("input_layernorm.weight", width);
    add("post_attention_layernorm.weight", width);
  }
  shapes.push(["model.norm.weight", [width]]);
  if (!config.tied) shapes.push(["lm_head.weight", [config.vocabSize, width]]);
  return shapes;
}

const TORCH_NAMES: Record<StoredType, string> = { F32: "float32", BF16: "bfloat16", F16: "float16", F64: "float64" };

/** The config.json of a checkpoint stored as `dtype`, in the dialect that transformers 4 and 5 both read. */
export function toJson(config: ModelConfig, dtype: StoredType = "F32"): { [key: string]: unknown } {
  return {
    architectures: [config.modelType === "qwen3" ? "Qwen3ForCausalLM" : "Qwen2ForCausalLM"],
    model_type: config.modelType,
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
    rope_scaling: null,
    attention_bias: config.oBias,
    tie_word_embeddings: config.tied,
    max_position_embeddings: config.maxPositions,
    initializer_range: config.initializerRange,
    use_sliding_window: false,
    eos_token_id: config.eosIds.length === 1 ? config.eosIds[0] : config.eosIds.length ? config.eosIds : null,
  };
}

function isObject(value: unknown): value is Raw {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  return value === undefined ? "missing" : JSON.stringify(value).slice(0, 80);
}
