// What a task is as JSON, for whoever reads one: a folder's own (own/tasks.ts) and the lines of a set (tasks/set.ts), which
// differ in how a call's arguments are written and in what may be left out. Test: test/unit/set.test.ts, folder.test.ts

import { z } from "zod";
import type { Criteria, Part, Scenario, Style, Task } from "../types.ts";

const STYLES = ["plain", "terse", "chatty", "formal", "impatient", "unsure", "friendly"] as const satisfies Style[];
const PARTS = ["DB", "COMMUNICATE", "ACTION", "NL_ASSERTION"] as const satisfies Part[];

const words = z.string("expected text");
const name = words.min(1, "expected text");

/** A written call; `json` takes its arguments to JSON text. */
export function callShape<Arguments extends z.ZodType<string>>(json: Arguments) {
  return z.strictObject({ name, arguments: json });
}

/** `said`: of what somebody says, where more is asked of it than that it is text. */
export function taskShape<Arguments extends z.ZodType<string>>(
  call: ReturnType<typeof callShape<Arguments>>,
  said: z.ZodType<string> = words,
) {
  const texts = z.array(said, "expected a list of texts");
  const facts = z.record(z.string(), said, "expected an object: slot -> sentence");
  const calls = z.array(call, "expected a list of calls");
  const scenario = z.strictObject(
    {
      opening: name,
      facts,
      given: texts.optional(),
      fallback: name,
      style: z.enum(STYLES).optional(),
      slips: facts.optional(),
      otherwise: texts.optional(),
      wording: z.strictObject({ easy: z.boolean(), hard: z.boolean() }, "expected { easy, hard }").optional(),
    } satisfies Record<keyof Scenario, z.ZodType>,
    { error: ({ code }) => (code === "invalid_type" ? "expected { opening, facts }" : undefined) },
  );
  const criteria = z.strictObject({
    basis: z.array(z.enum(PARTS)),
    calls: z.array(call.extend({ compared: texts.optional() })).optional(),
    assertions: texts.optional(),
  } satisfies Record<keyof Criteria, z.ZodType>);
  return z.strictObject({
    id: name,
    domain: name,
    family: name,
    database: z.int("expected a whole number"),
    customer: name.optional(),
    instruction: said,
    scenario,
    actions: calls,
    outputs: texts,
    lookups: calls.optional(),
    forbidden: z.strictObject({ action: call, rule: name }).optional(),
    criteria: criteria.optional(),
    rate: z.number().min(0).max(1).optional(),
  } satisfies Record<keyof Task, z.ZodType>);
}
