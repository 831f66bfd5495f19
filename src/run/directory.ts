// A run on disk: config.json, metrics.jsonl (values that the seed decides), timing.jsonl (values that the clock decides),
// rollouts/, evaluations/, checkpoints/step-N, log.txt, summary.json. Everything that is not a log is written under a
// temporary name and renamed, so that a kill at any moment leaves only whole files. Knows nothing of what it stores.
// Test: test/unit/directory.test.ts

import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join, resolve } from "node:path";
import { UsageError } from "../errors.ts";

/** One line of a .jsonl file of a run; `step` counts finished updates. */
export interface Line {
  readonly step: number;
}

const LOGS = ["metrics.jsonl", "timing.jsonl"];
const FOLDERS = ["rollouts", "evaluations", "checkpoints"];

export class RunDirectory {
  private constructor(readonly dir: string) {}

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

  /** Makes `<base>/<name>` and writes its config.json. A name that is taken is a UsageError. */
  static create(base: string, name: string, config: unknown): RunDirectory {
    RunDirectory.checkName(base, name);
    const run = new RunDirectory(resolve(base, name));
    try {
      mkdirSync(run.dir, { recursive: true });
    } catch (error) {
      throw new UsageError(`--runs ${base}: ${(error as Error).message}; expected a folder that can be written to`);
    }
    run.lock();
    run.writeJson("config.json", config);
    run.makeFolders();
    return run;
  }

  /** Finds a run by its name under `base` or by its path, to read its config; `open` before anything else is done. */
  static find(base: string, name: string): RunDirectory {
    const dir = [resolve(base, name), resolve(name)].find((dir) => existsSync(join(dir, "config.json")));
    if (!dir) throw new UsageError(`--resume ${name}: no run with a config.json in ${resolve(base, name)}`);
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

  writeJson(file: string, value: unknown): void {
    this.writeText(file, `${JSON.stringify(value, null, 2)}\n`);
  }

  /** undefined when there is no such file. */
  readJson<T>(file: string): T | undefined {
    const path = join(this.dir, file);
    if (!existsSync(path)) return undefined;
    try {
      return JSON.parse(readFileSync(path, "utf8")) as T;
    } catch (error) {
      throw new UsageError(`${path}: not JSON: ${(error as Error).message}`);
    }
  }

  /** Writes a whole file of the run at once. */
  writeText(file: string, text: string): void {
    const path = join(this.dir, file);
    writeFileSync(`${path}.part`, text, { flush: true });
    renameSync(`${path}.part`, path);
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
    for (const name of readdirSync(part)) flush(join(part, name));
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
        const at = name.match(/^step-(\d+)(\.jsonl|\.json)?$/)?.[1];
        if (at === undefined || Number(at) > step) rmSync(join(this.dir, folder, name), { recursive: true });
      }
    rmSync(join(this.dir, "summary.json"), { force: true });
  }

  /** Gives the run free for another process. */
  close(): void {
    rmSync(join(this.dir, "lock"), { force: true });
  }

  private rawLines(file: string): string[] {
    const path = join(this.dir, file);
    if (!existsSync(path)) return [];
    return readFileSync(path, "utf8").split("\n").slice(0, -1); // what follows the last newline was cut
  }

  private makeFolders(): void {
    for (const folder of FOLDERS) mkdirSync(join(this.dir, folder), { recursive: true });
  }

  /** One process at a time: the file `lock` names it; one that was left by a dead process is taken over. */
  private lock(): void {
    const path = join(this.dir, "lock");
    const mine = `${path}.${process.pid}`;
    for (;;) {
      writeFileSync(mine, `${process.pid} ${birth(process.pid)}`);
      try {
        linkSync(mine, path);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      } finally {
        rmSync(mine);
      }
      const seen = readLock(path);
      const [pid, born] = seen.split(" ");
      if (born && birth(Number(pid)) === born)
        throw new UsageError(`${this.dir} is in use by process ${pid} (delete ${path} if that is not so)`);
      takeAway(path, seen);
    }
  }
}

/** Is there anything at `dir` but what a process that was killed before it wrote config.json has left? */
function taken(dir: string): boolean {
  if (!existsSync(dir)) return false;
  return !statSync(dir).isDirectory() || readdirSync(dir).some((name) => !/^(lock|config\.json\.part)/.test(name));
}

/** "" where there is none any more. */
function readLock(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

/** Removes a dead process's lock; one that another process took in between is put back. */
function takeAway(lock: string, seen: string): void {
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
    if (readLock(aside) !== seen) linkSync(aside, lock);
  } catch (error) {
    if (!["ENOENT", "EEXIST"].includes((error as NodeJS.ErrnoException).code!)) throw error;
  }
  rmSync(aside, { force: true });
}

/**
 * When a process was started, as a text that no other process of the same id shares; "" when there is none, or only its
 * remains that nobody has waited for. Where there is no /proc: "alive" or "".
 */
function birth(pid: number): string {
  try {
    if (!existsSync("/proc/self/stat")) return process.kill(pid, 0) ? "alive" : "";
    // proc(5): what follows the command's closing parenthesis is state (field 3) ... start time (field 22).
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    return fields[0] === "Z" ? "" : fields[19];
  } catch {
    return "";
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
