// What the benchmarks share: the clock, repeats in alternation, and how figures are written down. Not a benchmark itself.
// Every benchmark's output ends in one line of JSON. Test: test/unit/bench.test.ts

import { writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { join } from "node:path";
import { CheckpointError, UsageError } from "../src/errors.ts";
import { makeFolder } from "../src/folders.ts";
import { root } from "../src/root.ts";

/** What the figures were taken on; `load`: programs that wanted a core in the minute before. */
export const machine = {
  cpu: cpus()[0].model.trim(),
  threads: availableParallelism(),
  node: process.versions.node,
  load: loadavg()[0],
};

/** Load above which others take part of the cores. */
export const BUSY = 1;

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

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** "tarl  12,345 tokens/s (12,001 to 12,402)": the median and the range; small figures with a digit behind the point. */
export function line(name: string, { median, low, high }: Spread, unit = "tokens/s", rest = ""): void {
  const maximumFractionDigits = median < 100 ? 1 : 0;
  const [middle, from, to] = [median, low, high].map((value) => value.toLocaleString("en", { maximumFractionDigits }));
  say(`${name.padEnd(24)} ${middle.padStart(9)} ${unit} (${from} to ${to})${rest}`);
}

/** To four digits, for a person and for a diff. */
export function short<T>(figures: T): T {
  const round = (_: string, value: unknown) =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
  return JSON.parse(JSON.stringify(figures, round));
}

/** Keeps figures, to four digits, and the machine as a file of bench/results. */
export function keep(bench: string, file: string, figures: object): void {
  const folder = join(root, "bench", "results");
  makeFolder(folder);
  writeFileSync(join(folder, file), `${JSON.stringify(short({ bench, ...machine, ...figures }), null, 2)}\n`);
  say(`kept in bench/results/${file}`);
}

/** Does the work of a benchmark; a bad command line or model is one line and exit code 2. */
export async function attempt(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof CheckpointError)) throw error;
    process.stderr.write(`bench ${name}: ${error.message}\n`);
    process.exitCode = 2;
  }
}

/** Closes the output: the machine and the figures, to four digits. */
export function close(bench: string, figures: object): void {
  say(JSON.stringify(short({ bench, ...machine, ...figures })));
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/**
 * Seconds of each side's repeats, [side][repeat]: first one of each that does not count, then `repeats` rounds in which
 * the sides take turns, so that what else the machine does meets all of them alike.
 */
export async function alternate(
  sides: readonly ((repeat: number) => Promise<number>)[],
  repeats: number,
): Promise<number[][]> {
  const taken: number[][] = sides.map(() => []);
  for (let repeat = 0; repeat <= repeats; repeat++)
    for (const [i, side] of sides.entries()) {
      const time = await side(repeat);
      if (repeat > 0) taken[i].push(time);
    }
  return taken;
}
