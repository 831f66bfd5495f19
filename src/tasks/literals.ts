// Reads literals out of Python modules: assignments, what a function returns, and calls of known constructors with keyword
// arguments. Int and float stay apart, tuples are read as lists. Not an interpreter: nothing is evaluated, and whatever is
// no literal is refused as `file:line: ...`. Test: test/unit/literals.test.ts, test/golden/import.test.ts

import type { Value } from "../domains/python.ts";
import { UsageError } from "../errors.ts";
import { type Statement, statements, type Token } from "./tokens.ts";

/** Characters of one number; CPython's limit for int(str). */
const MAX_DIGITS = 4300;

export type Literal = null | boolean | bigint | number | string | Literal[] | Map<string, Literal> | Made | Reference;

/** A call `made(field=..., ...)` of a known constructor. */
export interface Made {
  readonly made: string;
  readonly fields: Map<string, Literal>;
  readonly line: number;
}

/** A bare name, such as a class in a list of classes. */
export interface Reference {
  readonly name: string;
  readonly line: number;
}

/** Constructors by name, with the keywords that each takes; and whether bare names may stand for themselves. */
export interface Known {
  readonly constructors?: Readonly<Record<string, readonly string[]>>;
  readonly names?: boolean;
}

export interface Module {
  readonly file: string;
  readonly statements: readonly Statement[];
}

export function readModule(source: string, file: string): Module {
  return { file, statements: statements(source, file) };
}

/** The value of the module's only assignment to a name. */
export function assigned({ file, statements }: Module, name: string, known: Known = {}): Literal {
  const [first, second] = statements.filter(({ indent, tokens }) => indent === 0 && tokens[0].text === name);
  if (!first) throw new UsageError(`${file}: has no ${name} = ...`);
  if (second) throw new UsageError(`${file}:${second.tokens[0].line}: ${name} is used again, which is not read`);
  if (first.tokens[1]?.text !== "=") throw new UsageError(`${file}:${first.tokens[0].line}: expected ${name} = ...`);
  return readLiteral(first.tokens, 2, file, known);
}

/** What a function returns whose body is one `return` of a literal. */
export function returned({ file, statements }: Module, name: string, known: Known = {}): Literal {
  const start = statements.findIndex(({ tokens }) => tokens[0].text === "def" && tokens[1]?.text === name);
  if (start < 0) throw new UsageError(`${file}: has no function ${name}`);
  const { indent, tokens } = statements[start];
  const body = statements[start + 1];
  if (!body || body.indent <= indent || body.tokens[0].text !== "return")
    throw new UsageError(`${file}:${tokens[0].line}: ${name}: expected a body of one return`);
  return readLiteral(body.tokens, 1, file, known);
}

/** The names that a module imports from its own folder (`from .module import Name`), each with its module. */
export function imported({ statements }: Module): Map<string, string> {
  const names = new Map<string, string>();
  for (const { tokens } of statements) {
    const [from, dot, module, keyword, ...rest] = tokens.map(({ text }) => text);
    if (from !== "from" || dot !== "." || keyword !== "import") continue;
    for (const name of rest) if (/^\w/.test(name)) names.set(name, module);
  }
  return names;
}

/** A literal without constructors and names as a Python value. */
export function valueIn(literal: Literal, file: string): Value {
  if (Array.isArray(literal)) return literal.map((item) => valueIn(item, file));
  if (literal instanceof Map) return new Map([...literal].map(([key, value]) => [key, valueIn(value, file)]));
  if (literal !== null && typeof literal === "object") {
    const name = "made" in literal ? `${literal.made}(...)` : literal.name;
    throw new UsageError(`${file}:${literal.line}: expected a literal, got ${name}`);
  }
  return literal;
}

