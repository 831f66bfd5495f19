// One file from a server into the blobs of a hub cache: gone on with where it broke off, checked against its hash, by one
// process at a time. Knows HTTP and the disk; what a hub is, and which files are wanted, is hub.ts.
// Test: test/unit/hub.test.ts

import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeFolder } from "../folders.ts";

/** An answer that is no success; `code` is what a hub adds to its status, "GatedRepo" for instance. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  /** Is it the server's trouble of the moment? */
  get passing(): boolean {
    return this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** Bytes that came whole, twice, and are not those that were listed. */
export class WrongContent extends Error {
  override readonly name = "WrongContent";
}

export interface Wanted {
  readonly url: string;
  readonly bytes: number;
  /** SHA-256 of the content, or git's SHA-1 of it as a blob, in hexadecimal. */
  readonly hash: string;
  /** Where it goes when it is whole and right. */
  readonly blob: string;
  /** Names the process that is at it. */
  readonly lock: string;
}

export interface Downloading {
  /** fetch, but that it rejects with a Refusal. */
  readonly request: (url: string, init: RequestInit) => Promise<Response>;
  /** Bytes that are on the disk by now. */
  readonly progress: (bytes: number) => void;
  /** Called once when another process is at it. */
  readonly waiting: () => void;
  /** Before the second try, milliseconds; doubled for each further one. */
  readonly waitMs: number;
  /** Longest silence of a server that is sending, milliseconds. */
  readonly stallMs: number;
}

/** Tries in a row that bring nothing. */
const TRIES = 5;
/** A process that has written nothing for so long is no longer at it, milliseconds: longer than hashing 5 GB takes. */
const IDLE_MS = 60_000;

/** Calls `work` until it succeeds; `hopeless` errors and TRIES failures since something was `gained` end it. */
export async function patiently<T>(
  work: () => Promise<T>,
  waitMs: number,
  hopeless: (error: unknown) => boolean,
  gained: () => number = () => 0,
): Promise<T> {
  for (let failed = 1, before = gained(); ; failed++) {
    try {
      return await work();
    } catch (error) {
      const now = gained();
      if (now > before) failed = 1;
      before = now;
      if (failed === TRIES || hopeless(error)) throw error;
      await sleep(waitMs * 2 ** (failed - 1));
    }
  }
}

/** Rejects with a Refusal, with WrongContent, or with what fetch and the file system say. */
export async function download(file: Wanted, how: Downloading): Promise<void> {
  const partial = `${file.blob}.incomplete`;
  makeFolder(dirname(file.blob));
  makeFolder(dirname(file.lock));
  await acquire(file.lock, partial, how.waiting);
  try {
    if (isWhole(file)) return;
    for (const last of [false, true]) {
      await patiently(
        () => fetchRest(file, partial, how),
        how.waitMs,
        isHopeless,
        () => bytesOf(partial),
      );
      if (bytesOf(partial) === file.bytes && (await hashOf(partial, file)) === file.hash) break;
      rmSync(partial, { force: true });
      if (last) throw new WrongContent("it arrived twice with another content than is listed");
    }
    await rename(partial, file.blob).catch((error) => {
      if (!isWhole(file)) throw error;
    });
  } finally {
    rmSync(file.lock, { force: true });
  }
}

function isWhole({ blob, bytes }: Wanted): boolean {
  return existsSync(blob) && bytesOf(blob) === bytes;
}

/** A server's final word, or a disk that does not take what it is given; the network's troubles pass. */
function isHopeless(error: unknown): boolean {
  return error instanceof Refusal ? !error.passing : error instanceof Error && "syscall" in error;
}

/** Gets what is missing in `partial`; resolves when the server has sent all that it was asked for. */
async function fetchRest(file: Wanted, partial: string, { request, progress, stallMs }: Downloading): Promise<void> {
  const have = bytesOf(partial);
  if (have > file.bytes) rmSync(partial);
  if (have === file.bytes && existsSync(partial)) return;
  const from = have < file.bytes ? have : 0;
  const stalled = new AbortController();
  const watch = setTimeout(() => stalled.abort(new Error(`nothing for ${stallMs / 1000} s`)), stallMs);
  let handle: FileHandle | undefined;
  try {
    const response = await request(file.url, {
      // Offsets are those of the file itself, not of a packed form of it.
      headers: { "accept-encoding": "identity", ...(from > 0 && { range: `bytes=${from}-` }) },
      signal: stalled.signal,
    });
    const starts = response.status === 206 ? startOf(response, from) : 0;
    handle = await open(partial, starts > 0 ? "r+" : "w");
    // Bytes are written where they belong: should two processes ever be at it, they write the same.
    let at = starts;
    for await (const chunk of response.body ?? []) {
      watch.refresh();
      await writeAll(handle, chunk, at);
      at += chunk.length;
      progress(at);
      if (at > file.bytes) return;
    }
    if (at < file.bytes) throw new Error(`the connection ended after ${at} of ${file.bytes} bytes`);
    await handle.sync();
  } finally {
    clearTimeout(watch);
    stalled.abort();
    await handle?.close();
  }
}

/** Where a part begins; it has to be the place that was asked for. */
function startOf(response: Response, asked: number): number {
  const range = response.headers.get("content-range") ?? "";
  const start = /^bytes (\d+)-/.exec(range)?.[1];
  if (Number(start) !== asked) throw new Error(`bytes from ${asked} on were asked for, "${range}" came`);
  return asked;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}

function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Read back from the disk, what an earlier process has written included. */
async function hashOf(path: string, { hash: expected, bytes }: Wanted): Promise<string> {
  const hash = expected.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${bytes}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest("hex");
}

/** Waits until no other process is at the file; one that is dead or idle is not waited for. */
async function acquire(lock: string, partial: string, waiting: () => void): Promise<void> {
  for (let told = false; ; ) {
    try {
      writeFileSync(lock, `${hostname()} ${process.pid}`, { flag: "wx" });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    if (isHeld(lock, partial)) {
      if (!told) waiting();
      told = true;
      await sleep(200);
    } else rmSync(lock, { force: true });
  }
}

function isHeld(lock: string, partial: string): boolean {
  let holder: string;
  try {
    holder = readFileSync(lock, "utf8");
  } catch {
    return false;
  }
  const [host, pid] = holder.split(" ");
  if (host === hostname() && !isAlive(Number(pid))) return false;
  const changed = [lock, partial].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return Date.now() - Math.max(...changed) < IDLE_MS;
}

/** Is it another process, and does it live? This one holds a lock only while it is in `download`. */
function isAlive(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
