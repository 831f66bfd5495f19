// tau-bench's state hash: SHA-256 of the Python text of the database as nested tuples, keys sorted by code point.
// Test: test/unit/python.test.ts, test/golden/tau-bench.test.ts

import { createHash } from "node:crypto";
import { parts } from "../copy.ts";
import type { Store } from "../store.ts";
import { sortedRows } from "./rows.ts";
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
  const sha = createHash("sha256");
  const tables = [...store.base.keys()].sort(byCodePoint);
  for (const [i, table] of tables.entries()) {
    sha.update(`${i === 0 ? "(" : ", "}(${quote(table)}, (`);
    const rows = sortedRows(store, table, render);
    // Each row carries the ", " behind it; the last one does without, but a tuple of one keeps its comma.
    const last = rows.pop();
    for (const row of rows) sha.update(row);
    if (last) sha.update(last.subarray(0, rows.length === 0 ? -1 : -2));
    sha.update("))");
  }
  return sha.update(tables.length === 1 ? ",)" : tables.length === 0 ? "()" : ")").digest("hex");
}

function render(id: string, row: unknown): Buffer {
  return Buffer.from(`${pair(id, hashableText(row))}, `);
}

function tuple(items: readonly string[]): string {
  return items.length === 1 ? `(${items[0]},)` : `(${items.join(", ")})`;
}

function pair(key: string, value: string): string {
  return `(${quote(key)}, ${value})`;
}
