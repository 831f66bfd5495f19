// Retail's tools as tau2-bench runs them, its oddities included: all changed items get the price and options of the last
// new one, the address of an order whose items were changed may still be changed, an error may come after money has
// moved. Not tau-bench's tools, which differ in every text: ../retail. Test: test/unit/tau2.test.ts, test/golden/tau2.test.ts

import {
  absolute,
  add,
  asKey,
  byCodePoint,
  type Dict,
  dumps,
  equals,
  length,
  less,
  lower,
  type Numeric,
  PythonError,
  round2,
  sorted,
  subtract,
  surplus,
  text,
  type Value,
  zip,
} from "../python.ts";
import type { Store } from "../store.ts";
import { ORDER_PAYMENT, USER_ADDRESS } from "./data.ts";
import { make } from "./model.ts";
import { calculate, fail, get, type Run, row, transfer } from "./state.ts";

export const reads = {
  calculate,

  find_user_id_by_name_zip(store: Store, first: Value, last: Value, zip: Value): string {
    for (const [id, user] of store.entries<Dict>("users")) {
      const name = get<Dict>(user, "name");
      if (
        lower(get(name, "first_name")) === lower(first) &&
        lower(get(name, "last_name")) === lower(last) &&
        equals(get(get<Dict>(user, "address"), "zip"), zip)
      )
        return id;
    }
    return fail("User not found");
  },

  find_user_id_by_email(store: Store, email: Value): string {
    for (const [id, user] of store.entries<Dict>("users")) if (lower(get(user, "email")) === lower(email)) return id;
    return fail("User not found");
  },

  get_order_details: (store: Store, id: Value) => dumps(orderOf(store, id)),
  get_product_details: (store: Store, id: Value) => dumps(productOf(store, id)),

  get_item_details(store: Store, id: Value): string {
    for (const [, product] of store.entries<Dict>("products")) {
      const variant = variantIn(product, id);
      if (variant) return dumps(variant);
    }
    return fail("Item not found");
  },

  get_user_details: (store: Store, id: Value) => dumps(userOf(store, id)),

  list_all_product_types(store: Store): string {
    const ids = new Map<string, Value>();
    for (const [, product] of store.entries<Dict>("products"))
      ids.set(get(product, "name"), get(product, "product_id"));
    return dumps(new Map([...ids].sort(([a], [b]) => byCodePoint(a, b))));
  },

  transfer_to_human_agents: transfer,
} satisfies Record<string, Run>;

export const writes = {
  cancel_pending_order(store: Store, orderId: Value, reason: Value): string {
    const order = orderOf(store, orderId);
    if (get(order, "status") !== "pending") fail("Non-pending order cannot be cancelled");
    const why = asKey(reason);
    if (why !== "no longer needed" && why !== "ordered by mistake") fail("Invalid reason");
    const refunds: Dict[] = [];
    for (const payment of get<Dict[]>(order, "payment_history")) {
      const methodId = get(payment, "payment_method_id");
      refunds.push(transaction("refund", get(payment, "amount"), methodId));
      if (isGiftCard(methodOf(store, order, methodId))) pay(store, order, methodId, get(payment, "amount"));
    }
    const now = edit(store, orderId);
    now.set("status", "cancelled");
    now.set("cancel_reason", why);
    get<Dict[]>(now, "payment_history").push(...refunds);
    return dumps(now);
  },

  exchange_delivered_order_items(store: Store, orderId: Value, itemIds: Value, newIds: Value, methodId: Value): string {
    const order = orderOf(store, orderId);
    if (get(order, "status") !== "delivered") fail("Non-delivered order cannot be exchanged");
    const strange = surplus(itemIds, idsIn(order));
    if (strange !== null) fail(`Number of ${strange} not found.`);
    if (length(itemIds) !== length(newIds)) fail("The number of items to be exchanged should match.");
    let difference: Numeric = 0n;
    for (const [itemId, newId] of zip(itemIds, newIds)) {
      const old = itemIn(order, itemId);
      difference = add(difference, subtract(get(replacement(store, old, newId), "price"), get(old, "price")));
    }
    difference = round2(difference);
    const method = methodOf(store, order, methodId);
    if (isGiftCard(method) && less(get(method, "balance"), difference))
      fail("Insufficient gift card balance to pay for the price difference");

    const now = edit(store, orderId);
    now.set("status", "exchange requested");
    now.set("exchange_items", sorted(itemIds));
    now.set("exchange_new_items", sorted(newIds));
    now.set("exchange_payment_method_id", methodId);
    now.set("exchange_price_difference", difference);
    return dumps(now);
  },

  modify_pending_order_address(store: Store, orderId: Value, ...address: Value[]): string {
    const order = orderOf(store, orderId);
    if (!get(order, "status").includes("pending")) fail("Non-pending order cannot be modified");
    const now = make(USER_ADDRESS, addressOf(address));
    return dumps(edit(store, orderId).set("address", now));
  },

  modify_pending_order_items(store: Store, orderId: Value, itemIds: Value, newIds: Value, methodId: Value): string {
    const order = orderOf(store, orderId);
    if (get(order, "status") !== "pending") fail("Non-pending order cannot be modified");
    const strange = surplus(itemIds, idsIn(order));
    if (strange !== null) fail(`${strange} not found`);
    if (length(itemIds) !== length(newIds)) fail("The number of items to be exchanged should match");
    let difference: Numeric = 0n;
    let last: Dict | null = null;
    for (const [itemId, newId] of zip(itemIds, newIds)) {
      if (equals(itemId, newId)) fail("The new item id should be different from the old item id");
      const old = itemIn(order, itemId);
      last = replacement(store, old, newId);
      difference = add(difference, subtract(get(last, "price"), get(old, "price")));
    }
    const method = methodOf(store, order, methodId);
    if (isGiftCard(method) && less(get(method, "balance"), difference))
      fail("Insufficient gift card balance to pay for the new item");

    const now = edit(store, orderId);
    const kind = less(0n, difference) ? "payment" : "refund";
    get<Dict[]>(now, "payment_history").push(transaction(kind, absolute(difference), methodId));
    if (isGiftCard(method)) pay(store, order, methodId, subtract(0n, difference));
    for (const [itemId, newId] of zip(itemIds, newIds)) {
      const line = itemIn(now, itemId);
      line.set("item_id", newId);
      line.set("price", get(last!, "price"));
      line.set("options", get<Dict>(last!, "options"));
    }
    now.set("status", "pending (item modified)");
    return dumps(now);
  },

  modify_pending_order_payment(store: Store, orderId: Value, methodId: Value): string {
    const order = orderOf(store, orderId);
    if (!get(order, "status").includes("pending")) fail("Non-pending order cannot be modified");
    const method = methodOf(store, order, methodId);
    const [first, ...others] = get<Dict[]>(order, "payment_history");
    if (!first || others.length > 0 || get(first, "transaction_type") !== "payment")
      fail("There should be exactly one payment for a pending order");
    const before = get(first, "payment_method_id");
    if (before === methodId) fail("The new payment method should be different from the current one");
    const amount = get<number>(first, "amount");
    if (isGiftCard(method) && less(get(method, "balance"), amount))
      fail("Insufficient gift card balance to pay for the order");

    const now = edit(store, orderId);
    const history = get<Dict[]>(now, "payment_history");
    history.push(transaction("payment", amount, methodId), transaction("refund", amount, before));
    if (isGiftCard(method)) pay(store, order, methodId, -amount);
    if (isGiftCard(methodOf(store, order, before))) pay(store, order, before, amount);
    return dumps(now);
  },

  modify_user_address(store: Store, userId: Value, ...address: Value[]): string {
    userOf(store, userId);
    const now = make(USER_ADDRESS, addressOf(address));
    return dumps(store.edit<Dict>("users", userId as string).set("address", now));
  },

  return_delivered_order_items(store: Store, orderId: Value, itemIds: Value, methodId: Value): string {
    const order = orderOf(store, orderId);
    if (get(order, "status") !== "delivered") fail("Non-delivered order cannot be returned");
    if (!isGiftCard(methodOf(store, order, methodId))) {
      const [first] = get<Dict[]>(order, "payment_history");
      if (!first) throw new PythonError("list index out of range");
      if (get(first, "payment_method_id") !== methodId) fail("Payment method should be the original payment method");
    }
    if (surplus(itemIds, idsIn(order)) !== null) fail("Some item not found");

    const now = edit(store, orderId);
    now.set("status", "return requested");
    now.set("return_items", sorted(itemIds));
    now.set("return_payment_method_id", methodId);
    return dumps(now);
  },
} satisfies Record<string, Run>;

