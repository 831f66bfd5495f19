// Reading an agent's turn: what is tolerated, what is refused and why, and that nothing makes it throw or crawl.

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MAX_ARGUMENT_BYTES, MAX_DEPTH, parseTurn } from "../../src/rollout/parse.ts";

const LOOKUP = '{"name": "get_order", "arguments": {"order_id": "#light"}}';
const lookup = { name: "get_order", arguments: '{"order_id": "#light"}' };

/** [what is special, text of the turn, what is said, calls] */
const READ: [string, string, string, { name: string; arguments: string }[]][] = [
  ["plain text", "  Where is it?\n", "Where is it?", []],
  ["one call", `<tool_call>\n${LOOKUP}\n</tool_call>`, "", [lookup]],
  ["text before", `Let me look.\n<tool_call>\n${LOOKUP}\n</tool_call>`, "Let me look.", [lookup]],
  ["text after", `<tool_call>\n${LOOKUP}\n</tool_call>\nOne moment.`, "One moment.", [lookup]],
  ["no newlines", `<tool_call>${LOOKUP}</tool_call>`, "", [lookup]],
  ["much space", `<tool_call> \r\n\t ${LOOKUP} \n\n </tool_call> `, "", [lookup]],
  ["two calls", `<tool_call>\n${LOOKUP}\n</tool_call>\n<tool_call>\n${LOOKUP}\n</tool_call>`, "", [lookup, lookup]],
  ["two in one tag", `<tool_call>\n${LOOKUP}\n${LOOKUP}\n</tool_call>`, "", [lookup, lookup]],
  ["last tag open", `<tool_call>\n${LOOKUP}\n`, "", [lookup]],
  ["both tags open", `<tool_call>${LOOKUP}\n<tool_call>${LOOKUP}`, "", [lookup, lookup]],
  ["fence inside", `<tool_call>\n\`\`\`json\n${LOOKUP}\n\`\`\`\n</tool_call>`, "", [lookup]],
  ["fence around", `\`\`\`json\n<tool_call>\n${LOOKUP}\n</tool_call>\n\`\`\``, "", [lookup]],
  [
    "fields reversed",
    '<tool_call>{"arguments": {}, "name": "list"}</tool_call>',
    "",
    [{ name: "list", arguments: "{}" }],
  ],
  [
    "extra field",
    '<tool_call>{"id": [1, {"a": null}], "name": "x", "arguments": {}}',
    "",
    [{ name: "x", arguments: "{}" }],
  ],
  ["last field wins", '<tool_call>{"name": "a", "name": "b", "arguments": {}}', "", [{ name: "b", arguments: "{}" }]],
  ["escaped name", '<tool_call>{"n\\u0061me": "\\u0078", "arguments": {}}', "", [{ name: "x", arguments: "{}" }]],
  [
    "numbers as written",
    '<tool_call>{"name": "pay", "arguments": {"a": 1, "b": 1.0, "c": -1E+2}}</tool_call>',
    "",
    [{ name: "pay", arguments: '{"a": 1, "b": 1.0, "c": -1E+2}' }],
  ],
  [
    "arguments as a string",
    '<tool_call>{"name": "pay", "arguments": " {\\"a\\": 1.0, \\"b\\": \\"\\\\n\\"}\\n"}</tool_call>',
    "",
    [{ name: "pay", arguments: '{"a": 1.0, "b": "\\n"}' }],
  ],
  [
    "tags inside a string",
    '<tool_call>{"name": "say", "arguments": {"text": "</tool_call><think></think>"}}</tool_call>ok',
    "ok",
    [{ name: "say", arguments: '{"text": "</tool_call><think></think>"}' }],
  ],
  ["a thought", "<think>\nHm. <tool_call>{}\n</think>\n\nYes.", "Yes.", []],
  ["two thoughts", "<think>a</think>One <think>b</think>two.", "One two.", []],
  ["a thought that began in the prompt", `so <tool_call>${LOOKUP}</tool_call> I think</think>\nYes.`, "Yes.", []],
  ["a thought, then a call", `<think>\nplan\n</think>\n\n<tool_call>\n${LOOKUP}\n</tool_call>`, "", [lookup]],
  ["an empty thought", "<think>\n\n</think>\n\nYes.", "Yes.", []],
  ["broken JSON in a thought", `<think><tool_call>{</think><tool_call>${LOOKUP}`, "", [lookup]],
  ["Python's quotes", "<tool_call>{'name': 'get_order', 'arguments': {'order_id': '#light'}}", "", [lookup]],
  [
    "Python's words",
    '<tool_call>{"name": "x", "arguments": {"a": True, "b": [False, None], "c": 1.0}}',
    "",
    [{ name: "x", arguments: '{"a": true, "b": [false, null], "c": 1.0}' }],
  ],
  [
    "quotes within Python's quotes",
    `<tool_call>{'name': 'x', 'arguments': {'a': 'say "it\\'s"'}}`,
    "",
    [{ name: "x", arguments: '{"a": "say \\"it\'s\\""}' }],
  ],
  [
    "a comma too many",
    '<tool_call>{"name": "x", "arguments": {"a": [1,],},}',
    "",
    [{ name: "x", arguments: '{"a": [1]}' }],
  ],
  ["bare keys", '<tool_call>{name: "x", arguments: {a_1: 1}}', "", [{ name: "x", arguments: '{"a_1": 1}' }]],
  [
    "a line break inside of a string",
    '<tool_call>{"name": "x", "arguments": {"a": "b\n\tc"}}',
    "",
    [{ name: "x", arguments: '{"a": "b\\n\\tc"}' }],
  ],
  [
    "arguments as a string of Python's",
    `<tool_call>{"name": "x", "arguments": "{'a': None}"}`,
    "",
    [{ name: "x", arguments: '{"a": null}' }],
  ],
  ["parameters", '<tool_call>{"name": "x", "parameters": {"a": 1}}', "", [{ name: "x", arguments: '{"a": 1}' }]],
  ["a stray end tag", "Yes.</tool_call>", "Yes.</tool_call>", []],
];

