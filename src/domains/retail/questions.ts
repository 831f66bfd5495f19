// What retail's customers ask without wanting a change. Answers are read with the tools, never made up.

import type { Database } from "../../types.ts";
import { at, type Dict, floatText, parse } from "../python.ts";
import { Store } from "../store.ts";
import { about, type Errand, NOTHING, type Scene, type Whole, wholeOrder } from "./errands.ts";
import { perform } from "./tools.ts";

/** Null where there is nothing to ask. `output`: what the agent has to say. */
type Question = (scene: Scene, database: Database) => (Omit<Errand, "action"> & { output: string }) | null;

export const QUESTIONS: readonly Question[] = [
  function total(scene, database) {
    const whole = wholeOrder(scene);
    const order = look(database, "get_order_details", { order_id: scene.order.order_id });
    return question(
      `know how much I paid for ${whole.words}`,
      (at(order, "payment_history") as Dict[])[0],
      "amount",
      scene,
      whole,
    );
  },
  function tracking(scene, database) {
    if (scene.order.fulfillments.length === 0) return null;
    const whole = wholeOrder(scene);
    const order = look(database, "get_order_details", { order_id: scene.order.order_id });
    const [tracking] = at((at(order, "fulfillments") as Dict[])[0], "tracking_id") as string[];
    return question(`know the tracking number of ${whole.words}`, new Map([["id", tracking]]), "id", scene, whole);
  },
  function balance(scene, database) {
    const user = look(database, "get_user_details", { user_id: scene.userId });
    const cards = [...(at(user, "payment_methods") as Map<string, Dict>).values()].filter((method) =>
      method.has("balance"),
    );
    return cards.length === 1
      ? question("know how much is left on my gift card", cards[0], "balance", scene, null)
      : null;
  },
  function price(scene, database) {
    const item = scene.random.pick(scene.order.items);
    const product = look(database, "get_product_details", { product_id: item.product_id });
    const variants = [...(at(product, "variants") as Map<string, Dict>).values()];
    const options = Object.entries(item.options).map(([option, value]) => `${option} ${value}`);
    const fits = variants.filter((variant) =>
      [...(at(variant, "options") as Dict)].every(([k, v]) => item.options[k] === v),
    );
    const errand = question(
      `know what the ${item.name} with ${options.join(", ")} costs`,
      fits[0],
      "price",
      scene,
      null,
    );
    return {
      ...errand,
      choices: [fits.map((variant) => at(variant, "item_id") as string)],
      products: [item.product_id],
    };
  },
];

function question(want: string, from: Dict, key: string, { order }: Scene, whole: Whole | null) {
  const value = at(from, key);
  const output = typeof value === "number" ? floatText(value) : String(value);
  return { ...(whole ? about(order, whole) : NOTHING), want, output };
}

/** What a look-up shows on fresh data. */
function look(database: Database, name: string, args: { readonly [name: string]: string }): Dict {
  return parse(perform({ name, arguments: args }, new Store(database))) as Dict;
}
