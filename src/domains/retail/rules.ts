// What of retail's policy can be checked: rules about the state before a call, rules about the talk before it, and what
// the agent's messages ask for; the rest of them is heard as all domains hear it (ears.ts). Test: test/unit/retail.test.ts

import type { Call, Entry, Task } from "../../types.ts";
import { agreed, asksFor, isServed } from "../ears.ts";
import { at, type Dict, equals, type Value } from "../python.ts";
import type { Store } from "../store.ts";

const ORDER_STATUS: Readonly<Record<string, string>> = {
  cancel_pending_order: "pending",
  modify_pending_order_address: "pending",
  modify_pending_order_payment: "pending",
  modify_pending_order_items: "pending",
  return_delivered_order_items: "delivered",
  exchange_delivered_order_items: "delivered",
};
const FOREIGN = "it concerns another customer";
const REASONS = ["no longer needed", "ordered by mistake"];

/**
 * Every rule about the state that a write asked for by this customer would break now; empty where it is allowed. Calls
 * that are no writes, and those whose order or user does not exist, break none: the tool itself answers them.
 */
export function brokenRules(call: Call<Dict>, store: Store, customer?: string): string[] {
  const status = ORDER_STATUS[call.name];
  const order = status ? rowOf(store, "orders", call.arguments.get("order_id")) : undefined;
  const owner = call.name === "modify_user_address" ? call.arguments.get("user_id") : order && at(order, "user_id");
  const broken: string[] = [];
  const rule = (holds: boolean, text: string) => void (holds || broken.push(text));
  rule(!customer || !owner || owner === customer, FOREIGN);
  if (!order) return broken;
  const argument = (name: string) => call.arguments.get(name) ?? null;
  const methods = at(rowOf(store, "users", at(order, "user_id"))!, "payment_methods") as Map<string, Dict>;
  const history = at(order, "payment_history") as Dict[];
  const paidWith = at(history[0], "payment_method_id");
  const method = methods.get(argument("payment_method_id") as string);
  const covers = (amount: number) => at(method!, "source") !== "gift_card" || Number(at(method!, "balance")) >= amount;

  rule(at(order, "status") === status, `the order is ${at(order, "status")}, not ${status}`);
  switch (call.name) {
    case "cancel_pending_order":
      rule(REASONS.includes(argument("reason") as string), "the reason is none of the two");
      break;
    case "modify_pending_order_payment":
      rule(argument("payment_method_id") !== paidWith, "the payment method is the one used before");
      rule(!method || covers(Number(at(history[0], "amount"))), "the gift card does not cover the amount");
      break;
    case "return_delivered_order_items":
      rule(
        argument("payment_method_id") === paidWith || !method || at(method, "source") === "gift_card",
        "the refund goes neither to the original payment method nor to a gift card",
      );
      rule(listed(argument("item_ids")).length > 0, "no items are named");
      break;
    case "modify_pending_order_items":
    case "exchange_delivered_order_items": {
      const swaps = swapsOf(store, order, listed(argument("item_ids")), listed(argument("new_item_ids")));
      rule(swaps.length > 0, "no items are named");
      rule(
        swaps.every(({ to }) => to),
        "a new item is not of the same product",
      );
      rule(
        swaps.every(({ from, to }) => !to || from !== to),
        "a new item is the same as the old one",
      );
      rule(
        swaps.every(({ to }) => !to || at(to, "available") === true),
        "a new item is not available",
      );
      const difference = swaps.reduce((sum, { price, to }) => sum + (to ? Number(at(to, "price")) - price : 0), 0);
      rule(!method || covers(difference), "the gift card does not cover the difference");
      break;
    }
  }
  return broken;
}

/** Old and new variant of each swap whose old item is in the order; `to` is missing where the product has no such item. */
function swapsOf(store: Store, order: Dict, ids: readonly Value[], newIds: readonly Value[]) {
  const items = at(order, "items") as Dict[];
  return ids.flatMap((id, i) => {
    const item = items.find((item) => equals(at(item, "item_id"), id));
    if (!item) return [];
    const variants = at(rowOf(store, "products", at(item, "product_id"))!, "variants") as Map<Value, Dict>;
    return [{ from: variants.get(id), to: variants.get(newIds[i]), price: Number(at(item, "price")) }];
  });
}

/** The first rule that a call would break now, those about the talk included. */
export function violates(call: Call<Dict>, store: Store, transcript: readonly Entry[]): string | null {
  if (!(call.name in ORDER_STATUS) && call.name !== "modify_user_address") return null;
  const user = customer(transcript);
  if (user === null) return "the customer was not identified";
  const orderId = call.arguments.get("order_id");
  const order = rowOf(store, "orders", orderId);
  const [broken] = brokenRules(call, store, user);
  if (broken === FOREIGN) return broken;
  if (order && !called(transcript, "get_order_details", "order_id", orderId!)) return "the order was not looked at";
  if (broken) return broken;
  return agreed(transcript) ? null : "the customer has not said yes to it";
}

function rowOf(store: Store, table: "orders" | "products" | "users", id: Value | undefined): Dict | undefined {
  return typeof id === "string" ? store.get<Dict>(table, id) : undefined;
}

function listed(value: Value): readonly Value[] {
  return Array.isArray(value) ? value : [];
}

/** The user id that the agent found, or null. */
function customer(transcript: readonly Entry[]): string | null {
  for (const entry of transcript)
    if (entry.role === "tool" && !entry.failed && entry.call.name.startsWith("find_user_id_")) return entry.observation;
  return null;
}

function called(transcript: readonly Entry[], name: string, key: string, value: Value): boolean {
  return transcript.some(
    (e) =>
      e.role === "tool" &&
      !e.failed &&
      e.call.name === name &&
      equals((e.call.arguments as Dict).get(key) ?? null, value),
  );
}

/** For a task without writes: was a known customer served? A refusal takes a look at what is refused. */
export function answered(task: Task, transcript: readonly Entry[]): boolean {
  const looked = transcript.some((e) => e.role === "tool" && /^get_(order|user)_/.test(e.call.name));
  const isRefusal = task.family !== "information" && task.family !== "transfer";
  return customer(transcript) !== null && isServed(task, transcript) && (looked || !isRefusal);
}

export const asks = asksFor({
  email: /\be-?mail\b/i,
  name: /\b(your|full|first|last) (first |last |full )?name\b|\bzip\b|\bpostal code\b/i,
  order: /\b(which|what|your|the) (\w+ )?order\b|\border (id|number)\b/i,
  items: /\b(which|what) (\w+ )?(item|product)s?\b/i,
  option: /\b(option|variant|instead|replacement)s?\b|\b(exchange|change|swap) (it|them|this) (for|to)\b/i,
  payment:
    /\bpayment method\b|\b(how|where) (would|do|should|shall) .{0,60}\b(pay|paid|refund|refunded)\b|\brefund\b|\bgift card or\b/i,
  reason: /\breason\b|\bwhy\b/i,
  address: /\b(new|full|which|what|right|correct|shipping|delivery) (\w+ )?address\b/i,
});
