// Training a tokenizer: the merges of Hugging Face's trainer (test/fixtures/bpe/make.py), and what the default split
// promises for copying ids.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { train } from "../../src/policy/bpe.ts";
import { Tokenizer } from "../../src/policy/tokenizer.ts";
import { CHAT_TOKENS } from "../../src/rollout/template.ts";
import { root } from "../../src/root.ts";

interface Case {
  name: string;
  texts: string[];
  split: string;
  size: number;
  merges: [string, string][];
  ids: number[][];
}

const cases: Case[] = JSON.parse(readFileSync(join(root, "test", "fixtures", "bpe", "cases.json"), "utf8")).cases;
const shop = cases.find(({ name }) => name === "shop_words")!;

for (const { name, texts, split, size, merges, ids } of cases)
  test(`${name}: the merges and ids of Hugging Face's trainer`, () => {
    const json = train(texts, { size, split, added: [] });
    assert.equal(json.model.merges, merges);
    const tokenizer = new Tokenizer(json);
    assert.equal(
      texts.map((text) => tokenizer.encode(text)),
      ids,
    );
  });

test("the default split is that of the shop_words case", () => {
  assert.equal(train(shop.texts, { size: shop.size, added: [] }).model.merges, shop.merges);
});

test("a word, and an id with its mark, is the same token wherever it stands", () => {
  const tokenizer = new Tokenizer(train(shop.texts, { size: 2000, added: CHAT_TOKENS }));
  const token = (word: string) => {
    const [id, ...more] = tokenizer.encodePlain(word);
    assert.equal(more, [], word);
    return id;
  };
  for (const word of ["order", "#light"])
    for (const text of [` ${word}`, `"${word}"`, `${word},`, `{"${word}": 1}`, `a ${word}.`, `\n${word}\n`])
      assert.ok(tokenizer.encodePlain(text).includes(token(word)), text);
  assert.equal(tokenizer.encodePlain("lamp#light#crane"), ["lamp", "#light", "#crane"].map(token));
  assert.not.ok(tokenizer.encodePlain("light").includes(token("#light")), "the word is not the id");
});

test("names, ids and runs of punctuation are one token each, digits and a # without a word stand alone", () => {
  const tokenizer = new Tokenizer(train(shop.texts, { size: 2000, added: CHAT_TOKENS }));
  const pieces = (text: string) => tokenizer.encodePlain(text).map((id) => tokenizer.decode([id]));
  assert.equal(pieces('{"name": "get_order"'), ['{"', "name", '": "', "get_order", '"']);
  assert.equal(pieces('"item_id": "#crane", "'), ['"', "item_id", '": "', "#crane", '", "']);
  assert.equal(pieces("12"), ["1", "2"]);
  assert.equal(pieces("##1"), ["#", "#", "1"]);
});

test("added tokens come after the vocabulary and are never learned", () => {
  const texts = Array.from({ length: 50 }, () => "<|im_start|>user\n<tool_call>x</tool_call><|im_end|>");
  const json = train(texts, { size: 1000, added: CHAT_TOKENS });
  assert.equal(json.model.merges, [
    ["e", "r"],
    ["s", "er"],
    ["u", "ser"],
  ]);
  const tokenizer = new Tokenizer(json);
  assert.equal(
    CHAT_TOKENS.map(({ content }) => tokenizer.id(content)),
    CHAT_TOKENS.map((_, i) => 256 + json.model.merges.length + i),
  );
  assert.is(tokenizer.size, 256 + json.model.merges.length + CHAT_TOKENS.length);
  assert.not.ok(json.model.merges.flat().some((token) => /[<|>]/.test(token)));
});

test("the same texts give the same bytes, and size is a limit", () => {
  const one = train(shop.texts, { size: 290, added: CHAT_TOKENS });
  assert.is(JSON.stringify(one), JSON.stringify(train(shop.texts, { size: 290, added: CHAT_TOKENS })));
  assert.is(new Tokenizer(one).size, 290);
  assert.throws(() => train(shop.texts, { size: 262, added: CHAT_TOKENS }), /size is 262, expected at least 263/);
});

test("any text can be written", () => {
  const tokenizer = new Tokenizer(train(shop.texts, { size: 400, added: CHAT_TOKENS }));
  for (const text of ["", "Zoë 日本語 \u{1F44D}\u{1F3FD}", "\u0000\r\n\t", "<|im_end|>", "a".repeat(5000)])
    assert.is(tokenizer.decode(tokenizer.encodePlain(text)), text);
});

test("a few megabytes take seconds", () => {
  const words = Array.from({ length: 500 }, (_, i) => `w${i.toString(26).replace(/\d/g, (d) => "qrstuvwxyz"[+d])}`);
  let state = 1;
  const next = () => {
    state = (state * 48271) % 2147483647;
    return words[state % words.length];
  };
  const texts = Array.from({ length: 4000 }, () => Array.from({ length: 150 }, next).join(" #"));
  const start = performance.now();
  train(texts, { size: 2000, added: CHAT_TOKENS });
  const took = performance.now() - start;
  assert.ok(took < 10_000, `${Math.round(took)} ms for ${texts.join("").length} characters`);
});

test.run();
