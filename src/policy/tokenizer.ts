// Text to token ids and back: the only door to @huggingface/tokenizers, which supplies the split pattern and the BPE.
// Added tokens, the cache and decoding are done here, so that text from outside can never become a control id.
// Not a chat format: see rollout/format.ts. Tests: test/golden/tokenizer.test.ts.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as hf from "@huggingface/tokenizers";
import { CheckpointError } from "../errors.ts";
import { BYTE_SYMBOLS, toBytes, toSymbols } from "./bytes.ts";

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

/** The parts of a tokenizer.json that are looked at here. */
export interface TokenizerJson {
  readonly added_tokens: readonly (AddedToken & { readonly [option: string]: unknown })[];
  readonly normalizer: Typed | null;
  readonly pre_tokenizer: Typed & { readonly pretokenizers: readonly Typed[] };
  readonly model: Typed & {
    readonly vocab: { readonly [token: string]: number };
    readonly merges: readonly (string | readonly string[])[];
  };
  readonly [field: string]: unknown;
}

/** The package's type files do not resolve under `nodenext`; this is the part that is used. */
const { BPE, SplitPreTokenizer } = hf as unknown as {
  readonly BPE: new (model: unknown) => { encode(pieces: string[]): string[] };
  readonly SplitPreTokenizer: new (config: unknown) => { pre_tokenize_text(text: string): string[] };
};

/** Pieces kept with their ids; words repeat, so warm encoding is some ten times faster. */
const CACHED_PIECES = 50_000;
/** Longer pieces are rare and not worth the memory (characters). */
const CACHED_LENGTH = 100;

/** Cuts a text where a tokenizer.json with this pattern does; every character is in one of the pieces. */
export function splitter(pattern: string): (text: string) => string[] {
  const split = new SplitPreTokenizer(splitNode(pattern));
  return (text) => split.pre_tokenize_text(text);
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

/** A byte-level BPE: any text has ids, and decoding them gives the NFC form of the text back. */
export class Tokenizer {
  /** One more than the highest id. Rows of the embedding from here on are padding. */
  readonly size: number;
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #added = new Map<string, AddedToken>();
  /** Of each id: its bytes, or the added token; holes where there is no such id. */
  readonly #tokens: (Uint8Array | AddedToken)[] = [];
  readonly #nfc: boolean;
  readonly #split: { pre_tokenize_text(text: string): string[] };
  readonly #bpe: { encode(pieces: string[]): string[] };
  readonly #everyAdded: RegExp | null;
  readonly #cache = new Map<string, readonly number[]>();

  constructor(json: TokenizerJson, source = "tokenizer.json") {
    checkKind(json, source);
    this.#nfc = json.normalizer !== null;
    this.#split = new SplitPreTokenizer(json.pre_tokenizer.pretokenizers[0]);
    this.#bpe = new BPE(json.model);
    this.#vocab = new Map(Object.entries(json.model.vocab));
    for (const [token, id] of this.#vocab) this.#tokens[id] = Uint8Array.from(toBytes(token));
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
   * compare the chat format with it.
   */
  encode(text: string): number[] {
    if (!this.#everyAdded) return this.encodePlain(text);
    // The pattern has one group, so every second part is an added token.
    return text
      .split(this.#everyAdded)
      .flatMap((part, i) => (i % 2 ? this.#added.get(part)!.id : this.encodePlain(part)));
  }

  /** Ids of a text from outside: no added token is recognised, so none of its ids can come out. */
  encodePlain(text: string): number[] {
    const ids: number[] = [];
    for (const piece of this.#split.pre_tokenize_text(this.#nfc ? text.normalize("NFC") : text))
      for (const id of this.#piece(piece)) ids.push(id);
    return ids;
  }

  /**
   * Text of ids. Broken UTF-8 becomes one U+FFFD for each maximal ill-formed part; ids that do not exist are dropped.
   * `skipSpecial`: special tokens are left out, other added tokens stay.
   */
  decode(ids: ArrayLike<number>, options: { readonly skipSpecial?: boolean } = {}): string {
    let text = "";
    let bytes: number[] = [];
    const flush = () => {
      text += new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
      bytes = [];
    };
    for (let i = 0; i < ids.length; i++) {
      const token = this.#tokens[ids[i]];
      if (token instanceof Uint8Array) bytes.push(...token);
      else if (token && !(options.skipSpecial && token.special)) {
        flush();
        text += token.content;
      }
    }
    flush();
    return text;
  }

  /** The id of an added token, or of a BPE token in byte-level letters; undefined when there is none. */
  id(token: string): number | undefined {
    return this.#added.get(token)?.id ?? this.#vocab.get(token);
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

/** Refuses every kind of tokenizer whose ids would come out differently here. */
function checkKind(json: TokenizerJson, source: string): void {
  const refuse = (what: string): never => {
    throw new CheckpointError(`${source}: ${what}`);
  };
  const { model, normalizer, pre_tokenizer: pre, added_tokens: added } = Object(json) as TokenizerJson;
  if (model?.type !== "BPE") refuse(`model is ${model?.type}, expected a byte-level BPE`);
  if (!model.vocab || !Array.isArray(model.merges) || !Array.isArray(added))
    refuse("vocab, merges or added_tokens is missing");
  if (normalizer && normalizer.type !== "NFC") refuse(`normalizer is ${normalizer.type}, expected NFC or none`);
  const kinds = pre?.type === "Sequence" ? pre.pretokenizers.map((one) => one.type).join(", ") : pre?.type;
  if (kinds !== "Split, ByteLevel") refuse(`pre_tokenizer is ${kinds}, expected Split, ByteLevel`);
  const odd = added.find((token) => token.lstrip || token.rstrip || token.single_word);
  if (odd) refuse(`added token ${odd.content} takes spaces or word boundaries into account, which is not supported`);
  if (BYTE_SYMBOLS.some((symbol) => !Object.hasOwn(model.vocab, symbol))) refuse("not every byte has a token");
  const contents = new Set(added.map((token) => token.content));
  for (const merge of model.merges) {
    const merged = typeof merge === "string" ? merge.replace(" ", "") : merge.join("");
    if (contents.has(merged)) refuse(`plain text can become the added token ${merged}`);
  }
}
