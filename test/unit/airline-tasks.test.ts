// The airline's made-up databases, its rules on a database of two customers, what is proven of every task, how the desk is
// heard, and its expert through real sessions. What its tools answer: test/unit/airline.test.ts.

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { makeTables, type Reservation, type Tables, toDatabase } from "../../src/domains/airline/data.ts";
import { airline, fixed } from "../../src/domains/airline/index.ts";
import { asks, brokenRules, violates } from "../../src/domains/airline/rules.ts";
import { hears } from "../../src/domains/ears.ts";
import { type Dict, hash, parseObject } from "../../src/domains/python.ts";
import { Store } from "../../src/domains/store.ts";
import { callTool, readCall } from "../../src/domains/tool.ts";
import { validate } from "../../src/gates.ts";
import { mix, sampleTasks, trainDatabases } from "../../src/tasks/sampler.ts";
import type { Domain, Entry, Habits, Json, Task } from "../../src/types.ts";
import { type Agent, always, call, oracle, playTalk, say } from "../talk.ts";

const SEEDS = [1, 2, 3, 1_000_000];
const PASSIVE = ["refuse", "transfer", "information"];

function tasksOf(family: string, seed: number, most: number, domain: Domain = airline): Task[] {
  const tasks = Array.from({ length: most }, (_, index) => domain.task(family, seed, index));
  return tasks.filter((task) => task !== null);
}

const every = (most: number, domain?: Domain) =>
  airline.families.flatMap((family) => SEEDS.flatMap((seed) => tasksOf(family, seed, most, domain)));

test("a database is a function of its seed, and all of its numbers are ints", () => {
  const digest = (seed: number) => hash(toDatabase(makeTables(seed)));
  assert.is(digest(5), digest(5));
  assert.is.not(digest(5), digest(6));
  const walk = (value: unknown): void => {
    assert.is.not(typeof value, "number");
    if (Array.isArray(value)) value.forEach(walk);
    else if (value instanceof Map) for (const each of value.values()) walk(each);
  };
  walk(toDatabase(makeTables(5)));
});

test("a database is consistent, and none of its ids can be tau-bench's", () => {
  for (const seed of SEEDS) {
    const { flights, reservations, users } = makeTables(seed);
    assert.equal(
      [users, reservations].map((table) => Object.keys(table).length),
      [30, 90],
    );
    for (const [id, { flight_number, dates }] of Object.entries(flights)) {
      assert.is(id, flight_number);
      assert.match(id, /^TRL\d{4}$/); // tau-bench: HAT and 3 digits
      for (const [day, { status }] of Object.entries(dates)) {
        const ahead = ["available", "cancelled"].includes(status);
        if (day > "2024-05-15") assert.ok(ahead, `${day} ${status}`);
        if (day < "2024-05-15") assert.ok(["landed", "cancelled"].includes(status), `${day} ${status}`);
        if (day === "2024-05-15") assert.is.not(status, "available");
      }
    }
    for (const [id, { reservation_id, user_id, ...trip }] of Object.entries(reservations)) {
      assert.is(id, reservation_id);
      assert.match(id, /^[A-Z]{2}\d{5}$/); // 6 letters and digits
      const user = users[user_id];
      assert.ok(user.reservations.includes(id));
      const [{ payment_id, amount }] = trip.payment_history;
      assert.ok(payment_id in user.payment_methods);
      const insured = trip.insurance === "yes" ? 30 : 0;
      assert.is(amount, trip.passengers.length * (insured + trip.flights.reduce((sum, { price }) => sum + price, 0)));
      const stops = [trip.origin, ...trip.flights.map(({ destination }) => destination)];
      trip.flights.forEach(({ origin, destination, flight_number, date }, i) => {
        assert.is(origin, stops[i]);
        assert.equal([flights[flight_number].origin, flights[flight_number].destination], [origin, destination]);
        assert.ok(date in flights[flight_number].dates);
      });
      assert.is(stops.at(-1), trip.flight_type === "one_way" ? trip.destination : trip.origin);
      assert.ok(trip.created_at < "2024-05-15T15:00:00");
    }
    for (const [id, user] of Object.entries(users)) {
      assert.match(id, /^[a-z]+_[a-z]+_\d{3}$/); // 4 digits
      for (const own of user.reservations) assert.is(reservations[own].user_id, id);
      for (const method of Object.keys(user.payment_methods))
        assert.match(method, /^(gift_card|certificate|credit_card)_\d{6}$/); // 7
    }
  }
});

