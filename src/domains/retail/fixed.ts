// Retail's tools with tau-bench's defects mended: the profile `fixed`. Names and schemas are those of `tau1`, whose
// functions do the work where they are right. Policy is not checked here either. Test: test/unit/fixed.test.ts
//
// | tool | tau1 | fixed |
// |---|---|---|
// | all | any type is taken, Python's own errors are shown | the schema holds, one clear line |
// | cancel_pending_order | every row of the history is refunded, refunds too | what is still paid goes back, in whole cents |
// | modify_pending_order_items | the amount is not rounded | whole cents |
// | modify_pending_order_items | items are looked up as the call changes them: A to B, B to C hits the wrong line | as the order was before the call |
// | exchange_delivered_order_items | old and new items are sorted apart | pairs stay together |
// | modify_, exchange_, return_..._items | an empty list is taken | refused |
// | modify_pending_order_address | refused after items were changed | possible |

import { ToolError } from "../../errors.ts";
import {
  absolute,
  add,
  at,
  byCodePoint,
  checked,
  type Dict,
  dumps,
  less,
  type Numeric,
  negative,
  round2,
  stillPaid,
  subtract,
  type Value,
} from "../python.ts";
import type { Store } from "../store.ts";
import { find, reads } from "./reads.ts";
import { SCHEMAS } from "./schemas.ts";
import {
  addressOf,
  changeBalance,
  edit,
  isShort,
  list,
  methodIn,
  orderIn,
  transaction,
  variantsOf,
  writes,
} from "./writes.ts";

const mended = {
  ...writes,

  cancel_pending_order(store: Store, orderId: Value, reason: Value): string {
    const order = orderIn(store, orderId, "pending", "non-pending order cannot be cancelled");
    const refunds = stillPaid(
      list(order, "payment_history").map((row) => {
        const amount = at(row, "amount");
        const isRefund = at(row, "transaction_type") === "refund";
        return [at(row, "payment_method_id") as string, isRefund ? negative(amount) : amount];
      }),
    );
    const now = edit(store, order);
    for (const [method, amount] of refunds) {
      list(now, "payment_history").push(transaction("refund", amount, method));
      if (method.includes("gift_card")) changeBalance(store, order, method, amount);
    }
    now.set("status", "cancelled");
    now.set("cancel_reason", reason);
    return dumps(now);
  },

  modify_pending_order_address(store: Store, orderId: Value, ...address: Value[]): string {
    const order = find(store, "orders", orderId);
    if (!(at(order, "status") as string).startsWith("pending"))
      throw new ToolError("non-pending order cannot be modified");
    const now = edit(store, order);
    now.set("address", addressOf(address));
    return dumps(now);
  },

  modify_pending_order_items(store: Store, orderId: Value, itemIds: Value, newIds: Value, methodId: Value): string {
    const order = orderIn(store, orderId, "pending", "non-pending order cannot be modified");
    const swaps = swapsIn(store, order, itemIds as string[], newIds as string[]);
    let difference: Numeric = 0n;
    for (const { from, to } of swaps)
      difference = round2(add(difference, subtract(at(to, "price"), at(from, "price"))));
    const [id, method] = methodIn(store, order, methodId);
    if (isShort(method, difference)) throw new ToolError("insufficient gift card balance to pay for the new item");

    const now = edit(store, order);
    const kind = less(0n, difference) ? "payment" : "refund";
    list(now, "payment_history").push(transaction(kind, absolute(difference), id));
    if (at(method, "source") === "gift_card") changeBalance(store, order, id, negative(difference));
    for (const { line, to, newId } of swaps) {
      const item = list(now, "items")[line];
      item.set("item_id", newId);
      item.set("price", at(to, "price"));
      item.set("options", at(to, "options"));
    }
    now.set("status", "pending (item modified)");
    return dumps(now);
  },

  return_delivered_order_items(store: Store, orderId: Value, itemIds: Value, methodId: Value): string {
    checkItems(itemIds as string[]);
    return writes.return_delivered_order_items(store, orderId, itemIds, methodId);
  },

  exchange_delivered_order_items(store: Store, orderId: Value, itemIds: Value, newIds: Value, methodId: Value): string {
    checkItems(itemIds as string[]);
    writes.exchange_delivered_order_items(store, orderId, itemIds, newIds, methodId);
    const now = store.edit<Dict>("orders", orderId as string);
    const pairs = (itemIds as string[]).map((id, i) => [id, (newIds as string[])[i]] as const);
    pairs.sort(([a, to], [b, other]) => byCodePoint(a, b) || byCodePoint(to, other));
    now.set(
      "exchange_items",
      pairs.map(([id]) => id),
    );
    now.set(
      "exchange_new_items",
      pairs.map(([, id]) => id),
    );
    return dumps(now);
  },
};

export const tools = checked({ domain: "retail", schemas: SCHEMAS, reads, writes: mended });

/** Each line of the order that changes, with its item before and after. An id listed twice takes two lines. */
function swapsIn(store: Store, order: Dict, itemIds: readonly string[], newIds: readonly string[]) {
  checkItems(itemIds);
  const items = list(order, "items");
  const taken = new Set<number>();
  const lines = itemIds.map((id) => {
    const line = items.findIndex((item, line) => at(item, "item_id") === id && !taken.has(line));
    if (line === -1) throw new ToolError(`${id} not found`);
    taken.add(line);
    return line;
  });
  if (itemIds.length !== newIds.length) throw new ToolError("the number of items to be exchanged should match");
  return lines.map((line, i) => {
    const [from, newId] = [items[line], newIds[i]];
    const to = variantsOf(store, from).get(newId);
    if (!to || at(to, "available") !== true) throw new ToolError(`new item ${newId} not found or available`);
    return { line, from, to, newId };
  });
}

function checkItems(ids: readonly string[]): void {
  if (ids.length === 0) throw new ToolError("there has to be an item");
}
