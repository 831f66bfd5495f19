// tau2-bench's two databases as typed records, and reading them from a user's file. Records keep their fields in the
// model's order, absent ones as None, since that is how an agent sees them. Test: test/unit/tau2.test.ts

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../errors.ts";
import type { Database } from "../../types.ts";
import { dumps, parse, type Value } from "../python.ts";
import {
  bool,
  dictOf,
  type Field,
  float,
  int,
  listOf,
  literal,
  type Model,
  model,
  one,
  optional,
  type Problem,
  str,
  tagged,
} from "./model.ts";

export const CABINS = ["business", "economy", "basic_economy"] as const;

const CREDIT_CARD = model("CreditCard", { source: literal("credit_card"), id: str, brand: str, last_four: str });

export const USER_ADDRESS = model("UserAddress", {
  address1: str,
  address2: str,
  city: str,
  country: str,
  state: str,
  zip: str,
});

export const ORDER_PAYMENT = model("OrderPayment", {
  transaction_type: literal("payment", "refund"),
  amount: float,
  payment_method_id: str,
});

const VARIANT = model("Variant", { item_id: str, options: dictOf(str), available: bool, price: float });

const RETAIL: Readonly<Record<string, Model>> = {
  products: model("Product", { name: str, product_id: str, variants: dictOf(one(VARIANT)) }),
  users: model("User", {
    user_id: str,
    name: one(model("UserName", { first_name: str, last_name: str })),
    address: one(USER_ADDRESS),
    email: str,
    payment_methods: dictOf(
      tagged("source", {
        credit_card: CREDIT_CARD,
        gift_card: model("GiftCard", { source: literal("gift_card"), id: str, balance: float }),
        paypal: model("Paypal", { source: literal("paypal"), id: str }),
      }),
    ),
    orders: listOf(str),
  }),
  orders: model(
    "Order",
    {
      order_id: str,
      user_id: str,
      address: one(USER_ADDRESS),
      items: listOf(
        one(model("OrderItem", { name: str, product_id: str, item_id: str, price: float, options: dictOf(str) })),
      ),
      status: literal(
        "processed",
        "pending",
        "pending (item modified)",
        "delivered",
        "cancelled",
        "exchange requested",
        "return requested",
      ),
      fulfillments: listOf(one(model("OrderFullfilment", { tracking_id: listOf(str), item_ids: listOf(str) }))),
      payment_history: listOf(one(ORDER_PAYMENT)),
      cancel_reason: optional(literal("no longer needed", "ordered by mistake")),
      exchange_items: optional(listOf(str)),
      exchange_new_items: optional(listOf(str)),
      exchange_payment_method_id: optional(str),
      exchange_price_difference: optional(float),
      return_items: optional(listOf(str)),
      return_payment_method_id: optional(str),
    },
    "cancel_reason",
    "exchange_items",
    "exchange_new_items",
    "exchange_payment_method_id",
    "exchange_price_difference",
    "return_items",
    "return_payment_method_id",
  ),
};

export const PASSENGER = model("Passenger", { first_name: str, last_name: str, dob: str });
export const PAYMENT = model("Payment", { payment_id: str, amount: int });
export const FLIGHT_INFO = model("FlightInfo", { flight_number: str, date: str });
export const CERTIFICATE = model("Certificate", { source: literal("certificate"), id: str, amount: float });

export const RESERVATION = model(
  "Reservation",
  {
    reservation_id: str,
    user_id: str,
    origin: str,
    destination: str,
    flight_type: literal("round_trip", "one_way"),
    cabin: literal(...CABINS),
    flights: listOf(
      one(model("ReservationFlight", { flight_number: str, origin: str, destination: str, date: str, price: int })),
    ),
    passengers: listOf(one(PASSENGER)),
    payment_history: listOf(one(PAYMENT)),
    created_at: str,
    total_baggages: int,
    nonfree_baggages: int,
    insurance: literal("yes", "no"),
    status: optional(literal("cancelled")),
  },
  "status",
);

