// Where this checkout lies, for files that are read or written beside the code.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Absolute path of the folder that holds package.json. */
export const root: string = find(dirname(fileURLToPath(import.meta.url)));

function find(dir: string): string {
  return existsSync(join(dir, "package.json")) ? dir : find(dirname(dir));
}
