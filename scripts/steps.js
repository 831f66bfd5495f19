// What the set-up consists of: packages, libtorch, the native addon, TypeScript. How steps are run is setup.js.
// Node built-ins only, since it runs before node_modules exists.

import { existsSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import { describe, fetch, find, hasGpu, pinned } from "./libtorch.js";
import { fetchNvcc, findNvcc } from "./nvcc.js";
import { files, writeWhole } from "./stamp.js";

/** Compiling one file against torch takes about this much memory. */
const bytesPerCompiler = 1.5 * 2 ** 30;

/**
 * The steps for the checkout `root`, in order. `inputs`: the files that a step is made from; `facts`: what else
 * decides on it; `output`: what it makes; `run(tools)` does it; `again`: the line to type when it fails.
 */
export function steps(root) {
  const at = (...names) => join(root, ...names);
  const link = at(".setup/libtorch");
  const cmakeJs = (command) => [
    process.execPath,
    [at("node_modules/cmake-js/bin/cmake-js"), command, "-O", at("build/cmake")],
  ];

  return [
    {
      name: "packages",
      what: "npm ci: the JavaScript packages of package-lock.json",
      again: "npm ci --include=dev",
      inputs: () => [at("package-lock.json")],
      facts: () => `${process.platform} ${process.arch}`,
      output: at("node_modules/.package-lock.json"),
      run: ({ must }) => must("npm", ["ci", "--include=dev", "--no-audit", "--no-fund"]),
    },
    {
      name: "libtorch",
      what: `looks in LIBTORCH, python3 and .libtorch/, else fetches torch ${pinned} by pip (0.5 GB; with a GPU 3 GB)`,
      again: "node train.js setup, or LIBTORCH=/path/to/libtorch node train.js setup",
      inputs: () => [],
      facts: () => {
        const gpu = existsSync("/dev/nvidiactl") || existsSync("/dev/dxg");
        return `${process.env.LIBTORCH ?? ""} ${gpu} ${origin(link)}`;
      },
      output: join(link, "lib/libtorch_cpu.so"),
      async run({ command, say }) {
        const gpu = hasGpu();
        if (!find(root, gpu)) await fetch(root, gpu, command, say);
        const found = find(root, gpu);
        if (!found) throw new Error("what pip brought is no libtorch for this machine");
        rmSync(link, { force: true });
        symlinkSync(realpathSync(found.dir), link);
        return `${found.version} from ${found.from}`;
      },
    },
    {
      name: "native",
      what: "cmake-js: the C++ addon on libtorch (a few minutes)",
      again: "npm run build:native",
      inputs: () => [at("package-lock.json"), at("CMakeLists.txt"), ...files(at("native"))],
      facts: () => `${process.platform} ${process.arch} ${origin(link)}`,
      output: at("build/Release/tarl.node"),
      async run({ command, must }) {
        // A compiler that was killed may have left half an object file, which only ninja would notice.
        const begun = at(".setup/native.begun");
        if (existsSync(begun) && !existsSync(at("build/cmake/build.ninja"))) {
          rmSync(at("build/cmake"), { recursive: true, force: true });
        }
        writeWhole(begun, "");
        try {
          if ((await command(...cmakeJs("configure"))) !== 0) {
            rmSync(at("build/cmake"), { recursive: true, force: true });
            await must(...cmakeJs("configure"));
          }
          const [node, args] = cmakeJs("build");
          await must(node, args, { CMAKE_BUILD_PARALLEL_LEVEL: String(jobs()) });
          await must(process.execPath, ["-e", 'require("./build/Release/tarl.node")']);
        } finally {
          rmSync(begun, { force: true });
        }
      },
    },
    {
      name: "typescript",
      what: "tsc: src, test and bench into dist/",
      again: "npx tsc -p .",
      inputs: () => [
        at("package-lock.json"),
        at("tsconfig.json"),
        ...["src", "test", "bench"].flatMap((folder) => files(at(folder), (path) => path.endsWith(".ts"))),
      ],
      facts: () => "",
      output: at("dist/src/cli/main.js"),
      async run({ must }) {
        // Without its output the record of what was written where is wrong.
        if (!existsSync(at("dist/src/cli/main.js"))) rmSync(at("dist/.tsbuildinfo"), { force: true });
        await must(process.execPath, [at("node_modules/typescript/bin/tsc"), "-p", "."]);
      },
    },
  ];
}

/** Our kernels for a GPU. Not one of `steps`: npm run build:cuda does it, where somebody wants it. */
export function cudaStep(root) {
  const at = (...names) => join(root, ...names);
  return {
    name: "cuda",
    what: "nvcc and CMake: the kernels for a GPU (a few minutes; nvcc is fetched where there is none, 0.1 GB)",
    again: "npm run build:cuda, or NVCC=/path/to/nvcc npm run build:cuda",
    inputs: () => [
      at("CMakeLists.txt"),
      ...["core/backend.h", "core/page.h", "core/sampler.h", "test/gpu_test.cpp"].map((name) => at("native", name)),
      ...files(at("native/cuda")),
    ],
    facts: () => `${process.env.NVCC ?? ""} ${origin(at(".setup/libtorch"))}`,
    output: at("build/Release/libtarl_cuda.so"),
    async run({ command, must, say }) {
      if (!findNvcc(root)) await fetchNvcc(root, command, say);
      const nvcc = findNvcc(root);
      if (!nvcc) throw new Error("what pip brought holds no nvcc that runs here");
      const folder = at("build/cuda");
      const configure = ["-S", root, "-B", folder, "-DTARL_CUDA=ON", `-DCMAKE_CUDA_COMPILER=${nvcc}`];
      if ((await command("cmake", configure)) !== 0) {
        rmSync(folder, { recursive: true, force: true }); // of another nvcc, perhaps
        await must("cmake", configure);
      }
      await must("cmake", ["--build", folder, "--parallel", String(jobs())]);
      return nvcc;
    },
  };
}

/** Compilers at once. */
function jobs() {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / bytesPerCompiler)));
}

/** Where the linked libtorch lies, and its version. */
function origin(link) {
  const torch = describe(link);
  return torch ? `${realpathSync(link)} ${torch.version}` : "";
}
