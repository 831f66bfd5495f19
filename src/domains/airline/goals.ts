// The airline's goals: one thing that a customer wants, in words, with every list of calls that the words admit. Builders
// take a reservation as it is; whether the goal is allowed, and unique in its words, is proven afterwards (planner.ts).
// Booking is booking.ts; how things are named is references.ts. Test: test/unit/airline-tasks.test.ts
//
// `flaw` asks for the refusal twin: the same goal with exactly one rule broken.

import type { Random } from "../../random.ts";
import { combinations, type Detail, type Goal, type Reference, write } from "../making/goals.ts";
import {
  CABINS,
  DAYS,
  freeBags,
  type Leg,
  type Method,
  makePassenger,
  type Passenger,
  type Reservation,
  type Tables,
  TODAY,
  type User,
} from "./data.ts";
import { about, labelOf, methodOf, methodsOf, type Named, priceOf, reservationOf, wayOf } from "./references.ts";
import { bagWords, cabinWords, cityOf, dayWords, fullName } from "./words.ts";

export interface Scene {
  readonly tables: Tables;
  readonly userId: string;
  readonly user: User;
  readonly reservation: Reservation;
  readonly random: Random;
  /** Reservations are named by their ids. */
  readonly easy: boolean;
  readonly flaw?: Flaw;
}

export type Flaw = "balance" | "certificate" | "seats" | "fewer" | "count" | "elsewhere" | "entitlement";

export type Build = (scene: Scene) => Goal | null;

/** Reasons for cancelling: for anyone, where the airline has cancelled or is late, where the insurance pays. */
const REASONS = {
  any: ["my plans have changed", "I do not need the trip any more", "my meeting was called off"],
  airline: ["the airline has cancelled one of its flights"],
  late: ["I cannot wait that long", "I would miss my appointment with that delay"],
  insured: ["I have fallen ill", "I have broken my leg", "a storm is forecast for that day"],
};

