// What retail's customers ask without wanting a change. Answers are read with the tools, never made up.

import type { Database, WrittenCall } from "../../types.ts";
import { type Goal, NOTHING, look as show, write } from "../making/goals.ts";
import { at, type Dict, floatText, parseObject, type Value } from "../python.ts";
import { about, partOf, type Scene } from "./goals.ts";
import { amountOf, itemOf, orderOf } from "./references.ts";
import { tools } from "./tools.ts";

/** What is asked, and what the agent has to say. */
type Asked = Goal & { readonly output: string };
/** Null where there is nothing to ask. */
type Question = (scene: Scene, database: Database) => Asked | null;

/** One of the questions; null where there is none, or an answer that could be given by accident: a short or round figure. */
export function ask(questions: readonly Question[], scene: Scene, database: Database): Asked | null {
  const asked = scene.random.pick(questions)(scene, database);
  return asked && /\d{4}|\d\d\.\d*[1-9]/.test(asked.output) ? asked : null;
}

/** Those that nothing which a customer can have done answers otherwise. */
export const PRODUCT_QUESTIONS: readonly Question[] = [
  function price({ order, random }, database) {
    const { product_id, name, options } = random.pick(order.items);
    const product = write("get_product_details", { product_id });
    const variants = [...(at(look(database, product), "variants") as Map<string, Dict>).values()];
    const fits = variants.filter((variant) =>
      [...(at(variant, "options") as Dict)].every(([k, v]) => options[k] === v),
    );
    if (fits.length !== 1) return null;
    const words = Object.entries(options).map(([option, value]) => `${option} ${value}`);
    return {
      ...NOTHING,
      lookups: [write("list_all_product_types", {}), product],
      want: `know what the ${name} with ${words.join(", ")} costs`,
      output: text(at(fits[0], "price")),
    };
  },
  function cheapest({ order, random }, database) {
    const { product_id, name } = random.pick(order.items);
    const product = write("get_product_details", { product_id });
    const variants = [...(at(look(database, product), "variants") as Map<string, Dict>).values()];
    const prices = variants.filter((variant) => at(variant, "available") === true).map((v) => Number(at(v, "price")));
    if (prices.length === 0) return null;
    return {
      ...NOTHING,
      lookups: [write("list_all_product_types", {}), product],
      want: `know what the cheapest ${name} that you have in stock costs`,
      output: text(Math.min(...prices)),
    };
  },
];

export const QUESTIONS: readonly Question[] = [
  ...PRODUCT_QUESTIONS,
  function total(scene, database) {
    const whole = orderOf(scene);
    const order = look(database, write("get_order_details", { order_id: scene.order.order_id }));
    const [payment] = at(order, "payment_history") as Dict[];
    return { ...about(whole), want: `know how much I paid for ${whole.words}`, output: text(at(payment, "amount")) };
  },
  function tracking(scene, database) {
    if (scene.order.fulfillments.length === 0) return null;
    const whole = orderOf(scene);
    const order = look(database, write("get_order_details", { order_id: scene.order.order_id }));
    const [number] = at((at(order, "fulfillments") as Dict[])[0], "tracking_id") as string[];
    return { ...about(whole), want: `know the tracking number of ${whole.words}`, output: number };
  },
  function balance({ userId }, database) {
    const user = look(database, write("get_user_details", { user_id: userId }));
    const methods = [...(at(user, "payment_methods") as Map<string, Dict>).values()];
    const cards = methods.filter((method) => method.has("balance"));
    if (cards.length !== 1) return null;
    return { ...NOTHING, want: "know how much is left on my gift card", output: text(at(cards[0], "balance")) };
  },
  function paid(scene, database) {
    const { order, random } = scene;
    const item = random.pick(order.items);
    const whole = orderOf(scene, item);
    const shown = look(database, write("get_order_details", { order_id: order.order_id }));
    const found = (at(shown, "items") as Dict[]).find((each) => at(each, "item_id") === item.item_id)!;
    const words = partOf(whole.words, itemOf(order, item).words, 1);
    return { ...about(whole), want: `know what I paid for ${words}`, output: text(at(found, "price")) };
  },
  function together({ tables, user, order: { status } }, database) {
    const some = user.orders.filter((id) => tables.orders[id].status === status);
    if (some.length < 2) return null;
    const expression = some.map((id) => amountOf(tables.orders[id])).join(" + ");
    const sum = write("calculate", { expression });
    return {
      ...NOTHING,
      lookups: [...user.orders.map((order_id) => write("get_order_details", { order_id })), sum],
      want: `know what my ${status} orders cost all together`,
      output: show({ domain: { tools, parse: parseObject }, database }, sum),
    };
  },
];

function text(value: Value): string {
  return typeof value === "number" ? floatText(value) : String(value);
}

function look(database: Database, call: WrittenCall): Dict {
  return parseObject(show({ domain: { tools, parse: parseObject }, database }, call));
}
