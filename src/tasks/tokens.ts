// Python source as statements of tokens: enough to find an assignment or a function in a module and to read the literal in
// it (literals.ts). Knows brackets, strings, comments and line continuation; no grammar, and nothing is evaluated.
// Test: test/unit/literals.test.ts

import { UsageError } from "../errors.ts";

/** Characters of one module; the largest of tau-bench's has half a million. */
const MAX_CHARS = 16_000_000;
/** Brackets inside brackets: CPython's own limit. */
const MAX_DEPTH = 200;

export interface Token {
  readonly kind: "name" | "number" | "string" | "sign";
  /** As it stands in the source. */
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

/** A logical line, or a part of one between semicolons. */
export interface Statement {
  /** Columns of white space before it. */
  readonly indent: number;
  readonly tokens: readonly Token[];
}

const SPACE = /[ \t\f]+|\\\n/y;
const SPACE_AT_START = /^[ \t\f]*/;
const STRING = /(?:[rRuUbBfFtT]|[bBfFtT][rR]|[rR][bBfFtT])?("""|'''|"|')/y;
const NAME = /[\p{L}_][\p{L}\p{N}_]*/uy;
/** Whatever starts like a number; literals.ts looks closer. */
const NUMBER = /(?:\d|\.\d)(?:[eE][+-]|[\w.])*/y;
const SIGN = /(?:\*\*|\/\/|<<|>>)=?|[-+*/%@&|^<>=!:]=|->|[^\s\p{L}\p{N}_]/uy;
const CLOSING: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

/** Cuts a module into statements; throws a UsageError `file:line: ...` where that is not possible. */
export function statements(source: string, file: string): Statement[] {
  if (source.length > MAX_CHARS)
    throw new UsageError(`${file}: ${source.length} characters, expected ${MAX_CHARS} at most`);
  const text = source.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");
  const all: Statement[] = [];
  const open: Token[] = [];
  let tokens: Token[] = [];
  let indent = 0;
  let at = 0;
  let line = 1;
  let lineStart = 0;
  const fail = (message: string, where = line): never => {
    throw new UsageError(`${file}:${where}: ${message}`);
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  const finish = () => {
    if (tokens.length) all.push({ indent, tokens });
    tokens = [];
  };

  while (at < text.length) {
    const space = match(SPACE);
    if (space) {
      line += newlines(space);
      at += space.length;
      continue;
    }
    const c = text[at];
    if (c === "#") {
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
      continue;
    }
    if (c === "\n") {
      if (open.length === 0) finish();
      line++;
      lineStart = ++at;
      continue;
    }
    if (c === ";" && open.length === 0) {
      finish();
      at++;
      continue;
    }
    if (tokens.length === 0) indent = columns(SPACE_AT_START.exec(text.slice(lineStart, at))![0]);
    const token = next();
    if (token.kind === "sign") bracket(token);
    tokens.push(token);
    line += newlines(token.text);
    at += token.text.length;
  }
  const left = open.at(-1);
  if (left) fail(`${left.text} is never closed`, left.line);
  finish();
  return all;

  function next(): Token {
    const quote = match(STRING);
    if (quote) return { kind: "string", text: string(quote), line };
    const name = match(NAME);
    if (name) return { kind: "name", text: name, line };
    const number = match(NUMBER);
    if (number) return { kind: "number", text: number, line };
    const sign = match(SIGN);
    return sign ? { kind: "sign", text: sign, line } : fail(`unexpected character ${JSON.stringify(text[at])}`);
  }

  /** From its prefix to its closing quote. */
  function string(start: string): string {
    const long = start.endsWith('"""') || start.endsWith("'''");
    const quote = start.slice(long ? -3 : -1);
    for (let end = at + start.length; end < text.length; end++) {
      if (text[end] === "\\") end++;
      else if (text[end] === "\n" && !long) break;
      else if (text.startsWith(quote, end)) return text.slice(at, end + quote.length);
    }
    return fail("the string is never closed");
  }

  function bracket(token: Token): void {
    if (token.text in CLOSING) {
      open.push(token);
      if (open.length > MAX_DEPTH) fail(`more than ${MAX_DEPTH} nested brackets`);
    } else if (token.text === ")" || token.text === "]" || token.text === "}") {
      const before = open.pop();
      if (!before) fail(`${token.text} closes nothing`);
      else if (CLOSING[before.text] !== token.text)
        fail(`${token.text} closes the ${before.text} of line ${before.line}`);
    }
  }
}

/** Width of an indentation, with tab stops every 8 columns as Python has them. */
function columns(space: string): number {
  let width = 0;
  for (const c of space) width = c === "\t" ? (Math.floor(width / 8) + 1) * 8 : width + 1;
  return width;
}

function newlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