const MAY_20 = "2024-05-20";
const BEE = { first_name: "Ann", last_name: "Bee", dob: "1990-01-01" };

/** Ann (silver) and Bob (regular); flights T1 (SEA-DEN), T2 (DEN-SEA), T3 (DEN-BOS), T4 (SEA-DEN, late today). */
function fixture(): Tables {
  const flight = (flight_number: string, origin: string, destination: string, hour: number) => {
    const day = (seats: number) => ({
      status: "available" as const,
      available_seats: { basic_economy: seats, economy: seats, business: 1 },
      prices: { basic_economy: 50, economy: 100, business: 300 },
    });
    return {
      flight_number,
      origin,
      destination,
      scheduled_departure_time_est: `${hour}:00:00`,
      scheduled_arrival_time_est: `${hour + 2}:00:00`,
      dates: {
        "2024-05-14": { status: "landed" as const },
        "2024-05-15": { status: flight_number === "T4" ? ("delayed" as const) : ("on time" as const) },
        "2024-05-19": { status: "cancelled" as const },
        [MAY_20]: day(9),
        "2024-05-21": day(9),
      },
    };
  };
  const trip = (reservation_id: string, user_id: string, changes: Partial<Reservation>): Reservation => ({
    reservation_id,
    user_id,
    origin: "SEA",
    destination: "DEN",
    flight_type: "one_way",
    cabin: "economy",
    flights: [leg("T1", MAY_20)],
    passengers: [BEE],
    payment_history: [{ payment_id: "credit_card_1", amount: 100 }],
    created_at: "2024-05-03T10:00:00",
    total_baggages: 1,
    nonfree_baggages: 0,
    insurance: "no",
    ...changes,
  });
  const leg = (flight_number: string, date: string) => ({
    origin: "SEA",
    destination: "DEN",
    flight_number,
    date,
    price: 100,
  });
  const reservations = [
    trip("PLAIN", "ann", {}),
    trip("BASIC", "ann", { cabin: "basic_economy" }),
    trip("NEW", "ann", { created_at: "2024-05-14T15:00:00" }),
    trip("OLD", "ann", { created_at: "2024-05-14T14:59:59" }),
    trip("INSURED", "ann", { insurance: "yes" }),
    trip("BUSINESS", "ann", { cabin: "business" }),
    trip("FLOWN", "ann", { cabin: "business", flights: [leg("T1", "2024-05-14")] }),
    trip("GONE", "ann", { flights: [leg("T1", "2024-05-19")], passengers: [BEE, BEE] }),
    trip("LATE", "bob", { flights: [leg("T4", "2024-05-15")], cabin: "business" }),
    trip("BOBS", "bob", { flights: [leg("T1", "2024-05-19")] }),
    trip("CALM", "eve", {}),
  ];
  const user = (id: string, membership: "regular" | "silver") => ({
    name: { first_name: id, last_name: "Bee" },
    address: { address1: "", address2: "", city: "", country: "", state: "", zip: "" },
    email: "",
    dob: BEE.dob,
    payment_methods: {
      credit_card_1: { source: "credit_card" as const, brand: "visa", last_four: "1111", id: "credit_card_1" },
      credit_card_2: { source: "credit_card" as const, brand: "visa", last_four: "2222", id: "credit_card_2" },
      gift_card_1: { source: "gift_card" as const, amount: 60, id: "gift_card_1" },
      certificate_1: { source: "certificate" as const, amount: 80, id: "certificate_1" },
      certificate_2: { source: "certificate" as const, amount: 80, id: "certificate_2" },
    },
    saved_passengers: [],
    membership,
    reservations: reservations.filter(({ user_id }) => user_id === id).map(({ reservation_id }) => reservation_id),
  });
  return {
    flights: {
      T1: flight("T1", "SEA", "DEN", 10),
      T2: flight("T2", "DEN", "SEA", 11),
      T3: flight("T3", "DEN", "BOS", 13),
      T4: flight("T4", "SEA", "DEN", 16),
    },
    reservations: Object.fromEntries(reservations.map((each) => [each.reservation_id, each])),
    users: { ann: user("ann", "silver"), bob: user("bob", "regular"), eve: user("eve", "regular") },
  };
}

