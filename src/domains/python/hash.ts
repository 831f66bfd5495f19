// tau-bench's state hash: SHA-256 of the Python text of the database as nested tuples, keys sorted by code point.
// Entities of a shared database are rendered once; a session's hash renders again only what the session touched.
// Test: test/unit/python.test.ts, test/golden/tau-bench.test.ts

import { createHash } from "node:crypto";
import type { Database } from "../../types.ts";
import { parts } from "../copy.ts";
import type { Store } from "../store.ts";
import { quote, reprText } from "./text.ts";
import { byCodePoint, type Value } from "./value.ts";

/** `str(to_hashable(value))`: dicts become tuples of sorted pairs, lists tuples. A plain object counts as a dict. */
export function hashableText(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return tuple(value.map(hashableText));
  if (typeof value !== "object" || value === null) return reprText(value as Value);
  const entries: [string, unknown][] = value instanceof Map ? [...parts(value)] : Object.entries(value);
  return tuple(entries.sort(([a], [b]) => byCodePoint(a, b)).map(([key, part]) => pair(key, hashableText(part))));
}

/** Lower-case hex SHA-256 of `hashableText(value)`: the reference that tests compare `hashStore` with. */
export function hash(value: unknown): string {
  return createHash("sha256").update(hashableText(value)).digest("hex");
}

/** The hash of a session's database as it stands: that of `store.snapshot()`, cheaper. */
export function hashStore(store: Store): string {
  const touched = new Map<string, Set<string>>();
  for (const [table, id] of store.touched()) touched.set(table, (touched.get(table) ?? new Set()).add(id));
  const sha = createHash("sha256");
  const tables = [...store.base.keys()].sort(byCodePoint);
  for (const [i, table] of tables.entries()) {
    sha.update(`${i === 0 ? "(" : ", "}(${quote(table)}, (`);
    const rows = rowsOf(store, table, touched.get(table) ?? new Set());
    // Each row carries the ", " behind it; the last one does without, but a tuple of one keeps its comma.
    const last = rows.pop();
    for (const row of rows) sha.update(row);
    if (last) sha.update(last.subarray(0, rows.length === 0 ? -1 : -2));
    sha.update("))");
  }
  return sha.update(tables.length === 1 ? ",)" : tables.length === 0 ? "()" : ")").digest("hex");
}

/** The rows of a table as they stand, as text, in the order of their ids. */
function rowsOf(store: Store, table: string, touched: ReadonlySet<string>): Buffer[] {
  const base = rendered(store.base, table);
  if (touched.size === 0) return [...base.values()];
  const added = [...touched].filter((id) => !base.has(id));
  const ids = added.length === 0 ? [...base.keys()] : [...base.keys(), ...added].sort(byCodePoint);
  const rows = ids.map((id) => {
    if (!touched.has(id)) return base.get(id)!;
    const row = store.get<unknown>(table, id);
    return row === undefined ? null : render(id, row);
  });
  return rows.filter((row) => row !== null);
}

/** The rows of one table of a shared database, rendered on first use. */
function rendered(database: Database, table: string): ReadonlyMap<string, Buffer> {
  const tables = CACHE.get(database) ?? new Map<string, ReadonlyMap<string, Buffer>>();
  CACHE.set(database, tables);
  const fresh = database.get(table)!;
  const rows =
    tables.get(table) ?? new Map([...fresh.keys()].sort(byCodePoint).map((id) => [id, render(id, fresh.get(id))]));
  tables.set(table, rows);
  return rows;
}

const CACHE = new WeakMap<Database, Map<string, ReadonlyMap<string, Buffer>>>();

function render(id: string, row: unknown): Buffer {
  return Buffer.from(`${pair(id, hashableText(row))}, `);
}

function tuple(items: readonly string[]): string {
  return items.length === 1 ? `(${items[0]},)` : `(${items.join(", ")})`;
}

function pair(key: string, value: string): string {
  return `(${quote(key)}, ${value})`;
}
