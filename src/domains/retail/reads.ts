// Retail's tools that change nothing. What they answer, and every error in its order, is tau-bench's, byte for byte:
// a wrong type shows the error that CPython would raise. Test: test/golden/tau-bench.test.ts

import { ToolError } from "../../errors.ts";
import type { Database } from "../../types.ts";
import { asKey, at, byCodePoint, type Dict, dumps, equals, equalsLower, lower, shared, type Value } from "../python.ts";
import type { Store } from "../store.ts";

/** One row of a table, for reading; throws "<what> not found". */
export function find(store: Store, table: "orders" | "products" | "users", id: Value): Dict {
  const key = asKey(id);
  const row = key === null ? undefined : store.get<Dict>(table, key);
  if (!row) throw new ToolError(`${table.slice(0, -1)} not found`);
  return row;
}

export const reads = {
  ...shared,

  find_user_id_by_email(store: Store, email: Value): string {
    const { emails } = directoryOf(store.base);
    const id = emails.size === 0 ? undefined : emails.get(lower(email));
    if (id === undefined) throw new ToolError("user not found");
    return id;
  },

  find_user_id_by_name_zip(store: Store, first: Value, last: Value, zip: Value): string {
    const { firstNames } = directoryOf(store.base);
    for (const id of firstNames.size === 0 ? [] : (firstNames.get(lower(first)) ?? [])) {
      const user = store.get<Dict>("users", id)!;
      const isNamed = equalsLower(at(at(user, "name") as Dict, "last_name"), last);
      if (isNamed && equals(at(at(user, "address") as Dict, "zip"), zip)) return id;
    }
    throw new ToolError("user not found");
  },

  get_order_details: (store: Store, id: Value) => dumps(find(store, "orders", id)),
  get_product_details: (store: Store, id: Value) => dumps(find(store, "products", id)),
  get_user_details: (store: Store, id: Value) => dumps(find(store, "users", id)),

  list_all_product_types: (store: Store) => directoryOf(store.base).productTypes,
};

/** What of a shared database no tool changes, made on first use. */
interface Directory {
  /** Lower-cased e-mail address -> the first customer's id; lower-cased first name -> ids in their order. */
  readonly emails: ReadonlyMap<string, string>;
  readonly firstNames: ReadonlyMap<string, readonly string[]>;
  /** Names and ids as one text, by name. */
  readonly productTypes: string;
}

const DIRECTORIES = new WeakMap<Database, Directory>();

function directoryOf(database: Database): Directory {
  let made = DIRECTORIES.get(database);
  if (!made) {
    const rows = (table: string) => [...(database.get(table) as ReadonlyMap<string, Dict>)];
    const emails = new Map<string, string>();
    const firstNames = new Map<string, string[]>();
    for (const [id, user] of rows("users")) {
      const [email, first] = [lower(at(user, "email")), lower(at(at(user, "name") as Dict, "first_name"))];
      if (!emails.has(email)) emails.set(email, id);
      firstNames.set(first, [...(firstNames.get(first) ?? []), id]);
    }
    const types = new Map(rows("products").map(([, row]) => [at(row, "name") as string, at(row, "product_id")]));
    made = { emails, firstNames, productTypes: dumps(new Map([...types].sort(([a], [b]) => byCodePoint(a, b)))) };
    DIRECTORIES.set(database, made);
  }
  return made;
}
