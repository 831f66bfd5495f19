// What the agent is told about the airline tools: names, descriptions and JSON schemas, in the order of the arguments.
// The behaviour is in reads.ts and writes.ts.

import { choice, integer, list, number, object, type Schema, SHARED, schema, string } from "../python.ts";

const RESERVATION = string("Id of the reservation, six letters and digits.");
const USER = string("Id of the customer.");
const PAYMENT = string("Id of a gift card or credit card of the customer, as the profile lists them.");
const CABIN = choice("The cabin, one for all flights.", ["basic_economy", "economy", "business"]);
const ROUTE = {
  origin: string("Airport of departure, three letters."),
  destination: string("Airport of arrival, three letters."),
};
const FLIGHT = object({
  flight_number: string("Number of the flight."),
  date: string("Day of departure as year-month-day, 2024-05-20."),
});
const PASSENGERS = list(
  object({
    first_name: string("First name."),
    last_name: string("Last name."),
    dob: string("Date of birth as year-month-day, 1985-02-28."),
  }),
  "The passengers.",
);

export const SCHEMAS = {
  book_reservation: schema(
    "Books a trip and charges it. Tell the customer every detail and get a clear yes first. Returns the reservation.",
    {
      user_id: USER,
      ...ROUTE,
      flight_type: choice("One way, or there and back.", ["one_way", "round_trip"]),
      cabin: CABIN,
      flights: list(FLIGHT, "Every flight of the trip, in the order of travel."),
      passengers: PASSENGERS,
      payment_methods: list(
        object({
          payment_id: string("Id of one of the customer's payment methods, as the profile lists them."),
          amount: number("What this method pays, in dollars."),
        }),
        "How the total is paid: fares of all passengers, insurance and bags that are not free.",
      ),
      total_baggages: integer("Checked bags of all passengers together."),
      nonfree_baggages: integer("How many of them are beyond the free allowance."),
      insurance: choice("Whether travel insurance is bought for every passenger.", ["yes", "no"]),
    },
  ),
  calculate: SHARED.calculate,
  cancel_reservation: schema(
    "Cancels a whole reservation and refunds it. Does not check whether it may be cancelled. Tell the customer what will happen and get a clear yes first. Returns the reservation.",
    { reservation_id: RESERVATION },
  ),
  get_reservation_details: schema(
    "Shows a reservation: flights, cabin, passengers, bags, insurance, payments, when it was made.",
    { reservation_id: RESERVATION },
  ),
  get_user_details: schema("Shows a customer's profile: membership, payment methods, reservations.", { user_id: USER }),
  list_all_airports: schema("Lists the code and city of every airport.", {}),
  search_direct_flight: schema(
    "Finds the flights from one airport to another on a day that can still be booked, with seats and prices.",
    { ...ROUTE, date: string("Day of departure as year-month-day, 2024-05-20.") },
  ),
  search_onestop_flight: schema(
    "Finds the pairs of connecting flights from one airport to another on a day that can still be booked, with seats and prices.",
    { ...ROUTE, date: string("Day of departure of the first flight as year-month-day, 2024-05-20.") },
  ),
  send_certificate: schema("Gives a customer a travel certificate. Take care: it is worth money.", {
    user_id: USER,
    amount: number("What it is worth, in dollars."),
  }),
  think: SHARED.think,
  transfer_to_human_agents: SHARED.transfer_to_human_agents,
  update_reservation_baggages: schema(
    "Sets how many checked bags a reservation has and charges those that are not free. Tell the customer what will happen and get a clear yes first. Returns the reservation.",
    {
      reservation_id: RESERVATION,
      total_baggages: integer("Checked bags of all passengers together, from now on."),
      nonfree_baggages: integer("How many of them are beyond the free allowance."),
      payment_id: PAYMENT,
    },
  ),
  update_reservation_flights: schema(
    "Changes the flights or the cabin of a reservation and charges or refunds the difference. Does not check whether they may be changed. Tell the customer what will happen and get a clear yes first. Returns the reservation.",
    {
      reservation_id: RESERVATION,
      cabin: CABIN,
      flights: list(FLIGHT, "Every flight of the reservation as it is to be, those that stay included."),
      payment_id: PAYMENT,
    },
  ),
  update_reservation_passengers: schema(
    "Replaces the passengers of a reservation by as many others. Tell the customer what will happen and get a clear yes first. Returns the reservation.",
    { reservation_id: RESERVATION, passengers: PASSENGERS },
  ),
} satisfies Readonly<Record<string, Schema>>;
