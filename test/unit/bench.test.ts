// The parts of the benchmarks that can be wrong without anybody seeing it: operations and bytes counted by loops, GGUF
// read back (and, where llama.cpp is installed, played against golden ids), options, tables. No speed.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { alternate, short, spread } from "../../bench/common.ts";
import {
  decodeBytes,
  decodePairs,
  distinctPairs,
  distinctTokens,
  forwardFlops,
  trainFlops,
} from "../../bench/flops.ts";
import { convert, ggufHead, ggufName, writeGguf } from "../../bench/gguf.ts";
import { lesson, randomRows } from "../../bench/inputs.ts";
import { arithmetic, parseProcessor } from "../../bench/machine.ts";
import { type Options, readOptions } from "../../bench/options.ts";
import { findPeers, openSide, Peer } from "../../bench/peers.ts";
import { ratios, resultName } from "../../bench/run.ts";
import { fill, table } from "../../bench/table.ts";
import { UsageError } from "../../src/errors.ts";
import { type ModelConfig, parameterShapes, readCheckpoint } from "../../src/policy/checkpoint.ts";
import { namedShape } from "../../src/policy/shapes.ts";
import { golden } from "../golden.ts";
import { readTensors } from "../tensors.ts";

const tiny = namedShape("tiny")!;
const small: ModelConfig = {
  ...tiny,
  layers: 2,
  hiddenSize: 6,
  intermediateSize: 5,
  heads: 4,
  kvHeads: 2,
  headDim: 2,
  vocabSize: 7,
};

/** Multiply-adds of a pass over rows, one by one, with a prefix computed once for its group. */
function count(config: ModelConfig, rows: number, group: number, prompt: number, own: number) {
  let [tokens, pairs, products] = [0, 0, 0];
  for (let row = 0; row < rows; row++)
    for (let t = row % group === 0 ? 0 : prompt; t < prompt + own; t++) {
      tokens++;
      for (let key = 0; key <= t; key++) pairs++;
      for (const [name, shape] of parameterShapes(config))
        if (shape.length === 2 && name.includes("layers")) products += shape[0] * shape[1];
      for (let layer = 0; layer < config.layers; layer++)
        for (let head = 0; head < config.heads; head++) products += (t + 1) * 2 * config.headDim;
    }
  return { tokens, pairs, flops: 2 * products };
}

test("operations are those that loops over rows, tokens, keys, matrices and heads count", () => {
  for (const [rows, group, prompt, own] of [
    [3, 1, 4, 2],
    [4, 2, 5, 3],
    [6, 6, 1, 1],
    [2, 1, 3, 0],
  ]) {
    const shared = { rows, group, prompt, own };
    const found = count(small, rows, group, prompt, own);
    assert.is(distinctTokens(shared), found.tokens);
    assert.is(distinctPairs(shared), found.pairs);
    const head = 2 * 5 * small.hiddenSize * small.vocabSize;
    assert.is(forwardFlops(small, found.tokens, found.pairs, 5), found.flops + head);
    assert.is(trainFlops(small, found.tokens, found.pairs, 5), 3 * (found.flops + head));
  }
});

test("tokens that are decoded one by one meet all keys before them", () => {
  let pairs = 0;
  for (let row = 0; row < 3; row++) for (let t = 0; t < 4; t++) pairs += 10 + t + 1;
  assert.is(decodePairs(3, 10, 4), pairs);
});

test("bytes of decoding: all weights but vectors in each round, and what is cached before it, a shared prompt once", () => {
  const matrices = parameterShapes(small).reduce(
    (sum, [, shape]) => sum + (shape.length === 2 ? shape[0] * shape[1] : 0),
    0,
  );
  let items = 0;
  for (let round = 0; round < 3; round++) {
    items += matrices;
    for (let group = 0; group < 2; group++) items += 5 * small.layers * 2 * small.kvHeads * small.headDim;
    for (let row = 0; row < 4; row++) items += round * small.layers * 2 * small.kvHeads * small.headDim;
  }
  assert.is(decodeBytes(small, { rows: 4, group: 2, prompt: 5, own: 3 }, 3, 2), 2 * items);
});

