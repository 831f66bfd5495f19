// How an agent's English is heard where a domain has no better way: which facts a message asks for, whether it asks for
// consent, claims or refuses, and whether the customer agreed. Plain patterns, generous on purpose: what an agent may come
// to say in place of working has to be heard as the claim that it is. Slots are the domain's own.
// Test: test/unit/ears.test.ts

import type { Entry, Speech, Task } from "../types.ts";

const DO =
  "go ahead|proceed|continue|do|make|process|submit|cancel|change|update|return|exchange|modify|book|reserve|renew|extend|" +
  "lend|add|remove|refund|issue|place|send|close|open|delete|pay";
const DID =
  "cancelled|canceled|changed|updated|modified|returned|exchanged|requested|booked|renewed|extended|added|removed|refunded|deleted";
/** Done only where the agent did it: "the order was paid with a card" claims nothing. */
const DID_MYSELF = "lent|reserved|placed|paid|issued|closed|sent|made";

const QUESTION = /\?\s*$|\b(please|tell me|let me know|i need|i will need|provide|share)\b/i;
const CONFIRM = new RegExp(
  `\\b(shall|should|may|can|could) i (now )?(${DO})\\b|\\b(do|can|could) you (confirm|agree)\\b|\\bplease confirm\\b|` +
    // Neither "which one would you like me to cancel" nor "would you like me to refund the card or the account".
    "\\b(would you like|do you want) (?<!\\b(what|which|how|when|where)\\b.*)" +
    `((me )?to (go ahead|proceed|continue)|me to (${DO})\\b(?!.*\\bor\\b))\\b|` +
    "\\b(is|are) (that|this|it|these|everything) (ok|okay|right|correct|fine|complete)\\b|" +
    "\\byes\\b ?(\\/|or) ?\\bno\\b|\\b(reply|answer|say)( with)? [\"'“]?yes\\b",
  "i",
);
const REFUSE = new RegExp(
  "\\b(can ?not|can['’]t|could not|couldn['’]t|unable|not (possible|allowed|able|permitted)|may not|must not|impossible|" +
    "not available|(have to|must|i) (refuse|decline)|against (\\w+ ){0,2}(policy|policies|rules?)|no way|" +
    // "I won't change anything until you say yes" is care, not a refusal.
    "(i|we) (won['’]t|will not)(?! need)(?!.*\\b(until|unless|without|before)\\b))\\b",
  "i",
);
const DONE = new RegExp(
  "\\b(done|finished|completed|all set|taken care of|anything else|" +
    `(is|was|are|been|has|have|i|now) (now |just |already |successfully )?(${DID})|` +
    `i( have|['’]ve)? (now |just |already |successfully )?(${DID_MYSELF}))\\b`,
  "i",
);
const FUTURE = new RegExp(`\\b(will|would|to|can|cannot|be|once|after|before|if|when) (be |you )?(${DID})\\b`, "i");
/** "has not been cancelled" claims nothing; whatever else the sentence says still counts. */
const UNDONE = new RegExp(
  `(\\b(not|never)|n['’]t)( yet)?( been| be)? (${DID}|${DID_MYSELF}|done)\\b|` +
    `\\bnothing (is|was|has|has been) (${DID}|${DID_MYSELF}|done)\\b`,
  "gi",
);
/** "Has it been cancelled?" claims nothing; "Is there anything else?" is what one says when all is done. */
const ASKED =
  /^\W*(is|are|was|were|has|have|had|do|does|did|will|would|can|could|shall|should|may)\b(?!.*anything else).*\?\s*$/i;
const NO = /^\W*(no|not|nope|wait|stop|don['’]?t|do not)\b/i;

/** Sentences with their closing mark. */
function sentences(message: string): string[] {
  return message.split(/(?<=[.?!:])\s+|\n+/);
}

/** `Domain.asks` from a pattern for each slot. A request for consent asks for none. */
export function asksFor(slots: Readonly<Record<string, RegExp>>): (message: string) => string[] {
  return (message) => {
    const questions = sentences(message).filter((sentence) => QUESTION.test(sentence) && !CONFIRM.test(sentence));
    return Object.keys(slots).filter((slot) => questions.some((question) => slots[slot].test(question)));
  };
}

/** The pattern of a slot that has none of its own: its name in words, "card_number" and "cardNumber" as "card number". */
export function slotPattern(slot: string): RegExp {
  const escaped = wordsOf(slot).map((word) => word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return new RegExp(`(?<!\\p{L})${escaped.join("[\\s_-]*")}e?s?(?!\\p{L})`, "iu");
}

/** The words of a slot's name. */
export function wordsOf(slot: string): string[] {
  const words = slot.split(/[\s_-]+|(?<=\p{Ll})(?=\p{Lu})/u).filter(Boolean);
  return words.map((word) => word.toLowerCase());
}

/** `Domain.hears`. */
export function hears(message: string): Speech {
  const all = sentences(message);
  const refuses = all.some((sentence) => !/\?\s*$/.test(sentence) && REFUSE.test(sentence));
  return {
    confirms: all.some((sentence) => CONFIRM.test(sentence)),
    claimsDone: all.some(
      (s) => DONE.test(s.replace(UNDONE, "")) && !REFUSE.test(s) && !FUTURE.test(s) && !ASKED.test(s),
    ),
    refuses,
  };
}

/** Is a customer's answer to a request for consent no yes? */
export function declines(answer: string): boolean {
  return NO.test(answer);
}

/** Were the customer's last words no "no" and the agent's words before them a request for consent? */
export function agreed(transcript: readonly Entry[]): boolean {
  const last = transcript.findLastIndex((entry) => entry.role === "user");
  const answer = transcript[last];
  const before = transcript.slice(0, Math.max(last, 0)).findLast((entry) => entry.role === "agent");
  if (answer?.role !== "user" || before?.role !== "agent") return false;
  return hears(before.text).confirms && !declines(answer.text);
}

/** tau-bench's check: the output, lower-cased, is part of some agent message lower-cased without commas. */
export function isSaid(output: string, transcript: readonly Entry[]): boolean {
  const wanted = output.toLowerCase();
  return transcript.some(
    (entry) => entry.role === "agent" && entry.text.toLowerCase().replaceAll(",", "").includes(wanted),
  );
}

/**
 * Was a task without writes won by words, where `information` asks to be told the outputs, `transfer` to be handed over,
 * and every other family to be refused?
 */
export function isServed({ family, outputs }: Task, transcript: readonly Entry[]): boolean {
  if (family === "information") return outputs.every((output) => isSaid(output, transcript));
  if (family === "transfer")
    return transcript.some((entry) => entry.role === "tool" && entry.call.name === "transfer_to_human_agents");
  return transcript.some((entry) => entry.role === "agent" && hears(entry.text).refuses);
}
