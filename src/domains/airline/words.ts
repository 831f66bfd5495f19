// The words that airports, cabins, days and times go by. Test: test/unit/airline-tasks.test.ts

import { AIRPORTS } from "../airports.ts";
import type { Flight, Leg, Passenger } from "./data.ts";

export function cityOf(airport: string): string {
  return (AIRPORTS as { readonly [code: string]: string })[airport] ?? airport;
}

export function cabinWords(cabin: string): string {
  return cabin.replace("_", " ");
}

/** "May 20" */
export function dayWords(day: string): string {
  return `May ${Number(day.slice(8))}`;
}

/** "flight TRL1234", "flights TRL1234 and TRL5678" */
export function numbersOf(flights: readonly Pick<Flight | Leg, "flight_number">[]): string {
  return `flight${flights.length > 1 ? "s" : ""} ${flights.map(({ flight_number }) => flight_number).join(" and ")}`;
}

export function fullName({ first_name, last_name }: Pick<Passenger, "first_name" | "last_name">): string {
  return `${first_name} ${last_name}`;
}

/** "1 checked bag", "3 checked bags" */
export function bagWords(count: number): string {
  return `${count === 0 ? "no" : count} checked bag${count === 1 ? "" : "s"}`;
}
