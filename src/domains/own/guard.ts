// Keeps a folder's code from breaking a run: every function of it runs below a deadline, a tool on a fork of the session's
// state that is taken over only when the call went well, and what it returns has to be what JSON can hold. For the domains
// of the project nothing of it is done. No defence against malice: it is the user's own code. Test: test/unit/guard.test.ts

import { Script } from "node:vm";
import { BrokenTool, ToolError, UsageError } from "../../errors.ts";
import type { Tool } from "../../types.ts";
import { copy, type Store } from "../store.ts";

/** Longest a call of a tool may take. */
export const TOOL_DEADLINE_MS = 1000;
/** Longest that any other function of a folder may take: a database may be large. */
const DEADLINE_MS = 10_000;
/** Levels of arrays and objects in what a tool returns or stores. */
const MAX_DEPTH = 64;
/** Characters of an error's message that the agent reads. */
const MESSAGE_CHARS = 300;

const WORK = Symbol.for("tarl.guarded");
const script = new Script('globalThis[Symbol.for("tarl.guarded")]()');

/**
 * Does the work, which is broken off after the deadline wherever it is, in an endless loop too (node:vm ends any JavaScript
 * below it). Costs some 0.1 ms, for the timer's thread.
 */
export function within<T>(deadlineMs: number, work: () => T): T {
  let result: T;
  Reflect.set(globalThis, WORK, () => {
    result = work();
  });
  script.runInThisContext({ timeout: deadlineMs, displayErrors: false });
  return result!;
}

function isTimeout(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
}

/** A tool whose calls end as text, a ToolError or a BrokenTool, and change the state only where they end as text. */
export function guardTool(tool: Tool, deadlineMs = TOOL_DEADLINE_MS): Tool {
  return {
    ...tool,
    call(store, args) {
      const fork = store.fork();
      const text = attempt(deadlineMs, () => {
        const given = copy(args); // the tool's to write into; the transcript's stays as it was
        const text = textOf(tool.call(fork, given));
        if (tool.writes) checkState(fork);
        return text;
      });
      // A refusal may be returned as well as thrown; and what only looks up cannot change anything.
      if (tool.writes && !text.startsWith("Error: ")) store.adopt(fork);
      return text;
    },
  };
}

function attempt(deadlineMs: number, call: () => string): string {
  try {
    return within(deadlineMs, call);
  } catch (error) {
    if (error instanceof ToolError || error instanceof BrokenTool) throw error;
    if (isTimeout(error)) throw new BrokenTool("hung", `the tool did not answer within ${deadlineMs / 1000} s`);
    throw new BrokenTool("threw", messageOf(error));
  }
}

/** Text as it is, any other JSON value as JSON text. */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof (value as { then?: unknown } | null | undefined)?.then === "function") {
    Promise.resolve(value).catch(() => {}); // nobody waits for it: its failure must not end the process
    throw new BrokenTool("result", "the tool returned a promise, expected text or JSON at once");
  }
  const odd = unjson(value);
  if (odd) throw new BrokenTool("result", `the tool returned ${odd}, which JSON cannot hold`);
  return JSON.stringify(value);
}

function checkState(store: Store): void {
  for (const [table, id] of store.touched()) {
    const entity = store.get(table, id);
    const odd = entity === undefined ? null : unjson(entity);
    if (odd) throw new BrokenTool("result", `the tool stored ${odd} in ${table} ${id}, which JSON cannot hold`);
  }
}

/**
 * What of a value JSON cannot hold, such as "NaN at .items[2]", or null. A property that is undefined counts as left out,
 * as JSON.stringify has it; everything else that it would silently change does not pass.
 */
export function unjson(value: unknown, at = "", depth = 0): string | null {
  const where = at && ` at ${at}`;
  if (value === null || typeof value === "string" || typeof value === "boolean") return null;
  if (typeof value === "number") return Number.isFinite(value) ? null : `${value}${where}`;
  if (typeof value !== "object") return `${value === undefined ? "undefined" : `a ${typeof value}`}${where}`;
  if (depth === MAX_DEPTH) return `a cycle, or more than ${MAX_DEPTH} levels`;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const odd = unjson(value[i], `${at}[${i}]`, depth + 1);
      if (odd) return odd;
    }
    return null;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype)
    return `a ${prototype.constructor?.name || "class"}${where}`;
  for (const [key, part] of Object.entries(value)) {
    const odd = part === undefined ? null : unjson(part, `${at}.${key}`, depth + 1);
    if (odd) return odd;
  }
  return null;
}

/** Makes plain data unchangeable, all the way down. */
export function freeze<T>(value: T): T {
  if (value === null || typeof value !== "object") return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}

/** A function of a folder: what it throws becomes a UsageError that names the folder (`label`), the function and the line. */
export function guard<Args extends readonly unknown[], T>(
  label: string,
  name: string,
  dir: string,
  work: (...args: Args) => T,
): (...args: Args) => T {
  return (...args) => {
    try {
      return within(DEADLINE_MS, () => work(...args));
    } catch (error) {
      if (error instanceof UsageError) throw error;
      const message = isTimeout(error) ? `did not end within ${DEADLINE_MS / 1000} s` : messageOf(error);
      throw new UsageError(`--domain ${label}: ${name}: ${message}${placeOf(error, dir)}`);
    }
  };
}

/** Folders whose stray errors are told of: label by address. */
const folders = new Map<string, string>();

/**
 * From now on an error that nobody can catch (a promise that a tool did not wait for, a timer that it left behind) is one
 * line on stderr where its stack names the folder, and the end of the process, as ever, where it does not.
 */
export function catchStray(label: string, dir: string): void {
  if (folders.size === 0) {
    process.on("unhandledRejection", tellStray);
    process.on("uncaughtException", tellStray);
  }
  folders.set(dir, label);
}

function tellStray(error: unknown): void {
  for (const [dir, label] of folders) {
    const place = placeOf(error, dir);
    if (place)
      return void process.stderr.write(`tarl: --domain ${label}: nobody waits for ${messageOf(error)}${place}\n`);
  }
  console.error(error);
  process.exit(1);
}

/** In one line. Whatever was thrown; even reading it may throw. */
function messageOf(error: unknown): string {
  let text: string;
  try {
    text = error instanceof Error ? error.message || error.name : `threw ${String(error)}`;
  } catch {
    text = "threw something that has no text";
  }
  const line = String(text).replace(/\s+/g, " ").trim();
  return line.length > MESSAGE_CHARS ? `${line.slice(0, MESSAGE_CHARS)}...` : line;
}

/** " (state.js:12)", where an error's stack names a file of the folder. */
export function placeOf(error: unknown, dir: string): string {
  const { stack } = Object(error) as { stack?: unknown };
  if (typeof stack !== "string") return "";
  const from = stack.indexOf(dir);
  const [, file, line] = from < 0 ? [] : (/^[/\\]*([^\s:?]+)[^\s:]*:(\d+)/.exec(stack.slice(from + dir.length)) ?? []);
  return file ? ` (${file}:${line})` : "";
}
