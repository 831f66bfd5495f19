// The airline's tools as tau2-bench runs them. Arguments are not checked beyond what the records made from them check,
// so that odd values come to stand in a reservation, and an error may come after a gift card was charged. Cancelled
// seats are not released. Test: test/unit/tau2.test.ts, test/golden/tau2.test.ts

import { AIRPORTS } from "../airports.ts";
import {
  add,
  asKey,
  byCodePoint,
  type Dict,
  dumps,
  equals,
  iterate,
  length,
  less,
  type Numeric,
  PythonError,
  reprText,
  subtract,
  text,
  typeName,
  type Value,
} from "../python.ts";
import type { Store } from "../store.ts";
import { CERTIFICATE, FLIGHT_INFO, PASSENGER, PAYMENT, RESERVATION } from "./data.ts";
import { type Model, make } from "./model.ts";
import { calculate, fail, get, item, type Run, row, transfer } from "./state.ts";

/** All there are of either: a task is taken to need no more. */
const NEW_RESERVATIONS = ["HATHAT", "HATHAU", "HATHAV"];
const NEW_CERTIFICATES = ["certificate_3221322", "certificate_3221323", "certificate_3221324"];
const NOW = "2024-05-15T15:00:00";

export const reads = {
  calculate,
  get_reservation_details: (store: Store, id: Value) => dumps(reservationOf(store, id)),
  get_user_details: (store: Store, id: Value) => dumps(userOf(store, id)),
  list_all_airports: () => dumps(Object.entries(AIRPORTS).map(([iata, city]) => record({ iata, city }))),

  search_direct_flight: (store: Store, origin: Value, destination: Value, date: Value) =>
    dumps(available(store, date, origin, destination)),

  search_onestop_flight(store: Store, origin: Value, destination: Value, date: Value): string {
    const pairs: Dict[][] = [];
    for (const first of available(store, date, origin, null)) {
      const arrival = get(first, "scheduled_arrival_time_est");
      const date2 = arrival.includes("+1") ? dayAfter(date as string) : (date as string);
      for (const second of available(store, date2, get(first, "destination"), destination, arrival))
        pairs.push([first.set("date", date), second.set("date", date2)]);
    }
    return dumps(pairs);
  },

  transfer_to_human_agents: transfer,
  get_flight_status: (store: Store, number: Value, date: Value) => get(onDate(store, number, date), "status"),
} satisfies Record<string, Run>;

