// The airline's database generator: tau-bench's schema filled with the project's own people, flights and ids. The same
// seed gives the same bytes. Flight numbers and reservation ids have another shape than tau-bench's, so that none can be
// one of them. It is 2024-05-15, 15:00 EST.
//
// Distributions: a network of 7 of the 20 airports, where half of the directed pairs have a flight a day (one in five of
// them a second one) from 2024-05-12 to 2024-05-26. A flight is cancelled on 5% of days; what has not left by now today is
// on time or (30%) delayed, later days can be booked: 0 to 20 seats in each cabin, at 50 to 100 dollars (basic economy),
// 100 to 200 (economy), 200 to 500 (business). Users are regular, silver or gold alike, with a credit card (a second one
// for 30%), a gift card of 50 to 400 dollars (70%; a second one for 30%) and a certificate of 100 to 500 (50%).
// Reservations are one way (60%) or round trips, direct or with one stop, in each cabin alike, for 1 to 3 passengers,
// insured half of the time, booked within the last day (25%) or in the two weeks before.

import { Random } from "../../random.ts";
import type { Database } from "../../types.ts";
import { type Address, drawIds, FIRST_NAMES, LAST_NAMES, makeAddress } from "../people.ts";
import type { Value } from "../python.ts";

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

const AIRPORTS = "SFO JFK LAX ORD DFW DEN SEA ATL MIA BOS PHX IAH LAS MCO EWR CLT MSP DTW PHL LGA".split(" ");
const SIZES = { airports: 7, users: 30, reservations: 90 };

export function makeTables(seed: number): Tables {
  const random = new Random("airline", seed);
  const newId = drawIds(random);
  const airports = random.shuffle(AIRPORTS).slice(0, SIZES.airports);
  const flights = airports.flatMap((origin) =>
    airports.flatMap((destination) => {
      if (origin === destination || random.chance(0.5)) return [];
      return Array.from({ length: random.chance(0.2) ? 2 : 1 }, () => makeFlight(origin, destination, newId, random));
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

/** The tables as tau-bench's tools know them: dicts are Maps, every number is an int. */
export function toDatabase({ flights, reservations, users }: Tables): Database {
  return toValue({ flights, reservations, users }) as unknown as Database;
}

function toValue(plain: unknown): Value {
  if (Array.isArray(plain)) return plain.map(toValue);
  if (typeof plain === "number") return BigInt(plain);
  if (typeof plain === "object" && plain !== null)
    return new Map(Object.entries(plain).map(([key, value]) => [key, toValue(value)]));
  return plain as string | boolean;
}

/** The day so many days later. */
export function addDays(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}

type NewId = ReturnType<typeof drawIds>;

function makeFlight(origin: string, destination: string, newId: NewId, random: Random): Flight {
  const leaves = 60 * (5 + random.int(17)) + 15 * random.int(4);
  const arrives = leaves + 60 + 15 * random.int(17);
  const dates = DAYS.map((day) => [day, makeDay(day, leaves, arrives, random)] as const);
  return {
    flight_number: newId("TRL", 4),
    origin,
    destination,
    scheduled_departure_time_est: clock(leaves),
    scheduled_arrival_time_est: clock(arrives % 1440) + (arrives >= 1440 ? "+1" : ""),
    dates: Object.fromEntries(dates),
  };
}

function makeDay(day: string, leaves: number, arrives: number, random: Random): FlightDay {
  const now = 60 * Number(NOW.slice(11, 13));
  if (random.chance(0.05)) return { status: "cancelled" };
  const late = random.chance(0.3) ? 15 * (2 + random.int(12)) : 0;
  const at = (minutes: number) => `${addDays(day, Math.floor(minutes / 1440))}T${clock(minutes % 1440)}`;
  if (day < TODAY || (day === TODAY && arrives + late < now))
    return {
      status: "landed",
      actual_departure_time_est: at(leaves + late),
      actual_arrival_time_est: at(arrives + late),
    };
  if (day === TODAY && leaves + late < now)
    return {
      status: "flying",
      actual_departure_time_est: at(leaves + late),
      estimated_arrival_time_est: at(arrives + late),
    };
  if (day === TODAY)
    return {
      status: late > 0 ? "delayed" : "on time",
      estimated_departure_time_est: at(leaves + late),
      estimated_arrival_time_est: at(arrives + late),
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
  methods.push(card());
  if (random.chance(0.3)) methods.push(card());
  if (random.chance(0.7)) methods.push(gift());
  if (methods.length > 1 && random.chance(0.3)) methods.push(gift());
  if (random.chance(0.5))
    methods.push({ source: "certificate", amount: 50 * (2 + random.int(9)), id: newId("certificate_", 6) });
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
  const out = random.pick(flights);
  const cabin = random.pick(CABINS);
  const day = random.int(DAYS.length - 1);
  const there = route(flights, out.origin, out.destination, DAYS[day], random);
  const isRound = random.chance(0.4);
  const backDay = Math.min(DAYS.length - 1, day + 1 + random.int(5));
  const back = isRound ? route(flights, out.destination, out.origin, DAYS[backDay], random) : [];
  if (!there || !back) return null;
  const legs = [...there, ...back].map(({ flight, date }): Leg => {
    const { origin, destination, flight_number, dates } = flight;
    const price =
      dates[date].prices?.[cabin] ?? { basic_economy: 50, economy: 100, business: 200 }[cabin] + random.int(50);
    return { origin, destination, flight_number, date, price };
  });
  const self: Passenger = { ...user.name, dob: user.dob };
  const others = random.shuffle(user.saved_passengers).slice(0, random.int(3));
  const passengers = [self, ...others];
  const insurance = random.chance(0.5) ? "yes" : "no";
  const price = legs.reduce((sum, leg) => sum + leg.price, 0) + (insurance === "yes" ? 30 : 0);
  const bags = random.int(1 + freeBags(user.membership, cabin) * passengers.length);
  return {
    reservation_id: newId(random.pick(["QX", "KV", "ZD", "MB"]), 5),
    user_id,
    origin: out.origin,
    destination: out.destination,
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

/** One or two flights of a day from one place to another; null where there are none. */
export function route(
  flights: readonly Flight[],
  origin: string,
  destination: string,
  day: string,
  random: Random,
): { flight: Flight; date: string }[] | null {
  const direct = flights.filter((flight) => flight.origin === origin && flight.destination === destination);
  const stops = flights
    .filter((flight) => flight.origin === origin && flight.destination !== destination)
    .flatMap((first) =>
      flights
        .filter((second) => second.origin === first.destination && second.destination === destination)
        .filter((second) => second.scheduled_departure_time_est > first.scheduled_arrival_time_est)
        .map((second) => [first, second]),
    )
    .filter(([first]) => !first.scheduled_arrival_time_est.endsWith("+1"));
  const ways = random.chance(0.6)
    ? [...direct.map((flight) => [flight]), ...stops]
    : [...stops, ...direct.map((f) => [f])];
  if (ways.length === 0) return null;
  return ways[0].map((flight) => ({ flight, date: day }));
}

/** Checked bags that each passenger takes for nothing. */
export function freeBags(membership: User["membership"], cabin: Cabin): number {
  const table = { regular: [0, 1, 2], silver: [1, 2, 3], gold: [2, 3, 3] };
  return table[membership][CABINS.indexOf(cabin)];
}
