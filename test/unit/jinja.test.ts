// A checkpoint's own chat template as token ids: a talk appended turn by turn has the ids of the whole rendered text, nobody
// can type a control token, and templates that change what was said make the context begin anew.

import { Template } from "@huggingface/jinja";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { train } from "../../src/policy/bpe.ts";
import { Tokenizer } from "../../src/policy/tokenizer.ts";
import { templateFormat } from "../../src/rollout/jinja.ts";
import type { AgentTurn, Reply, Tool } from "../../src/types.ts";

const special = (content: string) => ({ content, special: true });
const chatml = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(special);
const headers = ["<|begin|>", "<|start_header|>", "<|end_header|>", "<|eot|>", "<|python_tag|>"].map(special);
const tags = ["<think>", "</think>"].map((content) => ({ content, special: false }));
const tokenizerWith = (added: { content: string; special: boolean }[]) =>
  new Tokenizer(train(["Where is my order? It is on its way."], { size: 300, added }));

/** Templates of the shapes that families have. */
const SHAPES = {
  // A system text by default, roles printed as they come, no tools: SmolLM2's shape.
  plain: {
    tokenizer: tokenizerWith(chatml),
    text:
      "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}{{ '<|im_start|>system\\nYou help.<|im_end|>\\n' }}" +
      "{% endif %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    ends: "<|im_end|>",
  },
  // A token before everything, contents trimmed, tools and calls of its own, results as JSON: Llama 3.1's shape.
  headers: {
    tokenizer: tokenizerWith(headers),
    text:
      "{{- bos_token }}{% if strftime_now is defined %}{% set day = strftime_now('%d %b %Y') %}{% endif %}" +
      "{% if messages[0].role == 'system' %}{% set system = messages[0].content | trim %}{% set messages = messages[1:] %}" +
      "{% else %}{% set system = '' %}{% endif %}" +
      "{{ '<|start_header|>system<|end_header|>\\n\\nToday: ' + day + '\\n' }}" +
      "{% if tools %}{% for t in tools %}{{ t | tojson(indent=4) + '\\n' }}{% endfor %}" +
      "{{ 'Answer {\"name\": function name, \"parameters\": arguments}.\\n' }}{% endif %}{{ system + '<|eot|>' }}" +
      "{% for m in messages %}{% if m.tool_calls %}{% if m.tool_calls | length != 1 %}" +
      "{{ raise_exception('one call at a time') }}{% endif %}{% set call = m.tool_calls[0].function %}" +
      '{{ \'<|start_header|>assistant<|end_header|>\\n\\n{"name": "\' + call.name + \'", "parameters": \' }}' +
      "{{ call.arguments | tojson + '}<|eot|>' }}{% elif m.role == 'tool' %}" +
      "{{ '<|start_header|>ipython<|end_header|>\\n\\n' + m.content | tojson + '<|eot|>' }}{% else %}" +
      "{{ '<|start_header|>' + m.role + '<|end_header|>\\n\\n' + m.content | trim + '<|eot|>' }}{% endif %}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|start_header|>assistant<|end_header|>\\n\\n' }}{% endif %}",
    ends: "<|eot|>",
  },
  // The prompt opens a thought that the history does not show.
  thinking: {
    tokenizer: tokenizerWith([...chatml, ...tags]),
    text:
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}",
    ends: "<|im_end|>",
  },
};
type Shape = keyof typeof SHAPES;

const formatOf = (shape: Shape) => {
  const { tokenizer, text } = SHAPES[shape];
  const template = { source: "chat_template.jinja", text, variables: { bos_token: "<|begin|>" } };
  return templateFormat(tokenizer, template, [tokenizer.id("<|endoftext|>") ?? tokenizer.id("<|begin|>")!]);
};
/** What the template itself says of a talk, whatever is in it. */
const renderedBy = (shape: Shape, messages: object[], tools: object[] | null, prompt = true) =>
  new Template(SHAPES[shape].text.replace("strftime_now('%d %b %Y')", "'26 Jul 2024'")).render({
    messages,
    tools,
    bos_token: "<|begin|>",
    add_generation_prompt: prompt,
  });