export const build = {
  cancel(scene) {
    const { reservation, random } = scene;
    const statuses = statusesOf(scene);
    const kind = statuses.includes("cancelled")
      ? "airline"
      : reservation.insurance === "yes"
        ? "insured"
        : statuses.includes("delayed")
          ? "late"
          : "any";
    const [reason, slip] = [random.pick(REASONS[kind]), random.pick(REASONS.any)];
    const whole = reservationOf(scene);
    return {
      ...about(whole),
      want: `${random.pick(["cancel", "call off", "give up"])} ${whole.words}`,
      details: {
        reason: {
          said: `because ${reason}`,
          answer: `Because ${reason}.`,
          ...(slip === reason ? {} : { slip: `Because ${slip}.` }),
        },
      },
      readings: whole.fits.map((reservation_id) => [write("cancel_reservation", { reservation_id })]),
    };
  },

  flights(scene) {
    const { tables, reservation, random, flaw } = scene;
    const part = partOf(reservation, random);
    if (!part || isUnderway({ tables, reservation: { ...reservation, flights: part.legs } })) return null;
    const { legs, rest, date, name } = part;
    const { cabin, passengers } = reservation;
    const [origin, destination] = [legs[0].origin, legs.at(-1)!.destination];
    const to = flaw === "elsewhere" ? elsewhere(tables, origin, destination, random) : destination;
    const wish = { origin, destination: to, date, cabin, count: passengers.length };
    const way = to ? wayOf(tables, wish, random, flaw === "seats") : null;
    if (!way) return null;
    const difference = costOf(tables, way.fits[0], reservation) - sum(legs.map(({ price }) => price));
    const payment = settle(scene, difference * passengers.length);
    if (!payment) return null;
    const whole = reservationOf(scene);
    const goes = to === destination ? "" : `, which is to go to ${cityOf(to)},`;
    return {
      ...about(whole),
      want: `${random.pick(["change", "move", "rebook"])} ${name}${whole.words}${goes} to ${dayWords(date)}`,
      details: {
        option: { said: `taking ${way.words}`, answer: way.answer },
        payment: payment.detail("settling the difference with", "Settle the difference with"),
      },
      lookups: [...about(whole).lookups, ...way.lookups],
      readings: combinations<unknown>([whole.fits, way.fits, payment.fits]).map(
        ([reservation_id, flights, payment_id]) => [
          write("update_reservation_flights", {
            reservation_id,
            cabin,
            flights: rest(flights as Named[]),
            payment_id,
          }),
        ],
      ),
    };
  },

  cabin(scene) {
    const { tables, reservation, random, flaw } = scene;
    const { flights, passengers } = reservation;
    const cabin = random.pick(CABINS.filter((other) => other !== reservation.cabin));
    const days = flights.map(({ flight_number, date }) => tables.flights[flight_number].dates[date]);
    if (days.some(({ status }) => status !== "available")) return null;
    const isFull = days.some(({ available_seats }) => available_seats![cabin] < passengers.length);
    if (isFull !== (flaw === "seats")) return null;
    const difference = sum(days.map(({ prices }, i) => prices![cabin] - flights[i].price));
    const payment = settle(scene, difference * passengers.length);
    if (!payment) return null;
    const whole = reservationOf(scene);
    const isUp = CABINS.indexOf(cabin) > CABINS.indexOf(reservation.cabin);
    const same = flights.map(({ flight_number, date }) => ({ flight_number, date }));
    return {
      ...about(whole),
      want: random.pick([
        `${isUp ? "upgrade" : "move"} ${whole.words} to ${cabinWords(cabin)} with the same flights`,
        `have ${whole.words} in ${cabinWords(cabin)} instead, on the same flights`,
      ]),
      details: { payment: payment.detail("settling the difference with", "Settle the difference with") },
      lookups: [
        ...about(whole).lookups,
        ...flights.map(({ origin, destination, date }) => write("search_direct_flight", { origin, destination, date })),
      ],
      readings: combinations([whole.fits, payment.fits]).map(([reservation_id, payment_id]) => [
        write("update_reservation_flights", { reservation_id, cabin, flights: same, payment_id }),
      ]),
    };
  },

  bags(scene) {
    const { user, reservation, random, flaw } = scene;
    const { passengers, cabin, total_baggages: had, nonfree_baggages: paid } = reservation;
    if (!liesAhead(scene) || (flaw === "fewer" && had === 0)) return null;
    const more = flaw === "fewer" ? -1 - random.int(had) : 1 + random.int(3);
    const total = had + more;
    const nonfree = Math.max(paid, total - freeBags(user.membership, cabin) * passengers.length);
    const payment = settle(scene, 50 * (nonfree - paid));
    if (!payment) return null;
    const whole = reservationOf(scene);
    const bags = bagWords(Math.abs(more));
    return {
      ...about(whole),
      want:
        more > 0
          ? random.pick([`add ${bags} to ${whole.words}`, `take ${bags.replace(" ", " more ")} on ${whole.words}`])
          : `take ${bags} off ${whole.words} again`,
      details: { payment: payment.detail("paying with", "I would pay with") },
      readings: combinations([whole.fits, payment.fits]).map(([reservation_id, payment_id]) => [
        write("update_reservation_baggages", {
          reservation_id,
          total_baggages: total,
          nonfree_baggages: nonfree,
          payment_id,
        }),
      ]),
    };
  },

  passengers(scene) {
    const { reservation, random, flaw } = scene;
    const { passengers } = reservation;
    if (!liesAhead(scene)) return null;
    const old = random.pick(passengers);
    const fits = passengers.flatMap((each, i) => (fullName(each) === fullName(old) ? [i] : []));
    const other = makePassenger(random);
    const whole = reservationOf(scene);
    const change = (name: string, detail: Detail, edit: (i: number) => Passenger[]): Goal => ({
      ...about(whole),
      want: `${name} ${whole.words}`,
      details: { passengers: detail },
      readings: combinations<string | number>([whole.fits, fits]).map(([reservation_id, i]) => [
        write("update_reservation_passengers", {
          reservation_id,
          passengers: edit(i as number),
        }),
      ]),
    });
    const born = `${fullName(other)}, born on ${other.dob}`;
    if (flaw === "count" && passengers.length > 1 && random.chance(0.5))
      return change("take a passenger off", said(`namely ${fullName(old)}`), (i) => passengers.toSpliced(i, 1));
    if (flaw === "count") return change("add a passenger to", said(`namely ${born}`), () => [...passengers, other]);
    if (random.chance(0.5)) {
      const isFirst = random.chance(0.5);
      const right = isFirst ? { ...old, first_name: other.first_name } : { ...old, last_name: other.last_name };
      return change(
        random.pick(["correct the name of a passenger of", "mend a wrong name on"]),
        {
          said: `where ${fullName(old)} should read ${fullName(right)}`,
          answer: `${fullName(old)} should read ${fullName(right)}, with the same date of birth.`,
          slip: `${fullName(old)} should read ${fullName(other)}, with the same date of birth.`,
        },
        (i) => passengers.with(i, right),
      );
    }
    return change(
      random.pick(["exchange a passenger of", "swap a passenger of"]),
      said(`namely ${fullName(old)} for ${born}`),
      (i) => passengers.with(i, other),
    );
  },

  /** For a cancelled flight at once, for a delayed one after a change. */
  certificate(scene): Goal | null {
    const { userId, user, reservation, random, flaw } = scene;
    const { passengers, insurance, cabin } = reservation;
    const isEntitled = user.membership !== "regular" || insurance === "yes" || cabin === "business";
    if (isEntitled !== (flaw !== "entitlement")) return null;
    const statuses = statusesOf(scene);
    const give = (each: number) => write("send_certificate", { user_id: userId, amount: each * passengers.length });
    if (statuses.includes("cancelled")) {
      const whole = reservationOf(scene);
      return {
        ...about(whole),
        want: random.pick([
          `be compensated for the flight of ${whole.words} that the airline has cancelled`,
          `complain about the cancelled flight of ${whole.words} and get something for it`,
        ]),
        readings: [[give(100)]],
      };
    }
    if (!statuses.includes("delayed") || flaw) return null;
    const first: Goal | null = random.pick([build.cancel, build.flights])(scene);
    return (
      first && {
        ...first,
        want: `be compensated for a flight that is late, and ${first.want}`,
        readings: first.readings.map((calls) => [...calls, give(50)]),
      }
    );
  },
} satisfies Readonly<Record<string, Build>>;

