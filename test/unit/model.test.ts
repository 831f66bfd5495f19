// Configurations that no golden set holds: Llama's, rotations that are stretched, and what is refused, each in the line
// that one reads; the named shapes beside the published counts of their parameters.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../../src/errors.ts";
import { countParameters, parameterShapes, parseConfig, toJson } from "../../src/policy/model.ts";
import { namedShape, shapeNames } from "../../src/policy/shapes.ts";

/** Llama 3.2 1B as transformers 4 writes it. */
const llama = {
  architectures: ["LlamaForCausalLM"],
  attention_bias: false,
  attention_dropout: 0,
  bos_token_id: 128000,
  eos_token_id: [128001, 128008, 128009],
  head_dim: 64,
  hidden_act: "silu",
  hidden_size: 2048,
  initializer_range: 0.02,
  intermediate_size: 8192,
  max_position_embeddings: 131072,
  mlp_bias: false,
  model_type: "llama",
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 32,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
    rope_type: "llama3",
  },
  rope_theta: 500000,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  vocab_size: 128256,
};
const scaling = { factor: 32, low: 1, high: 4, original: 8192 };
const without = (...keys: string[]) => Object.fromEntries(Object.entries(llama).filter(([key]) => !keys.includes(key)));

test("Llama: every flag, in both dialects", () => {
  const config = parseConfig(llama);
  assert.equal(config, {
    modelType: "llama",
    vocabSize: 128256,
    hiddenSize: 2048,
    intermediateSize: 8192,
    layers: 16,
    heads: 32,
    kvHeads: 8,
    headDim: 64,
    ropeTheta: 500000,
    ropeScaling: scaling,
    rmsEps: 1e-5,
    tied: true,
    qkNorm: false,
    qkvBias: false,
    oBias: false,
    mlpBias: false,
    maxPositions: 131072,
    initializerRange: 0.02,
    eosIds: [128001, 128008, 128009],
    bosId: 128000,
    padId: null,
  });
  const rope_parameters = { ...llama.rope_scaling, rope_theta: 500000 };
  assert.equal(parseConfig({ ...without("rope_scaling", "rope_theta"), rope_parameters }), config);
  const older = { ...llama.rope_scaling, rope_type: undefined, type: "llama3" };
  assert.equal(parseConfig({ ...llama, rope_scaling: older }), config);
  assert.equal(parseConfig(JSON.parse(JSON.stringify(toJson(config, "BF16")))), config);
});

test("Llama: what its older files leave out", () => {
  const { headDim, kvHeads, ropeTheta, ropeScaling, eosIds } = parseConfig(
    without("head_dim", "num_key_value_heads", "rope_theta", "rope_scaling", "eos_token_id", "mlp_bias"),
  );
  assert.equal([headDim, kvHeads, ropeTheta, ropeScaling, eosIds], [64, 32, 10000, null, []]);
});

test("biases: names and shapes in transformers' order", () => {
  const small = { ...llama, hidden_size: 8, intermediate_size: 6, num_attention_heads: 2, num_key_value_heads: 1 };
  const config = parseConfig({ ...small, head_dim: 4, num_hidden_layers: 1, attention_bias: true, mlp_bias: true });
  const shapes = parameterShapes(config).map(([name, shape]) => `${name.replace("model.layers.0.", "")} ${shape}`);
  assert.equal(shapes, [
    "model.embed_tokens.weight 128256,8",
    "self_attn.q_proj.weight 8,8",
    "self_attn.q_proj.bias 8",
    "self_attn.k_proj.weight 4,8",
    "self_attn.k_proj.bias 4",
    "self_attn.v_proj.weight 4,8",
    "self_attn.v_proj.bias 4",
    "self_attn.o_proj.weight 8,8",
    "self_attn.o_proj.bias 8",
    "mlp.gate_proj.weight 6,8",
    "mlp.gate_proj.bias 6",
    "mlp.up_proj.weight 6,8",
    "mlp.up_proj.bias 6",
    "mlp.down_proj.weight 8,6",
    "mlp.down_proj.bias 8",
    "input_layernorm.weight 8",
    "post_attention_layernorm.weight 8",
    "model.norm.weight 8",
  ]);
});

test("llama3 rotations are read for Qwen as well", () => {
  const { ropeScaling } = parseConfig({ ...llama, model_type: "qwen3" });
  assert.equal(ropeScaling, scaling);
});

const rope = (change: object) => ({ rope_scaling: { ...llama.rope_scaling, ...change } });

