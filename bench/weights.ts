// Checkpoints with random weights of a named shape, for speed alone: nothing that such a model says means anything. They
// are kept in the system's temporary folder and used again. Not `tarl init --config`, which writes them where one likes.

import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { namedShape } from "../src/policy/shapes.ts";
import { writeStart } from "../src/policy/start.ts";

/** Where things are kept that take time to make and serve no purpose but measuring. */
export const cache = join(tmpdir(), "tarl-bench");

/** Folder of a checkpoint with this shape, stored in this dtype; made when it is not there. */
export async function randomWeights(shape: string, dtype: "fp32" | "bf16"): Promise<string> {
  const dir = join(cache, `${shape}-${dtype}`);
  if (existsSync(dir)) return dir;
  process.stdout.write(`writing random weights: ${dir}\n`);
  mkdirSync(cache, { recursive: true });
  const stored = dtype === "bf16" ? "BF16" : "F32";
  await writeStart(dir, namedShape(shape)!, { seed: 1, dtype: stored, companions: new Map() });
  return dir;
}
