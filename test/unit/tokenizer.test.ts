// Which tokenizer.json is refused, each kind in one line: what would give other ids here, what would let plain text become
// a control token, and what is none at all. Ids and texts: test/golden/tokenizer.test.ts.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../../src/errors.ts";
import { train } from "../../src/policy/bpe.ts";
import { Tokenizer, type TokenizerJson } from "../../src/policy/tokenizer.ts";

const json = train(["Where is my order?"], { size: 270, added: [{ content: "<|end|>", special: true }] });
const added = (token: unknown) => ({ added_tokens: [...json.added_tokens, token] });
const model = (change: object) => ({ model: { ...json.model, ...change } });
const byteLevel = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
const cut = (...pretokenizers: unknown[]) => ({ pre_tokenizer: { type: "Sequence", pretokenizers } });

const refused: readonly (readonly [change: object, line: RegExp])[] = [
  [{ model: undefined }, /^t: model is undefined, expected a byte-level BPE$/],
  [model({ type: "Unigram" }), /^t: model is Unigram, expected a byte-level BPE$/],
  [model({ byte_fallback: true }), /^t: model has byte_fallback true, expected a byte-level BPE without it$/],
  [model({ merges: undefined }), /^t: vocab, merges or added_tokens is missing$/],
  [model({ merges: [null] }), /^t: a merge is neither a text nor a pair of texts$/],
  [model({ vocab: { a: 0 } }), /^t: not every byte has a token$/],
  [model({ vocab: { ...json.model.vocab, aa: -1 } }), /^t: -1 is no token id$/],
  [{ normalizer: { type: "Lowercase" } }, /^t: normalizer is Lowercase, expected NFC or none$/],
  [{ decoder: { type: "WordPiece" } }, /^t: decoder is WordPiece, expected ByteLevel$/],
  [added(null), /^t: an added token has no content$/],
  [added({ id: 300, special: true }), /^t: an added token has no content$/],
  [added({ id: 300, content: "", special: true }), /^t: an added token has no content$/],
  [added({ id: 300, content: "x", lstrip: true }), /^t: added token x takes spaces or word boundaries into account/],
  [added({ id: json.model.vocab.a, content: "<x>" }), /^t: plain text can become the added token <x>$/],
  [{ pre_tokenizer: null }, /^t: pre_tokenizer has \{\}, expected Split/],
  [{ pre_tokenizer: { type: "Sequence" } }, /^t: pre_tokenizer has \{\}, expected Split/],
  [cut(null, byteLevel), /^t: pre_tokenizer has \{\}, expected Split/],
  [cut({ type: "Whitespace" }, byteLevel), /^t: pre_tokenizer has \{"type":"Whitespace"\}, expected Split/],
  [cut({ type: "Split", pattern: { Regex: "(" }, behavior: "Isolated" }, byteLevel), /^t: pre_tokenizer: Invalid/],
];
for (const [change, line] of refused)
  test(`refused: ${JSON.stringify(change).slice(0, 80)} ${line}`, () => {
    const read = () => new Tokenizer({ ...json, ...change } as TokenizerJson, "t");
    assert.throws(read, (error: Error) => {
      assert.instance(error, CheckpointError);
      assert.match(error.message, line);
      return true;
    });
  });

test("what is changed here can be read as it is", () => {
  assert.is(new Tokenizer(json).decode(new Tokenizer(json).encode("Where?<|end|>")), "Where?<|end|>");
});

test.run();
