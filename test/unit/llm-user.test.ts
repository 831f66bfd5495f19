// A customer played by a model: what it is asked, what counts as an answer, and whole conversations over a local server.

import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Chat, ChatMessage, CompleteOptions } from "../../src/chat.ts";
import { shop } from "../../src/domains/shop/index.ts";
import { faulty } from "../../src/errors.ts";
import { agents } from "../../src/eval/evaluate.ts";
import { type ChatOptions, openChat } from "../../src/llm/client.ts";
import { demonstrate } from "../../src/rollout/collect.ts";
import { Session } from "../../src/sandbox/session.ts";
import type { Rollout, Task } from "../../src/types.ts";
import { userFaults } from "../../src/user/faults.ts";
import { GOODBYE, LlmUser, type LlmUserOptions, readMessage } from "../../src/user/llm.ts";
import { type Behaviour, type LlmServer, llmServer, type Seen } from "../llm-server.ts";
import { someTasks } from "../talk.ts";

const task = { instruction: "You are Ann Lee and want to cancel order #light." };
const limits = { promptTokens: 1, contextTokens: 1 };

interface Question extends CompleteOptions {
  readonly messages: readonly ChatMessage[];
}

/** Says one thing after the other and keeps what it was asked. */
function parrot(
  ...answers: (string | { readonly text: string; readonly cut: boolean })[]
): Chat & { asked: Question[] } {
  const asked: Question[] = [];
  const bill = { calls: 1, inputTokens: 1, outputTokens: 1, dollars: 0 };
  return {
    model: "parrot",
    asked,
    async complete(messages, options) {
      asked.push({ ...options, messages: [...messages] });
      const answer = answers[Math.min(asked.length, answers.length) - 1];
      const said = typeof answer === "string" ? { text: answer, cut: false } : answer;
      return { ...said, calls: [], cached: false, bill };
    },
  };
}

async function failed(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it did not fail");
}

test("the customer's words are the assistant's, the agent's the user's", async () => {
  const chat = parrot("I want to cancel an order.", "It is #light.", `Thanks, bye. ${GOODBYE}`);
  const user = new LlmUser(chat, task, 7);
  assert.is(await user.open(), "I want to cancel an order.");
  assert.equal(await user.reply("Which order?"), { text: "It is #light.", done: false });
  assert.equal(await user.reply("It is cancelled."), { text: "Thanks, bye.", done: true });
  const [system, ...talk] = chat.asked[2].messages;
  assert.is(system.role, "system");
  assert.ok(system.text.endsWith(`\n---\n${task.instruction}`));
  assert.equal(talk, [
    { role: "user", text: "Hello, what can I do for you?" },
    { role: "assistant", text: "I want to cancel an order." },
    { role: "user", text: "Which order?" },
    { role: "assistant", text: "It is #light." },
    { role: "user", text: "It is cancelled." },
  ]);
  assert.ok(chat.asked.every(({ label }) => label === "user"));
});

test("every answer has a seed of its own, the same for the same conversation", async () => {
  const seeds = async (seed: number) => {
    const chat = parrot("", "Hi.", "Yes.");
    const user = new LlmUser(chat, task, seed);
    await user.open();
    await user.reply("Shall I?");
    return chat.asked.map(({ seed }) => seed);
  };
  const one = await seeds(1);
  assert.is(new Set(one).size, 3);
  assert.equal(await seeds(1), one);
  assert.not.equal(await seeds(2), one);
});

const table: readonly [answer: string, heard: ReturnType<typeof readMessage>][] = [
  ["Yes, please.", { text: "Yes, please.", done: false }],
  ["  Thanks! \n\n[GOODBYE]\n", { text: "Thanks!", done: true }],
  ["Thanks! **[goodbye]**.", { text: "Thanks!", done: true }],
  ["[GOODBYE]", { text: "", done: true }],
  ["<think>Shall I? [GOODBYE]</think>\n\nNo.", { text: "No.", done: false }],
  ["Shall I?</think>No.", { text: "No.", done: false }],
  ["Customer: No.", { text: "No.", done: false }],
  ["<think>Shall I?", "a thought without an end"],
  ["I will say [GOODBYE] when it is done.", "[GOODBYE] in the middle of it"],
  ["[GOODBYE] Thanks [GOODBYE]", "[GOODBYE] in the middle of it"],
  [" \n ", "it is empty"],
  ["<think>Hm.</think>", "it is empty"],
  ["x".repeat(51), "it is longer than 50 characters"],
];
for (const [answer, heard] of table)
  test(`reads ${JSON.stringify(answer.slice(0, 40))}`, () => assert.equal(readMessage(answer, 50, true), heard));

test("what a model says without an end is refused at once", () => {
  const start = Date.now();
  for (const endless of [" \n", "*", "<think>", "[GOODBYE] "])
    assert.type(readMessage(`Hi.${endless.repeat(200_000)}x`, 2000, true), "string");
  assert.ok(Date.now() - start < 2000);
});

test("does not leave before it has said anything", async () => {
  assert.is(readMessage("Bye. [GOODBYE]", 50, false), "[GOODBYE] before anything was said");
  assert.match(await failed(new LlmUser(parrot(GOODBYE), task, 1).open()), "cannot be used, 3 tries: [GOODBYE] before");
});