const DATABASE = toDatabase(fixture());
const at = (flight_number: string, date = MAY_20) => ({ flight_number, date });
const paid = (payment_id: string, amount: number) => ({ payment_id, amount });
const TRIP = {
  user_id: "ann",
  origin: "SEA",
  destination: "DEN",
  flight_type: "one_way",
  cabin: "economy",
  flights: [at("T1")],
  passengers: [BEE],
  payment_methods: [paid("credit_card_1", 100)],
  total_baggages: 2,
  nonfree_baggages: 0,
  insurance: "no",
};
const BAGS = { reservation_id: "PLAIN", total_baggages: 3, nonfree_baggages: 1, payment_id: "credit_card_1" };
const MOVE = {
  reservation_id: "PLAIN",
  cabin: "economy",
  flights: [at("T1", "2024-05-21")],
  payment_id: "credit_card_1",
};

const NOT_PAID = "bags beyond the free allowance are paid for, and no others";
const TOO_OLD =
  "the booking is older than 24 hours, the trip is neither insured nor in business, and all of its flights go";
const NO_SEATS = "a flight has too few free seats in that cabin";
const NOT_FLYING = "a flight cannot be booked on that day";
const NOT_THERE = "the flights do not lead where the trip goes";
const STAYS = "origin, destination and kind of trip have to stay what they are";
const NO_TROUBLE = "there is no cancellation and no delay to make up for";
const NOT_ENTITLED = "the customer is neither silver nor gold, nor is the trip insured or in business";
const UNCHANGED = "the trip with the delay is neither changed nor cancelled";

