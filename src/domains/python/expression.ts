// Reads an arithmetic expression (digits, + - * / . parentheses, spaces) as CPython 3.11's parser does, with its
// SyntaxErrors. It computes nothing: arithmetic.ts. Test: test/unit/python.test.ts
//
// CPython parses twice: a first pass finds out whether the text is valid, a second one, with extra "invalid" rules,
// looks for a better message. What is reported depends on how far a pass reads, so this parser tries the same
// alternatives in the same order.

import { PythonError } from "./value.ts";

export type Expression = { readonly depth: number } & (
  | { readonly kind: "int"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "ellipsis" | "tuple" }
  | { readonly kind: "unary"; readonly sign: string; readonly of: Expression }
  | { readonly kind: "binary"; readonly sign: string; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "call"; readonly callee: Expression; readonly star: string; readonly argument: Expression | null }
);

interface Token {
  readonly kind: "number" | "end" | "unclosed" | "(" | ")" | "*" | "**" | "/" | "//" | "+" | "-" | "." | "...";
  readonly text: string;
  /** Open parentheses after this token. */
  readonly level: number;
}

/** Parentheses inside parentheses (MAXLEVEL of CPython's tokenizer). */
const MAX_LEVEL = 200;
/** Digits of one int literal (sys.int_info.default_max_str_digits). */
const MAX_DIGITS = 4300;
/** Tree height at which CPython's compiler gives up (about 3 x the recursion limit less the frames in use). */
const MAX_DEPTH = 2950;
/** Height of CPython's parser stack (MAXSTACK), and the levels of it that one pair of parentheses takes (measured). */
const MAX_STACK = 5970;
const STACK_PER_PARENTHESES = 28;

/** Throws a PythonError with the message of CPython's SyntaxError, RecursionError or (empty) MemoryError. */
export function readExpression(source: string): Expression {
  const text = source.replace(/^[ \t]+/, "");
  if (text === "") throw new PythonError("invalid syntax (<string>, line 0)");
  const tokens = tokenize(text);
  const tree = new Pass(tokens, false).all();
  if (tree === null) {
    new Pass(tokens, true).all();
    syntaxError("invalid syntax");
  }
  if (tree.depth > MAX_DEPTH) throw new PythonError("maximum recursion depth exceeded during compilation");
  return tree;
}

function syntaxError(message: string): never {
  throw new PythonError(`${message} (<string>, line 1)`);
}

/** A fault of a token is reported before every other, wherever it stands; only a missing ")" has to be reached. */
function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern = / +|(\d+\.\d*|\.?\d+)|\*\*?|\/\/?|\.\.\.|[-+().]/y;
  let level = 0;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const [word, number] = match;
    if (word.startsWith(" ")) continue;
    if (word === "(" && ++level > MAX_LEVEL) syntaxError("too many nested parentheses");
    if (word === ")" && --level < 0) syntaxError("unmatched ')'");
    if (number && /^0\d*[1-9]\d*$/.test(number))
      syntaxError("leading zeros in decimal integer literals are not permitted; use an 0o prefix for octal integers");
    tokens.push({ kind: number ? "number" : (word as Token["kind"]), text: word, level });
  }
  tokens.push({ kind: level > 0 ? "unclosed" : "end", text: "", level });
  return tokens;
}

interface Match {
  readonly tree: Expression;
  /** Index of the token after it. */
  readonly end: number;
}

/** One pass over the tokens; `strict` turns the "invalid" rules on, which throw. */
class Pass {
  readonly #tokens: readonly Token[];
  readonly #strict: boolean;
  readonly #sums = new Map<number, Match | null>();
  #lenient: Pass | null = null;
  #stack = 0;

  constructor(tokens: readonly Token[], strict: boolean) {
    this.#tokens = tokens;
    this.#strict = strict;
  }

  all(): Expression | null {
    const match = this.#expression(0);
    return match && this.#kind(match.end) === "end" ? match.tree : null;
  }

