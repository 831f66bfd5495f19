// The airline's database generator: tau-bench's schema filled with the project's own people, flights and ids. The same
// seed gives the same bytes. Flight numbers and reservation ids have another shape than tau-bench's, so that none can be
// one of them. It is 2024-05-15, 15:00 EST.
//
// Distributions: 8 of the 20 airports; 60% of the directed pairs have a flight a day (40% of them a second one) from
// 2024-05-12 to 2024-05-26, for 1 to 5 hours, landing on the day it leaves: tau-bench's search for connections misreads
// the others. A flight is cancelled on 5% of days and late on 40%; what has not left by now today is "on time" or
// "delayed"; later days can be booked: 0 to 20 seats in each cabin, at 50 to 100 dollars (basic economy), 100 to 200
// (economy), 200 to 500 (business). Users are regular, silver or gold alike, with a credit card (a second one for 40%), a
// gift card of 50 to 400 dollars (70%; a second one for 30%) and a certificate of 100 to 500 (60%; a second one for half
// of those). Reservations begin today (12%) or on any day, are one way (60%) or round trips, direct where there is a
// flight (60%) or with one stop, in each cabin alike, for 1 to 3 passengers, insured half of the time, without bags beyond
// the allowance, booked within the last day (25% of those that lie ahead) or one to two weeks before.

import { Random } from "../../random.ts";
import type { Database } from "../../types.ts";
import { AIRPORTS } from "../airports.ts";
import { type Address, drawIds, FIRST_NAMES, LAST_NAMES, makeAddress } from "../making/people.ts";
import * as tables from "../making/tables.ts";

export const NOW = "2024-05-15T15:00:00";
const FIRST_DAY = "2024-05-12";
export const DAYS: readonly string[] = Array.from({ length: 15 }, (_, i) => addDays(FIRST_DAY, i));
export const TODAY = NOW.slice(0, 10);

export const CABINS = ["basic_economy", "economy", "business"] as const;
export type Cabin = (typeof CABINS)[number];

export interface Passenger {
  readonly first_name: string;
  readonly last_name: string;
  readonly dob: string;
}

export type Method = { readonly id: string } & (
  | { readonly source: "credit_card"; readonly brand: string; readonly last_four: string }
  | { readonly source: "gift_card" | "certificate"; readonly amount: number }
);

export interface User {
  readonly name: { readonly first_name: string; readonly last_name: string };
  readonly address: Address;
  readonly email: string;
  readonly dob: string;
  readonly payment_methods: { readonly [id: string]: Method };
  readonly saved_passengers: readonly Passenger[];
  readonly membership: "regular" | "silver" | "gold";
  readonly reservations: string[];
}

/** A flight on one day; those that can be booked have seats and prices. */
export interface FlightDay {
  readonly status: "available" | "on time" | "delayed" | "flying" | "landed" | "cancelled";
  readonly available_seats?: { readonly [cabin in Cabin]: number };
  readonly prices?: { readonly [cabin in Cabin]: number };
  readonly [time: `${string}_est`]: string;
}

export interface Flight {
  readonly flight_number: string;
  readonly origin: string;
  readonly destination: string;
  readonly scheduled_departure_time_est: string;
  readonly scheduled_arrival_time_est: string;
  readonly dates: { readonly [day: string]: FlightDay };
}

/** A flight of a reservation. */
export interface Leg {
  readonly origin: string;
  readonly destination: string;
  readonly flight_number: string;
  readonly date: string;
  readonly price: number;
}

export interface Reservation {
  readonly reservation_id: string;
  readonly user_id: string;
  readonly origin: string;
  readonly destination: string;
  readonly flight_type: "one_way" | "round_trip";
  readonly cabin: Cabin;
  readonly flights: readonly Leg[];
  readonly passengers: readonly Passenger[];
  readonly payment_history: readonly { readonly payment_id: string; readonly amount: number }[];
  readonly created_at: string;
  readonly total_baggages: number;
  readonly nonfree_baggages: number;
  readonly insurance: "yes" | "no";
}

/** The three tables as plain objects, which is how tasks are made from them. */
export interface Tables {
  readonly flights: { readonly [number: string]: Flight };
  readonly reservations: { readonly [id: string]: Reservation };
  readonly users: { readonly [id: string]: User };
}

/** Bags in basic economy, economy, business. */
const ALLOWANCE: { readonly [membership: string]: readonly number[] } = {
  regular: [0, 1, 2],
  silver: [1, 2, 3],
  gold: [2, 3, 3],
};
const SIZES = { airports: 8, users: 30, reservations: 90 };

