// Trains a byte-level BPE tokenizer from texts: the tokenizer.json of a policy that starts from nothing.
// Not an encoder: see tokenizer.ts. Deterministic; the same merges as Hugging Face's trainer finds.
// Tests: test/unit/bpe.test.ts
//
// The default split is made for copying. A policy of a few million parameters repeats an id by looking for the token
// that it has seen before, so an id must be the SAME token after a name, a space, a quote and at the start of a line.
// The usual pattern glues the space to the word (" light" against "light") and breaks exactly that; gluing it to the
// word before does the same to the other side. Here spaces belong to the runs between words (" ", ", ", "\": \""), which
// BPE merges into one token each: a sentence costs one more token a word, JSON and ids cost nothing. The mark of an id
// belongs to it: "#light" is one token, and never the word "light". Digits stand alone, so that numbers are spelled.

import { BYTE_SYMBOLS, toSymbols } from "./bytes.ts";
import { splitNode, splitter, type TokenizerJson } from "./tokenizer.ts";

/** snake_case names and words, with a "#" right before them where there is one; single digits; newlines; runs of the rest. */
export const WORD_SPLIT = "#?\\p{L}+(?:_\\p{L}+)*|\\p{N}|#|\\n+|[^\\p{L}\\p{N}#\\n]+";

export interface BpeOptions {
  /** Most ids, added tokens included; fewer when no pair is left that occurs twice. */
  readonly size: number;
  /** Regular expression of the pieces that no token crosses; read by this project and by Hugging Face's tokenizers. */
  readonly split?: string;
  /** Take the ids after the vocabulary, in this order; never part of a merge. */
  readonly added: readonly { readonly content: string; readonly special: boolean }[];
}

/** Learns merges from all texts together and returns a complete tokenizer.json (HF format). */
export function train(texts: Iterable<string>, options: BpeOptions): TokenizerJson {
  const split = options.split ?? WORD_SPLIT;
  const least = BYTE_SYMBOLS.length + options.added.length;
  if (options.size < least)
    throw new RangeError(`size is ${options.size}, expected at least ${least}: every byte and added token`);

  const counts = countPieces(texts, splitter(split), options.added);
  const { tokens, merges } = learn(counts, options.size - options.added.length);

  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false };
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: options.added.map(({ content, special }, i) => ({
      id: tokens.length + i,
      content,
      ...plain,
      special,
    })),
    normalizer: { type: "NFC" },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [splitNode(split), byteLevel],
    },
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** How often each piece occurs, in byte symbols. Added tokens are cut out first. */
function countPieces(
  texts: Iterable<string>,
  split: (text: string) => string[],
  added: BpeOptions["added"],
): Map<string, number> {
  const raw = new Map<string, number>();
  for (const text of texts) {
    const parts = added.reduce((pieces, { content }) => pieces.flatMap((piece) => piece.split(content)), [text]);
    for (const part of parts)
      for (const piece of split(part.normalize("NFC"))) raw.set(piece, (raw.get(piece) ?? 0) + 1);
  }
  return new Map([...raw].map(([piece, count]) => [toSymbols(piece), count]));
}

/** Below this many occurrences a pair is not merged. */
const MIN_COUNT = 2;
/** Packs two ids into one number; far above any vocabulary. */
const SPAN = 2 ** 24;

/**
 * Greedy BPE: again and again the most frequent pair, of equal ones the pair of lower ids, until there are `most`
 * tokens. A token that two merges spell has one id.
 */
function learn(pieces: ReadonlyMap<string, number>, most: number): { tokens: string[]; merges: [string, string][] } {
  const tokens = [...BYTE_SYMBOLS].sort();
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const words = [...pieces].map(([piece, count]) => ({ ids: [...piece].map((c) => ids.get(c)!), count }));
  const pairs = new Map<number, { count: number; words: Set<number> }>();
  const change = (word: number, i: number, sign: 1 | -1) => {
    const key = words[word].ids[i] * SPAN + words[word].ids[i + 1];
    const pair = pairs.get(key) ?? { count: 0, words: new Set() };
    pairs.set(key, pair);
    pair.count += sign * words[word].count;
    pair.words.add(word);
    if (pair.count === 0) pairs.delete(key);
  };
  for (const [w, word] of words.entries()) for (let i = 0; i + 1 < word.ids.length; i++) change(w, i, 1);

  const merges: [string, string][] = [];
  while (tokens.length < most) {
    let best = -1;
    let count = MIN_COUNT - 1;
    for (const [key, pair] of pairs)
      if (pair.count > count || (pair.count === count && best >= 0 && key < best)) {
        best = key;
        count = pair.count;
      }
    if (best < 0) break;

    const [left, right] = [Math.floor(best / SPAN), best % SPAN];
    const token = tokens[left] + tokens[right];
    const merged = ids.get(token) ?? tokens.push(token) - 1;
    ids.set(token, merged);
    merges.push([tokens[left], tokens[right]]);
    for (const w of [...pairs.get(best)!.words]) {
      const word = words[w];
      for (let i = 0; i + 1 < word.ids.length; i++) change(w, i, -1);
      word.ids = mergePair(word.ids, left, right, merged);
      for (let i = 0; i + 1 < word.ids.length; i++) change(w, i, 1);
    }
  }
  return { tokens, merges };
}

function mergePair(ids: readonly number[], left: number, right: number, merged: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    const found = ids[i] === left && ids[i + 1] === right;
    out.push(found ? merged : ids[i]);
    if (found) i++;
  }
  return out;
}
