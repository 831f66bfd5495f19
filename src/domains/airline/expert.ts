// What the airline's expert says: its questions, and calls in words that name everything they depend on.
// Test: test/unit/airline-tasks.test.ts

import type { Random } from "../../random.ts";
import type { Call, Database, Json, WrittenCall } from "../../types.ts";
import { list, type Words } from "../expert.ts";
import { LAST_NAMES } from "../making/people.ts";
import { rowOf } from "../making/tables.ts";
import type { Leg, Passenger, Reservation, User } from "./data.ts";
import { labelOf } from "./references.ts";
import { bagWords, cabinWords, cityOf, dayWords, fullName } from "./words.ts";

export const words: Words = {
  identify: [{ slots: ["user_id"], text: "May I have your user id?" }],
  details: [
    { slots: ["reason"], text: "What is the reason for the cancellation?" },
    { slots: ["option"], text: "Which flights would you like?" },
    { slots: ["passengers"], text: "Please tell me the names and dates of birth of the passengers." },
    { slots: ["bags"], text: "How many checked bags will there be?" },
    { slots: ["insurance"], text: "Would you like travel insurance?" },
    { slots: ["payment"], text: "Which payment method should be used?" },
  ],
  describe,
  mistaken,
};

/** An action in words that name everything it depends on. */
function describe({ name, arguments: dict }: Call, database: Database): string {
  const args = rowOf<{ readonly [name: string]: any }>(
    new Map([["calls", new Map([["call", dict]])]]),
    "calls",
    "call",
  )!;
  const held = rowOf<Reservation>(database, "reservations", args.reservation_id);
  const user = rowOf<User>(database, "users", held?.user_id ?? args.user_id)!;
  const label = (id: string) => labelOf(user, user.payment_methods[id]).replace("my", "your");
  const flights = () => list(args.flights.map((leg: Leg) => `${leg.flight_number} on ${dayWords(leg.date)}`));
  const people = () => list(args.passengers.map((each: Passenger) => `${fullName(each)} (${each.dob})`));
  const bags = () => `${bagWords(args.total_baggages)}, ${args.nonfree_baggages} of them for 50 dollars each`;
  switch (name) {
    case "book_reservation": {
      const paid = args.payment_methods.map(
        ({ payment_id, amount }: { payment_id: string; amount: number }) =>
          `${amount} dollars with ${label(payment_id)}`,
      );
      return `book a ${args.flight_type.replace("_", " ")} trip from ${cityOf(args.origin)} to ${cityOf(args.destination)} in ${cabinWords(args.cabin)} (${flights()}) for ${people()}, with ${bags()}, ${args.insurance === "yes" ? "with" : "without"} insurance, paying ${list(paid)}`;
    }
    case "cancel_reservation":
      return `cancel reservation ${args.reservation_id}`;
    case "update_reservation_baggages":
      return `set reservation ${args.reservation_id} to ${bags()}, paid with ${label(args.payment_id)}`;
    case "update_reservation_flights":
      return `set reservation ${args.reservation_id} to ${cabinWords(args.cabin)} with ${flights()}, settling the difference with ${label(args.payment_id)}`;
    case "update_reservation_passengers":
      return `set the passengers of reservation ${args.reservation_id} to ${people()}`;
    default:
      return `send you a certificate of ${args.amount} dollars`;
  }
}

/** The same kind of action with one thing wrong. */
function mistaken(action: WrittenCall, database: Database, random: Random): WrittenCall {
  const args = JSON.parse(action.arguments) as { [name: string]: Json };
  const held = rowOf<Reservation>(database, "reservations", args.reservation_id);
  const user = rowOf<User>(database, "users", held?.user_id ?? args.user_id)!;
  switch (action.name) {
    case "cancel_reservation": {
      const others = user.reservations.filter((id) => id !== args.reservation_id);
      if (others.length > 0) args.reservation_id = random.pick(others);
      break;
    }
    case "update_reservation_passengers": {
      const [first, ...rest] = args.passengers as { [name: string]: Json }[];
      args.passengers = [
        { ...first, last_name: random.pick(LAST_NAMES.filter((name) => name !== first.last_name)) },
        ...rest,
      ];
      break;
    }
    case "update_reservation_flights": {
      const others = Object.values(user.payment_methods).filter(
        ({ id, source }) => source === "credit_card" && id !== args.payment_id,
      );
      if (others.length > 0) args.payment_id = random.pick(others).id;
      else args.cabin = args.cabin === "business" ? "economy" : "business";
      break;
    }
    case "send_certificate":
      args.amount = 2 * Number(args.amount);
      break;
    default:
      args.total_baggages = Number(args.total_baggages) + 1;
  }
  return { ...action, arguments: JSON.stringify(args) };
}
