// What retail's expert says: its questions, and calls in words that name everything they depend on.

import type { Random } from "../../random.ts";
import type { Call, Database, Json, WrittenCall } from "../../types.ts";
import { list, type Words } from "../expert.ts";
import { rowOf } from "../making/tables.ts";
import type { Order, Product, User } from "./data.ts";
import { spell } from "./goals.ts";
import { itemOf, labelOf, methodsOf, spellOptions } from "./references.ts";

export const words: Words = {
  identify: [
    {
      slots: ["email", "name"],
      text: "May I have the e-mail address of your account, or your full name and zip code?",
    },
  ],
  details: [
    { slots: ["reason"], text: "What is the reason for the cancellation?" },
    { slots: ["address"], text: "What is the new address?" },
    { slots: ["option"], text: "Which option would you like instead?" },
    { slots: ["payment"], text: "Which payment method should be used?" },
  ],
  describe,
  mistaken,
};

/** An action in words that name everything it depends on. */
function describe({ name, arguments: dict }: Call, database: Database): string {
  const args = Object.fromEntries(dict) as { readonly [name: string]: Json };
  if (name === "modify_user_address") return `set the address of your profile to ${spell(args as never)}`;
  const order = rowOf<Order>(database, "orders", args.order_id)!;
  const user = rowOf<User>(database, "users", order.user_id)!;
  const label = () => labelOf(methodsOf(user).find(({ id }) => id === args.payment_method_id)!).replace("my", "your");
  const items = () => (args.item_ids as string[]).map((id) => order.items.find(({ item_id }) => item_id === id)!);
  switch (name) {
    case "cancel_pending_order":
      return `cancel order ${order.order_id} (${args.reason})`;
    case "modify_pending_order_address":
      return `send order ${order.order_id} to ${spell(args as never)}`;
    case "modify_pending_order_payment":
      return `charge order ${order.order_id} to ${label()}`;
    case "return_delivered_order_items":
      return `take back ${list(items().map((item) => itemOf(order, item).words))} of order ${order.order_id} with the refund to ${label()}`;
    default: {
      const swaps = items().map((item, i) => {
        const id = (args.new_item_ids as string[])[i];
        const { variants } = rowOf<Product>(database, "products", item.product_id)!;
        const to = variants[id] ? `one with ${spellOptions(Object.entries(variants[id].options))}` : `item ${id}`;
        return `${itemOf(order, item).words} for ${to}`;
      });
      return `swap in order ${order.order_id} ${list(swaps)}, settling the difference with ${label()}`;
    }
  }
}

/** The same kind of action with one thing wrong. */
function mistaken(action: WrittenCall, database: Database, random: Random): WrittenCall {
  const args = JSON.parse(action.arguments) as { [name: string]: Json };
  if (args.reason) args.reason = args.reason === "no longer needed" ? "ordered by mistake" : "no longer needed";
  if (args.zip) args.zip = String(args.zip).split("").reverse().join("");
  if (args.payment_method_id) {
    const order = rowOf<Order>(database, "orders", args.order_id)!;
    const methods = methodsOf(rowOf<User>(database, "users", order.user_id)!);
    const others = methods.filter(({ id }) => id !== args.payment_method_id);
    if (args.new_item_ids) {
      const [old] = args.item_ids as string[];
      const { product_id } = order.items.find(({ item_id }) => item_id === old)!;
      const { variants } = rowOf<Product>(database, "products", product_id)!;
      const [right, ...rest] = args.new_item_ids as string[];
      args.new_item_ids = [random.pick(Object.keys(variants).filter((id) => id !== right && id !== old)), ...rest];
    } else if (others.length > 0) args.payment_method_id = random.pick(others).id;
  }
  return { ...action, arguments: JSON.stringify(args) };
}
