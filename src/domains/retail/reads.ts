// Retail's tools that change nothing. What they answer, and every error in its order, is tau-bench's, byte for byte:
// a wrong type shows the error that CPython would raise. Test: test/golden/tau-bench.test.ts

import { ToolError } from "../../errors.ts";
import { asKey, at, byCodePoint, type Dict, dumps, equals, equalsLower, shared, type Value } from "../python.ts";
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
    for (const [id, user] of store.entries<Dict>("users")) if (equalsLower(at(user, "email"), email)) return id;
    throw new ToolError("user not found");
  },

  find_user_id_by_name_zip(store: Store, first: Value, last: Value, zip: Value): string {
    for (const [id, user] of store.entries<Dict>("users")) {
      const name = at(user, "name") as Dict;
      if (
        equalsLower(at(name, "first_name"), first) &&
        equalsLower(at(name, "last_name"), last) &&
        equals(at(at(user, "address") as Dict, "zip"), zip)
      )
        return id;
    }
    throw new ToolError("user not found");
  },

  get_order_details: (store: Store, id: Value) => dumps(find(store, "orders", id)),
  get_product_details: (store: Store, id: Value) => dumps(find(store, "products", id)),
  get_user_details: (store: Store, id: Value) => dumps(find(store, "users", id)),

  list_all_product_types(store: Store): string {
    const ids = new Map<string, Value>();
    for (const [, product] of store.entries<Dict>("products"))
      ids.set(at(product, "name") as string, at(product, "product_id"));
    return dumps(new Map([...ids].sort(([a], [b]) => byCodePoint(a, b))));
  },
};
