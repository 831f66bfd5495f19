// What the agent is told about the retail tools: names, descriptions and JSON schemas, in the order of the arguments.
// The behaviour is in reads.ts and writes.ts.

import { choice, list, type Schema, SHARED, schema, string } from "../python.ts";

const ORDER = string("Id of the order. It starts with '#'.");
const ITEM = { type: "string" };
const PAYMENT = string("Id of one of the customer's payment methods, as the profile lists them.");
const ADDRESS = {
  address1: string("Street and number."),
  address2: string("Flat, suite or floor; empty when there is none."),
  city: string("City."),
  state: string("State, two letters."),
  country: string("Country."),
  zip: string("Postal code."),
};

export const SCHEMAS = {
  calculate: SHARED.calculate,
  cancel_pending_order: schema(
    "Cancels an order that is still pending and refunds every payment: a gift card at once, anything else within a week. Tell the customer what will happen and get a clear yes first. Returns the order.",
    { order_id: ORDER, reason: choice("Why the order is cancelled.", ["no longer needed", "ordered by mistake"]) },
  ),
  exchange_delivered_order_items: schema(
    "Asks for items of a delivered order to be exchanged for other variants of the same products. Only one exchange or return per order: gather every item first, tell the customer what will happen and get a clear yes. Returns the order.",
    {
      order_id: ORDER,
      item_ids: list(ITEM, "Ids of the items to send back; an id may be listed as often as the order holds it."),
      new_item_ids: list(ITEM, "Ids of the items wanted instead, in the same order."),
      payment_method_id: PAYMENT,
    },
  ),
  find_user_id_by_email: schema("Finds a customer's user id by e-mail address.", {
    email: string("E-mail address of the account."),
  }),
  find_user_id_by_name_zip: schema(
    "Finds a customer's user id by name and postal code. For customers who cannot be found by e-mail.",
    {
      first_name: string("First name."),
      last_name: string("Last name."),
      zip: string("Postal code of the profile's address."),
    },
  ),
  get_order_details: schema("Shows an order: status, items, address, payments.", { order_id: ORDER }),
  get_product_details: schema("Shows a product: its variants with their options, prices and availability.", {
    product_id: string("Id of the product, which is not the id of an item."),
  }),
  get_user_details: schema("Shows a customer's profile: address, payment methods, orders.", {
    user_id: string("Id of the customer."),
  }),
  list_all_product_types: schema("Lists the name and product id of every product in the shop.", {}),
  modify_pending_order_address: schema(
    "Changes where a pending order is sent. Tell the customer what will happen and get a clear yes first. Returns the order.",
    { order_id: ORDER, ...ADDRESS },
  ),
  modify_pending_order_items: schema(
    "Changes items of a pending order to other variants of the same products. Works once per order, which can then no longer be changed or cancelled: gather every item first, tell the customer what will happen and get a clear yes. Returns the order.",
    {
      order_id: ORDER,
      item_ids: list(ITEM, "Ids of the items to replace; an id may be listed as often as the order holds it."),
      new_item_ids: list(ITEM, "Ids of the items wanted instead, in the same order."),
      payment_method_id: PAYMENT,
    },
  ),
  modify_pending_order_payment: schema(
    "Charges a pending order to another payment method and refunds the one used before. Tell the customer what will happen and get a clear yes first. Returns the order.",
    { order_id: ORDER, payment_method_id: PAYMENT },
  ),
  modify_user_address: schema(
    "Changes the address of a customer's profile. Tell the customer what will happen and get a clear yes first. Returns the profile.",
    { user_id: string("Id of the customer."), ...ADDRESS },
  ),
  return_delivered_order_items: schema(
    "Asks for items of a delivered order to be returned. Only one exchange or return per order. Tell the customer what will happen and get a clear yes first. Returns the order.",
    {
      order_id: ORDER,
      item_ids: list(ITEM, "Ids of the items to send back; an id may be listed as often as the order holds it."),
      payment_method_id: PAYMENT,
    },
  ),
  think: SHARED.think,
  transfer_to_human_agents: SHARED.transfer_to_human_agents,
} satisfies Readonly<Record<string, Schema>>;
