// Writes a checkpoint of random starting weights, a tensor after the other: a model may be larger than the memory. The
// values are those of native/core/start.h. Test: test/unit/init.test.ts

import { existsSync, statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { CheckpointError } from "../errors.ts";
import { bytesText } from "./amount.ts";
import { type Companions, saveCheckpoint } from "./checkpoint.ts";
import { countParameters, type ModelConfig, parameterShapes } from "./model.ts";
import { native, wrapped } from "./native.ts";
import { ITEM_BYTES } from "./safetensors.ts";

/** Left free on the disk, for headers and companions. */
const MARGIN_BYTES = 64 << 20;

/** What the weights take on the disk and, in this dtype, in memory. */
export function weightBytes(config: ModelConfig, dtype: "F32" | "BF16"): number {
  return countParameters(config) * ITEM_BYTES[dtype];
}

/** Throws a CheckpointError, before anything is written, where the disk has no room. */
export async function writeStart(
  dir: string,
  config: ModelConfig,
  {
    seed,
    dtype,
    companions,
  }: { readonly seed: number; readonly dtype: "F32" | "BF16"; readonly companions: Companions },
): Promise<void> {
  const needed = weightBytes(config, dtype) + MARGIN_BYTES;
  const free = freeBytes(dir);
  if (needed > free)
    throw new CheckpointError(`${dir}: the weights take ${bytesText(needed)}, and ${bytesText(free)} are free there`);
  await saveCheckpoint(dir, config, { dtype, companions }, (tensors) => {
    try {
      native.writeStart(tensors, parameterShapes(config), config.initializerRange, config.layers, seed);
    } catch (error) {
      throw wrapped(error);
    }
  });
}

/** On the disk of the nearest folder above that exists. */
function freeBytes(dir: string): number {
  let there = resolve(dir);
  while (!existsSync(there)) there = dirname(there);
  const { bavail, bsize } = statfsSync(there);
  return bavail * bsize;
}
