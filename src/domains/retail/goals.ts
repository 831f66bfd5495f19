// Retail's goals: one thing that a customer wants, in words, with every list of calls that the words admit. Builders take
// an order as it is; whether the goal is allowed, and unique in its words, is proven afterwards (plans.ts).
// How things are named is references.ts.
//
// `flaw` asks for the refusal twin: the same goal with exactly one rule broken.

import type { Random } from "../../random.ts";
import { capital, list } from "../expert.ts";
import { combinations, type Detail, type Goal, NOTHING, permutations, write } from "../making/goals.ts";
import { type Address, makeAddress } from "../making/people.ts";
import type { Item, Method, Order, Tables, User } from "./data.ts";
import { amountOf, itemOf, labelOf, methodOf, methodsOf, orderOf, spellOptions, targetOf } from "./references.ts";

export interface Scene {
  readonly tables: Tables;
  readonly userId: string;
  readonly user: User;
  readonly order: Order;
  readonly random: Random;
  /** Orders are named by their ids. */
  readonly easy: boolean;
  readonly flaw?: Flaw;
  /** One of several goals: nothing is named by what another one could change. */
  readonly amid?: boolean;
}

/** The one thing that is wrong with a goal. */
export type Flaw = "reason" | "stock" | "product" | "same" | "balance" | "used" | "refund";

type Build = (scene: Scene) => Goal | null;

interface Reason {
  readonly reason: string;
  readonly said: readonly string[];
  readonly answer: string;
}

const REASONS: readonly Reason[] = [
  {
    reason: "no longer needed",
    said: ["because I no longer need it", "as I do not need it any more", "since I have no need of it any longer"],
    answer: "I no longer need it.",
  },
  {
    reason: "ordered by mistake",
    said: ["because I ordered it by mistake", "as I placed it by mistake", "since I ordered it by accident"],
    answer: "I ordered it by mistake.",
  },
];
/** Neither of the two that count. */
const OTHER_REASONS: readonly Reason[] = [
  {
    reason: "found it cheaper",
    said: ["because I found it cheaper elsewhere"],
    answer: "I found it cheaper elsewhere.",
  },
  {
    reason: "takes too long",
    said: ["because I have to wait for it too long"],
    answer: "I have waited for it too long.",
  },
  { reason: "bad reviews", said: ["because others advised me against it"], answer: "Others advised me against it." },
];
/** A reason for several orders. */
const plural = (text: string) => text.replace(/\bit\b/, "them");

