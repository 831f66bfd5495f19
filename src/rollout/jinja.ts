// Conversations in the words of a checkpoint's own chat_template, token in, token out: the only door to @huggingface/jinja.
// The template renders the talk with marks around everything that comes from outside and a placeholder for each turn of
// the agent. So sampled ids stay as they are, and control tokens come from the template's own text alone. Where a
// rendering does not begin with the one before, the context begins anew. Not Qwen3's format, which is code: format.ts.
// Test: test/unit/jinja.test.ts

import { Template } from "@huggingface/jinja";
import { UsageError } from "../errors.ts";
import type { AgentTurn, Format, Heard, Reply, Script, ToolSchema } from "../types.ts";
import { type Codec, encodeParts, newlines, toolJson, withoutThought } from "./format.ts";
import { parseTurn } from "./parse.ts";
import { type Part, toolsBlock, turn as turnParts } from "./template.ts";

/** A codec that also knows where its added tokens stand in a text: every second part is one. */
export interface CuttingCodec extends Codec {
  cut(text: string): string[];
}

/** A chat_template as it was found. */
export interface ChatTemplate {
  /** Where it comes from, for messages. */
  readonly source: string;
  readonly text: string;
  /** What it may name, such as bos_token. */
  readonly variables: Readonly<Record<string, unknown>>;
}

/** What a template sees of a message. */
interface Message {
  readonly role: string;
  readonly content: string;
  readonly tool_calls?: readonly unknown[];
}

/** A piece of a rendered talk: the template's own words, words from outside, or the place of a turn of the agent. */
type Segment = { readonly own: string } | { readonly outside: string } | { readonly turn: number };

/** Private characters, which templates leave alone: around words from outside, and around the number of a turn. */
interface Marks {
  readonly open: string;
  readonly close: string;
  readonly turn: string;
}

/** What templates ask for the day; the package's own function of that name cannot be replaced. */
const CLOCK = "day_of_template";
/** What they are told, whatever the clock says: a run is a function of its config. Llama 3.1's own default. */
const TODAY: { readonly [directive: string]: string } = { d: "26", b: "Jul", B: "July", m: "07", y: "24", Y: "2024" };

/**
 * The format of a chat_template; throws a UsageError where it cannot be used. `eosIds`: what else ends a turn. Tools go
 * through the template where it prints them, else into the system text as Qwen3 (Hermes) writes them, and then results
 * come back as a user's message.
 */