/** Tool, arguments, the rules that are broken, and who asks where that is not Ann. */
const CASES: readonly (readonly [string, Record<string, Json>, readonly string[], string?])[] = [
  ["book_reservation", TRIP, []],
  ["book_reservation", { ...TRIP, flights: [at("T1"), at("T3")], destination: "BOS" }, []],
  ["book_reservation", { ...TRIP, flight_type: "round_trip", flights: [at("T1"), at("T2", "2024-05-21")] }, []],
  ["book_reservation", TRIP, ["it concerns another customer"], "bob"],
  ["book_reservation", { ...TRIP, passengers: Array(6).fill(BEE) }, ["a reservation is for five passengers at most"]],
  ["book_reservation", { ...TRIP, destination: "BOS" }, [NOT_THERE]],
  ["book_reservation", { ...TRIP, flight_type: "round_trip" }, [NOT_THERE]],
  [
    "book_reservation",
    { ...TRIP, flight_type: "round_trip", flights: [at("T1"), at("T2")] },
    ["a flight leaves before the one before it has landed"],
  ],
  ["book_reservation", { ...TRIP, flights: [at("T1", "2024-05-19")] }, [NOT_FLYING]],
  ["book_reservation", { ...TRIP, cabin: "business", passengers: [BEE, BEE] }, [NO_SEATS]],
  ["book_reservation", { ...TRIP, nonfree_baggages: 1 }, [NOT_PAID]],
  ["book_reservation", { ...TRIP, total_baggages: 3 }, [NOT_PAID]],
  ["book_reservation", { ...TRIP, total_baggages: 3, nonfree_baggages: 1 }, []],
  [
    "book_reservation",
    { ...TRIP, payment_methods: [paid("certificate_1", 80), paid("certificate_2", 20)] },
    ["a booking is paid with 1 certificate at most"],
  ],
  [
    "book_reservation",
    { ...TRIP, payment_methods: [paid("credit_card_1", 80), paid("credit_card_2", 20)] },
    ["a booking is paid with 1 credit card at most"],
  ],
  [
    "book_reservation",
    { ...TRIP, payment_methods: Array(4).fill(paid("gift_card_1", 25)) },
    ["a booking is paid with 3 gift cards at most"],
  ],
  [
    "book_reservation",
    { ...TRIP, payment_methods: [paid("gift_card_1", 100)] },
    ["a gift card or certificate does not cover its part"],
  ],
  [
    "book_reservation",
    { ...TRIP, payment_methods: [paid("credit_card_9", 100)] },
    ["a payment method is not in the profile"],
  ],
  ["cancel_reservation", { reservation_id: "PLAIN" }, [TOO_OLD]],
  ["cancel_reservation", { reservation_id: "OLD" }, [TOO_OLD]],
  ["cancel_reservation", { reservation_id: "NEW" }, []],
  ["cancel_reservation", { reservation_id: "INSURED" }, []],
  ["cancel_reservation", { reservation_id: "BUSINESS" }, []],
  ["cancel_reservation", { reservation_id: "GONE" }, []],
  ["cancel_reservation", { reservation_id: "FLOWN" }, ["a part of the trip is flown"]],
  ["cancel_reservation", { reservation_id: "LATE" }, ["it concerns another customer"]],
  ["cancel_reservation", { reservation_id: "none" }, []],
  ["update_reservation_baggages", BAGS, []],
  ["update_reservation_baggages", { ...BAGS, nonfree_baggages: 0 }, [NOT_PAID]],
  ["update_reservation_baggages", { ...BAGS, total_baggages: 0 }, ["bags can be added, not taken away"]],
  ["update_reservation_baggages", { ...BAGS, payment_id: "gift_card_1" }, []],
  [
    "update_reservation_baggages",
    { ...BAGS, total_baggages: 4, nonfree_baggages: 2, payment_id: "gift_card_1" },
    ["the gift card does not cover the price"],
  ],
  ["update_reservation_baggages", { ...BAGS, payment_id: "certificate_1" }, ["a certificate cannot pay for a change"]],
  ["update_reservation_flights", MOVE, []],
  [
    "update_reservation_flights",
    { ...MOVE, reservation_id: "BASIC", cabin: "basic_economy" },
    ["basic economy flights cannot be changed"],
  ],
  ["update_reservation_flights", { ...MOVE, reservation_id: "BASIC", flights: [at("T1")] }, []],
  ["update_reservation_flights", { ...MOVE, flights: [at("T1"), at("T3")] }, [STAYS]],
  ["update_reservation_flights", { ...MOVE, flights: [at("T1"), at("T2", "2024-05-21")] }, [STAYS]],
  ["update_reservation_flights", { ...MOVE, flights: [at("T1", "2024-05-19")] }, [NOT_FLYING]],
  [
    "update_reservation_flights",
    { ...MOVE, reservation_id: "GONE", cabin: "business", flights: [at("T1")] },
    [NO_SEATS],
  ],
  [
    "update_reservation_flights",
    { ...MOVE, cabin: "business", payment_id: "gift_card_1" },
    ["the gift card does not cover the price"],
  ],
  ["update_reservation_passengers", { reservation_id: "PLAIN", passengers: [BEE] }, []],
  [
    "update_reservation_passengers",
    { reservation_id: "PLAIN", passengers: [BEE, BEE] },
    ["the number of passengers cannot change"],
  ],
  ["send_certificate", { user_id: "ann", amount: 200 }, []],
  ["send_certificate", { user_id: "ann", amount: 100 }, ["the amount is not what the rules give"]],
  ["send_certificate", { user_id: "bob", amount: 50 }, [UNCHANGED], "bob"],
  ["send_certificate", { user_id: "bob", amount: 100 }, [NOT_ENTITLED], "bob"],
  ["send_certificate", { user_id: "eve", amount: 100 }, [NO_TROUBLE], "eve"],
  ["get_user_details", { user_id: "bob" }, []],
];

