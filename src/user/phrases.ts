// What the scripted customer says of its own accord: yes, thanks and the like by speaking style, and the lines of the
// disturbances. Not what a task's customer knows or wants: those sentences are the scenario's, and no style changes them.
// Test: test/unit/user.test.ts
//
// A yes never starts with a word that domains hear as a no (no, not, wait, stop, do not); what is said in place of a yes
// always does. Nothing here could be a value of any data.

import type { Style } from "../types.ts";

/** One is drawn of each list; from an empty list nothing is. */
export interface Phrases {
  readonly yes: readonly string[];
  /** Goodbye to a claim that all is done. */
  readonly thanks: readonly string[];
  /** Goodbye to a refusal. */
  readonly accepts: readonly string[];
  /** Said to what makes no sense, once the fallback is used up. */
  readonly lost: readonly string[];
  /** Goodbye when patience is over. */
  readonly leaves: readonly string[];
  /** Around what is told: before it, between two answers, after it. "": nothing this time. */
  readonly before: readonly string[];
  readonly also: readonly string[];
  readonly after: readonly string[];
}

export const PHRASES: Readonly<Record<Style, Phrases>> = {
  plain: {
    yes: ["Yes.", "Yes, please.", "Yes, do it.", "Sure, go ahead.", "That is right, yes."],
    thanks: ["Thank you, bye.", "Thanks, bye.", "Great, thank you. Bye.", "Perfect, bye."],
    accepts: ["I see, bye.", "OK, thanks, bye.", "Too bad. Bye.", "I understand, bye."],
    lost: ["I have told you all that I know.", "I do not know that.", "I do not understand."],
    leaves: ["This is going nowhere, bye.", "I give up, bye."],
    before: [],
    also: [],
    after: [],
  },
  terse: {
    yes: ["Yes.", "Yep.", "OK.", "Do it."],
    thanks: ["Thanks, bye.", "Good. Bye.", "Bye."],
    accepts: ["OK, bye.", "Fine, bye.", "Bye."],
    lost: ["What?", "Unclear.", "I don't know."],
    leaves: ["Enough. Bye.", "Bye."],
    before: [],
    also: [],
    after: [],
  },
  chatty: {
    yes: [
      "Oh yes, that is just what I had in mind, go ahead.",
      "Yes, yes, please do, I have been meaning to get this done for days.",
      "Sure, that sounds right to me, yes.",
    ],
    thanks: [
      "Oh, lovely, thank you so much, that was quick. Well, I will let you go. Bye!",
      "Wonderful, thanks a lot, I was dreading this a little. Bye now!",
    ],
    accepts: [
      "Oh well, I had hoped for more, but what can you do. Thanks anyway, bye!",
      "I see, I see. Well, it was worth a try. Bye then!",
    ],
    lost: [
      "Hm, now you have lost me a little, I am afraid I can't say more than I did.",
      "Oh, I really could not tell you that, sorry.",
    ],
    leaves: [
      "You know what, we keep going round in circles, I had better leave it. Bye!",
      "Well, I think that we are both getting nowhere today. Bye!",
    ],
    before: ["", "Oh, of course.", "Let me think, yes, here we are.", "Ah, yes."],
    also: ["Oh, and while we are at it:", "And then there is this:", ""],
    after: ["", "I hope that is what you are looking for.", "There, I think I have got that right."],
  },
  formal: {
    yes: ["Yes, please proceed.", "I agree, yes.", "That is correct. Please go ahead.", "Yes, you have my consent."],
    thanks: ["Thank you for your assistance. Goodbye.", "I am much obliged. Goodbye.", "Thank you very much. Goodbye."],
    accepts: ["I understand. Thank you for the explanation. Goodbye.", "Very well. Goodbye."],
    lost: ["I regret that I am unable to say.", "I am afraid that I do not follow.", "I have no knowledge of that."],
    leaves: ["I regret that this leads nowhere. Goodbye.", "I shall try another time. Goodbye."],
    before: ["", "Certainly.", "With pleasure.", "Of course."],
    also: ["Furthermore:", "In addition:", ""],
    after: ["", "I trust that this is sufficient.", "Thank you."],
  },
  impatient: {
    yes: ["Yes, yes, do it.", "Yes, hurry up, please.", "Of course, yes. Go on.", "Yes! That is what I am here for."],
    thanks: ["Finally, thanks. Bye.", "About time. Bye.", "Good, bye."],
    accepts: ["Great, so all that was for nothing. Bye.", "Fine, whatever. Bye."],
    lost: ["How should I know?", "What is that supposed to mean?", "I have said all that there is to say."],
    leaves: ["I do not have all day, bye.", "That is enough, bye."],
    before: ["", "Fine.", "If it has to be.", "Come on."],
    also: ["And:", ""],
    after: ["", "Can we get on with it, please.", "I am in a hurry."],
  },
  unsure: {
    yes: [
      "I think so, yes.",
      "Yes, I suppose that is right.",
      "Um, yes, please.",
      "Yes. I hope that is the right thing.",
    ],
    thanks: ["Oh, good, thank you. Bye.", "So that was it? Thanks, bye.", "I guess that is all then. Thank you, bye."],
    accepts: ["Oh. I was afraid of that. Bye.", "I see, I think. Bye."],
    lost: ["Sorry, I am not sure what you mean.", "I really do not know, sorry.", "Um, I could not say."],
    leaves: ["Maybe I should ask someone else. Bye.", "Sorry, I think this is too much for me. Bye."],
    before: ["", "Um, let me see.", "I think I know that.", "I hope that I get this right."],
    also: ["And I think:", "Um, and:", ""],
    after: ["", "At least I think so.", "If that is what you mean."],
  },
  friendly: {
    yes: ["Yes, please, that would be great!", "Yes, wonderful, go ahead!", "Sure, thank you for asking, yes!"],
    thanks: [
      "Thank you so much, you have been a great help. Bye!",
      "That is great, thanks! Have a lovely day. Bye!",
      "Perfect, thank you! Bye!",
    ],
    accepts: [
      "That is a pity, but thank you for trying. Bye!",
      "I understand, that is all right. Thank you, bye!",
      "Well, you can't help it. Take care, bye!",
    ],
    lost: ["Sorry, I did not quite get that!", "I am sorry, that I do not know.", "That I can't tell you, sorry!"],
    leaves: ["I am sorry, I do not think that we get any further. Bye!", "Let us leave it at that. All the best, bye!"],
    before: ["", "Sure!", "Happy to help!", "Of course!"],
    also: ["And also:", "And here is the rest:", ""],
    after: ["", "Thank you!", "Thanks for looking into it!"],
  },
};