export function templateFormat(codec: CuttingCodec, template: ChatTemplate, eosIds: readonly number[]): Format {
  const refuse = (what: string): never => {
    throw new UsageError(`${template.source}: ${what}`);
  };
  const compiled = compile(template, refuse);
  const render = (messages: readonly Message[], tools: readonly unknown[] | null, prompt: boolean): string => {
    try {
      return compiled.render({
        ...template.variables,
        messages,
        tools: tools?.length ? tools : null,
        add_generation_prompt: prompt,
        [CLOCK]: (form: string) => form.replace(/%(.)/g, (all, directive) => TODAY[directive] ?? all),
      });
    } catch (error) {
      return refuse(`the chat template cannot be rendered: ${oneLine(error)}`);
    }
  };
  const prints = (messages: readonly Message[], tools: readonly unknown[] | null, word: string): boolean => {
    try {
      return render(messages, tools, false).includes(word);
    } catch {
      return false;
    }
  };

  const asks: Message = { role: "user", content: "Hi" };
  const probe = { type: "function", function: { name: "probe_tool", description: "", parameters: { type: "object" } } };
  const called = { id: "call00001", type: "function", function: { name: "probe_tool", arguments: {} } };
  const takesTools = prints([asks], [probe], "probe_tool");
  const takesCalls =
    takesTools && prints([asks, { role: "assistant", content: "", tool_calls: [called] }], null, "probe_tool");
  if (!render([{ role: "system", content: "probe_system" }, asks], null, false).includes("probe_system"))
    refuse("the chat template does not print a system text");

  const marksOf = (...texts: readonly string[]) => freeMarks([template.text, ...texts]);
  const plain = /^[\w\s.,:;()'"/#$%+*=?!&@-]*$/;
  /** A text in marks, the space around it left outside: templates trim. */
  const mark = (text: string, { open, close }: Marks): string => {
    const core = text.trim();
    const start = text.length - text.trimStart().length;
    if (core === "") return text;
    return text.slice(0, start) + open + core + close + text.slice(start + core.length);
  };
  /** A JSON value whose texts are in marks wherever a control token could be in them. */
  const markLeaves = (value: unknown, marks: Marks): unknown => {
    if (typeof value === "string")
      return plain.test(value) && codec.cut(value).length === 1 ? value : marks.open + value + marks.close;
    if (Array.isArray(value)) return value.map((each) => markLeaves(each, marks));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [markLeaves(k, marks), markLeaves(v, marks)]));
  };
  /** Parts of Qwen3's format as one text: control tokens as they are, everything else in marks. */
  const markParts = (parts: Iterable<Part>, marks: Marks): string =>
    [...parts].map((part) => (typeof part === "string" ? mark(part, marks) : part.control)).join("");

  const partsOf = (segment: Segment): Part[] => {
    if ("outside" in segment) return [segment.outside];
    if ("turn" in segment) return [];
    return codec.cut(segment.own).map((part, i) => (i % 2 ? { control: part } : part));
  };
  const encode = (segments: readonly Segment[]) => encodeParts(codec, segments.flatMap(partsOf));

  const bare = /"parameters"/.test(template.text);
  const end = endOfTurn();
  const thoughtEnd = codec.id("</think>") ?? -1;
  const newline = newlines(codec);

  /** The control token right behind a turn. */
  function endOfTurn(): number {
    const marks = marksOf();
    const text = render([asks, { role: "assistant", content: `${marks.turn}0${marks.turn}` }], null, false);
    const segments = segmentsOf(text, marks, refuse);
    const after = segments[segments.findIndex((segment) => "turn" in segment) + 1];
    const [before, token] = after && "own" in after ? codec.cut(after.own) : [];
    const id = token === undefined || before !== "" ? undefined : codec.id(token);
    return id ?? refuse("the chat template does not end a turn of the agent with a token of its own");
  }

  /** The ids of a whole context, with what was sampled in the places of the turns. */
  function whole(segments: readonly Segment[], said: readonly ArrayLike<number>[]): number[] {
    let ids: number[] = [];
    let from = 0;
    for (const [i, segment] of segments.entries()) {
      if (!("turn" in segment)) continue;
      const turn = withoutThought(said[segment.turn], thoughtEnd, newline);
      ids = ids.concat(encode(segments.slice(from, i)), turn.at(-1) === end ? turn.slice(0, -1) : turn);
      from = i + 1;
    }
    return ids.concat(encode(segments.slice(from)));
  }

  function open(system: string, tools: readonly ToolSchema[], user: string): Script {
    const said: ArrayLike<number>[] = [];
    const heard: Reply["messages"][number][][] = [];
    const written = JSON.stringify(tools);
    const rendered = (): Segment[] => {
      const marks = marksOf(system, written, user, ...heard.flat().map(({ text }) => text));
      const shown = takesTools ? tools.map((tool) => markLeaves(schemaOf(tool), marks)) : [];
      const listed = tools.length > 0 && !takesTools;
      const block = () => markParts(toolsBlock(system || null, tools.map(toolJson)), marks);
      const top = listed ? block() : mark(system, marks);
      const messages: Message[] = [
        ...(top ? [{ role: "system", content: top }] : []),
        { role: "user", content: mark(user, marks) },
        ...heard.flatMap((replies, i) => [
          { role: "assistant", content: `${marks.turn}${i}${marks.turn}` },
          ...replies.map(({ role, text }) => messageOf(role, mark(text, marks))),
        ]),
      ];
      return segmentsOf(render(messages, shown, true), marks, refuse);
    };
    const messageOf = (role: "user" | "tool", content: string): Message =>
      role === "tool" && !takesTools
        ? { role: "user", content: `<tool_response>\n${content}\n</tool_response>` }
        : { role, content };

    let before = rendered();
    return {
      prompt: encode(before),
      next(turn, reply): Heard {
        if (reply.messages.length === 0) return { ids: [], anew: false };
        const closed = turn[turn.length - 1] === end;
        said.push(turn);
        heard.push([...reply.messages]);
        const now = rendered();
        const place = now.findIndex((segment) => "turn" in segment && segment.turn === said.length - 1);
        if (place < 0) refuse("the chat template leaves out what the agent said");
        const appended = JSON.stringify(now.slice(0, place)) === JSON.stringify(before);
        before = now;
        if (!appended) return { ids: whole(now, said), anew: true };
        const ids = encode(now.slice(place + 1));
        return { ids: closed && ids[0] === end ? ids.slice(1) : ids, anew: false };
      },
    };
  }

  return {
    stopIds: [...new Set([end, ...eosIds])],
    open,
    turn(turn: AgentTurn) {
      const read = turn.calls.map(({ name, arguments: json }) => ({ name, arguments: JSON.parse(json) }));
      const marks = marksOf(turn.text, JSON.stringify(read), ...turn.calls.map((call) => call.arguments));
      const message = (): Message => {
        if (turn.calls.length === 0) return { role: "assistant", content: mark(turn.text, marks) };
        if (!takesCalls) return { role: "assistant", content: markParts(turnParts(turn.text, turn.calls), marks) };
        const calls = read.map((call, i) => ({
          id: `call${String(i).padStart(5, "0")}`,
          type: "function",
          function: markLeaves(call, marks),
        }));
        return { role: "assistant", content: mark(turn.text, marks), tool_calls: calls };
      };
      const start = render([asks], null, true);
      const text = render([asks, message()], null, false);
      if (!text.startsWith(start)) refuse("a turn of the agent does not begin as the chat template's prompt ends");
      const ids = encode(segmentsOf(text.slice(start.length), marks, refuse));
      return ids.slice(0, ids.lastIndexOf(end) + 1);
    },
    parse(ids, cut) {
      return parseTurn(codec.decode(ids, { skipSpecial: true }), cut, { bare });
    },
    decode(ids) {
      return codec.decode(ids);
    },
  };
}

