// Retail's tools that change the database, exactly as tau-bench's, its oddities included: a cancelled order refunds
// refunds too, changed items are looked up one after the other in the order as it is by then, an amount stays
// unrounded where upstream forgot to round. Policy is not checked here: rules.ts. Test: test/golden/tau-bench.test.ts

import { ToolError } from "../../errors.ts";
import {
  absolute,
  add,
  asKey,
  at,
  type Dict,
  dumps,
  equals,
  length,
  less,
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
import { find } from "./reads.ts";

export const writes = {
  cancel_pending_order(store: Store, orderId: Value, reason: Value): string {
    const order = orderIn(store, orderId, "pending", "non-pending order cannot be cancelled");
    if (reason !== "no longer needed" && reason !== "ordered by mistake") throw new ToolError("invalid reason");
    const refunds: Dict[] = [];
    for (const payment of list(order, "payment_history")) {
      const method = at(payment, "payment_method_id") as string;
      refunds.push(transaction("refund", at(payment, "amount"), method));
      if (method.includes("gift_card")) changeBalance(store, order, method, at(payment, "amount"));
    }
    const now = edit(store, order);
    now.set("status", "cancelled");
    now.set("cancel_reason", reason);
    list(now, "payment_history").push(...refunds);
    return dumps(now);
  },

  modify_pending_order_address(store: Store, orderId: Value, ...address: Value[]): string {
    const order = edit(store, orderIn(store, orderId, "pending", "non-pending order cannot be modified"));
    order.set("address", addressOf(address));
    return dumps(order);
  },

  modify_pending_order_payment(store: Store, orderId: Value, methodId: Value): string {
    const order = orderIn(store, orderId, "pending", "non-pending order cannot be modified");
    const [id, method] = methodIn(store, order, methodId);
    const history = list(order, "payment_history");
    if (history.length === 0) throw new PythonError("list index out of range");
    if (history.length > 1 || at(history[0], "transaction_type") !== "payment")
      throw new ToolError("there should be exactly one payment for a pending order");
    const paidWith = at(history[0], "payment_method_id") as string;
    if (paidWith === id) throw new ToolError("the new payment method should be different from the current one");
    const amount = at(history[0], "amount");
    if (isShort(method, amount)) throw new ToolError("insufficient gift card balance to pay for the order");

    const now = edit(store, order);
    list(now, "payment_history").push(transaction("payment", amount, id), transaction("refund", amount, paidWith));
    if (at(method, "source") === "gift_card") changeBalance(store, order, id, subtract(0n, amount));
    if (paidWith.includes("gift_card")) changeBalance(store, order, paidWith, amount);
    return dumps(now);
  },

  modify_pending_order_items(store: Store, orderId: Value, itemIds: Value, newIds: Value, methodId: Value): string {
    const order = orderIn(store, orderId, "pending", "non-pending order cannot be modified");
    const difference = priceDifference(store, order, itemIds, newIds);
    const [id, method] = methodIn(store, order, methodId);
    if (isShort(method, difference)) throw new ToolError("insufficient gift card balance to pay for the new item");

    const now = edit(store, order);
    const kind = less(0n, difference) ? "payment" : "refund";
    list(now, "payment_history").push(transaction(kind, absolute(difference), id));
    if (at(method, "source") === "gift_card") changeBalance(store, order, id, subtract(0n, difference));
    for (const [itemId, newId] of zip(itemIds, newIds)) {
      const item = itemIn(now, itemId);
      const variant = variantsOf(store, item).get(newId as string)!;
      item.set("item_id", newId);
      item.set("price", at(variant, "price"));
      item.set("options", at(variant, "options"));
    }
    now.set("status", "pending (item modified)");
    return dumps(now);
  },

  modify_user_address(store: Store, userId: Value, ...address: Value[]): string {
    find(store, "users", userId);
    const user = store.edit<Dict>("users", userId as string);
    user.set("address", addressOf(address));
    return dumps(user);
  },

  return_delivered_order_items(store: Store, orderId: Value, itemIds: Value, methodId: Value): string {
    const order = orderIn(store, orderId, "delivered", "non-delivered order cannot be returned");
    const [id] = methodIn(store, order, methodId);
    if (!id.includes("gift_card")) {
      const history = list(order, "payment_history");
      if (history.length === 0) throw new PythonError("list index out of range");
      if (at(history[0], "payment_method_id") !== id)
        throw new ToolError("payment method should be either the original payment method or a gift card");
    }
    if (surplus(itemIds, idsIn(order)) !== null) throw new ToolError("some item not found");

    const now = edit(store, order);
    now.set("status", "return requested");
    now.set("return_items", sorted(itemIds));
    now.set("return_payment_method_id", id);
    return dumps(now);
  },

  exchange_delivered_order_items(store: Store, orderId: Value, itemIds: Value, newIds: Value, methodId: Value): string {
    const order = orderIn(store, orderId, "delivered", "non-delivered order cannot be exchanged");
    const difference = round2(priceDifference(store, order, itemIds, newIds));
    const [id, method] = methodIn(store, order, methodId);
    if (isShort(method, difference))
      throw new ToolError("insufficient gift card balance to pay for the price difference");

    const now = edit(store, order);
    now.set("status", "exchange requested");
    now.set("exchange_items", sorted(itemIds));
    now.set("exchange_new_items", sorted(newIds));
    now.set("exchange_payment_method_id", id);
    now.set("exchange_price_difference", difference);
    return dumps(now);
  },
};

export function orderIn(store: Store, id: Value, status: string, otherwise: string): Dict {
  const order = find(store, "orders", id);
  if (at(order, "status") !== status) throw new ToolError(otherwise);
  return order;
}

export function edit(store: Store, order: Dict): Dict {
  return store.edit<Dict>("orders", at(order, "order_id") as string);
}

/** A payment method of the customer who placed the order, with its id. */
export function methodIn(store: Store, order: Dict, id: Value): [id: string, method: Dict] {
  const methods = at(store.get<Dict>("users", at(order, "user_id") as string)!, "payment_methods") as Dict;
  const key = asKey(id);
  const method = key === null ? undefined : methods.get(key);
  if (key === null || method === undefined) throw new ToolError("payment method not found");
  return [key, method as Dict];
}

export function isShort(method: Dict, amount: Value): boolean {
  return at(method, "source") === "gift_card" && less(at(method, "balance"), amount);
}

export function changeBalance(store: Store, order: Dict, methodId: string, amount: Value): void {
  const methods = at(store.edit<Dict>("users", at(order, "user_id") as string), "payment_methods") as Dict;
  const method = at(methods, methodId) as Dict;
  method.set("balance", round2(add(at(method, "balance"), amount)));
}

/** New prices less old ones, unrounded; throws when an item is not in the order or a new one cannot replace it. */
function priceDifference(store: Store, order: Dict, itemIds: Value, newIds: Value): Numeric {
  const strange = surplus(itemIds, idsIn(order));
  if (strange !== null) throw new ToolError(`${strange} not found`);
  if (length(itemIds) !== length(newIds)) throw new ToolError("the number of items to be exchanged should match");
  let difference: Numeric = 0n;
  for (const [itemId, newId] of zip(itemIds, newIds)) {
    const item = itemIn(order, itemId);
    const key = asKey(newId);
    const variant = key === null ? undefined : variantsOf(store, item).get(key);
    if (!variant || at(variant, "available") !== true)
      throw new ToolError(`new item ${text(newId)} not found or available`);
    difference = add(difference, subtract(at(variant, "price"), at(item, "price")));
  }
  return difference;
}

/** The items of an order, each as often as it is in it. */
function idsIn(order: Dict): Value[] {
  return list(order, "items").map((item) => at(item, "item_id"));
}

/** The first line of the order with this item. */
function itemIn(order: Dict, id: Value): Dict {
  return list(order, "items").find((item) => equals(at(item, "item_id"), id))!;
}

export function variantsOf(store: Store, item: Dict): Map<string, Dict> {
  const product = store.get<Dict>("products", at(item, "product_id") as string)!;
  return at(product, "variants") as Map<string, Dict>;
}

export function list(dict: Dict, key: string): Dict[] {
  return at(dict, key) as Dict[];
}

export function transaction(kind: "payment" | "refund", amount: Value, methodId: string): Dict {
  return new Map<string, Value>([
    ["transaction_type", kind],
    ["amount", amount],
    ["payment_method_id", methodId],
  ]);
}

export function addressOf([address1, address2, city, state, country, zip]: readonly Value[]): Dict {
  return new Map(Object.entries({ address1, address2, city, state, country, zip }));
}
