// Dense look-ups for a policy that starts from nothing: one profile, order or product as the tools show it, then the
// agent's own words that take an id from it, again and again. What is learned is the word behind each `#`.
// One object at a time: with three, and whole sentences between the ids, copying is learned several times more slowly
// (docs/log.md). What takes more than one object is left to the demonstrations.

import { Random } from "../../random.ts";
import { nextOrder, product } from "./phrases.ts";
import { world } from "./tasks.ts";
import { show } from "./tools.ts";
import type { Order, Product, User } from "./world.ts";

export interface Segment {
  readonly text: string;
  readonly learn: boolean;
}

const LEAST_QUERIES = 5;
const MOST_QUERIES = 9;

/** One object and 5 to 9 queries. */
export function drill(seed: number): Segment[] {
  const random = new Random("shop drill", seed);
  const { database } = world(seed);
  const any = <T>(table: string) => random.pick([...(database.get(table) as ReadonlyMap<string, T>).values()]);
  const kinds = [
    () => profile(any<User>("users")),
    () => order(any<Order>("orders")),
    () => goods(any<Product>("products")),
  ];
  const { shown, queries } = random.pick(kinds)();
  const count = LEAST_QUERIES + random.int(MOST_QUERIES - LEAST_QUERIES + 1);
  return [
    { text: `${shown}\n`, learn: false },
    ...Array.from({ length: count }, () => mark(`${random.pick(queries)}\n`)).flat(),
  ];
}

interface Lookup {
  readonly shown: string;
  readonly queries: readonly string[];
}

function profile(user: User): Lookup {
  const payments = Object.entries(user.payment).map(([kind, id]) => `to ${kind} ${id}`);
  const orders = user.orders.slice(1).map((next, i) => nextOrder("scarf", user.orders[i], next));
  return { shown: show.user(user), queries: [...payments, ...orders] };
}

function order(order: Order): Lookup {
  return {
    shown: show.order(order),
    queries: order.items.flatMap((item) => [`the ${item.name} ${item.item_id}`, product(item)]),
  };
}

function goods(goods: Product): Lookup {
  const queries = Object.entries(goods.options).map(([option, id]) => `one in ${option} ${id}`);
  return { shown: show.product(goods), queries };
}

/** Cuts a line so that the words behind `#` are what is learned. */
function mark(line: string): Segment[] {
  return line
    .split(/(?<=#)([a-z]+)/)
    .map((text, i) => ({ text, learn: i % 2 === 1 }))
    .filter(({ text }) => text !== "");
}