test("every rule is broken by what breaks it, and by nothing else", () => {
  for (const [name, args, broken, customer = "ann"] of CASES) {
    const step = readCall(airline, { name, arguments: JSON.stringify(args) });
    assert.equal(brokenRules(step, new Store(DATABASE), customer), broken, `${name} ${JSON.stringify(args)}`);
  }
});

test("rules see what was changed before", () => {
  for (const domain of [airline, fixed]) {
    const store = new Store(DATABASE);
    const play = (name: string, args: object) => {
      const { observation, failed } = callTool(
        domain.tools.find((tool) => tool.name === name)!,
        store,
        parseObject(JSON.stringify(args)),
      );
      assert.not(failed, observation);
    };
    const broken = (name: string, args: object) =>
      brokenRules({ name, arguments: parseObject(JSON.stringify(args)) }, store, undefined);
    play("cancel_reservation", { reservation_id: "LATE" });
    assert.equal(broken("send_certificate", { user_id: "bob", amount: 50 }), []);
    assert.equal(broken("cancel_reservation", { reservation_id: "LATE" }), [
      "nothing of the reservation is left to change",
    ]);
    play("update_reservation_flights", { ...MOVE, reservation_id: "BASIC", cabin: "business", flights: [at("T1")] });
    assert.equal(broken("cancel_reservation", { reservation_id: "BASIC" }), []);
    const bags = { ...BAGS, reservation_id: "BASIC", nonfree_baggages: 0 };
    assert.equal(broken("update_reservation_baggages", bags), []);
  }
});

test("rules answer whatever an agent writes", () => {
  const value = fc.oneof(
    fc.constantFrom("ann", "PLAIN", "economy", "T1", MAY_20, "credit_card_1", "SEA", 1, 1.5, null),
    fc.jsonValue(),
  );
  const odd = fc.record({
    name: fc.constantFrom(...airline.tools.filter(({ writes }) => writes).map(({ name }) => name)),
    from: fc.constantFrom<Record<string, unknown>>({ ...TRIP, amount: 100 }, BAGS, MOVE),
    key: fc.constantFrom(...Object.keys({ ...TRIP, ...BAGS, ...MOVE }), "amount"),
    value: fc.oneof(
      value,
      fc.array(fc.dictionary(fc.constantFrom("flight_number", "date", "payment_id", "amount"), value)),
    ),
  });
  fc.assert(
    fc.property(odd, ({ name, from, key, value }) => {
      const args = parseObject(JSON.stringify({ ...from, [key]: value }));
      assert.ok(Array.isArray(brokenRules({ name, arguments: args }, new Store(DATABASE), "ann")));
    }),
    { seed: 1, numRuns: 500 },
  );
});

