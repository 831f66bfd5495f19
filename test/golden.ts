// Finds golden data: the folder named by TARL_GOLDEN, else ../shared/golden, else the copies in test/fixtures.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../src/root.ts";

/** Absolute path of one golden set ("hf", "algorithms", "tau-bench"), or null where there is none. */
export function golden(set: string): string | null {
  const named = process.env.TARL_GOLDEN;
  const places = named ? [named] : [join(root, "..", "shared", "golden"), join(root, "test", "fixtures")];
  return places.map((place) => join(place, set)).find((dir) => existsSync(dir)) ?? null;
}