/** The styles that a scenario can name. */
export const styles = Object.keys(PHRASES) as readonly Style[];

/** In place of an answer: it is not at hand. */
export const FORGETS = [
  "Let me look, one moment.",
  "I do not have that at hand, let me look.",
  "I have to look that up first.",
];
/** In place of an answer: a question. */
export const WHY = ["Why do you need that?", "What do you need that for?", "Is that really necessary?"];
/** In place of a yes: a question. */
export const COST = [
  "Wait, what would that cost?",
  "Wait, do I have to pay for that?",
  "Wait, how long will that take?",
];
/** In place of a yes, before a part of the wish as it is and was. */
export const NOT_YET = [
  "Wait, not yet. Let me say it once more:",
  "Not so fast, please. To be clear:",
  "Stop, I want to be sure that you have this:",
];
/** Between a wrong answer and the right one. */
export const MENDS = ["No, sorry, that was wrong.", "No, wait, I mixed that up.", "Sorry, no, that is not right."];
/** The same a message later, also in place of a yes. */
export const MENDS_LATER = [
  "Wait, I told you something wrong before.",
  "Wait, I have to correct myself.",
  "Stop, I made a mistake.",
];
/** Beside an answer or a yes. */
export const TALK = [
  "It has been a long day, by the way.",
  "By the way, I hope that your day is going well.",
  "My sister says that you are all very helpful, by the way.",
];
