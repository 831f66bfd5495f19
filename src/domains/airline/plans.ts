// The airline's families: what a task of each wants, drawn from a reservation of the database; planner.ts proves and words
// it. A task's truth is the same under both profiles. Test: test/unit/airline-tasks.test.ts

import { Random } from "../../random.ts";
import type { Database } from "../../types.ts";
import { forbiddenBy, type Goal, NOTHING, write } from "../making/goals.ts";
import { type Draft, type Maker, planner } from "../making/planner.ts";
import { parseObject } from "../python.ts";
import { type BookingFlaw, book } from "./booking.ts";
import { makeTables, type Reservation, type Tables, toDatabase } from "./data.ts";
import { tools as mendedTools } from "./fixed.ts";
import { type Build, build, type Flaw, isUnderway, type Kind, type Scene, statusesOf } from "./goals.ts";
import { QUESTIONS } from "./questions.ts";
import { about, reservationOf } from "./references.ts";
import { brokenRules } from "./rules.ts";
import { tools } from "./tools.ts";
import { fullName } from "./words.ts";

/** What a family draws; whoever asks is the reservation's customer where nobody else is named. */
type Drawn = Partial<Draft> & Pick<Draft, "wanted">;

const GROUNDS = [tools, mendedTools].map((tools) => ({ tools, rules: brokenRules, parse: parseObject }));
const KINDS = Object.keys(build) as Kind[];

const DRAW: { readonly [family: string]: (scene: Scene, database: Database) => Drawn | null } = {
  book: (scene) => one(book(scene)),
  ...Object.fromEntries(KINDS.map((kind) => [kind, (scene: Scene) => one(build[kind](scene))])),

  /** Two to four goals of one customer, each on a reservation of its own or a booking. */
  several(scene) {
    const { tables, user, random } = scene;
    const most = 2 + random.int(3);
    const wanted = random
      .shuffle(user.reservations)
      .flatMap((id) => build[random.pick(KINDS)]({ ...scene, reservation: tables.reservations[id] }) ?? [])
      .slice(0, most);
    const booking = wanted.length < most && random.chance(0.5) ? book(scene) : null;
    if (booking) wanted.push(booking);
    return wanted.length < 2 ? null : { wanted };
  },

  /** A wish that cannot be had, and what the customer wants instead. */
  fallback(scene) {
    const { random } = scene;
    if (!random.chance(0.2)) {
      const wish = flawed(scene);
      const otherwise = build[random.pick(KINDS)](scene);
      return wish && otherwise && one({ ...wish, otherwise });
    }
    // The same trip, as far as the flaw leaves it.
    const seed = random.int(2 ** 31);
    const again = () => ({ ...scene, random: new Random("booking", seed) });
    const wish = book(again(), random.pick(BOOKING_FLAWS));
    const otherwise = book(again());
    return wish && otherwise && one({ ...wish, otherwise });
  },

  refuse(scene, database) {
    const { tables, userId, random } = scene;
    const asker = random.chance(0.08) ? random.pick(Object.keys(tables.users)) : userId;
    const asked = { ...scene, userId: asker, user: tables.users[asker] };
    const isForeign = asker !== userId;
    const goal = isForeign
      ? build[random.pick(["cancel", "passengers"] as const)](asked)
      : random.chance(0.25)
        ? book(asked, random.pick(BOOKING_FLAWS))
        : flawed(asked);
    if (!goal) return null;
    const [forbidden, mended] = GROUNDS.map((domain) =>
      forbiddenBy({ domain, database, customer: asker }, [], goal.readings),
    );
    if (!forbidden || forbidden.rule !== mended?.rule) return null;
    return { userId: asker, wanted: [{ ...goal, readings: [] }], forbidden };
  },

  transfer(scene) {
    const { random } = scene;
    const wish = random.pick(isUnderway(scene) ? STRANGE_LATER : STRANGE);
    const whole = reservationOf(scene);
    const want = wish.replace("TRIP", whole.words);
    const theirs = want.replace(/\bmy\b/g, "their").replace(/\bI\b/g, "they");
    const summary = `The customer would like to ${theirs}.`;
    return {
      wanted: [{ ...(wish.includes("TRIP") ? about(whole) : NOTHING), want }],
      handover: write("transfer_to_human_agents", { summary }),
    };
  },

  information(scene, database) {
    const goal = scene.random.pick(QUESTIONS)(scene, database);
    // Short or round figures could be said by accident.
    if (!goal || !/\d{4}|\d\d[1-9]/.test(goal.output)) return null;
    return { wanted: [goal], outputs: [goal.output] };
  },
};

export const FAMILIES = Object.keys(DRAW);

function one(goal: Goal | null): Drawn | null {
  return goal && { wanted: [goal] };
}

