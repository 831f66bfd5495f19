// Retail's goals: one thing that a customer wants, in words, with every list of calls that the words admit. Builders take
// an order as it is; whether the goal is allowed, and unique in its words, is proven afterwards (plans.ts).
// How things are named is references.ts.
//
// `flaw` asks for the refusal twin: the same goal with exactly one rule broken.

import type { Random } from "../../random.ts";
import { capital, list } from "../expert.ts";
import { combinations, type Detail, type Goal, NOTHING, write } from "../goals.ts";
import { type Address, makeAddress } from "../people.ts";
import type { Item, Method, Order, Tables, User } from "./data.ts";
import { itemOf, labelOf, methodOf, methodsOf, orderOf, targetOf } from "./references.ts";

export interface Scene {
  readonly tables: Tables;
  readonly userId: string;
  readonly user: User;
  readonly order: Order;
  readonly random: Random;
  /** Orders are named by their ids. */
  readonly easy: boolean;
  readonly flaw?: "stock" | "balance" | "refund";
}

type Build = (scene: Scene) => Goal | null;

const REASONS = [
  ["no longer needed", "because I no longer need it", "I no longer need it.", "I ordered it by mistake."],
  ["ordered by mistake", "because I ordered it by mistake", "I ordered it by mistake.", "I no longer need it."],
] as const;

