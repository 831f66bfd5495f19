// Imports conversations shaped as APIGen-MT-5k's: rows {conversations: [{from, value}], system, tools}, where `tools` is
// JSON text. They hold no ground truth, so they become dialogues to learn from, no tasks. Test: test/unit/import.test.ts

import { z } from "zod";
import { parse, type Value } from "../domains/python.ts";
import { UsageError } from "../errors.ts";
import type { Dialogue, WrittenCall } from "../types.ts";
import { checkOrder } from "./dialogues.ts";
import { attempt, check, plain } from "./record.ts";
import { readRows } from "./rows.ts";
import { toolSchema, writtenCall } from "./set.ts";

const COLUMNS = ["conversations", "system", "tools"] as const;

const row = z.looseObject({
  conversations: z.array(
    z.looseObject({ from: z.enum(["human", "gpt", "function_call", "observation"]), value: z.string() }),
  ),
  system: z.string(),
  tools: z.string(),
});
const calls = z.union(
  [writtenCall.transform((one) => [one]), z.array(writtenCall).min(1)],
  "expected {name, arguments}, or a list of them",
);
/** Bare, or wrapped as chat APIs have them; what else a schema says is left out. */
const bare = z.object(toolSchema.shape);
const tool = z.union([bare, z.object({ function: bare }).transform((wrapped) => wrapped.function)], {
  error: "expected {name, description, parameters}",
});

/** Every row of a file as a dialogue, its number in the id. */
export async function importApigen(file: string, split: string): Promise<Dialogue[]> {
  const dialogues: Dialogue[] = [];
  for await (const { place, value } of readRows(file, COLUMNS)) {
    const { conversations, system, tools } = check(row, plain(value), place);
    const turns = conversations.map(({ from, value }, i) => turnOf(from, value, `${place}: conversations.${i}.value`));
    const dialogue = {
      id: `apigen/${split}/${dialogues.length}`,
      system,
      tools: check(z.array(tool), jsonIn(tools, `${place}: tools`), `${place}: tools`),
      turns,
    };
    checkOrder(dialogue, place);
    dialogues.push(dialogue);
  }
  if (dialogues.length === 0) throw new UsageError(`${file}: holds no conversation`);
  return dialogues;
}

function turnOf(
  from: z.infer<typeof row>["conversations"][number]["from"],
  value: string,
  place: string,
): Dialogue["turns"][number] {
  switch (from) {
    case "human":
      return { role: "user", text: value };
    case "observation":
      return { role: "tool", text: value };
    case "gpt":
      return { role: "agent", text: value, calls: [] };
    case "function_call":
      return { role: "agent", text: "", calls: readCalls(value, place) };
  }
}

function readCalls(json: string, place: string): WrittenCall[] {
  return check(calls, jsonIn(json, place), place);
}

function jsonIn(text: string, place: string): unknown {
  return plain(attempt(place, (): Value => parse(text)));
}
