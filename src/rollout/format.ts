// How conversations are written as tokens: Qwen3's chat format, token in, token out. Sampled ids stay as they are and
// the environment's are appended. Thoughts of earlier turns stay in the context ("append"), or leave it as soon as the
// customer speaks again, as they do in Qwen3's template ("strip"). Text from outside is encoded without added tokens, so
// nobody can type a control token. Not a renderer for whole conversations: see template.ts; not other families: see
// jinja.ts. Tests: test/unit/format.test.ts, test/golden/templates.test.ts

import { parse as parseJson } from "../domains/python.ts";
import { UsageError } from "../errors.ts";
import type { Format, Reply, ToolSchema } from "../types.ts";
import { parseTurn } from "./parse.ts";
import { IM_END, type Message, type Part, parts, turn } from "./template.ts";

/** What a format needs of a tokenizer; policy/tokenizer.ts is one. */
export interface Codec {
  encodePlain(text: string): number[];
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecial?: boolean }): string;
  id(token: string): number | undefined;
}

export interface ChatOptions {
  /** False: every turn starts with an empty thought, as Qwen3 does it. */
  readonly thinking?: boolean;
  /** Where earlier thoughts leave the context, the conversation has several contexts, each a row to learn from. */
  readonly mode?: "append" | "strip";
}

/** The parts of a conversation in this format, which do not depend on what was said before. */
export interface ChatFormat extends Format {
  /** System text, tools and the first user message, up to where the agent starts. */
  prompt(system: string, tools: readonly ToolSchema[], user: string): number[];
  /** What comes between two turns of the agent. `closed`: the sampled turn already ends in its end-of-turn token. */
  between(reply: Reply, closed: boolean): number[];
}

/**
 * The format of a tokenizer that has <|im_start|>, <|im_end|> and <|endoftext|>; control tokens that it lacks, such as
 * <think>, are written as text.
 */
export function chatFormat(codec: Codec, options: ChatOptions = {}): ChatFormat {
  const need = (token: string): number => {
    const id = codec.id(token);
    if (id === undefined) throw new UsageError(`the tokenizer has no ${token}, which the chat format needs`);
    return id;
  };
  need("<|im_start|>");
  const prompted = { generationPrompt: true, thinking: options.thinking ?? true };

  const encode = (all: Iterable<Part>) => encodeParts(codec, all);

  const end = need(IM_END.control);
  const thoughtEnd = options.mode === "strip" ? need("</think>") : -1;
  const newline = newlines(codec);

  const format: ChatFormat = {
    stopIds: [end, need("<|endoftext|>")],
    open(system, tools, user) {
      const prompt = format.prompt(system, tools, user);
      let kept = [...prompt];
      let stripped = false;
      return {
        prompt,
        next: (said, reply) => {
          const heard = format.between(reply, said[said.length - 1] === end);
          const rest = options.mode === "strip" ? withoutThought(said, thoughtEnd, newline) : [];
          kept = kept.concat(rest, heard);
          stripped ||= rest.length < said.length;
          const anew = options.mode === "strip" && stripped && reply.messages.some(({ role }) => role === "user");
          if (anew) stripped = false;
          return { ids: anew ? [...kept] : heard, anew };
        },
      };
    },
    prompt(system, tools, user) {
      const messages: Message[] = [
        ...(system ? [{ role: "system", content: system }] : []),
        { role: "user", content: user },
      ];
      return encode(parts(messages, tools.map(toolJson), prompted));
    },
    between(reply, closed) {
      const messages = reply.messages.map(({ role, text }) => ({ role, content: text }));
      if (messages.length === 0) return [];
      return encode([...(closed ? [] : [IM_END]), "\n", ...parts(messages, [], prompted)]);
    },
    turn({ text, calls }) {
      return encode([...turn(text, calls), IM_END]);
    },
    parse(ids, cut) {
      return parseTurn(codec.decode(ids, { skipSpecial: true }), cut);
    },
    decode(ids) {
      return codec.decode(ids);
    },
  };
  return format;
}

/** Ids of text and control tokens. Neighbouring text is encoded together, as if the whole were rendered first. */
export function encodeParts(codec: Codec, all: Iterable<Part>): number[] {
  const ids: number[] = [];
  let text = "";
  const flush = () => {
    for (const id of codec.encodePlain(text)) ids.push(id);
    text = "";
  };
  for (const part of all) {
    const id = typeof part === "string" ? undefined : codec.id(part.control);
    if (id === undefined) text += typeof part === "string" ? part : part.control;
    else {
      flush();
      ids.push(id);
    }
  }
  flush();
  return ids;
}

/** The ids after the last thought and the newlines that follow it; all of them where no thought ended. */
export function withoutThought(
  ids: ArrayLike<number>,
  thoughtEnd: number,
  newline: (id: number) => boolean,
): readonly number[] {
  const said = Array.from(ids);
  const end = said.lastIndexOf(thoughtEnd);
  const start = end < 0 ? 0 : said.findIndex((id, i) => i > end && !newline(id));
  return start < 0 ? [] : said.slice(start);
}

/** A test for tokens that are newlines and nothing else. */
export function newlines(codec: Codec): (id: number) => boolean {
  return (id) => /^\n+$/.test(codec.decode([id]));
}

/** A tool as the prompt shows it. The detour over text makes whole numbers Python ints, as a JSON file would. */
export function toolJson({ name, description, parameters }: ToolSchema) {
  return parseJson(JSON.stringify({ type: "function", function: { name, description, parameters } }));
}
