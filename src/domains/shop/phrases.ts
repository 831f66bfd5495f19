// What the shop's agent says: the sentences of the expert, which are also the contexts of the drills (drills.ts).
// Each id stands right behind the word that it belongs to, and in the order of the arguments of the call that follows,
// so that writing an id is one look-up and the call only copies. Customers' words are repeated as they were.

import type { Item, Status, Wish } from "./world.ts";

/** Ids that are looked up before a wish can be put in a sentence. */
export interface Found {
  readonly order: string;
  readonly item: Item;
  readonly payment: string;
  readonly payment_id: string;
  readonly option: string;
  readonly new_item_id: string;
}

/** A choice among phrasings, for instance `Random.pick`. */
export type Choose = (list: readonly string[]) => string;

export const ask = {
  email: (pick: Choose) => pick(["What is your email?", "Please tell me your email.", "Which email do you use?"]),
  payment: (pick: Choose) => pick(["To which payment?", "Please tell me to which payment."]),
  refund: (pick: Choose) => pick(["The refund to which payment?", "Please tell me to which payment."]),
  option: (pick: Choose) => pick(["For one in which option?", "Please tell me which option."]),
};

/** The look-ups of an order by its items, and of a product, said aloud before the call. */
export const nextOrder = (item: string, order: string, next: string) =>
  `No ${item} in order ${order}, next order ${next}.`;
export const product = ({ name, product_id }: Pick<Item, "name" | "product_id">) => `Product ${name} ${product_id}.`;

/** The change in words: in which order (where the rest does not name it), and what. */
export function change(kind: Wish["kind"], found: Found): { readonly where: string; readonly what: string } {
  const { order, item, payment, payment_id, option, new_item_id } = found;
  const where = `in order ${order}, `;
  switch (kind) {
    case "cancel":
      return { where: "", what: `cancel order ${order}` };
    case "payment":
      return { where: "", what: `change the payment of order ${order} to ${payment} ${payment_id}` };
    case "return":
      return { where, what: `return the ${item.name} ${item.item_id} with the refund to ${payment} ${payment_id}` };
    case "exchange":
      return { where, what: `exchange the ${item.name} ${item.item_id} for one in ${option} ${new_item_id}` };
  }
}

export function confirm(choose: Choose, kind: Wish["kind"], found: Found): string {
  const { where, what } = change(kind, found);
  return `${where}${choose(["shall I", "should I", "may I"])} ${what}?`;
}

/** Starts a message: the first letter is a capital one. */
export const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

export function done(kind: Wish["kind"], { order, item }: Pick<Found, "order" | "item">): string {
  switch (kind) {
    case "cancel":
      return `Done, order ${order} is cancelled.`;
    case "payment":
      return `Done, the payment of order ${order} is changed.`;
    case "return":
      return `Done, the ${item.name} is returned.`;
    case "exchange":
      return `Done, the ${item.name} is exchanged.`;
  }
}

export function refuse(
  pick: Choose,
  kind: Wish["kind"],
  status: Status,
  { order, item }: Pick<Found, "order" | "item">,
): string {
  const what: Record<Wish["kind"], string> = {
    cancel: "cancel it",
    payment: "change the payment",
    return: `return the ${item.name}`,
    exchange: `exchange the ${item.name}`,
  };
  return `${pick(["Sorry,", "I am sorry,"])} order ${order} is ${status}, so I cannot ${what[kind]}.`;
}
