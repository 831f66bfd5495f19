// How retail's customers name things: an order, an item, another variant of it, a payment method. Each reference holds the
// words and everything in the data that they fit, so that what is ambiguous shows. Test: test/unit/retail.test.ts

import type { Random } from "../../random.ts";
import { capital, list } from "../expert.ts";
import type { Reference } from "../making/goals.ts";
import type { Item, Method, Order, Tables, User, Variant } from "./data.ts";
import type { Scene } from "./goals.ts";

/** An order, with the orders that an expert has to look at to know which one is meant. */
export interface OrderReference extends Reference<string> {
  readonly looked: readonly string[];
}

/**
 * The scene's order by its id, or described in words that fit it alone: by an item, its status, where it goes, or how it
 * stands beside the customer's others. A stranger's order is always named by its id. `item`: one that the goal is about
 * anyway.
 */
export function orderOf(scene: Scene, item = scene.random.pick(scene.order.items)): OrderReference {
  const { tables, user, order, random, easy, amid } = scene;
  const id = order.order_id;
  const answer = random.pick([`It is order ${id}.`, `The number is ${id}.`, `That is ${id}.`]);
  const named = { words: `order ${id}`, answer, fits: [id], looked: [id] };
  if (!user.orders.includes(id)) return { ...named, words: `order ${id} of a friend` };
  if (easy || random.chance(0.4)) return named;
  const mine = user.orders.map((own) => tables.orders[own]);
  const described = (words: string, which: string, test: (other: Order) => boolean): OrderReference => {
    const ids = mine.filter(test).map(({ order_id }) => order_id);
    const answer = `${random.pick(["I do not know its number.", "I do not have the number."])} It is ${which}.`;
    // Whoever looks for it goes through the orders one by one until it is found.
    return { words, answer, fits: ids, looked: user.orders.slice(0, user.orders.indexOf(id) + 1) };
  };
  const peers = mine.filter(({ status }) => status === order.status);
  const superlative = (words: string, measure: (other: Order) => number): OrderReference => {
    const most = Math.max(...peers.map(measure));
    const found = described(words, words, (other) => peers.includes(other) && measure(other) === most);
    return { ...found, fits: peers.length > 1 ? found.fits : [], looked: user.orders };
  };
  const { status, address } = order;
  const ways = [
    described(`my order with the ${item.name}`, `the one with the ${item.name}`, ({ items }) =>
      items.some(({ name }) => name === item.name),
    ),
    described(`the order of mine that is ${status}`, `the one that is ${status}`, (other) => other.status === status),
    described(
      `my order that goes to ${address.city}`,
      `the one that goes to ${address.city}`,
      (other) => !amid && other.address.city === address.city,
    ),
    superlative(`my most expensive ${status} order`, amountOf),
    superlative(`my cheapest ${status} order`, (other) => -amountOf(other)),
    superlative(`my ${status} order with the most items`, ({ items }) => items.length),
    ...(mine.length === 1 ? [described("my only order", "the only one that I have", () => true)] : []),
  ];
  const unique = ways.filter(({ fits }) => fits.length === 1 && fits[0] === id);
  return unique.length ? random.pick(unique) : named;
}

/** What an order cost when it was placed, in dollars. */
export function amountOf({ payment_history }: Order): number {
  return payment_history[0].amount;
}

/** An item of an order by its name, and by its options too where the order has the product twice. */
export function itemOf({ items }: Order, item: Item): Reference<string> {
  const named = items.filter(({ name }) => name === item.name);
  const apart = Object.entries(item.options).filter(([option, value]) =>
    named.every((other) => other === item || other.options[option] !== value),
  );
  // One option is enough that no other has; else all of them.
  const options = named.length === 1 ? [] : apart.length ? apart.slice(0, 1) : Object.entries(item.options);
  const words = `the ${item.name}${options.length ? ` with ${spellOptions(options)}` : ""}`;
  const fits = named.filter((other) => options.every(([option, value]) => other.options[option] === value));
  return { words, answer: `${capital(words)}.`, fits: fits.map(({ item_id }) => item_id) };
}

