// The answer in a message, and its plain spelling: one way to write what LaTeX and people write in many. Works on text
// alone, which may be hostile: in the child process only. What an answer means is compared in equal.ts.
// Test: test/unit/grading.test.ts

/** Characters at the end of a message that an answer is looked for in. */
const MOST_LOOKED_AT = 20_000;

const NUMBER = String.raw`[-−]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+)?`;
const NUMBERS = new RegExp(
  String.raw`(?<![\w.])(?:${NUMBER}(?<=\d)(?:\s*/\s*\d+)?(?:[eE][-+]?\d+)?)(?:\s*(?:\\?%|percent))?`,
  "g",
);
const FUNCTIONS = String.raw`(?!(?:and|or|sin|cos|tan|log|ln|exp|sqrt|pi)\b)`;
/** A word of two letters or more by itself, or of four anywhere; not a command. */
const PROSE = new RegExp(
  String.raw`(?<![^\s,;:"'(])${FUNCTIONS}[A-Za-z]{2,}(?![^\s,;:.!?"')])|(?<![\\A-Za-z])${FUNCTIONS}[A-Za-z]{4,}`,
);
/** A calculation at the end, "12 + 5 = 17": its result. */
const CALCULATED = /(?:^|[,;.])(?=[^=,;]*\d)[^=,;A-Za-z]+=\s*([^=,;]+)$/;
const SAYS = /\b(?:final\s+)?answer\s*(?:is|are|:|=)\s*:?/gi;

/**
 * What a message gives as its answer: what its last \boxed holds; else what follows the last "answer is", or is between the
 * last dollars, or the last line if there is no prose in it, of calculations the last result; else its last number;
 * else that line.
 */
export function findAnswer(message: string): string {
  const text = message
    .slice(-MOST_LOOKED_AT)
    .replace(/\*\*(?!\w)|(?<![\w)}])\*\*/g, "")
    .trim();
  const boxed = lastBoxed(text);
  if (boxed !== null) return boxed;
  const said = [...text.matchAll(SAYS)].at(-1);
  const rest = said ? text.slice(said.index + said[0].length).trim() : text;
  const part = rest === "" ? text : rest;
  const math = [...part.matchAll(/(?<!\\)\$\$?([^$]+)(?<!\\)\$\$?|\\\(([\s\S]*?)\\\)|\\\[([\s\S]*?)\\\]/g)].at(-1);
  if (math && !PROSE.test(withoutText(math[0]))) return math[1] ?? math[2] ?? math[3];
  const last = part.split("\n").at(-1)!;
  if (!PROSE.test(withoutText(last))) return CALCULATED.exec(last.replace(/[.\s]+$/, ""))?.[1] ?? last;
  return part.match(NUMBERS)?.at(-1) ?? last;
}

/** What the last \boxed or \fbox holds; null without one that is closed. */
function lastBoxed(text: string): string | null {
  const found = [...text.matchAll(/\\f?box(?:ed)?\s*\{/g)].at(-1);
  if (!found) return null;
  const start = found.index + found[0].length;
  const end = closing(text, start);
  return end < 0 ? null : text.slice(start, end);
}

/** Index of the brace that closes what begins at `start`; -1 where none does. */
function closing(text: string, start: number): number {
  let depth = 1;
  for (let i = start; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "{") depth++;
    else if (text[i] === "}" && --depth === 0) return i;
  }
  return -1;
}

const withoutText = (text: string) => text.replace(/\\(?:text|mathrm|operatorname|begin|end)[a-z]*\s*\{[^{}]*\}/g, " ");

const SIGNS: Readonly<Record<string, string>> = {
  "−": "-",
  "–": "-",
  "×": "\\times ",
  "·": "\\cdot ",
  "÷": "/",
  π: "\\pi ",
  "∞": "\\infty ",
  "°": "",
  "≤": "\\le ",
  "≥": "\\ge ",
  "≠": "\\ne ",
  "∪": "\\cup ",
  "∅": "\\emptyset ",
  "±": "\\pm ",
  "²": "^2",
  "³": "^3",
  "½": "\\frac{1}{2}",
  "¼": "\\frac{1}{4}",
  "¾": "\\frac{3}{4}",
  "⅓": "\\frac{1}{3}",
  "⅔": "\\frac{2}{3}",
};

