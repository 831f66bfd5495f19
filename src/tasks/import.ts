// What can be imported, by name: each reader takes the user's own checkout or file and gives what `writeSet` writes. Not the
// readers themselves. Test: test/unit/import.test.ts

import { existsSync } from "node:fs";
import { UsageError } from "../errors.ts";
import { importApigen } from "./apigen.ts";
import type { Benchmark } from "./benchmark.ts";
import { importDeepScaler } from "./deepscaler.ts";
import { type Draft, NAME } from "./set.ts";
import { importTauBench } from "./tau-bench.ts";
import { importTau2 } from "./tau2-bench.ts";

export interface ImportOptions {
  /** Which domain of a benchmark. */
  readonly domain?: string;
  /** The only split to read; where the source has no splits, what its one split is called. */
  readonly split?: string;
  /** Only problems whose answer is a whole number. */
  readonly integers?: boolean;
}

interface Importer {
  readonly takes: readonly (keyof ImportOptions)[];
  read(path: string, options: ImportOptions): Promise<Omit<Draft, "source" | "from">>;
}

const IMPORTERS: Readonly<Record<string, Importer>> = {
  "tau-bench": {
    takes: ["domain", "split"],
    read: async (path, { domain, split }) => benchmark(domain, "tau1", (name) => importTauBench(path, name, split)),
  },
  "tau2-bench": {
    takes: ["domain", "split"],
    read: async (path, { domain, split }) => benchmark(domain, "tau2", (name) => importTau2(path, name, split)),
  },
  apigen: {
    takes: ["split"],
    read: async (path, { split = "train" }) => ({
      kind: "dialogues",
      splits: { [split]: await importApigen(path, split) },
    }),
  },
  deepscaler: {
    takes: ["split", "integers"],
    read: async (path, { split = "train", integers = false }) => ({
      kind: "tasks",
      domain: "math",
      checkOutputs: true,
      policy: "Solve the problem. Put the final answer in \\boxed{}.",
      splits: { [split]: await importDeepScaler(path, split, integers) },
    }),
  },
};

export const sources: readonly string[] = Object.keys(IMPORTERS);

/** Reads a source into the draft of a set. Rejects with a UsageError that names what is wrong, and where. */
export async function importSet(source: string, path: string, options: ImportOptions): Promise<Draft> {
  if (!Object.hasOwn(IMPORTERS, source)) throw new UsageError(`${source}: expected one of ${sources.join(", ")}`);
  if (!existsSync(path)) throw new UsageError(`${path}: no such file or folder`);
  const { takes, read } = IMPORTERS[source];
  for (const key of OPTIONS)
    if (options[key] !== undefined && !takes.includes(key))
      throw new UsageError(
        `--${key} ${options[key]}: ${source} has only ${takes.map((name) => `--${name}`).join(" and ")}`,
      );
  const { split } = options;
  if (split !== undefined && !NAME.test(split))
    throw new UsageError(`--split ${split}: expected a name of letters, digits, ".", "-" and "_"`);
  return { ...(await read(path, options)), source, from: path };
}

const OPTIONS = ["domain", "split", "integers"] as const satisfies (keyof ImportOptions)[];

/** A benchmark's domain, scored as the benchmark scores it. */
function benchmark(
  domain: string | undefined,
  profile: string,
  read: (domain: string) => Benchmark,
): Omit<Draft, "source" | "from"> {
  if (domain === undefined)
    throw new UsageError("--domain: missing, expected the benchmark's domain: retail or airline");
  return { kind: "tasks", domain, profile, checkOutputs: true, ...read(domain) };
}