function compile({ text }: ChatTemplate, refuse: (what: string) => never): Template {
  try {
    return new Template(text.replaceAll(/\bstrftime_now\b/g, CLOCK));
  } catch (error) {
    return refuse(`the chat template cannot be read: ${oneLine(error)}`);
  }
}

function oneLine(error: unknown): string {
  return (error as Error).message.replaceAll(/\s+/g, " ");
}

function schemaOf({ name, description, parameters }: ToolSchema) {
  return { type: "function", function: { name, description, parameters } };
}

/** Plane 15, which Unicode will never assign. */
const PRIVATE_AREA = 0xf0000;

/** Three characters of the private area that occur in none of the texts. */
function freeMarks(texts: readonly string[]): Marks {
  const free: string[] = [];
  for (let point = PRIVATE_AREA; free.length < 3; point++) {
    const mark = String.fromCodePoint(point);
    if (texts.every((text) => !text.includes(mark))) free.push(mark);
  }
  const [open, close, turn] = free;
  return { open, close, turn };
}

/** A rendered text at its marks; they cannot lie in each other, as nothing that is marked holds one. */
function segmentsOf(text: string, { open, close, turn }: Marks, refuse: (what: string) => never): Segment[] {
  const segments: Segment[] = [];
  const marked = new RegExp(`${open}([^${open}${close}${turn}]*)${close}|${turn}([0-9]+)${turn}`, "gu");
  const own = (from: number, to: number) => {
    const words = text.slice(from, to);
    if ([open, close, turn].some((mark) => words.includes(mark)))
      refuse("the chat template takes apart what it is given");
    if (words) segments.push({ own: words });
  };
  let from = 0;
  for (const match of text.matchAll(marked)) {
    own(from, match.index);
    segments.push(match[1] === undefined ? { turn: Number(match[2]) } : { outside: match[1] });
    from = match.index + match[0].length;
  }
  own(from, text.length);
  return segments;
}
