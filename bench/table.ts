// Writes the table of docs/bench.md, between its two marks, from the figures in bench/results. Measures nothing.
// Run: npm run bench -- table. Test: test/unit/bench.test.ts

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "../src/root.ts";
import { BUSY, type Spread } from "./common.ts";

const BEGIN = "<!-- figures: npm run bench -- table -->";
const END = "<!-- end of figures -->";

interface Result {
  readonly bench: string;
  readonly cpu: string;
  readonly features: string;
  readonly threads: number;
  readonly load: number;
  readonly model: string;
  readonly dtype: string;
  readonly device: string;
  readonly batch: number;
  readonly prompt?: number;
  readonly new?: number;
  readonly group: number;
  /** Of a judge, in seconds, and whether conversations are played ahead. */
  readonly latency?: number;
  readonly ahead?: string;
  readonly tarl?: Spread & { readonly peakMiB: number };
  readonly others?: { readonly [name: string]: Spread & { readonly ratio: number; readonly peakMiB: number } };
  readonly shares?: { readonly memory: number | null; readonly arithmetic: number | null };
  readonly ratios?: { readonly [name: string]: number };
  readonly seconds?: { readonly [stage: string]: Spread };
}

/** Markdown: a heading for each machine, a table of what was measured beside peers, a list of the rest. */
export function table(results: readonly Result[]): string {
  const names = [...new Set(results.map(machineName))];
  return names
    .map((name) => {
      const own = results.filter((result) => machineName(result) === name);
      const rates = own.filter(({ tarl }) => tarl).map(rateRow);
      const rest = own.filter(({ tarl }) => !tarl).map(restLine);
      const head = [
        "| | tarl, tokens/s | beside it, tokens/s | tarl is | of memory | of arithmetic | peak MiB |",
        "|---|---|---|---|---|---|---|",
      ];
      return [`### ${name}`, ...(rates.length > 0 ? [[...head, ...rates].join("\n")] : []), ...rest].join("\n\n");
    })
    .join("\n\n");
}

function machineName({ cpu, features, threads, device }: Result): string {
  return `${cpu} (${features}), ${threads} threads${device === "cuda" ? ", GPU" : ""}`;
}

const whole = (value: number) => value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 1 : 0 });
const percent = (value: number | null | undefined) => (value == null ? "" : `${(100 * value).toFixed(0)}%`);

/** "decode tiny fp32, 32 x 64 + 128 in groups of 8"; without lengths where conversations have their own. */
function what({ bench, model, dtype, batch, prompt, group, new: own, load, latency, ahead }: Result): string {
  const groups = group > 1 ? ` in groups of ${group}` : "";
  const lengths = prompt === undefined ? "" : ` x ${prompt} + ${own}`;
  const judge = latency === undefined ? "" : `, ${latency} s a verdict, ahead ${ahead}`;
  return `${bench} ${model} ${dtype}, ${batch}${lengths}${groups}${judge}${load > BUSY ? " (busy machine)" : ""}`;
}

function rateRow(result: Result): string {
  const { tarl, others = {}, shares } = result;
  const list = (value: (other: Spread & { ratio: number; peakMiB: number }, name: string) => string) =>
    Object.entries(others)
      .map(([name, other]) => value(other, name))
      .join("; ");
  const cells = [
    what(result),
    `${whole(tarl!.median)} (${whole(tarl!.low)} to ${whole(tarl!.high)})`,
    list(({ median, low, high }, name) => `${name} ${whole(median)} (${whole(low)} to ${whole(high)})`),
    list(({ ratio }) => `${ratio.toFixed(2)}x`),
    percent(shares?.memory),
    percent(shares?.arithmetic),
    [`tarl ${whole(tarl!.peakMiB)}`, list(({ peakMiB }, name) => `${name} ${whole(peakMiB)}`)]
      .filter(Boolean)
      .join("; "),
  ];
  return `| ${cells.join(" | ")} |`;
}

function restLine(result: Result): string {
  const times = Object.entries(result.seconds ?? {}).map(([stage, { median }]) => `${stage} ${median.toFixed(2)} s`);
  const ratios = Object.entries(result.ratios ?? {}).map(([name, ratio]) => `${name} ${ratio.toFixed(2)}x`);
  return `- ${what(result)}: ${[...times, ...ratios].join(", ")}`;
}

/** `page` with what is between its marks replaced. */
export function fill(page: string, figures: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`docs/bench.md: expected the marks ${BEGIN} and ${END}`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${figures}\n\n${page.slice(end)}`;
}

/** All results of a model's speed, in the order of their names; others have a page or a line of their own. */
export function readResults(): Result[] {
  const folder = join(root, "bench", "results");
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
  const results = names.sort().map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")));
  return results.filter(({ model }) => model !== undefined);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const file = join(root, "docs", "bench.md");
  writeFileSync(file, fill(readFileSync(file, "utf8"), table(readResults())));
  process.stdout.write(`docs/bench.md: ${readResults().length} results\n`);
}
