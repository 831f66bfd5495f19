// The rows of a session's tables as text, in the order of their ids: what a state's hash is made of. Rows of a shared
// database are rendered once; a session renders again only what it touched. Test: test/unit/python.test.ts

import type { Database } from "../../types.ts";
import type { Store } from "../store.ts";
import { byCodePoint } from "./value.ts";

/** One row as text. The function itself is the key under which rendered rows are kept: no closures. */
export type Render = (id: string, row: unknown) => Buffer;

/** The rows of a table as they stand. */
export function sortedRows(store: Store, table: string, render: Render): Buffer[] {
  const base = rendered(store.base, table, render);
  const touched = new Set([...store.touched()].filter(([name]) => name === table).map(([, id]) => id));
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

type Rows = ReadonlyMap<string, Buffer>;

const CACHE = new WeakMap<Database, Map<Render, Map<string, Rows>>>();

/** The rows of one table of a shared database, rendered on first use. */
function rendered(database: Database, table: string, render: Render): Rows {
  const kinds = CACHE.get(database) ?? new Map<Render, Map<string, Rows>>();
  CACHE.set(database, kinds);
  const tables = kinds.get(render) ?? new Map<string, Rows>();
  kinds.set(render, tables);
  const fresh = database.get(table)!;
  const rows =
    tables.get(table) ?? new Map([...fresh.keys()].sort(byCodePoint).map((id) => [id, render(id, fresh.get(id))]));
  tables.set(table, rows);
  return rows;
}
