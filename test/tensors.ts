// Golden tensors: reads safetensors files whole, and compares as golden/hf/README.md says.

import { readFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { readHeader } from "../src/policy/safetensors.ts";

export interface Values {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** Every tensor of a file by name; I64 becomes numbers. */
export function readTensors(file: string): { [name: string]: Values } {
  const bytes = readFileSync(file);
  return Object.fromEntries(
    readHeader(file).map(({ name, dtype, shape, offset, bytes: length }) => {
      const part = bytes.buffer.slice(bytes.byteOffset + offset, bytes.byteOffset + offset + length);
      const data = dtype === "I64" ? Array.from(new BigInt64Array(part), Number) : Array.from(new Float32Array(part));
      return [name, { shape, data }];
    }),
  );
}

export interface Comparison {
  readonly compare: "exact" | "close" | "close_each" | "bf16";
  readonly rtol?: number;
  readonly atol?: number;
  readonly max_abs?: number;
  readonly mean_abs?: number;
}

/** Fails where `got` is outside the tolerances. `counts(i)` false: element i is not compared. */
export function expectNear(
  got: ArrayLike<number>,
  want: Values,
  how: Comparison,
  what: string,
  counts: (i: number) => boolean = () => true,
): void {
  assert.is(got.length, want.data.length, `${what}: length`);
  const scale = want.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  let sum = 0;
  for (let i = 0; i < got.length; i++) {
    if (!counts(i)) continue;
    const [g, w] = [got[i], want.data[i]];
    const bound =
      how.compare === "exact"
        ? 0
        : how.compare === "bf16"
          ? how.max_abs!
          : how.atol! + how.rtol! * (how.compare === "close" ? scale : Math.abs(w));
    sum += Math.abs(g - w);
    assert.ok(Math.abs(g - w) <= bound, `${what}[${i}]: got ${g}, expected ${w} within ${bound}`);
  }
  if (how.compare === "bf16")
    assert.ok(sum / got.length <= how.mean_abs!, `${what}: mean difference ${sum / got.length}`);
}
