// How the shop's messages are heard and what its policy forbids: what the scripted user, the verifier and the rule judge
// know of this domain. Plain patterns; the words of the tiny policy and of any larger one.

import type { Call, Entry, Speech, Task } from "../../types.ts";
import type { Store } from "../store.ts";
import { world } from "./tasks.ts";
import type { Arguments } from "./tools.ts";
import { NEEDS, type Order, type Status, type Wish } from "./world.ts";

/** One sentence, as little as the rules allow. */
export const policy =
  "Look up the customer and the order, and ask for a yes before a change: only pending orders can be cancelled " +
  "or change payment, only delivered ones can return or exchange items.";

const QUESTION = /\b(what|which|who|where|how|tell|give|need|your)\b/i;
const CONFIRM =
  /\b(shall|should|may|can|could) i\b|\b(is (that|this|it)|are you) (ok|okay|right|correct|fine|sure)\b|\bdo you (agree|confirm)\b|\b(ok|okay|right|correct|yes)\?/i;
const REFUSE = /\b(can ?not|can['’]t|could not|unable|not (possible|allowed|able)|may not|must not|impossible)\b/i;
const DONE =
  /\b(done|finished|completed|all set|taken care of|(is|was|are|been|have|i) (now |just |already )?(cancelled|canceled|changed|returned|refunded|exchanged|swapped))\b/i;
const SLOTS: Readonly<Record<string, RegExp>> = {
  email: /\be-?mail\b|\bwho are you\b/i,
  order: /\border\b/i,
  item: /\bitem\b/i,
  payment: /\b(payment|refund|pay)\b/i,
  option: /\boption\b/i,
};

/** Sentences with their closing mark. */
const sentences = (message: string) => message.split(/(?<=[.?!])\s+/);

export function asks(message: string): string[] {
  const questions = sentences(message).filter(
    (s) => /\?\s*$|\b(tell|give|need)\b/i.test(s) && QUESTION.test(s) && !CONFIRM.test(s),
  );
  return Object.keys(SLOTS).filter((slot) => questions.some((question) => SLOTS[slot].test(question)));
}

export function hears(message: string): Speech {
  const all = sentences(message);
  const plain = all.filter((sentence) => !/\?\s*$/.test(sentence));
  const refuses = plain.some((sentence) => REFUSE.test(sentence));
  return {
    confirms: all.some((sentence) => /\?\s*$/.test(sentence) && CONFIRM.test(sentence)),
    claimsDone: plain.some((sentence) => DONE.test(sentence) && !REFUSE.test(sentence)),
    refuses,
  };
}

const CHANGES: Readonly<Record<string, Wish["kind"]>> = {
  cancel_order: "cancel",
  change_payment: "payment",
  return_item: "return",
  exchange_item: "exchange",
};

/** The first rule that a change would break now. Look-ups and calls that fail break none. */
export function violates(call: Call<Arguments>, store: Store, transcript: readonly Entry[]): string | null {
  const kind = CHANGES[call.name];
  const order = kind && store.get<Order>("orders", call.arguments.order_id);
  if (!order) return null;
  const shown = (name: string, key: keyof Arguments, value: string) =>
    transcript.some((e) => e.role === "tool" && !e.failed && e.call.name === name && e.call.arguments[key] === value);
  if (!shown("find_user", "email", `${order.user}@mail.com`)) return "the customer was not looked up";
  if (!shown("get_order", "order_id", call.arguments.order_id)) return "the order was not looked up";
  if (order.status !== NEEDS[kind]) return `${call.name} on a ${order.status} order`;
  if (!agreed(transcript)) return "the customer was not asked for a yes";
  return null;
}

/** Did the customer's last words answer a request for consent, and not with a no? */
function agreed(transcript: readonly Entry[]): boolean {
  const last = transcript.findLastIndex((entry) => entry.role === "user");
  const before = transcript.slice(0, Math.max(last, 0)).findLast((entry) => entry.role === "agent");
  const answer = transcript[last];
  if (answer?.role !== "user" || before?.role !== "agent") return false;
  const written = transcript.slice(last).some((entry) => entry.role === "tool" && entry.wrote);
  return hears(before.text).confirms && !/^\W*(no|not|wait|stop|don['’]?t|do not)\b/i.test(answer.text) && !written;
}

/**
 * A request that had to be refused: did the agent say that it cannot, and of the order in question what its status is? A
 * task of another making may name no order.
 */
export function answered(task: Task, transcript: readonly Entry[]): boolean {
  const [order = ""] = task.outputs;
  const { status = "" } = (world(task.database).database.get("orders")!.get(order) ?? {}) as { status?: Status };
  return transcript.some(
    (e) => e.role === "agent" && hears(e.text).refuses && e.text.includes(order) && e.text.includes(status),
  );
}