test("spread, rounding, and sides that take turns", async () => {
  assert.equal(spread([3, 1, 2]), { median: 2, low: 1, high: 3 });
  assert.equal(spread([4, 1, 2, 3]), { median: 2.5, low: 1, high: 4 });
  assert.equal(short({ a: 1234.567, b: 12345, c: [0.123456] }), { a: 1235, b: 12345, c: [0.1235] });
  const order: string[] = [];
  const side = (name: string) => async (repeat: number) => {
    order.push(`${name}${repeat}`);
    return repeat;
  };
  assert.equal(await alternate([side("a"), side("b")], 2), [
    [1, 2],
    [1, 2],
  ]);
  assert.equal(order, ["a0", "b0", "a1", "b1", "a2", "b2"]);
});

const defaults = { batch: 32, prompt: 64, new: 128, group: 8, repeats: 5 };

test("a peer that cannot open a model is left out, with the reason", () => {
  const { names, missing } = findPeers(["llama.cpp"], { modelType: "llama" });
  assert.equal(names, []);
  assert.match(
    missing["llama.cpp"]!,
    /not installed; to have it: npm install|a GGUF is written of qwen3 alone, not of llama/,
  );
});

test("a peer that does not start, or has ended, is an error of the question", async () => {
  for (const program of ["/nowhere/python", "/bin/true"]) {
    const peer = new Peer(program, "peer.py");
    for (const call of ["open", "peak"])
      try {
        await peer.ask(call, { rows: "x".repeat(1e6) });
        assert.unreachable();
      } catch (error) {
        assert.is((error as Error).message, `peer.py ended while it was asked to ${call}`);
      }
    peer.close();
  }
});

test("options: defaults, and one line for each mistake", () => {
  const options = readOptions(["--batch", "16", "--dtype", "bf16", "--peers", "llama.cpp,trl", "--save"], defaults);
  assert.is(options.batch, 16);
  assert.is(options.group, 8);
  assert.is(options.dtype, "bf16");
  assert.equal(options.peers, ["trl", "llama.cpp"]);
  assert.ok(options.save);
  assert.is(readOptions(["--batch", "1"], defaults).group, 1);
  assert.equal(readOptions(["--peers", "none"], defaults).peers, []);
  for (const [args, message] of [
    [["--batch", "0"], "--batch 0: expected a whole number of 1 or more"],
    [["--batch", "30", "--group", "8"], "--group 8 with --batch 30: it has to divide it"],
    [["--shape", "huge"], "--shape huge: expected tiny, qwen3-0.6b"],
    [["--dtype", "fp8"], "--dtype fp8: expected fp32 or bf16"],
    [["--peers", "vllm"], "--peers vllm: expected none, or some of transformers,trl,llama.cpp"],
    [["--model", "x", "--shape", "tiny"], "--model x with --shape tiny: give one of the two"],
    [["--speed", "1"], "Unknown option '--speed'"],
    [["fast"], "Unexpected argument 'fast'"],
  ] as const) {
    assert.throws(
      () => readOptions(args, defaults),
      (error: Error) => error instanceof UsageError && error.message.startsWith(message),
      `${args}`,
    );
  }
});

test("prompts: equal inside a group, different beside it; lessons learn the end of each row", () => {
  const rows = randomRows(tiny, 6, 8, 3, 1);
  assert.is(rows.length, 6);
  assert.is(new Set(rows.map(String)).size, 2);
  assert.equal(rows[0], rows[2]);
  assert.not.equal(randomRows(tiny, 6, 8, 3, 2), rows);
  assert.ok(rows.flat().every((id) => id > 0 && id < tiny.vocabSize));
  const { rows: starts, weight, oldLogp } = lesson(rows, 2);
  assert.is(starts[6], 48);
  assert.is(weight.filter((value) => value > 0).length, 12);
  assert.ok(Math.abs(weight.reduce((a, b) => a + b, 0) - 1) < 1e-6);
  assert.is(weight[7] > 0 && weight[6] > 0 && weight[5] === 0, true);
  assert.is(oldLogp, null);
});