/** Wishes against the rules that the airline is asked about most; null where the reservation does not lend itself. */
const STRICT: readonly Build[] = [
  (scene) => {
    const { insurance, cabin } = scene.reservation;
    return insurance === "no" && cabin !== "business" && !isUnderway(scene) ? build.cancel(scene) : null;
  },
  (scene) => (scene.reservation.cabin === "basic_economy" ? build.flights(scene) : null),
  (scene) => build.certificate({ ...scene, flaw: "entitlement" }),
  (scene) =>
    gesture(scene, "delayed", 50, "be compensated for the flight of TRIP that is late, and keep the trip as it is"),
];

/** Other wishes that cannot be granted. */
const FLAWED: readonly Build[] = [
  ...(
    [
      ["flights", "elsewhere"],
      ["flights", "seats"],
      ["flights", "balance"],
      ["flights", "certificate"],
      ["cabin", "seats"],
      ["cabin", "balance"],
      ["cabin", "certificate"],
      ["bags", "fewer"],
      ["bags", "balance"],
      ["bags", "certificate"],
      ["passengers", "count"],
    ] as const satisfies readonly (readonly [Kind, Flaw])[]
  ).map(
    ([kind, flaw]): Build =>
      (scene) =>
        build[kind]({ ...scene, flaw }),
  ),
  (scene) =>
    gesture(scene, "available", 100, "be compensated with a certificate for the poor service when I booked TRIP"),
];

const BOOKING_FLAWS: readonly BookingFlaw[] = ["passengers", "certificates", "cards", "bags", "seats", "balance"];

/** A goal that breaks a rule, if the scene's reservation can break one. */
function flawed(scene: Scene): Goal | null {
  const { random } = scene;
  const [first, then] = random.chance(0.6) ? [STRICT, FLAWED] : [FLAWED, STRICT];
  for (const make of [...random.shuffle(first), ...random.shuffle(then)]) {
    const goal = make(scene);
    if (goal) return goal;
  }
  return null;
}

/** A certificate that is not due, or not yet. */
function gesture(scene: Scene, status: string, amount: number, want: string): Goal | null {
  const { tables, user } = scene;
  const statuses = user.reservations.flatMap((id) => statusesOf({ tables, reservation: tables.reservations[id] }));
  // What is due for another trip is not to be mistaken for this.
  const troubles = statuses.filter((each) => each === "cancelled" || each === "delayed");
  if (!statusesOf(scene).includes(status) || troubles.some((trouble) => trouble !== status)) return null;
  const whole = reservationOf(scene);
  const { passengers } = scene.reservation;
  const give = write("send_certificate", { user_id: scene.userId, amount: amount * passengers.length });
  return { ...about(whole), want: want.replace("TRIP", whole.words), readings: [[give]] };
}

/** Requests that no tool serves. */
const STRANGE = [
  "have window seats on TRIP",
  "order a vegetarian meal for TRIP",
  "bring my dog on TRIP",
  "have a wheelchair at the airport for TRIP",
  "have a child looked after on TRIP, who travels alone",
  "get a visa letter for TRIP",
  "change the e-mail address in my profile",
  "change the date of birth in my profile",
  "add a credit card to my profile",
];
const STRANGE_LATER = [
  "cancel TRIP, of which a part is flown already",
  "have a bag found that was lost on TRIP",
  "be paid for a suitcase that was damaged on TRIP",
  "get a coat back that I left on board on TRIP",
  "have the miles of TRIP credited",
  "get an invoice with a tax number for TRIP",
];

const maker: Maker<Tables, Reservation> = {
  name: "airline",
  grounds: GROUNDS,
  makeTables,
  toDatabase,
  starts: ({ reservations }) => Object.values(reservations),
  draw: Object.fromEntries(
    FAMILIES.map((family) => [
      family,
      ({ tables, database, start: reservation, random, wording: { easy } }) => {
        const { user_id: userId } = reservation;
        const scene = { tables, userId, user: tables.users[userId], reservation, random, easy };
        const drawn = DRAW[family](scene, database);
        return drawn && { userId, ...drawn };
      },
    ]),
  ),
  identify,
};

export const { database, task, readings } = planner(maker);

function identify(userId: string, { users }: Tables, random: Random): ReturnType<typeof maker.identify> {
  const name = fullName(users[userId].name);
  return {
    first: "user_id",
    slots: {
      user_id: random.pick([
        `My user id is ${userId}.`,
        `${name} here, user id ${userId}.`,
        `I am ${name}, my user id is ${userId}.`,
      ]),
    },
    prose: `You are ${name}; your user id is ${userId}.`,
    lookups: [write("get_user_details", { user_id: userId })],
  };
}
