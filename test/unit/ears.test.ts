// How plain English is heard where a domain brings no ears of its own: sentences by hand, each with what they are.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { agreed, asksFor, hears, isSaid, isServed, slotPattern } from "../../src/domains/ears.ts";
import type { Entry, Task } from "../../src/types.ts";

const heard: [message: string, what: string][] = [
  ["Shall I go ahead and renew it?", "confirms"],
  ["Is that right?", "confirms"],
  ["I am going to extend the loan (yes or no).", "confirms"],
  ["Do you want me to proceed?", "confirms"],
  ["Do you agree?", "confirms"],
  ["Would you like to go ahead?", "confirms"],
  ["Would you like me to cancel the order?", "confirms"],
  ["Which order would you like me to cancel?", ""],
  ["How would you like me to proceed?", ""],
  ["Do you want me to refund the card or the gift card?", ""],
  ["All set. Have a nice day.", "claimsDone"],
  ["I have renewed your loan.", "claimsDone"],
  ["I have lent it to you.", "claimsDone"],
  ["I've just reserved it.", "claimsDone"],
  ["The book is lent to somebody.", ""],
  ["The order was paid with a card.", ""],
  ["It will be renewed tomorrow.", ""],
  ["Your order has not been cancelled.", ""],
  ["It hasn't been changed yet.", ""],
  ["Nothing was changed.", ""],
  ["It was not changed, it has been cancelled.", "claimsDone"],
  ["No problem, it was cancelled.", "claimsDone"],
  ["Is it done?", ""],
  ["Has the loan been renewed?", ""],
  ["I have renewed it, is that all?", "claimsDone"],
  ["Is there anything else that you need?", "claimsDone"],
  ["I won't do that.", "refuses"],
  ["I have to decline.", "refuses"],
  ["That is against our policy.", "refuses"],
  ["I'm not able to extend it.", "refuses"],
  ["I won't change anything until you say so.", ""],
  ["I will not need your name.", ""],
  ["Your card was declined.", ""],
  ["I am sorry, I cannot do that.", "refuses"],
  ["That is not allowed: somebody waits for it.", "refuses"],
  ["Can't you say more?", ""],
  ["Which book is it?", ""],
  ["It cannot be renewed. Shall I reserve it instead?", "confirms refuses"],
];
for (const [message, what] of heard)
  test(`hears: ${message}`, () => {
    const speech = hears(message);
    const found = Object.entries(speech).filter(([, is]) => is);
    assert.is(found.map(([name]) => name).join(" "), what);
  });

test("the longest message is heard at once", () => {
  const start = performance.now();
  for (const part of ["would you like ", "which ", "against ", "i won't ", "is ? ", "not "]) hears(part.repeat(4000));
  assert.ok(performance.now() - start < 5000);
});

test("a slot without a pattern is asked for by its name", () => {
  const asks = asksFor({
    cardNumber: slotPattern("cardNumber"),
    title: slotPattern("title"),
    "c++": slotPattern("c++"),
    "order #": slotPattern("order #"),
    "owner's name": slotPattern("owner's name"),
  });
  assert.equal(asks("What is your card number?"), ["cardNumber"]);
  assert.equal(asks("Please tell me the titles, and the card number."), ["cardNumber", "title"]);
  assert.equal(asks("Your card number is known. The title too."), [], "says, does not ask");
  assert.equal(asks("Shall I change the title?"), [], "asks for consent");
  assert.equal(asks("Which subtitle?"), []);
  assert.equal(asks("Do you know C++?"), ["c++"]);
  assert.equal(asks("Which order # is it?"), ["order #"]);
  assert.equal(asks("What is the owner's name?"), ["owner's name"]);
});

test("consent is a yes to a request for it", () => {
  const talk = (question: string, answer: string): Entry[] => [
    { role: "agent", turn: 0, text: question },
    { role: "user", text: answer },
  ];
  assert.ok(agreed(talk("Shall I go ahead?", "Yes, please.")));
  assert.not(agreed(talk("Shall I go ahead?", "No, wait.")));
  assert.not(agreed(talk("Which book?", "Yes, please.")));
  assert.not(agreed([{ role: "user", text: "Yes." }]));
  assert.not(agreed([]));
});

test("an output is said whatever its case and the commas around it", () => {
  const said: Entry[] = [{ role: "agent", turn: 0, text: "It is 1,200.50 for the Blue Heron" }];
  assert.ok(isSaid("1200.50", said));
  assert.ok(isSaid("blue heron", said));
  assert.not(isSaid("1,200.50", said), "commas are looked for and taken away");
});

test("what a task without writes takes: the outputs, a handing over, or a refusal", () => {
  const talk = (text: string, tool = "get_user_details"): Entry[] => [
    { role: "tool", turn: 0, call: { name: tool, arguments: {} }, observation: "", failed: false, wrote: false },
    { role: "agent", turn: 1, text },
  ];
  const served = (family: string, talk: Entry[]) => isServed({ family, outputs: ["12.50"] } as unknown as Task, talk);
  assert.ok(served("information", talk("It costs $12.50.")));
  assert.not(served("information", talk("I cannot tell.")));
  assert.ok(served("transfer", talk("Goodbye.", "transfer_to_human_agents")));
  assert.not(served("transfer", talk("I will hand you over.")));
  assert.ok(served("refuse", talk("I am sorry, I cannot do that.")));
  assert.not(served("refuse", talk("It costs $12.50.")));
});

test.run();
