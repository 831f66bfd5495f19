// Text to token ids and back: the only door to @huggingface/tokenizers, which supplies the split pattern and the BPE.
// Added tokens, the cache and decoding are done here, so that text from outside can never become a control id.
// Not a chat format: see rollout/format.ts. Tests: test/golden/tokenizer.test.ts, test/unit/tokenizer.test.ts.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as hf from "@huggingface/tokenizers";
import { CheckpointError } from "../errors.ts";
import { BYTE_SYMBOLS, toBytes, toSymbols } from "./bytes.ts";
import { nfc, withoutNewLetters } from "./unicode.ts";

/** A token outside of the BPE vocabulary, recognised in text as a whole. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Control tokens such as <|im_end|>; the others, such as <tool_call>, are text with an id of their own. */
  readonly special: boolean;
}

/** A node of tokenizer.json: its type, and fields that depend on it. */
interface Typed {
  readonly type: string;
  readonly [field: string]: unknown;
}

/**
 * The parts of a tokenizer.json that are looked at here. Its post_processor is not: which ids begin a text is the
 * format's business.
 */
export interface TokenizerJson {
  readonly added_tokens: readonly (AddedToken & { readonly [option: string]: unknown })[];
  readonly normalizer: Typed | null;
  readonly pre_tokenizer: Typed;
  readonly decoder: Typed;
  readonly model: Typed & {
    readonly vocab: { readonly [token: string]: number };
    readonly merges: readonly (string | readonly string[])[];
  };
  readonly [field: string]: unknown;
}

/** The package's type files do not resolve under `nodenext`; this is the part that is used. */
const { BPE, SplitPreTokenizer } = hf as unknown as {
  readonly BPE: new (
    model: unknown,
  ) => { encode(pieces: string[]): string[]; readonly tokens_to_ids: ReadonlyMap<string, number> };
  readonly SplitPreTokenizer: new (config: unknown) => { pre_tokenize_text(text: string): string[] };
};

/** Pieces kept with their ids; words repeat, so warm encoding is some ten times faster. */
const CACHED_PIECES = 50_000;
/** Far above any vocabulary. */
const MAX_ID = 2 ** 24;
/** Longer pieces are rare and not worth the memory (characters). */
const CACHED_LENGTH = 100;

/** GPT-2's own pattern, which "ByteLevel" with `use_regex` stands for. */
const GPT2_SPLIT = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
/** "Digits" with `individual_digits`: every digit, and what else Unicode calls a number, alone. */
const DIGITS_SPLIT = "\\p{N}";

/** Cuts a text where a tokenizer.json with these patterns does, one after the other; every character is in one piece. */
export function splitter(...patterns: readonly string[]): (text: string) => string[] {
  const [first, ...others] = patterns.map((pattern) => new SplitPreTokenizer(splitNode(pattern)));
  const cut = (text: string): string[] =>
    others.reduce(
      (pieces, split) => pieces.flatMap((piece) => split.pre_tokenize_text(piece)),
      first ? first.pre_tokenize_text(text) : [text],
    );
  return (text) => {
    const known = withoutNewLetters(text);
    if (known === text) return cut(text);
    let end = 0;
    return cut(known).map((piece) => {
      end += piece.length;
      return text.slice(end - piece.length, end);
    });
  };
}