const refused: readonly (readonly [change: object, line: string])[] = [
  [{ model_type: "mistral" }, 'model_type is "mistral", expected "qwen3", "qwen2" or "llama"'],
  [{ model_type: "qwen3_moe" }, 'model_type is "qwen3_moe", expected "qwen3", "qwen2" or "llama"'],
  [{ model_type: ["llama"] }, 'model_type is ["llama"], expected "qwen3", "qwen2" or "llama"'],
  [{ model_type: undefined }, 'model_type is missing, expected "qwen3", "qwen2" or "llama"'],
  [
    { quantization_config: { quant_method: "gptq", bits: 4 } },
    'quantization_config is set ("gptq"); quantized weights cannot be trained',
  ],
  [{ sliding_window: 4096 }, "sliding_window is 4096; only full attention is supported"],
  [
    { layer_types: ["full_attention", "chunked_attention"] },
    'layer_types holds "chunked_attention"; only full attention',
  ],
  [{ layer_types: "full" }, 'layer_types holds "full"; only full attention is supported'],
  [{ pretraining_tp: 2 }, "pretraining_tp is 2, expected 1"],
  [{ hidden_act: "gelu" }, 'hidden_act is "gelu", expected "silu"'],
  [{ partial_rotary_factor: 0.5 }, "partial_rotary_factor is 0.5, expected 1"],
  [rope({ rope_type: "dynamic" }), 'rope_scaling asks for rope type "dynamic", expected "default" or "llama3"'],
  [rope({ rope_type: "longrope" }), 'rope_scaling asks for rope type "longrope", expected "default" or "llama3"'],
  [rope({ factor: "8" }), 'factor of rope type "llama3" is "8", expected a positive number'],
  [rope({ factor: null }), 'factor of rope type "llama3" is missing, expected a positive number'],
  [rope({ high_freq_factor: 1 }), "high_freq_factor is 1, expected more than low_freq_factor (1)"],
  [rope({ original_max_position_embeddings: 0.5 }), "original_max_position_embeddings is 0.5, expected an integer"],
  [
    { rope_parameters: { full_attention: { rope_type: "default", rope_theta: 1 } } },
    'rope_parameters holds rotations of their own for "full_attention", expected one for all',
  ],
  [{ rope_scaling: "llama3" }, 'rope_scaling is "llama3", expected an object'],
  [{ mlp_bias: "yes" }, 'mlp_bias is "yes", expected true or false'],
  [{ num_key_value_heads: 5 }, "num_key_value_heads is 5, which does not divide num_attention_heads (32)"],
  [{ head_dim: undefined, hidden_size: 2050 }, "hidden_size is 2050, which num_attention_heads (32) does not divide"],
  [{ num_hidden_layers: 1e9 }, "num_hidden_layers is 1000000000, expected at most 10000"],
  [{ rms_norm_eps: undefined }, "rms_norm_eps is missing, expected a positive number"],
];
for (const [change, line] of refused)
  test(`refused: ${line}`, () => {
    const attempt = () => parseConfig({ ...llama, ...change }, "config.json");
    assert.throws(attempt, (error: Error) => {
      assert.instance(error, CheckpointError);
      assert.ok(error.message.startsWith(`config.json: ${line}`), error.message);
      assert.not.match(error.message, "\n");
      return true;
    });
  });

/** Parameters as the model cards and index files of these checkpoints count them; the tiny one by hand. */
const published: { readonly [name: string]: number } = {
  tiny: 4096 * 256 + 6 * (256 * (256 + 128 + 128 + 256) + 3 * 256 * 768 + 2 * 256 + 2 * 64) + 256,
  "qwen3-0.6b": 596_049_920,
  "qwen3-1.7b": 1_720_574_976,
  "qwen3-4b": 4_022_468_096,
  "qwen3-8b": 8_190_735_360,
  "qwen3-14b": 14_768_307_200,
  "qwen3-32b": 32_762_123_264,
  "qwen2.5-0.5b": 494_032_768,
  "qwen2.5-7b": 7_615_616_512,
  "llama-3.2-1b": 1_235_814_400,
  "llama-3.1-8b": 8_030_261_248,
  "smollm2-135m": 134_515_008,
};

test("named shapes have the published number of parameters", () => {
  assert.equal(Object.fromEntries(shapeNames.map((name) => [name, countParameters(namedShape(name)!)])), published);
  assert.is(namedShape("qwen3-9b"), undefined);
  assert.is(namedShape("toString"), undefined);
});

test.run();
