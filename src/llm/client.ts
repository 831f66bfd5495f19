// The one door to language models behind an OpenAI-compatible API: the only file that imports the openai package.
// Every request has a deadline over headers and body; what cannot be used is asked for again, with waits that grow;
// everything is counted, and a budget ends it. Prompts and what an answer means are the askers' business: users, judges
// and agents are handed a `Chat`. Reads no environment variable. Test: test/unit/llm.test.ts

import OpenAI, { APIConnectionError } from "openai";
import type { Chat, ChatMessage, CompleteOptions, Completion } from "../chat.ts";
import { ChatError, type ChatErrorKind, UsageError } from "../errors.ts";
import type { Json } from "../types.ts";
import { type Budget, type Counts, Ledger, type Prices } from "./budget.ts";
import { AnswerCache } from "./cache.ts";
import { metronome, pause, turnstile } from "./pace.ts";
import { type Answer, type Body, readAnswer, reasonOf, requestOf, Unusable } from "./wire.ts";

export interface ChatOptions {
  readonly model: string;
  readonly baseURL: string;
  /** Never logged, stored or shown in an error. A server without keys takes any. */
  readonly apiKey?: string;
  /** Left out of requests where it is not given, as some models want it; so is `maxTokens`. */
  readonly temperature?: number;
  /** Most tokens of one answer. */
  readonly maxTokens?: number;
  /** Used where a question brings none of its own. */
  readonly seed?: number;
  /** Further fields of every request; null takes a field out that the server does not know. */
  readonly extra?: Readonly<Record<string, Json>>;
  /** One exchange, headers and body; Node's fetch itself waits at most 300 s for each. */
  readonly timeoutMs?: number;
  /** Further tries after a failure that may pass. */
  readonly retries?: number;
  /** The first wait between two tries; it doubles, up to MAX_WAIT_MS. */
  readonly backoffMs?: number;
  /** Requests under way at once; others wait for their turn. */
  readonly concurrency?: number;
  /** Requests started in a minute, repeated ones included; 0 is no limit. */
  readonly perMinute?: number;
  readonly budget?: Budget;
  readonly prices?: Prices;
  /** Folder of answers to keep; without it nothing is kept. */
  readonly cacheDir?: string;
}

export interface OpenChat extends Chat {
  /** A copy of what was counted so far. */
  counts(): Counts;
  /** Why every further question is in vain: the budget is spent, the key or the model is refused. Null while it is not. */
  stopped(): Error | null;
}

/** A wait is never longer, whatever a server asks for. */
const MAX_WAIT_MS = 60_000;
/** Most bytes of an answer: some hundred times the longest. */
const MAX_BYTES = 16 << 20;
const MAX_TIMEOUT_MS = 3_600_000;

/** Statuses below 500 that may pass; the others are about the request itself, and asking again changes nothing. */
const PASSES = new Set([408, 409, 425, 429]);
/** Statuses that every other request would meet, too: the key is refused, nothing is paid for, no such model or path. */
const FOR_ALL = new Set([401, 402, 404]);

/** One request that failed. */
interface Failure {
  readonly kind: ChatErrorKind;
  readonly why: string;
  readonly again: boolean;
  readonly forAll?: boolean;
  /** What the server asks for, milliseconds. */
  readonly waitMs?: number;
}

