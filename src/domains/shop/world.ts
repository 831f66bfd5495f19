// The shop's data: a handful of customers with what they bought, and what customers of a database could wish for.
// Everything follows from the seed. Not the words in which a wish is spoken: tasks.ts.

import { Random } from "../../random.ts";
import type { Database } from "../../types.ts";
import { FIRST_NAMES, GOODS, IDS, LAST_NAMES, PAYMENTS } from "./words.ts";

export interface User {
  readonly email: string;
  /** Kind of payment -> its id. */
  readonly payment: Record<string, string>;
  readonly orders: string[];
}

export type Status = "pending" | "delivered" | "cancelled" | "returned" | "exchanged";

export interface Item {
  readonly name: string;
  readonly product_id: string;
  item_id: string;
  options: string;
}

export interface Order {
  readonly user: string;
  status: Status;
  readonly items: Item[];
  payment: string;
  /** Where the money of a return goes. */
  refund?: string;
}

export interface Product {
  readonly name: string;
  /** Option -> item id. */
  readonly options: Record<string, string>;
}

/** What a customer wants: one change of one order. */
export interface Wish {
  readonly kind: "cancel" | "payment" | "return" | "exchange";
  /** False when the status of the order forbids it: then it has to be refused. */
  readonly allowed: boolean;
  readonly user: string;
  readonly order: string;
  /** The item that it is about; for `cancel` and `payment` the one that the customer describes the order by. */
  readonly item: Item;
  /** Kind of payment: the new one of `payment`, the one to refund of `return`; else "". */
  readonly payment: string;
  /** The wanted option of `exchange`; else "". */
  readonly option: string;
}

/** Families of tasks: the four kinds of wishes where they are allowed, and all those that are not. */
export const FAMILIES = ["cancel", "payment", "return", "exchange", "refuse"] as const;
export type Family = (typeof FAMILIES)[number];

/** The status that an order must have for each kind of change. */
export const NEEDS: Readonly<Record<Wish["kind"], Status>> = {
  cancel: "pending",
  payment: "pending",
  return: "delivered",
  exchange: "delivered",
};

const USERS = 4;
const PRODUCTS = 6;

/** Tables users (by `first.last`), orders and products (by `#word`). */
export function makeDatabase(seed: number): Database {
  const random = new Random("shop", seed);
  const ids = random.shuffle(IDS);
  const id = () => `#${ids.pop()}`;
  const some = <T>(list: readonly T[], least: number, most: number) =>
    random.shuffle(list).slice(0, least + random.int(most - least + 1));

  const products = new Map<string, Product>();
  for (const { name, options } of some(GOODS, PRODUCTS, PRODUCTS))
    products.set(id(), { name, options: Object.fromEntries(some(options, 3, 4).map((option) => [option, id()])) });

  const users = new Map<string, User>();
  const orders = new Map<string, Order>();
  const firsts = some(FIRST_NAMES, USERS, USERS);
  const lasts = some(LAST_NAMES, USERS, USERS);
  for (const [i, first] of firsts.entries()) {
    const user = `${first}.${lasts[i]}`;
    const payment = Object.fromEntries(some(PAYMENTS, 2, 3).map((kind) => [kind, id()]));
    const goods = random.shuffle([...products]); // no customer has a product twice
    const bought = Array.from({ length: 1 + random.int(2) }, id);
    for (const order of bought) {
      const items = Array.from({ length: 1 + random.int(2) }, (): Item => {
        const [product_id, { name, options }] = goods.pop()!;
        const [option, item_id] = random.pick(Object.entries(options));
        return { name, product_id, item_id, options: option };
      });
      const status = random.pick(["pending", "delivered"] as const);
      orders.set(order, { user, status, items, payment: random.pick(Object.values(payment)) });
    }
    users.set(user, { email: `${user}@mail.com`, payment, orders: bought });
  }
  return new Map<string, Map<string, unknown>>([
    ["users", users],
    ["orders", orders],
    ["products", products],
  ]);
}

/** Everything that customers of this database could ask for, by family, each list in random order without repetition. */
export function makeWishes(database: Database, seed: number): Record<Family, Wish[]> {
  const random = new Random("shop wishes", seed);
  const users = database.get("users") as ReadonlyMap<string, User>;
  const products = database.get("products") as ReadonlyMap<string, Product>;
  const wishes: Record<Wish["kind"], Wish[]> = { cancel: [], payment: [], return: [], exchange: [] };
  for (const [order, { user, status, items, payment }] of database.get("orders") as ReadonlyMap<string, Order>) {
    const add = (kind: Wish["kind"], item: Item, more: { payment?: string; option?: string } = {}) =>
      wishes[kind].push({ kind, allowed: status === NEEDS[kind], user, order, item, payment: "", option: "", ...more });
    const methods = Object.entries(users.get(user)!.payment);
    add("cancel", random.pick(items));
    for (const [kind, id] of methods) if (id !== payment) add("payment", random.pick(items), { payment: kind });
    for (const item of items) {
      for (const [kind] of methods) add("return", item, { payment: kind });
      for (const option of Object.keys(products.get(item.product_id)!.options))
        if (option !== item.options) add("exchange", item, { option });
    }
  }
  const shuffled = Object.values(wishes).map((list) => random.shuffle(list));
  const allowed = shuffled.map((list) => list.filter((wish) => wish.allowed));
  const refused = shuffled.map((list) => list.filter((wish) => !wish.allowed));
  return {
    cancel: allowed[0],
    payment: allowed[1],
    return: allowed[2],
    exchange: allowed[3],
    refuse: random.shuffle(interleave(refused)),
  };
}

/** As many of each kind as the rarest that occurs at all, so that no kind of refusal crowds the others out. */
function interleave(lists: readonly Wish[][]): Wish[] {
  const some = lists.filter((list) => list.length > 0);
  const least = Math.min(...some.map((list) => list.length));
  return some.flatMap((list) => list.slice(0, least));
}
