// What a run carries from one update to the next besides networks, as a file of its checkpoint: conversations that were
// played ahead, and what an algorithm remembers of tasks. Maps, bigints and typed arrays come back as they were.
// Knows nothing of what it stores. Test: test/unit/carried.test.ts

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";

const FILE = "carried.bin";

/** Writes nothing where nothing is carried: where all values are null. */
export function carry(dir: string, values: { readonly [name: string]: unknown }): void {
  if (Object.values(values).some((value) => value !== null)) writeFileSync(join(dir, FILE), serialize(values));
}

/** Null without a checkpoint, or where it carries nothing. */
export function readCarried<T extends { readonly [name: string]: unknown }>(dir: string | null): T | null {
  if (!dir || !existsSync(join(dir, FILE))) return null;
  return deserialize(readFileSync(join(dir, FILE)));
}