/** On its way or over: a status and two times. */
function moving(status: string, departure: string, arrival: string): Model {
  return model("FlightDateStatus", {
    status: literal(status),
    [`${departure}_departure_time_est`]: str,
    [`${arrival}_arrival_time_est`]: str,
  });
}

const perCabin: Field = (value, at, problems) => {
  if (value instanceof Map) for (const key of value.keys()) literal(...CABINS)(key, [...at, key], problems);
  return dictOf(int)(value, at, problems);
};

const FLIGHT_DATE = tagged("status", {
  available: model("FlightDateStatusAvailable", {
    status: literal("available"),
    available_seats: perCabin,
    prices: perCabin,
  }),
  landed: moving("landed", "actual", "actual"),
  cancelled: model("FlightDateStatusCancelled", { status: literal("cancelled") }),
  delayed: moving("delayed", "estimated", "estimated"),
  flying: moving("flying", "actual", "estimated"),
  "on time": moving("on time", "estimated", "estimated"),
});

const AIRLINE: Readonly<Record<string, Model>> = {
  flights: model("Flight", {
    flight_number: str,
    origin: str,
    destination: str,
    scheduled_departure_time_est: str,
    scheduled_arrival_time_est: str,
    dates: dictOf(FLIGHT_DATE),
  }),
  users: model("User", {
    user_id: str,
    name: one(model("Name", { first_name: str, last_name: str })),
    address: one(
      model(
        "Address",
        { address1: str, address2: optional(str), city: str, country: str, state: str, zip: str },
        "address2",
      ),
    ),
    email: str,
    dob: str,
    payment_methods: dictOf(
      tagged("source", {
        credit_card: CREDIT_CARD,
        gift_card: model("GiftCard", { source: literal("gift_card"), id: str, amount: float }),
        certificate: CERTIFICATE,
      }),
    ),
    saved_passengers: listOf(one(PASSENGER)),
    membership: literal("gold", "silver", "regular"),
    reservations: listOf(str),
  }),
  reservations: RESERVATION,
};

const MODELS = { retail: RETAIL, airline: AIRLINE } as const;

export type Tau2Domain = keyof typeof MODELS;

/** A user's database: a `db.json`, or the folder that it lies in. */
export function readDatabase(domain: Tau2Domain, path: string): Database {
  let file = path;
  let text: string;
  try {
    if (statSync(path).isDirectory()) file = join(path, "db.json");
    text = readFileSync(file, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(`${file}: ${code === "ENOENT" ? "no such file, expected tau2-bench's data" : message}`);
  }
  try {
    return typed(domain, parse(text), file);
  } catch (error) {
    throw error instanceof SyntaxError ? new UsageError(`${file}: ${error.message}`) : error;
  }
}

/** Tables of plain rows as typed records; throws a UsageError that names the first value that does not fit. */
export function typed(domain: Tau2Domain, data: Value, file: string): Database {
  const models = MODELS[domain];
  if (!(data instanceof Map)) throw new UsageError(`${file}: expected one JSON object with ${listed(models)}`);
  const strange = [...data.keys()].find((table) => !Object.hasOwn(models, table));
  if (strange !== undefined) throw new UsageError(`${file}: table ${strange}, expected ${listed(models)}`);
  return new Map(
    Object.entries(models).map(([table, model]) => {
      const rows = data.get(table);
      if (rows === undefined) throw new UsageError(`${file}: no table ${table}, expected ${listed(models)}`);
      const problems: Problem[] = [];
      const read = dictOf(one(model))(rows, [table], problems);
      if (problems.length > 0) throw new UsageError(`${file}: ${described(problems[0])}`);
      return [table, read as Map<string, unknown>];
    }),
  );
}

function listed(models: object): string {
  return Object.keys(models).join(", ");
}

function described({ at, message, kind, input }: Problem): string {
  const text = dumps(input);
  const got = kind === "missing" ? "" : `, got ${text.length > 60 ? `${text.slice(0, 60)}...` : text}`;
  return `${at.join(".")}: ${message}${got}`;
}
