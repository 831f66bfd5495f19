// A run on disk: config.json, metrics.jsonl (values that the seed decides), timing.jsonl (values that the clock decides),
// rollouts/, evaluations/, checkpoints/step-N, log.txt, summary.json. Its files are written as folder.ts has it, so that a
// kill at any moment leaves only whole ones. Knows nothing of what it stores.
// Test: test/unit/directory.test.ts

import {
  accessSync,
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import { makeFolder } from "../folders.ts";
import { Folder, taken } from "./folder.ts";

/** One line of a .jsonl file of a run; `step` counts finished updates. */
export interface Line {
  readonly step: number;
}

const LOGS = ["metrics.jsonl", "timing.jsonl"];
const FOLDERS = ["rollouts", "evaluations", "checkpoints"];

export class RunDirectory extends Folder {
  get name(): string {
    return basename(this.dir);
  }

  /** Throws a UsageError where `<base>/<name>` cannot become a new run. */
  static checkName(base: string, name: string): void {
    if (!/^[A-Za-z0-9][\w.-]*$/.test(name))
      throw new UsageError(`--run ${name}: expected letters, digits, "-", "_" and "." without a slash`);
    const dir = resolve(base, name);
    if (taken(dir)) throw new UsageError(`--run ${name}: it exists; --resume ${dir} goes on with it`);
  }

  /** Whether `base` is, or can become, a folder that can be written to. Makes nothing. */
  static checkBase(base: string): void {
    let dir = resolve(base);
    while (!existsSync(dir)) dir = dirname(dir);
    try {
      if (!statSync(dir).isDirectory()) throw new Error(`${dir} is no folder`);
      accessSync(dir, constants.W_OK);
    } catch (error) {
      throw new UsageError(`--runs ${base}: ${(error as Error).message}; expected a folder that can be written to`);
    }
  }

  /** Makes `<base>/<name>` and writes its config.json. A name that is taken is a UsageError. */
  static create(base: string, name: string, config: unknown): RunDirectory {
    RunDirectory.checkName(base, name);
    const run = new RunDirectory(resolve(base, name));
    try {
      makeFolder(run.dir);
    } catch (error) {
      throw new UsageError(`--runs ${base}: ${(error as Error).message}; expected a folder that can be written to`);
    }
    run.lock();
    run.writeJson("config.json", config);
    run.makeFolders();
    return run;
  }

  /** Finds a run by its name under `base` or by its path, to read its config; `open` before anything else is done. */
  static find(base: string, name: string, option = "--resume"): RunDirectory {
    const dir = [resolve(base, name), resolve(name)].find((dir) => existsSync(join(dir, "config.json")));
    if (!dir) throw new UsageError(`${option} ${name}: no run with a config.json in ${resolve(base, name)}`);
    return new RunDirectory(dir);
  }

  /** Takes the run for this process, to go on with it. */
  open(): void {
    this.lock();
    this.makeFolders();
  }

  /** A name under `base` that is not taken: `name`, else `name-2`, `name-3` ... */
  static freeName(base: string, name: string): string {
    for (let n = 1; ; n++) {
      const free = n === 1 ? name : `${name}-${n}`;
      if (!taken(resolve(base, free))) return free;
    }
  }

  /** Adds one line to metrics.jsonl or timing.jsonl. */
  append(file: "metrics.jsonl" | "timing.jsonl", line: Line): void {
    appendFileSync(join(this.dir, file), `${JSON.stringify(line)}\n`);
  }

  log(text: string): void {
    appendFileSync(join(this.dir, "log.txt"), `${new Date().toISOString()} ${text}\n`);
  }

  /** The whole lines of metrics.jsonl or timing.jsonl. */
  lines<T extends Line = Line & Record<string, number>>(file: "metrics.jsonl" | "timing.jsonl"): T[] {
    return this.rawLines(file).map((line) => JSON.parse(line) as T);
  }

  checkpointPath(step: number): string {
    return join(this.dir, "checkpoints", `step-${step}`);
  }

  /** Steps of the complete checkpoints, rising. */
  checkpoints(): number[] {
    return readdirSync(join(this.dir, "checkpoints"))
      .flatMap((name) => name.match(/^step-(\d+)$/)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  /** `save` makes a temporary folder, which then becomes checkpoints/step-N; of the older ones `keep` - 1 stay. */
  async checkpoint(step: number, keep: number, save: (dir: string) => Promise<void>): Promise<void> {
    for (const file of LOGS) if (existsSync(join(this.dir, file))) flush(join(this.dir, file));
    const path = this.checkpointPath(step);
    const part = `${path}.part`;
    rmSync(part, { recursive: true, force: true });
    await save(part);
    for (const name of readdirSync(part, { recursive: true, encoding: "utf8" })) flush(join(part, name));
    if (existsSync(path)) discard(path);
    renameSync(part, path);
    for (const old of this.checkpoints().slice(0, -keep)) discard(this.checkpointPath(old));
  }

  /** Forgets everything after `step`, and every half-written file: as if the run had stopped right there. */
  rewind(step: number): void {
    for (const file of LOGS) {
      const kept = this.rawLines(file).filter((line) => (JSON.parse(line) as Line).step <= step);
      this.writeText(file, kept.map((line) => `${line}\n`).join(""));
    }
    for (const folder of FOLDERS)
      for (const name of readdirSync(join(this.dir, folder))) {
        const at = name.match(/^(?:mix-)?step-(\d+)(\.jsonl|\.json)?$/)?.[1];
        if (at === undefined || Number(at) > step) rmSync(join(this.dir, folder, name), { recursive: true });
      }
    rmSync(join(this.dir, "summary.json"), { force: true });
  }

  private rawLines(file: string): string[] {
    const path = join(this.dir, file);
    if (!existsSync(path)) return [];
    return readFileSync(path, "utf8").split("\n").slice(0, -1); // what follows the last newline was cut
  }

  private makeFolders(): void {
    for (const folder of FOLDERS) makeFolder(join(this.dir, folder));
  }
}

/** Renames first, so that a kill in the middle never leaves half a checkpoint under its name. */
function discard(path: string): void {
  renameSync(path, `${path}.old`);
  rmSync(`${path}.old`, { recursive: true });
}

function flush(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
