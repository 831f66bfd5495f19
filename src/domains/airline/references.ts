// How the airline's customers name things: a reservation, a way to fly on a day, a payment method. Each reference holds the
// words and everything in the data that they fit, so that what is ambiguous shows. Test: test/unit/airline-tasks.test.ts

import type { Random } from "../../random.ts";
import type { WrittenCall } from "../../types.ts";
import { capital } from "../expert.ts";
import { type Goal, NOTHING, type Reference, write } from "../making/goals.ts";
import {
  type Cabin,
  type Flight,
  type Leg,
  type Method,
  type Reservation,
  type Tables,
  type User,
  waysOf,
} from "./data.ts";
import type { Scene } from "./goals.ts";
import { cityOf, dayWords, numbersOf } from "./words.ts";

/** A reservation, with the reservations that an expert has to look at to know which one is meant. */
export interface ReservationReference extends Reference<string> {
  readonly looked: readonly string[];
}

/** A flight as a call names it. */
export type Named = Pick<Leg, "flight_number" | "date">;

/** How a customer wants to fly, with the searches that show it. */
export interface WayReference extends Reference<readonly Named[]> {
  readonly lookups: readonly WrittenCall[];
}

/**
 * The scene's reservation by its id, or described in words that fit it: by its route, its first day or a flight. A
 * stranger's is always named by its id.
 */
export function reservationOf({ tables, user, reservation, random, easy }: Scene): ReservationReference {
  const { reservation_id: id, origin, destination, flights } = reservation;
  const named = { words: `reservation ${id}`, answer: `It is reservation ${id}.`, fits: [id], looked: [id] };
  if (!user.reservations.includes(id)) return { ...named, words: `reservation ${id} of a friend` };
  if (easy || random.chance(0.4)) return named;
  const described = (words: string, test: (other: Reservation) => boolean): ReservationReference => {
    const fits = user.reservations.filter((other) => test(tables.reservations[other]));
    // Whoever looks for it goes through the reservations one by one until it is found.
    const looked = user.reservations.slice(0, user.reservations.indexOf(id) + 1);
    return { words: `my trip ${words}`, answer: `I do not have the id. It is the trip ${words}.`, fits, looked };
  };
  const { flight_number } = random.pick(flights);
  const ways = [
    described(
      `from ${cityOf(origin)} to ${cityOf(destination)}`,
      (other) => other.origin === origin && other.destination === destination,
    ),
    described(`that begins on ${dayWords(flights[0].date)}`, (other) => other.flights[0].date === flights[0].date),
    described(`with flight ${flight_number}`, (other) =>
      other.flights.some((leg) => leg.flight_number === flight_number),
    ),
  ];
  const unique = ways.filter(({ fits }) => fits.length === 1);
  return unique.length ? random.pick(unique) : named;
}

/** What a goal about a reservation has to look at, and what the customer answers about it. */
export function about(whole: ReservationReference): Omit<Goal, "want"> {
  return {
    ...NOTHING,
    facts: { reservation: whole.answer },
    lookups: whole.looked.map((reservation_id) => write("get_reservation_details", { reservation_id })),
  };
}

/** Where, when and for how many somebody wants to fly. */
export interface Wish {
  readonly origin: string;
  readonly destination: string;
  readonly date: string;
  readonly cabin: Cabin;
  readonly count: number;
}

/**
 * A way to fly: the direct flight, the cheapest, first or last one that has seats, with or without a stop, or by its
 * numbers. `full`: one that cannot be booked for want of seats. Null where there is none.
 */
