// What of the airline's policy can be checked: rules about the state before a call, rules about the talk before it, and
// what the agent's messages ask for; the rest of them is heard as all domains hear it (ears.ts). The reason that a customer
// has for cancelling is in no call: insured trips count as covered. Test: test/unit/airline-tasks.test.ts

import type { Call, Entry, Task } from "../../types.ts";
import { agreed, asksFor, isServed } from "../ears.ts";
import { at, type Dict, equals, type Value } from "../python.ts";
import type { Store } from "../store.ts";
import { addDays, CABINS, freeBags, NOW } from "./data.ts";

const RESERVED = [
  "cancel_reservation",
  "update_reservation_baggages",
  "update_reservation_flights",
  "update_reservation_passengers",
];
const WRITES = [...RESERVED, "book_reservation", "send_certificate"];
const FOREIGN = "it concerns another customer";
/** Methods of a kind that a booking may be paid with, at most. */
const MOST: Readonly<Record<string, number>> = { certificate: 1, credit_card: 1, gift_card: 3 };
const MOST_PASSENGERS = 5;
/** For each passenger, in dollars. */
const COMPENSATION = { cancelled: 100, delayed: 50 };
const DAY_AGO = `${addDays(NOW.slice(0, 10), -1)}${NOW.slice(10)}`;

/**
 * Every rule about the state that a write asked for by this customer would break now; empty where it is allowed. Calls
 * that are no writes, and those whose reservation or user does not exist, break none: the tool itself answers them.
 */
export function brokenRules(call: Call<Dict>, store: Store, customer?: string): string[] {
  const { name, arguments: args } = call;
  if (!WRITES.includes(name)) return [];
  const held = RESERVED.includes(name) ? rowOf(store, "reservations", args.get("reservation_id")) : undefined;
  const userId = held ? at(held, "user_id") : args.get("user_id");
  const user = rowOf(store, "users", userId);
  if (!user || (RESERVED.includes(name) && !held)) return [];
  const argument = (key: string) => args.get(key) ?? null;
  const broken: string[] = [];
  const rule = (holds: boolean, text: string) => void (holds || broken.push(text));
  rule(!customer || userId === customer, FOREIGN);
  const heldCabin = held ? cabinOf(store, held) : null;
  if (held) rule(held.get("status") !== "cancelled", "nothing of the reservation is left to change");

  switch (name) {
    case "book_reservation": {
      const [cabin, count] = [argument("cabin"), listed(argument("passengers")).length];
      const flights = flightsOf(store, argument("flights"));
      rule(count <= MOST_PASSENGERS, "a reservation is for five passengers at most");
      rule(
        leads(flights, argument("origin"), argument("destination"), argument("flight_type")),
        "the flights do not lead where the trip goes",
      );
      rule(follow(flights), "a flight leaves before the one before it has landed");
      broken.push(...free(flights, cabin, count));
      broken.push(...paying(user, argument("payment_methods")));
      const extra = amountOf(argument("total_baggages")) - allowance(user, cabin, count);
      rule(amountOf(argument("nonfree_baggages")) === Math.max(0, extra), BAGS);
      break;
    }
    case "cancel_reservation": {
      const statuses = flightsOf(store, at(held!, "flights")).map(({ status }) => status);
      rule(!statuses.some((status) => status === "landed" || status === "flying"), "a part of the trip is flown");
      rule(
        (at(held!, "created_at") as string) >= DAY_AGO ||
          statuses.includes("cancelled") ||
          heldCabin === "business" ||
          at(held!, "insurance") === "yes",
        "the booking is older than 24 hours, the trip is neither insured nor in business, and all of its flights go",
      );
      break;
    }
    case "update_reservation_baggages": {
      const [bags, nonfree] = [amountOf(argument("total_baggages")), amountOf(argument("nonfree_baggages"))];
      const [hadBags, hadNonfree] = [at(held!, "total_baggages"), at(held!, "nonfree_baggages")].map(amountOf);
      const extra = bags - allowance(user, heldCabin, listed(at(held!, "passengers")).length);
      rule(bags >= hadBags, "bags can be added, not taken away");
      if (bags >= hadBags) rule(nonfree === Math.max(hadNonfree, extra), BAGS);
      broken.push(...settling(user, argument("payment_id"), 50 * (nonfree - hadNonfree)));
      break;
    }
    case "update_reservation_flights": {
      const [old, flights] = [at(held!, "flights"), argument("flights")].map((list) => flightsOf(store, list));
      const [cabin, count] = [argument("cabin"), listed(at(held!, "passengers")).length];
      const isSame = (one: Flight, other: Flight) => one.number === other.number && one.date === other.date;
      const isChanged = flights.length !== old.length || flights.some((flight, i) => !isSame(flight, old[i]));
      const taken = flights.filter((flight) => cabin !== at(held!, "cabin") || !old.some((one) => isSame(one, flight)));
      rule(!isChanged || heldCabin !== "basic_economy", "basic economy flights cannot be changed");
      rule(
        leads(flights, at(held!, "origin"), at(held!, "destination"), at(held!, "flight_type")),
        "origin, destination and kind of trip have to stay what they are",
      );
      rule(follow(flights), "a flight leaves before the one before it has landed");
      broken.push(...free(taken, cabin, count));
      const prices = flights.map((flight) =>
        taken.includes(flight)
          ? amountOf(field(field(flight.day, "prices"), cabin))
          : old.find((one) => isSame(one, flight))!.paid,
      );
      const difference = sum(prices) - sum(old.map(({ paid }) => paid));
      broken.push(...settling(user, argument("payment_id"), count * difference));
      break;
    }
    case "update_reservation_passengers":
      rule(
        listed(argument("passengers")).length === listed(at(held!, "passengers")).length,
        "the number of passengers cannot change",
      );
      break;
    case "send_certificate":
      broken.push(...compensating(store, user, amountOf(argument("amount"))));
  }
  return broken;
}

