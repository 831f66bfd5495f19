// Sets of dialogues: recorded conversations to train on, one JSON line each, in a form of our own. They have no ground truth
// and are no tasks. Written by an importer (apigen.ts), read by `tarl sft`. Test: test/unit/import.test.ts

import { z } from "zod";
import { UsageError } from "../errors.ts";
import type { Dialogue, ToolSchema } from "../types.ts";
import { check, written } from "./record.ts";
import { checkNew, openFolder, toolSchema, writtenCall } from "./set.ts";

const dialogue = z.strictObject({
  id: z.string().min(1),
  system: z.string(),
  tools: z.array(toolSchema),
  turns: z.array(
    z.discriminatedUnion("role", [
      z.strictObject({ role: z.literal("user"), text: z.string() }),
      z.strictObject({ role: z.literal("agent"), text: z.string(), calls: z.array(writtenCall) }),
      z.strictObject({ role: z.literal("tool"), text: z.string() }),
    ]),
  ),
} satisfies Record<keyof Dialogue, z.ZodType>);

/** Every dialogue of a set, split by split; at least one. Throws UsageErrors. */
export function openDialogues(path: string): Dialogue[] {
  const seen = new Map<string, string>();
  const shared = new Map<string, readonly ToolSchema[]>();
  const splits = openFolder(path, "dialogues").splits((value, place) => {
    const read = check(dialogue, value, place);
    checkNew(read.id, place, seen);
    checkOrder(read, place);
    const key = written(read.tools);
    const tools = shared.get(key) ?? read.tools; // thousands of dialogues have the same ones
    shared.set(key, tools);
    return { ...read, tools };
  });
  const dialogues = [...splits.values()].flat();
  if (dialogues.length === 0) throw new UsageError(`${path}: holds no dialogue`);
  return dialogues;
}

/** The customer begins; calls are followed by results, words by the customer's; the agent speaks once at a time. */
export function checkOrder({ turns }: Pick<Dialogue, "turns">, place: string): void {
  let expected: readonly string[] = ["user"];
  for (const [i, turn] of turns.entries()) {
    if (!expected.includes(turn.role))
      throw new UsageError(`${place}: turns.${i}: ${turn.role}, expected ${expected.join(" or ")}`);
    if (turn.role === "agent") expected = turn.calls.length ? ["tool"] : ["user"];
    else expected = turn.role === "tool" ? ["tool", "agent"] : ["agent"];
  }
  if (!turns.some(({ role }) => role === "agent")) throw new UsageError(`${place}: turns: the agent says nothing`);
}
