// What the airline's customers ask without wanting a change. Answers are read with the tools, never made up.

import type { Database, WrittenCall } from "../../types.ts";
import { type Goal, look, NOTHING, write } from "../making/goals.ts";
import { at, type Dict, parse, parseObject, type Value } from "../python.ts";
import { CABINS, DAYS, TODAY } from "./data.ts";
import type { Scene } from "./goals.ts";
import { about, labelOf, least, methodsOf, reservationOf } from "./references.ts";
import { tools } from "./tools.ts";
import { cabinWords, cityOf, dayWords } from "./words.ts";

/** Null where there is nothing to ask. `output`: what the agent has to say. */
type Question = (scene: Scene, database: Database) => (Goal & { readonly output: string }) | null;

export const QUESTIONS: readonly Question[] = [
  function paid(scene, database) {
    const whole = reservationOf(scene);
    const call = write("get_reservation_details", { reservation_id: scene.reservation.reservation_id });
    const [payment] = at(shown(database, call), "payment_history") as Dict[];
    return { ...about(whole), want: `know how much I paid for ${whole.words}`, output: String(at(payment, "amount")) };
  },

  function balance({ userId, user, random }, database) {
    const cards = methodsOf(user).filter(({ source }) => source === "gift_card");
    if (cards.length !== 1) return null;
    const [card] = cards;
    const profile = shown(database, write("get_user_details", { user_id: userId }));
    const method = at(at(profile, "payment_methods"), card.id);
    const want = `know how much is left on ${random.pick([labelOf(user, card), "my only gift card"])}`;
    return { ...NOTHING, want, output: String(at(method, "amount")) };
  },

  function booked(scene) {
    const whole = reservationOf({ ...scene, easy: false });
    if (whole.words.startsWith("reservation")) return null;
    const { reservation_id } = scene.reservation;
    return { ...about(whole), want: `know the reservation id of ${whole.words}`, output: reservation_id };
  },

  function born(scene, database) {
    const { random, reservation } = scene;
    const whole = reservationOf(scene);
    const call = write("get_reservation_details", { reservation_id: reservation.reservation_id });
    const passengers = at(shown(database, call), "passengers") as Dict[];
    const passenger = random.pick(passengers);
    const name = `${at(passenger, "first_name")} ${at(passenger, "last_name")}`;
    const want = `know which date of birth of ${name} is noted for ${whole.words}`;
    return { ...about(whole), want, output: String(at(passenger, "dob")) };
  },

  function number(scene, database) {
    const { offers, search, asked } = offersOf(scene, database);
    const edge = scene.random.pick([
      ["leaves first", (offer: Dict) => minutes(at(offer, "scheduled_departure_time_est"))],
      ["leaves last", (offer: Dict) => -minutes(at(offer, "scheduled_departure_time_est"))],
      ["is the first to land", (offer: Dict) => minutes(at(offer, "scheduled_arrival_time_est"))],
    ] as const);
    const fits = least(offers, edge[1]);
    if (offers.length < 2 || fits.length !== 1) return null;
    return {
      ...NOTHING,
      lookups: [search],
      want: `know the number of the direct flight ${asked} that ${edge[0]}`,
      output: String(at(fits[0], "flight_number")),
    };
  },

  function price(scene, database) {
    const { offers, search, asked } = offersOf(scene, database);
    const cabin = scene.random.pick(CABINS);
    const open = offers.filter((offer) => Number(at(at(offer, "available_seats"), cabin)) > 0);
    if (open.length === 0) return null;
    const prices = open.map((offer) => Number(at(at(offer, "prices"), cabin)));
    return {
      ...NOTHING,
      lookups: [search],
      want: `know what the cheapest direct flight ${asked} with free seats in ${cabinWords(cabin)} costs`,
      output: String(Math.min(...prices)),
    };
  },

  function total(scene, database) {
    const { offers, search, asked } = offersOf(scene, database);
    if (offers.length !== 1) return null;
    const [cabin, count] = [scene.random.pick(CABINS), 2 + scene.random.int(4)];
    const sum = write("calculate", { expression: `${count} * (${at(at(offers[0], "prices"), cabin)} + 30)` });
    return {
      ...NOTHING,
      lookups: [search, sum],
      want: `know what the direct flight ${asked} costs in all for ${count} people in ${cabinWords(cabin)} with travel insurance`,
      output: observe(database, sum).replace(/\.0$/, ""),
    };
  },
];

/** The direct flights on some day between the places of the scene's reservation. */
function offersOf({ reservation, random }: Scene, database: Database) {
  const { origin, destination } = reservation;
  const date = random.pick(DAYS.filter((day) => day > TODAY));
  const search = write("search_direct_flight", { origin, destination, date });
  const offers = parse(observe(database, search)) as Dict[];
  return { offers, search, asked: `from ${cityOf(origin)} to ${cityOf(destination)} on ${dayWords(date)}` };
}

function minutes(time: Value): number {
  const [hours, rest] = String(time).split(":").map(Number);
  return 60 * hours + rest;
}

function shown(database: Database, call: WrittenCall): Dict {
  return parseObject(observe(database, call));
}

function observe(database: Database, call: WrittenCall): string {
  return look({ domain: { tools, parse: parseObject }, database }, call);
}