export function wayOf(tables: Tables, wish: Wish, random: Random, full = false): WayReference | null {
  const { origin, destination, date } = wish;
  const [direct, indirect] = waysOf(Object.values(tables.flights), origin, destination).map((ways) =>
    ways.filter((way) => way.every(({ dates }) => dates[date].status === "available")),
  );
  const route = { origin, destination, date };
  const searches = {
    direct: [write("search_direct_flight", route)],
    stop: [write("search_onestop_flight", route)],
    any: [write("search_direct_flight", route), write("search_onestop_flight", route)],
  };
  const reference = (words: string, fits: readonly Flight[][], search: keyof typeof searches): WayReference | null =>
    fits.length === 0
      ? null
      : {
          words,
          answer: `${capital(words)}, please.`,
          fits: fits.map((way) => named(way, date)),
          lookups: searches[search],
        };
  const open = (ways: readonly Flight[][]) => ways.filter((way) => hasSeats(way, wish) !== full);
  const numbered = () => {
    const some = [...open(direct), ...open(direct), ...open(indirect)];
    if (some.length === 0) return null;
    const way = random.pick(some);
    return reference(numbersOf(way), [way], way.length > 1 ? "stop" : "direct");
  };
  if (full) return numbered();
  const hour = 6 + random.int(12);
  const time = `${String(hour).padStart(2, "0")}:00:00`;
  // Whether "after 11" takes in 11 is nobody's guess.
  const isClear = direct.every(([flight]) => flight.scheduled_departure_time_est !== time);
  const later = open(direct).filter(([flight]) => isClear && flight.scheduled_departure_time_est > time);
  const clock = `${((hour + 11) % 12) + 1} ${hour < 12 ? "am" : "pm"}`;
  const cost = (way: readonly Flight[]) => priceOf(way, wish);
  const leaves = ([flight]: readonly Flight[]) => minutes(flight.scheduled_departure_time_est);
  const lands = (way: readonly Flight[]) => minutes(way.at(-1)!.scheduled_arrival_time_est);
  const found = [
    () => reference("the direct flight", direct, "direct"),
    () => reference("the cheapest direct flight that has seats", least(open(direct), cost), "direct"),
    () =>
      reference(
        "the last direct flight of the day that has seats",
        least(open(direct), (way) => -leaves(way)),
        "direct",
      ),
    () => reference(`the first direct flight with seats that leaves after ${clock}`, least(later, leaves), "direct"),
    () => reference("the cheapest way with one stop that has seats", least(open(indirect), cost), "stop"),
    () => reference("the way with one stop and free seats that gets there first", least(open(indirect), lands), "stop"),
    () =>
      reference(
        "whatever is cheapest, direct or with one stop",
        least([...open(direct), ...open(indirect)], cost),
        "any",
      ),
    numbered,
  ];
  for (const make of random.shuffle(found)) {
    const made = make();
    if (made?.fits.length === 1) return made;
  }
  return null;
}

export function named(way: readonly Flight[], date: string): Named[] {
  return way.map(({ flight_number }) => ({ flight_number, date }));
}

/** What a way costs each passenger. */
export function priceOf(way: readonly Flight[], { date, cabin }: Pick<Wish, "date" | "cabin">): number {
  return way.reduce((sum, { dates }) => sum + (dates[date].prices?.[cabin] ?? Number.NaN), 0);
}

export function hasSeats(
  way: readonly Flight[],
  { date, cabin, count }: Pick<Wish, "date" | "cabin" | "count">,
): boolean {
  return way.every(({ dates }) => (dates[date].available_seats?.[cabin] ?? 0) >= count);
}

/** Those that are least in something. */
export function least<T>(things: readonly T[], measure: (thing: T) => number): T[] {
  const edge = Math.min(...things.map(measure));
  return things.filter((thing) => measure(thing) === edge);
}

function minutes(time: string): number {
  return 60 * Number(time.slice(0, 2)) + Number(time.slice(3, 5));
}

export function methodsOf(user: User): Method[] {
  return Object.values(user.payment_methods);
}

/** A payment method by its kind and number, or as what the scene's reservation was paid with. */
export function methodOf({ user, reservation, random }: Scene, method: Method, isChange: boolean): Reference<string> {
  const [{ payment_id }] = reservation.payment_history;
  if (
    isChange &&
    method.id === payment_id &&
    user.reservations.includes(reservation.reservation_id) &&
    random.chance(0.4)
  )
    return { words: "what I paid with", answer: "What I paid with.", fits: [payment_id] };
  const words = labelOf(user, method);
  const fits = methodsOf(user).filter((other) => labelOf(user, other) === words);
  return { words, answer: `${capital(words)}.`, fits: fits.map(({ id }) => id) };
}

/** How a customer calls a payment method; one of several of a kind by what is on it. */
export function labelOf(user: User, method: Method): string {
  if (method.source === "credit_card") return `my ${method.brand} ending in ${method.last_four}`;
  const kind = method.source.replace("_", " ");
  const isOnly = methodsOf(user).filter(({ source }) => source === method.source).length === 1;
  return isOnly ? `my ${kind}` : `my ${kind} with ${method.amount} dollars on it`;
}
