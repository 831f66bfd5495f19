// Reads an agent's turn: thoughts away, tool calls in Qwen's Hermes form out, the rest is what it says.
// Tolerant in layout and in how JSON is written where its meaning is plain (mend.ts); what is refused is refused with a
// reason. Never throws, linear in the text's length. Not a validator of arguments: which tools there are and what they take
// is the session's business. Tests: test/unit/parse.test.ts

import type { AgentTurn, InvalidReason, WrittenCall } from "../types.ts";
import { mendObject } from "./mend.ts";

/** Longest arguments of one call, in bytes of UTF-8: far more than any tool takes. */
export const MAX_ARGUMENT_BYTES = 100_000;
/** Brackets inside brackets in one call: deeper than any tool's arguments, shallow enough for any stack. */
export const MAX_DEPTH = 64;

const CUT = "the turn was cut off at its token limit";
const NO_NAME = 'the tool call has no "name", expected {"name": ..., "arguments": {...}}';

/** Why a call is refused; thrown and caught here. Not an Error: a stack trace for each of many would cost seconds. */
class Refusal {
  constructor(
    readonly reason: InvalidReason,
    readonly message: string,
  ) {}
}

/** How a family writes calls. */
export interface CallStyle {
  /** A turn that is nothing but {"name": ..., "parameters": ...}, without tags, is a call (Llama 3). */
  readonly bare?: boolean;
}

/**
 * Reads the text of a turn (without control tokens). `cut`: a limit ended it, so that it cannot be acted on.
 * A thought that is not closed hides the rest; a closed one that was not opened began in the prompt.
 */
