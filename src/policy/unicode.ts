// Where Hugging Face's tokenizers library reads Unicode otherwise than this machine's JavaScript does: its regular
// expressions know Unicode 16, its normalisation Unicode 9. Only characters that later versions brought or changed are
// listed (Unicode 17, which Node 20.20 and later have), found by asking the binding about every code point. A Node with an
// older Unicode lacks some of them anyway. Not a table of properties. Test: test/golden/qwen3.test.ts

/** Letters and numbers that the library takes for neither. */
const NEW_LETTERS = ranges([
  "88f c5c cdc a7ce-a7cf a7d2 a7d4 a7f1 10940-10959 10ec5-10ec7 11db0-11ddb 11de0-11de9 16ea0-16eb8",
  "16ebb-16ed3 16ff2-16ff6 187f8-187ff 18d09-18d1e 18d80-18df2 1e6c0-1e6de 1e6e0-1e6e2 1e6e4-1e6e5",
  "1e6e7-1e6ed 1e6f0-1e6f4 1e6fe-1e6ff 2b73a-2b73f 2cea2-2cead 323b0-33479",
]);
/** Marks that the library does not reorder, and characters that it does not compose. */
const NEW_MARKS = ranges([
  "7fd 897-89f 8ca-8d3 9fe c3c d3b-d3c eba 1715 1abf-1add 1ae0-1aeb 1df6-1dfa a82c 105d2 105da",
  "10d24-10d27 10d69-10d6d 10eab-10eac 10efa-10efb 10efd-10eff 10f46-10f50 10f82-10f85 11070 1133b",
  "11382 11384 1138b 11390 113c2 113ce-113d0 1145e 11839-1183a 11935 1193d-1193e 11943 119e0 11a34",
  "11a47 11a99 11d42 11d44-11d45 11d97 11f41-11f42 1611e 16129 1612f 16d63 16d67 16ff0-16ff1 1e08f",
  "1e130-1e136 1e2ae 1e2ec-1e2ef 1e4ec-1e4ef 1e5ee-1e5ef 1e6e3 1e6e6 1e6ee-1e6ef 1e6f5",
]);

const newLetter = new RegExp(`[${NEW_LETTERS}]`, "gu");
const newMark = new RegExp(`[${NEW_MARKS}]`, "u");
const betweenNewMarks = new RegExp(`[^${NEW_MARKS}]+`, "gu");

/** The NFC form as the library makes it. */
export function nfc(text: string): string {
  if (!newMark.test(text)) return text.normalize("NFC");
  return text.replace(betweenNewMarks, (known) => known.normalize("NFC"));
}

/** The text with characters of no property, just as long, in place of letters that the library does not know. */
export function withoutNewLetters(text: string): string {
  return text.replace(newLetter, (letter) => (letter.length === 1 ? "\uFFFE" : "\u{10FFFE}"));
}

/** "88f" and "10940-10959" as parts of a character class. */
function ranges(lines: readonly string[]): string {
  return lines
    .join(" ")
    .replaceAll(/[0-9a-f]+/g, "\\u{$&}")
    .replaceAll(" ", "");
}