test("the processor's name and features are read from cpuinfo", () => {
  const text =
    "processor\t: 0\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz\nflags\t\t: fpu avx2 avx512f amx_bf16 avx512_bf16\n";
  assert.equal(parseProcessor(text), {
    slug: "intel-xeon-platinum-8481c-cpu-6-143",
    features: "avx2 avx512f avx512_bf16 amx_bf16",
  });
  assert.equal(arithmetic(0, 5, null), { best: 5, registers: null, mm: 5, own: null });
  assert.equal(arithmetic(null, null, null), { best: null, registers: null, mm: null, own: null });
});

test("the ratio to a peer is that to its faster side; a result's name says what it is of", () => {
  const sides = [
    { name: "transformers", ratio: 4 },
    { name: "transformers", ratio: 3 },
    { name: "llama.cpp", ratio: 2 },
  ];
  assert.equal(ratios(sides), { transformers: 3, "llama.cpp": 2 });
  const options: Options = readOptions(["--threads", "2", "--kernels", "off"], defaults);
  assert.match(resultName("decode", options), /^decode-tiny-fp32-b32-g8-p64-n128-plain-[a-z0-9-]+-2t\.json$/);
});

test("a table: a row for what has peers, a line for what has none, between the marks of the page", () => {
  const common = {
    cpu: "C",
    load: 0.1,
    features: "avx2",
    threads: 2,
    model: "tiny",
    dtype: "fp32",
    device: "cpu",
    batch: 4,
    prompt: 8,
    new: 2,
    group: 2,
  };
  const rate = { median: 1000, low: 900, high: 1100, peakMiB: 50 };
  const results = [
    {
      ...common,
      bench: "decode",
      tarl: rate,
      others: { "trl fp32": { ...rate, median: 250, ratio: 4 } },
      shares: { memory: 0.5, arithmetic: null },
    },
    { ...common, load: 7, bench: "shared", ratios: { rollout: 5 } },
  ];
  const text = table(results);
  assert.match(text, "### C (avx2), 2 threads");
  assert.match(
    text,
    "| decode tiny fp32, 4 x 8 + 2 in groups of 2 | 1,000 (900 to 1,100) | trl fp32 250 (900 to 1,100) | 4.00x | 50% |  |",
  );
  assert.match(text, "- shared tiny fp32, 4 x 8 + 2 in groups of 2 (busy machine): rollout 5.00x");
  const page = readFileSync("docs/bench.md", "utf8");
  assert.match(fill(page, "FIGURES"), "\n\nFIGURES\n\n");
  assert.throws(() => fill("no marks", ""), /expected the marks/);
});

/** Walks a GGUF header by the format's own rules; what it returns is where each tensor lies and of which type. */
function parseGguf(head: Buffer) {
  let at = 0;
  const take = (bytes: number) => {
    at += bytes;
    return at - bytes;
  };
  const u32 = () => head.readUInt32LE(take(4));
  const u64 = () => Number(head.readBigUInt64LE(take(8)));
  const string = () => {
    const length = u64();
    at += length;
    return head.toString("utf8", at - length, at);
  };
  const value = (type: number): unknown => {
    if (type === 4 || type === 5) return u32();
    if (type === 6) return head.readFloatLE(take(4));
    if (type === 7) return head[take(1)];
    if (type === 8) return string();
    assert.is(type, 9);
    const item = u32();
    return Array.from({ length: u64() }, () => value(item));
  };
  assert.is(head.toString("latin1", 0, 4), "GGUF");
  at = 4;
  assert.is(u32(), 3);
  const [tensors, values] = [u64(), u64()];
  const metadata = Object.fromEntries(Array.from({ length: values }, () => [string(), value(u32())]));
  const places = Array.from({ length: tensors }, () => {
    const name = string();
    const dims = Array.from({ length: u32() }, u64);
    return { name, dims, type: u32(), offset: u64() };
  });
  assert.ok(at <= head.length && head.length - at < 32 && head.length % 32 === 0);
  return { metadata, places };
}

