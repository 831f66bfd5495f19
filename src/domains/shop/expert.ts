// The shop's scripted expert: knows the wish behind a task and plays it through the customer and the tools, with the
// mistakes that its habits give it. With no habits it is the oracle. It plays to a script: it does not understand language.

import { Random } from "../../random.ts";
import type { AgentTurn, Database, Entry, Habits, Task } from "../../types.ts";
import { patient } from "../expert.ts";
import { ask, change, confirm, done, type Found, nextOrder, product, refuse, sentence } from "./phrases.ts";
import { asks, hears } from "./rules.ts";
import { actionOf, wishOf, world } from "./tasks.ts";
import { json } from "./tools.ts";
import { IDS } from "./words.ts";
import type { Order, Product, User, Wish } from "./world.ts";

type Script = Generator<AgentTurn, void, void>;

/** One conversation's worth of turns; after the last line of its script it repeats that the work is done. */
export function expert(task: Task, habits: Habits, seed: number): (transcript: readonly Entry[]) => AgentTurn {
  const script = play(task, habits, new Random("shop expert", seed, task.id));
  return patient({ asks, hears }, task, () => script.next().value ?? say("Done."));
}

function* play(task: Task, habits: Habits, random: Random): Script {
  const wish = wishOf(task);
  const { database } = world(task.database);
  const user = database.get("users")!.get(wish.user) as User;
  const orders = database.get("orders") as ReadonlyMap<string, Order>;
  const given = task.scenario.given ?? [];
  const named = task.scenario.opening.includes(wish.order);
  const choose = <T>(list: readonly T[]) => random.pick(list);
  // Drawn in this order whatever happens, so that one habit does not change how the others fall.
  const skipsLookup = random.chance(habits.skipsLookup) && ["cancel", "payment"].includes(wish.kind);
  const skipsConfirmation = random.chance(habits.skipsConfirmation);
  const wrongChoice = random.chance(habits.wrongChoice);
  const ignoresRules = random.chance(habits.ignoresRules);
  const slip = random.chance(habits.recovers) ? choose(["unclear", "lookup", "confirm", "write"]) : "";

  if (slip === "unclear") yield say(choose(["One moment.", "Let me see.", "Just a moment, please."]));
  if (!given.includes("email")) yield say(ask.email(choose));
  yield call("find_user", { email: user.email });

  // The order: the one that was named, or the first that has the item.
  let order = wish.order;
  if (slip === "lookup") {
    yield call("get_order", { order_id: misread(database, random) });
    yield call("get_order", { order_id: order }, `Wait, order ${order}.`);
  } else if (skipsLookup) {
    const guess = user.orders[0];
    if (!named && orders.get(guess)!.payment !== user.payment[wish.payment]) order = guess;
  } else if (named) {
    yield call("get_order", { order_id: order });
  } else {
    yield call("get_order", { order_id: user.orders[0] });
    for (let i = 0; user.orders[i] !== order; i++) {
      const next = user.orders[i + 1];
      yield call("get_order", { order_id: next }, nextOrder(wish.item.name, user.orders[i], next));
    }
  }
  if (!wish.allowed && !ignoresRules && !skipsLookup) {
    yield say(refuse(choose, wish.kind, orders.get(order)!.status, { order, item: wish.item }));
    return;
  }

  const detail = wish.kind === "exchange" ? "option" : "payment";
  if (wish.kind !== "cancel" && !given.includes(detail))
    yield say(wish.kind === "return" ? ask.refund(choose) : ask[detail](choose));
  if (wish.kind === "exchange") yield call("get_product", { product_id: wish.item.product_id }, product(wish.item));

  const right = { ...wish, order };
  const others = alternatives(right, user, orders, database.get("products") as ReadonlyMap<string, Product>);
  const wanted = wrongChoice && others.length ? choose(others) : right;
  const slipped = [right, ...others].filter((other) => other !== wanted);
  if (slip === "confirm" && slipped.length) {
    yield say(sentence(confirm(choose, wish.kind, find(choose(slipped)))));
    yield say(`Wait, ${confirm(choose, wish.kind, find(wanted))}`);
  } else if (!skipsConfirmation) {
    yield say(sentence(confirm(choose, wish.kind, find(wanted))));
  }
  const { name, arguments: args } = actionOf(wanted, database);
  if (slip === "write") {
    const last = Object.keys(args).at(-1)!;
    yield call(name, { ...args, [last]: misread(database, random) });
    yield call(name, args, `Wait, ${change(wish.kind, find(wanted)).what}.`);
  } else {
    yield call(name, args);
  }
  yield say(done(wish.kind, find(wanted)));

  function find(wish: Wish): Found {
    const { payment_id = "", new_item_id = "" } = actionOf(wish, database).arguments;
    return { ...wish, payment_id, new_item_id };
  }
}

/** The same kind of change with one thing wrong: another payment, option, item or order of this customer. */
function alternatives(
  wish: Wish,
  user: User,
  orders: ReadonlyMap<string, Order>,
  products: ReadonlyMap<string, Product>,
): Wish[] {
  const { kind, order, item } = wish;
  const { items, payment } = orders.get(order)!;
  const payments = Object.keys(user.payment).filter(
    (other) => other !== wish.payment && !(kind === "payment" && user.payment[other] === payment),
  );
  const options = Object.keys(products.get(item.product_id)!.options).filter(
    (other) => other !== wish.option && other !== item.options,
  );
  const otherOrders = user.orders
    .filter((other) => other !== order && orders.get(other)!.payment !== user.payment[wish.payment])
    .map((other) => ({ ...wish, order: other }));
  switch (kind) {
    case "cancel":
      return otherOrders;
    case "payment":
      return payments.length ? payments.map((payment) => ({ ...wish, payment })) : otherOrders;
    case "return":
      return [
        ...items.filter((other) => other !== item).map((item) => ({ ...wish, item })),
        ...payments.map((payment) => ({ ...wish, payment })),
      ];
    case "exchange":
      return options.map((option) => ({ ...wish, option }));
  }
}

/** An id that nothing in this database has. */
function misread(database: Database, random: Random): string {
  const taken = new Set(json([...database].map(([, table]) => [...table])).match(/#\w+/g));
  for (;;) {
    const id = `#${random.pick(IDS)}`;
    if (!taken.has(id)) return id;
  }
}

function say(text: string): AgentTurn {
  return { text, calls: [], invalid: null };
}

function call(name: string, args: Readonly<Record<string, string>>, text = ""): AgentTurn {
  return { text, calls: [{ name, arguments: json(args) }], invalid: null };
}
