// Chats as an OpenAI-compatible server wants them, and its answers as ours: pure, both ways. An answer that has no message
// in it is unusable; what the message says is not looked at. Test: test/unit/llm.test.ts

import type { ChatMessage, CompleteOptions, Completion } from "../chat.ts";
import type { ChatErrorKind } from "../errors.ts";
import type { Json, WrittenCall } from "../types.ts";

/** A request as it goes over the wire. */
export interface Body {
  readonly model: string;
  readonly messages: readonly object[];
  readonly tools?: readonly object[];
  readonly [field: string]: unknown;
}

/** Tokens as the server counted them. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}
export interface Answer {
  readonly said: Pick<Completion, "text" | "calls" | "cut" | "refused">;
  readonly usage: Usage;
}

/** An answer that came whole and cannot be used. */
export class Unusable extends Error {
  constructor(
    readonly kind: ChatErrorKind,
    message: string,
  ) {
    super(message);
  }
}

interface Asked {
  readonly model: string;
  readonly temperature?: number;
  readonly maxTokens?: number;
  readonly extra?: Readonly<Record<string, Json>>;
}

/** The whole request. Fields that are not given are left out; null in `extra` takes one out. */
export function requestOf(
  { model, temperature, maxTokens, extra = {} }: Asked,
  messages: readonly ChatMessage[],
  { tools = [], seed, schema }: CompleteOptions,
): Body {
  const fields = {
    model,
    messages: wireMessages(messages),
    ...(tools.length > 0 ? { tools: tools.map(wireTool) } : {}),
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(seed === undefined ? {} : { seed: seed % 2 ** 31 }), // some servers read an int32
    ...(schema === undefined ? {} : { response_format: wireSchema(schema) }),
    ...extra,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)) as unknown as Body;
}

function wireTool({ name, description, parameters }: NonNullable<CompleteOptions["tools"]>[number]) {
  return { type: "function", function: { name, description, parameters } };
}

function wireSchema({ name, schema }: NonNullable<CompleteOptions["schema"]>) {
  return { type: "json_schema", json_schema: { name, strict: true, schema } };
}

/** A call gets its id from its place: nine letters and digits, as the strictest servers want them. */
function wireMessages(messages: readonly ChatMessage[]) {
  let id = "";
  return messages.map((message, i) => {
    if (message.role === "tool") return { role: "tool", tool_call_id: id, content: message.text };
    if (message.role !== "assistant" || !message.call) return { role: message.role, content: message.text };
    id = `call${String(i).padStart(5, "0")}`;
    const { name, arguments: json } = message.call;
    const call = { id, type: "function", function: { name, arguments: json } };
    return { role: "assistant", content: message.text || null, tool_calls: [call] };
  });
}

/** Reads a server's answer; throws Unusable. `body` is what was asked, for servers that do not count tokens. */
export function readAnswer(text: string, body: Body): Answer {
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch {
    throw new Unusable("not-json", `status 200, but the answer is not JSON: ${text}`);
  }
  const choice = field(list(field(whole, "choices"))[0], "message") ? list(field(whole, "choices"))[0] : null;
  if (choice === null) {
    throw new Unusable("no-choice", `status 200, but the answer has no choices[0].message: ${reasonOf(text)}`);
  }
  const message = field(choice, "message");
  const calls = list(field(message, "tool_calls")).map(readCall);
  const said = {
    text: readText(message),
    calls,
    cut: field(choice, "finish_reason") === "length",
    ...(typeof field(message, "refusal") === "string" && { refused: true as const }),
  };
  return { said, usage: readUsage(field(whole, "usage"), body, said) };
}

/** What a server says went wrong; the fields are those of OpenAI, FastAPI and others. */
export function reasonOf(text: string): string {
  try {
    const whole: unknown = JSON.parse(text);
    const error = field(whole, "error");
    const said = [field(error, "message"), error, field(whole, "detail"), field(whole, "message")];
    return said.find((reason): reason is string => typeof reason === "string") ?? text;
  } catch {
    return text.trim() === "" ? "without a word" : text;
  }
}

/** A text, or a list of parts of which some are text; a refusal is a text as well. */
function readText(message: unknown): string {
  const content = field(message, "content") ?? field(message, "refusal") ?? "";
  if (typeof content === "string") return content;
  return list(content)
    .map((part) => field(part, "text"))
    .filter((part) => typeof part === "string")
    .join("");
}

/** Broken arguments stay as they are: the turn's reader refuses them. Some servers give them as an object. */
function readCall(call: unknown): WrittenCall {
  const name = field(field(call, "function"), "name");
  const written = field(field(call, "function"), "arguments") ?? "";
  return {
    name: typeof name === "string" ? name : "",
    arguments: typeof written === "string" ? written : JSON.stringify(written),
  };
}

/** Characters of a token, about, where a server does not count. */
export const CHARS_PER_TOKEN = 4;

function readUsage(usage: unknown, body: Body, said: Answer["said"]): Usage {
  const count = (name: string, value: unknown) => {
    const given = field(usage, name);
    const tokens = Math.ceil(JSON.stringify(value).length / CHARS_PER_TOKEN);
    return typeof given === "number" && given >= 0 && Number.isFinite(given) ? given : tokens;
  };
  return {
    inputTokens: count("prompt_tokens", [body.messages, body.tools ?? []]),
    outputTokens: count("completion_tokens", said),
  };
}

function field(value: unknown, name: string): unknown {
  return value !== null && typeof value === "object" ? (value as Record<string, unknown>)[name] : undefined;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