function orderOf(store: Store, id: Value): Dict {
  return row(store, "orders", id) ?? fail("Order not found");
}

function userOf(store: Store, id: Value): Dict {
  return row(store, "users", id) ?? fail("User not found");
}

function productOf(store: Store, id: Value): Dict {
  return row(store, "products", id) ?? fail("Product not found");
}

/** The session's own copy of an order that has been found. */
function edit(store: Store, id: Value): Dict {
  return store.edit<Dict>("orders", id as string);
}

/** A payment method of the customer who placed the order. */
function methodOf(store: Store, order: Dict, id: Value): Dict {
  const methods = get<Dict>(userOf(store, get(order, "user_id")), "payment_methods");
  const key = asKey(id);
  return ((key !== null && methods.get(key)) || fail("Payment method not found")) as Dict;
}

function isGiftCard(method: Dict): boolean {
  return get(method, "source") === "gift_card";
}

/** Adds to a gift card's balance, and rounds it. */
function pay(store: Store, order: Dict, methodId: Value, amount: Value): void {
  const methods = get<Dict>(store.edit<Dict>("users", get(order, "user_id")), "payment_methods");
  const method = methods.get(methodId as string) as Dict;
  method.set("balance", round2(add(get(method, "balance"), amount)));
}

function variantIn(product: Dict, id: Value): Dict | undefined {
  const key = asKey(id);
  return key === null ? undefined : (get<Dict>(product, "variants").get(key) as Dict | undefined);
}

/** The variant of the item's product that shall replace it. */
function replacement(store: Store, old: Dict, newId: Value): Dict {
  const variant = variantIn(productOf(store, get(old, "product_id")), newId) ?? fail("Variant not found");
  if (!get<boolean>(variant, "available")) fail(`New item ${text(newId)} not found or available`);
  return variant;
}

/** The items of an order, each as often as it is in it. */
function idsIn(order: Dict): Value[] {
  return get<Dict[]>(order, "items").map((line) => get(line, "item_id"));
}

/** The first line of the order with this item. */
function itemIn(order: Dict, id: Value): Dict {
  return (
    get<Dict[]>(order, "items").find((line) => equals(get(line, "item_id"), id)) ?? fail(`Item ${text(id)} not found`)
  );
}

function transaction(kind: "payment" | "refund", amount: Value, methodId: Value): Dict {
  const values = { transaction_type: kind, amount, payment_method_id: methodId };
  return make(ORDER_PAYMENT, new Map(Object.entries(values)));
}

function addressOf([address1, address2, city, state, country, zip]: readonly Value[]): Dict {
  return new Map(Object.entries({ address1, address2, city, state, country, zip }));
}
