// The airline's tools that change nothing. What they answer, and every error in its order, is tau-bench's, byte for byte:
// a wrong type shows the error that CPython would raise, and a connection over midnight is looked for on a day without
// its zero, at the first day's prices. Test: test/golden/tau-bench.test.ts

import { ToolError } from "../../errors.ts";
import { AIRPORTS } from "../airports.ts";
import { asKey, at, byCodePoint, type Dict, dumps, has, shared, tail, toInt, type Value } from "../python.ts";
import type { Store } from "../store.ts";

/** One row of a table, for reading; throws "<what> not found". */
export function find(store: Store, table: "flights" | "reservations" | "users", id: Value, what: string): Dict {
  const key = asKey(id);
  const row = key === null ? undefined : store.get<Dict>(table, key);
  if (!row) throw new ToolError(`${what} not found`);
  return row;
}

export const reads = {
  ...shared,

  // Upstream's message names the user for a reservation, too.
  get_reservation_details: (store: Store, id: Value) => dumps(find(store, "reservations", id, "user")),
  get_user_details: (store: Store, id: Value) => dumps(find(store, "users", id, "user")),

  list_all_airports: (_store: Store) => dumps(new Map(Object.entries(AIRPORTS))),

  search_direct_flight(store: Store, origin: Value, destination: Value, date: Value): string {
    const found: Value[] = [];
    for (const flight of flightsOf(store))
      if (at(flight, "origin") === origin && at(flight, "destination") === destination && flies(flight, date))
        found.push(offer(flight, date));
    return dumps(found);
  },

  search_onestop_flight(store: Store, origin: Value, destination: Value, date: Value): string {
    const flights = flightsOf(store);
    const found: Value[] = [];
    for (const first of flights) {
      if (at(first, "origin") !== origin) continue;
      const arrival = at(first, "scheduled_arrival_time_est") as string;
      for (const second of flights) {
        if (at(second, "destination") !== destination || at(second, "origin") !== at(first, "destination")) continue;
        const next = arrival.includes("+1") ? `2024-05-${toInt(tail(date, 2)) + 1n}` : date;
        if (byCodePoint(arrival, at(second, "scheduled_departure_time_est") as string) > 0) continue;
        if (!has(dates(first), date) || !has(dates(second), next)) continue;
        if (flies(first, date) && flies(second, next))
          found.push([offer(first, date).set("date", date), offer(second, date).set("date", next)]);
      }
    }
    return dumps(found);
  },
};

export function flightsOf(store: Store): Dict[] {
  return [...store.entries<Dict>("flights")].map(([, flight]) => flight);
}

function dates(flight: Dict): Dict {
  return at(flight, "dates") as Dict;
}

/** Can it be booked on this day? */
export function flies(flight: Dict, date: Value): boolean {
  return has(dates(flight), date) && at(at(dates(flight), date), "status") === "available";
}

/** The flight with what holds on this day in place of all days. */
export function offer(flight: Dict, date: Value): Dict {
  return new Map([...[...flight].filter(([key]) => key !== "dates"), ...(at(dates(flight), date) as Dict)]);
}