export function parseTurn(text: string, cut: boolean, { bare = false }: CallStyle = {}): AgentTurn {
  const tags = /<think>|<\/think>|<tool_call>/g;
  let said = "";
  let calls: WrittenCall[] = [];
  let refusal: Refusal | null = null;
  let thinking = false;
  let from = 0;
  for (let tag = tags.exec(text); tag; tag = tags.exec(text)) {
    if (tag[0] === "</think>") {
      if (!thinking) {
        said = "";
        calls = [];
        refusal = null;
      }
      thinking = false;
    } else if (thinking) {
      continue;
    } else {
      said += text.slice(from, tag.index);
      if (tag[0] === "<think>") thinking = true;
      else if (!refusal) {
        try {
          tags.lastIndex = readCalls(text, tags.lastIndex, calls);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          refusal = error;
        }
      }
    }
    from = tags.lastIndex;
  }
  if (!thinking) said += text.slice(from);
  if (calls.length > 0) said = said.replace(/```\w*\s*```/g, "");
  said = said.trim();
  if (bare && calls.length === 0 && !refusal && /^\{\s*["']?name\b/.test(said)) {
    const whole = said;
    said = "";
    try {
      for (let at = 0; at < whole.length; ) {
        const { call, end } = readCall(whole, at, 0);
        calls.push(call);
        at = skipSpace(whole, end);
        if (whole[at] === ";") at = skipSpace(whole, at + 1);
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refusal = error;
    }
  }

  if (cut) return invalid(said, "cut", CUT);
  if (refusal) return invalid(said, refusal.reason, refusal.message);
  if (said === "" && calls.length === 0) return invalid(said, "empty", "the turn says nothing and calls no tool");
  return { text: said, calls, invalid: null };
}

/** The same for a turn whose calls come apart from its text, as an API gives them: the same limits, the same refusals. */
export function parseApart(text: string, written: readonly WrittenCall[], cut: boolean): AgentTurn {
  if (written.length === 0) return parseTurn(text, cut);
  const said = parseTurn(text, false).text;
  if (cut) return invalid(said, "cut", CUT);
  try {
    const calls = written.map(({ name, arguments: json }) => {
      if (name === "") throw new Refusal("json", NO_NAME);
      return { name, arguments: argumentsIn(json.trim()) };
    });
    return { text: said, calls, invalid: null };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return invalid(said, error.reason, error.message);
  }
}

function invalid(text: string, reason: InvalidReason, why: string): AgentTurn {
  return { text, calls: [], invalid: { reason, observation: `Error: ${why}` } };
}

/** Reads what follows a <tool_call> up to and with its end tag, which may be missing at the end; gives the end. */
function readCalls(text: string, start: number, calls: WrittenCall[]): number {
  let at = skipFence(text, skipSpace(text, start));
  do {
    const { call, end } = readCall(text, at, start);
    calls.push(call);
    at = skipFence(text, skipSpace(text, end));
  } while (text[at] === "{");
  if (text.startsWith("</tool_call>", at)) return at + "</tool_call>".length;
  if (at === text.length || text.startsWith("<tool_call>", at)) return at;
  return refuse("</tool_call> after the JSON object", at, start);
}

function readCall(text: string, at: number, start: number): { call: WrittenCall; end: number } {
  const fields = new Map<string, string>();
  const end = fieldsOf(text, at, start, (key, value) => fields.set(JSON.parse(key), value));
  const name = fields.get("name");
  if (!name?.startsWith('"') || name === '""') throw new Refusal("json", NO_NAME);
  const written = fields.get("arguments") ?? fields.get("parameters");
  return { call: { name: JSON.parse(name), arguments: readArguments(written) }, end };
}

/** Visits the fields of an object, mended where it is no JSON as it stands; gives the index after it. */
function fieldsOf(text: string, at: number, start: number, visit: (key: string, value: string) => void): number {
  try {
    const end = skipObject(text, at, start, 1);
    skipObject(text, at, start, 1, visit);
    return end;
  } catch (error) {
    if (!(error instanceof Refusal) || error.reason !== "json") throw error;
    const mended = mendObject(text, at);
    if (!mended || !isJson(mended.json)) throw error;
    skipObject(mended.json, 0, 0, 1, visit);
    return mended.end;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The JSON text of the arguments as it was written; an object that comes as a JSON string is taken out of it. */
function readArguments(written: string | undefined): string {
  if (written === undefined)
    throw new Refusal("arguments", 'the tool call has no "arguments", expected {"name": ..., "arguments": {...}}');
  checkSize(written);
  if (!written.startsWith('"')) return checkObject(written);
  return argumentsIn(JSON.parse(written).trim());
}

/** Arguments that are a text of their own, mended where they are no JSON as they stand. */
function argumentsIn(text: string): string {
  try {
    return checkArguments(text);
  } catch (error) {
    if (!(error instanceof Refusal) || error.reason !== "json") throw error;
    const mended = mendObject(text, 0);
    if (mended?.end !== text.length || !isJson(mended.json)) throw error;
    return checkArguments(mended.json);
  }
}

/** Arguments that are a text of their own: one JSON object and nothing after it. */
function checkArguments(json: string): string {
  checkSize(json);
  checkObject(json);
  return skipObject(json, 0, 0, 1) === json.length ? json : refuse("nothing", json.length, 0);
}

function checkSize(json: string): void {
  const bytes = Buffer.byteLength(json);
  if (bytes > MAX_ARGUMENT_BYTES)
    throw new Refusal("too-long", `the arguments take ${bytes} bytes, at most ${MAX_ARGUMENT_BYTES} are allowed`);
}

function checkObject(json: string): string {
  if (json[0] !== "{") throw new Refusal("arguments", "the arguments of the tool call must be a JSON object");
  return json;
}

/** `start` is what positions in messages count from, `depth` that of this object. Gives the index after it. */
function skipObject(
  text: string,
  at: number,
  start: number,
  depth: number,
  visit?: (key: string, value: string) => void,
): number {
  if (text[at] !== "{") return refuse("a JSON object", at, start);
  at = skipSpace(text, at + 1);
  if (text[at] === "}") return at + 1;
  for (;;) {
    const keyEnd = skipString(text, at, start);
    const colon = skipSpace(text, keyEnd);
    if (text[colon] !== ":") return refuse("':'", colon, start);
    const value = skipSpace(text, colon + 1);
    const end = skipValue(text, value, start, depth);
    visit?.(text.slice(at, keyEnd), text.slice(value, end));
    at = skipSpace(text, end);
    if (text[at] === "}") return at + 1;
    if (text[at] !== ",") return refuse("',' or '}'", at, start);
    at = skipSpace(text, at + 1);
  }
}

function skipArray(text: string, at: number, start: number, depth: number): number {
  at = skipSpace(text, at + 1);
  if (text[at] === "]") return at + 1;
  for (;;) {
    at = skipSpace(text, skipValue(text, at, start, depth));
    if (text[at] === "]") return at + 1;
    if (text[at] !== ",") return refuse("',' or ']'", at, start);
    at = skipSpace(text, at + 1);
  }
}

const SCALAR = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

function skipValue(text: string, at: number, start: number, depth: number): number {
  const first = text[at];
  if (first === '"') return skipString(text, at, start);
  if (first === "{" || first === "[") {
    if (depth === MAX_DEPTH) throw new Refusal("arguments", `the arguments are nested deeper than ${MAX_DEPTH} levels`);
    return first === "{" ? skipObject(text, at, start, depth + 1) : skipArray(text, at, start, depth + 1);
  }
  SCALAR.lastIndex = at;
  return SCALAR.test(text) ? SCALAR.lastIndex : refuse("a JSON value", at, start);
}

const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

function skipString(text: string, at: number, start: number): number {
  if (text[at] !== '"') return refuse("'\"'", at, start);
  for (at++; ; ) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at + 1;
    if (code === 0x5c) {
      ESCAPE.lastIndex = at;
      if (!ESCAPE.test(text)) return refuse("a JSON escape", at, start);
      at = ESCAPE.lastIndex;
    } else if (code >= 0x20) at++;
    else return refuse(at < text.length ? "no control character in a string" : "'\"'", at, start);
  }
}

/** An opening or closing code fence and the space after it. */
function skipFence(text: string, at: number): number {
  if (!text.startsWith("```", at)) return at;
  at += 3;
  while (/[a-z]/i.test(text[at] ?? "")) at++;
  return skipSpace(text, at);
}

function skipSpace(text: string, at: number): number {
  while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at++;
  return at;
}

function refuse(expected: string, at: number, start: number): never {
  throw new Refusal("json", `the tool call is not valid JSON, expected ${expected} at character ${at - start}`);
}
