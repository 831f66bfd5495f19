// A checkpoint of ours as a GGUF file, so that llama.cpp can be measured on the same weights. Qwen3 alone; the tokenizer
// in it is made of dummies, since ids go in and ids come out. Written once, into the cache of weights.ts.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Test: test/unit/bench.test.ts

import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../src/errors.ts";
import { type ModelConfig, readCheckpoint, type TensorEntry } from "../src/policy/checkpoint.ts";
import type { Dtype } from "./options.ts";
import { cache } from "./weights.ts";

const ALIGNMENT = 32;
/** Bytes of a tensor that are in memory at once. */
const CHUNK = 2 ** 26;
/** ggml's numbers for element types, with the bytes of one. */
const TYPES = { fp32: { id: 0, bytes: 4 }, bf16: { id: 30, bytes: 2 } } as const;
/** What a whole file is called that is mostly of this type. */
const FILE_TYPES = { fp32: 0, bf16: 32 } as const;
/** Numbers of value types. */
const UINT32 = 4;
const INT32 = 5;
const FLOAT32 = 6;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

const PARTS: readonly (readonly [ours: RegExp, theirs: string])[] = [
  [/^model\.embed_tokens\.weight$/, "token_embd.weight"],
  [/^model\.norm\.weight$/, "output_norm.weight"],
  [/^lm_head\.weight$/, "output.weight"],
  [/^model\.layers\.(\d+)\.self_attn\.([qkv])_proj\.weight$/, "blk.$1.attn_$2.weight"],
  [/^model\.layers\.(\d+)\.self_attn\.([qk])_norm\.weight$/, "blk.$1.attn_$2_norm.weight"],
  [/^model\.layers\.(\d+)\.self_attn\.o_proj\.weight$/, "blk.$1.attn_output.weight"],
  [/^model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj\.weight$/, "blk.$1.ffn_$2.weight"],
  [/^model\.layers\.(\d+)\.input_layernorm\.weight$/, "blk.$1.attn_norm.weight"],
  [/^model\.layers\.(\d+)\.post_attention_layernorm\.weight$/, "blk.$1.ffn_norm.weight"],
];

/** llama.cpp's name of a parameter. */
export function ggufName(name: string): string {
  const part = PARTS.find(([ours]) => ours.test(name));
  if (!part) throw new UsageError(`${name}: llama.cpp's Qwen3 has no such tensor`);
  return name.replace(part[0], part[1]);
}

/** Path of the GGUF file of the checkpoint in `dir`, matrices in `dtype`, vectors in fp32; made when it is not there. */
export function writeGguf(dir: string, dtype: Dtype): string {
  const { config, tensors } = readCheckpoint(dir);
  if (config.modelType !== "qwen3") throw new UsageError(`${dir}: a GGUF is made of qwen3 alone`);
  const stamp = tensors.map(({ file }) => `${file} ${statSync(file).mtimeMs}`).join("\n");
  const path = join(cache, `${createHash("sha256").update(stamp).digest("hex").slice(0, 16)}-${dtype}.gguf`);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  const part = `${path}.${process.pid}.part`;
  const file = openSync(part, "w");
  try {
    const { head, offsets } = ggufHead(config, tensors, dtype);
    writeSync(file, head);
    for (const [i, tensor] of tensors.entries())
      copyTensor(tensor, file, head.length + offsets[i], ggufType(tensor, dtype));
  } catch (error) {
    rmSync(part);
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(part, path);
  return path;
}

const ggufType = ({ shape }: TensorEntry, dtype: Dtype): Dtype => (shape.length === 1 ? "fp32" : dtype);

/** Everything before the tensors' bytes, and where each tensor begins after it. */
export function ggufHead(config: ModelConfig, tensors: readonly TensorEntry[], dtype: Dtype) {
  const values = metadata(config, dtype);
  const parts = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(values.length), ...values];
  const offsets: number[] = [];
  let offset = 0;
  for (const tensor of tensors) {
    const type = TYPES[ggufType(tensor, dtype)];
    const dims = tensor.shape.toReversed();
    parts.push(text(ggufName(tensor.name)), u32(dims.length), ...dims.map(u64), u32(type.id), u64(offset));
    offsets.push(offset);
    offset = aligned(offset + tensor.shape.reduce((product, n) => product * n, type.bytes));
  }
  const head = Buffer.concat(parts);
  return { head: Buffer.concat([head, Buffer.alloc(aligned(head.length) - head.length)]), offsets };
}