for (const [about, text, said, calls] of READ)
  test(`reads ${about}`, () => {
    assert.equal(parseTurn(text, false), { text: said, calls, invalid: null });
  });

const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
const call = (args: string) => `<tool_call>{"name": "x", "arguments": ${args}}</tool_call>`;

/** [text of the turn, reason, what the agent is told] */
const REFUSED: [string, string, string][] = [
  ["", "empty", "Error: the turn says nothing and calls no tool"],
  [" \n", "empty", "Error: the turn says nothing and calls no tool"],
  ["<think>for ever", "empty", "Error: the turn says nothing and calls no tool"],
  ["<tool_call>", "json", "Error: the tool call is not valid JSON, expected a JSON object at character 0"],
  ["<tool_call>get_order()", "json", "Error: the tool call is not valid JSON, expected a JSON object at character 0"],
  [
    "<tool_call>[]</tool_call>",
    "json",
    "Error: the tool call is not valid JSON, expected a JSON object at character 0",
  ],
  ["<tool_call>{'name'; 1}", "json", "Error: the tool call is not valid JSON, expected '\"' at character 1"],
  ["<tool_call>{'a': 'b\\c'}", "json", "Error: the tool call is not valid JSON, expected '\"' at character 1"],
  ["<tool_call>{'a': [1, maybe]}", "json", "Error: the tool call is not valid JSON, expected '\"' at character 1"],
  ['<tool_call>{"name"}', "json", "Error: the tool call is not valid JSON, expected ':' at character 7"],
  ['<tool_call>{"name": get}', "json", "Error: the tool call is not valid JSON, expected a JSON value at character 9"],
  ['<tool_call>{"a": 1 "b"}', "json", "Error: the tool call is not valid JSON, expected ',' or '}' at character 8"],
  ['<tool_call>{"a": [1 2]}', "json", "Error: the tool call is not valid JSON, expected ',' or ']' at character 9"],
  ['<tool_call>{"a": 1,,}', "json", "Error: the tool call is not valid JSON, expected '\"' at character 8"],
  ['<tool_call>{"a": 01}', "json", "Error: the tool call is not valid JSON, expected ',' or '}' at character 7"],
  [
    '<tool_call>{"a": "\n"',
    "json",
    "Error: the tool call is not valid JSON, expected no control character in a string at character 7",
  ],
  ['<tool_call>{"a": "\\x"}', "json", "Error: the tool call is not valid JSON, expected a JSON escape at character 7"],
  ['<tool_call>{"a": "b', "json", "Error: the tool call is not valid JSON, expected '\"' at character 8"],
  [
    `<tool_call>${LOOKUP}}</tool_call>`,
    "json",
    "Error: the tool call is not valid JSON, expected </tool_call> after the JSON object at character 58",
  ],
  [
    '<tool_call>{"arguments": {}}',
    "json",
    'Error: the tool call has no "name", expected {"name": ..., "arguments": {...}}',
  ],
  [
    '<tool_call>{"name": "", "arguments": {}}',
    "json",
    'Error: the tool call has no "name", expected {"name": ..., "arguments": {...}}',
  ],
  [
    '<tool_call>{"name": 7, "arguments": {}}',
    "json",
    'Error: the tool call has no "name", expected {"name": ..., "arguments": {...}}',
  ],
  [
    '<tool_call>{"name": "x"}',
    "arguments",
    'Error: the tool call has no "arguments", expected {"name": ..., "arguments": {...}}',
  ],
  [call("null"), "arguments", "Error: the arguments of the tool call must be a JSON object"],
  [call("[1]"), "arguments", "Error: the arguments of the tool call must be a JSON object"],
  [call('"[1]"'), "arguments", "Error: the arguments of the tool call must be a JSON object"],
  [call('"{}{}"'), "json", "Error: the tool call is not valid JSON, expected nothing at character 4"],
  [call(deep(MAX_DEPTH)), "arguments", `Error: the arguments are nested deeper than ${MAX_DEPTH} levels`],
  [
    call(`{"a": "${"x".repeat(MAX_ARGUMENT_BYTES)}"}`),
    "too-long",
    "Error: the arguments take 100009 bytes, at most 100000 are allowed",
  ],
  [
    `<tool_call>{</tool_call><tool_call>${LOOKUP}</tool_call>`,
    "json",
    "Error: the tool call is not valid JSON, expected '\"' at character 1",
  ],
];

