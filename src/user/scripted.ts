// A customer that needs no model: reads the task's scenario, answers what it is asked, says yes, and believes what it is
// told. Hears through the domain's patterns. Where it is allowed to be disturbed it also forgets, errs, asks back,
// hesitates and chats, but what it wants stays the same. How it reads: docs/users.md. Test: test/unit/user.test.ts

import { UsageError } from "../errors.ts";
import { Random } from "../random.ts";
import type { Domain, Scenario, Task, User } from "../types.ts";
import { COST, FORGETS, MENDS, MENDS_LATER, NOT_YET, PHRASES, type Phrases, styles, TALK, WHY } from "./phrases.ts";

/** Messages in a row of which the customer can make nothing new before they leave. */
const PATIENCE = 3;

/** Disturbances of one conversation, at most. */
const MOST = 2;

/**
 * "forgets": does not have an answer at hand. "corrects": gives a wrong answer and mends it. "asks": asks back.
 * "changes": says no once to what it will say yes to, and puts a part of its wish again. "talks": small talk beside it.
 */
export type Disturbance = "forgets" | "corrects" | "asks" | "changes" | "talks";

/** A request that can be disturbed: the first one for a slot, or (null) the first one for consent. */
type Occasion = string | null;

export interface ScriptedOptions {
  /** Share of the conversations (0 to 1) in which a disturbance is planned: one in half of them, two in the others. */
  readonly disturbances: number;
}

interface Answer {
  readonly text: string;
  readonly done: boolean;
}

/** The same task, seed and messages give the same answers. */
export class ScriptedUser implements User {
  readonly #domain: Pick<Domain, "asks" | "hears">;
  readonly #scenario: Scenario;
  readonly #phrases: Phrases;
  readonly #random: Random;
  /** A stream of its own: what is said beside a disturbance is said with or without it. */
  readonly #whims: Random;
  readonly #planned: Map<Occasion, Disturbance>;
  readonly #disturbed: Disturbance[] = [];
  readonly #asked = new Set<string>();
  readonly #heard = new Set<string>();
  /** Slots that were asked for in the last message and not answered. */
  #owed: readonly string[] = [];
  /** The slot of a wrong answer that is still to be mended. */
  #wrong: string | null = null;
  #fallbackSaid = false;
  /** Refusals so far. */
  #refused = 0;
  #useless = 0;

  constructor(
    domain: Pick<Domain, "asks" | "hears">,
    task: Task,
    seed: number,
    { disturbances }: ScriptedOptions = { disturbances: 0 },
  ) {
    const { style = "plain" } = task.scenario;
    if (!styles.includes(style))
      throw new UsageError(`task ${task.id}: style ${JSON.stringify(style)}: expected one of ${styles.join(", ")}`);
    this.#domain = domain;
    this.#scenario = task.scenario;
    this.#phrases = PHRASES[style];
    this.#random = new Random("user", seed, task.id);
    this.#whims = new Random("disturbances", seed, task.id);
    this.#planned = plan(task.scenario, this.#whims, disturbances);
  }

  /** What has happened so far, in order. */
  get disturbed(): readonly Disturbance[] {
    return this.#disturbed;
  }

  async open(): Promise<string> {
    return this.#scenario.opening;
  }

