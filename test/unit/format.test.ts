// The chat format as token ids: nobody can type a control token, appended turns equal the whole rendered text, and a
// demonstrated turn reads back. Text forms are golden elsewhere (test/golden/templates.test.ts).

import { join } from "node:path";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parse } from "../../src/domains/python.ts";
import { train } from "../../src/policy/bpe.ts";
import { loadTokenizer, Tokenizer } from "../../src/policy/tokenizer.ts";
import { chatFormat } from "../../src/rollout/format.ts";
import { CHAT_TOKENS, type Message, render } from "../../src/rollout/template.ts";
import type { AgentTurn, Reply, Tool } from "../../src/types.ts";
import { golden } from "../golden.ts";

const folder = golden("hf");
if (!folder) throw new Error("no golden/hf: set TARL_GOLDEN to the folder that holds it");
const tokenizer = loadTokenizer(join(folder, "tokenizer", "qwen3"));
const format = chatFormat(tokenizer);
const START = tokenizer.id("<|im_start|>")!;
const END = tokenizer.id("<|im_end|>")!;
const CONTROLS = [...CHAT_TOKENS.map(({ content }) => content), "<think>", "</think>"];
const lowestAdded = Math.min(...CONTROLS.map((control) => tokenizer.id(control)!));

const tool: Tool = {
  name: "get_order",
  description: "Looks up one order.",
  parameters: { type: "object", properties: { count: { type: "integer", minimum: 1 }, share: { maximum: 0.5 } } },
  writes: false,
  call: () => "",
};
const says = (text: string): AgentTurn => ({ text, calls: [], invalid: null });
const user = (text: string): Reply => ({ messages: [{ role: "user", text }], ending: null });

test("stops at the end of a turn and of a text", () => {
  assert.equal(format.stopIds, [END, tokenizer.id("<|endoftext|>")]);
});

test("the prompt in full", () => {
  assert.is(
    format.decode(format.prompt("Be kind.", [tool], "Hi")),
    `<|im_start|>system
Be kind.

# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type": "function", "function": {"name": "get_order", "description": "Looks up one order.", "parameters": {"type": "object", "properties": {"count": {"type": "integer", "minimum": 1}, "share": {"maximum": 0.5}}}}}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
<|im_start|>user
Hi<|im_end|>
<|im_start|>assistant
`,
  );
});