const BAGS = "bags beyond the free allowance are paid for, and no others";

/** A flight as a call or a reservation names it, with what the data say of it; of no flight only its name. */
interface Flight {
  readonly number: Value;
  readonly date: Value;
  /** What the reservation's customer paid for it. */
  readonly paid: number;
  readonly flight: Dict | undefined;
  readonly day: Value;
  readonly status: Value;
}

function flightsOf(store: Store, list: Value): Flight[] {
  return listed(list).map((each) => {
    const [number, date] = [field(each, "flight_number"), field(each, "date")];
    const flight = rowOf(store, "flights", number);
    const day = flight ? field(field(flight, "dates"), date) : null;
    return { number, date, paid: amountOf(field(each, "price")), flight, day, status: field(day, "status") };
  });
}

/** `tau1` leaves a reservation's cabin what it was: after a change, what its flights cost tells the cabin. */
function cabinOf(store: Store, held: Dict): Value {
  const base = store.base.get("reservations")?.get(at(held, "reservation_id") as string) as Dict | undefined;
  if (!base || equals(at(base, "flights"), at(held, "flights"))) return at(held, "cabin");
  const flights = flightsOf(store, at(held, "flights"));
  const fits = (cabin: Value) =>
    flights.every(({ day, paid }) => amountOf(field(field(day, "prices"), cabin)) === paid);
  return CABINS.find(fits) ?? at(held, "cabin");
}

/** Where a flight does not exist the tool says so. */
function leads(flights: readonly Flight[], origin: Value, destination: Value, type: Value): boolean {
  if (flights.some(({ flight }) => !flight)) return true;
  const stops = [origin, ...flights.map(({ flight }) => at(flight!, "destination"))];
  if (flights.some(({ flight }, i) => at(flight!, "origin") !== stops[i])) return false;
  const [last, visits] = [stops.at(-1), stops.filter((stop) => stop === origin).length];
  return type === "one_way" ? last === destination && visits === 1 : last === origin && stops.includes(destination);
}

function follow(flights: readonly Flight[]): boolean {
  return flights.every(({ flight, date }, i) => {
    const before = flights[i - 1];
    if (!before?.flight || !flight) return true;
    const [time, days = "0"] = String(at(before.flight, "scheduled_arrival_time_est")).split("+");
    if (![date, before.date].every((day) => /^\d{4}-\d{2}-\d{2}$/.test(String(day)))) return true;
    return `${date}T${at(flight, "scheduled_departure_time_est")}` >= `${addDays(String(before.date), +days)}T${time}`;
  });
}

/** What stands against taking these flights. */
function free(flights: readonly Flight[], cabin: Value, count: number): string[] {
  const flying = flights.filter(({ flight }) => flight);
  const seats = ({ day }: Flight) => amountOf(field(field(day, "available_seats"), cabin));
  const isFull = (flight: Flight) => flight.status === "available" && seats(flight) < count;
  return [
    ...(flying.some(({ status }) => status !== "available") ? ["a flight cannot be booked on that day"] : []),
    ...(flying.some(isFull) ? ["a flight has too few free seats in that cabin"] : []),
  ];
}

/** What stands against paying a booking like this. */
function paying(user: Dict, payments: Value): string[] {
  const methods = listed(payments).map((payment) => [methodOf(user, field(payment, "payment_id")), payment] as const);
  const count = (source: string) => methods.filter(([method]) => field(method, "source") === source).length;
  const covers = ([method, payment]: (typeof methods)[number]) =>
    !(amountOf(field(method, "amount")) < amountOf(field(payment, "amount")));
  return [
    ...(methods.every(([method]) => method) ? [] : ["a payment method is not in the profile"]),
    ...Object.keys(MOST).flatMap((source) =>
      count(source) > MOST[source]
        ? [`a booking is paid with ${MOST[source]} ${source.replace("_", " ")}${MOST[source] > 1 ? "s" : ""} at most`]
        : [],
    ),
    ...(methods.every(covers) ? [] : ["a gift card or certificate does not cover its part"]),
  ];
}

/** What stands against settling the price of a change with this method. */
function settling(user: Dict, id: Value, price: number): string[] {
  const method = methodOf(user, id);
  const source = field(method, "source");
  if (source === "certificate") return ["a certificate cannot pay for a change"];
  return source === "gift_card" && amountOf(field(method, "amount")) < price
    ? ["the gift card does not cover the price"]
    : [];
}

