// How retail's customers name things: an order, an item, another variant of it, a payment method. Each reference holds the
// words and everything in the data that they fit, so that what is ambiguous shows. Test: test/unit/retail.test.ts

import type { Random } from "../../random.ts";
import type { Reference } from "../goals.ts";
import type { Item, Method, Tables, User, Variant } from "./data.ts";
import type { Scene } from "./goals.ts";

/** An order, with the orders that an expert has to look at to know which one is meant. */
export interface OrderReference extends Reference<string> {
  readonly looked: readonly string[];
}

/**
 * The scene's order by its id, or described in words that fit it: by an item, its status, or where it goes. A stranger's
 * order is always named by its id. `item`: one that the goal is about anyway.
 */
export function orderOf(scene: Scene, item = scene.random.pick(scene.order.items)): OrderReference {
  const { tables, user, order, random, easy } = scene;
  const id = order.order_id;
  const named = { words: `order ${id}`, answer: `It is order ${id}.`, fits: [id], looked: [id] };
  if (!user.orders.includes(id)) return { ...named, words: `order ${id} of a friend` };
  if (easy || random.chance(0.4)) return named;
  const described = (words: string, answer: string, test: (other: typeof order) => boolean): OrderReference => {
    const fits = user.orders.filter((other) => test(tables.orders[other]));
    // Whoever looks for it goes through the orders one by one until it is found.
    return { words, answer, fits, looked: user.orders.slice(0, user.orders.indexOf(id) + 1) };
  };
  const ways = [
    described(
      `my order with the ${item.name}`,
      `I do not know its number. It is the one with the ${item.name}.`,
      (other) => other.items.some(({ name }) => name === item.name),
    ),
    described(
      `the order of mine that is ${order.status}`,
      `I do not have the number. It is the one that is ${order.status}.`,
      (other) => other.status === order.status,
    ),
    described(
      `my order that goes to ${order.address.city}`,
      `I do not have the number. It is the one that goes to ${order.address.city}.`,
      (other) => other.address.city === order.address.city,
    ),
  ];
  const unique = ways.filter(({ fits }) => fits.length === 1);
  return unique.length ? random.pick(unique) : named;
}

/** An item of an order by its name, and by its options too where the order has the product twice. */
export function itemOf({ items }: Scene["order"], item: Item): Reference<string> {
  const named = items.filter(({ name }) => name === item.name);
  const options = Object.entries(item.options).map(([option, value]) => `${option} ${value}`);
  const words = named.length > 1 ? `the ${item.name} with ${options.join(", ")}` : `the ${item.name}`;
  const same = (other: Item) =>
    Object.entries(item.options).every(([option, value]) => other.options[option] === value);
  const fits = named.length > 1 ? named.filter(same) : named;
  return { words, answer: `${words[0].toUpperCase()}${words.slice(1)}.`, fits: fits.map(({ item_id }) => item_id) };
}

/**
 * Another variant of an item's product: by one option that changes, alone ("one with color red", whatever the rest) or
 * with the rest as it was, or as the cheapest or dearest that can be had. All variants that the words fit are named, in
 * stock or not. `gone`: one that cannot be had.
 */
export function targetOf(tables: Tables, item: Item, random: Random, gone: boolean) {
  const variants = Object.values(tables.products[item.product_id].variants);
  const others = variants.filter(({ item_id }) => item_id !== item.item_id);
  const reference = (words: string, fits: readonly Variant[]) => {
    const found = fits.filter(({ available }) => available !== gone);
    // What is gone has to be the only thing that the words fit; what can be had, the only one in stock.
    if (found.length !== 1 || (gone && fits.length !== 1)) return null;
    return { words, answer: `${words}.`, fits: fits.map(({ item_id }) => item_id), variant: found[0] };
  };
  if (!gone && random.chance(0.2)) {
    const stock = others.filter(({ available }) => available).sort((a, b) => a.price - b.price);
    const [words, edge] = random.pick([
      ["the cheapest other one that you have in stock", stock[0]],
      ["the most expensive other one that you have in stock", stock.at(-1)],
    ] as const);
    return edge
      ? reference(
          words,
          stock.filter(({ price }) => price === edge.price),
        )
      : null;
  }
  for (const option of random.shuffle(Object.keys(item.options)))
    for (const value of random.shuffle([...new Set(others.map(({ options }) => options[option]))])) {
      if (value === item.options[option]) continue;
      const loose = others.filter(({ options }) => options[option] === value);
      const same = loose.filter(({ options }) =>
        Object.keys(options).every((other) => other === option || options[other] === item.options[other]),
      );
      const found =
        gone || random.chance(0.5)
          ? reference(`the same one but with ${option} ${value}`, same)
          : reference(`one with ${option} ${value} that you have in stock`, loose);
      if (found) return found;
    }
  return null;
}

export function methodsOf(user: User): Method[] {
  return Object.values(user.payment_methods);
}

/** A payment method by its kind and number, or as the one that the order was paid with. */
export function methodOf({ user, order, random }: Scene, method: Method): Reference<string> {
  const label = labelOf(method);
  const fits = methodsOf(user).filter((other) => labelOf(other) === label);
  const used = order.payment_history[0].payment_method_id;
  if (method.id === used && user.orders.includes(order.order_id) && random.chance(0.4))
    return { words: "what I paid with", answer: "What I paid with.", fits: [used] };
  return { words: label, answer: `${label[0].toUpperCase()}${label.slice(1)}.`, fits: fits.map(({ id }) => id) };
}

/** How a customer calls a payment method. */
export function labelOf(method: Method): string {
  if (method.source === "gift_card") return "my gift card";
  if (method.source === "paypal") return "my PayPal account";
  return `my ${method.brand} ending in ${method.last_four}`;
}
