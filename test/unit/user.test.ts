// The scripted customer, on a scenario written by hand and the shop's ears.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { shop } from "../../src/domains/shop/index.ts";
import type { Task } from "../../src/types.ts";
import { ScriptedUser } from "../../src/user/scripted.ts";

const task: Task = {
  id: "shop/1/return/0",
  domain: "shop",
  family: "return",
  database: 1,
  instruction: "",
  scenario: {
    opening: "I want to return the vase.",
    facts: { email: "It is ann.lee@mail.com.", order: "Order #light.", item: "The vase." },
    fallback: "I only want to return the vase.",
  },
  actions: [],
  outputs: [],
};

async function hear(messages: readonly string[], seed = 1): Promise<{ texts: string[]; done: boolean }> {
  const user = new ScriptedUser(shop, task, seed);
  const texts = [await user.open()];
  let done = false;
  for (const message of messages) {
    assert.not(done, "the customer is gone");
    const reply = await user.reply(message);
    texts.push(reply.text);
    done = reply.done;
  }
  return { texts, done };
}

test("opens with the scenario's words", async () => {
  assert.equal(await hear([]), { texts: ["I want to return the vase."], done: false });
});

test("answers what is asked, several things at once", async () => {
  const table: [string, string][] = [
    ["What is your email?", "It is ann.lee@mail.com."],
    ["Please tell me your e-mail.", "It is ann.lee@mail.com."],
    ["I need your email and your order.", "It is ann.lee@mail.com. Order #light."],
    ["Thanks. Which item is it?", "The vase."],
    ["Which order is it, and what is your email?", "It is ann.lee@mail.com. Order #light."],
  ];
  for (const [message, answer] of table)
    assert.equal(await hear([message]), { texts: [task.scenario.opening, answer], done: false });
});

test("says yes to a request for consent, whatever it is about", async () => {
  for (const message of [
    "Shall I return the vase #crane?",
    "I will return the vase, is that ok?",
    "In order #a, may I exchange it?",
  ]) {
    const { texts, done } = await hear([message]);
    assert.match(texts[1], /yes|sure/i);
    assert.not(done);
  }
  const both = await hear(["Shall I return it? And what is your email?"]);
  assert.match(both.texts[1], /(yes|sure).*ann\.lee@mail\.com/i);
});

test("believes a claim and accepts a refusal, and leaves", async () => {
  for (const message of [
    "Done, the vase is returned.",
    "I have cancelled it.",
    "Sorry, I cannot do that.",
    "That is not possible.",
  ]) {
    const { texts, done } = await hear([message]);
    assert.ok(done, message);
    assert.match(texts[1], /bye/i);
  }
});

test("stays as long as something is asked", async () => {
  assert.not((await hear(["I cannot find you. What is your email?"])).done);
  assert.not((await hear(["That is done. Shall I do more?"])).done);
});

test("what fits nothing gets the fallback once, then the customer loses patience", async () => {
  const { texts, done } = await hear(["One moment.", "One moment.", "One moment."]);
  assert.is(texts[1], task.scenario.fallback);
  assert.is.not(texts[2], task.scenario.fallback);
  assert.match(texts[3], /bye/i);
  assert.ok(done);
});

test("an unknown slot is no answer: the fallback", async () => {
  assert.is((await hear(["To which payment?"])).texts[1], task.scenario.fallback);
});

test("does not answer the same for ever", async () => {
  const asked = await hear(Array(4).fill("What is your email?"));
  assert.ok(asked.done);
  const consent = await hear(Array(4).fill("Shall I do it?"));
  assert.ok(consent.done);
});

test("something new restores patience", async () => {
  const { done } = await hear(["Hm.", "Hm.", "What is your email?", "Hm.", "Hm.", "Which order?", "Hm.", "Hm."]);
  assert.not(done);
});

test("the same seed says the same, other seeds say it in other words", async () => {
  const talk = ["Hm.", "Hm.", "Shall I return it?", "Done."];
  assert.equal(await hear(talk, 7), await hear(talk, 7));
  const all = new Set<string>();
  for (let seed = 0; seed < 30; seed++) all.add((await hear(talk, seed)).texts.join("|"));
  assert.ok(all.size > 10, `${all.size} ways`);
});

test.run();
