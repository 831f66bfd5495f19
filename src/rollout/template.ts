// Qwen3's chat template as code: messages to text, byte for byte what the published template renders.
// The same rules give the parts that format.ts turns into ids, so that text and ids cannot drift apart.
// Not a template engine, and not append-only: thoughts of old turns vanish, see `render`.
// Tests: test/golden/templates.test.ts (sha256 of the template they were made with: a55ee1b1...74d8).

import { dumps, type Value } from "../domains/python.ts";

export interface Message {
  readonly role: string;
  /** Only a string is printed; anything else (null, a list of parts) counts as empty. */
  readonly content: unknown;
  /** The thought, where it is given apart from the text (`reasoning_content`); only a string counts. */
  readonly reasoning?: unknown;
  readonly calls?: readonly ToolCall[];
}

/** A call as the template prints it; arguments that are a string are JSON already and printed as they are. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: Value;
}

export interface RenderOptions {
  /** Ends the text with the start of the agent's turn. */
  readonly generationPrompt?: boolean;
  /** False: that start holds an empty thought, so that the model does not think. */
  readonly thinking?: boolean;
}

/** A token that the template itself writes; text that merely spells it is a plain string. */
export interface Control {
  readonly control: string;
}
export type Part = string | Control;

export const IM_START: Control = { control: "<|im_start|>" };
export const IM_END: Control = { control: "<|im_end|>" };
const CALL: Control = { control: "<tool_call>" };
const CALL_END: Control = { control: "</tool_call>" };
const RESPONSE: Control = { control: "<tool_response>" };
const RESPONSE_END: Control = { control: "</tool_response>" };
const THINK: Control = { control: "<think>" };
const THINK_END: Control = { control: "</think>" };

/** The added tokens of a tokenizer of our own, whose policy does not think; `special` as in Qwen3's. */
export const CHAT_TOKENS: readonly { readonly content: string; readonly special: boolean }[] = [
  { content: "<|endoftext|>", special: true },
  { content: IM_START.control, special: true },
  { content: IM_END.control, special: true },
  ...[CALL, CALL_END, RESPONSE, RESPONSE_END].map(({ control }) => ({ content: control, special: false })),
];

/**
 * The text of a whole conversation. `tools` are printed as they are, one JSON object a line.
 * Thoughts are kept only after the customer's last real message, and a last turn without one gains an empty thought.
 */
export function render(messages: readonly Message[], tools: readonly Value[], options: RenderOptions = {}): string {
  return [...parts(messages, tools, options)].map((part) => (typeof part === "string" ? part : part.control)).join("");
}

/** What `render` joins. */
export function* parts(
  messages: readonly Message[],
  tools: readonly Value[],
  options: RenderOptions = {},
): Generator<Part> {
  const system = messages[0]?.role === "system" ? text(messages[0]) : null;
  if (system !== null || tools.length > 0) {
    yield* [IM_START, "system\n"];
    if (tools.length > 0) yield* toolsBlock(system, tools);
    else yield system as string;
    yield* [IM_END, "\n"];
  }

  const query = messages.findLastIndex(isQuery);
  const lastQuery = query < 0 ? messages.length - 1 : query;
  for (const [i, message] of messages.entries()) {
    const content = text(message);
    if (message.role === "user" || (message.role === "system" && i > 0)) {
      yield* [IM_START, `${message.role}\n`, content, IM_END, "\n"];
    } else if (message.role === "assistant") {
      const { thought, said } = splitThought(message, content);
      yield* [IM_START, "assistant\n"];
      const last = i === messages.length - 1;
      const shown = i > lastQuery && (last || thought !== "");
      if (shown) yield* [THINK, `\n${trimNewlines(thought)}\n`, THINK_END, "\n\n"];
      yield* turn(shown ? trimStartNewlines(said) : said, message.calls ?? [], said !== "");
      yield* [IM_END, "\n"];
    } else if (message.role === "tool") {
      if (messages[i - 1]?.role !== "tool") yield* [IM_START, "user"];
      yield* ["\n", RESPONSE, "\n", content, "\n", RESPONSE_END];
      if (messages[i + 1]?.role !== "tool") yield* [IM_END, "\n"];
    }
  }

  if (!options.generationPrompt) return;
  yield* [IM_START, "assistant\n"];
  if (options.thinking === false) yield* [THINK, "\n\n", THINK_END, "\n\n"];
}

/** What an agent's turn says, its calls after it. `spaced`: the first call starts on a line of its own. */
export function* turn(said: string, calls: readonly ToolCall[], spaced = said !== ""): Generator<Part> {
  yield said;
  for (const [i, call] of calls.entries()) {
    if (i > 0 || spaced) yield "\n";
    const args = typeof call.arguments === "string" ? call.arguments : toJson(call.arguments);
    yield* [CALL, `\n{"name": "${call.name}", "arguments": ${args}}\n`, CALL_END];
  }
}

/** The system text with the tools below it, where there are any. */
export function* toolsBlock(system: string | null, tools: readonly Value[]): Generator<Part> {
  if (system !== null) yield `${system}\n\n`;
  yield "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n";
  yield "You are provided with function signatures within <tools></tools> XML tags:\n<tools>";
  for (const tool of tools) yield `\n${toJson(tool)}`;
  yield "\n</tools>\n\nFor each function call, return a json object with function name and arguments within ";
  yield* [CALL, CALL_END, " XML tags:\n"];
  yield* [CALL, '\n{"name": <function-name>, "arguments": <args-json-object>}\n', CALL_END];
}

/** A message of the customer's own: not tool results that are passed off as one. */
function isQuery({ role, content }: Message): boolean {
  const wrapped =
    typeof content === "string" && content.startsWith(RESPONSE.control) && content.endsWith(RESPONSE_END.control);
  return role === "user" && typeof content === "string" && !wrapped;
}

/** A thought written inside of the content is cut out of it: the first one is kept, text before it is lost. */
function splitThought(message: Message, content: string): { thought: string; said: string } {
  if (typeof message.reasoning === "string") return { thought: message.reasoning, said: content };
  const pieces = content.split(THINK_END.control);
  if (pieces.length === 1) return { thought: "", said: content };
  const thought = trimEndNewlines(pieces[0]).split(THINK.control).at(-1) as string;
  return { thought: trimStartNewlines(thought), said: trimStartNewlines(pieces.at(-1) as string) };
}

function text({ content }: Message): string {
  return typeof content === "string" ? content : "";
}

/** `json.dumps(value, ensure_ascii=False)` */
function toJson(value: Value): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(toJson).join(", ")}]`;
  if (value instanceof Map) return `{${[...value].map(([k, v]) => `${JSON.stringify(k)}: ${toJson(v)}`).join(", ")}}`;
  return dumps(value);
}

function trimStartNewlines(s: string): string {
  let start = 0;
  while (s[start] === "\n") start++;
  return s.slice(start);
}

function trimEndNewlines(s: string): string {
  let end = s.length;
  while (s[end - 1] === "\n") end--;
  return s.slice(0, end);
}

function trimNewlines(s: string): string {
  return trimStartNewlines(trimEndNewlines(s));
}