export function makeTables(seed: number): Tables {
  const random = new Random("airline", seed);
  const newId = drawIds(random);
  const airports = random.shuffle(Object.keys(AIRPORTS)).slice(0, SIZES.airports);
  const flights = airports.flatMap((origin) =>
    airports.flatMap((destination) => {
      if (origin === destination || random.chance(0.4)) return [];
      return Array.from({ length: random.chance(0.4) ? 2 : 1 }, () => makeFlight(origin, destination, newId, random));
    }),
  );
  const users = Array.from({ length: SIZES.users }, () => makeUser(newId, random));
  const reservations: Reservation[] = [];
  while (reservations.length < SIZES.reservations) {
    const [id, user] = random.pick(users);
    const reservation = makeReservation(id, user, flights, newId, random);
    if (!reservation) continue;
    reservations.push(reservation);
    user.reservations.push(reservation.reservation_id);
  }
  return {
    flights: Object.fromEntries(flights.map((flight) => [flight.flight_number, flight])),
    reservations: Object.fromEntries(reservations.map((each) => [each.reservation_id, each])),
    users: Object.fromEntries(users),
  };
}

/** The tables as tau-bench's tools know them: every number is an int. */
export function toDatabase({ flights, reservations, users }: Tables): Database {
  return tables.toDatabase({ flights, reservations, users }, BigInt);
}

/** The day so many days later. */
export function addDays(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}

type NewId = ReturnType<typeof drawIds>;

function makeFlight(origin: string, destination: string, newId: NewId, random: Random): Flight {
  const leaves = 15 * (4 * 5 + random.int(4 * 14));
  const arrives = leaves + 15 * (4 + random.int(17));
  return {
    flight_number: newId("TRL", 4),
    origin,
    destination,
    scheduled_departure_time_est: clock(leaves),
    scheduled_arrival_time_est: clock(arrives),
    dates: Object.fromEntries(DAYS.map((day) => [day, makeDay(day, leaves, arrives, random)])),
  };
}

function makeDay(day: string, leaves: number, arrives: number, random: Random): FlightDay {
  if (random.chance(0.05)) return { status: "cancelled" };
  const late = random.chance(0.4) ? 15 * (2 + random.int(12)) : 0;
  const at = (minutes: number) => `${addDays(day, Math.floor(minutes / 1440))}T${clock(minutes % 1440)}`;
  const [departure, arrival] = [at(leaves + late), at(arrives + late)];
  if (arrival < NOW)
    return { status: "landed", actual_departure_time_est: departure, actual_arrival_time_est: arrival };
  if (departure < NOW)
    return { status: "flying", actual_departure_time_est: departure, estimated_arrival_time_est: arrival };
  if (day === TODAY)
    return {
      status: late > 0 ? "delayed" : "on time",
      estimated_departure_time_est: departure,
      estimated_arrival_time_est: arrival,
    };
  const seats = () => random.int(21);
  return {
    status: "available",
    available_seats: { basic_economy: seats(), economy: seats(), business: seats() },
    prices: { basic_economy: 50 + random.int(51), economy: 100 + random.int(101), business: 200 + random.int(301) },
  };
}

/** Minutes after midnight as a time of day. */
function clock(minutes: number): string {
  return `${pad(Math.floor(minutes / 60))}:${pad(minutes % 60)}:00`;
}

function pad(n: number): string {
  return String(n).padStart(2, "0");
}

function makeUser(newId: NewId, random: Random): [id: string, user: User] {
  const [first_name, last_name] = [random.pick(FIRST_NAMES), random.pick(LAST_NAMES)];
  const login = `${first_name}_${last_name}`.toLowerCase();
  const methods: Method[] = [];
  const card = (): Method => ({
    source: "credit_card",
    brand: random.pick(["visa", "mastercard"]),
    last_four: String(1000 + random.int(9000)),
    id: newId("credit_card_", 6),
  });
  const gift = (): Method => ({ source: "gift_card", amount: 50 + random.int(351), id: newId("gift_card_", 6) });
  const certificate = (): Method => ({
    source: "certificate",
    amount: 50 * (2 + random.int(9)),
    id: newId("certificate_", 6),
  });
  methods.push(card());
  if (random.chance(0.4)) methods.push(card());
  if (random.chance(0.7)) methods.push(...Array.from({ length: random.chance(0.3) ? 2 : 1 }, gift));
  if (random.chance(0.6)) methods.push(...Array.from({ length: random.chance(0.5) ? 2 : 1 }, certificate));
  return [
    newId(`${login}_`, 3),
    {
      name: { first_name, last_name },
      address: makeAddress(random),
      email: `${newId(login.replace("_", "."), 2)}@mail.example`,
      dob: birthday(random),
      payment_methods: Object.fromEntries(random.shuffle(methods).map((method) => [method.id, method])),
      saved_passengers: Array.from({ length: 1 + random.int(3) }, () => makePassenger(random)),
      membership: random.pick(["regular", "silver", "gold"]),
      reservations: [],
    },
  ];
}

