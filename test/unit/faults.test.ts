// The customer's mistakes: a table of conversations, and none found in those of the scripted customer.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { domainNames, domain as findDomain } from "../../src/domains/index.ts";
import { agents } from "../../src/eval/evaluate.ts";
import { demonstrate } from "../../src/rollout/collect.ts";
import { Session } from "../../src/sandbox/session.ts";
import type { Ending, Entry, Task } from "../../src/types.ts";
import { userFaults } from "../../src/user/faults.ts";
import { ScriptedUser } from "../../src/user/scripted.ts";
import { someTasks } from "../talk.ts";

const task = {
  instruction:
    "You are Ann Lee from zip code 02110; your e-mail address is ann.lee@mail.com. You want to cancel your order #W1234567 " +
    "of May 15, 2024, which cost $1,054.50, and you insist on it whatever the agent says. " +
    'End with "thank you very much for all of your kind help today".',
  scenario: {
    opening: "Hi.",
    facts: { payment: "To gift_card_9911." },
    fallback: "Cancel it.",
    slips: { zip: "My zip code is 02111." },
  },
  actions: [{ name: "cancel_order", arguments: '{"order_id": "#W1234567"}' }],
  outputs: [],
} as unknown as Task;
const tools = [
  { name: "cancel_order", writes: true },
  { name: "get_order", writes: false },
];

/** "c: " the customer, "a: " the agent, "t: name observation" a call, "i: " a turn that could not be acted on. */
function talk(lines: readonly string[]): Entry[] {
  let turn = 0;
  return lines.map((line): Entry => {
    const [kind, text] = [line[0], line.slice(3)];
    if (kind === "c") return { role: "user", text };
    if (kind === "a") return { role: "agent", turn: turn++, text };
    if (kind === "i") return { role: "invalid", turn: turn++, text, reason: "arguments", observation: "Error" };
    const [name, ...rest] = text.split(" ");
    const call = { name, arguments: {} };
    return {
      role: "tool",
      turn: turn++,
      call,
      observation: rest.join(" "),
      failed: false,
      wrote: name === "cancel_order",
    };
  });
}

const found = (lines: readonly string[], ending: Ending = "user-stop") =>
  userFaults({ task, transcript: talk(lines), ending }, tools).map(
    ({ kind, turn, evidence }) => `${kind} ${turn} ${evidence}`,
  );

const clean: readonly [name: string, lines: string[], ending?: Ending][] = [
  [
    "done",
    [
      "c: Hi, cancel order #W1234567, please.",
      "t: cancel_order cancelled",
      "a: It is cancelled. Anything else?",
      "c: No, thanks.",
    ],
  ],
  ["tried in vain", ["c: Cancel it.", "t: cancel_order Error: no", "a: Something else?", "c: No."]],
  ["tried with broken arguments", ["c: Cancel it.", "i: cancel_order {", "a: Something else?", "c: No."]],
  [
    "numbers beside words that only begin like a month",
    ["c: I have 2 separate wishes, decided 3 days ago, of 1 maybe, and market 5."],
    "turn-limit",
  ],
  ["numbers that belong to a word", ["c: I want the 5-star one with 24-hour service of 15kg."], "turn-limit"],
  ["refused", ["c: Cancel it.", "a: I am sorry, this order cannot be cancelled. Anything else?", "c: Then not."]],
  [
    "refused before",
    ["c: Cancel it.", "a: That is not possible.", "c: I insist.", "a: Is there anything else?", "c: No. Bye."],
  ],
  ["believes a lie", ["c: Cancel it.", "a: Done! Your order has been cancelled.", "c: Great, bye."]],
  [
    "the agent does nothing",
    ["c: Cancel it.", "a: Okay.", "c: Well?", "a: Okay.", "c: Hello?", "a: Okay.", "c: I give up."],
  ],
  [
    "the agent asks the same for ever",
    [
      "c: Hi.",
      "a: Your name?",
      "c: Ann.",
      "a: Your name?",
      "c: Ann!",
      "a: Your name?",
      "c: Ann.",
      "a: Your name?",
      "c: Bye.",
    ],
  ],
  ["the limit ended it", ["c: Cancel it.", "a: Which order?", "c: #W1234567."], "turn-limit"],
  [
    "what the instruction says",
    ["c: I am Ann Lee, 02110, ann.lee@mail.com.", "a: Which?", "c: W1234567 from 5/15, May 15th, for 1054.50 dollars."],
    "turn-limit",
  ],
  [
    "what the scenario says, slips included",
    ["c: gift_card_9911.", "a: Zip?", "c: My zip code is 02111."],
    "turn-limit",
  ],
  [
    "what was said and shown",
    [
      "c: Hi.",
      't: get_order {"id": "#W777", "date": "2024-06-01"}',
      "a: It costs $54.04.",
      "c: $54.04 for #W777 of June 1?",
    ],
    "turn-limit",
  ],
  ["the day after", ["c: I bought it the day before, May 14."], "turn-limit"],
  ["small numbers", ["c: I have 2 bags and 3 friends, and it is 11am, the 3rd time."], "turn-limit"],
  ["words that it is told to say", ["c: Thank you very much for all of your kind help today."], "turn-limit"],
  [
    "the same to the same question",
    ["c: Hi.", "a: Who?", "c: It is Ann Lee, as I have said.", "a: Who?", "c: It is Ann Lee, as I have said."],
    "turn-limit",
  ],
  ["a short yes twice", ["c: Hi.", "a: Cancel it?", "c: Yes, please.", "a: Really?", "c: Yes, please."], "turn-limit"],
  ["nothing in the last message but the end", ["c: Cancel it.", "a: It is cancelled.", "c: "]],
];
for (const [name, lines, ending] of clean) test(`no fault: ${name}`, () => assert.equal(found(lines, ending), []));