test("every family has tasks on every database, no two in the same words, all of them plain JSON", () => {
  const words = new Set<string>();
  let count = 0;
  for (const seed of SEEDS)
    for (const family of airline.families) {
      const tasks = tasksOf(family, seed, 20);
      assert.ok(tasks.length >= (family === "certificate" ? 3 : 8), `${family} on ${seed}: ${tasks.length}`);
      for (const task of tasks) {
        assert.equal(JSON.parse(JSON.stringify(task)), task);
        assert.is(task.actions.length === 0, PASSIVE.includes(family), task.id);
        words.add(JSON.stringify(task.scenario));
        count++;
      }
    }
  assert.is(words.size, count);
  assert.is(airline.task("cancel", 1, 10_000), null);
  assert.is(airline.task("nonsense", 1, 0), null);
  assert.is(airline.task("toString", 1, 0), null);
  assert.equal(airline.task("several", 7, 3), fixed.task("several", 7, 3));
});

test("tasks pass every gate under both profiles", async () => {
  for (const domain of [airline, fixed]) {
    const { failures, inaction } = await validate(domain, every(4, domain));
    assert.equal([failures, inaction], [[], 0]);
  }
});

test("every tool that writes is some task's ground truth, with one call or several", () => {
  const tasks = every(8);
  const used = new Set(tasks.flatMap(({ actions }) => actions.map(({ name }) => name)));
  const writers = airline.tools.filter(({ writes }) => writes).map(({ name }) => name);
  assert.equal([...used].sort(), writers.sort());
  const lengths = new Set(tasks.filter(({ family }) => family === "several").map(({ actions }) => actions.length));
  for (const length of [2, 3, 4]) assert.ok(lengths.has(length), `${length}`);
});

test("what is forbidden is one rule's doing, and the rules that words can ask for occur", () => {
  const seeds = Array.from({ length: 12 }, (_, i) => i + 1);
  const tasks = seeds.flatMap((seed) => tasksOf("refuse", seed, 90));
  const rules = new Set(tasks.map(({ forbidden }) => forbidden!.rule));
  assert.equal(
    [...rules].sort(),
    [
      "a booking is paid with 1 certificate at most",
      "a booking is paid with 1 credit card at most",
      "a certificate cannot pay for a change",
      NO_SEATS,
      "a gift card or certificate does not cover its part",
      "a reservation is for five passengers at most",
      NOT_PAID,
      "bags can be added, not taken away",
      "basic economy flights cannot be changed",
      "it concerns another customer",
      STAYS,
      TOO_OLD,
      NOT_ENTITLED,
      "the gift card does not cover the price",
      "the number of passengers cannot change",
      UNCHANGED,
      NO_TROUBLE,
    ].sort(),
  );
  // A refusal that sounds like work done would end the talk before the customer says what they want instead.
  for (const rule of rules) {
    const { refuses, claimsDone } = hears(`I am sorry, I cannot do that: ${rule}.`);
    assert.ok(refuses && !claimsDone, rule);
  }
});

test("what words describe is one thing of the customer's", () => {
  for (const { id, instruction, customer, database } of every(20)) {
    const { users, reservations } = makeTables(database);
    const own = users[customer!].reservations.map((id) => reservations[id]);
    for (const [, day] of instruction.matchAll(/your trip that begins on May (\d+)/g))
      assert.is(own.filter(({ flights }) => flights[0].date === `2024-05-${day}`).length, 1, id);
    for (const [, number] of instruction.matchAll(/your trip with flight (TRL\d+)/g))
      assert.is(own.filter(({ flights }) => flights.some((leg) => leg.flight_number === number)).length, 1, id);
    for (const [, card] of instruction.matchAll(/ending in (\d+)/g)) {
      const cards = Object.values(users[customer!].payment_methods).filter((method) => "last_four" in method);
      assert.is(cards.filter((method) => method.last_four === card).length, 1, id);
    }
  }
});

