// How goals become a customer's words: what each wording tells at once, holds back, and falls back on.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Goal, NOTHING } from "../../src/domains/making/goals.ts";
import { type Identity, tell } from "../../src/domains/making/telling.ts";
import { Random } from "../../src/random.ts";

const identity: Identity = {
  slots: { email: "My e-mail address is ada@mail.example.", name: "I am Ada Holm." },
  first: "email",
  prose: "You are Ada Holm.",
};
const goal: Goal = {
  ...NOTHING,
  want: "return my lamp",
  facts: { order: "It is order #R1." },
  details: { payment: { said: "with the refund to my card", answer: "To my card.", slip: "To my PayPal account." } },
};
const told = (wording: { easy: boolean; hard: boolean }, ...goals: Goal[]) =>
  Array.from({ length: 40 }, (_, i) => tell(goals, identity, wording, new Random(i)));

test("easy: says at once who it is and all that is wanted", () => {
  for (const { scenario } of told({ easy: true, hard: false }, goal)) {
    assert.match(scenario.opening, /ada@mail\.example\./);
    assert.match(scenario.opening, / to return my lamp, with the refund to my card\./);
    assert.equal([...scenario.given!].sort(), ["email", "order", "payment"]);
  }
});

test("hard: says neither, but answers when asked", () => {
  for (const { scenario } of told({ easy: false, hard: true }, goal)) {
    assert.match(scenario.opening, /return my lamp\.$/);
    assert.not.match(scenario.opening, /ada@|card/);
    assert.equal(scenario.given, ["order"]);
    assert.equal(scenario.facts, { ...identity.slots, order: "It is order #R1.", payment: "To my card." });
    assert.equal(scenario.slips, { payment: "To my PayPal account." });
  }
});

test("both: the name is said, details are not; neither: sometimes the one, sometimes the other", () => {
  for (const { scenario } of told({ easy: true, hard: true }, goal)) {
    assert.match(scenario.opening, /ada@mail\.example/);
    assert.not.match(scenario.opening, /card/);
  }
  const openings = told({ easy: false, hard: false }, goal).map(({ scenario }) => scenario.opening);
  for (const words of [/ada@/, /card/]) {
    const said = openings.filter((opening) => words.test(opening)).length;
    assert.ok(said > 4 && said < 36, `${words}: ${said} of 40`);
  }
});

test("several goals are told in full, and an answer says which one it is about", () => {
  const other = { ...goal, want: "send back my chair" };
  for (const { scenario } of told({ easy: false, hard: true }, goal, other)) {
    assert.match(
      scenario.opening,
      /return my lamp, with the refund to my card\. [A-Z][^.]* to send back my chair, with the refund to my card\./,
    );
    assert.is(scenario.facts.payment, "To return my lamp: To my card. To send back my chair: To my card.");
    assert.is(scenario.slips, undefined);
  }
});

test("what to fall back on is said at once, or after a refusal where the wording is hard", () => {
  const wish: Goal = { ...goal, want: "cancel my order", details: {}, otherwise: goal };
  const [easy] = told({ easy: true, hard: false }, wish);
  assert.match(easy.scenario.opening, /cancel my order\. [A-Z][^.]* to return my lamp, with/);
  assert.is(easy.scenario.otherwise, undefined);
  const [hard] = told({ easy: true, hard: true }, wish);
  assert.not.match(`${hard.scenario.opening} ${hard.scenario.fallback}`, /lamp/);
  assert.is(hard.scenario.otherwise!.length, 1);
  assert.match(hard.scenario.otherwise![0], / to return my lamp, with the refund to my card\.$/);
  assert.match(
    hard.instruction,
    /You want to cancel your order\. If that cannot be done, you want to return your lamp/,
  );
});

test("what a customer says is heard neither as a no nor as anything but words", () => {
  const wish: Goal = { ...goal, want: "cancel my order", otherwise: goal };
  for (const hard of [true, false])
    for (const { scenario } of told({ easy: false, hard }, wish))
      for (const text of [scenario.opening, scenario.fallback, ...(scenario.otherwise ?? [])]) {
        assert.not.match(text, /^\W*(no|not|nope|wait|stop|don['’]?t|do not)\b/i);
        assert.not.match(text, /^\s|\s$|\s\s|undefined|,,|\.\./);
      }
});

test("hundreds of openings of one goal, in every style", () => {
  const all = Array.from({ length: 2000 }, (_, i) =>
    tell([goal], identity, { easy: i % 2 === 0, hard: false }, new Random(i)),
  );
  assert.ok(new Set(all.map(({ scenario }) => scenario.opening)).size > 300);
  assert.is(new Set(all.map(({ scenario }) => scenario.style)).size, 7);
  assert.ok(all.every(({ scenario }, i) => scenario.wording!.easy === (i % 2 === 0)));
});

test.run();