const faulty: readonly [name: string, lines: string[], expected: RegExp, ending?: Ending][] = [
  [
    "leaves when asked for a yes",
    ["c: Cancel it.", "t: get_order {}", "a: Shall I cancel it?", "c: Yes, thank you, bye."],
    /^left-early 1 left before cancel_order/,
  ],
  [
    "leaves when asked",
    ["c: Hi.", "a: What is your e-mail address?", "c: Never mind."],
    /^left-early 1 .*after "What is your/,
  ],
  [
    "leaves before it starts",
    ["c: Cancel it.", "a: Let me look at it.", "c: Thanks for cancelling it."],
    /^left-early 1/,
  ],
  ["an order", ["c: It is order #W7654321."], /^invented 0 #W7654321$/, "turn-limit"],
  ["an id", ["c: Hi.", "a: How do you pay?", "c: With gift_card_1122."], /^invented 1 gift_card_1122$/, "turn-limit"],
  ["a mail address", ["c: Hi.", "a: Mail?", "c: lee@mail.com."], /^invented 1 lee@mail.com$/, "turn-limit"],
  ["a zip code", ["c: I live in 90210."], /^invented 0 90210$/, "turn-limit"],
  ["a part of a number", ["c: It is order 1234."], /^invented 0 1234$/, "turn-limit"],
  ["an amount", ["c: I paid $99.95."], /^invented 0 \$99.95$/, "turn-limit"],
  ["an amount in words", ["c: I paid 99 dollars."], /^invented 0 99$/, "turn-limit"],
  ["a date", ["c: I was born on 1988-04-10."], /^invented 0 1988-04-10$/, "turn-limit"],
  ["a date in words", ["c: I bought it on the 3rd of July."], /^invented 0 3rd of July/, "turn-limit"],
  ["a month that is cut short", ["c: I bought it on Sept. 3."], /^invented 0 Sept. 3$/, "turn-limit"],
  ["another year", ["c: I bought it on May 15, 2023."], /^invented 0 May 15, 2023$/, "turn-limit"],
  ["known only later", ["c: It is #W777.", "t: get_order #W777"], /^invented 0 #W777$/, "turn-limit"],
  ["a telephone number", ["c: Call 555-123-4567."], /^invented 0 555-123-4567$/, "turn-limit"],
  [
    "the instruction's own words",
    ["c: You want to cancel your order W1234567 of May 15, 2024."],
    /^leaked 0 you want to cancel your order w1234567 of$/,
    "turn-limit",
  ],
  ["a model", ["c: As an AI language model I have no order."], /^leaked 0 As an AI$/, "turn-limit"],
  ["instructions", ["c: That is not in my instructions."], /^leaked 0 my instructions$/, "turn-limit"],
  ["a stop token", ["c: I will say ###STOP### then."], /^leaked 0 ###STOP###$/, "turn-limit"],
  ["a thought", ["c: <think>I should say yes"], /^leaked 0 <think>$/, "turn-limit"],
  ["the other side", ["c: How can I help you today?"], /^as-agent 0 How can I help you$/, "turn-limit"],
  ["the other side's work", ["c: I have cancelled your order."], /^as-agent 0/, "turn-limit"],
  ["silence", ["c: Hi.", "a: Name?", "c:  "], /^empty 1/, "turn-limit"],
  ["a speech", [`c: ${"please ".repeat(300)}`], /^too-long 0 2100 characters$/, "turn-limit"],
  [
    "the same again",
    [
      "c: Hi.",
      "a: Name?",
      "c: I would like to cancel my order.",
      "a: And your mail?",
      "c: I would like to cancel my order!",
    ],
    /^repeated 2/,
    "turn-limit",
  ],
];
for (const [name, lines, expected, ending] of faulty)
  test(`fault: ${name}`, () => {
    const faults = found(lines, ending);
    assert.is(faults.length, 1, faults.join("; "));
    assert.match(faults[0], expected);
  });

test("what is invented twice is found once", () => {
  const faults = found(["c: Order #W777.", "a: Which?", "c: #W777."], "turn-limit");
  assert.equal(faults, ["invented 0 #W777"]);
});

test("a look-up of the ground truth is no wish of the customer's", () => {
  const looks = { ...task, actions: [{ name: "get_order", arguments: "{}" }] };
  const transcript = talk(["c: Hi.", "a: What can I do?", "c: Nothing."]);
  assert.equal(userFaults({ task: looks, transcript, ending: "user-stop" }, tools), []);
});

test("none in conversations of the scripted customer, disturbed or not, with an oracle and with agents of no use", async () => {
  let played = 0;
  const wrong: string[] = [];
  for (const name of domainNames) {
    const domain = await findDomain(name);
    for (const task of someTasks(domain, Math.ceil(60 / domain.families.length)))
      for (const of of ["oracle", "do-nothing", "refuse"])
        for (const disturbances of [0, 1]) {
          const seed = played++;
          const user = new ScriptedUser(domain, task, seed, { disturbances });
          const agent = agents[of](domain, task, seed)!;
          const attempt = { task, sample: 0, seed };
          const limits = { promptTokens: 1, contextTokens: 1 };
          const talk = await demonstrate(attempt, new Session(domain, task, user), agent, null, limits);
          for (const fault of userFaults(talk, domain.tools)) wrong.push(`${of} ${task.id} ${JSON.stringify(fault)}`);
        }
  }
  assert.equal(wrong, []);
  assert.ok(played >= 700, `${played}`);
});

test.run();
