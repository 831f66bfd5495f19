// Mends a JSON object as models write it: quotes as in Python, its True, False and None, bare keys, a comma too many, line
// breaks inside of strings. Gives strict JSON, which parse.ts then reads; says nothing of what cannot be mended, as the
// strict reader already has. Linear in the text. Test: test/unit/parse.test.ts

/** Brackets inside brackets that are followed; the strict reader allows fewer. */
const MAX_DEPTH = 100;
const LITERALS: { readonly [written: string]: string } = { True: "true", False: "false", None: "null" };

/** What cannot be mended; thrown and caught here. */
class Broken {}

/** The object that begins at `at` as strict JSON, and where it ends in the text; null where it cannot be mended. */
export function mendObject(text: string, at: number): { readonly json: string; readonly end: number } | null {
  const mender = new Mender(text, at);
  try {
    if (text[at] !== "{") return null;
    const json = mender.value(0);
    return { json, end: mender.at };
  } catch (error) {
    if (error instanceof Broken) return null;
    throw error;
  }
}

const SPACE = /\s*/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

class Mender {
  constructor(
    readonly text: string,
    public at: number,
  ) {}

  value(depth: number): string {
    const first = this.text[this.at];
    if (first === "{" || first === "[") return this.#list(first, depth);
    if (first === '"' || first === "'") return this.#string(first);
    const word = this.#take(WORD);
    if (word) return LITERALS[word] ?? (/^(true|false|null)$/.test(word) ? word : broken());
    return this.#take(NUMBER) || broken();
  }

  #list(open: "{" | "[", depth: number): string {
    if (depth === MAX_DEPTH) return broken();
    const close = open === "{" ? "}" : "]";
    const parts: string[] = [];
    this.at++;
    for (;;) {
      this.#take(SPACE);
      if (this.text[this.at] === close) break;
      parts.push(open === "{" ? this.#pair(depth) : this.value(depth + 1));
      this.#take(SPACE);
      if (this.text[this.at] === ",") this.at++;
      else if (this.text[this.at] !== close) return broken();
    }
    this.at++;
    return `${open}${parts.join(", ")}${close}`;
  }

  #pair(depth: number): string {
    const first = this.text[this.at];
    const key = first === '"' || first === "'" ? this.#string(first) : JSON.stringify(this.#take(WORD) || broken());
    this.#take(SPACE);
    if (this.text[this.at] !== ":") return broken();
    this.at++;
    this.#take(SPACE);
    return `${key}: ${this.value(depth + 1)}`;
  }

  /** Escapes stay as they are, but for \' of Python, which JSON does not know. */
  #string(quote: string): string {
    let json = '"';
    for (this.at++; ; this.at++) {
      const letter = this.text[this.at];
      if (letter === undefined) return broken();
      if (letter === quote) break;
      if (letter === "\\") {
        const next = this.text[++this.at];
        json += next === "'" ? "'" : `\\${next}`;
      } else if (letter === '"') json += '\\"';
      else json += letter < " " ? JSON.stringify(letter).slice(1, -1) : letter;
    }
    this.at++;
    return `${json}"`;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.at += found.length;
    return found;
  }
}

function broken(): never {
  throw new Broken();
}
