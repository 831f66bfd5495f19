// Arguments with Python's types against a tool's JSON schema, to the bottom: type, enum, required and unknown properties,
// items. int is 1 and not 1.0, number is either but finite. Test: test/unit/fixed.test.ts

import type { Json } from "../../types.ts";
import { dumps } from "./json.ts";
import type { Value } from "./value.ts";

interface Schema {
  readonly type: string;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, Json>>;
  readonly items?: Json;
}

const TYPES: Readonly<Record<string, (value: Value) => boolean>> = {
  string: (value) => typeof value === "string",
  integer: (value) => typeof value === "bigint",
  number: (value) => typeof value === "bigint" || Number.isFinite(value),
  array: Array.isArray,
  object: (value) => value instanceof Map,
};

/** What is wrong with the value, in one line that names the place, or null. Every property of an object is required. */
export function mismatch(schema: Json, value: Value, place = ""): string | null {
  const { type, enum: choices, properties = {}, items } = schema as unknown as Schema;
  const name = place === "" ? "arguments" : `argument ${place}`;
  if (!TYPES[type](value)) return `${name} must be of type ${type}`;
  if (choices && !choices.includes(value as string)) return `${name} must be one of ${choices.map(dumps).join(", ")}`;
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) {
      const wrong = mismatch(items!, item, `${place}[${i}]`);
      if (wrong) return wrong;
    }
  } else if (value instanceof Map) {
    const path = (key: string) => (place === "" ? key : `${place}.${key}`);
    for (const key of Object.keys(properties)) if (!value.has(key)) return `missing argument ${path(key)}`;
    for (const [key, part] of value) {
      if (!Object.hasOwn(properties, key)) return `unknown argument ${path(clip(key))}`;
      const wrong = mismatch(properties[key], part, path(key));
      if (wrong) return wrong;
    }
  }
  return null;
}

function clip(key: string): string {
  const line = key.replace(/\s+/g, " ");
  return line.length > 40 ? `${line.slice(0, 40)}...` : line;
}