  #kind(at: number): Token["kind"] {
    const { kind } = this.#tokens[at];
    if (kind === "unclosed") syntaxError("'(' was never closed");
    return kind;
  }

  #expression(at: number): Match | null {
    const match = this.#sum(at);
    if (match && this.#strict) {
      this.#lenient ??= new Pass(this.#tokens, false);
      const next = this.#lenient.#expression(match.end);
      if (next && this.#tokens[next.end - 1].level > 0) syntaxError("invalid syntax. Perhaps you forgot a comma?");
    }
    return match;
  }

  #sum(at: number): Match | null {
    let match = this.#sums.get(at);
    if (match === undefined) {
      const term = (at: number) => this.#chain(at, ["*", "/", "//"], (at) => this.#factor(at));
      match = this.#chain(at, ["+", "-"], term);
      this.#sums.set(at, match);
    }
    return match;
  }

  #chain(at: number, signs: readonly string[], operand: (at: number) => Match | null): Match | null {
    let left = operand(at);
    while (left) {
      const sign = this.#kind(left.end);
      const right = signs.includes(sign) ? operand(left.end + 1) : null;
      if (!right) break;
      left = { tree: binary(sign, left.tree, right.tree), end: right.end };
    }
    return left;
  }

  #factor(at: number): Match | null {
    let first = at;
    while (this.#kind(first) === "+" || this.#kind(first) === "-") first++;
    const match = this.#within(first - at, () => this.#power(first));
    if (!match) return null;
    let tree = match.tree;
    for (let i = first - 1; i >= at; i--)
      tree = { kind: "unary", sign: this.#tokens[i].kind, of: tree, depth: tree.depth + 1 };
    return { tree, end: match.end };
  }

  #power(at: number): Match | null {
    const base = this.#primary(at);
    if (!base || this.#kind(base.end) !== "**") return base;
    const exponent = this.#within(2, () => this.#factor(base.end + 1));
    return exponent ? { tree: binary("**", base.tree, exponent.tree), end: exponent.end } : base;
  }

  #primary(at: number): Match | null {
    let match = this.#atom(at);
    while (match && this.#kind(match.end) === "(") {
      const call = this.#call(match.tree, match.end + 1);
      if (!call) break;
      match = call;
    }
    if (match && this.#kind(match.end) === ".") this.#kind(match.end + 1); // looks for a name
    return match;
  }

  #call(callee: Expression, at: number): Match | null {
    const first = this.#kind(at);
    if (first === ")")
      return { tree: { kind: "call", callee, star: "", argument: null, depth: callee.depth + 1 }, end: at + 1 };
    const star = first === "*" || first === "**" ? first : "";
    const argument = this.#within(STACK_PER_PARENTHESES, () => this.#expression(star ? at + 1 : at));
    if (!argument || this.#kind(argument.end) !== ")") return null;
    const depth = Math.max(callee.depth, argument.tree.depth) + 1;
    return { tree: { kind: "call", callee, star, argument: argument.tree, depth }, end: argument.end + 1 };
  }

  #atom(at: number): Match | null {
    const { kind, text } = this.#tokens[at];
    if (kind === "number") return { tree: literal(text), end: at + 1 };
    if (kind === "...") return { tree: { kind: "ellipsis", depth: 1 }, end: at + 1 };
    return kind === "(" ? this.#within(STACK_PER_PARENTHESES, () => this.#group(at + 1)) : null;
  }

  /** What follows an opening parenthesis. */
  #group(at: number): Match | null {
    const first = this.#kind(at);
    if (first === ")") return { tree: { kind: "tuple", depth: 1 }, end: at + 1 };
    if (first === "*") this.#sum(at + 1);
    const match = this.#expression(at);
    if (match && this.#kind(match.end) === ")") return { tree: match.tree, end: match.end + 1 };
    if (this.#strict && (first === "*" || first === "**")) {
      const starred = this.#expression(at + 1);
      if (starred && this.#kind(starred.end) === ")")
        syntaxError(`cannot use ${first === "*" ? "" : "double "}starred expression here`);
    }
    return null;
  }

  #within(levels: number, rule: () => Match | null): Match | null {
    this.#stack += levels;
    if (this.#stack > MAX_STACK) throw new PythonError("");
    const match = rule();
    this.#stack -= levels;
    return match;
  }
}

function literal(text: string): Expression {
  if (text.includes(".")) return { kind: "float", value: Number(text), depth: 1 };
  if (text.length > MAX_DIGITS)
    syntaxError(
      `Exceeds the limit (${MAX_DIGITS} digits) for integer string conversion: value has ${text.length} digits; use ` +
        "sys.set_int_max_str_digits() to increase the limit - Consider hexadecimal for huge integer literals to avoid " +
        "decimal conversion limits.",
    );
  return { kind: "int", value: BigInt(text), depth: 1 };
}

function binary(sign: string, left: Expression, right: Expression): Expression {
  return { kind: "binary", sign, left, right, depth: Math.max(left.depth, right.depth) + 1 };
}
