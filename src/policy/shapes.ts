// Sizes of published models by name, as their config.json states them, and a tiny one for benchmarks. No weights, and no
// claim that a file of that name was downloaded. Test: test/unit/model.test.ts

import { type ModelConfig, parseConfig } from "./model.ts";

type Sizes = readonly [width: number, inner: number, layers: number, heads: number, kvHeads: number, vocab: number];

function sizes([width, inner, layers, heads, kvHeads, vocab]: Sizes): { [key: string]: unknown } {
  return {
    hidden_size: width,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    vocab_size: vocab,
  };
}

const QWEN = { rms_norm_eps: 1e-6, rope_theta: 1e6, eos_token_id: [151645, 151643] };
const LLAMA3 = { rms_norm_eps: 1e-5, rope_theta: 5e5, max_position_embeddings: 131_072 };

const qwen3 = (...list: Sizes) => ({
  ...{ model_type: "qwen3", head_dim: 128, max_position_embeddings: 40_960, ...QWEN },
  ...sizes(list),
});
const qwen25 = (...list: Sizes) => ({
  ...{ model_type: "qwen2", max_position_embeddings: 32_768, ...QWEN },
  ...sizes(list),
});
const llama3 = (factor: number, ...list: Sizes) => ({
  ...{ model_type: "llama", bos_token_id: 128_000, eos_token_id: 128_001, ...LLAMA3 },
  rope_scaling: {
    rope_type: "llama3",
    factor,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  },
  ...sizes(list),
});
const tied = { tie_word_embeddings: true };

const CONFIGS: { readonly [name: string]: { readonly [key: string]: unknown } } = {
  tiny: { ...qwen3(256, 768, 6, 4, 2, 4096), head_dim: 64, max_position_embeddings: 8192, eos_token_id: null, ...tied },
  "qwen3-0.6b": { ...qwen3(1024, 3072, 28, 16, 8, 151_936), ...tied },
  "qwen3-1.7b": { ...qwen3(2048, 6144, 28, 16, 8, 151_936), ...tied },
  "qwen3-4b": { ...qwen3(2560, 9728, 36, 32, 8, 151_936), ...tied },
  "qwen3-8b": qwen3(4096, 12_288, 36, 32, 8, 151_936),
  "qwen3-14b": qwen3(5120, 17_408, 40, 40, 8, 151_936),
  "qwen3-32b": qwen3(5120, 25_600, 64, 64, 8, 151_936),
  "qwen2.5-0.5b": { ...qwen25(896, 4864, 24, 14, 2, 151_936), ...tied },
  "qwen2.5-7b": qwen25(3584, 18_944, 28, 28, 4, 152_064),
  "llama-3.2-1b": { ...llama3(32, 2048, 8192, 16, 32, 8, 128_256), ...tied },
  "llama-3.1-8b": llama3(8, 4096, 14_336, 32, 32, 8, 128_256),
  "smollm2-135m": {
    model_type: "llama",
    rms_norm_eps: 1e-5,
    rope_theta: 1e5,
    max_position_embeddings: 8192,
    initializer_range: 0.041666666666666664,
    bos_token_id: 0,
    eos_token_id: 0,
    ...sizes([576, 1536, 30, 9, 3, 49_152]),
    ...tied,
  },
};

export const shapeNames: readonly string[] = Object.keys(CONFIGS);

/** Undefined where there is no shape of that name. */
export function namedShape(name: string): ModelConfig | undefined {
  return Object.hasOwn(CONFIGS, name) ? parseConfig(CONFIGS[name], name) : undefined;
}
