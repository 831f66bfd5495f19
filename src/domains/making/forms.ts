// The forms of sentences in which customers put their wishes, by speaking style: what stands before a wish, which begins
// with a verb ("cancel order 5"). Not what they say of their own accord later on (src/user/phrases.ts), and not the wishes.
// Test: test/unit/telling.test.ts
//
// Nothing that may follow a request for consent starts with a word that is heard as a no (no, not, wait, stop, do not).

import type { Style } from "../../types.ts";

interface Forms {
  /** "": none. */
  readonly greetings: readonly string[];
  readonly wishes: readonly string[];
}

export const FORMS: Readonly<Record<Style, Forms>> = {
  plain: {
    greetings: ["Hello!", "Hi.", "Good day.", "Hello there.", "Good morning."],
    wishes: ["I would like to", "I want to", "I need to", "I am writing because I want to", "What I need is to"],
  },
  terse: {
    greetings: ["", "Hi.", "Hello."],
    wishes: [
      "I want to",
      "I need to",
      "Need to",
      "Want to",
      "Have to",
      "Just one thing, I want to",
      "Please, I want to",
    ],
  },
  chatty: {
    greetings: [
      "Hello there, how are you doing today?",
      "Hi! I hope that you are having a good day.",
      "Hello, it is me with one of my little errands.",
      "Hi there, I am glad that somebody is up at this hour.",
      "Good day, what weather we are having.",
    ],
    wishes: [
      "I have been thinking about it all morning, and I would like to",
      "So, I was talking to my sister about it, and now I want to",
      "You see, things have changed a little over here, so I need to",
      "I know that you must be busy, but I would love to",
      "To make a long story short, I want to",
    ],
  },
  formal: {
    greetings: ["Good day.", "Good morning.", "Good evening.", "To whom it may concern.", "Good afternoon."],
    wishes: [
      "I would like to",
      "I should like to",
      "I wish to",
      "I am contacting you because I wish to",
      "It is my intention to",
      "I would be grateful for your help, as I wish to",
    ],
  },
  impatient: {
    greetings: ["Hi.", "Hello, I do not have much time.", "Right, quickly.", "OK, listen.", "Hello?"],
    wishes: ["I need to", "I have to", "I just want to", "All I want is to", "As quickly as possible, I need to"],
  },
  unsure: {
    greetings: [
      "Hello, I hope that I am right here.",
      "Um, hi.",
      "Hello.",
      "Hi, I have never done this before.",
      "Good day, I hope that I do not disturb you.",
    ],
    wishes: [
      "I think I would like to",
      "I suppose that I need to",
      "Maybe you can help me, I would like to",
      "I am not sure how to go about it, but I want to",
      "I believe that I want to",
    ],
  },
  friendly: {
    greetings: [
      "Hi there!",
      "Hello, nice to meet you!",
      "Hello hello!",
      "Hey, thanks for being here!",
      "Good day to you!",
    ],
    wishes: [
      "I would love to",
      "I would really like to",
      "I was hoping to",
      "With your help I would like to",
      "It would be lovely to",
    ],
  },
};

/** Before another wish. */
export const ALSO = [
  "I would also like to",
  "I also want to",
  "And I need to",
  "Besides, I would like to",
  "On top of that, I want to",
  "The other thing is that I want to",
];
/** Before what is wanted where the wish cannot be had, told at once. */
export const FAILING = [
  "If that cannot be done, I would like to",
  "If that does not work, I want to",
  "Should that be impossible, I would like to",
  "If you cannot do that, I want to",
  "Failing that, I would like to",
];
/** The same after a refusal. */
export const THEN = [
  "Then I would like to",
  "In that case I want to",
  "Well, then I would like to",
  "All right, then I want to",
  "That is a pity. Then I would like to",
];
/** An answer to what the customer does not know. */
export const UNKNOWN = ["I do not know about that.", "I cannot tell you that.", "I have no idea about that."];