export function openChat(options: ChatOptions): OpenChat {
  const { model, seed, timeoutMs = 120_000, retries = 4, backoffMs = 500, concurrency = 8, perMinute = 0 } = options;
  if (model === "") throw new UsageError("the model of an API has no name");
  checkRange("timeout", timeoutMs, 1, MAX_TIMEOUT_MS);
  checkRange("retries", retries, 0, 100);
  checkRange("concurrency", concurrency, 1, 10_000);
  const baseURL = checkURL(options.baseURL);
  const apiKey = checkKey(options.apiKey);
  const ledger = new Ledger(options.budget, options.prices);
  const cache = options.cacheDir === undefined ? null : new AnswerCache(options.cacheDir);
  const takeTurn = turnstile(concurrency);
  const waitForBeat = metronome(perMinute);
  // Named here is what the package would otherwise read from the environment; of it only OPENAI_CUSTOM_HEADERS is left.
  const client = new OpenAI({
    baseURL,
    apiKey,
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    logLevel: "off",
    maxRetries: 0, // ours are counted
    timeout: 2 * MAX_TIMEOUT_MS, // ours covers the body, too
    fetch: fetchWhole,
  });
  const hide = (text: string) => (apiKey === NO_KEY ? text : text.replaceAll(apiKey, "[key]"));
  let refused: ChatError | null = null;
  /** The server refuses answers by a schema. */
  let schemaless = false;

  async function exchange(body: Body, outer: AbortSignal): Promise<Answer | Failure> {
    const deadline = new AbortController();
    const expire = () => deadline.abort();
    const timer = setTimeout(expire, timeoutMs);
    outer.addEventListener("abort", expire, { once: true });
    if (outer.aborted) expire();
    let text: string;
    try {
      const request = body as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming;
      const response = await client.chat.completions.create(request, { signal: deadline.signal }).asResponse();
      const whole = await response.text();
      text = apiKey.length < WORD ? whole : hide(whole);
    } catch (error) {
      if (outer.aborted) return { kind: "aborted", why: "aborted", again: false };
      if (deadline.signal.aborted) return { kind: "timeout", why: `no answer in ${timeoutMs} ms`, again: true };
      return failureOf(error);
    } finally {
      clearTimeout(timer);
      outer.removeEventListener("abort", expire);
    }
    try {
      return readAnswer(text, body);
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      return { kind: error.kind, why: error.message, again: true };
    }
  }

  async function ask(body: Body, label: string | undefined, signal: AbortSignal): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      if (refused) throw refused;
      await waitForBeat(signal);
      if (signal.aborted) throw new ChatError("aborted", `${model}: aborted before it was asked`);
      ledger.begin(tries > 1);
      const answer = await exchange(body, signal);
      if ("said" in answer) return answer;
      ledger.fail(answer.kind);
      if (!answer.again || tries > retries) {
        const count = tries > 1 ? `, ${tries} tries` : "";
        const line = `${label ? `${label}: ` : ""}${model} at ${baseURL}: ${clip(hide(answer.why))}${count}`;
        const error = new ChatError(answer.kind, line);
        if (answer.forAll) refused = error;
        throw error;
      }
      await pause(answer.waitMs ?? backoff(backoffMs, tries), signal);
    }
  }

  /** Asks as it is, or without the schema that the server cannot hold an answer to; that is found out once. */
  async function askAtAll(bodies: readonly Body[], label: string | undefined, signal: AbortSignal) {
    const [body, plain] = bodies;
    if (!plain || !schemaless)
      try {
        return { body, answer: await ask(body, label, signal) };
      } catch (error) {
        if (!plain || !refusesSchema(error)) throw error;
        schemaless = true;
      }
    return { body: plain, answer: await ask(plain, label, signal) };
  }

  async function complete(messages: readonly ChatMessage[], question: CompleteOptions = {}): Promise<Completion> {
    const signal = question.signal ?? new AbortController().signal;
    const { schema, ...plain } = { ...question, seed: question.seed ?? seed };
    const bodies = [{ ...plain, schema }, ...(schema ? [plain] : [])].map((each) => requestOf(options, messages, each));
    for (const body of bodies) {
      const kept = cache?.read(body);
      if (!kept) continue;
      ledger.cached();
      return { ...kept.said, cached: true, bill: ledger.nothing };
    }
    const leave = await takeTurn(signal);
    try {
      const { body, answer } = await askAtAll(bodies, question.label, signal);
      const bill = ledger.pay(answer.usage);
      const kept = cache?.read(body) ?? answer; // where the same was asked twice at once, one answer counts
      if (cache && kept === answer && !cache.write(body, answer)) ledger.unkept();
      return { ...kept.said, cached: false, bill };
    } finally {
      leave();
    }
  }

  return { model, complete, counts: () => ledger.counts(), stopped: () => refused ?? ledger.spent() };
}