const tool: Tool = {
  name: "get_order",
  description: "Looks up <one> order.",
  parameters: { type: "object", properties: { id: { type: "string" } } },
  writes: false,
  call: () => "",
};
const schema = {
  type: "function",
  function: { name: tool.name, description: tool.description, parameters: tool.parameters },
};
const says = (text: string): AgentTurn => ({ text, calls: [], invalid: null });
const user = (text: string): Reply => ({ messages: [{ role: "user", text }], ending: null });
const result = (text: string): Reply => ({ messages: [{ role: "tool", text }], ending: null });

for (const shape of ["plain", "headers"] as const)
  test(`${shape}: a talk appended turn by turn has the ids of the whole rendered text`, () => {
    const { tokenizer, ends } = SHAPES[shape];
    const format = formatOf(shape);
    const script = format.open(" Be kind.\n", [], "  Where is it? \u00e9\n");
    const ids = [...script.prompt];
    for (const [said, heard] of [
      ["It is on its way.", "When?"],
      ["Soon.", " Thanks "],
    ]) {
      const turn = format.turn(says(said));
      assert.is(turn.at(-1), tokenizer.id(ends));
      const { ids: more, anew } = script.next(turn, user(heard));
      assert.is(anew, false);
      ids.push(...turn, ...more);
    }
    const messages = [
      { role: "system", content: " Be kind.\n" },
      { role: "user", content: "  Where is it? \u00e9\n" },
      { role: "assistant", content: "It is on its way." },
      { role: "user", content: "When?" },
      { role: "assistant", content: "Soon." },
      { role: "user", content: " Thanks " },
    ];
    assert.equal(ids, tokenizer.encode(renderedBy(shape, messages, null)));
  });

test("what was sampled stays as it was, also where other ids have the same text", () => {
  const { tokenizer } = SHAPES.plain;
  const script = formatOf("plain").open("", [], "Hi");
  const letters = Array.from("order", (letter) => tokenizer.encodePlain(letter)[0]);
  assert.not.equal(letters, tokenizer.encodePlain("order"));
  const { ids } = script.next([...letters, tokenizer.id("<|im_end|>")!], user("Yes."));
  assert.is(tokenizer.decode(ids), "\n<|im_start|>user\nYes.<|im_end|>\n<|im_start|>assistant\n");
});

test("a turn that was cut is closed first; the template's default system text stays", () => {
  const { tokenizer } = SHAPES.plain;
  const format = formatOf("plain");
  const script = format.open("", [], "Hi");
  assert.is(
    tokenizer.decode(script.prompt),
    "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
  );
  const { ids } = script.next(tokenizer.encodePlain("and so"), user("Yes."));
  assert.is(tokenizer.decode(ids), "<|im_end|>\n<|im_start|>user\nYes.<|im_end|>\n<|im_start|>assistant\n");
  assert.equal(script.next([1], { messages: [], ending: "user-stop" }), { ids: [], anew: false });
});

test("tools as the template prints them, calls and results too", () => {
  const { tokenizer } = SHAPES.headers;
  const format = formatOf("headers");
  const script = format.open("Be kind.", [tool], "Hi");
  const call = { name: "get_order", arguments: { id: "#1" } };
  const turn = format.turn({ ...says(""), calls: [{ name: call.name, arguments: JSON.stringify(call.arguments) }] });
  assert.is(tokenizer.decode(turn), '{"name": "get_order", "parameters": {"id": "#1"}}<|eot|>');
  const ids = [...script.prompt, ...turn, ...script.next(turn, result('{"at": "home"}')).ids];
  const messages = [
    { role: "system", content: "Be kind." },
    { role: "user", content: "Hi" },
    { role: "assistant", content: "", tool_calls: [{ function: call }] },
    { role: "tool", content: '{"at": "home"}' },
  ];
  assert.equal(ids, tokenizer.encode(renderedBy("headers", messages, [schema])));
  assert.equal(format.stopIds, [tokenizer.id("<|eot|>"), tokenizer.id("<|begin|>")]);
  assert.equal(format.parse(turn, false).calls, [{ name: "get_order", arguments: '{"id": "#1"}' }]);
});

