// The tasks of a folder: completed to what the stages need, or read from a file of them. One line for each mistake.
// Test: test/unit/folder.test.ts

import { z } from "zod";
import type { Domain, Task, WrittenCall } from "../../types.ts";
import { callShape, taskShape } from "../task.ts";
import { explain } from "./shape.ts";

export type Tasks = Pick<Domain, "families" | "task">;

const text = z.string("expected text").min(1, "expected text");

/** The name of a slot: something has to be left of it without the signs between words, for an agent to ask for it by. */
export const slot = z.string().regex(/[^\s_-]/);

/** Slot -> what is said of it. */
export function bySlot(what: string) {
  const error = ({ code }: { code?: string }) =>
    code === "invalid_key" ? "expected the name of a slot" : `expected an object: slot -> ${what}`;
  return z.record(slot, text, { error });
}

/** The name of a family: it stands between slashes in the ids of its tasks. */
export const family = text.regex(/^[^/]+$/, 'expected a name without "/"');

const call = callShape(
  z
    .union([z.record(z.string(), z.unknown()), text], "expected an object, or one as JSON text")
    .transform((given, context) => {
      const json = typeof given === "string" ? given : JSON.stringify(given);
      if (isObject(json)) return json;
      context.addIssue({ code: "custom", message: `expected a JSON object, got ${json}` });
      return z.NEVER;
    }),
);
const calls = z.array(call, "expected a list of calls");

const whole = taskShape(call, text);
const { scenario, actions, outputs } = whole.shape;
/** Without criteria: a folder has no `checks` to judge them by. */
const shape = whole
  .omit({ criteria: true })
  .partial({ id: true, domain: true, family: true, database: true, instruction: true })
  .extend({
    scenario: scenario.extend({
      facts: bySlot("sentence").default({}),
      slips: bySlot("sentence").optional(),
      fallback: scenario.shape.fallback.optional(),
    }),
    actions: actions.default([]),
    outputs: outputs.default([]),
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
      const named = family.safeParse(task?.family);
      if (!named.success) throw new Error(`family: ${explain(named.error)}`);
      if (task.id !== undefined) throw new Error("id: leave it out, it is made from the place in the file");
      completeTask(task, { id: "", domain: "", family: named.data, database: 0 });
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
