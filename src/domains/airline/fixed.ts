// The airline's tools with tau-bench's defects mended: the profile `fixed`. Names and schemas are those of `tau1`, whose
// functions do the work where they are right. Policy is not checked here either. Test: test/unit/airline.test.ts
//
// | tool | tau1 | fixed |
// |---|---|---|
// | all | any type is taken, Python's own errors are shown | the schema holds, one clear line |
// | all that take counts | any number | none below 0, free bags within all bags, amounts above 0 |
// | all that write amounts | as Python computes them, 137 and 137.0 differ | whole cents, 137 and 137.0 are one |
// | book_reservation | seats stay as they are | the seats are taken |
// | book_reservation | a fourth booking replaces the third | each has an id of its own |
// | book_reservation | a certificate twice raises after it was deleted; a gift card twice overdraws | refused before anything is written |
// | book_reservation | flights lead anywhere | they lead from origin to destination (and back) |
// | book_reservation, update_reservation_flights | no flights, or one twice | refused |
// | update_reservation_flights | the cabin stays what it was, so that later "kept" flights are priced by the wrong one | it changes |
// | update_reservation_flights | seats stay as they are | old seats are returned, new ones are taken |
// | cancel_reservation | can be repeated, as can changes afterwards | refused once it is cancelled |
// | cancel_reservation | every payment and every refund is reversed; nobody gets anything | what is still paid goes back: gift cards and certificates hold it again |
// | cancel_reservation | seats stay as they are | the seats are returned |
// | send_certificate | a fourth certificate is no text and ends the episode | each has an id of its own |
// | search_*, passengers | any text is a date | a day of the calendar as 2024-05-20 |
// | search_onestop_flight | arrival after midnight looks at a day without its zero, at the first day's prices | at the next day and its prices |
// | get_reservation_details | "user not found" | "reservation not found" |

import { ToolError } from "../../errors.ts";
import {
  add,
  at,
  checked,
  type Dict,
  dumps,
  has,
  length,
  less,
  money,
  negative,
  round2,
  stillPaid,
  type Value,
} from "../python.ts";
import type { Store } from "../store.ts";
import { find, flies, flightsOf, offer, reads } from "./reads.ts";
import { SCHEMAS } from "./schemas.ts";
import { certificate, edit, makeWrites, payment } from "./writes.ts";

const base = makeWrites({
  amount: money,
  reservationId: (isFree) => firstFree(isFree, (n) => `HATH${letter((19 + n) / 26)}${letter((19 + n) % 26)}`),
  certificateId: (isFree) => firstFree(isFree, (n) => `certificate_${3221322 + n}`),
});

const mendedReads = {
  ...reads,

  get_reservation_details: (store: Store, id: Value) => dumps(find(store, "reservations", id, "reservation")),

  search_direct_flight(store: Store, origin: Value, destination: Value, date: Value): string {
    checkDate(date);
    return reads.search_direct_flight(store, origin, destination, date);
  },

  search_onestop_flight(store: Store, origin: Value, destination: Value, date: Value): string {
    checkDate(date);
    const flights = flightsOf(store);
    const found: Value[] = [];
    for (const first of flights) {
      if (at(first, "origin") !== origin || !flies(first, date)) continue;
      const [time, days = "0"] = (at(first, "scheduled_arrival_time_est") as string).split("+");
      const next = daysAfter(date, Number(days));
      for (const second of flights)
        if (
          at(second, "origin") === at(first, "destination") &&
          at(second, "destination") === destination &&
          (at(second, "scheduled_departure_time_est") as string) >= time &&
          flies(second, next)
        )
          found.push([offer(first, date).set("date", date), offer(second, next).set("date", next)]);
    }
    return dumps(found);
  },
};

const mendedWrites = {
  book_reservation(store: Store, ...args: Value[]): string {
    const [userId, origin, destination, type, cabin, flights, passengers, payments, bags, nonfree, insurance] = args;
    find(store, "users", userId, "user");
    checkFlights(flights as Dict[]);
    checkRoute(store, flights as Dict[], origin, destination, type);
    checkPassengers(passengers as Dict[]);
    checkBags(bags, nonfree);
    checkOnce((payments as Dict[]).map((paid) => `payment method ${at(paid, "payment_id")}`));
    const paid = (payments as Dict[]).map((paid) => payment(at(paid, "payment_id"), amountOf(paid)));
    const trip = [origin, destination, type, cabin, flights, passengers, paid, bags, nonfree, insurance];
    const reservation = base.book_reservation(store, userId, ...trip);
    moveSeats(store, flights as Dict[], cabin, -length(passengers));
    return reservation;
  },

  cancel_reservation(store: Store, id: Value): string {
    const reservation = standing(store, id);
    const history = at(reservation, "payment_history") as Dict[];
    const refunds = stillPaid(history.map((paid) => [at(paid, "payment_id") as string, at(paid, "amount")]));
    const methods = at(store.edit<Dict>("users", at(reservation, "user_id") as string), "payment_methods") as Dict;
    for (const [method, amount] of refunds) giveBack(methods, method, amount);
    const now = edit(store, id);
    for (const [method, amount] of refunds)
      (at(now, "payment_history") as Value[]).push(payment(method, negative(amount)));
    now.set("status", "cancelled");
    const flights = at(now, "flights") as Dict[];
    moveSeats(store, flights, at(now, "cabin"), length(at(now, "passengers")));
    return dumps(now);
  },

  update_reservation_baggages(store: Store, id: Value, bags: Value, nonfree: Value, paymentId: Value): string {
    standing(store, id);
    checkBags(bags, nonfree);
    return base.update_reservation_baggages(store, id, bags, nonfree, paymentId);
  },

  update_reservation_flights(store: Store, id: Value, cabin: Value, flights: Value, paymentId: Value): string {
    const before = standing(store, id);
    const [held, heldCabin, seats] = [at(before, "flights"), at(before, "cabin"), length(at(before, "passengers"))];
    checkFlights(flights as Dict[]);
    base.update_reservation_flights(store, id, cabin, flights, paymentId);
    const now = edit(store, id);
    now.set("cabin", cabin);
    moveSeats(store, held as Dict[], heldCabin, seats);
    moveSeats(store, flights as Dict[], cabin, -seats);
    return dumps(now);
  },

  update_reservation_passengers(store: Store, id: Value, passengers: Value): string {
    standing(store, id);
    checkPassengers(passengers as Dict[]);
    return base.update_reservation_passengers(store, id, passengers);
  },

  send_certificate(store: Store, userId: Value, amount: Value): string | null {
    return base.send_certificate(store, userId, amountOf(new Map([["amount", amount]])));
  },
};

