// Lossless JSON with Python's types: parse is json.loads (1 and 1.0 stay apart, NaN and Infinity are read, the last of
// two equal keys wins), dumps is json.dumps. Test: test/unit/python.test.ts

import { isIntact, originOf, parts } from "../copy.ts";
import { floatText } from "./text.ts";
import type { Dict, Value } from "./value.ts";

/** Brackets inside brackets; CPython gives up near 1000. */
const MAX_DEPTH = 990;
/** Digits of one int; CPython's limit for int(str). */
const MAX_DIGITS = 4300;

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const CONSTANTS: readonly (readonly [string, Value])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
];
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** Reads JSON text; throws one SyntaxError in json.loads' words, with line, column and character. */
export function parse(json: string): Value {
  let at = 0;
  let depth = 0;

  skipSpace();
  const value = readValue();
  skipSpace();
  if (at < json.length) fail("Extra data");
  return value;

  function readValue(): Value {
    const c = json[at];
    if (c === '"') return readString();
    if (c === "{" || c === "[") {
      if (++depth > MAX_DEPTH) fail(`More than ${MAX_DEPTH} nested arrays and objects`);
      at++;
      skipSpace();
      const value = c === "{" ? readObject() : readArray();
      depth--;
      return value;
    }
    NUMBER.lastIndex = at;
    const number = NUMBER.exec(json);
    if (number) {
      const [text, fraction, exponent] = number;
      if (fraction === undefined && exponent === undefined && text.length - Number(text[0] === "-") > MAX_DIGITS)
        fail(`Exceeds the limit (${MAX_DIGITS} digits) for integer string conversion`);
      at += text.length;
      return fraction === undefined && exponent === undefined ? BigInt(text) : Number(text);
    }
    for (const [word, value] of CONSTANTS)
      if (json.startsWith(word, at)) {
        at += word.length;
        return value;
      }
    return fail("Expecting value");
  }

  function readObject(): Dict {
    const dict: Dict = new Map();
    if (take("}")) return dict;
    for (;;) {
      if (json[at] !== '"') fail("Expecting property name enclosed in double quotes");
      const key = intern(readString());
      skipSpace();
      if (!take(":")) fail("Expecting ':' delimiter");
      skipSpace();
      dict.set(key, readValue());
      skipSpace();
      if (take("}")) return dict;
      if (!take(",")) fail("Expecting ',' delimiter");
      skipSpace();
    }
  }

  function readArray(): Value[] {
    const list: Value[] = [];
    if (take("]")) return list;
    for (;;) {
      list.push(readValue());
      skipSpace();
      if (take("]")) return list;
      if (!take(",")) fail("Expecting ',' delimiter");
      skipSpace();
    }
  }

  function readString(): string {
    const start = at++;
    let out = "";
    let from = at;
    for (;;) {
      const c = json.charCodeAt(at);
      if (c === 34) {
        out += json.slice(from, at++);
        return out;
      }
      if (c === 92) {
        out += json.slice(from, at++) + readEscape();
        from = at;
      } else if (c >= 32) at++;
      else
        fail(
          Number.isNaN(c) ? "Unterminated string starting at" : "Invalid control character at",
          Number.isNaN(c) ? start : at,
        );
    }
  }

  function readEscape(): string {
    const c = json[at++];
    if (c === "u") {
      const hex = json.slice(at, at + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) fail("Invalid \\uXXXX escape", at - 1);
      at += 4;
      return String.fromCharCode(Number.parseInt(hex, 16));
    }
    return ESCAPES[c] ?? fail("Invalid \\escape", at - 2);
  }

  function skipSpace(): void {
    for (let c = json.charCodeAt(at); c === 32 || c === 10 || c === 13 || c === 9; ) c = json.charCodeAt(++at);
  }

  function take(char: string): boolean {
    if (json[at] !== char) return false;
    at++;
    return true;
  }

  function fail(message: string, place = at): never {
    const before = json.slice(0, place);
    const line = before.split("\n").length;
    const characters = (s: string) => [...s].length;
    const column = characters(before.slice(before.lastIndexOf("\n") + 1)) + 1;
    throw new SyntaxError(`${message}: line ${line} column ${column} (char ${characters(before)})`);
  }
}

/** The same key as one string for all dicts, and for the code that looks it up: found by its address. */
function intern(key: string): string {
  let known = KEYS.get(key);
  if (known === undefined) {
    known = Object.keys({ [key]: null })[0];
    if (KEYS.size < MAX_KEYS) KEYS.set(known, known);
  }
  return known;
}

const KEYS = new Map<string, string>();
/** Some thousand rows' ids and all their fields; what an agent makes up cannot fill the memory. */
const MAX_KEYS = 1 << 14;

/** As `parse`, for text that must be one JSON object: a call's arguments. */
export function parseObject(json: string): Dict {
  const value = parse(json);
  if (value instanceof Map) return value;
  throw new SyntaxError("Expecting one JSON object");
}

/** `json.dumps(value)`: ", " and ": ", everything outside of printable ASCII escaped. */
export function dumps(value: Value): string {
  switch (typeof value) {
    case "string":
      return dumpString(value);
    case "number":
      return Number.isFinite(value) ? floatText(value) : Number.isNaN(value) ? "NaN" : constant(value);
    case "object":
      if (value instanceof Map) return dumpMap(value);
      return value === null ? "null" : `[${value.map(dumps).join(", ")}]`;
    default:
      return String(value);
  }
}

function constant(infinite: number): string {
  return infinite > 0 ? "Infinity" : "-Infinity";
}

function dumpMap(dict: Dict): string {
  const origin = originOf(dict);
  const written = origin && writtenOf(origin);
  if (written && isIntact(dict)) return written.text;
  let pairs = "";
  let i = 0;
  for (const [key, value] of parts(dict)) {
    const pair = written?.pairs[i++];
    const same = pair && pair.key === key && Object.is(pair.value, value);
    pairs += (pairs && ", ") + (same ? pair.text : dumpPair(key, value));
  }
  return `{${pairs}}`;
}

function dumpPair(key: string, value: Value): string {
  return `${dumpString(key)}: ${dumps(value)}`;
}

/** A dict that never changes, as text, whole and pair by pair. */
interface Written {
  readonly text: string;
  readonly pairs: readonly { readonly key: string; readonly value: Value; readonly text: string }[];
}

const WRITTEN = new WeakMap<Dict, Written>();

/** What lies in a database is written once. */
function writtenOf(dict: Dict): Written {
  let written = WRITTEN.get(dict);
  if (!written) {
    const pairs = Array.from(parts(dict), ([key, value]) => ({ key, value, text: flat(dumpPair(key, value)) }));
    written = { text: flat(`{${pairs.map(({ text }) => text).join(", ")}}`), pairs };
    WRITTEN.set(dict, written);
  }
  return written;
}

/** The same ASCII text in one piece: V8 keeps a sum of strings as a tree, and would walk it at every use. */
function flat(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

function dumpString(s: string): string {
  return PLAIN.test(s) ? `"${s}"` : `"${s.replace(SPECIAL, escaped)}"`;
}

const PLAIN = /^[ !#-[\]-~]*$/;
const SPECIAL = /[^ !#-[\]-~]/g;
const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** Per UTF-16 unit, so that a character beyond U+FFFF becomes two escapes. */
function escaped(unit: string): string {
  return SHORT[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