export const build = {
  cancel(scene) {
    const { tables, user, order, random, easy, flaw } = scene;
    const { reason, said, answer } = random.pick(flaw === "reason" ? OTHER_REASONS : REASONS);
    const slip = REASONS.find((other) => other.reason !== reason)!.answer;
    const detail: Detail = { said: random.pick(said), answer, slip };
    const cancel = (order_id: string) => write("cancel_pending_order", { order_id, reason });
    const pending = user.orders.filter((id) => tables.orders[id].status === "pending");
    const some = pending.length > 1 && pending.length < 5 && pending.includes(order.order_id);
    if (some && !flaw && !easy && random.chance(0.15))
      return {
        want: `cancel ${random.pick(["all my pending orders", "every order of mine that is still pending"])}`,
        details: { reason: { said: plural(detail.said), answer: plural(answer), slip: plural(slip) } },
        facts: { order: "I mean all that are pending." },
        lookups: user.orders.map((order_id) => write("get_order_details", { order_id })),
        readings: permutations(pending).map((ids) => ids.map(cancel)),
      };
    const whole = orderOf(scene);
    return {
      ...about(whole),
      want: random.pick([`cancel ${whole.words}`, `have ${whole.words} cancelled`]),
      details: { reason: detail },
      readings: whole.fits.map((id) => [cancel(id)]),
    };
  },

  address(scene) {
    const { user, order, random } = scene;
    const whole = orderOf(scene);
    const address = newAddress(scene, order.address, "the one in my profile", user.address);
    return {
      ...about(whole),
      want: random.pick([
        `have ${whole.words} sent to another address`,
        `change the shipping address of ${whole.words}`,
      ]),
      details: { address: address.detail },
      readings: whole.fits.map((order_id) => [write("modify_pending_order_address", { order_id, ...address.value })]),
    };
  },

  profile(scene) {
    const { userId, user, order, random } = scene;
    const whole = orderOf(scene);
    const address = newAddress(scene, user.address, `the one that ${whole.words} goes to`, order.address);
    return {
      ...(address.copied ? about(whole) : NOTHING),
      want: random.pick(["change the address in my profile", "update my default address", "correct my own address"]),
      details: { address: address.detail },
      readings: [[write("modify_user_address", { user_id: userId, ...address.value })]],
    };
  },

  payment(scene) {
    const { order, user, random, flaw } = scene;
    const used = order.payment_history[0].payment_method_id;
    const fits = methodsOf(user).filter(
      (method) =>
        (method.id === used) === (flaw === "used") && isShort(method, amountOf(order)) === (flaw === "balance"),
    );
    if (fits.length === 0) return null;
    const method = methodOf(scene, random.pick(fits));
    const whole = orderOf(scene);
    return {
      ...about(whole),
      want: random.pick([`pay for ${whole.words} in another way`, `change the payment method of ${whole.words}`]),
      details: {
        payment: {
          said: `${random.pick(["with", "using"])} ${method.words}`,
          answer: `With ${method.words}, please.`,
          ...slipOf(user, method, (label) => `With ${label}, please.`),
        },
      },
      readings: combinations([whole.fits, method.fits]).map(([order_id, payment_method_id]) => [
        write("modify_pending_order_payment", { order_id, payment_method_id }),
      ]),
    };
  },

  items: (scene) => swap(scene, "modify_pending_order_items", ["change", "replace"]),
  exchange: (scene) => swap(scene, "exchange_delivered_order_items", ["exchange", "swap"]),

  return(scene) {
    const { order, user, random, flaw } = scene;
    const used = order.payment_history[0].payment_method_id;
    const isAllowed = (method: Method) => method.id === used || method.source === "gift_card";
    const fits = methodsOf(user).filter((method) => isAllowed(method) === (flaw !== "refund"));
    if (fits.length === 0) return null;
    const method = methodOf(scene, random.pick(fits));
    const { items, names, choices, isWhole } = someItems(order, random);
    const whole = orderOf(scene, items[0]);
    return {
      ...about(whole),
      want: `${random.pick(["return", "send back"])} ${isWhole ? `${names} in ${whole.words}` : partOf(whole.words, names, items.length)}`,
      details: {
        payment: {
          said: `with the ${random.pick(["refund", "money"])} ${random.pick(["to", "going to"])} ${method.words}`,
          answer: `The refund should go to ${method.words}.`,
          ...slipOf(user, method, (label) => `The refund should go to ${label}.`),
        },
      },
      facts: { ...about(whole).facts, items: `${capital(names)}.` },
      readings: whole.fits.flatMap((order_id) =>
        method.fits.flatMap((payment_method_id) =>
          choices.map((item_ids) => [write("return_delivered_order_items", { order_id, item_ids, payment_method_id })]),
        ),
      ),
    };
  },
} satisfies Readonly<Record<string, Build>>;

export type Kind = keyof typeof build;

/** Items of an order in words, with each list of ids that they fit: all, all but one, or those that are named. */
function someItems(order: Order, random: Random) {
  const ids = order.items.map(({ item_id }) => item_id);
  const way = random.float();
  if (ids.length > 1 && way < 0.2)
    return { items: order.items, names: random.pick(["everything", "all items"]), choices: [ids], isWhole: true };
  if (ids.length > 2 && way < 0.4) {
    const kept = itemOf(order, random.pick(order.items));
    const choices = kept.fits.map((id) => ids.filter((other) => other !== id));
    return { items: order.items, names: `everything but ${kept.words}`, choices, isWhole: true };
  }
  const items = random.shuffle(order.items).slice(0, 1 + random.int(order.items.length));
  const parts = items.map((item) => itemOf(order, item));
  const names = list(parts.map(({ words }) => words));
  return { items, names, choices: combinations(parts.map(({ fits }) => fits)), isWhole: false };
}

