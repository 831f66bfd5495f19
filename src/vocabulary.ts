// Makes the tokenizer of a policy that starts from nothing: a byte-level BPE of the domain's demonstrations and drills,
// written in the chat format. Not the BPE itself: policy/bpe.ts. Test: test/unit/sft.test.ts

import { UsageError } from "./errors.ts";
import { oracleHabits } from "./eval/evaluate.ts";
import { type Conversing, demonstrateAs } from "./play.ts";
import { train } from "./policy/bpe.ts";
import { BYTE_SYMBOLS } from "./policy/bytes.ts";
import type { TokenizerJson } from "./policy/tokenizer.ts";
import { attempts } from "./rollout/collect.ts";
import { chatFormat } from "./rollout/format.ts";
import { CHAT_TOKENS } from "./rollout/template.ts";
import { mix, sampleTasks, trainDatabases } from "./tasks/sampler.ts";
import type { Domain } from "./types.ts";

/** Every byte and every control token has an id. */
export const LEAST_IDS = BYTE_SYMBOLS.length + CHAT_TOKENS.length;

/** Code points end here; the ids of the control tokens follow in `letters`. */
const CODE_POINTS = 0x110000;

/** A codec whose tokens are code points, so that a ledger in it can be read as text. */
export const letters = {
  encodePlain: (text: string) => Array.from(text, (letter) => letter.codePointAt(0)!),
  decode: (ids: ArrayLike<number>, { skipSpecial = false } = {}) =>
    Array.from(ids, (id) => {
      if (id < CODE_POINTS) return String.fromCodePoint(id);
      const { content, special } = CHAT_TOKENS[id - CODE_POINTS];
      return special && skipSpecial ? "" : content;
    }).join(""),
  id: (token: string) => {
    const index = CHAT_TOKENS.findIndex(({ content }) => content === token);
    return index < 0 ? undefined : CODE_POINTS + index;
  },
};

const LIMITS: Conversing = {
  turns: 100,
  turnTokens: Infinity,
  promptTokens: Infinity,
  contextTokens: Infinity,
  invalidInRow: 3,
  checkOutputs: "off",
  concurrent: 1,
};

/**
 * A tokenizer.json of at most `size` ids, learnt from `count` demonstrations and as many of each drill. A function of
 * its arguments.
 */
export async function makeTokenizer(domain: Domain, size: number, count: number, seed: number): Promise<TokenizerJson> {
  if (!domain.expert)
    throw new UsageError(`the domain ${domain.name} has no scripted expert to learn a tokenizer from`);
  const format = chatFormat(letters);
  const families = mix(domain, [], 1);
  const texts: string[] = [];
  for (let from = 0; from < count; from += BLOCK) {
    const tasks = sampleTasks(
      domain,
      families,
      trainDatabases(count),
      Math.min(BLOCK, count - from),
      seed,
      "tokenizer",
      from,
    );
    for (const attempt of attempts(tasks, 1, seed, "tokenizer")) {
      const { ledger } = await demonstrateAs(domain, attempt, oracleHabits, format, LIMITS);
      texts.push(format.decode(ledger.ids));
      for (const drill of Object.values(domain.drills ?? {}))
        texts.push(
          drill(attempt.seed)
            .map(({ text }) => text)
            .join(""),
        );
    }
  }
  return train(texts, { size, added: CHAT_TOKENS });
}

/** Tasks drawn at once: different within a block. */
const BLOCK = 100;