test("what is changed is still to be flown, and the customer is never taken for the airline", () => {
  const isFlown = (status: string) => status === "landed" || status === "flying";
  let seen = 0;
  for (const { id, actions, database, instruction } of every(16)) {
    assert.not.match(instruction, /you have cancelled/, id);
    const { flights, reservations } = makeTables(database);
    for (const { name, arguments: json } of actions.filter(({ name }) => name.startsWith("update_"))) {
      const args = JSON.parse(json);
      const held = reservations[args.reservation_id].flights;
      const isKept = ({ flight_number, date }: { flight_number: string; date: string }) =>
        args.flights?.some(
          (each: (typeof TRIP.flights)[0]) => each.flight_number === flight_number && each.date === date,
        );
      for (const leg of held.filter((leg) => !isKept(leg)))
        assert.not(isFlown(flights[leg.flight_number].dates[leg.date].status), `${id}: ${leg.flight_number} is flown`);
      if (name !== "update_reservation_flights") assert.ok(held[0].date >= "2024-05-15", id);
      seen++;
    }
  }
  assert.ok(seen > 100);
});

test("a price that is asked for is that of a flight with free seats", () => {
  const asked = SEEDS.flatMap((seed) => tasksOf("information", seed, 40)).filter(({ instruction }) =>
    instruction.includes("what the cheapest direct flight"),
  );
  assert.ok(asked.length > 3);
  for (const { id, instruction } of asked) assert.match(instruction, /with free seats in [a-z ]+ costs\./, id);
});

test("the policy text says what nobody could guess: ask who it is first, and leave strangers' reservations alone", () => {
  assert.match(airline.policy, /Whatever the customer wants, first ask for the user id and look at the profile\./);
  assert.match(airline.policy, /A reservation of another customer is not changed for them\./);
});

test("the cheapest flight is the cheapest", () => {
  let seen = 0;
  for (const { instruction, actions, database } of SEEDS.flatMap((seed) => tasksOf("flights", seed, 40))) {
    if (!instruction.includes("taking the cheapest direct flight that has seats")) continue;
    const { reservation_id, flights, cabin } = JSON.parse(actions[0].arguments);
    const tables = makeTables(database);
    const { flights: held, passengers } = tables.reservations[reservation_id];
    const isNew = (each: { flight_number: string; date: string }) =>
      !held.some(({ flight_number, date }) => flight_number === each.flight_number && date === each.date);
    const [taken, ...rest] = flights.filter(isNew);
    assert.equal(rest, []);
    const { origin, destination } = tables.flights[taken.flight_number];
    const prices = Object.values(tables.flights)
      .filter((flight) => flight.origin === origin && flight.destination === destination)
      .map(({ dates }) => dates[taken.date])
      .filter(({ available_seats }) => available_seats && available_seats[cabin as "economy"] >= passengers.length)
      .map(({ prices }) => prices![cabin as "economy"]);
    assert.is(tables.flights[taken.flight_number].dates[taken.date].prices![cabin as "economy"], Math.min(...prices));
    seen++;
  }
  assert.ok(seen > 3);
});

test("the expert's habits are the mistakes that they are named for", async () => {
  const active = SEEDS.flatMap((seed) =>
    ["book", "flights", "bags", "passengers", "certificate"].flatMap((family) => tasksOf(family, seed, 2)),
  );
  const played = async (habit: Partial<Habits>, tasks: readonly Task[]) => {
    const talks = tasks.map((task) => playTalk(airline, task, airline.expert!(task, { ...oracle, ...habit }, 1)));
    return (await Promise.all(talks)).map(({ outcome }) => outcome.success);
  };
  assert.ok((await played({ wrongChoice: 1 }, active)).every((success) => success === 0));
  assert.ok((await played({ recovers: 1 }, active)).every((success) => success === 1));
  assert.ok((await played({ skipsConfirmation: 1 }, active)).every((success) => success === 1));
  const refused = SEEDS.flatMap((seed) => [...tasksOf("refuse", seed, 4), ...tasksOf("fallback", seed, 4)]);
  const ignored = await played({ ignoresRules: 1 }, refused);
  assert.ok(ignored.every((success) => success === 0));
});

