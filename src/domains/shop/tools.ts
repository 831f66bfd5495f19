// The shop's eight tools. They do as they are told: whether a change is allowed is for the agent to know (rules.ts);
// a tool only fails on what does not exist, and on an order that was changed before.

import { ToolError } from "../../errors.ts";
import type { Json, Tool } from "../../types.ts";
import type { Store } from "../store.ts";
import type { Item, Order, Product, User } from "./world.ts";

/** Names of the arguments of all tools; every one is a string. */
export type Arguments = Readonly<
  Record<"email" | "order_id" | "product_id" | "payment_id" | "item_id" | "new_item_id", string>
>;

/** JSON as the agent sees it everywhere in this domain: a space after `:` and `,`. */
export function json(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(json).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, v]) => `${JSON.stringify(key)}: ${json(v)}`)
    .join(", ")}}`;
}

/** What the look-ups show of a customer, an order and a product. */
export const show = {
  user: ({ payment, orders }: User) => json({ payment, orders }),
  order: ({ status, items, payment }: Order) => json({ status, items, payment }),
  product: ({ options }: Product) => json(options),
};

export const tools: readonly Tool<Arguments>[] = [
  tool(
    "find_user",
    "Finds a customer: payment methods and orders.",
    { email: "email of the customer" },
    false,
    (store, a) => {
      for (const [, user] of store.entries<User>("users")) if (user.email === a.email) return show.user(user);
      throw new ToolError("user not found");
    },
  ),
  tool("get_order", "Shows an order.", { order_id: "such as #light" }, false, (store, a) =>
    show.order(find<Order>(store, "order", a.order_id)),
  ),
  tool(
    "get_product",
    "Shows the item of each option of a product.",
    { product_id: "such as #light" },
    false,
    (store, a) => show.product(find<Product>(store, "product", a.product_id)),
  ),
  tool("cancel_order", "Cancels a pending order.", { order_id: "the order" }, true, (store, a) => {
    untouched(store, a.order_id);
    store.edit<Order>("orders", a.order_id).status = "cancelled";
    return json({ status: "cancelled" });
  }),
  tool(
    "change_payment",
    "Changes how a pending order is paid.",
    { order_id: "the order", payment_id: "the new payment method" },
    true,
    (store, a) => {
      if (untouched(store, a.order_id).payment === a.payment_id) throw new ToolError("order is already paid with it");
      checkPayment(store, a);
      store.edit<Order>("orders", a.order_id).payment = a.payment_id;
      return json({ payment: a.payment_id });
    },
  ),
  tool(
    "return_item",
    "Returns an item of a delivered order.",
    { order_id: "the order", item_id: "the item", payment_id: "where the money goes" },
    true,
    (store, a) => {
      findItem(untouched(store, a.order_id), a.item_id);
      checkPayment(store, a);
      const order = store.edit<Order>("orders", a.order_id);
      order.status = "returned";
      order.refund = a.payment_id;
      order.items.splice(order.items.indexOf(findItem(order, a.item_id)), 1);
      return json({ status: "returned" });
    },
  ),
  tool(
    "exchange_item",
    "Exchanges an item of a delivered order for another option of the same product.",
    { order_id: "the order", item_id: "the item", new_item_id: "the item wanted instead" },
    true,
    (store, a) => {
      const { product_id } = findItem(untouched(store, a.order_id), a.item_id);
      const options = Object.entries(find<Product>(store, "product", product_id).options);
      const wanted = options.find(([, id]) => id === a.new_item_id && id !== a.item_id);
      if (!wanted) throw new ToolError("new item not found");
      const order = store.edit<Order>("orders", a.order_id);
      order.status = "exchanged";
      [findItem(order, a.item_id).options, findItem(order, a.item_id).item_id] = wanted;
      return json({ status: "exchanged" });
    },
  ),
  {
    ...tool("transfer", "Hands the customer to a human and ends the talk.", {}, false, () =>
      json({ status: "transferred" }),
    ),
    ends: true,
  },
];

function tool(
  name: string,
  description: string,
  properties: Readonly<Record<string, string>>,
  writes: boolean,
  call: Tool<Arguments>["call"],
): Tool<Arguments> {
  const described = Object.entries(properties).map(([key, text]) => [key, { type: "string", description: text }]);
  const parameters: Json = {
    type: "object",
    properties: Object.fromEntries(described),
    required: Object.keys(properties),
  };
  return { name, description, parameters, writes, call };
}

function find<T>(store: Store, what: string, id: string): T {
  const entity = store.get<T>(`${what}s`, id);
  if (!entity) throw new ToolError(`${what} not found`);
  return entity;
}

/** The order, if nothing was done to it yet but a change of payment. */
function untouched(store: Store, id: string): Order {
  const order = find<Order>(store, "order", id);
  if (order.status !== "pending" && order.status !== "delivered")
    throw new ToolError(`order is already ${order.status}`);
  return order;
}

function findItem(order: Order, id: string): Item {
  const item = order.items.find((item) => item.item_id === id);
  if (!item) throw new ToolError("item not found");
  return item;
}

function checkPayment(store: Store, { order_id, payment_id }: Arguments): void {
  const { user } = find<Order>(store, "order", order_id);
  if (!Object.values(find<User>(store, "user", user).payment).includes(payment_id))
    throw new ToolError("payment not found");
}