export const writes = {
  book_reservation(
    store: Store,
    userId: Value,
    origin: Value,
    destination: Value,
    kind: Value,
    cabin: Value,
    flightsGiven: Value,
    passengersGiven: Value,
    paymentsGiven: Value,
    total_baggages: Value,
    nonfree_baggages: Value,
    insurance: Value,
  ): string {
    const flights = records(FLIGHT_INFO, flightsGiven);
    const passengers = records(PASSENGER, passengersGiven) ?? passengersGiven;
    const payments = records(PAYMENT, paymentsGiven) ?? paymentsGiven;
    const user = userOf(store, userId);
    const id = NEW_RESERVATIONS.find((id) => !row(store, "reservations", id)) ?? fail("Too many reservations");
    const booked = {
      reservation_id: id,
      user_id: userId,
      origin,
      destination,
      flight_type: kind,
      cabin,
      flights: [],
      passengers,
      payment_history: payments,
      created_at: NOW,
      total_baggages,
      nonfree_baggages,
      insurance,
    };
    const reservation = make(RESERVATION, record(booked));
    const people = BigInt(get<Dict[]>(reservation, "passengers").length);
    const paid = get<Dict[]>(reservation, "payment_history");

    let price: Numeric = 0n;
    const legs: Dict[] = [];
    for (const info of flightsOf(flights, flightsGiven)) {
      const leg = newLeg(store, info, cabin, people);
      legs.push(leg);
      price += get<bigint>(leg, "price") * people;
    }
    if (insurance === "yes") price += 30n * people;
    price = add(price, times50(nonfree_baggages));

    const methods = get<Dict>(user, "payment_methods");
    for (const payment of paid) {
      const method = methods.get(get(payment, "payment_id")) as Dict | undefined;
      if (!method) fail(`Payment method ${get(payment, "payment_id")} not found`);
      if (get(method, "source") !== "credit_card" && less(get(method, "amount"), get(payment, "amount")))
        fail(`Not enough balance in payment method ${get(payment, "payment_id")}`);
    }
    const sum = paid.reduce((sum, payment) => sum + get<bigint>(payment, "amount"), 0n);
    if (!equals(sum, price)) fail(`Payment amount does not add up, total price is ${text(price)}, but paid ${sum}`);

    const mine = store.edit<Dict>("users", userId as string);
    const wallet = get<Dict>(mine, "payment_methods");
    for (const payment of paid) {
      const method = item(wallet, get(payment, "payment_id")) as Dict;
      if (get(method, "source") === "gift_card") charge(method, get(payment, "amount"));
      else if (get(method, "source") === "certificate") wallet.delete(get(payment, "payment_id"));
    }
    for (const leg of legs) {
      const dates = get<Dict>(store.edit<Dict>("flights", get(leg, "flight_number")), "dates");
      const seats = get<Dict>(dates.get(get(leg, "date")) as Dict, "available_seats");
      seats.set(cabin as string, get<bigint>(seats, cabin as string) - people);
    }
    store.put("reservations", id, reservation.set("flights", legs));
    get<Value[]>(mine, "reservations").push(id);
    return dumps(reservation);
  },

  cancel_reservation(store: Store, id: Value): string {
    reservationOf(store, id);
    const now = edit(store, id);
    const history = get<Dict[]>(now, "payment_history");
    const refunds = history.map((payment) => new Map(payment).set("amount", -get<bigint>(payment, "amount")));
    history.push(...refunds);
    return dumps(now.set("status", "cancelled"));
  },

  send_certificate(store: Store, userId: Value, amount: Value): string {
    const methods = get<Dict>(userOf(store, userId), "payment_methods");
    const id = NEW_CERTIFICATES.find((id) => !methods.has(id)) ?? fail("Too many certificates");
    const certificate = make(CERTIFICATE, record({ id, amount, source: "certificate" }));
    get<Dict>(store.edit<Dict>("users", userId as string), "payment_methods").set(id, certificate);
    return `Certificate ${id} added to user ${text(userId)} with amount ${text(amount)}.`;
  },

  update_reservation_baggages(store: Store, id: Value, total: Value, nonfree: Value, paymentId: Value): string {
    const reservation = reservationOf(store, id);
    userOf(store, get(reservation, "user_id"));
    const more = subtract(nonfree, get<Value>(reservation, "nonfree_baggages"));
    const payment = settle(store, reservation, paymentId, times50(less(0n, more) ? more : 0n));
    const now = edit(store, id);
    get<Dict[]>(now, "payment_history").push(...payment);
    now.set("total_baggages", total);
    now.set("nonfree_baggages", nonfree);
    return dumps(now);
  },

  update_reservation_flights(store: Store, id: Value, cabin: Value, flightsGiven: Value, paymentId: Value): string {
    const flights = records(FLIGHT_INFO, flightsGiven);
    const reservation = reservationOf(store, id);
    userOf(store, get(reservation, "user_id"));
    const old = get<Dict[]>(reservation, "flights");
    const people = BigInt(length(get<Value>(reservation, "passengers")));
    const keeps = equals(cabin, get<Value>(reservation, "cabin"));
    let price = 0n;
    const legs: Dict[] = [];
    for (const info of flightsOf(flights, flightsGiven)) {
      const same = (leg: Dict) => ["flight_number", "date"].every((key) => get(leg, key) === get(info, key));
      const kept = keeps ? old.find(same) : undefined;
      const leg = kept ?? newLeg(store, info, cabin, people);
      legs.push(leg);
      price += get<bigint>(leg, "price") * people;
    }
    price -= old.reduce((sum, leg) => sum + get<bigint>(leg, "price"), 0n) * people;
    const payment = settle(store, reservation, paymentId, price);
    const now = edit(store, id);
    get<Dict[]>(now, "payment_history").push(...payment);
    now.set("flights", legs);
    now.set("cabin", cabin);
    return dumps(now);
  },

  update_reservation_passengers(store: Store, id: Value, given: Value): string {
    const passengers = records(PASSENGER, given) ?? given;
    const reservation = reservationOf(store, id);
    if (length(passengers) !== length(get<Value>(reservation, "passengers")))
      fail("Number of passengers does not match");
    return dumps(edit(store, id).set("passengers", passengers));
  },
} satisfies Record<string, Run>;

function userOf(store: Store, id: Value): Dict {
  return row(store, "users", id) ?? fail(`User ${text(id)} not found`);
}

function reservationOf(store: Store, id: Value): Dict {
  return row(store, "reservations", id) ?? fail(`Reservation ${text(id)} not found`);
}

function flightOf(store: Store, number: Value): Dict {
  return row(store, "flights", number) ?? fail(`Flight ${text(number)} not found`);
}

function onDate(store: Store, number: Value, date: Value): Dict {
  const dates = get<Dict>(flightOf(store, number), "dates");
  const key = asKey(date);
  const found = key === null ? undefined : dates.get(key);
  return (found ?? fail(`Flight ${text(number)} not found on date ${text(date)}`)) as Dict;
}