for (const [text, reason, observation] of REFUSED)
  test(`refuses ${JSON.stringify(text).slice(0, 60)}`, () => {
    const turn = parseTurn(text, false);
    assert.equal(turn.invalid, { reason, observation });
    assert.equal(turn.calls, []);
  });

test("without tags only where a family writes calls so, and nothing else is said", () => {
  const bare = '{"name": "get_order", "parameters": {"order_id": "#light"}}';
  assert.equal(parseTurn(bare, false), { text: bare, calls: [], invalid: null });
  assert.equal(parseTurn(bare, false, { bare: true }), { text: "", calls: [lookup], invalid: null });
  assert.equal(parseTurn(`${bare}; ${bare}`, false, { bare: true }).calls, [lookup, lookup]);
  const words = 'Look: {"name": "x"}';
  assert.equal(parseTurn(words, false, { bare: true }), { text: words, calls: [], invalid: null });
  assert.is(parseTurn(`${bare} So.`, false, { bare: true }).invalid?.reason, "json");
  assert.is(parseTurn('{"name": "x"}', false, { bare: true }).invalid?.reason, "arguments");
});

test("the deepest and the longest arguments that are allowed", () => {
  assert.is(parseTurn(call(deep(MAX_DEPTH - 1)), false).invalid, null);
  assert.is(parseTurn(call(`{"a":"${"x".repeat(MAX_ARGUMENT_BYTES - 8)}"}`), false).invalid, null);
});

test("a turn that was cut cannot be acted on, whatever it holds", () => {
  const turn = parseTurn(`Wait.<tool_call>\n${LOOKUP}\n</tool_call>`, true);
  const invalid = { reason: "cut", observation: "Error: the turn was cut off at its token limit" };
  assert.equal(turn, { text: "Wait.", calls: [], invalid });
});

const FRAGMENTS = [
  ..."{}[]:,\"'\\ \n`ax1.-",
  ...[
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    '"name"',
    '"arguments"',
    "```json",
    "{}",
    "true",
    "None",
    "\\u00",
    LOOKUP,
  ],
  '{"name": "x", "arguments": ',
];

test("never throws; every call it gives has a name and arguments that are one JSON object", () => {
  const pieces = fc.array(fc.oneof(fc.constantFrom(...FRAGMENTS), fc.string({ unit: "binary", maxLength: 4 })), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(pieces, fc.boolean(), (parts, cut) => {
      const turn = parseTurn(parts.join(""), cut);
      if (turn.invalid) return turn.calls.length === 0 && !turn.invalid.observation.includes("\n");
      assert.ok(turn.calls.length > 0 || turn.text !== "");
      for (const { name, arguments: json } of turn.calls) {
        const value = JSON.parse(json);
        assert.ok(name.length > 0 && typeof value === "object" && value !== null && !Array.isArray(value));
      }
      return true;
    }),
    { numRuns: 20_000, seed: 1 },
  );
});

test("any JSON object comes out as it was written, in Python's words, as a string, or tight", () => {
  const object = fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue({ maxDepth: 5 }));
  fc.assert(
    fc.property(object, fc.constantFrom(undefined, 1, "\t"), fc.boolean(), (value, indent, quoted) => {
      const json = JSON.stringify(value, null, indent);
      const turn = parseTurn(
        `<tool_call>{"name": "x", "arguments": ${quoted ? JSON.stringify(json) : json}}</tool_call>`,
        false,
      );
      assert.equal(turn, { text: "", calls: [{ name: "x", arguments: json }], invalid: null });
    }),
    { numRuns: 2_000, seed: 1 },
  );
});

test("a million characters of anything take no more than seconds", () => {
  const million = 1_000_000;
  const repeated = [
    ...FRAGMENTS,
    "<tool_call>{",
    "<tool_call></think>",
    '{"a":',
    "```x",
    "```json ",
    `<tool_call>${LOOKUP}`,
  ];
  const texts = repeated.flatMap((piece) => {
    const run = piece.repeat(Math.ceil(million / piece.length));
    return [run, `<tool_call>${run}`, `<tool_call>{"name": "x", "arguments": {"a": "${run}`, `<think>${run}`];
  });
  for (const text of texts) {
    const start = performance.now();
    parseTurn(text, false);
    const took = performance.now() - start;
    assert.ok(took < 3000, `${Math.round(took)} ms for ${JSON.stringify(text.slice(0, 60))}`);
  }
});

test.run();
