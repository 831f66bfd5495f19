// The scripted expert of any domain whose tasks say what an expert does (lookups, actions, what is forbidden): plays a
// task through customer and tools, with the mistakes that its habits give it; with none it is the oracle. It plays to a
// script: of the customer it understands only whether an answer came. Test: test/unit/expert.test.ts

import { Random } from "../random.ts";
import type { AgentTurn, Call, Database, Domain, Habits, Task, WrittenCall } from "../types.ts";
import { declines } from "./ears.ts";
import { readCall } from "./tool.ts";

/** What an expert of one domain says. */
export interface Words {
  /** Asked before any look-up, and before any change: the text, unless one of the slots is known already. */
  readonly identify: readonly Question[];
  readonly details: readonly Question[];
  /** What a call does, after "I am going to". Default: the call as it is written. */
  readonly describe?: (call: Call, database: Database) => string;
  /** The same kind of call with one thing wrong. */
  readonly mistaken?: (call: WrittenCall, database: Database, random: Random) => WrittenCall;
}

export interface Question {
  readonly slots: readonly string[];
  readonly text: string;
}

/** Times that an expert says the same. */
const PATIENCE = 3;

type Agent = ReturnType<NonNullable<Domain["expert"]>>;
type Script = Generator<AgentTurn, void, void>;

/** `Domain.expert`, for one conversation's worth of turns; after its last line it repeats that the work is done. */
export function scriptedExpert(
  domain: Pick<Domain, "name" | "database" | "parse" | "tools" | "asks" | "hears">,
  words: Words,
): NonNullable<Domain["expert"]> {
  return (task, habits, seed) => {
    const script = play(domain, words, task, habits, new Random(`${domain.name} expert`, seed, task.id));
    return patient(domain, task, () => script.next().value ?? say("That is done."));
  };
}

/**
 * Who plays a task as an expert would: the domain's own for its own families. Of others the domain knows no words; there
 * the look-ups are made, then what the truth says but for handing over, and the outputs are told; a graded answer is given.
 */
export function expertFor(domain: Domain, task: Task): Domain["expert"] {
  if (domain.families.includes(task.family)) return domain.expert;
  if (domain.grade)
    return ({ outputs: [answer] }) =>
      () =>
        say(`\\boxed{${answer}}`);
  const expert = scriptedExpert(domain, { identify: [], details: [] });
  const goesOn = ({ name }: WrittenCall) => !domain.tools.find((tool) => tool.name === name)?.ends;
  return ({ actions, ...rest }, ...how) => expert({ ...rest, actions: actions.filter(goesOn) }, ...how);
}

/** The same agent, which says a message once more where the customer did not answer it. */
export function patient(domain: Pick<Domain, "asks" | "hears">, task: Task, agent: Agent): Agent {
  let times = 1;
  return (transcript) => {
    const [message, answer] = transcript.slice(-2);
    const spoke = message?.role === "agent" && answer?.role === "user";
    if (!spoke || times === PATIENCE || isAnswered(domain, task, message.text, answer.text)) {
      times = 1;
      return agent(transcript);
    }
    times++;
    return say(message.text);
  };
}

/** Does the customer's answer hold all that was asked for? Who stays after a claim or a refusal has not heard it. */
function isAnswered(
  { asks, hears }: Pick<Domain, "asks" | "hears">,
  { scenario }: Task,
  message: string,
  answer: string,
): boolean {
  const { facts, otherwise = [] } = scenario;
  if (otherwise.includes(answer)) return true;
  const slots = asks(message).filter((slot) => Object.hasOwn(facts, slot));
  const { confirms, claimsDone, refuses } = hears(message);
  if (slots.length === 0 && !confirms) return !claimsDone && !refuses;
  return slots.every((slot) => answer.includes(facts[slot])) && !(confirms && declines(answer));
}

function* play(
  domain: Pick<Domain, "database" | "parse" | "tools">,
  words: Words,
  task: Task,
  habits: Habits,
  random: Random,
): Script {
  const { actions, outputs, forbidden, lookups = [], scenario } = task;
  const { facts, given = [], otherwise = [] } = scenario;
  const database = domain.database(task.database);
  // Drawn in this order whatever happens, so that one habit does not change how the others fall.
  const skipsLookup = random.chance(habits.skipsLookup);
  const skipsConfirmation = random.chance(habits.skipsConfirmation);
  const wrongChoice = random.chance(habits.wrongChoice);
  const ignoresRules = random.chance(habits.ignoresRules);
  const slips = random.chance(habits.recovers);

  function* ask(questions: readonly Question[]): Script {
    for (const { slots, text } of questions) {
      const known = slots.filter((slot) => Object.hasOwn(facts, slot));
      if (known.length > 0 && !known.some((slot) => given.includes(slot))) yield say(text);
    }
  }
  const described = (calls: readonly WrittenCall[]) =>
    list(calls.map((call) => words.describe?.(readCall(domain, call), database) ?? `${call.name} ${call.arguments}`));
  const consent = (calls: readonly WrittenCall[]) => `I am going to ${described(calls)}. Shall I go ahead (yes or no)?`;
  const mistaken = (calls: readonly WrittenCall[]) =>
    calls.map((call) => words.mistaken?.(call, database, random) ?? call);

  yield* ask(words.identify);
  for (const [i, lookup] of lookups.entries()) {
    // The first one says who the customer is, the last one may hand the talk over: neither is skipped.
    const ends = domain.tools.find(({ name }) => name === lookup.name)?.ends;
    if (skipsLookup && i > 0 && !ends) continue;
    yield call(lookup);
    if (ends) return;
  }
  if (forbidden && !ignoresRules && (actions.length === 0 || otherwise.length > 0))
    yield say(`I am sorry, I cannot do that: ${forbidden.rule}.`);
  if (forbidden && !ignoresRules && actions.length === 0) return;
  if (!forbidden && actions.length === 0) {
    const told = outputs.length ? `The answer is ${list(outputs)}.` : "That is all I can see.";
    yield say(`${told} Is there anything else?`);
    return;
  }

  yield* ask(words.details);
  const right = forbidden && ignoresRules ? [forbidden.action] : actions;
  const wrong = mistaken(right);
  const wanted = wrongChoice ? wrong : right;
  if (slips) yield say(consent(wanted === right ? wrong : right));
  if (slips) yield say(`Wait, that was wrong. ${consent(wanted)}`);
  else if (!skipsConfirmation) yield say(consent(wanted));
  for (const each of wanted) yield call(each);
  const told = outputs.length ? ` The answer is ${list(outputs)}.` : "";
  yield say(`All set: ${described(wanted)}.${told} Have a nice day.`);
}

export function capital(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}

/** "a", "a and b", "a, b and c" */
export function list(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join() : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

function say(text: string): AgentTurn {
  return { text, calls: [], invalid: null };
}

function call(written: WrittenCall): AgentTurn {
  return { text: "", calls: [written], invalid: null };
}
