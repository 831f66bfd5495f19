// Replays recorded tool calls on a domain's database files and reports what came of them, byte for byte as the
// profile's environment would. No user, no session, no limits: a call that ends the episode is executed, and so is what
// follows it.
// Test: test/golden/tau-bench.test.ts, test/unit/replay.test.ts

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Dict, dumps, hashStore, parse, reprText, type Value } from "../domains/python.ts";
import { Store } from "../domains/store.ts";
import { openCall } from "../domains/tool.ts";
import { UsageError } from "../errors.ts";
import type { Backend, Database, Domain } from "../types.ts";

/** What one line of recorded calls led to. */
export interface Replayed {
  readonly id: Value;
  /** One for each step; null where an exception escaped. */
  readonly observations: readonly (string | null)[];
  /** One for each step: the exception that escaped the environment, or null. */
  readonly raised: readonly (string | null)[];
  /** Was a tool called that ends the episode? */
  readonly done: boolean;
  /** Of the database after the last step. */
  readonly hash: string;
}

interface Step {
  readonly name: string;
  readonly kwargs: Dict;
}

/** A user's data as the domain reads it, else `<table>.json` of every table; numbers stay as they are spelled. */
export function readDatabase(domain: Domain, dir: string): Database {
  if (domain.read) return domain.read(dir);
  const tables = [...domain.database(0).keys()];
  return new Map(tables.map((table) => [table, readTable(domain, join(dir, `${table}.json`))]));
}

function readTable(domain: Domain, file: string): ReadonlyMap<string, unknown> {
  const rows = attempt(file, () => (domain.parse ?? JSON.parse)(readFileSync(file, "utf8")));
  if (!isObject(rows)) throw new UsageError(`${file}: expected one JSON object of rows by id`);
  const table = rows instanceof Map ? (rows as Dict) : new Map(Object.entries(rows));
  for (const [id, row] of table)
    if (!isObject(row))
      throw new UsageError(
        `${file}: ${id}: expected an object, got ${Array.isArray(row) ? "a list" : shortened(dumps(row as Value))}`,
      );
  return table;
}

function isObject(value: unknown): value is object {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Every line of a file of calls (JSON lines; empty ones are passed over), each on fresh data. */
export function* replayFile(domain: Backend, database: Database, file: string): Generator<Replayed> {
  const lines = attempt(file, () => readFileSync(file, "utf8")).split("\n");
  for (const [i, line] of lines.entries()) {
    if (line.trim() === "") continue;
    const where = `${file}:${i + 1}`;
    const record = attempt(where, () => parse(line));
    if (!(record instanceof Map))
      throw new UsageError(`${where}: expected {"id", "setup"?, "steps"}, got ${dumps(record)}`);
    const steps = stepsOf(record, "steps", where);
    if (!steps) throw new UsageError(`${where}: has no steps`);
    yield replay(domain, database, record.get("id") ?? null, stepsOf(record, "setup", where) ?? [], steps);
  }
}

function replay(
  domain: Backend,
  database: Database,
  id: Value,
  setup: readonly Step[],
  steps: readonly Step[],
): Replayed {
  const store = new Store(database);
  for (const step of setup) execute(domain, store, step);
  const results = steps.map((step) => execute(domain, store, step));
  return {
    id,
    observations: results.map(({ observation }) => observation),
    raised: results.map(({ raised }) => raised),
    done: steps.some(({ name }) => domain.tools.some((tool) => tool.name === name && tool.ends)),
    hash: (domain.hash ?? hashStore)(store),
  };
}

/**
 * As a session would run it, but however deep its arguments are: exceptions become text; only an answer that is not text
 * escapes, as from tau-bench's environment.
 */
function execute(
  domain: Backend,
  store: Store,
  { name, kwargs }: Step,
): { observation: string | null; raised: string | null } {
  const opened = openCall(domain, { name, arguments: dumps(kwargs) }, Number.POSITIVE_INFINITY);
  if (opened.reason) return { observation: opened.observation, raised: null };
  try {
    const observation: unknown = opened.tool.call(store, opened.call.arguments);
    if (typeof observation === "string") return { observation, raised: null };
    return { observation: null, raised: `${name} returned ${String(observation)}, expected text` };
  } catch (error) {
    const { message } = error as Error;
    // The project's tools take any arguments: what JavaScript itself complains of is a row that lacks what they look into.
    const why = error instanceof TypeError ? `the data are not of the shape that ${name} needs: ${message}` : message;
    return { observation: `Error: ${why}`, raised: null };
  }
}

function stepsOf(record: Dict, key: "setup" | "steps", where: string): Step[] | null {
  const steps = record.get(key);
  if (steps === undefined || steps === null) return null;
  if (!Array.isArray(steps)) throw new UsageError(`${where}: ${key} is ${reprText(steps)}, expected a list`);
  return steps.map((step, i) => {
    const name = step instanceof Map ? step.get("name") : undefined;
    const kwargs = step instanceof Map ? step.get("kwargs") : undefined;
    if (typeof name !== "string" || !(kwargs instanceof Map))
      throw new UsageError(
        `${where}: ${key}[${i}] is ${shortened(dumps(step))}, expected {"name": text, "kwargs": object}`,
      );
    return { name, kwargs };
  });
}

function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** Runs a reader; what goes wrong becomes one line that names the place. */
function attempt<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(`${place}: ${code === "ENOENT" ? "no such file" : message}`);
  }
}
