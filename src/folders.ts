// Makes folders. Node's own recursion (mkdir with `recursive`) goes round for ever where none can be made, as in /proc.
// Test: test/unit/directory.test.ts

import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Makes a folder and those that it lies in, as far as they are missing; throws where that cannot be done. */
export function makeFolder(path: string): void {
  const dir = resolve(path);
  if (!existsSync(dirname(dir))) makeFolder(dirname(dir));
  try {
    mkdirSync(dir);
  } catch (error) {
    if (!existsSync(dir) || !statSync(dir).isDirectory()) throw error;
  }
}
