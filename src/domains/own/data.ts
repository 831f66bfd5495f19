// The data of a folder: tables as Maps, frozen, kept by their seed; and its files, read with one line for each mistake.
// Test: test/unit/folder.test.ts

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Database, Domain } from "../../types.ts";
import { equal } from "../store.ts";
import { freeze, unjson } from "./guard.ts";
import { show } from "./shape.ts";

/** Ends the loading of a folder with a line about it. */
export type Fail = (message: string) => never;

/** Databases kept: training walks over very many of them. */
const KEPT = 256;

/** Fresh data by seed, frozen and kept; what is no function is the same for every seed. */
export function databaseOf(
  database: unknown,
  dir: string,
  guarded: (make: (seed: number) => Database) => (seed: number) => Database,
  fail: Fail,
): Domain["database"] {
  if (typeof database !== "function") {
    const tables = typeof database === "string" ? readJson(dir, database, "database", fail) : database;
    const made = attempt("database", fail, () => tablesOf(tables));
    return () => made;
  }
  const kept = new Map<number, Database>();
  const make = guarded((seed) => tablesOf(database(seed)));
  if (!equal(make(1), make(1))) fail("database: seed 1 gives other data the second time; draw it with kit.Random");
  return (seed) => {
    const made = kept.get(seed) ?? make(seed);
    if (kept.size >= KEPT && !kept.has(seed)) kept.delete(kept.keys().next().value!);
    kept.set(seed, made);
    return made;
  };
}

/** Tables as Maps; they come as plain objects or Maps. */
function tablesOf(tables: unknown): Database {
  return new Map(
    pairs(tables, "tables").map(([table, rows]) => {
      const entities = pairs(rows, `${table}: rows`).map(([id, entity]) => {
        const odd = unjson(entity);
        if (odd) throw new Error(`${table} ${id} holds ${odd}, which JSON cannot hold`);
        return [id, freeze(entity)] as const;
      });
      return [table, new Map(entities)] as const;
    }),
  );
}

function pairs(value: unknown, what: string): [string, unknown][] {
  if (value instanceof Map) return [...value].map(([key, each]) => [String(key), each]);
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return Object.entries(value);
  throw new Error(`expected ${what} by name in an object, got ${show(value)}`);
}

export function readFile(dir: string, file: string, key: string, fail: Fail): string {
  return attempt(key, fail, () => {
    if (!existsSync(join(dir, file))) throw new Error(`${file}: no such file`);
    return readFileSync(join(dir, file), "utf8");
  });
}

function readJson(dir: string, file: string, key: string, fail: Fail): unknown {
  const json = readFile(dir, file, key, fail);
  return attempt(`${key}: ${file}`, fail, () => JSON.parse(json));
}

function attempt<T>(what: string, fail: Fail, work: () => T): T {
  try {
    return work();
  } catch (error) {
    return fail(`${what}: ${(error as Error).message}`);
  }
}