test("an answer that cannot be used is asked for again, three times in all", async () => {
  const chat = parrot("", { text: "I wa", cut: true }, "Hi.");
  assert.is(await new LlmUser(chat, task, 1).open(), "Hi.");
  assert.is(chat.asked.length, 3);
  assert.is(chat.asked[2].messages.length, 2, "what could not be used was never said");
  const mute = parrot("");
  assert.match(await failed(new LlmUser(mute, task, 1).open()), "3 tries: it is empty");
  assert.is(mute.asked.length, 3);
  const long = parrot({ text: "Hi.", cut: true });
  assert.match(await failed(new LlmUser(long, task, 1).open()), "cut off at its token limit");
});

// ---------------------------------------------------------------------------------------------------
// Whole conversations over a server
// ---------------------------------------------------------------------------------------------------

/** Plays a task with the expert as agent and a model behind a server as customer. */
async function play(
  task: Task,
  otherwise: Behaviour | ((seen: Seen) => Behaviour),
  options: Partial<ChatOptions> = {},
  userOptions: LlmUserOptions = {},
  script: readonly Behaviour[] = [],
): Promise<{ rollout: Rollout; server: LlmServer; took: number }> {
  const server = await llmServer(script, otherwise);
  try {
    const start = Date.now();
    const usual = { model: "m1", baseURL: server.url, timeoutMs: 10_000, retries: 1, backoffMs: 5 };
    const user = new LlmUser(openChat({ ...usual, ...options }), task, 1, userOptions);
    const agent = agents.oracle(shop, task, 1)!;
    const rollout = await demonstrate({ task, sample: 0, seed: 1 }, new Session(shop, task, user), agent, null, limits);
    return { rollout, server, took: Date.now() - start };
  } finally {
    await server.close();
  }
}

/** A model that plays the shop's customers well, from their scenario. */
const actor =
  ({ scenario }: Task) =>
  ({ body }: Seen): Behaviour => {
    const last = body.messages.at(-1).content;
    const { confirms, claimsDone, refuses } = shop.hears(last);
    const facts = shop.asks(last).map((slot) => scenario.facts[slot] ?? scenario.fallback);
    const say = (content: string): Behaviour => ({ do: "say", message: { content } });
    if (body.messages.length === 2) return say(`<think>Begin.</think>\n${scenario.opening}`);
    if (facts.length === 0 && !confirms && (claimsDone || refuses)) return say(`Thanks. ${GOODBYE}`);
    return say([...(confirms ? ["Yes."] : []), ...facts].join(" ") || scenario.fallback);
  };

test("with a model that plays well the expert passes, and nothing is found wrong", async () => {
  for (const task of someTasks(shop, 4)) {
    const { rollout } = await play(task, actor(task));
    assert.equal([rollout.ending, rollout.outcome.success], ["user-stop", 1], task.id);
    assert.not(JSON.stringify(rollout.transcript).includes("GOODBYE"));
    assert.equal(userFaults(rollout, shop.tools), []);
  }
});

test("a customer who leaves at the request for a yes is found out", async () => {
  const [task] = someTasks(shop, 1);
  const leaver = (seen: Seen): Behaviour =>
    seen.body.messages.length > 2 && shop.hears(seen.body.messages.at(-1).content).confirms
      ? { do: "say", message: { content: `Yes, thanks. ${GOODBYE}` } }
      : actor(task)(seen);
  const { rollout } = await play(task, leaver);
  assert.equal([rollout.ending, rollout.outcome.success], ["user-stop", 0]);
  assert.equal(
    userFaults(rollout, shop.tools).map(({ kind }) => kind),
    ["left-early"],
  );
});

test("a customer who fails is a fault of the conversation, before and in the middle of it", async () => {
  const [task] = someTasks(shop, 1);
  const opening: Behaviour = { do: "say", message: { content: task.scenario.opening } };
  const faults: readonly Behaviour[] = [
    { do: "stall-headers" },
    { do: "stall-body" },
    { do: "drop" },
    { do: "raw", text: "{}" },
    { do: "status", status: 401 },
    { do: "say", message: { content: "" } },
  ];
  for (const fault of faults)
    for (const script of [[], [opening]]) {
      const { rollout, took } = await play(
        task,
        fault,
        { timeoutMs: fault.do.startsWith("stall") ? 300 : 10_000 },
        {},
        script,
      );
      assert.is(rollout.ending, "user-fault");
      assert.ok(faulty(rollout.ending));
      assert.match(rollout.error!, fault.do === "say" ? "cannot be used" : "user: m1 at http://127.0.0.1");
      assert.is(rollout.transcript.filter(({ role }) => role === "user").length, script.length);
      assert.ok(took < 5000);
    }
});

test("a spent budget is no zero either", async () => {
  const [task] = someTasks(shop, 1);
  const { rollout, server } = await play(task, actor(task), { budget: { calls: 2 } });
  assert.is(rollout.ending, "user-fault");
  assert.is(rollout.error, "the budget of 2 calls is spent (2)");
  assert.is(server.seen.length, 2);
});

test("a message has a deadline of its own", async () => {
  const [task] = someTasks(shop, 1);
  const { rollout, took } = await play(
    task,
    { do: "stall-body" },
    { timeoutMs: 60_000, retries: 9 },
    { deadlineMs: 120 },
  );
  assert.is(rollout.ending, "user-fault");
  assert.is(rollout.error, "the customer gave no answer in 120 ms");
  assert.ok(took < 5000);
});

test.run();