/** A status that says no. Its message is bland, since the package looks into messages for timeouts. */
class Refused extends Error {
  constructor(
    readonly status: number,
    readonly headers: Headers,
    readonly text: string,
  ) {
    super("refused");
  }
}

/**
 * The whole answer, before the package sees it: its own time limit ends at the headers, and of what a server says beside
 * an error status it keeps too little. Ends where `init.signal` does.
 */
async function fetchWhole(url: string | URL | Request, init?: RequestInit): Promise<Response> {
  const { body, ok, status, headers } = await fetch(url, init);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Unusable("too-long", `the answer is longer than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  if (!ok) throw new Refused(status, headers, text);
  return new Response(text);
}

function failureOf(error: unknown): Failure {
  const inner = error instanceof APIConnectionError && error.cause ? error.cause : error;
  if (inner instanceof Unusable) return { kind: inner.kind, why: inner.message, again: false };
  if (!(inner instanceof Refused))
    return { kind: "connection", why: `no connection, ${rootCause(inner)}`, again: true };
  const { status, headers, text } = inner;
  const broke = text.includes("insufficient_quota"); // OpenAI's 429 that does not pass
  return {
    kind: `http-${status}`,
    why: `status ${status}, ${reasonOf(text)}`,
    again: (PASSES.has(status) || status >= 500) && !broke,
    forAll: FOR_ALL.has(status) || broke,
    waitMs: askedWait(headers),
  };
}

/** A server that knows no structured answers says so in a 400 or 422 that names the field. */
function refusesSchema(error: unknown): boolean {
  const refuses = error instanceof ChatError && (error.kind === "http-400" || error.kind === "http-422");
  return refuses && /response_format|json_schema/i.test(error.message);
}

/** What lies under "fetch failed". */
function rootCause(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause) return rootCause(error.cause);
  return error.message || ((error as { code?: string }).code ?? error.name);
}

/** `retry-after-ms`, or `retry-after` in seconds or as a date. */
function askedWait(headers: Headers): number | undefined {
  const ms = Number.parseFloat(headers.get("retry-after-ms") ?? "");
  const after = headers.get("retry-after") ?? "";
  const seconds = /^\s*[\d.]+\s*$/.test(after) ? Number.parseFloat(after) * 1000 : Date.parse(after) - Date.now();
  const wait = [ms, seconds].find((value) => Number.isFinite(value) && value >= 0);
  return wait === undefined ? undefined : Math.min(wait, MAX_WAIT_MS);
}

/** Doubles from try to try, half of it at random, so that many do not come back together. Not a seeded number. */
function backoff(firstMs: number, tries: number): number {
  return Math.min(firstMs * 2 ** (tries - 1), MAX_WAIT_MS) * (1 - Math.random() / 2);
}

function checkURL(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const more = url && [url.username, url.password, url.search, url.hash].some((part) => part !== "");
  if (!url || !/^https?:$/.test(url.protocol) || more) {
    const shown = text.replace(/\/\/[^/]*@/, "//...@").replace(/[?#].*/s, "?...");
    throw new UsageError(`base URL ${shown}: expected http(s)://host/path, nothing more`);
  }
  return url.href.replace(/\/+$/, "");
}

/** A key with fewer characters can be part of what a model says, where hiding it would change an answer. */
const WORD = 8;
/** Sent where there is no key: the package wants one. */
const NO_KEY = "none";

/** What a header can hold; a line break at its end is a file's or a shell's. */
function checkKey(key = ""): string {
  const trimmed = key.trim() || NO_KEY;
  if (!/^[\x21-\x7e]+$/.test(trimmed))
    throw new UsageError("API key: expected ASCII letters, digits and signs, no spaces");
  return trimmed;
}

function checkRange(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new UsageError(`${name} ${value}: expected a whole number from ${least} to ${most}`);
}

/** One line, short enough to be read; a page of HTML without its tags. Only its beginning is looked at. */
function clip(text: string): string {
  const line = text
    .slice(0, 5000)
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")
    .trim();
  return line.length > 300 ? `${line.slice(0, 300)}...` : line;
}
