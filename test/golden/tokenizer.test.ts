// The golden encode and decode cases of every tokenizer folder, and of its copies in other notations.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Tokenizer } from "../../src/policy/tokenizer.ts";
import { golden } from "../golden.ts";

interface Encode {
  name: string;
  text: string;
  ids: number[];
  ids_plain: number[];
  decoded: string;
  decoded_skip_special?: string;
}

interface Decode {
  name: string;
  ids: number[];
  text: string;
  text_skip_special: string;
  /** Text of the first 0, 1, 2 ... ids. */
  prefix_texts?: string[];
}

const folder = golden("hf");
if (!folder) throw new Error("no golden/hf: set TARL_GOLDEN to the folder that holds it");
const read = (...path: string[]) => JSON.parse(readFileSync(join(folder, "tokenizer", ...path), "utf8"));

for (const name of readdirSync(join(folder, "tokenizer"))) {
  const cases: { vocab: number; added: number; encode: Encode[]; decode: Decode[] } = read(name, "cases.json");
  const notations = readdirSync(join(folder, "tokenizer", name)).filter((file) =>
    /^tokenizer\.(.+\.)?json$/.test(file),
  );
  for (const notation of notations) {
    const tokenizer = new Tokenizer(read(name, notation));

    test(`${name}/${notation}: ${cases.vocab} entries and ${cases.added} added tokens`, () => {
      assert.is(tokenizer.size, cases.vocab + cases.added);
    });

    test(`${name}/${notation}: ${cases.encode.length} encode cases`, () => {
      for (const one of cases.encode) {
        assert.equal(tokenizer.encode(one.text), one.ids, `${one.name}: added tokens recognised`);
        assert.equal(tokenizer.encodePlain(one.text), one.ids_plain, `${one.name}: plain`);
        assert.is(tokenizer.decode(one.ids), one.decoded, `${one.name}: decoded`);
        const skipped = one.decoded_skip_special ?? one.decoded;
        assert.is(tokenizer.decode(one.ids, { skipSpecial: true }), skipped, `${one.name}: decoded without special`);
      }
    });

    test(`${name}/${notation}: ${cases.decode.length} decode cases`, () => {
      for (const one of cases.decode) {
        assert.is(tokenizer.decode(Int32Array.from(one.ids)), one.text, one.name);
        assert.is(
          tokenizer.decode(one.ids, { skipSpecial: true }),
          one.text_skip_special,
          `${one.name}: without special`,
        );
        for (const [length, text] of (one.prefix_texts ?? []).entries())
          assert.is(tokenizer.decode(one.ids.slice(0, length)), text, `${one.name}: first ${length}`);
      }
    });
  }
}

test.run();
