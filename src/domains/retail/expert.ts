// Retail's scripted expert: knows the plan behind a task and plays it through customer and tools, with the mistakes that
// its habits give it; with none it is the oracle. It plays to a script: it does not understand language.

import { Random } from "../../random.ts";
import type { AgentTurn, Entry, Habits, Json, Task } from "../../types.ts";
import { dumps, parse } from "../python.ts";
import type { Tables, User } from "./data.ts";
import { type Action, capital, labelOf, list, methodsOf, spell } from "./errands.ts";
import { planOf, world } from "./plans.ts";

type Script = Generator<AgentTurn, void, void>;

/** One conversation's worth of turns; after the last line of its script it repeats that the work is done. */
export function expert(task: Task, habits: Habits, seed: number): (transcript: readonly Entry[]) => AgentTurn {
  const script = play(task, habits, new Random("retail expert", seed, task.id));
  return () => script.next().value ?? say("That is done.");
}

const QUESTIONS: Readonly<Record<string, string>> = {
  reason: "What is the reason for the cancellation?",
  address: "What is the new address?",
  option: "Which option would you like instead?",
  payment: "Which payment method should be used?",
};

function* play(task: Task, habits: Habits, random: Random): Script {
  const plan = planOf(task);
  const { tables } = world(task.database);
  const user = tables.users[plan.userId];
  const { given = [] } = task.scenario;
  // Drawn in this order whatever happens, so that one habit does not change how the others fall.
  const skipsLookup = random.chance(habits.skipsLookup);
  const skipsConfirmation = random.chance(habits.skipsConfirmation);
  const wrongChoice = random.chance(habits.wrongChoice);
  const ignoresRules = random.chance(habits.ignoresRules);
  const slip = random.chance(habits.recovers) ? random.pick(["lookup", "confirm"]) : "";

  if (!given.includes("email") && !given.includes("name"))
    yield say("May I have the e-mail address of your account, or your full name and zip code?");
  if (given.includes("name")) yield call("find_user_id_by_name_zip", { ...user.name, zip: user.address.zip });
  else yield call("find_user_id_by_email", { email: user.email });

  if (!skipsLookup) {
    yield call("get_user_details", { user_id: plan.userId });
    for (const id of plan.errands.flatMap(({ orders }) => orders)) {
      if (slip === "lookup") {
        yield call("get_order_details", { order_id: id.slice(1) });
        yield call("get_order_details", { order_id: id }, "Wait, the number starts with #.");
      } else yield call("get_order_details", { order_id: id });
    }
    const products = new Set(plan.errands.flatMap(({ products }) => products));
    for (const id of products) yield call("get_product_details", { product_id: id });
  }
  if (plan.family === "transfer") return yield call("transfer_to_human_agents", { summary: capital(wantsOf(task)) });
  if (plan.family === "information") return yield say(`The answer is ${list(plan.outputs)}. Is there anything else?`);
  if (plan.forbidden && !ignoresRules) return yield say(`I am sorry, I cannot do that: ${plan.forbidden.rule}.`);

  for (const slot of Object.keys(QUESTIONS))
    if (!given.includes(slot) && plan.errands.some(({ details }) => slot in details)) yield say(QUESTIONS[slot]);

  const right = plan.forbidden ? [plan.forbidden.action] : plan.actions;
  const wrong = right.map((action) => mistaken(action, user, tables, random));
  const wanted = wrongChoice ? wrong : right;
  if (slip === "confirm") yield say(confirm(wanted === right ? wrong : right, tables));
  if (slip === "confirm") yield say(`Wait, that was wrong. ${confirm(wanted, tables)}`);
  else if (!skipsConfirmation) yield say(confirm(wanted, tables));
  for (const { name, arguments: args } of wanted) yield call(name, args);
  yield say(`All set: ${list(wanted.map((action) => describe(action, tables)))}. Have a nice day.`);
}

function wantsOf(task: Task): string {
  return list(planOf(task).errands.map(({ want }) => `the customer would like to ${want.replace(/\bmy\b/g, "their")}`));
}

function confirm(actions: readonly Action[], tables: Tables): string {
  return `I am going to ${list(actions.map((action) => describe(action, tables)))}. Shall I go ahead (yes or no)?`;
}

/** An action in words that name everything it depends on. */
function describe({ name, arguments: args }: Action, tables: Tables): string {
  const order = tables.orders[args.order_id as string];
  const label = () =>
    labelOf(methodsOf(tables.users[order.user_id]).find(({ id }) => id === args.payment_method_id)!).replace(
      "my",
      "your",
    );
  const items = () => (args.item_ids as string[]).map((id) => order.items.find(({ item_id }) => item_id === id)!);
  switch (name) {
    case "cancel_pending_order":
      return `cancel order ${order.order_id} (${args.reason})`;
    case "modify_pending_order_address":
      return `send order ${order.order_id} to ${spell(args as never)}`;
    case "modify_user_address":
      return `set the address of your profile to ${spell(args as never)}`;
    case "modify_pending_order_payment":
      return `charge order ${order.order_id} to ${label()}`;
    case "return_delivered_order_items":
      return `take back ${list(items().map((item) => `the ${item.name}`))} of order ${order.order_id} with the refund to ${label()}`;
    default: {
      const swaps = items().map((item, i) => {
        const { options } = tables.products[item.product_id].variants[(args.new_item_ids as string[])[i]];
        return `the ${item.name} for one with ${Object.entries(options)
          .map(([option, value]) => `${option} ${value}`)
          .join(", ")}`;
      });
      return `swap in order ${order.order_id} ${list(swaps)}, settling the difference with ${label()}`;
    }
  }
}

/** The same kind of action with one thing wrong. */
function mistaken(action: Action, user: User, tables: Tables, random: Random): Action {
  const args: { [name: string]: Json } = { ...action.arguments };
  const methods = methodsOf(user).filter(({ id }) => id !== args.payment_method_id);
  if (args.reason) args.reason = args.reason === "no longer needed" ? "ordered by mistake" : "no longer needed";
  if (args.zip) args.zip = String(args.zip).split("").reverse().join("");
  if (args.new_item_ids) {
    const [old] = args.item_ids as string[];
    const { product_id } = tables.orders[args.order_id as string].items.find(({ item_id }) => item_id === old)!;
    const [right, ...rest] = args.new_item_ids as string[];
    const others = Object.keys(tables.products[product_id].variants).filter((id) => id !== right && id !== old);
    args.new_item_ids = [random.pick(others), ...rest];
  } else if (args.payment_method_id && methods.length > 0) args.payment_method_id = random.pick(methods).id;
  return { ...action, arguments: args };
}

function say(text: string): AgentTurn {
  return { text, calls: [], invalid: null };
}

function call(name: string, args: Action["arguments"], text = ""): AgentTurn {
  return { text, calls: [{ name, arguments: dumps(parse(JSON.stringify(args))) }], invalid: null };
}
