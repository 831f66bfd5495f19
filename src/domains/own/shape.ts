// What is wrong with a value, in one line: the first issue that zod found, as "tools[2].name: expected text".
// Test: test/unit/folder.test.ts

import type { z } from "zod";

/** `shape`: what was asked for, to name what else there could have been. */
export function explain(error: z.ZodError, shape?: z.ZodObject): string {
  const [issue] = error.issues;
  const place = issue.path.reduce<string>(
    (at, part) => (typeof part === "number" ? `${at}[${part}]` : `${at}${at && "."}${String(part) || '""'}`),
    "",
  );
  const text = (message: string) => (place ? `${place}: ${message}` : message);
  if (issue.code === "unrecognized_keys") {
    const known = shape && !place ? `, expected one of ${Object.keys(shape.shape).join(", ")}` : "";
    return text(`no such field: ${issue.keys.join(", ")}${known}`);
  }
  return text(issue.message.replace(/^Invalid input: /, ""));
}

/** A value, short enough to be quoted. */
export function show(value: unknown): string {
  const text = typeof value === "function" ? "a function" : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