/** The literal that is all of a statement from token `at` on. */
function readLiteral(tokens: readonly Token[], at: number, file: string, known: Known): Literal {
  const last = tokens[tokens.length - 1];
  const value = read();
  if (at < tokens.length) expected("the end of the line");
  return value;

  function read(): Literal {
    const token = tokens[at];
    if (!token) return expected("a literal");
    if (token.kind === "string") return strings();
    at++;
    if (token.kind === "number") return numberOf(token);
    if (token.kind === "name") return named(token);
    switch (token.text) {
      case "[":
        return items("]");
      case "(":
        return group();
      case "{":
        return dict();
      case "-":
      case "+": {
        const number = tokens[at]?.kind === "number" ? numberOf(tokens[at++]) : expected("a number");
        return token.text === "-" ? -number : number;
      }
      default:
        at--;
        return expected("a literal");
    }
  }

  /** Neighbours are one string. */
  function strings(): string {
    let all = "";
    for (; tokens[at]?.kind === "string"; at++) all += stringOf(tokens[at]);
    return all;
  }

  function named(token: Token): Literal {
    const { text, line } = token;
    if (text === "None") return null;
    if (text === "True" || text === "False") return text === "True";
    const { constructors = {}, names = false } = known;
    if (tokens[at]?.text === "(" && Object.hasOwn(constructors, text)) return make(token, constructors[text]);
    if (names && tokens[at]?.text !== "(") return { name: text, line };
    return fail(
      token,
      `expected a literal${Object.keys(constructors)
        .map((name) => ` or ${name}(...)`)
        .join("")}, got ${text}`,
    );
  }

  function make({ text: made, line }: Token, keywords: readonly string[]): Made {
    at++;
    const fields = new Map<string, Literal>();
    while (!take(")")) {
      const key = tokens[at];
      if (key?.kind !== "name" || tokens[at + 1]?.text !== "=") return expected(`${made}(keyword=...)`);
      if (!keywords.includes(key.text)) fail(key, `${made} has no ${key.text}; expected ${keywords.join(", ")}`);
      if (fields.has(key.text)) fail(key, `${made} has ${key.text} twice`);
      at += 2;
      fields.set(key.text, read());
      if (!take(",") && tokens[at]?.text !== ")") expected(", or )");
    }
    return { made, fields, line };
  }

  function items(end: string, list: Literal[] = []): Literal[] {
    while (!take(end)) {
      list.push(read());
      if (!take(",") && tokens[at]?.text !== end) expected(`, or ${end}`);
    }
    return list;
  }

  /** A tuple, or what stands alone in its brackets. */
  function group(): Literal {
    if (take(")")) return [];
    const first = read();
    if (take(")")) return first;
    if (!take(",")) expected(", or )");
    return items(")", [first]);
  }

  function dict(): Map<string, Literal> {
    const entries = new Map<string, Literal>();
    while (!take("}")) {
      if (tokens[at]?.kind !== "string") expected("a key that is a string");
      const key = strings();
      if (!take(":")) expected(":");
      entries.set(key, read());
      if (!take(",") && tokens[at]?.text !== "}") expected(", or }");
    }
    return entries;
  }

  function numberOf(token: Token): bigint | number {
    if (token.text.length > MAX_DIGITS) fail(token, `a number of more than ${MAX_DIGITS} digits`);
    const digits = token.text.replaceAll("_", "");
    if (INT.test(token.text)) return BigInt(digits);
    return FLOAT.test(token.text) ? Number(digits) : fail(token, `${clip(token.text)} is no number that is read`);
  }

  function stringOf(token: Token): string {
    const [, prefix, quote] = /^([a-zA-Z]*)("""|'''|"|')/.exec(token.text) as unknown as string[];
    if (!/^u?$/i.test(prefix)) fail(token, `${KINDS[prefix.toLowerCase().replace(/(?<=.)r|r(?=.)/, "")]} is not read`);
    const body = token.text.slice(prefix.length + quote.length, -quote.length);
    return body.replace(ESCAPE, (whole, octal: string, x: string, u: string, long: string, plain: string) => {
      if (octal) return String.fromCharCode(Number.parseInt(octal, 8));
      const hex = x ?? u ?? long;
      if (hex) {
        const code = Number.parseInt(hex, 16);
        if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) fail(token, `${whole} is no character`);
        return String.fromCodePoint(code);
      }
      if (/[xuUN]/.test(plain)) fail(token, `${whole}: an escape that is not read`);
      return SIMPLE[plain] ?? whole;
    });
  }

  function take(text: string): boolean {
    const token = tokens[at];
    if (token?.kind !== "sign" || token.text !== text) return false;
    at++;
    return true;
  }

  function expected(what: string): never {
    const token = tokens[at];
    return fail(token ?? last, `expected ${what}, got ${token ? clip(token.text) : "the end of the line"}`);
  }

  function fail(token: Token, message: string): never {
    throw new UsageError(`${file}:${token.line}: ${message}`);
  }
}

const INT = /^(?:0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|[1-9](?:_?\d)*|0(?:_?0)*)$/;
const DIGITS = String.raw`\d(?:_?\d)*`;
const FLOAT = new RegExp(
  `^(?:(?:${DIGITS}\\.(?:${DIGITS})?|\\.${DIGITS})(?:[eE][+-]?${DIGITS})?|${DIGITS}[eE][+-]?${DIGITS})$`,
);
/** Octal, \x, \u, \U, anything else. */
const ESCAPE = /\\(?:([0-7]{1,3})|(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8}))|([\s\S]))/g;
const SIMPLE: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};
const KINDS: Readonly<Record<string, string>> = {
  r: "a raw string",
  b: "a bytes literal",
  f: "an f-string",
  t: "a t-string",
};

function clip(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}