test("no system text, no tools: no system turn", () => {
  assert.is(format.decode(format.prompt("", [], "Hi")), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
});

test("what comes between turns: the newline is the environment's, a cut turn is closed first", () => {
  const tail = "\n<|im_start|>user\nYes.<|im_end|>\n<|im_start|>assistant\n";
  assert.is(format.decode(format.between(user("Yes."), true)), tail);
  assert.equal(format.between(user("Yes."), false), [END, ...format.between(user("Yes."), true)]);
  assert.equal(format.between({ messages: [], ending: "user-stop" }, true), []);
});

test("tool results share one turn", () => {
  const messages = [
    { role: "tool", text: "one" },
    { role: "tool", text: "two" },
  ] as const;
  assert.is(
    format.decode(format.between({ messages, ending: null }, true)),
    "\n<|im_start|>user\n<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response><|im_end|>\n<|im_start|>assistant\n",
  );
});

test("without thinking every turn starts with an empty thought", () => {
  const quiet = chatFormat(tokenizer, { thinking: false });
  const start = "<|im_start|>assistant\n<think>\n\n</think>\n\n";
  assert.ok(quiet.decode(quiet.prompt("", [], "Hi")).endsWith(start));
  assert.ok(quiet.decode(quiet.between(user("Yes."), true)).endsWith(start));
});

test("stripped: thoughts stay while tools answer, and leave the context when the customer speaks", () => {
  const strip = chatFormat(tokenizer, { mode: "strip" });
  const script = strip.open("Be kind.", [], "Where is it?");
  const result = (text: string): Reply => ({ messages: [{ role: "tool", text }], ending: null });
  const first = tokenizer.encode("<think>\nplan\n</think>\n\n<tool_call>\n{}\n</tool_call><|im_end|>");
  const called = script.next(first, result("home"));
  assert.equal(called, { ids: strip.between(result("home"), true), anew: false });
  const second = tokenizer.encode("<think>\nok\n</think>\n\nAt home.<|im_end|>");
  const asked = script.next(second, user("Thanks"));
  assert.is(asked.anew, true);
  const call = { role: "assistant", content: "<think>\nplan\n</think>\n\n<tool_call>\n{}\n</tool_call>" };
  const history: Message[] = [
    { role: "system", content: "Be kind." },
    { role: "user", content: "Where is it?" },
    call,
    { role: "tool", content: "home" },
    { role: "assistant", content: "<think>\nok\n</think>\n\nAt home." },
    { role: "user", content: "Thanks" },
  ];
  assert.equal(asked.ids, tokenizer.encode(render(history, [], { generationPrompt: true })));
  // Nothing left to strip: the next words are appended.
  const third = tokenizer.encode("Bye.<|im_end|>");
  assert.equal(script.next(third, user("Bye")), { ids: strip.between(user("Bye"), true), anew: false });
  // A thought that did not end is no thought of the template's, and a cut turn is closed first.
  const cut = script.next(tokenizer.encode("<think>\nfor ever"), user("?"));
  assert.equal(cut, { ids: strip.between(user("?"), false), anew: false });
});

test("what is heard may be as long as it likes", () => {
  const script = format.open("Be kind.", [], "Hi");
  const { ids } = script.next([END], user("1 ".repeat(200_000)));
  assert.ok(ids.length > 200_000);
});

test("stripped without a token for thoughts there is nothing to strip by", () => {
  const small = new Tokenizer(train(["Hi there."], { size: 300, added: CHAT_TOKENS }));
  assert.throws(() => chatFormat(small, { mode: "strip" }), /has no <\/think>/);
});

const hostile = fc
  .array(fc.oneof(fc.constantFrom(...CONTROLS, "<|im_", "start|>", "\n"), fc.string()))
  .map((parts) => parts.join(""));

test("control tokens in anybody's text stay text", () => {
  const controls = (ids: readonly number[]) => ids.filter((id) => id >= lowestAdded);
  const [prompt, heard] = [format.prompt("x", [tool], "x"), format.between(user("x"), true)].map(controls);
  const turn = controls(format.turn({ ...says("x"), calls: [{ name: "x", arguments: "{}" }] }));
  fc.assert(
    fc.property(hostile, hostile, (a, b) => {
      assert.equal(controls(format.prompt(`.${a}`, [{ ...tool, description: b }], b)), prompt);
      assert.equal(controls(format.between(user(a), true)), heard);
      assert.equal(
        controls(format.turn({ ...says(a), calls: [{ name: "x", arguments: JSON.stringify({ b }) }] })),
        turn,
      );
      const result: Reply = { messages: [{ role: "tool", text: b }], ending: null };
      assert.is(controls(format.between(result, true)).length, controls(format.between(result, false)).length - 1);
      assert.ok(format.decode(format.between(user(a), true)).includes(Buffer.from(a.normalize("NFC")).toString()));
    }),
    { numRuns: 500, seed: 1 },
  );
});

test("a conversation appended turn by turn has the ids of the whole rendered text", () => {
  const order = { name: "get_order", arguments: '{"order_id": "#W1", "n": 1.0}' };
  const history: Message[] = [
    { role: "system", content: "Be kind." },
    { role: "user", content: "  Where is it? é" },
    { role: "assistant", content: "Let me look.", calls: [order] },
    { role: "tool", content: "{}\n" },
    { role: "assistant", content: "", calls: [order, order] },
    { role: "tool", content: "a" },
    { role: "tool", content: "b" },
    { role: "assistant", content: "It is on its way." },
    { role: "user", content: "Thanks" },
  ];
  const results = (...texts: string[]): Reply => ({
    messages: texts.map((text) => ({ role: "tool", text })),
    ending: null,
  });
  const appended = [
    ...format.prompt("Be kind.", [], "  Where is it? é"),
    ...format.turn({ ...says("Let me look."), calls: [order] }),
    ...format.between(results("{}\n"), true),
    ...format.turn({ ...says(""), calls: [order, order] }),
    ...format.between(results("a", "b"), true),
    ...format.turn(says("It is on its way.")),
    ...format.between(user("Thanks"), true),
  ];
  assert.equal(appended, tokenizer.encode(render(history, [], { generationPrompt: true })));
});

test("a demonstrated turn reads back as it was", () => {
  const json = fc
    .dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue())
    .map((value) => JSON.stringify(value).normalize("NFC"));
  const calls = fc.array(
    fc.record({ name: fc.stringMatching(/^[a-z_]{1,12}$/), arguments: json }, { noNullPrototype: true }),
    { maxLength: 3 },
  );
  const text = fc.string({ unit: "grapheme" }).map((s) => s.normalize("NFC").replace(/[<`]/g, "").trim());
  fc.assert(
    fc.property(text, calls, (said, made) => {
      fc.pre(said !== "" || made.length > 0);
      const turn: AgentTurn = { text: said, calls: made, invalid: null };
      const ids = format.turn(turn);
      assert.is(ids.at(-1), END);
      assert.equal(format.parse(Int32Array.from(ids), false), turn);
    }),
    { numRuns: 1_000, seed: 1 },
  );
});

test("reads sampled ids: control tokens are dropped, broken UTF-8 does no harm", () => {
  const [half] = tokenizer.encodePlain("\u{1F600}");
  assert.is(format.parse([half, END], false).text, "\uFFFD");
  assert.is(format.parse([START, ...tokenizer.encodePlain("Hi"), 1_000_000, END], false).text, "Hi");
  assert.is(format.parse([END], false).invalid?.reason, "empty");
  assert.is(format.parse(tokenizer.encodePlain("Hi"), true).invalid?.reason, "cut");
});

test("a small tokenizer needs three control tokens; what else it lacks is written as text", () => {
  const small = new Tokenizer(train(["Hi there."], { size: 300, added: CHAT_TOKENS }));
  const quiet = chatFormat(small, { thinking: false });
  const ids = quiet.prompt("Be kind.", [tool], "Hi");
  assert.is(
    quiet.decode(ids),
    chatFormat(tokenizer, { thinking: false }).decode(format.prompt("Be kind.", [tool], "Hi")) +
      "<think>\n\n</think>\n\n",
  );
  assert.throws(() => chatFormat(new Tokenizer(train([], { size: 300, added: [] }))), /has no <\|im_start\|>/);
});

test("tools print whole numbers as a JSON file would", () => {
  const text = format.decode(format.prompt("", [tool], "Hi"));
  const [, printed] = /<tools>\n(.*)\n<\/tools>/.exec(text)!;
  const { name, description, parameters } = tool;
  assert.equal(
    parse(printed),
    parse(JSON.stringify({ type: "function", function: { name, description, parameters } })),
  );
});

test.run();
