// Which nvcc the set-up takes (scripts/nvcc.js), and what the kernels for a GPU are made from (scripts/steps.js).
// Fetching one is .ci/run's, through npm run build:cuda.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { root as checkout } from "../../src/root.ts";

const { findNvcc, versionOf } = await import(pathToFileURL(join(checkout, "scripts/nvcc.js")).href);
const root = mkdtempSync(join(tmpdir(), "tarl-nvcc-"));
test.after(() => rmSync(root, { recursive: true }));

/** A program that answers as nvcc of a version does. */
function fake(folder: string, release: string): string {
  mkdirSync(join(root, folder), { recursive: true });
  const path = join(root, folder, "nvcc");
  writeFileSync(path, `#!/bin/sh\necho "Cuda compilation tools, release ${release}, V${release}.88"\n`);
  chmodSync(path, 0o755);
  return path;
}

test("nvcc: its version is read from what it says of itself", () => {
  assert.is(versionOf("Cuda compilation tools, release 13.0, V13.0.88"), 13);
  assert.is(versionOf("command not found"), 0);
});

test("nvcc: NVCC, .libtorch.nvcc/, then the PATH; only of CUDA 13", () => {
  const old = fake("old", "12.4");
  const installed = fake("installed", "13.0");
  const path = ["old", "nothing", "installed"].map((folder) => join(root, folder)).join(":");
  assert.is(findNvcc(root, { PATH: path }), installed);
  const fetched = fake(".libtorch.nvcc/nvidia/cu13/bin", "13.0");
  assert.is(findNvcc(root, { PATH: path }), fetched);
  assert.is(findNvcc(root, { NVCC: installed }), installed);
  assert.throws(() => findNvcc(root, { NVCC: old }), `NVCC=${old}: expected nvcc of CUDA 13, not 12`);
  assert.throws(() => findNvcc(root, { NVCC: join(root, "none") }), /expected nvcc of CUDA 13$/);
});

test("the kernels for a GPU are made again when any file that they include has changed", async () => {
  const { cudaStep } = await import(pathToFileURL(join(checkout, "scripts/steps.js")).href);
  const native = join(checkout, "native");
  const included = new Set<string>();
  const visit = (path: string): void => {
    if (included.has(path)) return;
    included.add(path);
    for (const [, name] of readFileSync(path, "utf8").matchAll(/^#include "(.+)"/gm)) {
      const found = [join(dirname(path), name), join(native, name)].find((place) => existsSync(place));
      if (found && !found.endsWith("cuda_emulation.h")) visit(found);
    }
  };
  for (const name of readdirSync(join(native, "cuda"))) visit(join(native, "cuda", name));
  visit(join(native, "test/gpu_test.cpp"));
  const inputs: string[] = cudaStep(checkout).inputs();
  assert.equal(
    [...included].filter((path) => !inputs.includes(path)),
    [],
  );
});

test.run();
