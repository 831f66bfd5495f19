// Retail's plans: for each family, everything a task is made from, proven before it is used: its words fit one person and
// one list of calls, and each call succeeds, matters and breaks no rule (exactly one by what has to be refused).
// tasks.ts puts a plan into words.

import { Random } from "../../random.ts";
import type { Database, Task, Wording, WrittenCall } from "../../types.ts";
import { forbiddenBy, type Goal, type Ground, NOTHING, truthOf } from "../goals.ts";
import { parseObject } from "../python.ts";
import { drawWording } from "../telling.ts";
import { makeTables, type Order, type Tables, toDatabase, type User } from "./data.ts";
import { about, build, type Kind, type Scene, write } from "./goals.ts";
import { QUESTIONS } from "./questions.ts";
import { orderOf } from "./references.ts";
import { brokenRules } from "./rules.ts";
import { tools } from "./tools.ts";

/** Families of one goal, with the status that its order has to have. */
const SINGLE = {
  cancel: "pending",
  address: "pending",
  profile: null,
  payment: "pending",
  items: "pending",
  return: "delivered",
  exchange: "delivered",
} as const satisfies Readonly<Record<Kind, Order["status"] | null>>;

export const FAMILIES = [
  ...(Object.keys(SINGLE) as Kind[]),
  "several",
  "fallback",
  "refuse",
  "transfer",
  "information",
] as const;

export type Family = (typeof FAMILIES)[number];

export interface Plan {
  readonly family: Family;
  readonly userId: string;
  readonly wording: Wording;
  /** As the customer wants them at first. */
  readonly wanted: readonly Goal[];
  /** The ground truth. */
  readonly actions: readonly WrittenCall[];
  /** What has to be refused, and the rule that forbids it. */
  readonly forbidden?: Task["forbidden"];
  /** What has to be told. */
  readonly outputs: readonly string[];
  /** The call that hands the customer over. */
  readonly handover?: WrittenCall;
}