/** What stands against a certificate of this amount, for that reservation of the customer's that comes closest to it. */
function compensating(store: Store, user: Dict, amount: number): string[] {
  const cases = listed(at(user, "reservations")).flatMap((id) => {
    const now = rowOf(store, "reservations", id);
    if (!now) return [];
    const before = (store.base.get("reservations")?.get(id as string) as Dict | undefined) ?? now;
    const statuses = flightsOf(store, at(before, "flights")).map(({ status }) => status);
    const isEntitled =
      at(user, "membership") !== "regular" || at(now, "insurance") === "yes" || cabinOf(store, now) === "business";
    const isChanged = now.get("status") === "cancelled" || !equals(at(now, "flights"), at(before, "flights"));
    return (["cancelled", "delayed"] as const)
      .filter((trouble) => statuses.includes(trouble))
      .map((trouble) => {
        const due = COMPENSATION[trouble] * listed(at(now, "passengers")).length;
        return [
          ...(isEntitled ? [] : ["the customer is neither silver nor gold, nor is the trip insured or in business"]),
          ...(trouble === "cancelled" || isChanged ? [] : ["the trip with the delay is neither changed nor cancelled"]),
          ...(amount === due ? [] : ["the amount is not what the rules give"]),
        ];
      });
  });
  if (cases.length === 0) return ["there is no cancellation and no delay to make up for"];
  return cases.reduce((best, each) => (each.length < best.length ? each : best));
}

function allowance(user: Dict, cabin: Value, passengers: number): number {
  return passengers * freeBags(String(at(user, "membership")), String(cabin));
}

function methodOf(user: Dict, id: Value): Dict | undefined {
  return (at(user, "payment_methods") as Map<Value, Dict>).get(id);
}

function rowOf(store: Store, table: "flights" | "reservations" | "users", id: Value | undefined): Dict | undefined {
  return typeof id === "string" ? store.get<Dict>(table, id) : undefined;
}

function field(value: Value | undefined, key: Value): Value {
  return value instanceof Map ? (value.get(key as string) ?? null) : null;
}

function listed(value: Value): readonly Value[] {
  return Array.isArray(value) ? value : [];
}

/** NaN where it is no number. */
function amountOf(value: Value): number {
  return typeof value === "bigint" || typeof value === "number" ? Number(value) : Number.NaN;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** The first rule that a call would break now, those about the talk included. */
export function violates(call: Call<Dict>, store: Store, transcript: readonly Entry[]): string | null {
  if (!WRITES.includes(call.name)) return null;
  const user = customer(transcript);
  if (user === null) return "the customer was not identified";
  const [broken] = brokenRules(call, store, user);
  if (broken === FOREIGN) return broken;
  const looked = shown(transcript, "get_reservation_details", "reservation_id");
  const id = call.arguments.get("reservation_id");
  const isSeen = RESERVED.includes(call.name)
    ? !rowOf(store, "reservations", id) || looked.some((one) => equals(one, id!))
    : call.name === "book_reservation" || looked.length > 0;
  if (!isSeen) return "the reservation was not looked at";
  if (broken) return broken;
  return agreed(transcript) ? null : "the customer has not said yes to it";
}

/** The user whose profile was looked at first, or null. */
function customer(transcript: readonly Entry[]): string | null {
  const [id = null] = shown(transcript, "get_user_details", "user_id");
  return id as string | null;
}

/** What a look-up was called with, where it found something. */
function shown(transcript: readonly Entry[], name: string, key: string): Value[] {
  return transcript.flatMap((entry) =>
    entry.role === "tool" && !entry.failed && entry.call.name === name
      ? [(entry.call.arguments as Dict).get(key) ?? null]
      : [],
  );
}

/** For a task without writes: was a known customer served? */
export function answered(task: Task, transcript: readonly Entry[]): boolean {
  return customer(transcript) !== null && isServed(task, transcript);
}

export const asks = asksFor({
  user_id: /\buser ?(id|name)\b|\b(customer|account|member(ship)?) (id|number)\b/i,
  reservation:
    /\b(reservation|booking|confirmation) (id|number|code)\b|\b(which|what) (\w+ )?(reservation|booking|trip)\b/i,
  reason: /\breason\b|\bwhy\b/i,
  option: /\b(which|what) (\w+ )?(flights?|connections?|option|time)\b|\bprefer/i,
  cabin: /\b(which|what) (\w+ )?(cabin|class)\b/i,
  passengers:
    /\b(passengers?|travell?ers?)\b|\bwho (is|are|will be) (\w+ )?(flying|travell?ing)\b|\bdates? of birth\b/i,
  bags: /\b(bags?|baggages?|luggage|suitcases?)\b/i,
  insurance: /\binsurance\b/i,
  payment:
    /\bpayment methods?\b|\b(how|which|where) (would|do|should|shall|card) .{0,60}\b(pay|paid|refund|refunded|charge[ds]?)\b|\brefund\b|\bgift card or\b/i,
});
