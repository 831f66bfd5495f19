// A model behind an API as agent: what it is shown, how its answers are read, and whole conversations over a server.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { domain as findDomain } from "../../src/domains/index.ts";
import { shop } from "../../src/domains/shop/index.ts";
import { faulty } from "../../src/errors.ts";
import { agents } from "../../src/eval/evaluate.ts";
import { metered } from "../../src/llm/budget.ts";
import { type ChatOptions, openChat } from "../../src/llm/client.ts";
import { chatAgent } from "../../src/rollout/agent.ts";
import { demonstrate } from "../../src/rollout/collect.ts";
import { parseTurn } from "../../src/rollout/parse.ts";
import { Session } from "../../src/sandbox/session.ts";
import type { AgentTurn, Domain, Rollout, Task } from "../../src/types.ts";
import { ScriptedUser } from "../../src/user/scripted.ts";
import { type Behaviour, type LlmServer, llmServer } from "../llm-server.ts";
import { type Agent, playTalk, someTasks } from "../talk.ts";

const limits = { promptTokens: 1, contextTokens: 1 };
const [task] = someTasks(shop, 1);

/** What a server says for a turn. */
const answer = ({ text, calls }: Pick<AgentTurn, "text" | "calls">, finish = "stop"): Behaviour => ({
  do: "say",
  finish,
  message: {
    role: "assistant",
    content: text || null,
    tool_calls: calls.map((call, i) => ({ id: `x${i}`, type: "function", function: call })),
  },
});

async function play(
  domain: Domain,
  task: Task,
  script: readonly Behaviour[],
  otherwise?: (session: Session) => Behaviour,
  options: Partial<ChatOptions> = {},
): Promise<{ rollout: Rollout; server: LlmServer }> {
  const session = new Session(domain, task, new ScriptedUser(domain, task, 3));
  const server = await llmServer(script, otherwise && (() => otherwise(session)));
  try {
    const usual = { model: "m1", baseURL: server.url, timeoutMs: 10_000, retries: 1, backoffMs: 5 };
    const chat = metered(openChat({ ...usual, prices: { input: 1, output: 1 }, ...options }));
    const agent = chatAgent(chat, domain, 5);
    const rollout = await demonstrate({ task, sample: 0, seed: 3 }, session, agent, null, limits);
    return { rollout: { ...rollout, bill: chat.bill() }, server };
  } finally {
    await server.close();
  }
}

test("a model that answers as the expert does has the expert's conversation", async () => {
  for (const name of ["shop", "retail"]) {
    const domain = await findDomain(name);
    for (const task of someTasks(domain, 1)) {
      const expected = await playTalk(domain, task, agents.oracle(domain, task, 3) as Agent, 3);
      const expert = agents.oracle(domain, task, 3) as Agent;
      const { rollout, server } = await play(domain, task, [], ({ transcript }) => answer(expert(transcript)));
      assert.equal(rollout.transcript, expected.transcript, task.id);
      assert.equal([rollout.ending, rollout.outcome], [expected.ending, expected.outcome]);
      assert.is(rollout.outcome.success, 1);
      assert.is(server.seen.length, rollout.turns);
      const { calls, inputTokens, outputTokens, dollars } = rollout.bill!;
      assert.equal(
        [calls, inputTokens, outputTokens],
        [1, 10, 5].map((each) => each * rollout.turns),
      );
      assert.is(dollars.toFixed(9), ((15 * rollout.turns) / 1e6).toFixed(9));
      for (const { body } of server.seen) {
        assert.is(body.messages[0].content, domain.policy);
        assert.equal(
          body.tools.map(({ function: { name } }: any) => name),
          domain.tools.map(({ name }) => name),
        );
      }
      assert.is(new Set(server.seen.map(({ body }) => body.seed)).size, rollout.turns);
    }
  }
});

test("the model sees the talk as it was: of a turn the first call, with the words beside it", async () => {
  const find = { name: "find_user", arguments: '{"email": "nobody@mail.com"}' };
  const script = [
    answer({ text: "Your mail?", calls: [] }),
    answer({ text: "I look.", calls: [find, { name: "get_order", arguments: "{}" }] }),
  ];
  const { rollout, server } = await play(shop, task, script, () => answer({ text: "I cannot do that.", calls: [] }));
  const said = rollout.transcript.flatMap((entry) => (entry.role === "user" ? [entry.text] : []));
  const looked = rollout.transcript.find((entry) => entry.role === "tool");
  assert.is(rollout.transcript.filter(({ role }) => role === "tool").length, 1);
  assert.equal(server.seen[2].body.messages.slice(1), [
    { role: "user", content: said[0] },
    { role: "assistant", content: "Your mail?" },
    { role: "user", content: said[1] },
    { role: "assistant", content: "I look.", tool_calls: [{ id: "call00004", type: "function", function: find }] },
    { role: "tool", tool_call_id: "call00004", content: looked?.role === "tool" && looked.observation },
  ]);
});

