// Retail's errands: one thing that a customer wants, in words, with the calls that serve it. Builders take an order as it
// is; whether the errand is allowed, and unique in its words, is proven afterwards (plans.ts).
//
// `flaw` asks for the refusal twin: the same errand with exactly one rule broken.

import type { Random } from "../../random.ts";
import type { Json } from "../../types.ts";
import {
  type Address,
  type Item,
  type Method,
  makeAddress,
  type Order,
  type Tables,
  type User,
  type Variant,
} from "./data.ts";

export interface Action {
  readonly name: string;
  readonly arguments: { readonly [name: string]: Json };
}

export interface Errand {
  /** What is wanted, after "I would like to"; in the first person. */
  readonly want: string;
  /** Parts of it that the customer may leave out until asked: how they follow `want`, and the answer. */
  readonly details: { readonly [slot: string]: { readonly said: string; readonly answer: string } };
  /** What the customer answers when asked for the order, the items and the like again. */
  readonly facts: { readonly [slot: string]: string };
  /** For each thing that the words single out: every id that they fit. Unique where each list has one. */
  readonly choices: readonly (readonly string[])[];
  /** What has to be looked at. */
  readonly orders: readonly string[];
  readonly products: readonly string[];
  readonly action: Action;
}

export interface Scene {
  readonly tables: Tables;
  readonly userId: string;
  readonly user: User;
  readonly order: Order;
  readonly random: Random;
  readonly flaw?: "stock" | "balance" | "refund";
}

/** An errand that looks at nothing and leaves nothing to ask for. */
export const NOTHING: Omit<Errand, "want" | "action"> = {
  details: {},
  facts: {},
  choices: [],
  orders: [],
  products: [],
};

type Build = (scene: Scene) => Errand | null;

export const build = {
  cancel(scene) {
    const { order, random } = scene;
    const [reason, said, answer] = random.pick([
      ["no longer needed", "because I no longer need it", "I no longer need it."],
      ["ordered by mistake", "because I ordered it by mistake", "I ordered it by mistake."],
    ]);
    const whole = wholeOrder(scene);
    return {
      ...about(order, whole),
      want: `cancel ${whole.words}`,
      details: { reason: { said, answer } },
      action: { name: "cancel_pending_order", arguments: { order_id: order.order_id, reason } },
    };
  },

  address(scene) {
    const whole = wholeOrder(scene);
    const address = makeAddress(scene.random);
    return {
      ...about(scene.order, whole),
      want: `have ${whole.words} sent to another address`,
      details: { address: { said: `to ${spell(address)}`, answer: `The new address is ${spell(address)}.` } },
      action: { name: "modify_pending_order_address", arguments: { order_id: scene.order.order_id, ...address } },
    };
  },

  profile({ userId, random }) {
    const address = makeAddress(random);
    return {
      ...NOTHING,
      want: "change the address in my profile",
      details: { address: { said: `to ${spell(address)}`, answer: `The new address is ${spell(address)}.` } },
      action: { name: "modify_user_address", arguments: { user_id: userId, ...address } },
    };
  },

  payment(scene) {
    const { order, user, random, flaw } = scene;
    const { payment_method_id: used, amount } = order.payment_history[0];
    const others = methodsOf(user).filter((method) => method.id !== used);
    const fits = others.filter((method) => isShort(method, amount) === (flaw === "balance"));
    if (fits.length === 0) return null;
    const method = random.pick(fits);
    const whole = wholeOrder(scene);
    return {
      ...about(order, whole, [methodChoice(user, method)]),
      want: `pay for ${whole.words} in another way`,
      details: { payment: { said: `with ${labelOf(method)}`, answer: `With ${labelOf(method)}, please.` } },
      action: {
        name: "modify_pending_order_payment",
        arguments: { order_id: order.order_id, payment_method_id: method.id },
      },
    };
  },

  items: (scene) => swap(scene, "modify_pending_order_items", "change"),
  exchange: (scene) => swap(scene, "exchange_delivered_order_items", "exchange"),

  return(scene) {
    const { order, user, random, flaw } = scene;
    const used = order.payment_history[0].payment_method_id;
    const isAllowed = (method: Method) => method.id === used || method.source === "gift_card";
    const fits = methodsOf(user).filter((method) => isAllowed(method) === (flaw !== "refund"));
    if (fits.length === 0) return null;
    const method = random.pick(fits);
    const items = random.shuffle(order.items).slice(0, 1 + random.int(order.items.length));
    const whole = wholeOrder(scene, items[0]);
    const names = list(items.map((item) => `the ${item.name}`));
    return {
      ...about(order, whole, [methodChoice(user, method), ...items.map((item) => itemChoice(order, item))]),
      want: `return ${partOf(whole, names, items.length)}`,
      details: {
        payment: {
          said: `with the refund to ${labelOf(method)}`,
          answer: `The refund should go to ${labelOf(method)}.`,
        },
      },
      facts: { ...about(order, whole).facts, items: `${capital(names)}.` },
      action: {
        name: "return_delivered_order_items",
        arguments: {
          order_id: order.order_id,
          item_ids: items.map((item) => item.item_id),
          payment_method_id: method.id,
        },
      },
    };
  },
} satisfies Readonly<Record<string, Build>>;

