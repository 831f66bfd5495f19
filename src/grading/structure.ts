// What answers are made of: lists, tuples, intervals, sets, matrices, equations and inequalities, cut where no bracket
// is open.
// Test: test/unit/grading.test.ts

const OPENING = "([{";
const CLOSING = ")]}";

/** Cuts at every match of a (sticky) pattern that stands outside of brackets. */
export function split(text: string, separator: RegExp): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    if (depth === 0) {
      separator.lastIndex = i;
      const found = separator.exec(text);
      if (found && found[0].length > 0) {
        parts.push(text.slice(from, i).trim());
        from = i + found[0].length;
        i = from - 1;
        continue;
      }
    }
    if (OPENING.includes(text[i])) depth++;
    else if (CLOSING.includes(text[i])) depth = Math.max(depth - 1, 0);
  }
  return [...parts, text.slice(from).trim()];
}

/** Something in brackets: `marks` are the two, "()" for instance; the parts are in order. */
export interface Bracketed {
  readonly marks: string;
  readonly parts: readonly string[];
}

/** Null where the text is not one pair of brackets around parts that are parted by commas. */
export function readBracketed(text: string): Bracketed | null {
  const isSet = text.startsWith("\\{") && text.endsWith("\\}");
  const [open, close] = isSet ? ["{", "}"] : [text[0], text.at(-1)!];
  if (!(isSet || (/[([]/.test(open) && /[)\]]/.test(close)))) return null;
  const inner = text.slice(isSet ? 2 : 1, isSet ? -2 : -1);
  let depth = 0;
  for (const mark of inner) {
    if (OPENING.includes(mark)) depth++;
    else if (CLOSING.includes(mark) && --depth < 0) return null;
  }
  return { marks: open + close, parts: inner.trim() === "" ? [] : split(inner, /,/y) };
}

/** Rows of a matrix or a column, cells in order; null where it is none. */
export function readMatrix(text: string): readonly (readonly string[])[] | null {
  const found = /^\\begin\s*\{([a-zA-Z]*matrix|array)\}(?:\s*\{[lcr| ]*\})?([\s\S]*)\\end\s*\{\1\}$/.exec(text);
  if (!found) return null;
  return split(found[2].trim().replace(/\\\\$/, ""), /\\\\/y).map((row) => split(row, /&/y));
}

/** `\pm` once: both signs. */
export function bothSigns(text: string): readonly string[] {
  if (!/\\pm(?![A-Za-z])/.test(text)) return [text];
  return ["+", "-"].map((sign) => text.replace(/\\pm(?![A-Za-z])/g, sign));
}

const RELATION = /<|>|\\le(?![A-Za-z])|\\ge(?![A-Za-z])/y;
const SIGNS = /<|>|\\le(?![A-Za-z])|\\ge(?![A-Za-z])/g;

/** An inequality in one letter as an interval, "x > 3" as "(3,\infty)"; null where the text is none. */
export function asInterval(text: string): string | null {
  const sides = split(text, RELATION);
  const signs = text.match(SIGNS) ?? [];
  if (signs.length !== sides.length - 1) return null;
  const isLetter = (side: string) => /^[a-zA-Z]$/.test(side);
  const rising = (sign: string) => sign === "<" || sign === "\\le";
  const strict = (sign: string) => sign === "<" || sign === ">";
  if (signs.length === 1) {
    const [left, right] = sides;
    if (isLetter(left) === isLetter(right)) return null;
    const below = isLetter(left) === rising(signs[0]); // the letter is the smaller side
    const bound = isLetter(left) ? right : left;
    if (below) return `(-\\infty,${bound}${strict(signs[0]) ? ")" : "]"}`;
    return `${strict(signs[0]) ? "(" : "["}${bound},\\infty)`;
  }
  if (signs.length !== 2 || !isLetter(sides[1]) || rising(signs[0]) !== rising(signs[1])) return null;
  const [low, high] = rising(signs[0]) ? [0, 1] : [1, 0];
  const open = strict(signs[low]) ? "(" : "[";
  const close = strict(signs[high]) ? ")" : "]";
  return `${open}${sides[2 * low]},${sides[2 * high]}${close}`;
}