interface World {
  readonly tables: Tables;
  readonly database: Database;
  /** Filled as they are asked for: made so far, and those still to be made. */
  readonly plans: Map<Family, { readonly made: Plan[]; readonly rest: Iterator<Plan, void> }>;
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

/** Plan number `index` of a family on the database of a seed; undefined where it has no room for so many. */
export function planAt(family: Family, seed: number, index: number): Plan | undefined {
  const { plans } = world(seed);
  let found = plans.get(family);
  if (!found) {
    found = { made: [], rest: drawPlans(family, seed) };
    plans.set(family, found);
  }
  const { made, rest } = found;
  while (made.length <= index) {
    const next = rest.next();
    if (next.done) return undefined;
    made.push(next.value);
  }
  return made[index];
}

/** At most one plan for each order, in random order. */
function* drawPlans(family: Family, seed: number): Generator<Plan, void> {
  const { tables, database } = world(seed);
  const random = new Random("retail plans", seed, family);
  for (const order of random.shuffle(Object.values(tables.orders))) {
    const { user_id: userId } = order;
    const wording = drawWording(random);
    const scene = { tables, userId, user: tables.users[userId], order, random, easy: wording.easy };
    const draft = draw[family](scene, database);
    const plan = draft && prove({ family, userId, wording, ...draft }, tables, database);
    if (plan) yield plan;
  }
}

/** The plan that a task was made from. */
export function planOf(task: Task): Plan {
  const index = Number(task.id.slice(task.id.lastIndexOf("/") + 1));
  return planAt(task.family as Family, task.database, index)!;
}

export const GROUND = { tools, rules: brokenRules, parse: parseObject };

/** What a family draws; whoever asks is the order's owner where nobody else is named. */
type Draft = Partial<Plan> & { readonly wanted: readonly Goal[] };

const draw: Readonly<Record<Family, (scene: Scene, database: Database) => Draft | null>> = {
  ...(Object.fromEntries(
    (Object.keys(SINGLE) as Kind[]).map((kind) => [kind, (scene: Scene) => single(kind, scene)]),
  ) as Record<Kind, (scene: Scene) => Draft | null>),

  /** Two to four goals of one customer, each on an order of its own. */
  several(scene) {
    const { tables, user, random } = scene;
    if (scene.order !== tables.orders[user.orders[0]]) return null;
    const most = 2 + random.int(3);
    const wanted: Goal[] = [];
    for (const id of random.shuffle(user.orders)) {
      const order = tables.orders[id];
      const kinds = KINDS.filter((kind) => SINGLE[kind] === order.status);
      const goal = kinds.length ? build[random.pick(kinds)]({ ...scene, order }) : null;
      if (goal && wanted.length < most) wanted.push(goal);
    }
    if (wanted.length < most && random.chance(0.5)) wanted.push(build.profile(scene));
    return wanted.length < 2 ? null : { wanted };
  },

  /** A wish that cannot be had, and what the customer wants instead. */
  fallback(scene) {
    const wish = scene.random.pick(FLAWS)(scene);
    const kinds = KINDS.filter((kind) => SINGLE[kind] === scene.order.status);
    const otherwise = kinds.length ? build[scene.random.pick(kinds)](scene) : null;
    return wish && otherwise ? { wanted: [{ ...wish, otherwise }] } : null;
  },

  refuse(scene, database) {
    const { tables, userId, order, random } = scene;
    const asker = random.chance(0.1) ? random.pick(Object.keys(tables.users)) : userId;
    const asked = { ...scene, userId: asker, user: tables.users[asker] };
    const goal = asker === userId ? random.pick(FLAWS)(asked) : order.status === "pending" ? build.cancel(asked) : null;
    if (!goal) return null;
    const forbidden = forbiddenBy({ domain: GROUND, database, customer: asker }, [], goal.readings);
    return forbidden && { userId: asker, wanted: [{ ...goal, readings: [] }], forbidden };
  },

  transfer(scene) {
    const { order, random } = scene;
    const wishes = order.status === "pending" ? STRANGE : order.status === "delivered" ? STRANGE_LATER : [];
    if (wishes.length === 0) return null;
    const wish = random.pick(wishes);
    const whole = orderOf(scene);
    const want = wish.replace("ORDER", whole.words);
    const summary = `The customer would like to ${want.replace(/\bmy\b/g, "their").replace(/\bof mine\b/, "of theirs")}.`;
    return {
      wanted: [{ ...(wish.includes("ORDER") ? about(whole) : NOTHING), want }],
      handover: write("transfer_to_human_agents", { summary }),
    };
  },

  information(scene, database) {
    const goal = scene.random.pick(QUESTIONS)(scene, database);
    // Short or round figures could be said by accident.
    if (!goal || !/\d{4}|\d\d\.\d*[1-9]/.test(goal.output)) return null;
    return { wanted: [goal], outputs: [goal.output] };
  },
};

const KINDS = (Object.keys(SINGLE) as Kind[]).filter((kind) => SINGLE[kind]);

function single(kind: Kind, scene: Scene): Draft | null {
  const status = SINGLE[kind];
  if (status && scene.order.status !== status) return null;
  if (!status && scene.order.order_id !== scene.user.orders[0]) return null;
  const goal = build[kind](scene);
  return goal && { wanted: [goal] };
}

/** Goals with one thing wrong; null where the order does not lend itself to it. */
const FLAWS: readonly ((scene: Scene) => Goal | null)[] = [
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

/** A draft with its truth; null where there is not exactly one. */
function prove(
  draft: Draft & Pick<Plan, "family" | "userId" | "wording">,
  { users }: Tables,
  database: Database,
): Plan | null {
  const known = ({ name, address }: User) => `${name.first_name} ${name.last_name} ${address.zip}`;
  if (Object.values(users).filter((user) => known(user) === known(users[draft.userId])).length !== 1) return null;
  const plan: Plan = { actions: [], outputs: [], ...draft };
  if (plan.wanted.every(({ readings }) => readings.length === 0)) return plan;
  const ground: Ground = { domain: GROUND, database, customer: draft.userId };
  const truth = truthOf(ground, draft.wanted);
  if ("why" in truth || (draft.family === "fallback") !== truth.refused.length > 0) return null;
  return { ...plan, actions: truth.actions, ...(truth.refused.length ? { forbidden: truth.refused[0] } : {}) };
}
