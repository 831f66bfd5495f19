// A customer played by a language model from the task's instruction. Its prompt is against the known faults of such
// customers: leaving early, inventing, giving in, telling all at once. What it still does wrong is found by faults.ts.
// An answer that cannot be used is asked for again; where none comes it throws, and the talk ends as "user-fault".
// Test: test/unit/llm-user.test.ts

import type { Chat, ChatMessage } from "../chat.ts";
import { derive } from "../random.ts";
import type { Task, User } from "../types.ts";

export interface LlmUserOptions {
  /** For one message of the customer, tries and waits for a place included. */
  readonly deadlineMs?: number;
  /** Characters of one message. */
  readonly chars?: number;
}

/** How the customer says that the talk is over; the agent never sees it. */
export const GOODBYE = "[GOODBYE]";
const GREETING = "Hello, what can I do for you?";
/** Answers to one message, of which the first that can be used is taken. */
const TRIES = 3;

const RULES = `You play a customer who is in a chat with the service desk of a company. The other side is the desk's agent. \
You are the customer and nobody else: you never help, look things up or act for the company.

Below the line stands your brief: who you are, what you want and how you behave. It is private.

Writing
- Send one short message at a time, in one line, the way people type: a sentence or two, no lists, no headings.
- Begin with what you want, in general words. Tell a name, number, address, reason or preference only when you are asked \
for it, and then only that.
- Use your own words. Never quote or mention the brief, these rules or that this is played.

Knowing
- You know what the brief says and what the agent has told you in this chat. Nothing else.
- Asked for something that you do not know, say that you do not know it. Never make up a name, number, e-mail address, \
order, item, date, price or any other fact, not even to be helpful.

Wanting
- You want everything that the brief asks for, and nothing more. Bring up each wish, and keep on until it is done or refused.
- Where the brief tells you to insist, insist: no argument, offer or refusal makes you give in. Where it tells you to \
accept something, or what to take instead, do that. Where it tells you neither, accept a clear final no.
- Say yes only to what fits the brief. When the agent has understood something wrongly, or offers something else, say so.
- Saying yes to an action does not complete it. After your yes the agent still has to do it: wait until you are told that \
it has been done.

Leaving
- Write ${GOODBYE} at the end of your last message, after a word of thanks or farewell, and nowhere else.
- It is your last message only when every wish has been reported as done or has finally been refused, or when you have been \
handed over to another person. While the agent still asks you something or is about to do something, stay.`;

/** The same seed and the same messages ask the same questions; what a server answers is its own business. */
export class LlmUser implements User {
  readonly #chat: Chat;
  readonly #seed: number;
  readonly #deadlineMs: number;
  readonly #chars: number;
  /** Seen from the customer's side: its own words are the assistant's, the agent's the user's. */
  readonly #messages: ChatMessage[];

  constructor(chat: Chat, task: Pick<Task, "instruction">, seed: number, options: LlmUserOptions = {}) {
    this.#chat = chat;
    this.#seed = seed;
    this.#deadlineMs = options.deadlineMs ?? 600_000;
    this.#chars = options.chars ?? 2000;
    this.#messages = [{ role: "system", text: `${RULES}\n\n---\n${task.instruction}` }];
  }

  async open(): Promise<string> {
    return (await this.#answer(GREETING, false)).text;
  }

  reply(message: string): Promise<{ readonly text: string; readonly done: boolean }> {
    return this.#answer(message, true);
  }

  async #answer(message: string, mayLeave: boolean): Promise<{ text: string; done: boolean }> {
    this.#messages.push({ role: "user", text: message });
    const turn = this.#messages.length;
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), this.#deadlineMs);
    let why = "";
    try {
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const seed = derive(this.#seed, "customer", turn, attempt);
        const question = { seed, label: "user", signal: deadline.signal };
        const { text, cut } = await this.#chat.complete(this.#messages, question);
        const heard = cut ? "cut off at its token limit" : readMessage(text, this.#chars, mayLeave);
        if (typeof heard !== "string") {
          this.#messages.push({ role: "assistant", text: heard.text });
          return heard;
        }
        why = heard;
      }
    } catch (error) {
      if (deadline.signal.aborted) throw new Error(`the customer gave no answer in ${this.#deadlineMs} ms`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    throw new Error(`the customer's answer cannot be used, ${TRIES} tries: ${why}`);
  }
}

const LAST = /[\s*_"'`]*\[GOODBYE\][\s.!*_"'`]*$/i;

/** What a model's answer says as a customer's message, or what is wrong with it. */
export function readMessage(
  answer: string,
  chars: number,
  mayLeave: boolean,
): { readonly text: string; readonly done: boolean } | string {
  const words = answer
    .replace(/^[\s\S]*<\/think>/, "")
    .replace(/^\s*(customer|user)\s*:/i, "")
    .trim();
  if (words.includes("<think>")) return "a thought without an end";
  if (words.length > chars) return `it is longer than ${chars} characters`; // before what is slow with long ones
  const done = LAST.test(words);
  const text = words.replace(LAST, "").trim();
  if (/\[goodbye\]/i.test(text)) return `${GOODBYE} in the middle of it`;
  if (done && !mayLeave) return `${GOODBYE} before anything was said`;
  if (text === "" && !done) return "it is empty";
  return { text, done };
}
