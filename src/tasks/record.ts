// Records on disk: JSON whose numbers keep their spelling, checked against a zod schema, with every mistake named by its
// place (file:line, row or path). Knows no record itself: set.ts, dialogues.ts, apigen.ts and deepscaler.ts do.
// Test: test/unit/set.test.ts

import { readFileSync } from "node:fs";
import { z } from "zod";
import { type Dict, dumps, parse, parseObject, type Value } from "../domains/python.ts";
import { UsageError } from "../errors.ts";

/** What plain objects were made from: there numbers keep their spelling. */
const origins = new WeakMap<object, Dict>();

/** Runs a reader; what goes wrong becomes one line that names the place. */
export function attempt<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const said = code === "ENOENT" ? "no such file" : code === "EISDIR" ? "a folder, expected a file" : message;
    throw new UsageError(`${place}: ${said}`);
  }
}

/** The text of a file that has to be UTF-8, with line breaks as "\n" whatever system wrote it. */
export function readText(file: string): string {
  const bytes = attempt(file, () => readFileSync(file));
  try {
    return newlines(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new UsageError(`${file}: ${error instanceof TypeError ? "not UTF-8 text" : (error as Error).message}`);
  }
}

export function newlines(text: string): string {
  return text.replace(/\r\n?/g, "\n");
}

/** Lines of JSON with their places; empty ones are passed over. */
export function* jsonLines(text: string, file: string): Generator<{ readonly place: string; readonly value: Value }> {
  let line = 0;
  for (let start = 0, end = 0; start < text.length; start = end + 1) {
    line++;
    end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    const json = text.slice(start, end);
    const place = `${file}:${line}`;
    if (json.trim() !== "") yield { place, value: attempt(place, () => parse(json)) };
  }
}

/** A parsed value as plain JavaScript, of which a schema's `dict` takes what was parsed. */
export function plain(value: Value): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  const made = Object.fromEntries([...value].map(([key, inner]) => [key, plain(inner)]));
  origins.set(made, value);
  return made;
}

/** An object of `plain` as it was parsed. */
export const dict = z
  .custom<object>((value) => origins.has(value as object), "expected an object")
  .transform((value) => origins.get(value)!);

/** Checks a value; the first mistake is a UsageError that names `place` and where in the value it is. */
export function check<T extends z.ZodType>(schema: T, value: unknown, place: string): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  throw new UsageError(`${place}: ${path.length ? `${path.join(".")}: ` : ""}${message}`);
}

/** A record as one line of JSON; the arguments of a written call are JSON already, and their numbers keep their spelling. */
export function written(record: unknown): string {
  if (Array.isArray(record)) return `[${record.map(written).join(", ")}]`;
  if (record === null || typeof record !== "object") return JSON.stringify(record);
  const entries = Object.entries(record).filter(([, value]) => value !== undefined);
  const isCall = "name" in record && "arguments" in record && typeof record.arguments === "string";
  const field = (key: string, value: unknown) =>
    isCall && key === "arguments" ? dumps(parseObject(value as string)) : written(value);
  return `{${entries.map(([key, value]) => `${JSON.stringify(key)}: ${field(key, value)}`).join(", ")}}`;
}
