// Are two answers equal? Taken apart as far as they have structure, numbers compared exactly, words as words, and what is
// left as expressions. What is accepted stands in docs/math-tasks.md. Test: test/unit/grading.test.ts

import { findAnswer, plain } from "./answer.ts";
import { type Fraction, readNumber, sameNumber } from "./number.ts";
import { asInterval, bothSigns, readBracketed, readMatrix, split } from "./structure.ts";

/** What the comparison of expressions is left to. */
export interface Expressions {
  same(one: string, other: string): boolean;
  sameUpToFactor(one: string, other: string): boolean;
}

/** Parts of a list or of nested brackets, beyond which answers are not taken apart. */
const MOST_PARTS = 64;
const MOST_NESTING = 8;
/** A longer answer is only equal to the very same text. */
const MOST_CHARACTERS = 2000;

/** Does what the agent's message gives as its answer equal the answer that is expected? */
export function isRight(message: string, expected: string, expressions: Expressions): boolean {
  const [said, wanted] = [findAnswer(message), findBox(expected)].map((text) => text.trim().replace(/\s+/g, " "));
  if (Math.max(said.length, wanted.length) > MOST_CHARACTERS) return said === wanted;
  const [given, right] = [plain(said), plain(wanted)];
  if (given === "" || right === "") return false;
  return given === right || equal(given, right, expressions, 0);
}

const findBox = (expected: string) => (/\\f?box/.test(expected) ? findAnswer(expected) : expected);

function equal(given: string, right: string, expressions: Expressions, nesting: number): boolean {
  if (squeezed(given) === squeezed(right)) return given !== "";
  if (nesting > MOST_NESTING) return false;
  const again = (one: string, other: string) => equal(one, other, expressions, nesting + 1);
  const numbers = sameNumbers(given, right);
  if (numbers !== null) return numbers;

  const [one, other] = [readMatrix(given), readMatrix(right)];
  if (one || other)
    return !!one && !!other && inOrder(one, other, (row, others) => inOrder(row, others, (a, b) => again(a, b)));

  if (/[<>]|\\[lg]e(?![A-Za-z])/.test(given + right)) {
    const [low, high] = [given, right].map((text) => (/[<>]|\\[lg]e(?![A-Za-z])/.test(text) ? asInterval(text) : text));
    return low !== null && high !== null && (low !== given || high !== right) && again(low, high);
  }
  const [unions, others] = [given, right].map((text) => split(named(text, "\\in"), /\\cup(?![A-Za-z])/y));
  if (unions.length > 1 || others.length > 1) return anyOrder(unions, others, again);

  const equation = equations(given, right, expressions, again);
  if (equation !== null) return equation;

  const [lists, wanted] = [given, right].map((text) => listed(text).flatMap(bothSigns));
  if (lists.length > 1 || wanted.length > 1) return sameList(lists, wanted, again);

  const [brackets, theirs] = [readBracketed(named(given, "\\in")), readBracketed(named(right, "\\in"))];
  const isPlural = (found: typeof brackets) => found !== null && (found.parts.length !== 1 || found.marks === "{}");
  if (isPlural(brackets) || isPlural(theirs)) {
    if (!brackets || !theirs) {
      const { marks, parts } = (brackets ?? theirs)!;
      const bare = brackets ? right : given;
      return (
        marks === "{}" &&
        parts.length === 1 &&
        again(...((brackets ? [parts[0], bare] : [bare, parts[0]]) as [string, string]))
      );
    }
    if (brackets.marks !== theirs.marks) return false;
    return brackets.marks === "{}"
      ? anyOrder(brackets.parts, theirs.parts, again)
      : inOrder(brackets.parts, theirs.parts, again);
  }
  if (isEmptySet(given) || isEmptySet(right)) return isEmptySet(given) && isEmptySet(right);
  if (hasWords(given, right)) return words(given) === words(right) && words(given) !== "";
  if (choice(given) !== null && choice(right) !== null) return choice(given) === choice(right);
  const [base, theirBase] = [inBase(given), inBase(right)];
  if (base !== null || theirBase !== null) return base !== null && base === theirBase;
  const [left, rest] = [given, right].map((text) => commands(withoutPercent(text)));
  return left !== "" && rest !== "" && expressions.same(left, rest);
}

const squeezed = (text: string) => text.replace(/\s+/g, "");

/** Null where one of the two is no number. A percentage equals its number, and its hundredth. */
function sameNumbers(given: string, right: string): boolean | null {
  const [one, other] = [readNumber(withoutPercent(given)), readNumber(withoutPercent(right))];
  if (!one || !other) return null;
  if (sameNumber(one, other)) return true;
  const [percent, theirs] = [given, right].map((text) => withoutPercent(text) !== text);
  if (percent === theirs) return false;
  return percent ? sameNumber(hundredth(one), other) : sameNumber(one, hundredth(other));
}

const withoutPercent = (text: string) => text.replace(/\s*\\?%$/, "");

const hundredth = ({ top, bottom }: Fraction): Fraction =>
  readNumber(`${top}/${bottom * 100n}`) ?? { top, bottom: bottom * 100n };