/** The session's own copy of a reservation that has been found. */
function edit(store: Store, id: Value): Dict {
  return store.edit<Dict>("reservations", id as string);
}

/** A list of dicts as records; null for anything else, which upstream goes on with as it is. */
function records(model: Model, given: Value): Dict[] | null {
  const parts = iterate(given);
  return parts.every((part) => part instanceof Map) ? parts.map((part) => make(model, part as Dict)) : null;
}

/** The flights asked for; what did not become records fails where it is first looked into. */
function flightsOf(made: Dict[] | null, given: Value): Dict[] {
  if (made) return made;
  throw new PythonError(`'${typeName(iterate(given)[0])}' object has no attribute 'flight_number'`);
}

function record(values: Readonly<Record<string, Value>>): Dict {
  return new Map(Object.entries(values));
}

/** A flight newly reserved: there must be a seat for everybody. */
function newLeg(store: Store, info: Dict, cabin: Value, people: bigint): Dict {
  const [number, date] = [get(info, "flight_number"), get(info, "date")];
  const flight = flightOf(store, number);
  const that = onDate(store, number, date);
  if (get(that, "status") !== "available") fail(`Flight ${number} not available on date ${date}`);
  if (less(item(get<Dict>(that, "available_seats"), cabin), people)) fail(`Not enough seats on flight ${number}`);
  const price = item(get<Dict>(that, "prices"), cabin);
  return record({
    flight_number: number,
    origin: get(flight, "origin"),
    destination: get(flight, "destination"),
    date,
    price,
  });
}

/** Charges what a change costs, and returns the row of the history: none where it costs nothing. */
function settle(store: Store, reservation: Dict, id: Value, price: Numeric): Dict[] {
  const userId = get(reservation, "user_id");
  const methods = get<Dict>(userOf(store, userId), "payment_methods");
  const key = asKey(id);
  const method = ((key !== null && methods.get(key)) || fail("Payment method not found")) as Dict;
  const source = get(method, "source");
  if (source === "certificate") fail("Certificate cannot be used to update reservation");
  if (source === "gift_card") {
    if (less(get(method, "amount"), price)) fail("Gift card balance is not enough");
    charge(get<Dict>(store.edit<Dict>("users", userId), "payment_methods").get(key!) as Dict, price);
  }
  return equals(price, 0n) ? [] : [make(PAYMENT, record({ payment_id: key, amount: price }))];
}

function charge(giftCard: Dict, price: Numeric): void {
  giftCard.set("amount", subtract(get(giftCard, "amount"), price));
}

/** Flights with seats to sell on a date, in the order of the data; null does not restrict. */
function available(store: Store, date: Value, origin: Value, destination: Value, after: string | null = null): Dict[] {
  const found: Dict[] = [];
  for (const [, flight] of store.entries<Dict>("flights")) {
    if (origin !== null && get(flight, "origin") !== origin) continue;
    if (destination !== null && get(flight, "destination") !== destination) continue;
    const key = asKey(date);
    const that = key === null ? undefined : (get<Dict>(flight, "dates").get(key) as Dict | undefined);
    if (!that || get(that, "status") !== "available") continue;
    const leaves = get(flight, "scheduled_departure_time_est");
    if (after !== null && byCodePoint(leaves, after) < 0) continue;
    found.push(
      record({
        flight_number: get(flight, "flight_number"),
        origin: get(flight, "origin"),
        destination: get(flight, "destination"),
        status: "available",
        scheduled_departure_time_est: leaves,
        scheduled_arrival_time_est: get(flight, "scheduled_arrival_time_est"),
        date: null,
        available_seats: get<Dict>(that, "available_seats"),
        prices: get<Dict>(that, "prices"),
      }),
    );
  }
  return found;
}

/** `f"2024-05-{int(date[-2:]) + 1}"`: always May 2024, without a leading zero. */
function dayAfter(date: string): string {
  const day = [...date].slice(-2).join("");
  if (!/^\s*[+-]?\d+\s*$/.test(day)) throw new PythonError(`invalid literal for int() with base 10: ${reprText(day)}`);
  return `2024-05-${Number(day) + 1}`;
}

/** `50 * bags`; a text is repeated, and then cannot be added. */
function times50(bags: Value): Numeric {
  if (typeof bags === "number") return 50 * bags;
  if (typeof bags === "bigint" || typeof bags === "boolean") return 50n * BigInt(bags);
  throw new PythonError(`unsupported operand type(s) for +=: 'int' and '${typeName(bags)}'`);
}
