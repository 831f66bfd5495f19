// Retail's database generator: tau-bench's schema filled with the project's own people, products and ids. The same seed
// and sizes give the same bytes. Ids have fewer digits than tau-bench's, so that none can be one of them.
//
// Distributions: each product has 8 to 12 variants, of which 70% are available, prices even over the product's range;
// each user has 1 to 3 payment methods (60% of users a gift card of 10 to 800 dollars, 60% PayPal, 60% a credit card,
// 15% a second one); orders hold 1 to 5 products, 15% of them one of these in two variants, go to the user's address in
// 80% of cases, are pending (42%), delivered (38%), processed (10%) or cancelled (10%); every user has an order as long as
// there are as many orders as users.

import { Random } from "../../random.ts";
import type { Database } from "../../types.ts";
import { type Address, drawIds, FIRST_NAMES, LAST_NAMES, makeAddress } from "../making/people.ts";
import * as tables from "../making/tables.ts";
import { round2 } from "../python.ts";
import { CATALOGUE, type Catalogued } from "./words.ts";

export interface Sizes {
  readonly users: number;
  readonly orders: number;
  /** At most the catalogue's 30. */
  readonly products: number;
}

export const defaultSizes: Sizes = { users: 60, orders: 120, products: 20 };

export type Method = { readonly id: string } & (
  | { readonly source: "gift_card"; readonly balance: number }
  | { readonly source: "paypal" }
  | { readonly source: "credit_card"; readonly brand: string; readonly last_four: string }
);

export interface User {
  readonly name: { readonly first_name: string; readonly last_name: string };
  readonly address: Address;
  readonly email: string;
  readonly payment_methods: { readonly [id: string]: Method };
  readonly orders: string[];
}

export interface Variant {
  readonly item_id: string;
  readonly options: { readonly [option: string]: string };
  readonly available: boolean;
  readonly price: number;
}

export interface Product {
  readonly name: string;
  readonly product_id: string;
  readonly variants: { readonly [itemId: string]: Variant };
}

export interface Item extends Pick<Variant, "item_id" | "price" | "options"> {
  readonly name: string;
  readonly product_id: string;
}

export type Status = "pending" | "processed" | "delivered" | "cancelled";

export interface Order {
  readonly order_id: string;
  readonly user_id: string;
  readonly address: Address;
  readonly items: readonly Item[];
  readonly fulfillments: readonly { readonly tracking_id: readonly string[]; readonly item_ids: readonly string[] }[];
  readonly status: Status;
  readonly payment_history: readonly {
    readonly transaction_type: "payment" | "refund";
    readonly amount: number;
    readonly payment_method_id: string;
  }[];
}

/** The three tables as plain objects, which is how tasks are made from them. */
export interface Tables {
  readonly users: { readonly [id: string]: User };
  readonly orders: { readonly [id: string]: Order };
  readonly products: { readonly [id: string]: Product };
}

export function makeTables(seed: number, sizes: Sizes = defaultSizes): Tables {
  if (sizes.products < 1 || sizes.products > CATALOGUE.length)
    throw new RangeError(`products: ${sizes.products}, expected 1 to ${CATALOGUE.length}`);
  const random = new Random("retail", seed);
  const newId = drawIds(random);
  const catalogue = random.shuffle(CATALOGUE).slice(0, sizes.products);
  const products = catalogue.map((product) => makeProduct(product, newId, random));
  const users = Array.from({ length: sizes.users }, () => makeUser(newId, random));
  const orders = Array.from({ length: sizes.orders }, (_, i) => {
    const [id, user] = i < users.length ? users[i] : random.pick(users);
    const order = makeOrder(id, user, products, newId, random);
    user.orders.push(order.order_id);
    return order;
  });
  return {
    users: Object.fromEntries(users),
    orders: Object.fromEntries(orders.map((order) => [order.order_id, order])),
    products: Object.fromEntries(products.map((product) => [product.product_id, product])),
  };
}

/** The tables as tau-bench's tools know them: every number is a float. */
export function toDatabase({ orders, products, users }: Tables): Database {
  return tables.toDatabase({ orders, products, users }, (number) => number);
}

type NewId = ReturnType<typeof drawIds>;

function makeProduct({ name, price: [low, high], options }: Catalogued, newId: NewId, random: Random): Product {
  let combinations: { [option: string]: string }[] = [{}];
  for (const [option, values] of Object.entries(options))
    combinations = combinations.flatMap((chosen) => values.map((value) => ({ ...chosen, [option]: value })));
  const chosen = random.shuffle(combinations).slice(0, 8 + random.int(5));
  const variants = chosen.map((options) => {
    const item_id = newId("", 9);
    const price = round2(low + (high - low) * random.float());
    return [item_id, { item_id, options, available: random.chance(0.7), price }] as const;
  });
  return { name, product_id: newId("", 8), variants: Object.fromEntries(variants) };
}

function makeUser(newId: NewId, random: Random): [id: string, user: User] {
  const [first_name, last_name] = [random.pick(FIRST_NAMES), random.pick(LAST_NAMES)];
  const login = `${first_name}_${last_name}`.toLowerCase();
  const methods = makeMethods(newId, random);
  return [
    newId(`${login}_`, 3),
    {
      name: { first_name, last_name },
      address: makeAddress(random),
      email: `${newId(`${login.replace("_", ".")}`, 2)}@mail.example`,
      payment_methods: Object.fromEntries(methods.map((method) => [method.id, method])),
      orders: [],
    },
  ];
}

function makeMethods(newId: NewId, random: Random): Method[] {
  const methods: Method[] = [];
  const card = (): Method => ({
    source: "credit_card",
    brand: random.pick(["visa", "mastercard"]),
    last_four: String(1000 + random.int(9000)),
    id: newId("credit_card_", 6),
  });
  if (random.chance(0.6)) methods.push(card());
  if (random.chance(0.15)) methods.push(card());
  if (random.chance(0.6)) methods.push({ source: "paypal", id: newId("paypal_", 6) });
  if (random.chance(0.6) || methods.length === 0)
    methods.push({ source: "gift_card", balance: round2(10 + 790 * random.float()), id: newId("gift_card_", 6) });
  return random.shuffle(methods).slice(0, 3);
}

function makeOrder(user_id: string, user: User, products: readonly Product[], newId: NewId, random: Random): Order {
  const item = ({ name, product_id }: Product, { item_id, price, options }: Variant): Item => {
    return { name, product_id, item_id, price, options };
  };
  const bought = random.shuffle(products).slice(0, 1 + random.int(5));
  const items = bought.flatMap((product, i) => {
    const twice = i === 0 && random.chance(0.15);
    const variants = random.shuffle(Object.values(product.variants)).slice(0, twice ? 2 : 1);
    return variants.map((variant) => item(product, variant));
  });
  const draw = random.float();
  const status: Status = draw < 0.42 ? "pending" : draw < 0.8 ? "delivered" : draw < 0.9 ? "processed" : "cancelled";
  const amount = round2(items.reduce((sum, { price }) => sum + price, 0));
  const payment = {
    transaction_type: "payment",
    amount,
    payment_method_id: random.pick(Object.keys(user.payment_methods)),
  } as const;
  const item_ids = items.map(({ item_id }) => item_id);
  return {
    order_id: newId("#R", 6),
    user_id,
    address: random.chance(0.8) ? user.address : makeAddress(random),
    items,
    fulfillments: status === "delivered" || status === "processed" ? [{ tracking_id: [newId("", 11)], item_ids }] : [],
    status,
    payment_history: status === "cancelled" ? [payment, { ...payment, transaction_type: "refund" }] : [payment],
  };
}
