// What the agent is told about tau2-bench's tools: names, JSON schemas in the form that pydantic writes them, and
// descriptions in our own words (a checkout's own are read by tasks/tau2-bench.ts). Behaviour: retail.ts, airline.ts.

import type { Json } from "../../types.ts";
import { CABINS } from "./data.ts";
import type { Signature } from "./state.ts";

type Schema = { readonly [key: string]: Json };
type Properties = Readonly<Record<string, Schema>>;

const ORDER = { order_id: text("Id of the order. It starts with '#'.") };
const PAID_WITH = { payment_method_id: text("Id of one of the customer's payment methods.") };
const ADDRESS = {
  address1: text("Street and number."),
  address2: text("Flat, suite or floor; empty when there is none."),
  city: text("City."),
  state: text("State, two letters."),
  country: text("Country."),
  zip: text("Postal code."),
};
const EXPRESSION = { expression: text("Numbers, + - * /, parentheses and spaces; nothing else.") };
const SUMMARY = { summary: text("What the customer wants and what has been done so far.") };
const ITEMS = {
  item_ids: texts("Ids of the items to replace; an id may be listed as often as the order holds it."),
  new_item_ids: texts("Ids of the items wanted instead, in the same order and of the same products."),
};

export const RETAIL: readonly Signature[] = [
  signature("calculate", "Works out an arithmetic expression and rounds the result to two decimals.", EXPRESSION),
  signature(
    "cancel_pending_order",
    "Cancels an order that is still pending and refunds its payments: a gift card at once, anything else within a week. Tell the customer what will happen and get a clear yes first. Returns the order.",
    { ...ORDER, reason: text("Why: 'no longer needed' or 'ordered by mistake'.") },
  ),
  signature(
    "exchange_delivered_order_items",
    "Asks for items of a delivered order to be exchanged for other variants of the same products. Only one exchange or return per order: gather every item first, tell the customer what will happen and get a clear yes. Returns the order.",
    { ...ORDER, ...ITEMS, ...PAID_WITH },
  ),
  signature(
    "find_user_id_by_name_zip",
    "Finds a customer's user id by name and postal code. For customers who cannot be found by e-mail.",
    { first_name: text("First name."), last_name: text("Last name."), zip: text("Postal code of the profile.") },
  ),
  signature("find_user_id_by_email", "Finds a customer's user id by e-mail address.", {
    email: text("E-mail address of the account."),
  }),
  signature("get_order_details", "Shows an order: status, items, address, payments.", ORDER),
  signature("get_product_details", "Shows a product: its variants with their options, prices and availability.", {
    product_id: text("Id of the product, which is not the id of an item."),
  }),
  signature("get_item_details", "Shows one variant of a product: its options, price and availability.", {
    item_id: text("Id of the item, which is not the id of a product."),
  }),
  signature("get_user_details", "Shows a customer's profile: address, payment methods, orders.", {
    user_id: text("Id of the customer."),
  }),
  signature("list_all_product_types", "Lists the name and product id of every product in the shop.", {}),
  signature(
    "modify_pending_order_address",
    "Changes where a pending order is sent. Tell the customer what will happen and get a clear yes first. Returns the order.",
    { ...ORDER, ...ADDRESS },
  ),
  signature(
    "modify_pending_order_items",
    "Changes items of a pending order to other variants of the same products. Works once per order: gather every item first, tell the customer what will happen and get a clear yes. Returns the order.",
    { ...ORDER, ...ITEMS, ...PAID_WITH },
  ),
  signature(
    "modify_pending_order_payment",
    "Charges a pending order to another payment method and refunds the one used before. Tell the customer what will happen and get a clear yes first. Returns the order.",
    { ...ORDER, ...PAID_WITH },
  ),
  signature(
    "modify_user_address",
    "Changes the address of a customer's profile. Tell the customer what will happen and get a clear yes first. Returns the profile.",
    { user_id: text("Id of the customer."), ...ADDRESS },
  ),
  signature(
    "return_delivered_order_items",
    "Asks for items of a delivered order to be returned. Only one exchange or return per order. Tell the customer what will happen and get a clear yes first. Returns the order.",
    {
      ...ORDER,
      item_ids: texts("Ids of the items to return; an id may be listed as often as the order holds it."),
      ...PAID_WITH,
    },
  ),
  signature(
    "transfer_to_human_agents",
    "Hands the customer to a human colleague. Only for requests that none of the tools can serve.",
    SUMMARY,
  ),
];

const RESERVATION = { reservation_id: text("Id of the reservation, six letters and digits.") };
const PAYS = { payment_id: text("Id of one of the customer's payment methods.") };
const CABIN = { cabin: choice("Cabin for the whole reservation.", CABINS) };
const TRIP = { origin: text("IATA code of the first airport."), destination: text("IATA code of the last airport.") };
const DATE = { date: text("Day of departure, YYYY-MM-DD.") };
const FLIGHT = record("FlightInfo", { flight_number: text("Number of the flight."), ...DATE });
const PASSENGER = record("Passenger", {
  first_name: text("First name."),
  last_name: text("Last name."),
  dob: text("Date of birth, YYYY-MM-DD."),
});
const PAYMENT = record("Payment", { ...PAYS, amount: whole("Amount in dollars.") });
const FLIGHTS = { flights: listOf("All flights of the reservation, also those that stay as they are.", FLIGHT) };
const PASSENGERS = { passengers: listOf("All passengers.", PASSENGER) };