function metadata(config: ModelConfig, dtype: Dtype): Buffer[] {
  const tokens = Array.from({ length: config.vocabSize }, (_, id) => `t${id}`);
  const count = (key: string, value: number) => Buffer.concat([text(key), u32(UINT32), u32(value)]);
  const real = (key: string, value: number) => Buffer.concat([text(key), u32(FLOAT32), f32(value)]);
  const word = (key: string, value: string) => Buffer.concat([text(key), u32(STRING), text(value)]);
  const list = (key: string, type: number, items: readonly Buffer[]) =>
    Buffer.concat([text(key), u32(ARRAY), u32(type), u64(items.length), ...items]);
  return [
    word("general.architecture", "qwen3"),
    word("general.name", "benchmark"),
    count("general.alignment", ALIGNMENT),
    count("general.file_type", FILE_TYPES[dtype]),
    count("qwen3.block_count", config.layers),
    count("qwen3.context_length", config.maxPositions),
    count("qwen3.embedding_length", config.hiddenSize),
    count("qwen3.feed_forward_length", config.intermediateSize),
    count("qwen3.attention.head_count", config.heads),
    count("qwen3.attention.head_count_kv", config.kvHeads),
    count("qwen3.attention.key_length", config.headDim),
    count("qwen3.attention.value_length", config.headDim),
    real("qwen3.attention.layer_norm_rms_epsilon", config.rmsEps),
    real("qwen3.rope.freq_base", config.ropeTheta),
    word("tokenizer.ggml.model", "gpt2"),
    word("tokenizer.ggml.pre", "qwen2"),
    list("tokenizer.ggml.tokens", STRING, tokens.map(text)),
    list(
      "tokenizer.ggml.token_type",
      INT32,
      tokens.map(() => u32(1)), // a normal token
    ),
    list("tokenizer.ggml.merges", STRING, [text("t 0")]),
    count("tokenizer.ggml.eos_token_id", 0),
    Buffer.concat([text("tokenizer.ggml.add_bos_token"), u32(BOOL), Buffer.of(0)]),
  ];
}

function copyTensor({ file, offset, bytes, dtype, name }: TensorEntry, to: number, at: number, type: Dtype): void {
  const stored = dtype === "F32" ? "fp32" : dtype === "BF16" ? "bf16" : null;
  if (!stored) throw new UsageError(`${name}: stored as ${dtype}, a GGUF is made of F32 or BF16`);
  const from = openSync(file, "r");
  try {
    let written = at;
    for (let done = 0; done < bytes; done += CHUNK) {
      const chunk = new Uint8Array(Math.min(CHUNK, bytes - done));
      readSync(from, chunk, 0, chunk.length, offset + done);
      written += writeSync(to, stored === type ? chunk : convert(chunk, type), 0, null, written);
    }
  } finally {
    closeSync(from);
  }
}

/** bf16 as fp32, or fp32 as the nearest bf16 (ties to even). */
export function convert(chunk: Uint8Array, to: Dtype): Uint8Array {
  if (to === "fp32") {
    const words = new Uint16Array(chunk.buffer, chunk.byteOffset, chunk.length / 2);
    return new Uint8Array(Uint32Array.from(words, (word) => (word << 16) >>> 0).buffer);
  }
  const words = new Uint32Array(chunk.buffer, chunk.byteOffset, chunk.length / 4);
  return new Uint8Array(Uint16Array.from(words, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16).buffer);
}

const aligned = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

function u64(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}

function f32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeFloatLE(value);
  return buffer;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}