const written: readonly string[] = [
  '{"email": ',
  "{'email': 1}",
  '{"email": 1} and more',
  "[1]",
  '"email"',
  "null",
  `{"email": ${"[".repeat(100)}${"]".repeat(100)}}`,
  `{"email": "${"x".repeat(100_000)}"}`,
  '{"email": 1e999}',
  '{"email": 5}',
  '{"mail": "x"}',
  "{}",
  ' {"email": "nobody@mail.com"} ',
  '"{\\"email\\": \\"nobody@mail.com\\"}"',
];
for (const json of written)
  test(`arguments are read as the policy's are: ${json.slice(0, 40)}`, async () => {
    const find = { name: "find_user", arguments: json };
    const bye = answer({ text: "I cannot do that.", calls: [] });
    const { rollout, server } = await play(shop, task, [answer({ text: "", calls: [find] })], () => bye);
    const policy = parseTurn(`<tool_call>\n{"name": "find_user", "arguments": ${json}}\n</tool_call>`, false);
    let turns = 0;
    const same = (): AgentTurn => (turns++ === 0 ? policy : { text: "I cannot do that.", calls: [], invalid: null });
    const expected = await playTalk(shop, task, same, 3);
    const shape = ({ transcript }: Pick<Rollout, "transcript">) =>
      transcript.map((entry) => [
        entry.role,
        "reason" in entry ? entry.reason : null,
        "call" in entry ? entry.call : null,
      ]);
    // A string that holds JSON is unpacked from a policy's call; an API's arguments are such a string already.
    if (json.startsWith('"')) assert.equal(shape(rollout)[1].slice(0, 2), ["invalid", "arguments"]);
    else assert.equal(shape(rollout), shape(expected));
    // Servers refuse requests with broken calls in them.
    for (const { tool_calls } of server.seen[1].body.messages)
      if (tool_calls) assert.type(JSON.parse(tool_calls[0].function.arguments), "object");
  });

test("a tool that does not exist, and a call without a name", async () => {
  const bye = answer({ text: "I cannot do that.", calls: [] });
  const script = ["fly", ""].map((name) => answer({ text: "", calls: [{ name, arguments: "{}" }] }));
  const { rollout } = await play(shop, task, script, () => bye);
  const reasons = rollout.transcript.flatMap((entry) => (entry.role === "invalid" ? [entry.reason] : []));
  assert.equal(reasons, ["unknown-tool", "json"]);
});

test("turns that are cut or empty are told so, and end it when there are too many", async () => {
  const cut = answer({ text: "I will now", calls: [] }, "length");
  const half = answer({ text: "", calls: [{ name: "find_user", arguments: '{"ema' }] }, "length");
  const { rollout, server } = await play(shop, task, [cut, half], () => answer({ text: "", calls: [] }));
  assert.is(rollout.ending, "invalid-limit");
  assert.equal(
    rollout.transcript.slice(1).map((entry) => entry.role === "invalid" && entry.reason),
    ["cut", "cut", "empty"],
  );
  const messages = server.seen[2].body.messages.slice(2);
  assert.equal(
    messages.map(({ role }: any) => role),
    ["assistant", "user", "assistant", "user"],
  );
  assert.ok(messages.every(({ content }: any) => content !== ""));
});

test("a server that leaves calls in the text is understood, and thoughts are not said", async () => {
  const text =
    '<think>Who?</think>\n<tool_call>\n{"name": "find_user", "arguments": {"email": "a@mail.com"}}\n</tool_call>';
  const bye = answer({ text: "<think>No.</think>I cannot do that.", calls: [] });
  const { rollout } = await play(shop, task, [answer({ text, calls: [] })], () => bye);
  assert.equal(
    rollout.transcript.slice(1, 3).map(({ role }) => role),
    ["tool", "agent"],
  );
  assert.not(JSON.stringify(rollout.transcript).includes("think"));
});

test("a model that fails makes a fault, not a zero; what was paid before is kept", async () => {
  const faults: readonly Behaviour[] = [
    { do: "stall-body" },
    { do: "drop" },
    { do: "raw", text: "<html>" },
    { do: "status", status: 500 },
    { do: "status", status: 404 },
  ];
  for (const fault of faults) {
    const first = answer({ text: "What is your email?", calls: [] });
    const { rollout } = await play(shop, task, [first], () => fault, {
      timeoutMs: fault.do === "stall-body" ? 300 : 10_000,
    });
    assert.is(rollout.ending, "error");
    assert.ok(faulty(rollout.ending));
    assert.match(rollout.error!, "agent: m1 at http://127.0.0.1");
    assert.is(rollout.bill?.calls, 1);
    assert.is(rollout.transcript.length, 3);
  }
  const first = answer({ text: "What is your email?", calls: [] });
  const { rollout } = await play(shop, task, [first], () => first, { budget: { calls: 1 } });
  assert.equal([rollout.ending, rollout.error], ["error", "the budget of 1 calls is spent (1)"]);
});

test.run();
