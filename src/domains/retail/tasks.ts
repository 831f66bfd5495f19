// Puts retail's plans into words: what the customer says first, answers when asked, and falls back on; and the same as
// prose for a reader. Half of the customers leave out each detail until they are asked for it.

import { Random } from "../../random.ts";
import type { Scenario, Task, WrittenCall } from "../../types.ts";
import type { User } from "./data.ts";
import { type Action, type Errand, list } from "./errands.ts";
import { FAMILIES, type Family, type Plan, plansOf, world } from "./plans.ts";

/** Rates of what the opening leaves out. */
const HIDES_NAME = 0.6;
const HIDES_DETAIL = 0.5;

const MOODS = ["in a hurry", "friendly", "a little impatient", "precise", "chatty", "reserved", "cheerful", "worried"];

export function makeTask(family: string, seed: number, index: number): Task | null {
  const plan = FAMILIES.includes(family as Family) ? plansOf(family as Family, seed)[index] : undefined;
  if (!plan) return null;
  const random = new Random("retail task", seed, family, index);
  const user = world(seed).tables.users[plan.userId];
  return {
    id: `retail/${seed}/${family}/${index}`,
    domain: "retail",
    family,
    database: seed,
    instruction: instruct(plan, user, random),
    scenario: speak(plan, user, random),
    actions: plan.actions.map(written),
    outputs: plan.outputs,
  };
}

function written({ name, arguments: args }: Action): WrittenCall {
  return { name, arguments: JSON.stringify(args) };
}

function speak({ errands }: Plan, { name, address, email }: User, random: Random): Scenario {
  const facts: { [slot: string]: string } = {
    email: random.pick([`It is ${email}.`, `My e-mail address is ${email}.`]),
    name: `I am ${name.first_name} ${name.last_name}, and my zip code is ${address.zip}.`,
  };
  const given: string[] = [];
  const introduction = random.chance(HIDES_NAME) ? null : random.pick(["email", "name"]);
  if (introduction) given.push(introduction);

  const wants = errands.map((errand) => {
    // With several errands an answer has to say which one it belongs to.
    const topic = errands.length > 1 ? `To ${errand.want}: ` : "";
    const add = (slot: string, answer: string) =>
      (facts[slot] = `${facts[slot] ? `${facts[slot]} ` : ""}${topic}${answer}`);
    for (const [slot, answer] of Object.entries(errand.facts)) {
      add(slot, answer);
      given.push(slot);
    }
    const said = Object.entries(errand.details).flatMap(([slot, detail]) => {
      add(slot, detail.answer);
      if (errands.length === 1 && random.chance(HIDES_DETAIL)) return [];
      given.push(slot);
      return [detail.said];
    });
    return [errand.want, ...said].join(", ");
  });
  const request = `${random.pick(["I would like to", "I want to", "I need to"])} ${wants.join(". I would also like to ")}.`;
  const opening = [
    random.pick(["Hello!", "Hi.", "Good day.", "Hi there!"]),
    introduction ? facts[introduction] : "",
    request,
  ];
  return {
    opening: opening.filter(Boolean).join(" "),
    facts,
    given: [...new Set(given)],
    fallback: `I do not know about that. I would like to ${list(errands.map(({ want }) => want))}.`,
  };
}

function instruct({ errands, forbidden }: Plan, { name, address, email }: User, random: Random): string {
  const you = (text: string) => text.replace(/\bmy\b/g, "your").replace(/\bI\b/g, "you");
  const wish = ({ want, details }: Pick<Errand, "want" | "details">) =>
    `You want to ${you([want, ...Object.values(details).map(({ said }) => said)].join(", "))}.`;
  return [
    `You are ${name.first_name} ${name.last_name} from zip code ${address.zip}; your e-mail address is ${email}.`,
    `You are ${random.pick(MOODS)}.`,
    ...errands.map(wish),
    errands.some(({ want }) => /my order with|that I ordered/.test(want))
      ? "You do not remember the order number."
      : "",
    forbidden ? "When you are told that it cannot be done, you accept it and leave everything as it is." : "",
    "You want nothing else.",
  ]
    .filter(Boolean)
    .join(" ");
}