/** Changes one or two items to other variants of the same products. */
function swap(scene: Scene, name: string, verb: string): Errand | null {
  const { tables, order, user, random, flaw } = scene;
  const wanted = random.chance(0.3) ? 2 : 1;
  const swaps: { item: Item; variant: Variant; words: string; fits: string[] }[] = [];
  for (const item of random.shuffle(order.items)) {
    const target = targetOf(tables, item, random, flaw === "stock" && swaps.length === 0);
    if (target && swaps.length < wanted) swaps.push({ item, ...target });
  }
  if (swaps.length === 0) return null;
  const difference = swaps.reduce((sum, { item, variant }) => sum + variant.price - item.price, 0);
  const methods = methodsOf(user).filter((method) => !isShort(method, difference + 0.01));
  if (methods.length === 0) return null;
  const method = random.pick(methods);
  const whole = wholeOrder(scene, swaps[0].item);
  const names = list(swaps.map(({ item }) => `the ${item.name}`));
  const wishes = list(swaps.map(({ item, words }) => (swaps.length > 1 ? `the ${item.name} for ${words}` : words)));
  const base = about(order, whole, [
    methodChoice(user, method),
    ...swaps.flatMap(({ item, fits }) => [itemChoice(order, item), fits]),
  ]);
  return {
    ...base,
    want: `${verb} ${partOf(whole, names, swaps.length)}`,
    details: {
      option: { said: swaps.length > 1 ? `namely ${wishes}` : `for ${wishes}`, answer: `${capital(wishes)}, please.` },
      payment: {
        said: `settling the difference with ${labelOf(method)}`,
        answer: `Settle the difference with ${labelOf(method)}.`,
      },
    },
    facts: { ...base.facts, items: `${capital(names)}, nothing else.` },
    products: swaps.map(({ item }) => item.product_id),
    action: {
      name,
      arguments: {
        order_id: order.order_id,
        item_ids: swaps.map(({ item }) => item.item_id),
        new_item_ids: swaps.map(({ variant }) => variant.item_id),
        payment_method_id: method.id,
      },
    },
  };
}

/**
 * A variant to swap an item for, described by one option that changes: either alone ("one with color red", whatever
 * the rest) or with the rest as it was. Only words that fit a single variant are used. `gone`: none that can be had.
 */
function targetOf(tables: Tables, item: Item, random: Random, gone: boolean) {
  const variants = Object.values(tables.products[item.product_id].variants).filter(
    ({ item_id }) => item_id !== item.item_id,
  );
  for (const option of random.shuffle(Object.keys(item.options)))
    for (const value of random.shuffle([...new Set(variants.map(({ options }) => options[option]))])) {
      if (value === item.options[option]) continue;
      const loose = variants.filter(({ options }) => options[option] === value);
      const same = loose.filter(({ options }) =>
        Object.keys(options).every((other) => other === option || options[other] === item.options[other]),
      );
      const keeps = gone || random.chance(0.5);
      const fits = (keeps ? same : loose).filter(({ available }) => available || gone);
      if (fits.length !== 1 || fits[0].available === gone) continue;
      const words = keeps ? `the same one but with ${option} ${value}` : `one with ${option} ${value}`;
      return { variant: fits[0], words, fits: fits.map(({ item_id }) => item_id) };
    }
  return null;
}

/** "the Umbrella of order #R123456"; a single item describes its order by itself. */
function partOf(whole: Whole, names: string, count: number): string {
  return count === 1 && whole.words.startsWith("my") ? `${names} that I ordered` : `${names} of ${whole.words}`;
}

export interface Whole {
  readonly words: string;
  readonly answer: string;
  readonly fits: readonly string[];
}

/** The order by its id, which a stranger's always is, or (half of the time) by an item in it, where no other order of the customer has that item. */
export function wholeOrder({ tables, user, order, random }: Scene, item = random.pick(order.items)): Whole {
  const named = { words: `order ${order.order_id}`, answer: `It is order ${order.order_id}.`, fits: [order.order_id] };
  if (!user.orders.includes(order.order_id)) return { ...named, words: `order ${order.order_id} of a friend` };
  const fits = user.orders.filter((id) => tables.orders[id].items.some(({ name }) => name === item.name));
  if (random.chance(0.5) || fits.length !== 1 || fits[0] !== order.order_id) return named;
  return {
    words: `my order with the ${item.name}`,
    answer: `I do not know its number. It is the one with the ${item.name}.`,
    fits,
  };
}

/** What an errand on one order has to look at, and what the customer answers about that order. */
export function about(order: Order, whole: Whole, choices: Errand["choices"] = []): Omit<Errand, "want" | "action"> {
  return { ...NOTHING, facts: { order: whole.answer }, choices: [whole.fits, ...choices], orders: [order.order_id] };
}

export function methodsOf(user: User): Method[] {
  return Object.values(user.payment_methods);
}

/** How a customer calls a payment method. */
export function labelOf(method: Method): string {
  if (method.source === "gift_card") return "my gift card";
  if (method.source === "paypal") return "my PayPal account";
  return `my ${method.brand} ending in ${method.last_four}`;
}

/** An address in one line. */
export function spell({ address1, address2, city, state, zip, country }: Address): string {
  return [address1, address2, city, `${state} ${zip}`, country].filter(Boolean).join(", ");
}

/** "a", "a and b", "a, b and c" */
export function list(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join() : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

export function capital(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}

function isShort(method: Method, amount: number): boolean {
  return method.source === "gift_card" && method.balance < amount;
}

function methodChoice(user: User, method: Method): string[] {
  return methodsOf(user).flatMap((other) => (labelOf(other) === labelOf(method) ? [other.id] : []));
}

function itemChoice(order: Order, item: Item): string[] {
  return order.items.flatMap((other) => (other.name === item.name ? [other.item_id] : []));
}
