// The runs that a comparison is made of: made by the command line in processes of their own, gone on with where one was cut
// off, reused where one is finished with the same options, and read. Not what is concluded. Test: test/e2e/table.test.ts

import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Config, flagName, resolveConfig } from "../../src/config/config.ts";
import { UsageError } from "../../src/errors.ts";
import type { Evaluation, Summary } from "../../src/eval/evaluate.ts";
import { makeFolder } from "../../src/folders.ts";
import { evaluationFile, mixEvaluationFile } from "../../src/run/closing.ts";
import type { StepLine } from "../../src/run/metrics.ts";
import { scheduled } from "../../src/training/mix.ts";
import { type Ended, endOf, startTarl } from "../command.ts";
import type { Cell } from "./rows.ts";

/** What was found of a finished run. */
export interface Made {
  readonly seed: number;
  readonly before: Evaluation;
  readonly after: Evaluation;
  /** The same of tasks that were mixed in; null where none were. */
  readonly beside: readonly [before: Evaluation, after: Evaluation] | null;
  /** Updates on the domain's own tasks, and those on the tasks that were mixed in. */
  readonly steps: readonly StepLine[];
  readonly mixed: readonly StepLine[];
  /** Seconds of the clock, and of all its cores together; work that a crash undid is not in them. */
  readonly wall: number;
  readonly cpu: number;
}

export type State = "new" | "half" | "finished";

/** How far a run has come. One of other options is a UsageError; nothing is changed. */
export function stateOf(runs: string, { run, config }: Cell): State {
  const made = readJson<Record<string, unknown>>(join(runs, run, "config.json"));
  if (!made) return "new";
  const { sets: _, ...values } = made;
  const file = join(runs, run, "config.json");
  const was = resolveConfig("embedded", { values, label: (key) => `${file}: ${key}` });
  if (hashOf(was) !== hashOf(config)) {
    const key = (Object.keys(config) as (keyof Config)[]).find((key) => was[key] !== config[key])!;
    throw new UsageError(
      `${join(runs, run)}: was made with ${flagName(key)} ${was[key]}, not ${config[key]}; expected the same options or another --runs`,
    );
  }
  return existsSync(join(runs, run, "summary.json")) ? "finished" : "half";
}

/** Sixteen digits that tell one config from another. */
export function hashOf(config: Config): string {
  const sorted = Object.entries(config).sort(([one], [other]) => (one < other ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex").slice(0, 16);
}

/** What makes or finishes a run, as a person would type it after "node train.js". */
export function commandOf(runs: string, { run, flags }: Cell, state: State): string[] {
  return state === "half" ? ["--resume", run, "--runs", runs] : [...flags, "--run", run, "--runs", runs];
}

/** Exit code of a run that a person stopped. */
export const STOPPED = 130;

/**
 * Makes or finishes a run. SIGTERM is handed on to it and lets it end in order; Ctrl-C reaches it from the terminal.
 * Which code works on which run is noted in `<runs>/table1.jsonl`.
 */
export async function make(runs: string, cell: Cell, state: State, commit: string): Promise<Ended> {
  const args = commandOf(runs, cell, state);
  makeFolder(runs);
  appendFileSync(join(runs, NOTES), `${JSON.stringify({ run: cell.run, commit, command: args.join(" ") })}\n`);
  const child = startTarl(args);
  child.stdout.resume(); // it stands in the run's log.txt
  const passOn = () => void child.kill("SIGTERM");
  const wait = () => {}; // until the run has saved what it has
  process.on("SIGTERM", passOn).on("SIGINT", wait);
  try {
    return await endOf(child);
  } finally {
    process.off("SIGTERM", passOn).off("SIGINT", wait);
  }
}

const NOTES = "table1.jsonl";

/** The commits whose code worked on any of the runs. */
export function commitsOf(runs: string, cells: readonly Cell[]): string[] {
  const names = new Set(cells.map(({ run }) => run));
  const notes = readLines<{ readonly run: string; readonly commit: string }>(join(runs, NOTES));
  return [...new Set(notes.filter(({ run }) => names.has(run)).map(({ commit }) => commit))];
}

/** Reads a finished run. */
export function read(runs: string, { run, seed, config }: Cell): Made {
  const dir = join(runs, run);
  const json = <T>(file: string): T => {
    const found = readJson<T>(join(dir, file));
    if (!found) throw new UsageError(`${join(dir, file)}: does not exist; expected a finished run`);
    return found;
  };
  const lines = readLines<StepLine>(join(dir, "metrics.jsonl"));
  const isMixed = ({ step }: StepLine) => scheduled(config, step - 1).mixed;
  return {
    seed,
    before: json<Evaluation>(evaluationFile(0)),
    after: json<Evaluation>(evaluationFile(config.steps)),
    beside: existsSync(join(dir, mixEvaluationFile(0)))
      ? [json(mixEvaluationFile(0)), json(mixEvaluationFile(config.steps))]
      : null,
    steps: lines.filter((line) => !isMixed(line)),
    mixed: lines.filter(isMixed),
    wall: json<Summary>("summary.json").wall_s,
    cpu: readLines<{ readonly cpu: number }>(join(dir, "timing.jsonl")).reduce((sum, { cpu }) => sum + cpu, 0),
  };
}

function readJson<T>(path: string): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch (error) {
    throw new UsageError(`${path}: not JSON: ${(error as Error).message}`);
  }
}

/** Whole lines; none where there is no file. */
function readLines<T>(path: string): T[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as T);
}