  async reply(message: string): Promise<Answer> {
    const { facts, fallback } = this.#scenario;
    const { confirms, claimsDone, refuses } = this.#domain.hears(message);
    const asked = this.#domain.asks(message).filter((slot) => Object.hasOwn(facts, slot));
    // Behind "Let me look." neither "Take your time." nor "I cannot find you without it." ends the talk.
    const slots = asked.length > 0 || confirms || claimsDone ? asked : this.#owed;
    this.#owed = [];
    if (this.#wrong !== null) return this.#mend(this.#wrong, slots);
    const next =
      refuses && !claimsDone && !confirms && slots.length === 0
        ? this.#scenario.otherwise?.[this.#refused++]
        : undefined;
    if (next) return { text: next, done: false };
    if (slots.length === 0 && !confirms && (claimsDone || refuses))
      return { text: this.#random.pick(this.#phrases[claimsDone ? "thanks" : "accepts"]), done: true };

    const [occasion, kind] = this.#occur(slots, confirms);
    const instead = this.#instead(kind, occasion);
    // Nothing else is remembered of such a message: the agent that repeats it stands where it would have stood.
    if (instead) {
      this.#owed = slots;
      return { text: instead, done: false };
    }

    this.#useless = this.#isNew(message, slots, confirms) ? 0 : this.#useless + 1;
    if (this.#useless >= PATIENCE) return { text: this.#random.pick(this.#phrases.leaves), done: true };
    if (slots.length > 0 || confirms) {
      const said = confirms ? [this.#random.pick(this.#phrases.yes)] : [];
      const answers = slots.map((slot) => (slot === occasion && kind === "corrects" ? this.#slip(slot) : facts[slot]));
      if (answers.length > 0) said.push(this.#tell(answers));
      if (kind === "talks") said.push(this.#whims.pick(TALK));
      return { text: said.join(" "), done: false };
    }
    if (this.#fallbackSaid) return { text: this.#random.pick(this.#phrases.lost), done: false };
    this.#fallbackSaid = true;
    return { text: fallback, done: false };
  }

  /** Answers in the words of the style. */
  #tell(answers: readonly string[]): string {
    const { before, also, after } = this.#phrases;
    const draw = (list: readonly string[]) => (list.length > 0 ? this.#random.pick(list) : "");
    const said = answers.flatMap((answer, i) => [draw(i === 0 ? before : also), answer]);
    return [...said, draw(after)].filter(Boolean).join(" ");
  }

  /** What happens at this message, and at which of its requests; what was planned for its others is dropped. */
  #occur(slots: readonly string[], confirms: boolean): [Occasion, Disturbance] | [] {
    // Of a message that asks for consent the answer has to be heard as a yes or a no.
    const occasion = (confirms ? [null] : slots).find((occasion) => this.#planned.has(occasion));
    const kind = occasion === undefined ? undefined : this.#planned.get(occasion);
    for (const touched of confirms ? [null, ...slots] : slots) this.#planned.delete(touched);
    if (occasion === undefined || !kind) return [];
    this.#disturbed.push(kind);
    return [occasion, kind];
  }

  /** What is said in place of an answer, if anything. */
  #instead(kind: Disturbance | undefined, occasion: Occasion | undefined): string | null {
    switch (kind) {
      case "forgets":
        return this.#whims.pick(FORGETS);
      case "asks":
        return this.#whims.pick(occasion === null ? COST : WHY);
      case "changes":
        return `${this.#whims.pick(NOT_YET)} ${Object.values(this.#scenario.facts).at(-1)}`;
      default:
        return null;
    }
  }

  /** A wrong answer, mended at once or with the next message. */
  #slip(slot: string): string {
    const { slips, facts } = this.#scenario;
    if (this.#whims.chance(0.5)) return `${slips![slot]} ${this.#whims.pick(MENDS)} ${facts[slot]}`;
    this.#wrong = slot;
    return slips![slot];
  }

  /** Said whatever the agent has said meanwhile, with what else it has asked for; never a yes. */
  #mend(wrong: string, slots: readonly string[]): Answer {
    this.#wrong = null;
    for (const slot of slots) this.#planned.delete(slot);
    const { facts } = this.#scenario;
    const answers = [wrong, ...slots.filter((slot) => slot !== wrong)].map((slot) => facts[slot]);
    return { text: [this.#whims.pick(MENDS_LATER), ...answers].join(" "), done: false };
  }

  /** Does it ask for something that was not asked before? */
  #isNew(message: string, slots: readonly string[], confirms: boolean): boolean {
    const isNew = slots.some((slot) => !this.#asked.has(slot)) || (confirms && !this.#heard.has(message));
    for (const slot of slots) this.#asked.add(slot);
    this.#heard.add(message);
    return isNew;
  }
}

/** Which disturbance waits at which request, no two of a kind. It happens if the agent asks for it. */
function plan(scenario: Scenario, random: Random, rate: number): Map<Occasion, Disturbance> {
  const { facts, given = [], slips = {}, otherwise = [] } = scenario;
  const planned = new Map<Occasion, Disturbance>();
  if (!random.chance(rate)) return planned;
  const open: Occasion[] = Object.keys(facts).filter((slot) => !given.includes(slot));
  for (const occasion of random.shuffle([...open, null]).slice(0, 1 + random.int(MOST))) {
    const kinds: Disturbance[] = occasion === null ? ["asks", "talks"] : ["asks", "talks", "forgets"];
    // What a customer falls back on is not to be told before its time.
    if (occasion === null && Object.keys(facts).length > 0 && otherwise.length === 0) kinds.push("changes");
    if (occasion !== null && Object.hasOwn(slips, occasion)) kinds.push("corrects");
    const used = [...planned.values()];
    planned.set(occasion, random.pick(kinds.filter((kind) => !used.includes(kind))));
  }
  return planned;
}
