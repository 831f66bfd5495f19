// Retail's plans: for each family, everything a task is made from, proven before it is used. tasks.ts puts a plan into
// words, expert.ts plays it.
//
// A plan is kept only if: every write succeeds on fresh data, changes it, and cannot be left out; no rule is broken by
// any of them (exactly one by what has to be refused); and the customer's words fit one person, order, item, variant and
// payment method each.

import { Random } from "../../random.ts";
import type { Database, Task } from "../../types.ts";
import { Store, sameState } from "../store.ts";
import { makeTables, type Order, type Tables, toDatabase, type User } from "./data.ts";
import { type Action, about, build, type Errand, NOTHING, type Scene, wholeOrder } from "./errands.ts";
import { QUESTIONS } from "./questions.ts";
import { brokenRules } from "./rules.ts";
import { callOf, perform } from "./tools.ts";

export const FAMILIES = [
  "cancel",
  "address",
  "profile",
  "payment",
  "items",
  "return",
  "exchange",
  "several",
  "refuse",
  "transfer",
  "information",
] as const;

export type Family = (typeof FAMILIES)[number];

export interface Plan {
  readonly family: Family;
  readonly userId: string;
  readonly errands: readonly Omit<Errand, "action">[];
  /** The ground truth. */
  readonly actions: readonly Action[];
  /** What has to be refused, and the rule that forbids it. */
  readonly forbidden: { readonly action: Action; readonly rule: string } | null;
  /** What has to be told. */
  readonly outputs: readonly string[];
}

export interface World {
  readonly tables: Tables;
  readonly database: Database;
  /** Filled as they are asked for. */
  readonly plans: Map<Family, readonly Plan[]>;
}

/** Databases kept: training walks over very many of them. */
const KEPT = 64;
const worlds = new Map<number, World>();

/** The database of a seed, made on first use. */
export function world(seed: number): World {
  let made = worlds.get(seed);
  if (!made) {
    const tables = makeTables(seed);
    made = { tables, database: toDatabase(tables), plans: new Map() };
    if (worlds.size >= KEPT) worlds.delete(worlds.keys().next().value!);
    worlds.set(seed, made);
  }
  return made;
}

/** A family's plans on the database of a seed: at most one for each order, in random order. */
export function plansOf(family: Family, seed: number): readonly Plan[] {
  const { tables, database, plans } = world(seed);
  let made = plans.get(family);
  if (!made) {
    const random = new Random("retail plans", seed, family);
    made = random.shuffle(Object.values(tables.orders)).flatMap((order) => {
      const { user_id: userId } = order;
      const plan = draw[family]({ tables, userId, user: tables.users[userId], order, random }, database);
      return plan && isProven(plan, tables, database) ? [plan] : [];
    });
    plans.set(family, made);
  }
  return made;
}

/** The plan that a task was made from. */
export function planOf(task: Task): Plan {
  const index = Number(task.id.slice(task.id.lastIndexOf("/") + 1));
  return plansOf(task.family as Family, task.database)[index];
}

