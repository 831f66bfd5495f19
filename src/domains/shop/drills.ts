// Look-ups for a policy that starts from nothing: something is shown, then ids are asked of it, again and again; the ids
// asked for are what is learned. First `pairs`, where an id stands right behind its name: one token to match, one to copy.
// Once that is learned, ids in the shop's own shapes (`objects`) follow within a few updates; without it they stay out of
// reach for hundreds (docs/log.md). One object at a time; what takes several is left to the demonstrations.

import { Random } from "../../random.ts";
import type { Segment } from "../../types.ts";
import { nextOrder, product } from "./phrases.ts";
import { world } from "./tasks.ts";
import { show } from "./tools.ts";
import { GOODS, IDS, PAYMENTS } from "./words.ts";
import type { Order, Product, User } from "./world.ts";

const NAMES = [...new Set([...PAYMENTS, ...GOODS.flatMap(({ name, options }) => [name, ...options])])];
const LEAST_PAIRS = 3;
const MOST_PAIRS = 5;
const LEAST_QUERIES = 5;
const MOST_QUERIES = 9;

/** 3 to 5 names with ids behind them (`visa#light`), then 5 to 9 of them again. */
export function pairs(seed: number): Segment[] {
  const random = new Random("shop pairs", seed);
  const count = LEAST_PAIRS + random.int(MOST_PAIRS - LEAST_PAIRS + 1);
  const ids = random.shuffle(IDS);
  const pairs = random
    .shuffle(NAMES)
    .slice(0, count)
    .map((name, i) => `${name}#${ids[i]}`);
  return ask(random, pairs.join(", "), pairs);
}

/** A profile, an order or a product as the tools show it, then 5 to 9 times the agent's words that take an id from it. */
export function objects(seed: number): Segment[] {
  const random = new Random("shop objects", seed);
  const { database } = world(seed);
  const any = <T>(table: string) => random.pick([...(database.get(table) as ReadonlyMap<string, T>).values()]);
  const kinds = [
    () => profile(any<User>("users")),
    () => order(any<Order>("orders")),
    () => goods(any<Product>("products")),
  ];
  const { shown, queries } = random.pick(kinds)();
  return ask(random, shown, queries);
}

function ask(random: Random, shown: string, queries: readonly string[]): Segment[] {
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

/** Cuts a line so that the ids are what is learned. */
function mark(line: string): Segment[] {
  return line
    .split(/(#[a-z]+)/)
    .map((text, i) => ({ text, learn: i % 2 === 1 }))
    .filter(({ text }) => text !== "");
}