export function makePassenger(random: Random): Passenger {
  return { first_name: random.pick(FIRST_NAMES), last_name: random.pick(LAST_NAMES), dob: birthday(random) };
}

function birthday(random: Random): string {
  return addDays("1945-01-01", random.int(22_000));
}

function makeReservation(
  user_id: string,
  user: User,
  flights: readonly Flight[],
  newId: NewId,
  random: Random,
): Reservation | null {
  const { origin, destination } = random.pick(flights);
  const cabin = random.pick(CABINS);
  const first = random.chance(0.12) ? DAYS.indexOf(TODAY) : random.int(DAYS.length - 1);
  const isRound = random.chance(0.4);
  const last = Math.min(DAYS.length - 1, first + 1 + random.int(5));
  const trips = isRound
    ? [way(flights, origin, destination, random), way(flights, destination, origin, random)]
    : [way(flights, origin, destination, random)];
  if (trips.some((trip) => trip === null)) return null;
  const legs = trips.flatMap((trip, i) =>
    trip!.map(({ origin, destination, flight_number, dates }): Leg => {
      const date = DAYS[i === 0 ? first : last];
      const price =
        dates[date].prices?.[cabin] ?? { basic_economy: 50, economy: 100, business: 200 }[cabin] + random.int(50);
      return { origin, destination, flight_number, date, price };
    }),
  );
  const self: Passenger = { ...user.name, dob: user.dob };
  const others = random.shuffle(user.saved_passengers).slice(0, random.int(3));
  const passengers = [self, ...others];
  const insurance = random.chance(0.5) ? "yes" : "no";
  const price = legs.reduce((sum, leg) => sum + leg.price, 0) + (insurance === "yes" ? 30 : 0);
  const bags = random.int(1 + freeBags(user.membership, cabin) * passengers.length);
  return {
    reservation_id: newId(random.pick(["QX", "KV", "ZD", "MB"]), 5),
    user_id,
    origin,
    destination,
    flight_type: isRound ? "round_trip" : "one_way",
    cabin,
    flights: legs,
    passengers,
    payment_history: [{ payment_id: payer(user, random), amount: price * passengers.length }],
    created_at: createdAt(legs[0].date, random),
    total_baggages: bags,
    nonfree_baggages: 0,
    insurance,
  };
}

/** Gift cards and cards; a certificate does not outlive its use. */
function payer({ payment_methods }: User, random: Random): string {
  return random.pick(Object.values(payment_methods).filter(({ source }) => source !== "certificate")).id;
}

/** Within the last day for a quarter of those that lie ahead, else in the weeks before. */
function createdAt(firstDay: string, random: Random): string {
  const minute = random.int(1440);
  if (firstDay > TODAY && random.chance(0.25)) {
    const [day, of] = minute < 900 ? [TODAY, minute] : [addDays(TODAY, -1), minute];
    return `${day}T${clock(of)}`;
  }
  return `${addDays(FIRST_DAY, -2 - random.int(10))}T${clock(minute)}`;
}

/** One of the ways from one place to another, direct rather than not; null where there is none. */
function way(flights: readonly Flight[], origin: string, destination: string, random: Random): Flight[] | null {
  const [direct, indirect] = waysOf(flights, origin, destination);
  const some = direct.length > 0 && (indirect.length === 0 || random.chance(0.6)) ? direct : indirect;
  return some.length > 0 ? random.pick(some) : null;
}

/** The flights that lead from one place to another on one day: direct ones, and pairs that connect. */
export function waysOf(
  flights: readonly Flight[],
  origin: string,
  destination: string,
): [direct: Flight[][], indirect: Flight[][]] {
  const leaving = flights.filter((flight) => flight.origin === origin);
  return [
    leaving.filter((flight) => flight.destination === destination).map((flight) => [flight]),
    leaving.flatMap((first) =>
      flights
        .filter((second) => second.origin === first.destination && second.destination === destination)
        .filter((second) => second.scheduled_departure_time_est >= first.scheduled_arrival_time_est)
        .map((second) => [first, second]),
    ),
  ];
}

/** Checked bags that each passenger takes for nothing; NaN where there is no such membership or cabin. */
export function freeBags(membership: string, cabin: string): number {
  return ALLOWANCE[membership]?.[(CABINS as readonly string[]).indexOf(cabin)] ?? Number.NaN;
}
