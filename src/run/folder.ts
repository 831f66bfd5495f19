// A folder that one process at a time works in: a lock, and files that are written under a temporary name and renamed, so
// that a kill at any moment leaves only whole ones. Knows nothing of what it holds: directory.ts (a training run) and
// results.ts (an evaluation) do. Test: test/unit/directory.test.ts

import { existsSync, linkSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../errors.ts";

export class Folder {
  protected constructor(readonly dir: string) {}

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

  /** Writes a whole file at once. */
  writeText(file: string, text: string | Uint8Array): void {
    const path = join(this.dir, file);
    writeFileSync(`${path}.part`, text, { flush: true });
    renameSync(`${path}.part`, path);
  }

  /** Gives the folder free for another process. */
  close(): void {
    rmSync(join(this.dir, "lock"), { force: true });
  }

  /** One process at a time: the file `lock` names it; one that was left by a dead process is taken over. */
  protected lock(): void {
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
        throw new UsageError(`${this.dir} ${IN_USE} ${pid} (delete ${path} if that is not so)`);
      takeAway(path, seen);
    }
  }
}

/** What the refusal says where another process works on a folder. */
export const IN_USE = "is in use by process";

/** Is there anything at `dir` but what a process that was killed before it wrote config.json has left? */
export function taken(dir: string): boolean {
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
