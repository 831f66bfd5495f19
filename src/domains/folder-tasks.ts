// The tasks of a folder: completed to what the stages need, or read from a file of them. One line for each mistake.
// Test: test/unit/folder.test.ts

import { z } from "zod";
import type { Domain, Task, WrittenCall } from "../types.ts";
import { explain } from "./shape.ts";

export type Tasks = Pick<Domain, "families" | "task">;

const text = z.string("expected text").min(1, "expected text");
const texts = z.array(text, "expected a list of texts");

const call = z
  .strictObject({
    name: text,
    arguments: z.union([z.record(z.string(), z.unknown()), text], "expected an object, or one as JSON text"),
  })
  .transform((call, context): WrittenCall => {
    const json = typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments);
    if (isObject(json)) return { name: call.name, arguments: json };
    context.addIssue({ code: "custom", path: ["arguments"], message: `expected a JSON object, got ${json}` });
    return z.NEVER;
  });
const calls = z.array(call, "expected a list of calls");

const shape = z.strictObject({
  id: text.optional(),
  domain: text.optional(),
  family: text.optional(),
  database: z.int("expected a whole number").optional(),
  customer: text.optional(),
  instruction: text.optional(),
  scenario: z.strictObject(
    {
      opening: text,
      facts: z.record(z.string(), text, "expected an object: slot -> sentence").default({}),
      given: texts.optional(),
      fallback: text.optional(),
      style: z.enum(["plain", "terse", "chatty", "formal", "impatient", "unsure", "friendly"]).optional(),
      slips: z.record(z.string(), text, "expected an object: slot -> sentence").optional(),
      otherwise: texts.optional(),
      wording: z.strictObject({ easy: z.boolean(), hard: z.boolean() }, "expected { easy, hard }").optional(),
    },
    "expected { opening, facts }",
  ),
  actions: calls.default([]),
  outputs: texts.default([]),
  lookups: calls.optional(),
  forbidden: z.strictObject({ action: call, rule: text }).optional(),
});

/** What a task is, whoever wrote it. */
type Place = Pick<Task, "id" | "domain" | "family" | "database">;

/** A task with everything that may be left out filled in; throws a line that says what is wrong with it. */
export function completeTask(given: unknown, place: Place): Task {
  const found = shape.safeParse(given);
  if (!found.success) throw new Error(`${place.id}: ${explain(found.error, shape)}`);
  const { scenario, instruction, ...rest } = found.data;
  for (const key of ["id", "domain", "family", "database"] as const)
    if (rest[key] !== undefined && rest[key] !== place[key])
      throw new Error(`${place.id}: ${key}: expected ${place[key]} or nothing, got ${rest[key]}`);
  return {
    ...rest,
    ...place,
    instruction: instruction ?? [scenario.opening, "You know:", ...Object.values(scenario.facts)].join(" "),
    scenario: { ...scenario, fallback: scenario.fallback ?? `I do not know about that. ${scenario.opening}` },
  };
}

/** Calls as they are written: arguments may come as an object. Throws a line. */
export function writtenCalls(given: unknown): WrittenCall[] {
  const found = calls.safeParse(given);
  if (!found.success) throw new Error(explain(found.error));
  return found.data;
}

/** One JSON object a line; empty lines are passed over. */
export function readTasks(jsonl: string, file: string, fail: (message: string) => never): unknown[] {
  const read = jsonl.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    const where = `${file}:${i + 1}`;
    try {
      const task = JSON.parse(line) as { id?: unknown; family?: unknown };
      if (typeof task?.family !== "string") throw new Error("family: expected text");
      if (task.id !== undefined) throw new Error("id: leave it out, it is made from the place in the file");
      completeTask(task, { id: "", domain: "", family: task.family, database: 0 });
      return [task];
    } catch (error) {
      return fail(`${where}: ${(error as Error).message.replace(/^: /, "")}`);
    }
  });
  return read.length ? read : fail(`${file}: no tasks`);
}

/** Seeds from here on are those of held-out databases (src/tasks/sampler.ts); training counts from 1. */
const HELD_OUT = 1_000_000;

/**
 * Listed tasks behind the interface of made ones: number n of a family's list is drawn with the seed n, or one that many
 * lists further on. All of them play on the same data. Without held-out tasks of its own a domain is measured on all.
 */
export function listedTasks(name: string, train: readonly unknown[], heldOut: readonly unknown[] | null): Tasks {
  const byFamily = (tasks: readonly unknown[]) => {
    const lists = new Map<string, unknown[]>();
    for (const task of tasks as readonly { family: string }[])
      lists.set(task.family, [...(lists.get(task.family) ?? []), task]);
    return lists;
  };
  const lists = [byFamily(train), byFamily(heldOut ?? train)];
  const task: Domain["task"] = (family, seed, index) => {
    const first = seed < HELD_OUT ? 1 : HELD_OUT;
    const list = lists[seed < HELD_OUT ? 0 : 1].get(family) ?? [];
    if (list.length === 0 || index > 0) return null;
    const n = (((seed - first) % list.length) + list.length) % list.length;
    return completeTask(list[n], { id: `${name}/${first + n}/${family}/0`, domain: name, family, database: 0 });
  };
  return { families: [...lists[0].keys()], task };
}

function isObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json);
    return value !== null && typeof value === "object" && !Array.isArray(value);
  } catch {
    return false;
  }
}
