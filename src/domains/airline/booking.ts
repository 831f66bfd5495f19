// The airline's largest goal: booking a trip. What goals are is goals.ts. Test: test/unit/airline-tasks.test.ts

import type { Random } from "../../random.ts";
import { list } from "../expert.ts";
import { combinations, type Detail, type Goal, NOTHING, write } from "../making/goals.ts";
import { CABINS, DAYS, freeBags, type Method, makePassenger, type Passenger, TODAY, type User } from "./data.ts";
import { type Scene, said, sum } from "./goals.ts";
import { methodOf, methodsOf, type Named, type WayReference, wayOf } from "./references.ts";
import { bagWords, cabinWords, cityOf, dayWords, fullName } from "./words.ts";

/** What is wrong with a booking that has to be refused. */
export type BookingFlaw = "passengers" | "certificates" | "cards" | "bags" | "seats" | "balance";

/** For each passenger, in dollars. */
const INSURANCE = 30;
const BAG = 50;
const MOST_PASSENGERS = 5;

export function book(scene: Scene, flaw?: BookingFlaw): Goal | null {
  const { tables, userId, user, random } = scene;
  const { origin, destination } = random.pick(Object.values(tables.flights));
  const cabin = random.pick(CABINS);
  const isRound = random.chance(0.4);
  const days = random
    .shuffle(DAYS.filter((day) => day > TODAY))
    .slice(0, isRound ? 2 : 1)
    .sort();
  const company = flaw === "passengers" ? MOST_PASSENGERS + random.int(2) : random.chance(0.4) ? 0 : 1 + random.int(3);
  const travellers = companions(user, company, random);
  const count = travellers.passengers.length;
  const ways = days.map((date, i) => {
    const ends = i === 0 ? { origin, destination } : { origin: destination, destination: origin };
    return wayOf(tables, { ...ends, date, cabin, count }, random, flaw === "seats" && i === 0);
  });
  if (!ways.every((way) => way !== null)) return null;

  const free = freeBags(user.membership, cabin) * count;
  const bags = flaw === "bags" ? free + 1 + random.int(2) : random.int(free + 3);
  const extra = flaw === "bags" ? 0 : Math.max(0, bags - free);
  const insurance = random.chance(0.5) ? "yes" : "no";
  const fixed = BAG * extra + (insurance === "yes" ? INSURANCE * count : 0);
  const price = (flights: readonly Named[]) =>
    count * sum(flights.map(({ flight_number, date }) => tables.flights[flight_number].dates[date].prices![cabin])) +
    fixed;
  const methods = payers(user, price(ways.flatMap((way) => way.fits[0])), random, flaw);
  if (!methods) return null;
  const named = methods.map((method) => methodOf(scene, method, false));
  const labels = named.map(({ words }) => words);
  const payment = flaw === "cards" ? `${labels.join(" and ")}, half of it each` : inTurn(labels);

  return {
    ...NOTHING,
    want: `${random.pick(["book", "reserve"])} a ${isRound ? "round" : "one way"} trip from ${cityOf(origin)} to ${cityOf(destination)} on ${dayWords(days[0])}${isRound ? ` and back on ${dayWords(days[1])}` : ""} in ${cabinWords(cabin)}`,
    details: {
      option: optionOf(ways),
      passengers: travellers.detail,
      bags: said(`with ${bagWords(bags)}${flaw === "bags" && bags > 0 ? ", all of them free" : ""}`),
      insurance: {
        ...said(`${insurance === "yes" ? "with" : "without"} travel insurance`),
        slip: `${insurance === "yes" ? "Without" : "With"} travel insurance.`,
      },
      payment: {
        said: `paying with ${payment}`,
        answer: `I pay with ${payment}.`,
      },
    },
    lookups: ways.flatMap(({ lookups }) => lookups),
    readings: combinations<readonly Named[]>(ways.map(({ fits }) => fits)).flatMap((chosen) => {
      const flights = chosen.flat();
      return combinations(named.map(({ fits }) => fits)).map((ids) => [
        write("book_reservation", {
          user_id: userId,
          origin,
          destination,
          flight_type: isRound ? "round_trip" : "one_way",
          cabin,
          flights: flights,
          passengers: travellers.passengers,
          payment_methods: shares(user, ids, price(flights), flaw),
          total_baggages: bags,
          nonfree_baggages: extra,
          insurance,
        }),
      ]);
    }),
  };
}