export const build = {
  cancel(scene) {
    const [reason, said, answer, slip] = scene.random.pick(REASONS);
    const order = orderOf(scene);
    return {
      ...about(order),
      want: `cancel ${order.words}`,
      details: { reason: { said, answer, slip } },
      readings: order.fits.map((order_id) => [write("cancel_pending_order", { order_id, reason })]),
    };
  },

  address(scene) {
    const order = orderOf(scene);
    const address = makeAddress(scene.random);
    return {
      ...about(order),
      want: `have ${order.words} sent to another address`,
      details: { address: addressDetail(address, scene.random) },
      readings: order.fits.map((order_id) => [write("modify_pending_order_address", { order_id, ...address })]),
    };
  },

  profile({ userId, random }) {
    const address = makeAddress(random);
    return {
      ...NOTHING,
      want: "change the address in my profile",
      details: { address: addressDetail(address, random) },
      readings: [[write("modify_user_address", { user_id: userId, ...address })]],
    };
  },

  payment(scene) {
    const { order, user, random, flaw } = scene;
    const { payment_method_id: used, amount } = order.payment_history[0];
    const others = methodsOf(user).filter((method) => method.id !== used);
    const fits = others.filter((method) => isShort(method, amount) === (flaw === "balance"));
    if (fits.length === 0) return null;
    const method = methodOf(scene, random.pick(fits));
    const whole = orderOf(scene);
    return {
      ...about(whole),
      want: `pay for ${whole.words} in another way`,
      details: {
        payment: {
          said: `with ${method.words}`,
          answer: `With ${method.words}, please.`,
          slip: `With ${labelOf(methodsOf(user).find(({ id }) => id === used)!)}, please.`,
        },
      },
      readings: combinations([whole.fits, method.fits]).map(([order_id, payment_method_id]) => [
        write("modify_pending_order_payment", { order_id, payment_method_id }),
      ]),
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
    const method = methodOf(scene, random.pick(fits));
    const everything = random.chance(0.2) && order.items.length > 1;
    const items = everything ? order.items : random.shuffle(order.items).slice(0, 1 + random.int(order.items.length));
    const whole = orderOf(scene, items[0]);
    const parts = items.map((item) => itemOf(order, item));
    const names = everything ? "everything" : list(parts.map(({ words }) => words));
    return {
      ...about(whole),
      want: `return ${everything ? `everything in ${whole.words}` : partOf(whole.words, names, items.length)}`,
      details: {
        payment: {
          said: `with the refund to ${method.words}`,
          answer: `The refund should go to ${method.words}.`,
          ...slipOf(user, method.words, (other) => `The refund should go to ${other}.`),
        },
      },
      facts: { ...about(whole).facts, items: `${capital(names)}.` },
      readings: combinations([whole.fits, method.fits, ...parts.map((part) => part.fits)]).map(
        ([order_id, payment_method_id, ...item_ids]) => [
          write("return_delivered_order_items", { order_id, item_ids, payment_method_id }),
        ],
      ),
    };
  },
} satisfies Readonly<Record<string, Build>>;

export type Kind = keyof typeof build;

/** Changes one or two items to other variants of the same products. */
function swap(scene: Scene, name: string, verb: string): Goal | null {
  const { tables, order, user, random, flaw } = scene;
  const wanted = random.chance(0.3) ? 2 : 1;
  const swaps: { item: Item; from: ReturnType<typeof itemOf>; to: NonNullable<ReturnType<typeof targetOf>> }[] = [];
  for (const item of random.shuffle(order.items)) {
    const to = targetOf(tables, item, random, flaw === "stock" && swaps.length === 0);
    if (to && swaps.length < wanted) swaps.push({ item, from: itemOf(order, item), to });
  }
  if (swaps.length === 0) return null;
  const difference = swaps.reduce((sum, { item, to }) => sum + to.variant.price - item.price, 0);
  const methods = methodsOf(user).filter((method) => !isShort(method, difference + 0.01));
  if (methods.length === 0) return null;
  const method = methodOf(scene, random.pick(methods));
  const whole = orderOf(scene, swaps[0].item);
  const names = list(swaps.map(({ from }) => from.words));
  const wishes = list(swaps.map(({ from, to }) => (swaps.length > 1 ? `${from.words} for ${to.words}` : to.words)));
  const ways = combinations([
    whole.fits,
    method.fits,
    ...swaps.map(({ from }) => from.fits),
    ...swaps.map(({ to }) => to.fits),
  ]);
  return {
    ...about(whole),
    want: `${verb} ${partOf(whole.words, names, swaps.length)}`,
    details: {
      option: { said: swaps.length > 1 ? `namely ${wishes}` : `for ${wishes}`, answer: `${capital(wishes)}, please.` },
      payment: {
        said: `settling the difference with ${method.words}`,
        answer: `Settle the difference with ${method.words}.`,
        ...slipOf(user, method.words, (other) => `Settle the difference with ${other}.`),
      },
    },
    facts: { ...about(whole).facts, items: `${capital(names)}, nothing else.` },
    lookups: [
      ...about(whole).lookups,
      ...[...new Set(swaps.map(({ item }) => item.product_id))].map((product_id) =>
        write("get_product_details", { product_id }),
      ),
    ],
    readings: ways.map(([order_id, payment_method_id, ...ids]) => [
      write(name, {
        order_id,
        item_ids: ids.slice(0, swaps.length),
        new_item_ids: ids.slice(swaps.length),
        payment_method_id,
      }),
    ]),
  };
}

/** What a goal about an order has to look at, and what the customer answers about that order. */
export function about(whole: ReturnType<typeof orderOf>): Pick<Goal, "details" | "facts" | "lookups" | "readings"> {
  return {
    ...NOTHING,
    facts: { order: whole.answer },
    lookups: whole.looked.map((order_id) => write("get_order_details", { order_id })),
  };
}

/** An address in one line. */
export function spell({ address1, address2, city, state, zip, country }: Address): string {
  return [address1, address2, city, `${state} ${zip}`, country].filter(Boolean).join(", ");
}

function addressDetail(address: Address, random: Random): Detail {
  return {
    said: `to ${spell(address)}`,
    answer: `The new address is ${spell(address)}.`,
    slip: `The new address is ${spell(makeAddress(random))}.`,
  };
}

/** Another payment method of the customer, for those who correct themselves. */
function slipOf(user: User, words: string, sentence: (label: string) => string): { slip?: string } {
  const other = methodsOf(user)
    .map(labelOf)
    .find((label) => label !== words);
  return other ? { slip: sentence(other) } : {};
}

/** "the Umbrella of order #R123456"; a single item describes its order by itself. */
function partOf(whole: string, names: string, count: number): string {
  return count === 1 && whole.startsWith("my order with") ? `${names} that I ordered` : `${names} of ${whole}`;
}

function isShort(method: Method, amount: number): boolean {
  return method.source === "gift_card" && method.balance < amount;
}
