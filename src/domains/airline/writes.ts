// The airline's tools that change the database, exactly as tau-bench's, its oddities included: seats and a reservation's
// cabin never change, a fourth booking takes the place of the third, a cancelled reservation can be cancelled again, and
// what fails halfway leaves its first half behind. Policy is not checked here. Where the profile `fixed` only counts or
// numbers in another way it says so in its `Ways`; the rest of it is fixed.ts. Test: test/golden/tau-bench.test.ts

import { ToolError } from "../../errors.ts";
import {
  add,
  at,
  type Dict,
  dumps,
  equals,
  has,
  iterate,
  length,
  less,
  listFor,
  type Numeric,
  negative,
  subtract,
  sum,
  text,
  times,
  type Value,
} from "../python.ts";
import { copy, type Store } from "../store.ts";
import { find, flies } from "./reads.ts";

/** Dollars. */
const BAG = 50n;
const INSURANCE = 30n;
const HOLDS_MONEY: readonly Value[] = ["gift_card", "certificate"];
/** It is always this time. */
const NOW = "2024-05-15T15:00:00";

/** What `tau1` and `fixed` do each in their way. */
export interface Ways {
  /** An amount as it is written and compared. */
  amount(exact: Numeric): Numeric;
  reservationId(isFree: (id: string) => boolean): string;
  certificateId(isFree: (id: string) => boolean): string | null;
}

export const writes = makeWrites({
  amount: (exact) => exact,
  reservationId: (isFree) => ["HATHAT", "HATHAU"].find(isFree) ?? "HATHAV",
  certificateId: (isFree) => [3221322, 3221323, 3221324].map((n) => `certificate_${n}`).find(isFree) ?? null,
});

export function makeWrites(ways: Ways) {
  return {
    book_reservation(store: Store, userId: Value, ...trip: Value[]): string {
      const user = find(store, "users", userId, "user");
      const [origin, destination, type, cabin, flights, passengers, payments, bags, nonfree, insurance] = copy(trip);
      const id = ways.reservationId((id) => store.get("reservations", id) === undefined);

      let total: Numeric = 0n;
      for (const flight of iterate(flights)) total = add(total, seat(store, flight, cabin, passengers));
      if (insurance === "yes") total = add(total, INSURANCE * BigInt(length(passengers)));
      total = add(total, times(BAG, nonfree), "+=");
      pay(store, user, userId as string, payments, ways.amount(total));

      const reservation: Dict = new Map(
        Object.entries({
          reservation_id: id,
          user_id: userId,
          origin,
          destination,
          flight_type: type,
          cabin,
          flights,
          passengers,
          payment_history: payments,
          created_at: NOW,
          total_baggages: bags,
          nonfree_baggages: nonfree,
          insurance,
        }),
      );
      store.put("reservations", id, reservation);
      (at(store.edit<Dict>("users", userId as string), "reservations") as Value[]).push(id);
      return dumps(reservation);
    },

    cancel_reservation(store: Store, id: Value): string {
      const reservation = find(store, "reservations", id, "reservation");
      const history = at(reservation, "payment_history");
      const refunds = iterate(history).map((paid) => payment(at(paid, "payment_id"), negative(at(paid, "amount"))));
      listFor("extend", history);
      const now = edit(store, id);
      (at(now, "payment_history") as Value[]).push(...refunds);
      now.set("status", "cancelled");
      return dumps(now);
    },

    update_reservation_baggages(store: Store, id: Value, bags: Value, nonfree: Value, paymentId: Value): string {
      const reservation = find(store, "reservations", id, "reservation");
      const more = subtract(nonfree, at(reservation, "nonfree_baggages"));
      const price = times(BAG, more > 0 ? more : 0n);
      checkMethod(store, reservation, paymentId, price);

      const now = edit(store, id);
      now.set("total_baggages", copy(bags));
      now.set("nonfree_baggages", nonfree);
      settle(store, now, paymentId, price);
      return dumps(now);
    },

    update_reservation_flights(store: Store, id: Value, cabin: Value, wanted: Value, paymentId: Value): string {
      const reservation = find(store, "reservations", id, "reservation");
      const [held, passengers] = [at(reservation, "flights"), at(reservation, "passengers")];
      const flights = copy(wanted);
      let total: Numeric = 0n;
      for (const flight of iterate(flights)) {
        const kept = iterate(held).filter(
          (one) =>
            equals(at(one, "flight_number"), at(flight, "flight_number")) &&
            equals(at(one, "date"), at(flight, "date")) &&
            equals(cabin, at(reservation, "cabin")),
        );
        total = add(
          total,
          kept.length > 0 ? keep(flight, kept[0], passengers) : seat(store, flight, cabin, passengers),
        );
      }
      const before = sum(iterate(held).map((flight) => at(flight, "price")));
      total = ways.amount(subtract(total, times(BigInt(length(passengers)), before)));
      checkMethod(store, reservation, paymentId, total);

      const now = edit(store, id);
      now.set("flights", flights);
      settle(store, now, paymentId, total);
      return dumps(now);
    },

    update_reservation_passengers(store: Store, id: Value, passengers: Value): string {
      const reservation = find(store, "reservations", id, "reservation");
      if (length(passengers) !== length(at(reservation, "passengers")))
        throw new ToolError("number of passengers does not match");
      const now = edit(store, id);
      now.set("passengers", copy(passengers));
      return dumps(now);
    },

    /** Null, as upstream's, where there is no id for one more. */
    send_certificate(store: Store, userId: Value, amount: Value): string | null {
      const methods = at(find(store, "users", userId, "user"), "payment_methods") as Dict;
      const id = ways.certificateId((id) => !methods.has(id));
      if (id === null) return null;
      (at(store.edit<Dict>("users", userId as string), "payment_methods") as Dict).set(
        id,
        certificate(id, copy(amount)),
      );
      return `Certificate ${id} added to user ${userId} with amount ${text(amount)}.`;
    },
  };

  /** Checks what a booking is paid with, and takes it: gift cards lose the amount, certificates go as a whole. */
  function pay(store: Store, user: Dict, userId: string, payments: Value, total: Numeric): void {
    const methods = at(user, "payment_methods") as Dict;
    for (const payment of iterate(payments)) {
      const [id, amount] = [at(payment, "payment_id"), at(payment, "amount")];
      if (!has(methods, id)) throw new ToolError(`payment method ${text(id)} not found`);
      const method = at(methods, id);
      if (HOLDS_MONEY.includes(at(method, "source")) && less(at(method, "amount"), amount))
        throw new ToolError(`not enough balance in payment method ${id}`);
    }
    const paid = ways.amount(sum(iterate(payments).map((payment) => at(payment, "amount"))));
    if (!equals(paid, total))
      throw new ToolError(`payment amount does not add up, total price is ${text(total)}, but paid ${text(paid)}`);
    for (const payment of iterate(payments)) {
      const now = at(store.edit<Dict>("users", userId), "payment_methods") as Dict;
      const id = at(payment, "payment_id") as string;
      const method = at(now, id) as Dict;
      if (at(method, "source") === "gift_card")
        method.set("amount", ways.amount(subtract(at(method, "amount"), at(payment, "amount"), "-=")));
      else if (at(method, "source") === "certificate") now.delete(id);
    }
  }

  /** Charges (or refunds) the price and notes it in the reservation. */
  function settle(store: Store, reservation: Dict, id: Value, price: Value): void {
    const user = store.edit<Dict>("users", at(reservation, "user_id") as string);
    const method = at(at(user, "payment_methods"), id) as Dict;
    if (at(method, "source") === "gift_card")
      method.set("amount", ways.amount(subtract(at(method, "amount"), price, "-=")));
    if (!equals(price, 0n)) listFor("append", at(reservation, "payment_history")).push(payment(id, price));
  }
}