/** The customer and so many others: some whom the profile knows, the rest with their dates of birth. */
function companions(user: User, count: number, random: Random): { passengers: Passenger[]; detail: Detail } {
  const self = { ...user.name, dob: user.dob };
  const names = new Set([fullName(self)]);
  const isNew = (other: Passenger) => !names.has(fullName(other)) && names.add(fullName(other));
  const saved = random
    .shuffle(user.saved_passengers)
    .filter(isNew)
    .slice(0, random.int(count + 1));
  const others: Passenger[] = [];
  while (saved.length + others.length < count) {
    const other = makePassenger(random);
    if (isNew(other)) others.push(other);
  }
  const words = [
    "myself",
    ...saved.map((each) => `${fullName(each)} from my saved passengers`),
    ...others.map((each) => `${fullName(each)}, born on ${each.dob}`),
  ];
  const separate = words.length > 2 ? `${words.slice(0, -1).join("; ")}; and ${words.at(-1)}` : list(words);
  return {
    passengers: [self, ...saved, ...others],
    detail: { said: `for ${separate}`, answer: `For ${separate}.` },
  };
}

function optionOf(ways: readonly WayReference[]): Detail {
  if (ways.length === 1) return { said: `taking ${ways[0].words}`, answer: ways[0].answer };
  const words = `${ways[0].words} on the way there and ${ways[1].words} on the way back`;
  return { said: `taking ${words}`, answer: `${words[0].toUpperCase()}${words.slice(1)}.` };
}

/** Whom the customer has pay, in order: each of them as far as it goes. Null where they have nobody for it. */
function payers(user: User, price: number, random: Random, flaw?: BookingFlaw): Method[] | null {
  const of = (source: Method["source"]) => random.shuffle(methodsOf(user).filter((method) => method.source === source));
  const [certificates, gifts, cards] = [of("certificate"), of("gift_card"), of("credit_card")];
  const holds = (methods: readonly Method[]) => sum(methods.map((method) => ("amount" in method ? method.amount : 0)));
  if (flaw === "certificates" || flaw === "cards") {
    const two = (flaw === "cards" ? cards : certificates).slice(0, 2);
    if (two.length < 2 || price < 2 || (flaw === "certificates" && holds(two.slice(0, 1)) >= price)) return null;
    return flaw === "cards" || holds(two) >= price ? two : [...two, cards[0]];
  }
  if (flaw === "balance") {
    const short = gifts.filter((gift) => holds([gift]) < price);
    return short.length > 0 ? [short[0]] : null;
  }
  const chosen: Method[] = [];
  if (random.chance(0.4)) chosen.push(...certificates.slice(0, 1));
  if (random.chance(0.5)) chosen.push(...gifts.slice(0, random.chance(0.3) ? 2 : 1));
  // What is paid for already needs nothing more.
  while (chosen.length > 1 && holds(chosen.slice(0, -1)) >= price) chosen.pop();
  return holds(chosen) >= price ? chosen : [...chosen, cards[0]];
}

/** What each method pays: as much as it holds of what is left. */
function shares(user: User, ids: readonly string[], price: number, flaw?: BookingFlaw) {
  let left = price;
  return ids.flatMap((payment_id, i) => {
    const method = user.payment_methods[payment_id];
    const most =
      flaw === "cards" && i === 0
        ? Math.floor(price / 2)
        : "amount" in method && flaw !== "balance"
          ? method.amount
          : left;
    const amount = Math.min(most, left);
    left -= amount;
    return amount > 0 ? [{ payment_id, amount }] : [];
  });
}

/** Labels of methods that pay one after the other. */
function inTurn(labels: readonly string[]): string {
  if (labels.length === 1) return labels[0];
  const first = labels.slice(0, -1).map((label, i) => (i === 0 ? `${label} as far as it goes` : `then ${label}`));
  return `${first.join(", ")}, and ${labels.at(-1)} for the rest`;
}
