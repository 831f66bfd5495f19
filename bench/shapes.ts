// Sizes of models by name, and a checkpoint with random weights of them, for speed alone: nothing that such a model says
// means anything. Checkpoints are kept in the system's temporary folder and used again. Test: test/unit/bench.test.ts

import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ModelConfig, parseConfig } from "../src/policy/model.ts";
import { openPolicy } from "../src/policy/policy.ts";

/** Qwen3 without biases; sizes from the published config.json, `tiny` ours. */
function qwen3(
  [layers, hidden, ffn, heads, kvHeads, headDim]: readonly number[],
  { tied = false, vocab = 151936, positions = 40960 } = {},
): ModelConfig {
  return parseConfig({
    model_type: "qwen3",
    vocab_size: vocab,
    hidden_size: hidden,
    intermediate_size: ffn,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    rms_norm_eps: 1e-6,
    rope_theta: 1e6,
    tie_word_embeddings: tied,
    max_position_embeddings: positions,
  });
}

export const shapes: { readonly [name: string]: ModelConfig } = {
  tiny: qwen3([6, 256, 768, 4, 2, 64], { tied: true, vocab: 4096, positions: 8192 }),
  "qwen3-0.6b": qwen3([28, 1024, 3072, 16, 8, 128], { tied: true }),
  "qwen3-1.7b": qwen3([28, 2048, 6144, 16, 8, 128], { tied: true }),
  "qwen3-4b": qwen3([36, 2560, 9728, 32, 8, 128], { tied: true }),
  "qwen3-8b": qwen3([36, 4096, 12288, 32, 8, 128]),
};

/** Where things are kept that take time to make and serve no purpose but measuring. */
export const cache = join(tmpdir(), "tarl-bench");

/** Folder of a checkpoint with this shape, stored in this dtype; made when it is not there. */
export async function randomWeights(shape: string, dtype: "fp32" | "bf16"): Promise<string> {
  const dir = join(cache, `${shape}-${dtype}`);
  if (existsSync(dir)) return dir;
  process.stdout.write(`writing random weights: ${dir}\n`);
  const model = { config: shapes[shape], seed: 1 };
  const policy = await openPolicy({ model, device: "cpu", dtype, threads: 0, role: "reference", kvTokens: 16 });
  try {
    await policy.save(dir);
  } finally {
    await policy.dispose();
  }
  return dir;
}
