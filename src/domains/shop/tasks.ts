// The shop's tasks: a wish (world.ts) spoken by a small grammar. Half of the requests name the order, half describe it;
// most customers have to be asked for their email, some for the payment or the option that they want.

import { Random } from "../../random.ts";
import type { Database, Task, WrittenCall } from "../../types.ts";
import { json } from "./tools.ts";
import { type Family, makeDatabase, makeWishes, type Product, type User, type Wish } from "./world.ts";

/** Rates of what the opening leaves out. */
const ASKED_EMAIL = 0.6;
const ASKED_DETAIL = 0.3;
const DESCRIBED = 0.5;

/** Databases kept: training walks over very many of them. */
const KEPT = 256;
const cache = new Map<number, { database: Database; wishes: Record<Family, Wish[]> }>();

/** The world of a seed, made on first use. */
export function world(seed: number): { database: Database; wishes: Record<Family, Wish[]> } {
  let made = cache.get(seed);
  if (!made) {
    const database = makeDatabase(seed);
    made = { database, wishes: makeWishes(database, seed) };
    if (cache.size >= KEPT) cache.delete(cache.keys().next().value!);
    cache.set(seed, made);
  }
  return made;
}

/** The wish that a task was made from. */
export function wishOf(task: Task): Wish {
  const index = Number(task.id.slice(task.id.lastIndexOf("/") + 1));
  return world(task.database).wishes[task.family as Family][index];
}

export function makeTask(family: string, seed: number, index: number): Task | null {
  const { database, wishes } = world(seed);
  const wish = wishes[family as Family]?.[index];
  if (!wish) return null;
  const random = new Random("shop task", seed, family, index);
  const described = random.chance(DESCRIBED);
  const asked = [
    ...(random.chance(ASKED_EMAIL) ? ["email"] : []),
    ...(wish.kind !== "cancel" && random.chance(ASKED_DETAIL) ? [wish.kind === "exchange" ? "option" : "payment"] : []),
  ];
  const { email } = database.get("users")!.get(wish.user) as User;
  const request = speakWish(wish, described, asked, random);
  const facts = factsOf(wish, email, described, random);
  return {
    id: `shop/${seed}/${family}/${index}`,
    domain: "shop",
    family,
    database: seed,
    instruction: instruct(wish, email, described),
    scenario: {
      opening: asked.includes("email") ? greet(request, random) : introduce(request, email, random),
      facts,
      given: Object.keys(facts).filter((slot) => !asked.includes(slot)),
      fallback: `${random.pick(["I do not know.", "I am not sure.", "I do not get it."])} ${request}`,
    },
    actions: wish.allowed ? [written(actionOf(wish, database))] : [],
    outputs: wish.allowed ? [] : [wish.order],
  };
}

function written({ name, arguments: args }: ReturnType<typeof actionOf>): WrittenCall {
  return { name, arguments: json(args) };
}

/** The call that fulfils a wish. */
export function actionOf(wish: Wish, database: Database): { name: string; arguments: Record<string, string> } {
  const { order, item } = wish;
  const payment_id = (database.get("users")!.get(wish.user) as User).payment[wish.payment];
  const { options } = database.get("products")!.get(item.product_id) as Product;
  switch (wish.kind) {
    case "cancel":
      return { name: "cancel_order", arguments: { order_id: order } };
    case "payment":
      return { name: "change_payment", arguments: { order_id: order, payment_id } };
    case "return":
      return { name: "return_item", arguments: { order_id: order, item_id: item.item_id, payment_id } };
    case "exchange":
      return {
        name: "exchange_item",
        arguments: { order_id: order, item_id: item.item_id, new_item_id: options[wish.option] },
      };
  }
}

/** The request as a sentence. The words of its parts ("to paypal", "for one in brown") are those that the agent repeats. */
function speakWish(
  { kind, order, item, payment, option }: Wish,
  described: boolean,
  asked: string[],
  random: Random,
): string {
  const whole = described ? `my order with the ${item.name}` : `order ${order}`;
  const part = described ? `the ${item.name}` : `the ${item.name} of order ${order}`;
  const given = (slot: string, text: string) => (asked.includes(slot) ? "" : text);
  const speak: Record<Wish["kind"], () => string> = {
    cancel: () => `cancel ${whole}`,
    payment: () => `change the payment of ${whole}${given("payment", ` to ${payment}`)}`,
    return: () =>
      `${random.pick(["return", "send back"])} ${part}${given("payment", ` with the refund to ${payment}`)}`,
    exchange: () => `${random.pick(["exchange", "swap"])} ${part}${given("option", ` for one in ${option}`)}`,
  };
  const [before, after] = random.pick([
    ["I want to ", "."],
    ["I would like to ", "."],
    ["I need to ", "."],
    ["I have to ", ", please."],
    ["Please ", "."],
    ["Can you ", "?"],
    ["Could you ", ", please?"],
    ["Can I ", "?"],
  ]);
  return before + speak[kind]() + after;
}

function greet(request: string, random: Random): string {
  return random.pick(["", "", "Hi. ", "Hello. ", "Good day. ", "Hello there. "]) + request;
}

function introduce(request: string, email: string, random: Random): string {
  const name = random.pick([`I am ${email}.`, `This is ${email}.`, `My email is ${email}.`]);
  return random.chance(0.5) ? `${greet(name, random)} ${request}` : `${greet(request, random)} ${name}`;
}

function factsOf({ kind, order, item, payment, option }: Wish, email: string, described: boolean, random: Random) {
  const say = (...values: string[]) => random.pick(values);
  return {
    email: say(`It is ${email}.`, `My email is ${email}.`, `Sure, ${email}.`, `${email}, thanks.`),
    order: described ? say(`The one with the ${item.name}.`, `My order with the ${item.name}.`) : `Order ${order}.`,
    item: say(`The ${item.name}.`, `It is the ${item.name}.`),
    ...(kind === "payment" && { payment: say(`To ${payment}.`, `To ${payment}, please.`) }),
    ...(kind === "return" && { payment: say(`The refund to ${payment}.`, `To ${payment}, please.`) }),
    ...(kind === "exchange" && { option: say(`For one in ${option}.`, `One in ${option}, please.`) }),
  };
}

/** The scenario in prose, for a reader. */
function instruct({ kind, allowed, order, item, payment, option }: Wish, email: string, described: boolean): string {
  const whole = described ? `your order with the ${item.name} (you do not know its id)` : `order ${order}`;
  const want: Record<Wish["kind"], string> = {
    cancel: `cancel ${whole}`,
    payment: `change the payment of ${whole} to ${payment}`,
    return: `return the ${item.name} of ${whole} with the refund to ${payment}`,
    exchange: `exchange the ${item.name} of ${whole} for one in ${option}`,
  };
  const end = allowed ? "" : " You accept an explanation why it cannot be done.";
  return `Your email is ${email}. You want to ${want[kind]}. You want nothing else and know nothing else.${end}`;
}
