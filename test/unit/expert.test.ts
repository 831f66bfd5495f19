// The scripted expert of any domain, line by line, against customers who answer, hesitate and fall silent.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { asksFor, hears } from "../../src/domains/ears.ts";
import { list, scriptedExpert, type Words } from "../../src/domains/expert.ts";
import type { Entry, Habits, Task, Tool, WrittenCall } from "../../src/types.ts";

const tool = (name: string, ends = false): Tool => ({
  name,
  description: "",
  parameters: {},
  writes: false,
  ends,
  call: () => "",
});
const domain = {
  name: "toy",
  database: () => new Map(),
  tools: [tool("find"), tool("look"), tool("pay"), tool("transfer", true)],
  asks: asksFor({ email: /\bwho\b/i, amount: /\bhow much\b/i }),
  hears,
};
const words: Words = {
  identify: [{ slots: ["email", "name"], text: "Who are you?" }],
  details: [{ slots: ["amount"], text: "How much?" }],
  describe: ({ arguments: { amount } }) => `pay ${amount}`,
  mistaken: (call) => ({ ...call, arguments: '{"amount":9}' }),
};
const NO_HABITS: Habits = { skipsLookup: 0, skipsConfirmation: 0, wrongChoice: 0, ignoresRules: 0, recovers: 0 };
const written = (name: string, args = "{}"): WrittenCall => ({ name, arguments: args });

const task = (change: Partial<Task>): Task => ({
  id: "toy/1/pay/0",
  domain: "toy",
  family: "pay",
  database: 1,
  instruction: "",
  scenario: { opening: "Pay.", facts: { email: "a@b.", amount: "5." }, fallback: "" },
  lookups: [written("find"), written("look")],
  actions: [written("pay", '{"amount":5}')],
  outputs: [],
  ...change,
});

/** What the expert does while the customer says one thing after the other. */
function lines(task: Task, answers: readonly string[], habits: Partial<Habits> = {}): string[] {
  const expert = scriptedExpert(domain, words)(task, { ...NO_HABITS, ...habits }, 1);
  const transcript: Entry[] = [{ role: "user", text: task.scenario.opening }];
  const said: string[] = [];
  const left = [...answers];
  for (;;) {
    const { text, calls } = expert(transcript);
    said.push(calls[0]?.name ?? text);
    const { confirms, claimsDone, refuses } = hears(text);
    if (calls[0]?.name === "transfer" || (!confirms && (claimsDone || refuses) && left.length === 0)) return said;
    if (calls[0])
      transcript.push({ role: "tool", turn: 0, call: calls[0], observation: "", failed: false, wrote: false });
    else transcript.push({ role: "agent", turn: 0, text }, { role: "user", text: left.shift() ?? "" });
  }
}

const CONSENT = "I am going to pay 5. Shall I go ahead (yes or no)?";
const CLOSING = "All set: pay 5. Have a nice day.";

test("asks for what was not said, looks up, asks for a yes, acts and closes", () => {
  assert.equal(lines(task({}), ["a@b.", "5.", "Yes."]), [
    "Who are you?",
    "find",
    "look",
    "How much?",
    CONSENT,
    "pay",
    CLOSING,
  ]);
  const given = task({});
  const told = { ...given, scenario: { ...given.scenario, given: ["email", "amount"] } };
  assert.equal(lines(told, ["Yes."]), ["find", "look", CONSENT, "pay", CLOSING]);
});

test("asks again where no answer came, and for consent again after a no; not for ever", () => {
  assert.equal(lines(task({}), ["Why?", "Well, a@b. it is", "5.", "Wait, not yet.", "Yes."]), [
    ...["Who are you?", "Who are you?", "find", "look", "How much?", CONSENT, CONSENT, "pay", CLOSING],
  ]);
  assert.is(lines(task({}), []).filter((line) => line === "Who are you?").length, 3);
});

test("refuses what is forbidden, and serves what the customer falls back on", () => {
  const forbidden = { action: written("pay", '{"amount":7}'), rule: "it is too much" };
  const no = "I am sorry, I cannot do that: it is too much.";
  assert.equal(lines(task({ actions: [], forbidden }), ["a@b."]), ["Who are you?", "find", "look", no]);
  const { scenario } = task({});
  const hidden = task({ forbidden, scenario: { ...scenario, otherwise: ["Then pay 5."] } });
  assert.equal(lines(hidden, ["a@b.", "Then pay 5.", "5.", "Yes."]).slice(3, 6), [no, "How much?", CONSENT]);
  // Told at once what to fall back on, there is nothing to refuse.
  assert.not(lines(task({ forbidden }), ["a@b.", "5.", "Yes."]).includes(no));
  assert.ok(lines(task({ actions: [], forbidden }), ["a@b.", "5."], { ignoresRules: 1 }).includes("pay"));
});

test("answers questions, and hands over where the last look-up does", () => {
  const asked = task({ actions: [], outputs: ["12.50", "3"] });
  assert.is(lines(asked, ["a@b."]).at(-1), "The answer is 12.50 and 3. Is there anything else?");
  assert.is(lines(task({ actions: [] }), ["a@b."]).at(-1), "That is all I can see. Is there anything else?");
  assert.is(
    lines(task({ outputs: ["12.50"] }), ["a@b.", "5.", "Yes."])
      .at(-1)!
      .includes("The answer is 12.50."),
    true,
  );
  const strange = task({ actions: [], lookups: [written("find"), written("transfer")] });
  assert.equal(lines(strange, ["a@b."], { skipsLookup: 1 }), ["Who are you?", "find", "transfer"]);
});

test("each habit makes its mistake", () => {
  const answers = ["a@b.", "5.", "Yes.", "Yes."];
  assert.not(lines(task({}), answers, { skipsLookup: 1 }).includes("look"));
  assert.not(lines(task({}), answers, { skipsConfirmation: 1 }).includes(CONSENT));
  assert.ok(lines(task({}), answers, { wrongChoice: 1 }).includes("All set: pay 9. Have a nice day."));
  assert.equal(lines(task({}), answers, { recovers: 1 }).slice(4), [
    "I am going to pay 9. Shall I go ahead (yes or no)?",
    `Wait, that was wrong. ${CONSENT}`,
    "pay",
    CLOSING,
  ]);
});

test("lists read as a sentence", () => {
  assert.equal([list([]), list(["a"]), list(["a", "b"]), list(["a", "b", "c"])], ["", "a", "a and b", "a, b and c"]);
});

test.run();