/** The pre-tokenizer of such a tokenizer.json, byte symbols apart. */
export function splitNode(pattern: string): Typed {
  return { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
}

/** Reads tokenizer.json of a checkpoint folder; throws a CheckpointError of one line. */
export function loadTokenizer(dir: string): Tokenizer {
  const file = join(dir, "tokenizer.json");
  if (!existsSync(file)) throw new CheckpointError(`${file} does not exist`);
  let json: TokenizerJson;
  try {
    json = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new CheckpointError(`${file}: ${(error as Error).message}`);
  }
  return new Tokenizer(json, file);
}

export interface DecodeOptions {
  /** Special tokens are left out, other added tokens stay. */
  readonly skipSpecial?: boolean;
}

/** Text of ids that come one after the other. */
export interface DecodeStream {
  /** What these ids add; the bytes of a character that is not complete are held back. */
  push(ids: ArrayLike<number>): string;
  /** What was held back, as U+FFFD. */
  end(): string;
}

/** A byte-level BPE: any text has ids, and decoding them gives the NFC form of the text back. */
export class Tokenizer {
  /** One more than the highest id. Rows of the embedding from here on are padding. */
  readonly size: number;
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #added = new Map<string, AddedToken>();
  /**
   * Of each id: its byte-level letters, its bytes once they were asked for, or the added token; holes where there is none.
   */
  readonly #tokens: (string | Uint8Array | AddedToken)[] = [];
  readonly #nfc: boolean;
  readonly #split: (text: string) => string[];
  readonly #bpe: { encode(pieces: string[]): string[] };
  readonly #everyAdded: RegExp | null;
  readonly #cache = new Map<string, readonly number[]>();

  constructor(json: TokenizerJson, source = "tokenizer.json") {
    const patterns = checkKind(json, source);
    try {
      this.#split = splitter(...patterns);
    } catch (error) {
      throw new CheckpointError(`${source}: pre_tokenizer: ${(error as Error).message}`);
    }
    this.#nfc = json.normalizer !== null;
    const bpe = new BPE(json.model);
    this.#bpe = bpe;
    this.#vocab = bpe.tokens_to_ids;
    for (const [token, id] of this.#vocab) this.#tokens[id] = token;
    for (const { id, content, special } of json.added_tokens) {
      const token = { id, content, special };
      this.#added.set(content, token);
      this.#tokens[id] = token;
    }
    this.#everyAdded = anyOf([...this.#added.values()]);
    this.size = this.#tokens.length;
  }

  /**
   * Ids of a text that is trusted: added tokens written in it become their ids. A reference for tests alone, which
   * compare the chat formats with it.
   */
  encode(text: string): number[] {
    return this.cut(text).flatMap((part, i) => (i % 2 ? this.#added.get(part)!.id : this.encodePlain(part)));
  }

  /** A text at its added tokens: every second part is one. */
  cut(text: string): string[] {
    return this.#everyAdded ? text.split(this.#everyAdded) : [text];
  }

  /** Ids of a text from outside: no added token is recognised, so none of its ids can come out. */
  encodePlain(text: string): number[] {
    const ids: number[] = [];
    for (const piece of this.#split(this.#nfc ? nfc(text) : text)) for (const id of this.#piece(piece)) ids.push(id);
    return ids;
  }

  /**
   * Text of ids. Broken UTF-8 becomes one U+FFFD for each maximal ill-formed part; ids that do not exist are dropped.
   */
  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const stream = this.stream(options);
    return stream.push(ids) + stream.end();
  }

  /** The same while the ids still come: the parts joined are what `decode` says of all ids together. */
  stream({ skipSpecial = false }: DecodeOptions = {}): DecodeStream {
    const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (ids) => {
        let text = "";
        let bytes: number[] = [];
        for (let i = 0; i < ids.length; i++) {
          const token = this.#token(ids[i]);
          if (token instanceof Uint8Array) bytes.push(...token);
          else if (token && !(skipSpecial && token.special)) {
            text += utf8.decode(Uint8Array.from(bytes)) + token.content;
            bytes = [];
          }
        }
        return text + utf8.decode(Uint8Array.from(bytes), { stream: true });
      },
      end: () => utf8.decode(),
    };
  }

  /** The id of an added token, or of a BPE token in byte-level letters; undefined when there is none. */
  id(token: string): number | undefined {
    return this.#added.get(token)?.id ?? this.#vocab.get(token);
  }

  #token(id: number): Uint8Array | AddedToken | undefined {
    const token = this.#tokens[id];
    if (typeof token !== "string") return token;
    const bytes = Uint8Array.from(toBytes(token));
    this.#tokens[id] = bytes;
    return bytes;
  }

  #piece(piece: string): readonly number[] {
    const known = this.#cache.get(piece);
    if (known) return known;
    const ids = this.#bpe.encode([toSymbols(piece)]).map((token) => this.#vocab.get(token)!);
    if (this.#cache.size >= CACHED_PIECES) this.#cache.clear();
    if (piece.length <= CACHED_LENGTH) this.#cache.set(piece, ids);
    return ids;
  }
}

/** Longest first, because alternatives are tried in order. Null when there are none. */
function anyOf(tokens: readonly AddedToken[]): RegExp | null {
  const contents = tokens.map(({ content }) => content).sort((a, b) => b.length - a.length);
  const escaped = contents.map((content) => content.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return escaped.length > 0 ? new RegExp(`(${escaped.join("|")})`, "u") : null;
}

/** Refuses every kind of tokenizer whose ids would come out differently here; the patterns of its pre-tokenizer. */
function checkKind(json: TokenizerJson, source: string): string[] {
  const refuse = (what: string): never => {
    throw new CheckpointError(`${source}: ${what}`);
  };
  const { model, normalizer, pre_tokenizer: pre, decoder, added_tokens: added } = Object(json) as TokenizerJson;
  if (model?.type !== "BPE") refuse(`model is ${model?.type}, expected a byte-level BPE`);
  if (!model.vocab || !Array.isArray(model.merges) || !Array.isArray(added))
    refuse("vocab, merges or added_tokens is missing");
  if (added.some((token) => typeof token?.content !== "string" || token.content === ""))
    refuse("an added token has no content");
  if (!model.merges.every((merge) => typeof merge === "string" || Array.isArray(merge)))
    refuse("a merge is neither a text nor a pair of texts");
  for (const key of ["dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"])
    if (model[key]) refuse(`model has ${key} ${JSON.stringify(model[key])}, expected a byte-level BPE without it`);
  if (normalizer && normalizer.type !== "NFC") refuse(`normalizer is ${normalizer.type}, expected NFC or none`);
  if (decoder?.type !== "ByteLevel") refuse(`decoder is ${decoder?.type}, expected ByteLevel`);
  const odd = added.find((token) => token.lstrip || token.rstrip || token.single_word);
  if (odd) refuse(`added token ${odd.content} takes spaces or word boundaries into account, which is not supported`);
  if (BYTE_SYMBOLS.some((symbol) => !Object.hasOwn(model.vocab, symbol))) refuse("not every byte has a token");

  const control = new Map(added.map(({ id, content }) => [id, content]));
  for (const id of [...Object.values(model.vocab), ...control.keys()])
    if (!Number.isInteger(id) || id < 0 || id > MAX_ID) refuse(`${id} is no token id`);
  const spells = (token: string): void => {
    const content = control.get(model.vocab[token]);
    if (content !== undefined) refuse(`plain text can become the added token ${content}`);
  };
  for (const symbol of BYTE_SYMBOLS) spells(symbol);
  for (const merge of model.merges) spells(typeof merge === "string" ? merge.replace(" ", "") : merge.join(""));
  if (model.ignore_merges) for (const { content } of added) spells(toSymbols(content));
  return patternsOf(pre, refuse);
}

/** What the steps before the BPE cut at: any "Split" into isolated matches and "Digits", with "ByteLevel" at the end. */
function patternsOf(pre: Typed | null, refuse: (what: string) => never): string[] {
  const steps: readonly Typed[] = (pre?.type === "Sequence" ? [pre.pretokenizers].flat() : [pre]).map(Object);
  return steps.flatMap((step, i) => {
    const last = i === steps.length - 1;
    const pattern = (Object(step.pattern) as { Regex?: unknown }).Regex;
    if (step.type === "ByteLevel" && last && step.add_prefix_space === false)
      return step.use_regex === false ? [] : [GPT2_SPLIT];
    if (step.type === "Digits" && !last && step.individual_digits) return [DIGITS_SPLIT];
    const isolated = step.behavior === "Isolated" && !step.invert;
    if (step.type === "Split" && !last && isolated && typeof pattern === "string") return [pattern];
    return refuse(
      `pre_tokenizer has ${JSON.stringify(step).slice(0, 200)}, expected Split (Regex, Isolated) or Digits (individual_digits), and ByteLevel without add_prefix_space at the end`,
    );
  });
}