const UNITS =
  "(?:square|sq|cubic)?\\s*(?:degrees?|deg|radians?|dollars?|cents?|euros?|units?|meters?|metres?|centimeters?|centimetres?|" +
  "kilometers?|kilometres?|millimeters?|inch(?:es)?|feet|foot|ft|yards?|miles?|mi|mph|cm|mm|km|kg|grams?|kilograms?|pounds?|lbs?|" +
  "ounces?|liters?|litres?|ml|seconds?|sec|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?|percent|points?|" +
  "people|students?|ways?|times|apples?|books?|boxes|cards?|coins?|in)(?:\\s*\\^?\\s*\\{?[23]\\}?)?";
/** A unit after a number, a power of it too. Of one letter only as LaTeX's text: elsewhere it is a variable. */
const UNIT = new RegExp(`(?<=[\\d}).]|\\\\pi)\\s*${UNITS}(?:\\s*(?:per|/)\\s*${UNITS})?\\s*$`, "i");
const TEXT_UNIT = /(?<=[\d}).]|\\pi)\s*\\(?:text|mathrm|mbox)[a-z]*\s*\{[^{}]*\}(?:\s*\^\s*\{?[23]\}?)?\s*$/;

/** The same answer spelled plainly: without dollars, spaces of LaTeX, sizes of brackets, units, and what only looks. */
export function plain(answer: string): string {
  let text = answer.trim().replace(/[−–×·÷π∞°≤≥≠∪∅±²³½¼¾⅓⅔]/g, (sign) => SIGNS[sign]);
  text = text
    .replace(/√\s*(\w+|\([^()]*\))/g, "\\sqrt{$1}")
    .replace(/^\\[([]|\\[)\]]$/g, "")
    .replace(/\\\$|(?<!\\)\$/g, "")
    .replace(/\\(?:left|right|displaystyle|textstyle|limits|bigl?|bigr?|Bigl?|Bigr?)(?![A-Za-z])/g, "")
    .replace(/(?<!\\)\\[!,;:> ]|~|\\q?quad(?![A-Za-z])/g, " ")
    .replace(/\\[dtc]frac(?![A-Za-z])/g, "\\frac")
    .replace(/\{,\}/g, ",")
    .replace(/\^\s*\{?\s*\\circ\s*\}?|\\degree(?![A-Za-z])/g, "")
    .replace(/\\(?:lbrace|\{)/g, "\\{")
    .replace(/\\(?:rbrace|\})/g, "\\}")
    .replace(/\\leq(?:slant)?(?![A-Za-z])/g, "\\le")
    .replace(/\\geq(?:slant)?(?![A-Za-z])/g, "\\ge")
    .replace(/\\neq(?![A-Za-z])/g, "\\ne")
    .replace(/\\lt(?![A-Za-z])/g, "<")
    .replace(/\\gt(?![A-Za-z])/g, ">")
    .replace(/\\varnothing(?![A-Za-z])/g, "\\emptyset")
    .replace(/\\(?:to|rightarrow|implies|Rightarrow)(?![A-Za-z])/g, " ")
    .trim()
    .replace(/[.,;:\s]+$/, "")
    .replace(TEXT_UNIT, "")
    .replace(UNIT, "");
  text = text.replace(
    /\\(?:text|mathrm|mathbf|textbf|textit|mathit|mbox|operatorname|mathsf|texttt)\s*\{([^{}]*)\}/g,
    " $1 ",
  );
  text = text
    .trim()
    .replace(/[.,;:\s]+$/, "")
    .replace(UNIT, "")
    .replace(/\s+/g, " ")
    .trim()
    .replace(/^\+\s*/, "");
  return text
    .replace(/\\(sqrt|frac)\s+(?=[\w\\])/g, "\\$1 ")
    .replace(/\\frac\s*(\d)\s*(\d)(?!\d)/g, "\\frac{$1}{$2}")
    .replace(/\\frac\s*(\d|[a-zA-Z])\s*(?=\{)/g, "\\frac{$1}")
    .replace(/(\\frac\s*\{[^{}]*\})\s*(\w)/g, "$1{$2}")
    .replace(/\\sqrt\s*(\w)/g, "\\sqrt{$1}");
}
