// What the commands that make a run share: a new run or one to go on with, its policy, Ctrl-C, and leaving it in order.

import { setMaxListeners } from "node:events";
import { join, resolve } from "node:path";
import { type Config, flagName } from "../config/config.ts";
import type { Access } from "../customers.ts";
import { UsageError } from "../errors.ts";
import type { Played, Table } from "../play.ts";
import { RunDirectory } from "../run/directory.ts";
import { Display } from "../run/progress.ts";
import type { Stop } from "../train.ts";
import { access, RUNS, type RunOptions, typedOptions } from "./options.ts";

/** A kind of run: `C` is what its config.json holds. */
export interface RunKind<C> {
  /** From what was typed, with a model of the hub as it is now. */
  readonly config: (access: Access) => Promise<C>;
  /** From the config.json of a run to go on with; `file` is its path. */
  readonly read: (json: object, file: string) => C;
  readonly options: (config: C) => Config;
  /** Paths of the sets that it learns from. */
  readonly sets: (config: C) => readonly string[];
  /** Rejects with a UsageError where the domain has not what the config asks for. */
  readonly check: (config: C, played: Played) => Promise<void>;
  /** What a run is called when nobody names it. */
  readonly name: (config: C) => string;
  /** One line for the start. */
  readonly describe: (config: C) => string;
}

/** A run that is ready to go on from `step` finished updates. */
export interface Job<C> {
  readonly config: C;
  readonly run: RunDirectory;
  readonly step: number;
  readonly table: Table;
  readonly display: Display;
  readonly stop: Stop;
}

let running = false;

/** Is this process here for a run? */
export function isRunning(): boolean {
  return running;
}

/** Options of a run that --resume takes from the run itself. */
const OWN = ["run", "config", "preset", "recipe"];

/**
 * Opens everything, does the work, and closes everything, whatever happens. A new run is made only when its input is known
 * to be good.
 */
export async function withRun<C>(
  argv: RunOptions,
  kind: RunKind<C>,
  work: (job: Job<C>) => Promise<void>,
): Promise<void> {
  running = true;
  const { Table } = await import("../play.ts");
  const runs = argv.runs ?? RUNS;
  const resumed = argv.resume === undefined ? null : resume(argv, runs, argv.resume);
  if (!resumed) RunDirectory.checkBase(runs);
  if (argv.run !== undefined) RunDirectory.checkName(runs, argv.run);
  const { sets: made, ...json } = resumed?.readJson<{ readonly sets?: Hashes }>("config.json") ?? {};
  const reach = access();
  const config = resumed ? kind.read(json, join(resumed.dir, "config.json")) : await kind.config(reach);
  resumed?.open();
  let opened = resumed;
  let table: Table | undefined;
  try {
    const step = resumed?.checkpoints().at(-1) ?? 0;
    const checkpoint = resumed && step ? resumed.checkpointPath(step) : null;
    const note = (line: string) => void process.stderr.write(`${line}\n`);
    let sets: Hashes = {};
    const check = async (played: Played) => {
      await kind.check(config, played);
      sets = await hashes(kind.sets(config));
      if (made) checkSets(argv.resume!, made, sets);
    };
    table = await Table.open(kind.options(config), { checkpoint, access: reach, check, note });
    const kept = Object.keys(sets).length > 0 ? { ...config, sets } : config;
    opened ??= RunDirectory.create(runs, argv.run ?? RunDirectory.freeName(runs, kind.name(config)), kept);
    const run = opened;
    const reached = run.lines("metrics.jsonl").at(-1)?.step ?? 0;
    run.rewind(step);
    const display = new Display(argv.json ? process.stderr : process.stdout, (line) => run.log(line));
    const bits = table.policy.batchInvariant ? "batch-invariant" : "not batch-invariant";
    const again = reached > step ? ` (made again: up to step ${reached})` : "";
    const named = resumed ? `going on with ${run.dir} after step ${step}${again}` : `run ${run.dir}`;
    display.line(`${named}: ${kind.describe(config)}, ${bits}`);
    const stopping =
      "stopping: the step under way is finished and saved, a measurement is not; Ctrl-C again stops at once";
    await work({ config, run, step, table, display, stop: onInterrupt(display, stopping) });
  } catch (error) {
    opened?.log(`failed: ${error instanceof Error ? error.stack : error}`);
    throw error;
  } finally {
    await table?.dispose();
    opened?.close();
  }
}

/** Path of a set -> hash of its files. A run's config.json keeps them beside its options. */
type Hashes = Readonly<Record<string, string>>;

async function hashes(sets: readonly string[]): Promise<Hashes> {
  const { fingerprint } = await import("../run/results.ts");
  return Object.fromEntries(sets.map((path) => [path, fingerprint(path, /\.jsonl?$/, Infinity)]));
}

/** On a set that was made anew it would silently become another run. */
function checkSets(run: string, made: Hashes, now: Hashes): void {
  const other = Object.keys(made).find((set) => made[set] !== now[set]);
  if (other === undefined) return;
  throw new UsageError(
    `--resume ${run}: ${other} has changed since the run began; expected the same files, or a new run`,
  );
}

function resume(argv: RunOptions, runs: string, name: string): RunDirectory {
  const [typed] = Object.keys(typedOptions(argv));
  if (typed) throw new UsageError(`--resume ${name} takes its options from the run: leave ${flagName(typed)} out`);
  for (const [other, value] of Object.entries(argv))
    if (OWN.includes(other) && value !== undefined)
      throw new UsageError(`--resume ${name} with --${other} ${value}: leave one of them out`);
  return RunDirectory.find(runs, name);
}

/** A person who may interrupt; nobody listens any more after `release`. */
export interface Interrupts extends Stop {
  release(): void;
}

/** The first Ctrl-C (or SIGTERM) asks to stop in order, and is answered with `note`; the second one stops at once. */
export function onInterrupt(display: Display, note: string): Interrupts {
  const abort = new AbortController();
  setMaxListeners(0, abort.signal); // every conversation listens
  const interrupt = () => {
    if (stop.requested) process.exit(STOPPED);
    stop.requested = true;
    abort.abort();
    display.line(note);
  };
  const stop = {
    requested: false,
    signal: abort.signal,
    release: () => {
      process.off("SIGINT", interrupt);
      process.off("SIGTERM", interrupt);
    },
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  return stop;
}

/** Exit code of what a person stopped: 128 + SIGINT, as shells have it. */
export const STOPPED = 130;

/** Says how to go on with a run that was stopped; `command` is what stands before the options. */
export function stopped(display: Display, run: RunDirectory, command = "node train.js"): void {
  const name = run.dir === resolve(RUNS, run.name) ? run.name : run.dir;
  display.line(`stopped; to go on: ${command} --resume ${name}`);
  process.exitCode = STOPPED;
}