test("a GGUF header says the sizes and lays the tensors out one after the other, aligned", () => {
  const tensors = parameterShapes(tiny).map(([name, shape]) => ({
    name,
    shape,
    dtype: "F32",
    file: "",
    offset: 0,
    bytes: 0,
  }));
  const { metadata, places } = parseGguf(ggufHead(tiny, tensors, "bf16").head);
  assert.is(metadata["general.architecture"], "qwen3");
  assert.is(metadata["qwen3.attention.key_length"], 64);
  assert.is((metadata["tokenizer.ggml.tokens"] as string[]).length, 4096);
  assert.equal(places[0], { name: "token_embd.weight", dims: [256, 4096], type: 30, offset: 0 });
  const sizes = places.map(({ dims, type }) => dims.reduce((a, b) => a * b, type === 30 ? 2 : 4));
  assert.ok(places.every(({ dims, type }) => type === (dims.length === 1 ? 0 : 30)));
  let offset = 0;
  for (const [i, place] of places.entries()) {
    assert.is(place.offset, offset);
    offset = Math.ceil((offset + sizes[i]) / 32) * 32;
  }
  assert.is(ggufName("model.layers.11.self_attn.o_proj.weight"), "blk.11.attn_output.weight");
  assert.throws(() => ggufName("model.layers.0.self_attn.q_proj.bias"), /no such tensor/);
});

test("fp32 becomes the nearest bf16, ties to even; bf16 becomes fp32 exactly", () => {
  const bf16 = (...values: number[]) => [
    ...new Uint16Array(convert(new Uint8Array(Float32Array.from(values).buffer), "bf16").buffer),
  ];
  assert.equal(
    bf16(1, -2, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20),
    [0x3f80, 0xc000, 0x3f80, 0x3f82, 0x3f81],
  );
  const back = convert(new Uint8Array(Uint16Array.of(0x3f82, 0xc000).buffer), "fp32");
  assert.equal([...new Float32Array(back.buffer)], [1 + 2 ** -6, -2]);
});

const hf = golden("hf");
const llama = hf !== null && findPeers(["llama.cpp"], tiny).names.length > 0;
if (!llama) console.log("SKIP 1 GGUF against llama.cpp: node-llama-cpp is not installed (docs/bench.md)");
(llama ? test : test.skip)("llama.cpp says on our GGUF what transformers said on the checkpoint", async () => {
  const dir = join(hf!, "models", "Q3a");
  assert.is(readCheckpoint(dir).config.tied, false);
  assert.ok(existsSync(writeGguf(dir, "fp32")));
  const { input_ids: prompt, tokens } = Object.fromEntries(
    Object.entries(readTensors(join(hf!, "cases", "Q3a", "greedy_single.safetensors"))).map(([name, tensor]) => [
      name.replace(/^(in|out)\./, ""),
      [...tensor.data].map(Number),
    ]),
  );
  const options = readOptions(
    ["--batch", "1", "--threads", "1", "--prompt", `${prompt.length}`, "--new", "16"],
    defaults,
  );
  const side = await openSide("llama.cpp", "fp32", dir, options);
  try {
    const { ids } = await side.peer.ask<{ ids: number[][] }>("generate", { prompts: [prompt], tokens: 16 });
    assert.equal(ids[0], tokens.slice(-16));
  } finally {
    side.peer.close();
  }
});

test.run();
