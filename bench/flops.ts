// What a piece of work needs at the least: operations, and bytes that have to come from memory. Every share of a ceiling
// that a benchmark prints is one of these over its time. Not what an engine happens to do: what is computed twice
// (recompute in backward, a prefix for each of its group) counts once, padding not at all. Test: test/unit/bench.test.ts

import type { ModelConfig } from "../src/policy/model.ts";

/** Rows of tokens as the model sees them. `group` rows share their first `prompt` tokens; each goes on by `own`. */
export interface Rows {
  readonly rows: number;
  readonly group: number;
  readonly prompt: number;
  readonly own: number;
}

/** Tokens that differ: a prefix once for its group. */
export function distinctTokens({ rows, group, prompt, own }: Rows): number {
  return (rows / group) * prompt + rows * own;
}

/** Pairs of a query and a key that it sees, itself included, over the distinct tokens. */
export function distinctPairs({ rows, group, prompt, own }: Rows): number {
  return (rows / group) * ((prompt * (prompt + 1)) / 2) + rows * (own * prompt + (own * (own + 1)) / 2);
}

/** Weights that a token is multiplied with, the output matrix left out. */
export function layerWeights(config: ModelConfig): number {
  const { layers, hiddenSize, intermediateSize, heads, kvHeads, headDim } = config;
  return layers * hiddenSize * (2 * heads * headDim + 2 * kvHeads * headDim + 3 * intermediateSize);
}

/**
 * Operations of a forward pass, a multiply-add being two: `tokens` meet every matrix, `pairs` of query and key are
 * multiplied twice (scores, values) in every head, `logits` tokens meet the output matrix. Norms, rotation, softmax and
 * activation are left out: under 1% from a width of 256 on.
 */
export function forwardFlops(config: ModelConfig, tokens: number, pairs: number, logits: number): number {
  const { layers, hiddenSize, heads, headDim, vocabSize } = config;
  return 2 * tokens * layerWeights(config) + 4 * layers * pairs * heads * headDim + 2 * logits * hiddenSize * vocabSize;
}

/** Forward and backward, which multiplies twice for each product of the forward pass: by the input and by the weight. */
export function trainFlops(config: ModelConfig, tokens: number, pairs: number, logits: number): number {
  return 3 * forwardFlops(config, tokens, pairs, logits);
}

/** Pairs of `count` tokens that are sampled one by one after `prompt` others, for each of `rows`. */
export function decodePairs(rows: number, prompt: number, count: number): number {
  return rows * (count * prompt + (count * (count + 1)) / 2);
}

/**
 * Bytes that `count` rounds of one token for each of `rows.rows` have to read: all weights once a round (of an embedding
 * that is not the output matrix only its few rows, which are left out), and keys and values of what was before, a shared
 * prompt once for its group. Items of `itemBytes`.
 */
export function decodeBytes(
  config: ModelConfig,
  { rows, group, prompt }: Rows,
  count: number,
  itemBytes: number,
): number {
  const { layers, hiddenSize, kvHeads, headDim, vocabSize } = config;
  const weights = layerWeights(config) + hiddenSize * vocabSize;
  const cached = count * ((rows / group) * prompt) + rows * ((count * (count - 1)) / 2);
  return itemBytes * (count * weights + 2 * layers * kvHeads * headDim * cached);
}