/** Null where neither is an equation; one that only names its value ("x = 5") is its value. */
function equations(
  given: string,
  right: string,
  expressions: Expressions,
  again: (one: string, other: string) => boolean,
): boolean | null {
  const [one, other] = [given, right].map((text) => split(text, /=/y));
  if (listed(given).length > 1 || listed(right).length > 1) return null;
  if (one.length === 1 && other.length === 1) return null;
  if (one.length === 1 || other.length === 1) {
    const [value, bare] = one.length === 1 ? [other, one[0]] : [one, other[0]];
    const last = value[value.length - 1];
    const isNamed = NAME.test(value[0]) || value.length > 2 || !/[a-zA-Z]/.test(value[0]);
    return isNamed && (one.length === 1 ? again(bare, last) : again(last, bare));
  }
  if (one.length !== 2 || other.length !== 2) return again(one.at(-1)!, other.at(-1)!);
  if (squeezed(one[0]) === squeezed(other[0])) return again(one[1], other[1]);
  const [left, rest] = [one, other].map(([a, b]) => commands(`(${a})-(${b})`));
  return expressions.sameUpToFactor(left, rest);
}

/** A name that stands before "=": a letter, perhaps of something. */
const NAME =
  /^(?:\([a-zA-Z](?:\s*,\s*[a-zA-Z])*\)|[a-zA-Z](?:_\{?\w+\}?)?(?:\([a-zA-Z]\))?|\\[a-zA-Z]+(?:\s*[A-Z]+)?|[A-Z]{2,3}|[a-zA-Z]'+(?:\([a-zA-Z]\))?)$/;

/** In any order; where both say which value has which name ("x = 1, y = 2"), by these. */
function sameList(given: readonly string[], right: readonly string[], same: (one: string, other: string) => boolean) {
  const [ours, theirs] = [given.map(assigned), right.map(assigned)];
  const values = (parts: readonly Assigned[]) => parts.map(({ value }) => value);
  if (!tellsApart(ours) || !tellsApart(theirs)) return anyOrder(values(ours), values(theirs), same);
  return anyOrder(ours, theirs, (one, other) => one.name === other.name && same(one.value, other.value));
}

interface Assigned {
  readonly name: string | null;
  readonly value: string;
}

/** "x" and "5" of "x = 5". */
function assigned(text: string): Assigned {
  const sides = split(text, /=/y);
  const isNamed = sides.length === 2 && NAME.test(sides[0]);
  return isNamed ? { name: squeezed(sides[0]), value: sides[1] } : { name: null, value: text };
}

const tellsApart = (parts: readonly Assigned[]) =>
  parts.every(({ name }) => name !== null) && new Set(parts.map(({ name }) => name)).size > 1;

/** "[1,2]" of "x \in [1,2]". */
function named(text: string, by: string): string {
  const [name, value, ...more] = text.split(by);
  return value !== undefined && more.length === 0 && /^[a-zA-Z]\s*$/.test(name) ? value.trim() : text;
}

/** Parts of a list without brackets. */
function listed(text: string): string[] {
  const parts = split(text, /,\s*(?:and|or)\b|,|;|\b(?:and|or)\b/y).filter((part) => part !== "");
  return parts.length > MOST_PARTS ? [text] : parts;
}

function inOrder<T>(given: readonly T[], right: readonly T[], same: (one: T, other: T) => boolean): boolean {
  return given.length === right.length && given.length <= MOST_PARTS && given.every((part, i) => same(part, right[i]));
}

/** Equal as collections: each part has one of its own. */
function anyOrder<T>(given: readonly T[], right: readonly T[], same: (one: T, other: T) => boolean): boolean {
  if (given.length !== right.length || given.length > MOST_PARTS) return false;
  const left = [...right];
  return given.every((part) => {
    const found = left.findIndex((other) => same(part, other));
    if (found >= 0) left.splice(found, 1);
    return found >= 0;
  });
}

const isEmptySet = (text: string) => /^(?:\\emptyset|\\\{\s*\\\}|no (?:real )?solutions?|none)$/i.test(text);

const FUNCTION = "sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|log|ln|exp|sqrt|min|max|gcd|lcm|pi";
const NAMED_FUNCTION = new RegExp(`(?<![\\\\A-Za-z])(${FUNCTION})(?![A-Za-z])`, "g");

/** Are these words, not products of letters? A word of four letters is, and a shorter one where nothing is calculated. */
function hasWords(...texts: readonly string[]): boolean {
  const bare = texts.map((text) => text.replace(/\\[A-Za-z]+/g, " ").replace(NAMED_FUNCTION, " "));
  if (bare.some((text) => /[A-Za-z]{4,}/.test(text))) return true;
  return bare.some((text) => /[A-Za-z]{2,}/.test(text)) && !texts.some((text) => /[\d+\-*/^_\\]/.test(text));
}

const words = (text: string) =>
  text
    .toLowerCase()
    .replace(/^the\s+/, "")
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim();

/** "B" of "(B)" and "B)"; null where it is no choice. */
const choice = (text: string) => /^\(?\s*([A-Z])\s*\)?\.?$/.exec(text)?.[1] ?? null;

/** "101_{2}" as its value and base. */
function inBase(text: string): string | null {
  const found = /^([0-9A-Fa-f\s]+?)_\s*\{?(\d+)\}?$/.exec(text);
  return (
    found &&
    `${found[1]
      .replace(/\s/g, "")
      .replace(/^0+(?=.)/, "")
      .toUpperCase()} ${found[2]}`
  );
}

/** As LaTeX has it: functions as commands, "*" and "**" as it writes them. */
function commands(text: string): string {
  return text
    .replace(NAMED_FUNCTION, "\\$1 ")
    .replace(/\\sqrt\s*\(([^()]*)\)/g, "\\sqrt{$1}")
    .replace(/\*\*/g, "^")
    .replace(/\^\s*\(([^()]*)\)/g, "^{$1}")
    .replace(/\^\s*(-?\d{2,}|-\d)/g, "^{$1}")
    .replace(/\*/g, "\\cdot ")
    .replace(/(\d)\s*(\\frac\s*\{\d+\}\s*\{\d+\})/g, "($1+$2)");
}
