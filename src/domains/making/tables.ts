// Made-up databases as two kinds of data: plain objects, from which tasks are made, and Python's values, which the tools
// of tau-bench's domains know. Which numbers are floats is the domain's. Test: test/unit/retail.test.ts

import type { Database } from "../../types.ts";
import type { Value } from "../python.ts";

/** Tables of plain objects as dicts of dicts; `number`: what a number is in Python. */
export function toDatabase(
  tables: { readonly [table: string]: { readonly [id: string]: unknown } },
  number: (plain: number) => Value,
): Database {
  const value = (plain: unknown): Value => {
    if (Array.isArray(plain)) return plain.map(value);
    if (typeof plain === "number") return number(plain);
    if (typeof plain === "object" && plain !== null)
      return new Map(Object.entries(plain).map(([key, of]) => [key, value(of)]));
    return plain as string | boolean;
  };
  return value(tables) as unknown as Database;
}

/** A row as the generator made it, or undefined. */
export function rowOf<T>(database: Database, table: string, id: unknown): T | undefined {
  const plain = (value: unknown): unknown => {
    if (value instanceof Map) return Object.fromEntries([...value].map(([key, of]) => [key, plain(of)]));
    if (Array.isArray(value)) return value.map(plain);
    return typeof value === "bigint" ? Number(value) : value;
  };
  return plain(database.get(table)?.get(id as string)) as T | undefined;
}