/** Changes one to three items to other variants of the same products. */
function swap(scene: Scene, name: string, verbs: readonly string[]): Goal | null {
  const { tables, order, user, random, flaw } = scene;
  // Beside an item that cannot be had there is none that can: half of a wish would be nobody's guess.
  const isSingle = flaw === "stock" || flaw === "same" || flaw === "product";
  const wanted = !isSingle && (flaw === "balance" || random.chance(0.3)) ? 2 + random.int(2) : 1;
  const swaps: { item: Item; from: ReturnType<typeof itemOf>; to: NonNullable<ReturnType<typeof replacement>> }[] = [];
  for (const item of random.shuffle(order.items)) {
    const to = swaps.length < wanted && replacement(tables, item, random, flaw);
    // Tools that change one line after the other cannot tell a new item from one that was there.
    const isThere = to && !flaw && order.items.some(({ item_id }) => item_id === to.variant.item_id);
    if (to && !isThere) swaps.push({ item, from: itemOf(order, item), to });
  }
  if (swaps.length === 0) return null;
  // Where a sum of floats depends on the order in which items are listed, there are less of them.
  const sum = (some: typeof swaps) => some.reduce((sum, { item, to }) => sum + (to.variant.price - item.price), 0);
  while (new Set(permutations(swaps).map(sum)).size > 1) swaps.pop();
  const difference = sum(swaps);
  const methods = methodsOf(user).filter((method) =>
    flaw === "balance" ? isShort(method, difference - 0.01) : !isShort(method, difference + 0.01),
  );
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
    want: `${random.pick(verbs)} ${partOf(whole.words, names, swaps.length)}`,
    details: {
      option: { said: swaps.length > 1 ? `namely ${wishes}` : `for ${wishes}`, answer: `${capital(wishes)}, please.` },
      payment: {
        said: random.pick([
          `settling the difference with ${method.words}`,
          `with the difference on ${method.words}`,
          `using ${method.words} for the difference`,
        ]),
        answer: `Settle the difference with ${method.words}.`,
        ...slipOf(user, method, (label) => `Settle the difference with ${label}.`),
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

/** What an item is to be changed to: another variant, or as the flaw has it. */
function replacement(tables: Tables, item: Item, random: Random, flaw?: Flaw) {
  if (flaw === "same") {
    const { variants } = tables.products[item.product_id];
    return { words: "exactly the same one", fits: [item.item_id], variant: variants[item.item_id] };
  }
  if (flaw === "product") {
    const other = random.pick(Object.values(tables.products).filter(({ name }) => name !== item.name));
    const variant = random.pick(Object.values(other.variants));
    return {
      words: `a ${other.name} with ${spellOptions(Object.entries(variant.options))}`,
      fits: [variant.item_id],
      variant,
    };
  }
  return targetOf(tables, item, random, flaw === "stock" ? "gone" : flaw === "balance" ? "dear" : undefined);
}

/** Another address than the one that is there: any, that of a neighbour, or one that the data knows already (`copied`). */
function newAddress({ random, amid }: Scene, now: Address, source: string, known: Address) {
  const way = random.float();
  const copied = way < 0.25 && !amid && spell(known) !== spell(now);
  const flat = `Flat ${1 + random.int(99)}`;
  const near = !copied && way < 0.45 && flat !== now.address2;
  const value = copied ? known : near ? { ...now, address2: flat } : makeAddress(random);
  const words = copied ? source : near ? `${flat} in the same house as before` : spell(value);
  const detail: Detail = {
    said: `to ${words}`,
    answer: `The new address is ${words}.`,
    slip: `The new address is ${spell(makeAddress(random))}.`,
  };
  return { value, detail, copied };
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

/** Another payment method of the customer, for those who correct themselves. */
function slipOf(
  user: User,
  { fits }: { fits: readonly string[] },
  sentence: (label: string) => string,
): { slip?: string } {
  const other = methodsOf(user).find(({ id }) => !fits.includes(id));
  return other ? { slip: sentence(labelOf(other)) } : {};
}

/** "the Umbrella of order #R123456"; a single item describes its order by itself. */
export function partOf(whole: string, names: string, count: number): string {
  return count === 1 && whole.startsWith("my order with") ? `${names} that I ordered` : `${names} of ${whole}`;
}

function isShort(method: Method, amount: number): boolean {
  return method.source === "gift_card" && method.balance < amount;
}
