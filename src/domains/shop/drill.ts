// Dense look-ups for a policy that starts from nothing: a profile, an order and a product as the tools show them, then
// the agent's own sentences and calls that take an id from them. What is learned is the word behind each `#`.

import { Random } from "../../random.ts";
import { confirm, type Found, nextOrder, product } from "./phrases.ts";
import { actionOf, world } from "./tasks.ts";
import { json, show } from "./tools.ts";
import type { Order, Product, User, Wish } from "./world.ts";

export interface Segment {
  readonly text: string;
  readonly learn: boolean;
}

const LEAST_QUERIES = 5;
const MOST_QUERIES = 9;

/** One to three objects of a customer in random order, each behind the call that shows it, then 5 to 9 queries. */
export function drill(seed: number): Segment[] {
  const random = new Random("shop drill", seed);
  const { database } = world(seed);
  const [email, user] = random.pick([...(database.get("users") as ReadonlyMap<string, User>)]);
  const order = random.pick(user.orders);
  const { items } = database.get("orders")!.get(order) as Order;
  const item = random.pick(items);
  const bought = database.get("products")!.get(item.product_id) as Product;

  const objects = [
    {
      shown: `${call("find_user", { email: `${email}@mail.com` })}\n${show.user(user)}`,
      queries: [
        ...Object.entries(user.payment).map(([kind, id]) => `to ${kind} ${id}`),
        ...user.orders.slice(1).map((next, i) => nextOrder(item.name, user.orders[i], next)),
      ],
    },
    {
      shown: `${call("get_order", { order_id: order })}\n${show.order(database.get("orders")!.get(order) as Order)}`,
      queries: items.flatMap((item) => [`the ${item.name} ${item.item_id}`, product(item)]),
    },
    {
      shown: `${call("get_product", { product_id: item.product_id })}\n${show.product(bought)}`,
      queries: Object.entries(bought.options).map(([option, id]) => `one in ${option} ${id}`),
    },
  ];
  const some = random.shuffle(objects).slice(0, 1 + random.int(objects.length));
  const queries = some.flatMap((object) => object.queries);
  if (some.length === objects.length) queries.push(...changes());
  const count = LEAST_QUERIES + random.int(MOST_QUERIES - LEAST_QUERIES + 1);
  return [
    { text: some.map(({ shown }) => `${shown}\n`).join(""), learn: false },
    ...Array.from({ length: count }, () => mark(`${random.pick(queries)}\n`)).flat(),
  ];

  /** A sentence that takes ids from several objects, and the call that copies them from it. */
  function changes(): string[] {
    const wishes: Pick<Wish, "kind" | "payment" | "option">[] = [
      ...Object.keys(user.payment).map((payment) => ({ kind: "return" as const, payment, option: "" })),
      ...Object.keys(bought.options).map((option) => ({ kind: "exchange" as const, payment: "", option })),
    ];
    return wishes.map((part) => {
      const wish: Wish = { ...part, allowed: true, user: email, order, item };
      const { name, arguments: args } = actionOf(wish, database);
      const { payment_id = "", new_item_id = "" } = args;
      const found: Found = { ...wish, payment_id, new_item_id };
      return `${confirm((list) => random.pick(list), wish.kind, found)}\n${call(name, args)}`;
    });
  }
}

const call = (name: string, args: Readonly<Record<string, string>>) => json({ name, arguments: args });

/** Cuts a line so that the words behind `#` are what is learned. */
function mark(line: string): Segment[] {
  return line
    .split(/(?<=#)([a-z]+)/)
    .map((text, i) => ({ text, learn: i % 2 === 1 }))
    .filter(({ text }) => text !== "");
}