export const tools = checked({ domain: "airline", schemas: SCHEMAS, reads: mendedReads, writes: mendedWrites });

/** A reservation that is not cancelled. */
function standing(store: Store, id: Value): Dict {
  const reservation = find(store, "reservations", id, "reservation");
  if (reservation.get("status") === "cancelled") throw new ToolError("reservation is already cancelled");
  return reservation;
}

function checkFlights(flights: readonly Dict[]): void {
  if (flights.length === 0) throw new ToolError("there has to be a flight");
  checkOnce(flights.map((flight) => `flight ${at(flight, "flight_number")} on ${at(flight, "date")}`));
}

function checkRoute(store: Store, flights: readonly Dict[], origin: Value, destination: Value, type: Value): void {
  const legs = flights.map((flight) => {
    const number = at(flight, "flight_number");
    return find(store, "flights", number, `flight ${number}`);
  });
  const stops = [origin, ...legs.map((leg) => at(leg, "destination"))];
  const isConnected = legs.every((leg, i) => at(leg, "origin") === stops[i]);
  const isThere = type === "one_way" ? stops.at(-1) === destination : stops.at(-1) === origin;
  if (isConnected && isThere && stops.includes(destination)) return;
  const back = type === "one_way" ? "" : " and back";
  throw new ToolError(`the flights do not lead from ${origin} to ${destination}${back}`);
}

function checkPassengers(passengers: readonly Dict[]): void {
  if (passengers.length === 0) throw new ToolError("there has to be a passenger");
  for (const passenger of passengers) checkDate(at(passenger, "dob"));
}

function checkBags(total: Value, nonfree: Value): void {
  if (less(nonfree, 0n) || less(total, nonfree))
    throw new ToolError(`${nonfree} of ${total} bags cannot be the ones that are not free`);
}

function checkOnce(names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice) throw new ToolError(`${twice} is listed twice`);
}

function checkDate(date: Value): asserts date is string {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(date as string) || daysAfter(date as string, 0) !== date)
    throw new ToolError(`${date} is not a date like 2024-05-20`);
}

/** The amount of a payment or certificate, in whole cents. */
function amountOf(of: Dict): Value {
  const amount = money(at(of, "amount"));
  if (!less(0n, amount)) throw new ToolError("an amount has to be above 0");
  return amount;
}

/** Adds to what a gift card or certificate holds; a certificate that was used up exists again. */
function giveBack(methods: Dict, id: string, amount: Value): void {
  const method = methods.get(id) as Dict | undefined;
  if (method && has(method, "amount")) method.set("amount", round2(add(at(method, "amount"), amount)));
  else if (!method && id.startsWith("certificate")) methods.set(id, certificate(id, amount));
}

/** More (or, below 0, fewer) free seats on those of the flights that can still be booked. */
function moveSeats(store: Store, flights: readonly Dict[], cabin: Value, by: number): void {
  for (const flight of flights) {
    const number = at(flight, "flight_number") as string;
    if (!store.get("flights", number)) continue;
    const days = at(store.edit<Dict>("flights", number), "dates") as Dict;
    const day = days.get(at(flight, "date") as string) as Dict | undefined;
    const seats = day?.get("available_seats") as Dict | undefined;
    if (seats) seats.set(cabin as string, add(at(seats, cabin), BigInt(by)));
  }
}

/** The day as many days later; "" where there is no such day. */
function daysAfter(date: string, days: number): string {
  const time = Date.parse(`${date}T00:00:00Z`) + days * 24 * 3600 * 1000;
  return Number.isNaN(time) ? "" : new Date(time).toISOString().slice(0, 10);
}

function firstFree(isFree: (id: string) => boolean, name: (n: number) => string): string {
  for (let n = 0; ; n++) if (isFree(name(n))) return name(n);
}

function letter(n: number): string {
  return String.fromCharCode(65 + Math.floor(n));
}
