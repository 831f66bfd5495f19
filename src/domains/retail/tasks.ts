// Retail's tasks: plans in words, and what an expert says about them.

import { Random } from "../../random.ts";
import type { Call, Database, Json, Task, WrittenCall } from "../../types.ts";
import { list, type Words } from "../expert.ts";
import { combinations, type Goal } from "../goals.ts";
import { type Identity, tell } from "../telling.ts";
import type { Order, User } from "./data.ts";
import { spell, write } from "./goals.ts";
import { FAMILIES, type Family, type Plan, planAt, planOf, world } from "./plans.ts";
import { labelOf, methodsOf } from "./references.ts";

export function makeTask(family: string, seed: number, index: number): Task | null {
  const plan = FAMILIES.includes(family as Family) ? planAt(family as Family, seed, index) : undefined;
  if (!plan) return null;
  const random = new Random("retail task", seed, family, index);
  const user = world(seed).tables.users[plan.userId];
  const identity = identityOf(user, random);
  const { instruction, scenario } = tell(plan.wanted, identity, plan.wording, random);
  return {
    id: `retail/${seed}/${family}/${index}`,
    domain: "retail",
    family,
    database: seed,
    customer: plan.userId,
    instruction,
    scenario,
    actions: plan.actions,
    outputs: plan.outputs,
    lookups: lookupsOf(plan, user, identity),
    ...(plan.forbidden && { forbidden: plan.forbidden }),
  };
}

/** Every list of calls that a task's words admit. */
export function* readingsOf(task: Task): Generator<readonly WrittenCall[]> {
  for (const choice of combinations(planOf(task).wanted.map(ways))) yield choice.flat();
}

function ways(goal: Goal): (readonly WrittenCall[])[] {
  return [...goal.readings, ...(goal.otherwise ? ways(goal.otherwise) : [])];
}

function identityOf({ name, address, email }: User, random: Random): Identity {
  return {
    first: random.pick(["email", "name"]),
    slots: {
      email: random.pick([`It is ${email}.`, `My e-mail address is ${email}.`]),
      name: `I am ${name.first_name} ${name.last_name}, and my zip code is ${address.zip}.`,
    },
    prose: `You are ${name.first_name} ${name.last_name} from zip code ${address.zip}; your e-mail address is ${email}.`,
  };
}

function lookupsOf({ wanted, handover, userId }: Plan, user: User, { first }: Identity): WrittenCall[] {
  const { name, address, email } = user;
  const every = (goal: Goal): readonly WrittenCall[] => [
    ...goal.lookups,
    ...(goal.otherwise ? every(goal.otherwise) : []),
  ];
  const all = [
    first === "email"
      ? write("find_user_id_by_email", { email })
      : write("find_user_id_by_name_zip", { ...name, zip: address.zip }),
    write("get_user_details", { user_id: userId }),
    ...wanted.flatMap(every),
    ...(handover ? [handover] : []),
  ];
  return [...new Map(all.map((call) => [call.name + call.arguments, call])).values()];
}

export const words: Words = {
  identify: [
    {
      slots: ["email", "name"],
      text: "May I have the e-mail address of your account, or your full name and zip code?",
    },
  ],
  details: [
    { slots: ["reason"], text: "What is the reason for the cancellation?" },
    { slots: ["address"], text: "What is the new address?" },
    { slots: ["option"], text: "Which option would you like instead?" },
    { slots: ["payment"], text: "Which payment method should be used?" },
  ],
  describe,
  mistaken,
};

/** A row of a database as the generator made it: dicts are Maps there. */
function row<T>(database: Database, table: string, id: unknown): T {
  const plain = (value: unknown): unknown =>
    value instanceof Map
      ? Object.fromEntries([...value].map(([k, v]) => [k, plain(v)]))
      : Array.isArray(value)
        ? value.map(plain)
        : value;
  return plain(database.get(table)!.get(id as string)) as T;
}

/** An action in words that name everything it depends on. */
function describe({ name, arguments: dict }: Call, database: Database): string {
  const args = Object.fromEntries(dict) as { readonly [name: string]: Json };
  if (name === "modify_user_address") return `set the address of your profile to ${spell(args as never)}`;
  const order = row<Order>(database, "orders", args.order_id);
  const user = row<User>(database, "users", order.user_id);
  const label = () => labelOf(methodsOf(user).find(({ id }) => id === args.payment_method_id)!).replace("my", "your");
  const items = () => (args.item_ids as string[]).map((id) => order.items.find(({ item_id }) => item_id === id)!);
  switch (name) {
    case "cancel_pending_order":
      return `cancel order ${order.order_id} (${args.reason})`;
    case "modify_pending_order_address":
      return `send order ${order.order_id} to ${spell(args as never)}`;
    case "modify_pending_order_payment":
      return `charge order ${order.order_id} to ${label()}`;
    case "return_delivered_order_items":
      return `take back ${list(items().map((item) => `the ${item.name}`))} of order ${order.order_id} with the refund to ${label()}`;
    default: {
      const swaps = items().map((item, i) => {
        const id = (args.new_item_ids as string[])[i];
        const { variants } = row<{ variants: { [id: string]: { options: { [option: string]: string } } } }>(
          database,
          "products",
          item.product_id,
        );
        const options = Object.entries(variants[id].options).map(([option, value]) => `${option} ${value}`);
        return `the ${item.name} for one with ${options.join(", ")}`;
      });
      return `swap in order ${order.order_id} ${list(swaps)}, settling the difference with ${label()}`;
    }
  }
}

/** The same kind of action with one thing wrong. */
function mistaken(action: WrittenCall, database: Database, random: Random): WrittenCall {
  const args = JSON.parse(action.arguments) as { [name: string]: Json };
  if (args.reason) args.reason = args.reason === "no longer needed" ? "ordered by mistake" : "no longer needed";
  if (args.zip) args.zip = String(args.zip).split("").reverse().join("");
  if (args.payment_method_id) {
    const order = row<Order>(database, "orders", args.order_id);
    const methods = methodsOf(row<User>(database, "users", order.user_id));
    const others = methods.filter(({ id }) => id !== args.payment_method_id);
    if (args.new_item_ids) {
      const [old] = args.item_ids as string[];
      const { product_id } = order.items.find(({ item_id }) => item_id === old)!;
      const { variants } = row<{ variants: object }>(database, "products", product_id);
      const [right, ...rest] = args.new_item_ids as string[];
      args.new_item_ids = [random.pick(Object.keys(variants).filter((id) => id !== right && id !== old)), ...rest];
    } else if (others.length > 0) args.payment_method_id = random.pick(others).id;
  }
  return { ...action, arguments: JSON.stringify(args) };
}
