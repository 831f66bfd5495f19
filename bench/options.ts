// The options that the benchmarks of the engine take, read and checked. Not what is done with them.
// Test: test/unit/bench.test.ts

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { UsageError } from "../src/errors.ts";
import { shapeNames } from "../src/policy/shapes.ts";

export type Dtype = "fp32" | "bf16";
export const PEERS = ["transformers", "trl", "llama.cpp"] as const;
export type PeerName = (typeof PEERS)[number];

export interface Options {
  /** Checkpoint folder, or null: random weights of `shape`. */
  readonly model: string | null;
  readonly shape: string;
  readonly dtype: Dtype;
  readonly device: "cpu" | "cuda";
  /** Conversations or rows. */
  readonly batch: number;
  /** Tokens that are read, and tokens that are made (or learnt) after them. */
  readonly prompt: number;
  readonly new: number;
  /** Conversations or rows of one prompt. */
  readonly group: number;
  readonly threads: number;
  readonly kernels: "on" | "off";
  readonly repeats: number;
  /** Which of the other sides may take part. */
  readonly peers: readonly PeerName[];
  /** "same": in our dtype; "best": in both, and the faster one counts. */
  readonly peerDtype: "same" | "best";
  /** Write the figures into bench/results. */
  readonly save: boolean;
}

/** What a benchmark measures where nothing else is asked for. */
export type Defaults = Pick<Options, "batch" | "prompt" | "new" | "group" | "repeats"> &
  Partial<Pick<Options, "dtype">>;

const NAMES = [
  ...["model", "shape", "dtype", "device", "batch", "prompt", "new", "group", "threads", "kernels", "repeats"],
  ...["peers", "peer-dtype"],
] as const;

/** Reads a command line (without node and script); throws a UsageError that names the option. */
export function readOptions(args: readonly string[], defaults: Defaults): Options {
  const values = readTyped(args, NAMES);
  const whole = (name: string, value: number) => wholeOf(values, name, value);
  const one = <T extends string>(name: string, choices: readonly T[], value: T): T => {
    const given = values[name] ?? value;
    if (!choices.includes(given as T))
      throw new UsageError(`--${name} ${given}: expected ${choices.join(" or ").replace(/ or (?=.* or )/g, ", ")}`);
    return given as T;
  };
  if (values.model !== undefined && values.shape !== undefined)
    throw new UsageError(`--model ${values.model} with --shape ${values.shape}: give one of the two`);
  const batch = whole("batch", defaults.batch);
  const group = whole("group", Math.min(batch, defaults.group));
  if (batch % group !== 0) throw new UsageError(`--group ${group} with --batch ${batch}: it has to divide it`);
  return {
    model: values.model ?? null,
    shape: one("shape", shapeNames, "tiny"),
    dtype: one("dtype", ["fp32", "bf16"], defaults.dtype ?? "fp32"),
    device: one("device", ["cpu", "cuda"], "cpu"),
    batch,
    prompt: whole("prompt", defaults.prompt),
    new: whole("new", defaults.new),
    group,
    threads: whole("threads", availableParallelism()),
    kernels: one("kernels", ["on", "off"], "on"),
    repeats: whole("repeats", defaults.repeats),
    peers: readPeers(values.peers),
    peerDtype: one("peer-dtype", ["same", "best"], "same"),
    save: values.save !== undefined,
  };
}

/** What was typed for options that have one value, and "true" for --save. */
export type Typed = { readonly [name: string]: string | undefined };

/** Reads options by their names; throws a UsageError where one is unknown or has no value. */
export function readTyped(args: readonly string[], names: readonly string[]): Typed {
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  try {
    const { values } = parseArgs({ args: [...args], options: { ...options, save: { type: "boolean" } } });
    return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
  } catch (error) {
    throw new UsageError((error as Error).message.replace(/\. To specify a positional argument.*/s, ""));
  }
}

/** A whole number of 1 or more. */
export function wholeOf(typed: Typed, name: string, value: number): number {
  const given = typed[name];
  if (given === undefined) return value;
  if (!/^[1-9]\d{0,6}$/.test(given)) throw new UsageError(`--${name} ${given}: expected a whole number of 1 or more`);
  return Number(given);
}

function readPeers(list: string | undefined): readonly PeerName[] {
  if (list === undefined) return PEERS;
  if (list === "none") return [];
  const names = list.split(",");
  const wrong = names.find((name) => !PEERS.some((peer) => peer === name));
  if (wrong !== undefined) throw new UsageError(`--peers ${wrong}: expected none, or some of ${PEERS.join(",")}`);
  return PEERS.filter((peer) => names.includes(peer));
}