export type Kind = keyof typeof build;

/** The statuses of the scene's flights. */
export function statusesOf({ tables, reservation }: Pick<Scene, "tables" | "reservation">): string[] {
  return reservation.flights.map(({ flight_number, date }) => tables.flights[flight_number].dates[date].status);
}

/** Is a part of the scene's trip flown? */
export function isUnderway(scene: Pick<Scene, "tables" | "reservation">): boolean {
  return statusesOf(scene).some((status) => status === "landed" || status === "flying");
}

/** Is all of the scene's trip still to be flown? What was cancelled on a day before is not. */
function liesAhead(scene: Scene): boolean {
  return scene.reservation.flights[0].date >= TODAY && !isUnderway(scene);
}

/** A detail that is answered as it is said. */
export function said(words: string): Detail {
  return { said: words, answer: `${words[0].toUpperCase()}${words.slice(1)}.` };
}

export interface Payment extends Pick<Reference<string>, "fits"> {
  detail(said: string, answer: string): Detail;
}

/** One method for the price of a change; the one that cannot settle it where that is the flaw. Null: there is none. */
export function settle(scene: Scene, price: number): Payment | null {
  const { user, random, flaw } = scene;
  const isShort = (method: Method) => method.source === "gift_card" && method.amount < price;
  const fits = methodsOf(user).filter((method) =>
    method.source === "certificate"
      ? flaw === "certificate"
      : flaw !== "certificate" && isShort(method) === (flaw === "balance"),
  );
  if (fits.length === 0) return null;
  const method = methodOf(scene, random.pick(fits), true);
  const other = methodsOf(user)
    .filter(({ source }) => source !== "certificate")
    .map((each) => labelOf(user, each))
    .find((label) => label !== method.words);
  return {
    fits: method.fits,
    detail: (said, answer) => ({
      said: `${said} ${method.words}`,
      answer: `${answer} ${method.words}.`,
      ...(other && method.words !== "what I paid with" ? { slip: `${answer} ${other}.` } : {}),
    }),
  };
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** What flights cost each passenger now. */
function costOf({ flights }: Tables, named: readonly Named[], { cabin }: Reservation): number {
  return sum(named.map(({ flight_number, date }) => priceOf([flights[flight_number]], { date, cabin })));
}

/** The way there or back of a reservation as far as it lies ahead, and another day for it. */
function partOf({ flights, destination, flight_type }: Reservation, random: Random) {
  const turn = 1 + flights.findIndex((leg) => leg.destination === destination);
  const isBack = flight_type === "round_trip" && random.chance(0.5);
  const legs = isBack ? flights.slice(turn) : flights.slice(0, turn);
  const after = isBack ? flights[turn - 1].date : TODAY;
  const before = !isBack && flight_type === "round_trip" ? flights[turn].date : null;
  const days = DAYS.filter(
    (day) => day > after && day > TODAY && day !== legs[0].date && (before === null || day < before),
  );
  if (legs[0].date < TODAY || days.length === 0) return null;
  const plain = ({ flight_number, date }: Leg): Named => ({ flight_number, date });
  return {
    legs,
    date: random.pick(days),
    name:
      flight_type === "one_way"
        ? ""
        : isBack
          ? random.pick(["the way back of ", "the return of "])
          : random.pick(["the way there of ", "the outbound part of "]),
    rest: (way: readonly Named[]) =>
      isBack ? [...flights.slice(0, turn).map(plain), ...way] : [...way, ...flights.slice(turn).map(plain)],
  };
}

/** Another airport that a direct flight leads to. */
function elsewhere({ flights }: Tables, origin: string, destination: string, random: Random): string {
  const others = Object.values(flights).filter(
    (flight) => flight.origin === origin && flight.destination !== destination,
  );
  return others.length ? random.pick(others).destination : "";
}