test("where a template knows no tools they are told as Qwen3 tells them, and results are a user's words", () => {
  const { tokenizer } = SHAPES.plain;
  const format = formatOf("plain");
  const script = format.open("Be kind.", [tool], "Hi");
  const prompt = tokenizer.decode(script.prompt);
  assert.match(prompt, /^<\|im_start\|>system\nBe kind\.\n\n# Tools\n/);
  assert.match(
    prompt,
    '\n{"type": "function", "function": {"name": "get_order", "description": "Looks up <one> order."',
  );
  const turn = format.turn({ ...says("Let me see."), calls: [{ name: "get_order", arguments: "{}" }] });
  assert.is(
    tokenizer.decode(turn),
    'Let me see.\n<tool_call>\n{"name": "get_order", "arguments": {}}\n</tool_call><|im_end|>',
  );
  assert.is(
    tokenizer.decode(script.next(turn, result("home")).ids),
    "\n<|im_start|>user\n<tool_response>\nhome\n</tool_response><|im_end|>\n<|im_start|>assistant\n",
  );
});

test("a template that is not append-only begins anew, without earlier thoughts", () => {
  const { tokenizer } = SHAPES.thinking;
  const script = formatOf("thinking").open("", [], "Hi");
  assert.match(tokenizer.decode(script.prompt), /<think>\n$/);
  const said = tokenizer.encode("hm\n</think>\n\nHello.<|im_end|>");
  const { ids, anew } = script.next(said, user("Yes."));
  assert.is(anew, true);
  assert.is(
    tokenizer.decode(ids),
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nYes.<|im_end|>\n" +
      "<|im_start|>assistant\n<think>\n",
  );
});

test("what is heard may be as long as it likes", () => {
  const long = user("1 ".repeat(200_000));
  for (const shape of ["plain", "thinking"] as const) {
    const { ids, anew } = formatOf(shape)
      .open("", [], "Hi")
      .next(SHAPES[shape].tokenizer.encode("Hello.<|im_end|>"), long);
    assert.ok(ids.length > 200_000);
    assert.is(anew, shape === "thinking");
  }
});

for (const shape of Object.keys(SHAPES) as Shape[])
  test(`${shape}: control tokens in anybody's text stay text`, () => {
    const { tokenizer } = SHAPES[shape];
    const format = formatOf(shape);
    const added = [...chatml, ...headers, ...tags].map(({ content }) => content);
    const lowest = Math.min(...added.flatMap((content) => tokenizer.id(content) ?? []));
    const controls = (ids: readonly number[]) => ids.filter((id) => id >= lowest);
    const hostile = fc
      .array(
        fc.oneof(fc.constantFrom(...added, "<|im_", "start|>", "\n", "{{ bos_token }}", "\u{F0000}", '"'), fc.string()),
      )
      .map((parts) => `.${parts.join("")}.`);
    const talk = (a: string, b: string, c: string): number[][] => {
      const script = format.open(a, [{ ...tool, description: b, parameters: { type: "object", title: c } }], c);
      // A demonstration has no thought, which that prompt begins.
      const turn = shape === "thinking" ? [] : format.turn(says(b));
      const args = JSON.stringify({ [a]: b });
      const call = shape === "thinking" ? [] : format.turn({ ...says(""), calls: [{ name: "x", arguments: args }] });
      const heard = [user(a), result(b)].map((reply) => script.next(turn, reply).ids);
      return [script.prompt, turn, call, ...heard].map(controls);
    };
    const expected = talk("x", "x", "x");
    fc.assert(
      fc.property(hostile, hostile, hostile, (a, b, c) => {
        assert.equal(talk(a, b, c), expected);
      }),
      { numRuns: 150, seed: 1 },
    );
  });

/** [template, what is said of it] */
const REFUSED: [string, RegExp][] = [
  ["{% if %}", /cannot be read/],
  ["{{ messages[0].role }}", /does not print a system text/],
  ["{% for m in messages %}{{ m.content }}{% endfor %}", /does not end a turn of the agent with a token of its own/],
  [
    "{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('no\nagent') }}{% endif %}{{ m.content }}{% endfor %}",
    /cannot be rendered: no/,
  ],
  [
    "{% for m in messages %}{{ m.content[1:] + m.content[0] }}<|im_end|>{% endfor %}probe_system",
    /takes apart what it is given/,
  ],
];
for (const [text, why] of REFUSED)
  test(`refuses ${JSON.stringify(text)}`, () => {
    const open = () =>
      templateFormat(SHAPES.plain.tokenizer, { source: "x/chat_template.jinja", text, variables: {} }, []);
    assert.throws(open, (error: Error) => error.name === "UsageError" && why.test(error.message));
    assert.throws(open, /^x\/chat_template\.jinja: [^\n]*$/);
  });

test.run();