/** "color red, size M and lining mesh" */
export function spellOptions(options: readonly (readonly [option: string, value: string])[]): string {
  return list(options.map(([option, value]) => `${option} ${value}`));
}

/**
 * Another variant of an item's product: by one option that changes, alone ("one with color red", whatever the rest) or
 * with the rest as it was, by two of them, by all options, or as the cheapest or dearest that can be had. All variants
 * that the words fit are named, in stock or not. "gone": one that cannot be had; "dear": the most expensive.
 */
export function targetOf(tables: Tables, item: Item, random: Random, kind?: "gone" | "dear") {
  const [gone, dear] = [kind === "gone", kind === "dear"];
  const variants = Object.values(tables.products[item.product_id].variants);
  const others = variants.filter(({ item_id }) => item_id !== item.item_id);
  const reference = (words: string, fits: readonly Variant[]) => {
    const found = fits.filter(({ available }) => available !== gone);
    // What is gone has to be the only thing that the words fit; what can be had, the only one in stock.
    if (found.length !== 1 || (gone && fits.length !== 1)) return null;
    return { words, answer: `${words}.`, fits: fits.map(({ item_id }) => item_id), variant: found[0] };
  };
  /** The only one of some at an end of their prices. */
  const edge = (what: string, some: readonly Variant[]) => {
    const stock = some.filter(({ available }) => available);
    const [lowest, highest] = [Math.min, Math.max].map((end) => end(...stock.map(({ price }) => price)));
    const isLow = random.chance(0.5) && !dear;
    const words = `the ${isLow ? "cheapest" : "most expensive"} ${what} that you have in stock`;
    const price = isLow ? lowest : highest;
    return reference(
      words,
      stock.filter((variant) => variant.price === price),
    );
  };
  if (dear || (!gone && random.chance(0.2))) return edge("other one", others);
  for (const other of random.shuffle(others)) {
    const options = Object.entries(other.options);
    const changed = options.filter(([option, value]) => item.options[option] !== value);
    const [[option, value]] = changed;
    const loose = others.filter(({ options }) => options[option] === value);
    const way = random.float();
    const found =
      changed.length <= 2 && (gone || way < 0.4)
        ? reference(`${random.pick(["the same one but", "one just like it but"])} with ${spellOptions(changed)}`, [
            other,
          ])
        : gone || way < 0.6
          ? reference(`the one with ${spellOptions(options)}`, [other])
          : way < 0.8
            ? edge(`one with ${option} ${value}`, loose)
            : reference(`one with ${option} ${value} that you have in stock`, loose);
    if (found) return found;
  }
  return null;
}

export function methodsOf(user: User): Method[] {
  return Object.values(user.payment_methods);
}

/** A payment method by its kind and number, by its kind alone, or by whether the order was paid with it. */
export function methodOf({ user, order, random, easy }: Scene, method: Method): Reference<string> {
  const methods = methodsOf(user);
  const by = (words: string, test: (other: Method) => boolean): Reference<string> => {
    const fits = methods.filter(test).map(({ id }) => id);
    return { words, answer: `${capital(words)}.`, fits };
  };
  const label = labelOf(method);
  const labelled = by(label, (other) => labelOf(other) === label);
  if (easy || random.chance(0.4)) return labelled;
  const used = order.payment_history[0].payment_method_id;
  const ways: Reference<string>[] = [];
  if (user.orders.includes(order.order_id) && method.id === used)
    ways.push(by("what I paid with", ({ id }) => id === used));
  if (user.orders.includes(order.order_id) && method.id !== used)
    ways.push(by("the other payment method in my account", ({ id }) => id !== used));
  if (method.source === "credit_card") {
    ways.push(by("my credit card", ({ source }) => source === "credit_card"));
    ways.push(by(`my ${method.brand}`, (other) => other.source === "credit_card" && other.brand === method.brand));
  }
  const unique = ways.filter(({ fits }) => fits.length === 1);
  return unique.length ? random.pick(unique) : labelled;
}

/** How a customer calls a payment method. */
export function labelOf(method: Method): string {
  if (method.source === "gift_card") return "my gift card";
  if (method.source === "paypal") return "my PayPal account";
  return `my ${method.brand} ending in ${method.last_four}`;
}
