// A customer that needs no model: reads the task's scenario, answers what it is asked, says yes, and believes what it is
// told. Hears through the domain's patterns. Test: test/unit/user.test.ts

import { Random } from "../random.ts";
import type { Domain, Scenario, Task, User } from "../types.ts";

/** Messages in a row of which the customer can make nothing new before they leave. */
const PATIENCE = 3;

const YES = ["Yes.", "Yes, please.", "Yes, do it.", "Sure, go ahead.", "That is right, yes."];
const THANKS = ["Thank you, bye.", "Thanks, bye.", "Great, thank you. Bye.", "Perfect, bye."];
const ACCEPTS = ["I see, bye.", "OK, thanks, bye.", "Too bad. Bye.", "I understand, bye."];
const LOST = ["I have told you all that I know.", "I do not know that.", "I do not understand."];
const LEAVES = ["This is going nowhere, bye.", "I give up, bye."];

/** The same seed and the same messages give the same answers. */
export class ScriptedUser implements User {
  readonly #domain: Pick<Domain, "asks" | "hears">;
  readonly #scenario: Scenario;
  readonly #random: Random;
  readonly #asked = new Set<string>();
  readonly #heard = new Set<string>();
  #fallbackSaid = false;
  /** Refusals so far. */
  #refused = 0;
  #useless = 0;

  constructor(domain: Pick<Domain, "asks" | "hears">, task: Task, seed: number) {
    this.#domain = domain;
    this.#scenario = task.scenario;
    this.#random = new Random("user", seed, task.id);
  }

  async open(): Promise<string> {
    return this.#scenario.opening;
  }

  async reply(message: string): Promise<{ readonly text: string; readonly done: boolean }> {
    const { facts, fallback } = this.#scenario;
    const { confirms, claimsDone, refuses } = this.#domain.hears(message);
    const slots = this.#domain.asks(message).filter((slot) => Object.hasOwn(facts, slot));
    const instead = refuses && !claimsDone && !confirms ? this.#scenario.otherwise?.[this.#refused++] : undefined;
    if (instead && slots.length === 0) return { text: instead, done: false };
    if (slots.length === 0 && !confirms && (claimsDone || refuses))
      return { text: this.#random.pick(claimsDone ? THANKS : ACCEPTS), done: true };

    this.#useless = this.#isNew(message, slots, confirms) ? 0 : this.#useless + 1;
    if (this.#useless >= PATIENCE) return { text: this.#random.pick(LEAVES), done: true };
    if (slots.length > 0 || confirms) {
      const answers = slots.map((slot) => facts[slot]);
      if (confirms) answers.unshift(this.#random.pick(YES));
      return { text: answers.join(" "), done: false };
    }
    if (this.#fallbackSaid) return { text: this.#random.pick(LOST), done: false };
    this.#fallbackSaid = true;
    return { text: fallback, done: false };
  }

  /** Does it ask for something that was not asked before? */
  #isNew(message: string, slots: readonly string[], confirms: boolean): boolean {
    const isNew = slots.some((slot) => !this.#asked.has(slot)) || (confirms && !this.#heard.has(message));
    for (const slot of slots) this.#asked.add(slot);
    this.#heard.add(message);
    return isNew;
  }
}
