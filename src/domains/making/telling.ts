// Puts goals into words: what the customer says first, answers when asked, and falls back on; and the same as prose for a
// reader. Shared by the domains that make tasks from goals; what a goal means is goals.ts, which forms sentences have
// forms.ts.
// Test: test/unit/telling.test.ts

import type { Random } from "../../random.ts";
import type { Scenario, Style, Wording } from "../../types.ts";
import { list } from "../expert.ts";
import { ALSO, FAILING, FORMS, THEN, UNKNOWN } from "./forms.ts";
import type { Detail, Goal } from "./goals.ts";

/** Who the customer is: slots by which they can be found (each a sentence), and the same for a reader. */
export interface Identity {
  readonly slots: { readonly [slot: string]: string };
  /** The slot that is told where one is. */
  readonly first: string;
  /** "You are Ada Holm from zip code 97201; your e-mail address is ...". */
  readonly prose: string;
}

export interface Told {
  readonly instruction: string;
  readonly scenario: Scenario;
}

/** Rates of what the opening leaves out where the wording is neither easy nor hard. */
const HIDES_NAME = 0.6;
const HIDES_DETAIL = 0.5;
/** Rate of names that are told after the wish. */
const NAME_LAST = 0.25;

export function drawWording(random: Random): Wording {
  return { easy: random.chance(0.5), hard: random.chance(0.5) };
}

const PERSONAS: readonly (readonly [style: Style, prose: string])[] = [
  ["plain", "You say what you mean in plain words."],
  ["terse", "You write as little as you can."],
  ["chatty", "You like to chat and add small remarks."],
  ["formal", "You are polite and formal."],
  ["impatient", "You are in a hurry and a little impatient."],
  ["unsure", "You are not used to doing such things online and careful with every step."],
  ["friendly", "You are cheerful and friendly."],
];

/** What a task says of its goals: `wanted` as they are first asked for; one that falls back is told with what follows it. */
export function tell(wanted: readonly Goal[], identity: Identity, wording: Wording, random: Random): Told {
  const [style, manner] = random.pick(PERSONAS);
  return {
    instruction: instruct(wanted, identity, manner),
    scenario: speak(wanted, identity, wording, style, random),
  };
}

function speak(
  wanted: readonly Goal[],
  identity: Identity,
  { easy, hard }: Wording,
  style: Style,
  random: Random,
): Scenario {
  const facts: { [slot: string]: string } = { ...identity.slots };
  const slips: { [slot: string]: string } = {};
  const given: string[] = [];
  const introduced = easy || (!hard && !random.chance(HIDES_NAME));
  const keepsDetail = () => hard || (!easy && random.chance(HIDES_DETAIL));
  if (introduced) given.push(identity.first);

  const last = wanted.map(lastOf);
  const wishes = wanted.map((goal, i) => {
    // With several goals an answer has to say which one it belongs to.
    const topic = wanted.length > 1 ? `To ${last[i].want}: ` : "";
    const add = (slot: string, answer: string) =>
      (facts[slot] = `${facts[slot] ? `${facts[slot]} ` : ""}${topic}${answer}`);
    for (const [slot, answer] of Object.entries(last[i].facts)) {
      add(slot, answer);
      given.push(slot);
    }
    for (const [slot, { answer, slip }] of Object.entries(last[i].details)) {
      add(slot, answer);
      if (slip && wanted.length === 1) slips[slot] = slip;
    }
    // Only a single goal is told in part: one detail asked for and three answers would be no talk.
    const tellsAll = wanted.length > 1 || goal !== last[i];
    const said = Object.entries(goal.details).flatMap(([slot, detail]) =>
      tellsAll || !keepsDetail() ? [[slot, detail.said]] : [],
    );
    given.push(...said.map(([slot]) => slot));
    return [goal.want, ...said.map(([, words]) => words)].join(", ");
  });
  const others = wanted.flatMap(fallbacks);
  const inForm = (forms: readonly string[]) => others.map((goal) => `${random.pick(forms)} ${inFull(goal)}.`);
  const { greetings, wishes: begin } = FORMS[style];
  const who = introduced ? [identity.slots[identity.first]] : [];
  const request = wishes.map((wish, i) => `${random.pick(i === 0 ? begin : ALSO)} ${wish}.`);
  const told = hard ? request : [...request, ...inForm(FAILING)];
  const opening = [random.pick(greetings), ...(random.chance(NAME_LAST) ? [...told, ...who] : [...who, ...told])];
  // What to fall back on is not to be told before its time.
  const insist =
    hard && others.length > 0
      ? "I have told you what I want."
      : `${random.pick(begin)} ${list(last.map(({ want }) => want))}.`;
  return {
    opening: opening.filter(Boolean).join(" "),
    facts,
    given: [...new Set(given)],
    fallback: `${random.pick(UNKNOWN)} ${insist}`,
    style,
    wording: { easy, hard },
    ...(Object.keys(slips).length ? { slips } : {}),
    ...(hard && others.length > 0 ? { otherwise: inForm(THEN) } : {}),
  };
}

function instruct(wanted: readonly Goal[], { prose }: Identity, manner: string): string {
  const you = (text: string) =>
    text
      .replace(/\bmyself\b/g, "yourself")
      .replace(/\bmy\b/g, "your")
      .replace(/\bmine\b/g, "yours")
      .replace(/\b(I|me)\b/g, "you");
  const wishes = wanted.flatMap((goal) => [
    `You want to ${you(inFull(goal))}.`,
    ...fallbacks(goal).map((next) => `If that cannot be done, you want to ${you(inFull(next))}.`),
  ]);
  return [
    prose,
    manner,
    ...wishes,
    "When you are told that something cannot be done and you have nothing else in mind, you accept it and leave everything as it is.",
    "You want nothing else.",
  ].join(" ");
}

function inFull({ want, details }: Goal): string {
  return [want, ...Object.values(details).map(({ said }: Detail) => said)].join(", ");
}

function fallbacks(goal: Goal): Goal[] {
  return goal.otherwise ? [goal.otherwise, ...fallbacks(goal.otherwise)] : [];
}

/** The goal that is served in the end. */
function lastOf(goal: Goal): Goal {
  return goal.otherwise ? lastOf(goal.otherwise) : goal;
}
