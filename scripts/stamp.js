// What a set-up step was made from, and a lock so that two set-ups do not build over each other.
// Not the steps themselves (setup.js). Node built-ins only. Tested by test/unit/setup.test.ts.

import { createHash } from "node:crypto";
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Contents of a small file, "" when there is none. */
export function text(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return "";
    throw error;
  }
}

/** All files under `path` (itself, when it is one) that `keep` accepts, sorted; [] when there is nothing. */
export function files(path, keep = () => true) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return [];
  if (!stat.isDirectory()) return keep(path) ? [path] : [];
  return readdirSync(path)
    .sort()
    .flatMap((name) => files(join(path, name), keep));
}

/**
 * The state of some input files: path -> [mtime in ms, bytes, sha256].
 * A file is read only when its time or size differs from `before`, an earlier snapshot.
 */
export function snapshot(paths, before = {}) {
  const entries = paths.map((path) => {
    const { mtimeMs, size } = statSync(path);
    const known = before[path];
    const hash =
      known && known[0] === mtimeMs && known[1] === size
        ? known[2]
        : createHash("sha256").update(readFileSync(path)).digest("hex");
    return [path, [mtimeMs, size, hash]];
  });
  return Object.fromEntries(entries);
}

/** True when two snapshots hold the same files with the same content. */
export function same(a, b) {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => b[name]?.[2] === a[name][2]);
}

/** The stamp in a file, or null when there is none or it is not whole. */
export function readStamp(path) {
  try {
    return JSON.parse(text(path) || "null");
  } catch {
    return null;
  }
}

/** Writes a file under a temporary name and renames it, so that no reader sees half of it. */
export function writeWhole(path, content) {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, content);
  renameSync(temporary, path);
}

/** "pid start-time": names a process even after its number is given to another one. "" when it does not run. */
export function identity(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code !== "EPERM") return "";
  }
  // Field 22 of /proc/PID/stat; the fields are counted from behind the command name, which may hold spaces.
  const fields = text(`/proc/${pid}/stat`).split(") ").pop().split(" ");
  return fields[0] === "Z" ? "" : `${pid} ${fields[19] ?? ""}`;
}

/**
 * Takes the lock file `path`. It holds one line for its owner and one for the command that the owner runs: a set-up
 * that was killed is waited for until its command has ended, too. `wait(pid)` is called once when there is a wait.
 * Returns { runs(pid), release() }.
 */
export async function lock(path, wait = () => {}) {
  mkdirSync(dirname(path), { recursive: true });
  const own = identity(process.pid);
  for (let waited = false; ; ) {
    try {
      writeFileSync(path, `${own}\n`, { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const seen = text(path);
    const alive = seen.split("\n").find((line) => line && identity(Number.parseInt(line, 10)) === line);
    if (alive) {
      if (!waited) wait(Number.parseInt(alive, 10));
      waited = true;
      await new Promise((resolve) => setTimeout(resolve, 100));
    } else {
      takeAway(path, seen);
    }
  }
  return {
    runs: (pid) => writeWhole(path, `${own}\n${identity(pid)}\n`),
    release: () => rmSync(path, { force: true }),
  };
}

/** Removes a dead owner's lock; one that somebody else took in between is put back. */
function takeAway(path, seen) {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
    if (text(aside) !== seen) linkSync(aside, path);
  } catch (error) {
    if (error.code !== "ENOENT" && error.code !== "EEXIST") throw error;
  }
  rmSync(aside, { force: true });
}
