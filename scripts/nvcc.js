// Where nvcc is: NVCC, the one of an installed CUDA 13, or .libtorch.nvcc/, which NVIDIA's wheels fill (105 MB). It needs
// no GPU. Not the build with it (steps.js). Node built-ins only. Tested by test/unit/nvcc.test.ts.

import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { take } from "./libtorch.js";

/** nvcc, its optimizer, the headers that kernels and libtorch include, and the runtime to link. */
const wheels = [
  "nvidia-cuda-nvcc==13.0.88",
  "nvidia-nvvm==13.0.88",
  "nvidia-cuda-crt==13.0.88",
  "nvidia-cuda-cccl==13.0.85",
  "nvidia-cuda-runtime==13.0.96",
];
/** The CUDA that libtorch's wheels are built with: its runtime is in the process, so no other nvcc will do. */
const major = 13;
const place = ".libtorch.nvcc";

/** The major version that `nvcc --version` tells, or 0. */
export function versionOf(text) {
  return Number(/release (\d+)\./.exec(text)?.[1] ?? 0);
}

function version(path) {
  return existsSync(path) ? versionOf(spawnSync(path, ["--version"], { encoding: "utf8" }).stdout ?? "") : 0;
}

/** The nvcc that is there, or null. Throws when NVCC is set to something that cannot be used. */
export function findNvcc(root, env = process.env) {
  if (env.NVCC) {
    const found = version(env.NVCC);
    if (found !== major)
      throw new Error(`NVCC=${env.NVCC}: expected nvcc of CUDA ${major}${found ? `, not ${found}` : ""}`);
    return env.NVCC;
  }
  const folders = [
    join(root, place, "nvidia/cu13/bin"),
    ...(env.PATH ?? "").split(delimiter),
    "/usr/local/cuda/bin",
    `/usr/local/cuda-${major}/bin`,
  ];
  return folders.map((folder) => join(folder, "nvcc")).find((path) => version(path) === major) ?? null;
}

/** Fetches it; the folder has its name only when it is whole. `run` and `say` as libtorch.js has them. */
export async function fetchNvcc(root, run, say) {
  const part = join(root, `${place}.part`);
  const tree = join(part, "tree");
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree, { recursive: true });
  for (const wheel of wheels) await take(part, wheel, ["*"], run, say);
  const cuda = join(tree, "nvidia/cu13");
  // Unpacked files are no programs yet; CMake looks for lib64, and for a runtime without a version.
  for (const folder of ["bin", "nvvm/bin"]) {
    for (const name of readdirSync(join(cuda, folder))) chmodSync(join(cuda, folder, name), 0o755);
  }
  symlinkSync("lib", join(cuda, "lib64"));
  symlinkSync("libcudart.so.13", join(cuda, "lib/libcudart.so"));
  rmSync(join(root, place), { recursive: true, force: true });
  renameSync(tree, join(root, place));
  rmSync(part, { recursive: true, force: true });
}
