// How fast is our own engine: prompts, decoding at several batch sizes, a training step, and the matrix product below
// them beside the processor's fp32 peak. Not a comparison with others (transformers.ts). Run: npm run bench -- engine

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ModelConfig } from "../src/policy/model.ts";
import { native } from "../src/policy/native.ts";
import { root } from "../src/root.ts";
import { logLikelihood } from "../src/sft.ts";
import {
  adamw,
  close,
  demonstrations,
  line,
  machine,
  openBench,
  randomRows,
  type Spread,
  seconds,
  speak,
  spread,
} from "./common.ts";

const REPEATS = 5;
const BATCHES = [1, 8, 32, 96];
const PROMPT_TOKENS = 64;
const NEW_TOKENS = 128;
/** Rows and tokens of the prompts that are only read. */
const READ = [4, 1024] as const;

/** `tokens` per second; one call to warm up, then REPEATS that count. `work` resolves to the seconds it took. */
async function measure(tokens: number, work: (repeat: number) => Promise<number>): Promise<Spread> {
  await work(0);
  const rates: number[] = [];
  for (let repeat = 1; repeat <= REPEATS; repeat++) rates.push(tokens / (await work(repeat)));
  return spread(rates);
}

/**
 * Operations of one forward pass over rows of these lengths, a multiply-add being two: every token meets every matrix,
 * every query every key before it; `logits` tokens meet the output matrix. Norms and the like are left out.
 */
function forwardFlops(config: ModelConfig, lengths: readonly number[], logits: number): number {
  const { layers, hiddenSize, intermediateSize, heads, kvHeads, headDim, vocabSize } = config;
  const weights = hiddenSize * (2 * heads * headDim + 2 * kvHeads * headDim + 3 * intermediateSize);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const pairs = lengths.reduce((sum, length) => sum + (length * (length + 1)) / 2, 0);
  return 2 * layers * (tokens * weights + 2 * pairs * heads * headDim) + 2 * logits * hiddenSize * vocabSize;
}

/** Rows, columns and depth of the matrix products of a layer, for a round of prompts and for one of decoding. */
function shapes({ hiddenSize, intermediateSize, heads, kvHeads, headDim }: ModelConfig): number[][] {
  const products = [
    [(heads + 2 * kvHeads) * headDim, hiddenSize],
    [2 * intermediateSize, hiddenSize],
    [hiddenSize, intermediateSize],
  ];
  return [4096, 32].flatMap((rows) => products.map(([columns, depth]) => [rows, columns, depth]));
}

/** GFLOP/s: the processor's peak, then the product of each shape. */
function measureProducts(list: readonly number[][]): number[] {
  const folder = mkdtempSync(join(tmpdir(), "tarl-gemm-"));
  try {
    const program = join(folder, "gemm");
    const sources = ["bench/gemm.cpp", "build/cmake/libcore.a"];
    const flags = ["-std=c++20", "-O3", "-march=native", "-Wno-psabi", "-pthread", "-Inative"];
    execFileSync(process.env.CXX ?? "c++", [...flags, ...sources, "-o", program], { cwd: root, stdio: "inherit" });
    const output = execFileSync(program, [machine.threads, ...list.flat()].map(String), { encoding: "utf8" });
    return output.trim().split("\n").map(Number);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const { table, config } = await openBench();
const { policy } = table;
process.stdout.write(`${machine.cpu} (${native.isa()}), ${machine.threads} threads, Node ${machine.node}\n`);
try {
  const shapeList = shapes(config);
  const [peak, ...reached] = measureProducts(shapeList);
  process.stdout.write(`fp32 peak ${peak.toFixed(0)} GFLOP/s\n`);
  const share = (gflops: number) =>
    `${gflops.toFixed(0)} GFLOP/s, ${((100 * gflops) / peak).toFixed(0)}% of the peak\n`;
  const gemm = shapeList.map(([m, n, k], i) => ({ m, n, k, gflops: reached[i] }));
  for (const { m, n, k, gflops } of gemm) process.stdout.write(`product ${m} x ${n} x ${k}: ${share(gflops)}`);

  const [rows, length] = READ;
  const prefill = await measure(rows * length, (repeat) => speak(policy, randomRows(config, rows, length, repeat), 1));
  const readFlops = forwardFlops(config, Array(rows).fill(length), rows) / (rows * length);
  line("prefill", prefill);
  process.stdout.write(`  ${share((prefill.median * readFlops) / 1e9)}`);

  const decode: Record<number, Spread> = {};
  for (const batch of BATCHES) {
    decode[batch] = await measure(batch * NEW_TOKENS, (repeat) =>
      speak(policy, randomRows(config, batch, PROMPT_TOKENS, repeat), NEW_TOKENS),
    );
    line(`decode, batch ${batch}`, decode[batch]);
  }

  const lesson = await demonstrations(table);
  const tokens = lesson.ids.length;
  const train = await measure(tokens, () => seconds(() => policy.step(lesson, logLikelihood, adamw)));
  const lengths = Array.from(lesson.rows.subarray(1), (end, row) => end - lesson.rows[row]);
  const learnt = lesson.weight.reduce((count, weight) => count + (weight > 0 ? 1 : 0), 0);
  const trainFlops = (3 * forwardFlops(config, lengths, learnt)) / tokens;
  line(`training, ${tokens} tokens`, train);
  process.stdout.write(`  ${share((train.median * trainFlops) / 1e9)}`);

  close("engine", { isa: native.isa(), peakGflops: peak, gemm, prefill, decode, train });
} finally {
  await policy.dispose();
}
