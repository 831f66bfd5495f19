// What the benchmarks share: the policy that is measured, its inputs, the clock, and how figures are written down.
// Not a benchmark itself. Every benchmark's output ends in one line of JSON.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { pack } from "../src/batch.ts";
import { main } from "../src/cli/main.ts";
import { resolveConfig } from "../src/config.ts";
import { oracleHabits } from "../src/eval/evaluate.ts";
import { modelPath, Table } from "../src/play.ts";
import { type ModelConfig, readConfig } from "../src/policy/checkpoint.ts";
import { Random } from "../src/random.ts";
import type { Batch, Ledger, OptimizerOptions, Policy, Sampling } from "../src/types.ts";

/** What the figures were taken on. */
export const machine = { cpu: cpus()[0].model.trim(), threads: availableParallelism(), node: process.versions.node };

/** Of repeated measurements of a rate. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
  return { median, low: sorted[0], high: sorted[sorted.length - 1] };
}

/** "tarl  12,345 tokens/s (12,001 to 12,402)": the median and the range. */
export function line(name: string, { median, low, high }: Spread, unit = "tokens/s"): void {
  const [middle, from, to] = [median, low, high].map((value) => Math.round(value).toLocaleString("en"));
  process.stdout.write(`${name.padEnd(24)} ${middle.padStart(9)} ${unit} (${from} to ${to})\n`);
}

/** Closes the output: the machine and the figures, to four digits. */
export function close(bench: string, figures: object): void {
  const short = (_: string, value: unknown) =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
  process.stdout.write(`${JSON.stringify({ bench, ...machine, ...figures }, short)}\n`);
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** The process of the other side, a Python script: one line of JSON asks, one answers. */
export class Peer {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;

  constructor(
    python: string,
    readonly script: string,
  ) {
    this.#child = spawn(python, [script], { stdio: ["pipe", "pipe", "inherit"] });
    this.#answers = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  async ask<T>(call: string, request: object): Promise<T> {
    this.#child.stdin.write(`${JSON.stringify({ call, ...request })}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`${this.script} ended while it was asked to ${call}`);
    return JSON.parse(value) as T;
  }

  close(): void {
    this.#child.stdin.end();
  }
}

export interface Bench {
  readonly table: Table;
  /** Checkpoint folder. */
  readonly dir: string;
  readonly config: ModelConfig;
}

/** The embedded policy; where there is none, random weights of its shape in a folder that goes with the process. */
export async function openBench(): Promise<Bench> {
  const embedded = modelPath("embedded");
  const dir = existsSync(embedded) ? embedded : await randomPolicy();
  const table = await Table.open(resolveConfig("embedded", { values: { model: dir }, label: String }));
  return { table, dir, config: readConfig(dir) };
}

async function randomPolicy(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "tarl-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const dir = join(folder, "policy");
  const code = await main(["init", "--out", dir, "--domain", "shop"]);
  if (code !== 0) throw new Error(`tarl init: exit code ${code}`);
  return dir;
}

/** Random ids, rows x length: no two rows start alike, so that nothing is shared between them. */
export function randomRows({ vocabSize }: ModelConfig, rows: number, length: number, seed: number): number[][] {
  const random = new Random("bench", seed);
  return Array.from({ length: rows }, () => Array.from({ length }, () => random.int(vocabSize)));
}

/** Seconds in which conversations with these prompts, all at once, say `tokens` tokens each. */
export function speak(policy: Policy, prompts: readonly number[][], tokens: number): Promise<number> {
  const sampling: Sampling = { temperature: 1, topP: 1, topK: 0, minP: 0, stopIds: [], maxTokens: tokens };
  return seconds(() =>
    Promise.all(
      prompts.map(async (prompt, i) => {
        const talk = policy.open(prompt, i);
        await talk.generate(sampling);
        talk.close();
      }),
    ),
  );
}

/** The training batch: its rows' lengths and its whole size, in tokens. */
const ROW = { least: 250, most: 450 };
const BATCH = 4096;

/** Conversations of the domain's expert; the loss is the mean of -log p over the expert's own tokens. */
export async function demonstrations(table: Table): Promise<Batch> {
  const ledgers: Ledger[] = [];
  let size = 0;
  for (const task of table.tasks.train(40, "bench")) {
    const { ledger } = await table.demonstrate({ task, sample: 0, seed: 0 }, oracleHabits);
    const { length } = ledger.ids;
    if (length < ROW.least || length > ROW.most || size + length > BATCH) continue;
    ledgers.push(ledger);
    size += length;
  }
  const weights = { aggregation: "token-mean", normConst: 1, excludeEmpty: true, dropZero: false } as const;
  const advantages = ledgers.map(() => 1);
  return { ...pack(ledgers, advantages, weights), oldLogp: null };
}

/** AdamW over all parameters with PyTorch's defaults, but for the rate: small, so that repeats are alike. */
export const adamw: OptimizerOptions = {
  kind: "adamw",
  lr: 1e-5,
  muonScale: 1,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0.01,
  decayVectors: true,
  maxGradNorm: 1,
};
