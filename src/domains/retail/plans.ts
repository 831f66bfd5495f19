// Retail's families: what a task of each wants, drawn from an order of the database; planner.ts proves and words it.

import type { Random } from "../../random.ts";
import { forbiddenBy, type Goal, NOTHING, write } from "../making/goals.ts";
import { type Canvas, type Draft, type Maker, planner } from "../making/planner.ts";
import { parseObject } from "../python.ts";
import { makeTables, type Order, type Tables, toDatabase, type User } from "./data.ts";
import { about, build, type Flaw, type Kind, type Scene } from "./goals.ts";
import { ask, PRODUCT_QUESTIONS, QUESTIONS } from "./questions.ts";
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

/** What a family draws; whoever asks is the order's owner where nobody else is named. */
type Drawn = Partial<Draft> & Pick<Draft, "wanted">;

const GROUND = { tools, rules: brokenRules, parse: parseObject };

const DRAW: { readonly [family: string]: (scene: Scene, database: Canvas<Tables, Order>["database"]) => Drawn | null } =
  {
    ...(Object.fromEntries(
      (Object.keys(SINGLE) as Kind[]).map((kind) => [kind, (scene: Scene) => single(kind, scene)]),
    ) as Record<Kind, (scene: Scene) => Drawn | null>),

    /** Two to four goals of one customer, each on an order of its own; the last may be a question. */
    several(one, database) {
      const { tables, user, random } = one;
      if (one.order !== tables.orders[user.orders[0]]) return null;
      const scene = { ...one, amid: true };
      const most = 2 + random.int(3);
      const wanted: Goal[] = [];
      for (const id of random.shuffle(user.orders)) {
        const order = tables.orders[id];
        const kinds = KINDS.filter((kind) => SINGLE[kind] === order.status);
        const goal = kinds.length ? build[random.pick(kinds)]({ ...scene, order }) : null;
        if (goal && wanted.length < most) wanted.push(goal);
      }
      if (wanted.length < most && random.chance(0.5)) wanted.push(build.profile(scene));
      const asked = wanted.length > 0 && wanted.length < most ? ask(PRODUCT_QUESTIONS, scene, database) : null;
      // A question is served by no call at all.
      if (asked) wanted.push({ ...asked, readings: [[]] });
      return wanted.length < 2 ? null : { wanted, outputs: asked ? [asked.output] : [] };
    },

    /** A wish that cannot be had, and what the customer wants instead. */
    fallback(scene) {
      const wish = anyFlaw(scene);
      // Another reason is no other wish.
      const same = wish?.details.reason ? "cancel" : null;
      const kinds = KINDS.filter((kind) => SINGLE[kind] === scene.order.status && kind !== same);
      const otherwise = kinds.length ? build[scene.random.pick(kinds)](scene) : null;
      return wish && otherwise ? { wanted: [{ ...wish, otherwise }] } : null;
    },

    refuse(scene, database) {
      const { tables, userId, order, random } = scene;
      const asker = random.chance(0.1) ? random.pick(Object.keys(tables.users)) : userId;
      const asked = { ...scene, userId: asker, user: tables.users[asker] };
      const goal = asker === userId ? anyFlaw(asked) : order.status === "pending" ? build.cancel(asked) : null;
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
      const asked = ask(QUESTIONS, scene, database);
      return asked && { wanted: [asked], outputs: [asked.output] };
    },
  };

const KINDS = (Object.keys(SINGLE) as Kind[]).filter((kind) => SINGLE[kind]);

function single(kind: Kind, scene: Scene): Drawn | null {
  const status = SINGLE[kind];
  if (status && scene.order.status !== status) return null;
  if (!status && scene.order.order_id !== scene.user.orders[0]) return null;
  const goal = build[kind](scene);
  return goal && { wanted: [goal] };
}

/** A goal about an order of one of these statuses, with one thing wrong; null where the order does not lend itself to it. */
function flawed(kind: Kind, statuses: readonly Order["status"][], flaw?: Flaw): (scene: Scene) => Goal | null {
  return (scene) => (statuses.includes(scene.order.status) ? build[kind]({ ...scene, flaw }) : null);
}

const FLAWS: readonly ((scene: Scene) => Goal | null)[] = [
  flawed("cancel", ["processed", "delivered"]),
  flawed("cancel", ["pending"], "reason"),
  flawed("return", ["pending", "processed"]),
  flawed("return", ["delivered"], "refund"),
  flawed("address", ["processed"]),
  flawed("payment", ["pending"], "balance"),
  flawed("payment", ["pending"], "used"),
  ...(["stock", "same", "product", "balance"] as const).flatMap((flaw) => [
    flawed("items", ["pending"], flaw),
    flawed("exchange", ["delivered"], flaw),
  ]),
];

function anyFlaw(scene: Scene): Goal | null {
  for (const flaw of scene.random.shuffle(FLAWS)) {
    const goal = flaw(scene);
    if (goal) return goal;
  }
  return null;
}

/** Requests that no tool serves. */
const STRANGE = [
  "have ORDER wrapped as a present",
  "have a greeting card put into ORDER",
  "get ORDER by tomorrow",
  "have ORDER left with my neighbour",
  "change the name on my account",
  "use another e-mail address for my account",
  "add a new credit card to my account",
  "have my account deleted",
];
const STRANGE_LATER = [
  "be compensated because a part of ORDER arrived damaged",
  "get an invoice with a tax number for ORDER",
  "complain about the courier who brought ORDER",
  "extend the warranty of ORDER",
  "have something from ORDER repaired",
  "get the manual for something in ORDER",
  "write a review of ORDER",
  "have ORDER picked up at my door",
];

export const FAMILIES = Object.keys(DRAW);

const isKnown = ({ users }: Tables, userId: string): boolean => {
  const known = ({ name, address }: User) => `${name.first_name} ${name.last_name} ${address.zip}`;
  return Object.values(users).filter((user) => known(user) === known(users[userId])).length === 1;
};

const maker: Maker<Tables, Order> = {
  name: "retail",
  grounds: [GROUND],
  makeTables,
  toDatabase,
  starts: ({ orders }) => Object.values(orders),
  draw: Object.fromEntries(
    FAMILIES.map((family) => [
      family,
      ({ tables, database, start: order, random, wording: { easy } }) => {
        const { user_id: userId } = order;
        const scene = { tables, userId, user: tables.users[userId], order, random, easy };
        const drawn = DRAW[family](scene, database);
        const draft = drawn && { userId, ...drawn };
        return draft && isKnown(tables, draft.userId) ? draft : null;
      },
    ]),
  ),
  identify,
};

export const { database, task, readings } = planner(maker);

function identify(userId: string, { users }: Tables, random: Random): ReturnType<Maker<Tables, Order>["identify"]> {
  const { name, address, email } = users[userId];
  const [full, { zip }] = [`${name.first_name} ${name.last_name}`, address];
  const first = random.pick(["email", "name"]);
  return {
    first,
    slots: {
      email: random.pick([
        `It is ${email}.`,
        `My e-mail address is ${email}.`,
        `My account is under ${email}.`,
        `You have me as ${email}.`,
      ]),
      name: random.pick([
        `I am ${full}, and my zip code is ${zip}.`,
        `My name is ${full}, zip code ${zip}.`,
        `This is ${full} from zip code ${zip}.`,
      ]),
    },
    prose: `You are ${full} from zip code ${zip}; your e-mail address is ${email}.`,
    lookups: [
      first === "email"
        ? write("find_user_id_by_email", { email })
        : write("find_user_id_by_name_zip", { ...name, zip }),
      write("get_user_details", { user_id: userId }),
    ],
  };
}