test("doing nothing passes nothing; always refusing or handing over passes less than .15 of the default mix", async () => {
  const tasks = sampleTasks(airline, mix(airline, [], 0.15), trainDatabases(10), 100, "lazy");
  const rate = async (agent: (task: Task) => Agent) => {
    const talks = await Promise.all(tasks.map((task) => playTalk(airline, task, agent(task))));
    return talks.reduce((sum, { outcome }) => sum + outcome.success, 0) / tasks.length;
  };
  const handover = call("transfer_to_human_agents", { summary: "help" });
  assert.is(await rate(() => always(say("Is there anything else?"))), 0);
  assert.is(await rate(() => always(say("I am sorry, I cannot do that."))), 0);
  assert.is(await rate(() => always(handover)), 0);
  const after =
    (last: ReturnType<typeof say>) =>
    ({ customer }: Task) => {
      let looked = false;
      return () => {
        if (looked) return last;
        looked = true;
        return call("get_user_details", { user_id: customer });
      };
    };
  assert.ok((await rate(after(handover))) < 0.15);
  assert.ok((await rate(after(say("I am sorry, I cannot do that.")))) < 0.15);
});

test("messages are heard as a customer would", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["May I have your user id?", ["user_id"]],
    ["Could you please give me your user ID and the reservation ID?", ["user_id", "reservation"]],
    ["Which reservation is it?", ["reservation"]],
    ["What is the reason for the cancellation?", ["reason"]],
    ["Which flights would you like?", ["option"]],
    ["Which flight do you prefer?", ["option"]],
    ["Please tell me the names and dates of birth of the passengers.", ["passengers"]],
    ["How many checked bags will there be?", ["bags"]],
    ["Would you like travel insurance?", ["insurance"]],
    ["Which payment method should be used?", ["payment"]],
    ["How would you like to pay for it?", ["payment"]],
    ["I am going to cancel reservation QX12345. Shall I go ahead (yes or no)?", []],
    ["You have two checked bags.", []],
  ];
  for (const [message, slots] of cases) assert.equal(asks(message), slots, message);
});

test("a write needs a known customer, their own reservation, a look at it and a yes", () => {
  const step = readCall(airline, { name: "cancel_reservation", arguments: '{"reservation_id": "NEW"}' });
  const gift = readCall(airline, { name: "send_certificate", arguments: '{"user_id": "ann", "amount": 200}' });
  const store = new Store(DATABASE);
  const tool = (name: string, args: object, failed = false): Entry => {
    const call = { name, arguments: parseObject(JSON.stringify(args)) };
    return { role: "tool", turn: 0, call, observation: "", failed, wrote: false };
  };
  const talk: Entry[] = [{ role: "user", text: "Cancel my trip." }];
  const now = (of = step) => violates(of, store, talk);
  assert.is(now(), "the customer was not identified");
  talk.push(tool("get_user_details", { user_id: "nobody" }, true));
  assert.is(now(), "the customer was not identified");
  assert.is(
    violates(step, store, [...talk, tool("get_user_details", { user_id: "bob" })]),
    "it concerns another customer",
  );
  talk.push(tool("get_user_details", { user_id: "ann" }));
  assert.is(now(), "the reservation was not looked at");
  assert.is(now(gift), "the reservation was not looked at");
  talk.push(tool("get_reservation_details", { reservation_id: "NEW" }));
  assert.is(now(), "the customer has not said yes to it");
  talk.push({ role: "agent", turn: 1, text: "Shall I cancel it?" }, { role: "user", text: "No, wait." });
  assert.is(now(), "the customer has not said yes to it");
  talk.push({ role: "agent", turn: 2, text: "Shall I cancel it?" }, { role: "user", text: "Yes." });
  assert.is(now(), null);
  assert.is(now(gift), null);
  assert.is(violates({ name: "think", arguments: new Map() as Dict }, store, []), null);
  step.arguments.set("reservation_id", ["odd"]);
  assert.is(now(), null); // the tool answers it
});

test.run();
