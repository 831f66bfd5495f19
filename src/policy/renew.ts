// A policy whose embedding forgets some tokens: their rows begin anew, at random. Tokens that training never showed all point
// the same way, away from what is ever said; a policy that is to learn them cannot tell them apart (docs/log.md).
// Test: test/unit/init.test.ts

import { closeSync, copyFileSync, openSync, readdirSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { makeFolder } from "../folders.ts";
import { Random } from "../random.ts";
import { readCheckpoint } from "./checkpoint.ts";
import { read } from "./safetensors.ts";

const EMBEDDING = "model.embed_tokens.weight";

/**
 * Copies the policy in `from` to the new folder `to`; there the rows of `ids` are normal with mean 0 and the root mean
 * square of all other rows. The embedding has to be stored in fp32.
 */
export function renewRows(from: string, to: string, ids: readonly number[], seed: number): void {
  const { tensors } = readCheckpoint(from);
  const { file, offset, bytes, dtype, shape } = tensors.find(({ name }) => name === EMBEDDING)!;
  if (dtype !== "F32") throw new CheckpointError(`${from}: ${EMBEDDING} is stored as ${dtype}, expected F32`);
  makeFolder(to);
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(to, name));
  const handle = openSync(join(to, basename(file)), "r+");
  try {
    const data = read(handle, offset, bytes);
    renew(
      new Float32Array(data.buffer, data.byteOffset, bytes / 4),
      shape[1],
      new Set(ids),
      new Random("renewed rows", seed),
    );
    writeSync(handle, data, 0, bytes, offset);
  } finally {
    closeSync(handle);
  }
}

function renew(values: Float32Array, width: number, ids: ReadonlySet<number>, random: Random): void {
  let sum = 0;
  for (const [i, value] of values.entries()) if (!ids.has(Math.floor(i / width))) sum += value * value;
  const scale = Math.sqrt(sum / (values.length - ids.size * width));
  for (const id of ids) for (let c = 0; c < width; c++) values[id * width + c] = scale * normal(random);
}

/** Box-Muller. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());
}
