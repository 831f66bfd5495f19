// How conversations are written as tokens: Qwen3's chat format, token in, token out. Sampled ids stay as they are and
// only the environment's are appended ("append" mode: thoughts of earlier turns stay in the context). Text from outside
// is encoded without added tokens, so nobody can type a control token. Not a renderer for whole conversations: see
// template.ts. Tests: test/unit/format.test.ts, test/golden/templates.test.ts

import { parse as parseJson } from "../domains/python.ts";
import { UsageError } from "../errors.ts";
import type { Format, ToolSchema } from "../types.ts";
import { parseTurn } from "./parse.ts";
import { IM_END, type Message, type Part, parts, turn } from "./template.ts";

/** What a format needs of a tokenizer; policy/tokenizer.ts is one. */
export interface Codec {
  encodePlain(text: string): number[];
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecial?: boolean }): string;
  id(token: string): number | undefined;
}

/**
 * The format of a tokenizer that has <|im_start|>, <|im_end|> and <|endoftext|>; control tokens that it lacks, such as
 * <think>, are written as text. `thinking` false: every turn starts with an empty thought, as Qwen3 does it.
 */
export function chatFormat(codec: Codec, options: { readonly thinking?: boolean } = {}): Format {
  const need = (token: string): number => {
    const id = codec.id(token);
    if (id === undefined) throw new UsageError(`the tokenizer has no ${token}, which the chat format needs`);
    return id;
  };
  need("<|im_start|>");
  const prompted = { generationPrompt: true, thinking: options.thinking ?? true };

  /** Neighbouring text is encoded together, as it would be if the whole were rendered first. */
  const encode = (all: Iterable<Part>): number[] => {
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
  };

  return {
    stopIds: [need(IM_END.control), need("<|endoftext|>")],
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
}

/** A tool as the prompt shows it. The detour over text makes whole numbers Python ints, as a JSON file would. */
function toolJson({ name, description, parameters }: ToolSchema) {
  return parseJson(JSON.stringify({ type: "function", function: { name, description, parameters } }));
}
