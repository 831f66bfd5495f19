// On a GPU: every CUDA kernel against plain ATen (native/test/gpu_test.cpp, which npm run build:cuda builds where
// libtorch has CUDA). Skipped aloud without a GPU.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { root } from "../../src/root.ts";
import { gpu } from "./gpu.ts";

const program = join(root, "build/cuda/gpu_test");

if (gpu("the CUDA kernels against plain ATen"))
  test("every kernel gives what plain ATen gives", () => {
    assert.ok(existsSync(program), `${program} is missing: npm run build:cuda`);
    const { status, stdout, stderr } = spawnSync(program, { encoding: "utf8", timeout: 240_000, maxBuffer: 2 ** 24 });
    const wrong = stdout.split("\n").filter((line) => line.startsWith("FAIL"));
    assert.is(status, 0, [...wrong, stderr, stdout.split("\n").at(-2)].join("\n"));
    assert.match(stdout, /^\d{3,} compared, 0 failed$/m);
  });

test.run();