/** Looks a flight up and writes price and route into it; the price for all passengers. */
function seat(store: Store, flight: Value, cabin: Value, passengers: Value): Numeric {
  const number = at(flight, "flight_number");
  const found = find(store, "flights", number, `flight ${text(number)}`);
  const date = at(flight, "date");
  const days = at(found, "dates") as Dict;
  if (!has(days, date)) throw new ToolError(`flight ${text(number)} not found on date ${text(date)}`);
  if (!flies(found, date)) throw new ToolError(`flight ${text(number)} not available on date ${text(date)}`);
  const day = at(days, date);
  if (less(at(at(day, "available_seats"), cabin), BigInt(length(passengers))))
    throw new ToolError(`not enough seats on flight ${text(number)}`);
  const offered: Dict = new Map([
    ["price", at(at(day, "prices"), cabin)],
    ["origin", at(found, "origin")],
    ["destination", at(found, "destination")],
  ]);
  return keep(flight, offered, passengers);
}

/** Writes price and route of `from` into a flight; the price for all passengers. */
function keep(flight: Value, from: Value, passengers: Value): Numeric {
  const price = times(BigInt(length(passengers)), at(from, "price")) as Numeric;
  for (const key of ["price", "origin", "destination"]) (flight as Dict).set(key, at(from, key));
  return price;
}

/** Can a change of a reservation be settled with this payment method? */
function checkMethod(store: Store, reservation: Dict, id: Value, price: Value): void {
  const methods = at(store.get<Dict>("users", at(reservation, "user_id") as string)!, "payment_methods") as Dict;
  if (!has(methods, id)) throw new ToolError("payment method not found");
  const method = at(methods, id);
  if (at(method, "source") === "certificate") throw new ToolError("certificate cannot be used to update reservation");
  if (at(method, "source") === "gift_card" && less(at(method, "amount"), price))
    throw new ToolError("gift card balance is not enough");
}

/** A travel certificate as a profile lists it. */
export function certificate(id: string, amount: Value): Dict {
  return new Map([
    ["source", "certificate"],
    ["amount", amount],
    ["id", id],
  ]);
}

export function payment(id: Value, amount: Value): Dict {
  return new Map([
    ["payment_id", id],
    ["amount", amount],
  ]);
}

export function edit(store: Store, id: Value): Dict {
  return store.edit<Dict>("reservations", id as string);
}
