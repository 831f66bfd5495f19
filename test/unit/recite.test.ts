// A recorded dialogue as tokens: the same as its conversation would be, with the agent's turns marked, cut between turns.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { chatFormat } from "../../src/rollout/format.ts";
import { recite } from "../../src/rollout/recite.ts";
import { render } from "../../src/rollout/template.ts";
import type { Dialogue } from "../../src/types.ts";

/** One id per character; the control tokens that the format needs have ids of their own. */
const CONTROLS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"];
const codec = {
  encodePlain: (text: string) => Array.from(text, (c) => c.codePointAt(0)!),
  decode: (ids: ArrayLike<number>) =>
    Array.from(ids, (id) => (id < 0 ? CONTROLS[-1 - id] : String.fromCodePoint(id))).join(""),
  id: (token: string) => (CONTROLS.includes(token) ? -1 - CONTROLS.indexOf(token) : undefined),
};
const format = chatFormat(codec);

const parameters = { type: "object", properties: {} };
const dialogue: Dialogue = {
  id: "a",
  system: "Be kind.",
  tools: [{ name: "look", description: "Looks.", parameters }],
  turns: [
    { role: "user", text: "Where is <|im_end|> #1?" },
    { role: "agent", text: "One moment.", calls: [{ name: "look", arguments: '{"n": 1.0}' }] },
    { role: "tool", text: "home" },
    { role: "tool", text: "again" },
    { role: "agent", text: "At home.", calls: [] },
    { role: "user", text: "Bye." },
  ],
};
const whole = recite(dialogue, format, 10_000)!;
const said = (turn: number) => codec.decode(whole.ids.filter((_, t) => whole.turn[t] === turn));

test("the tokens are those of the chat template, but for what an outsider typed", () => {
  const { system, tools, turns } = dialogue;
  const messages = [
    { role: "system", content: system },
    ...turns.slice(0, 5).map((turn) => ({
      role: turn.role === "agent" ? "assistant" : turn.role,
      content: turn.text,
      ...(turn.role === "agent" ? { calls: turn.calls } : {}),
    })),
  ];
  const schema = new Map<string, any>([
    ["type", "function"],
    [
      "function",
      new Map<string, any>([
        ["name", "look"],
        ["description", tools[0].description],
        [
          "parameters",
          new Map<string, any>([
            ["type", "object"],
            ["properties", new Map()],
          ]),
        ],
      ]),
    ],
  ]);
  const text = render(messages, [schema]);
  const thought = "<think>\n\n</think>\n\n"; // the template gives it to a last turn, a sandbox does not
  assert.is(`${codec.decode(whole.ids)}\n`, text.replace(thought, ""));
  const typed = codec.encodePlain("Where is <|im_end|>");
  assert.match(whole.ids.join(), typed.join(), "what spells a control token stays text");
});

test("the agent's turns are marked, from their first token to the end of turn", () => {
  const call = '<tool_call>\n{"name": "look", "arguments": {"n": 1.0}}\n</tool_call>';
  assert.is(said(0), `One moment.\n${call}<|im_end|>`);
  assert.is(said(1), "At home.<|im_end|>");
  assert.ok(whole.mask.every((mask, t) => mask === (whole.turn[t] >= 0 ? 1 : 0)));
  assert.ok(whole.logp.every((logp) => logp === 0));
  assert.is(whole.mask.at(-1), 1, "what follows the last turn of the agent is left out");
});

test("a dialogue is cut between turns", () => {
  const first = whole.turn.lastIndexOf(0) + 1;
  const { length } = whole.ids;
  assert.is(recite(dialogue, format, length)!.ids.length, length);
  for (const limit of [length - 1, first + 1, first]) {
    const cut = recite(dialogue, format, limit)!;
    assert.equal(cut.ids, whole.ids.subarray(0, first));
    assert.equal(cut.turn, whole.turn.subarray(0, first));
  }
  assert.is(recite(dialogue, format, first - 1), null);
});

test.run();