export const AIRLINE: readonly Signature[] = [
  signature(
    "book_reservation",
    "Books flights. The payments together have to be the price of flights, insurance and bags. Returns the reservation.",
    {
      user_id: text("Id of the customer."),
      ...TRIP,
      flight_type: choice("One way, or there and back.", ["round_trip", "one_way"]),
      ...CABIN,
      ...FLIGHTS,
      ...PASSENGERS,
      payment_methods: listOf("What is paid with, and how much with each.", PAYMENT),
      total_baggages: whole("Bags of all passengers together."),
      nonfree_baggages: whole("Those of the bags that cost extra."),
      insurance: choice("Whether travel insurance is bought.", ["yes", "no"]),
    },
    FLIGHT,
    PASSENGER,
    PAYMENT,
  ),
  signature("calculate", "Works out an arithmetic expression and rounds the result to two decimals.", EXPRESSION),
  signature("cancel_reservation", "Cancels a whole reservation and refunds its payments. Returns the reservation.", {
    ...RESERVATION,
  }),
  signature("get_reservation_details", "Shows a reservation: flights, passengers, payments, bags.", RESERVATION),
  signature("get_user_details", "Shows a customer's profile: payment methods, saved passengers, reservations.", {
    user_id: text("Id of the customer."),
  }),
  signature("list_all_airports", "Lists the airports: code and city.", {}),
  signature("search_direct_flight", "Finds flights between two airports on a day, with seats and prices by cabin.", {
    ...TRIP,
    ...DATE,
  }),
  signature("search_onestop_flight", "Finds connections of two flights between two airports on a day.", {
    ...TRIP,
    ...DATE,
  }),
  signature("send_certificate", "Gives a customer a certificate, which is money. Be sure that it is due.", {
    user_id: text("Id of the customer."),
    amount: whole("Its worth in dollars."),
  }),
  signature(
    "transfer_to_human_agents",
    "Hands the customer to a human colleague. Only for requests that none of the tools can serve.",
    SUMMARY,
  ),
  signature("update_reservation_baggages", "Changes how many bags a reservation has. Returns the reservation.", {
    ...RESERVATION,
    total_baggages: whole("Bags of all passengers together, from now on."),
    nonfree_baggages: whole("Those of the bags that cost extra, from now on."),
    ...PAYS,
  }),
  signature(
    "update_reservation_flights",
    "Changes flights or cabin of a reservation. Returns the reservation.",
    { ...RESERVATION, ...CABIN, ...FLIGHTS, ...PAYS },
    FLIGHT,
  ),
  signature(
    "update_reservation_passengers",
    "Changes who flies, but not how many. Returns the reservation.",
    { ...RESERVATION, ...PASSENGERS },
    PASSENGER,
  ),
  signature("get_flight_status", "Shows whether a flight can be booked, is on time, late, in the air, landed or off.", {
    flight_number: text("Number of the flight."),
    ...DATE,
  }),
];

interface Named {
  readonly title: string;
  readonly schema: Json;
}

function signature(name: string, description: string, properties: Properties, ...defs: Named[]): Signature {
  const parameters = {
    ...(defs.length > 0 && { $defs: Object.fromEntries(defs.map(({ title, schema }) => [title, schema])) }),
    ...object("parameters", properties),
  };
  return { name, description, names: Object.keys(properties), parameters };
}

/** As pydantic writes it: keys in alphabetical order, `required` where something is. */
function object(title: string, properties: Properties): Schema {
  const required = Object.keys(properties);
  const titled = Object.entries(properties).map(([key, schema]) => [key, sorted({ ...schema, title: titleOf(key) })]);
  return { properties: Object.fromEntries(titled), ...(required.length > 0 && { required }), title, type: "object" };
}

function sorted(schema: Schema): Schema {
  return Object.fromEntries(Object.entries(schema).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function record(title: string, properties: Properties): Named {
  return { title, schema: object(title, properties) };
}

function titleOf(name: string): string {
  return name.replace(/(?:^|_)(.)/g, (all, letter: string) => (all.length > 1 ? " " : "") + letter.toUpperCase());
}

function text(description: string): Schema {
  return { description, type: "string" };
}

function whole(description: string): Schema {
  return { description, type: "integer" };
}

function choice(description: string, values: readonly string[]): Schema {
  return { description, enum: values, type: "string" };
}

function texts(description: string): Schema {
  return { description, items: { type: "string" }, type: "array" };
}

/** A list of records; tau2-bench admits any object beside them. */
function listOf(description: string, { title }: Named): Schema {
  const items = { anyOf: [{ $ref: `#/$defs/${title}` } as Schema, { additionalProperties: true, type: "object" }] };
  return { description, items, type: "array" };
}
