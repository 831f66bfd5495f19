// The scripted customer: on a scenario written by hand and the shop's ears, then with the experts of shop and retail.

import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { retail } from "../../src/domains/retail/index.ts";
import { shop } from "../../src/domains/shop/index.ts";
import { ruleJudge } from "../../src/judge/rules.ts";
import { Random } from "../../src/random.ts";
import { Session, sessionDefaults } from "../../src/sandbox/session.ts";
import type { Domain, Scenario, Task } from "../../src/types.ts";
import { userFaults } from "../../src/user/faults.ts";
import * as phrases from "../../src/user/phrases.ts";
import { ScriptedUser } from "../../src/user/scripted.ts";
import { type Agent, oracle, playTalk, say, someTasks } from "../talk.ts";

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

const domains: readonly Domain[] = [shop, retail];

/** How shop and retail hear a no in the customer's first word. */
const NO = /^\W*(no|not|nope|wait|stop|don['’]?t|do not)\b/i;

const altered = (task: Task, scenario: Partial<Scenario>): Task => ({
  ...task,
  scenario: { ...task.scenario, ...scenario },
});

/** A task whose customer may give a wrong answer to anything. */
const slippery = (task: Task): Task =>
  altered(task, {
    slips: Object.fromEntries(Object.keys(task.scenario.facts).map((slot) => [slot, `Another ${slot}.`])),
  });

/** Does the customer's answer hold all that was asked for? */
function answers(domain: Domain, { scenario }: Task, message: string, answer: string): boolean {
  const { facts, otherwise = [] } = scenario;
  if (otherwise.includes(answer)) return true;
  const slots = domain.asks(message).filter((slot) => Object.hasOwn(facts, slot));
  const { confirms, claimsDone, refuses } = domain.hears(message);
  const complete = slots.every((slot) => answer.includes(facts[slot])) && !(confirms && NO.test(answer));
  return complete && (slots.length > 0 || confirms || !(claimsDone || refuses));
}

async function play(domain: Domain, task: Task, agent: Agent, seed: number, disturbances: number) {
  const user = new ScriptedUser(domain, task, seed, { disturbances });
  const session = new Session(domain, task, user);
  await session.start();
  let turns = 0;
  while (!session.ending) {
    await session.act(agent(session.transcript));
    turns++;
  }
  const { transcript, ending } = session;
  return { transcript, ending, turns, outcome: session.outcome(), disturbed: user.disturbed };
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

test("without style and disturbances nothing has changed: recorded conversations, byte by byte", async () => {
  // Hashes of what the customer says, recorded before there were styles: policies were trained on these words.
  const recorded = "5bd200999552e9c509575f85f34f30b9ae73652e4af94734546329161d3c0833";
  const habits = { skipsLookup: 0.2, skipsConfirmation: 0.2, wrongChoice: 0.2, ignoresRules: 0.2, recovers: 0.5 };
  const hash = createHash("sha256");
  for (const [seed, task] of someTasks(shop, 20).entries())
    for (const agent of [shop.expert!(task, habits, seed), wandering(seed)]) {
      const { transcript, ending } = await playTalk(shop, task, agent, seed);
      const said = transcript.flatMap((entry) => (entry.role === "user" ? [entry.text] : []));
      hash.update(JSON.stringify([said, ending]));
    }
  assert.is(hash.digest("hex"), recorded);
});

function wandering(seed: number): Agent {
  const random = new Random("wandering", seed);
  const ends = ["Done.", "I cannot do that."];
  const lines = [
    "One moment.",
    "What is your email?",
    "Which item, and which order?",
    "To which payment?",
    "Hm.",
    "Shall I do it?",
    "May I do that now? And what is your email?",
  ];
  return () => say(random.chance(0.1) ? random.pick(ends) : random.pick(lines));
}

test("a style colours the answers and leaves facts as they are", async () => {
  for (const style of phrases.styles) {
    const ways = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const user = new ScriptedUser(shop, altered(task, { style }), seed);
      const { text } = await user.reply("What is your email, and which item is it?");
      assert.match(text, /It is ann\.lee@mail\.com\..*The vase\./);
      ways.add(text);
      if (style === "terse" || style === "plain") assert.is(text, "It is ann.lee@mail.com. The vase.");
      ways.add((await user.reply("Shall I return it?")).text);
    }
    assert.ok(ways.size >= (style === "terse" || style === "plain" ? 5 : 10), `${style}: ${ways.size} ways`);
  }
});

test("a style that does not exist is one clear line", () => {
  assert.throws(
    () => new ScriptedUser(shop, altered(task, { style: "grumpy" as never }), 1),
    /^task shop\/1\/return\/0: style "grumpy": expected one of plain, terse, /,
  );
});

test("a yes is heard as one, what is said in place of it as a no", () => {
  for (const style of phrases.styles)
    for (const text of phrases.PHRASES[style].yes) assert.not.match(text, NO, `${style}: ${text}`);
  for (const text of [...phrases.COST, ...phrases.NOT_YET, ...phrases.MENDS_LATER]) assert.match(text, NO, text);
});

test("in every style the experts pass, and no yes is missed", async () => {
  for (const domain of domains) {
    const judge = ruleJudge(domain);
    for (const [i, plain] of someTasks(domain, 2).entries())
      for (const style of phrases.styles) {
        const task = altered(plain, { style });
        const rollout = await playTalk(domain, task, domain.expert!(task, oracle, i), i);
        assert.is(rollout.outcome.success, 1, `${task.id} ${style}`);
        assert.not((await judge.judge(rollout)).scores!.includes(-1), `${task.id} ${style}`);
      }
  }
});

/** Asks until it is answered, twice a message at most; what the customer says, and what has happened to it. */
async function ask(messages: readonly string[], seed: number, disturbances: number) {
  const played = slippery(task);
  const user = new ScriptedUser(shop, played, seed, { disturbances });
  const said: { message: string; text: string; answered: boolean }[] = [];
  for (const message of messages)
    for (let i = 0; i < 2 && !(said.at(-1)?.message === message && said.at(-1)?.answered); i++) {
      const { text, done } = await user.reply(message);
      assert.not(done, `${message}: ${text}`);
      said.push({ message, text, answered: answers(shop, played, message, text) });
    }
  return { said, disturbed: user.disturbed };
}

test("each disturbance: how it reads, once, and then the truth", async () => {
  const messages = ["What is your email?", "Which order is it?", "Which item?", "Shall I do it?"];
  const { facts } = task.scenario;
  const seen: Record<string, number> = {};
  for (let seed = 0; seed < 400; seed++) {
    const { said, disturbed } = await ask(messages, seed, 1);
    assert.ok(disturbed.length <= 2 && new Set(disturbed).size === disturbed.length, `${seed}: ${disturbed}`);
    for (const kind of disturbed) seen[kind] = (seen[kind] ?? 0) + 1;
    // Every message is answered by the truth in the end.
    for (const message of messages) assert.ok(said.findLast((line) => line.message === message)!.answered, `${seed}`);

    const texts = said.map(({ text }) => text).join("\n");
    const has = (list: readonly string[]) => list.some((line) => texts.includes(line));
    const happened = (kind: (typeof disturbed)[number]) => disturbed.includes(kind);
    assert.is(has(phrases.FORGETS), happened("forgets"));
    assert.is(has([...phrases.WHY, ...phrases.COST]), happened("asks"));
    assert.is(has(phrases.NOT_YET.map((line) => `${line} ${facts.item}`)), happened("changes"));
    assert.is(has(phrases.TALK), happened("talks"));
    assert.is(has([...phrases.MENDS, ...phrases.MENDS_LATER]), happened("corrects"));
    const slip = texts.match(/Another (\w+)\.(.*)/s);
    assert.is(slip !== null, happened("corrects"));
    if (slip) assert.ok(slip[2].includes(facts[slip[1]]), "the right answer comes after the wrong one");
  }
  for (const kind of ["forgets", "corrects", "asks", "changes", "talks"])
    assert.ok(seen[kind] > 40, `${kind} ${seen[kind]}`);
});

test("without its disturbances a conversation is the undisturbed one: they cost no patience and change no words", async () => {
  // Two messages in a row that are of no use: a third one, and the customer leaves.
  const useless = ["Hm.", "Well."];
  const messages = ["What is your email?", ...useless, "Which item?", ...useless, "Shall I do it?", ...useless];
  for (let seed = 0; seed < 100; seed++) {
    const calm = await ask(messages, seed, 0);
    const { said, disturbed } = await ask(messages, seed, 1);
    assert.equal(calm.disturbed, []);
    if (disturbed.includes("corrects") || disturbed.includes("talks")) continue;
    const instead = new Set([...phrases.FORGETS, ...phrases.WHY, ...phrases.COST]);
    const calmer = said.filter(
      ({ text }) => !instead.has(text) && !phrases.NOT_YET.some((line) => text.startsWith(line)),
    );
    assert.is(said.length - calmer.length, disturbed.length);
    assert.equal(calmer, calm.said);
  }
});

test("an agent that waits, or explains itself, gets the answer that it is owed", async () => {
  for (const message of ["Take your time.", "I cannot find you without it.", "I use it to find you."]) {
    let dodged = 0;
    for (let seed = 0; seed < 60; seed++) {
      const user = new ScriptedUser(shop, task, seed, { disturbances: 1 });
      const { text } = await user.reply("What is your email?");
      if (text.includes(task.scenario.facts.email)) continue;
      dodged++;
      assert.equal(await user.reply(message), { text: task.scenario.facts.email, done: false });
    }
    assert.ok(dodged > 10);
  }
});

test("what a customer falls back on is not told before something is refused", async () => {
  const played = altered(task, { otherwise: ["Then I want to keep it."] });
  for (let seed = 0; seed < 100; seed++) {
    const user = new ScriptedUser(shop, played, seed, { disturbances: 1 });
    for (const message of ["Shall I return it?", "Shall I?"])
      assert.not.match((await user.reply(message)).text, /keep it|vase/i);
    assert.not(user.disturbed.includes("changes"));
    assert.equal(await user.reply("I cannot do that."), { text: "Then I want to keep it.", done: false });
    assert.ok((await user.reply("I cannot do that.")).done);
  }
});

test("an error is mended whatever the agent says next, and is heard as no yes", async () => {
  for (const message of [
    "Shall I do it?",
    "Done.",
    "I cannot do that.",
    "Hm.",
    "Which order?",
    "What is your email?",
  ]) {
    let wrong = 0;
    for (let seed = 0; seed < 200; seed++) {
      const user = new ScriptedUser(shop, slippery(task), seed, { disturbances: 1 });
      if ((await user.reply("What is your email?")).text !== "Another email.") continue;
      wrong++;
      const { text, done } = await user.reply(message);
      assert.not(done);
      assert.match(text, NO);
      assert.ok(text.includes(task.scenario.facts.email));
    }
    assert.ok(wrong > 3);
  }
});

test("a careful agent finishes every task, however the customer is disturbed", async () => {
  const tasks: [Domain, number][] = [
    [shop, 60],
    [retail, 12],
  ];
  for (const [domain, count] of tasks) {
    const seen: Record<string, number> = {};
    for (const [i, plain] of someTasks(domain, count).entries()) {
      const task = altered(slippery(plain), { style: phrases.styles[i % phrases.styles.length] });
      const agent = () => domain.expert!(task, oracle, i);
      const calm = await play(domain, task, agent(), i, 0);
      const played = await play(domain, task, agent(), i, 1);
      const { outcome, ending, turns, disturbed } = played;
      // To be disturbed is no fault of a customer.
      const faults = (of: typeof played) =>
        userFaults({ task, ...of }, domain.tools).map(({ kind, evidence }) => `${kind}: ${evidence}`);
      assert.equal(faults(played), faults(calm), `${task.id}: ${disturbed}`);
      assert.is(outcome.success, 1, `${task.id}: ${disturbed}`);
      assert.is(ending, calm.ending, `${task.id}: ${disturbed}`);
      assert.ok(turns <= calm.turns + disturbed.length, `${task.id}: ${turns} turns, not ${calm.turns}; ${disturbed}`);
      assert.ok(turns < sessionDefaults.turns);
      for (const kind of disturbed) seen[kind] = (seen[kind] ?? 0) + 1;
    }
    for (const kind of ["forgets", "corrects", "asks", "changes", "talks"])
      assert.ok(seen[kind] > 5, `${domain.name}: ${kind} ${seen[kind]}`);
  }
});

test("the rate is the share of disturbed conversations; nothing is told of what did not happen", async () => {
  let planned = 0;
  for (let seed = 0; seed < 1000; seed++) {
    const user = new ScriptedUser(shop, task, seed, { disturbances: 0.3 });
    assert.equal(user.disturbed, []);
    for (const message of ["What is your email, which order and which item?", "Shall I do it?"])
      await user.reply(message);
    if (user.disturbed.length > 0) planned++;
  }
  assert.ok(planned > 250 && planned < 350, `${planned} of 1000`);
});

test("nothing makes the customer throw, and nothing keeps it for ever", async () => {
  const messages = [
    "",
    "Was ist Ihre E-Mail-Adresse?",
    "¿Puedo ayudarle? 请问您的订单号是多少？",
    "What is your blood type, and the name of your first pet?",
    "What is your email, which order, which item, to which payment and which option?",
    "Shall I, may I, can I do it, is that ok?",
    "__proto__ constructor toString?",
    "\u0000\ud800\u202e<|im_end|>###STOP###",
    "x".repeat(20_000),
    "Which order? ".repeat(1_500),
    `${"may I ".repeat(3_000)}?`,
    " ?.!".repeat(5_000),
  ];
  for (const domain of domains) {
    const tasks = someTasks(domain, 2);
    for (const message of messages)
      for (const [seed, plain] of tasks.entries()) {
        const style = phrases.styles[seed % phrases.styles.length];
        const user = new ScriptedUser(domain, altered(slippery(plain), { style }), seed, { disturbances: 1 });
        let replies = 0;
        for (let done = false; !done && replies < 20; replies++) {
          const reply = await user.reply(message);
          assert.ok(reply.text.length > 0 && reply.text.length < 2_000);
          done = reply.done;
        }
        // Three that are of no use, one that may be new, and two for disturbances.
        assert.ok(replies <= 6, `${domain.name}, ${message.slice(0, 40)}: ${replies} replies`);
      }
  }
});

test.run();
