// How byte-level BPE writes bytes as letters: every byte has one printable character, so that tokens are strings.
// Source: GPT-2's bytes_to_unicode. Used by tokenizer.ts and bpe.ts.

/** The character of each byte: printable Latin-1 stands for itself, the other 68 bytes take U+0100 and up, in order. */
export const BYTE_SYMBOLS: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return String.fromCharCode(printable ? byte : next++);
  });
})();

const BYTES = new Map(BYTE_SYMBOLS.map((symbol, byte) => [symbol, byte]));
const utf8 = new TextEncoder();

/** UTF-8 bytes of a text, one symbol each. */
export function toSymbols(text: string): string {
  let out = "";
  for (const byte of utf8.encode(text)) out += BYTE_SYMBOLS[byte];
  return out;
}

/** The bytes of a token; a character that is no symbol stands for its own UTF-8. */
export function toBytes(token: string): number[] {
  return [...token].flatMap((symbol) => BYTES.get(symbol) ?? [...utf8.encode(symbol)]);
}