const draw: Readonly<Record<Family, (scene: Scene, database: Database) => Plan | null>> = {
  cancel: (scene) => single("cancel", scene, "pending"),
  address: (scene) => single("address", scene, "pending"),
  profile: (scene) => single("profile", scene),
  payment: (scene) => single("payment", scene, "pending"),
  items: (scene) => single("items", scene, "pending"),
  return: (scene) => single("return", scene, "delivered"),
  exchange: (scene) => single("exchange", scene, "delivered"),

  /** Two or three errands of one customer, each on an order of its own. */
  several(scene) {
    const { tables, userId, user, random } = scene;
    if (scene.order !== tables.orders[user.orders[0]]) return null;
    const errands: Errand[] = [];
    for (const id of random.shuffle(user.orders)) {
      const order = tables.orders[id];
      const kinds = order.status === "pending" ? PENDING : order.status === "delivered" ? DELIVERED : null;
      const errand = kinds && build[random.pick(kinds)]({ ...scene, order });
      if (errand && errands.length < 3) errands.push(errand);
    }
    if (errands.length < 3 && random.chance(0.3)) errands.push(build.profile(scene));
    if (errands.length < 2) return null;
    return { ...EMPTY, family: "several", userId, errands, actions: errands.map(({ action }) => action) };
  },

  refuse(scene, database) {
    const { tables, userId, order, random } = scene;
    const asker = random.chance(0.1) ? random.pick(Object.keys(tables.users)) : userId;
    const asked = { ...scene, userId: asker, user: tables.users[asker] };
    const errand = asker === userId ? random.pick(FLAWS)(asked) : build.cancel(asked);
    if (!errand) return null;
    const broken = brokenRules(callOf(errand.action), new Store(database));
    if (asker !== order.user_id) broken.push("the order belongs to another customer");
    if (broken.length !== 1) return null;
    const forbidden = { action: errand.action, rule: broken[0] };
    return { ...EMPTY, family: "refuse", userId: asker, errands: [errand], forbidden };
  },

  transfer(scene) {
    const { userId, order, random } = scene;
    const wishes = order.status === "pending" ? STRANGE : order.status === "delivered" ? STRANGE_LATER : [];
    if (wishes.length === 0) return null;
    const wish = random.pick(wishes);
    const whole = wholeOrder(scene);
    const errand = wish.includes("ORDER") ? about(order, whole) : NOTHING;
    return { ...EMPTY, family: "transfer", userId, errands: [{ ...errand, want: wish.replace("ORDER", whole.words) }] };
  },

  information(scene, database) {
    const { userId, random } = scene;
    const errand = random.pick(QUESTIONS)(scene, database);
    // Short or round figures could be said by accident.
    if (!errand || !/\d{4}|\d\d\.\d*[1-9]/.test(errand.output)) return null;
    return { ...EMPTY, family: "information", userId, errands: [errand], outputs: [errand.output] };
  },
};

const EMPTY = { actions: [], forbidden: null, outputs: [] } as const;
const PENDING = ["cancel", "address", "payment", "items"] as const;
const DELIVERED = ["return", "exchange"] as const;

function single(
  family: Exclude<Family, "several" | "refuse" | "transfer" | "information">,
  scene: Scene,
  status?: Order["status"],
): Plan | null {
  if (status && scene.order.status !== status) return null;
  if (family === "profile" && scene.order.order_id !== scene.user.orders[0]) return null;
  const errand = build[family](scene);
  return errand && { ...EMPTY, family, userId: scene.userId, errands: [errand], actions: [errand.action] };
}

/** Errands with one thing wrong; null where the order does not lend itself to it. */
const FLAWS: readonly ((scene: Scene) => Errand | null)[] = [
  (scene) => (["processed", "delivered"].includes(scene.order.status) ? build.cancel(scene) : null),
  (scene) => (["pending", "processed"].includes(scene.order.status) ? build.return(scene) : null),
  (scene) => (scene.order.status === "processed" ? build.address(scene) : null),
  (scene) => (scene.order.status === "pending" ? build.payment({ ...scene, flaw: "balance" }) : null),
  (scene) => (scene.order.status === "pending" ? build.items({ ...scene, flaw: "stock" }) : null),
  (scene) => (scene.order.status === "delivered" ? build.exchange({ ...scene, flaw: "stock" }) : null),
  (scene) => (scene.order.status === "delivered" ? build.return({ ...scene, flaw: "refund" }) : null),
];

/** Requests that no tool serves. */
const STRANGE = [
  "have ORDER wrapped as a present",
  "add one more product to ORDER",
  "split the payment of ORDER between two payment methods",
  "get ORDER by tomorrow",
  "change the name on my account",
  "use another e-mail address for my account",
];
const STRANGE_LATER = [
  "be compensated because a part of ORDER arrived damaged",
  "get an invoice with a tax number for ORDER",
  "complain about the courier who brought ORDER",
  "extend the warranty of ORDER",
];

/** Replays some of the actions on fresh data; null when one of them fails or breaks a rule. */
function replay(actions: readonly Action[], database: Database): Store | null {
  const store = new Store(database);
  for (const action of actions) {
    if (brokenRules(callOf(action), store).length > 0) return null;
    try {
      perform(action, store);
    } catch {
      return null;
    }
  }
  return store;
}

function isProven({ userId, errands, actions }: Plan, { users }: Tables, database: Database): boolean {
  if (errands.some(({ choices }) => choices.some((fits) => fits.length !== 1))) return false;
  const known = ({ name, address }: User) => `${name.first_name} ${name.last_name} ${address.zip}`;
  if (Object.values(users).filter((user) => known(user) === known(users[userId])).length !== 1) return false;
  const end = replay(actions, database);
  if (end === null) return false;
  return actions.every((_, i) => {
    const without = replay(actions.toSpliced(i, 1), database);
    return without === null || !sameState(without, end);
  });
}
