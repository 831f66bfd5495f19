// What this machine has of what tarl needs: tools, libtorch, processor, GPU. Looks only, changes nothing.
// Node built-ins only. `node train.js doctor` prints it (doctor.js); the set-up asks it before it starts.

import { spawnSync } from "node:child_process";
import { availableParallelism, cpus, totalmem } from "node:os";
import { describe, find, hasGpu, pinned } from "./libtorch.js";
import { text } from "./stamp.js";

const oldestNode = 20;
/** Instruction sets that native/core has code for or profits from, by their names in /proc/cpuinfo. */
const instructionSets = ["avx2", "fma", "f16c", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8"];

/** First line that a program prints, or null when it cannot be run. */
function ask(program, args, input) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", input, timeout: 20_000 });
  return status === 0 ? (stdout || stderr).split("\n")[0].trim() : null;
}

function install(debian) {
  if (!ask("apt-get", ["--version"])) return `install ${debian} (its Debian name)`;
  return `${process.getuid() === 0 ? "" : "sudo "}apt-get install -y ${debian}`;
}

/** One line of the report; `fix` is what to type where `ok` is false. */
function check(name, value, fix) {
  return { name, ok: value !== null, value: value ?? "missing", ...(value === null && { fix: fix() }) };
}

/** The programs that the set-up needs. `wheel`: libtorch has to be fetched, so pip is needed as well. */
export function tools(wheel) {
  const compiler = process.env.CXX || "c++";
  const compiles = ask(compiler, ["-std=c++20", "-fsyntax-only", "-x", "c++", "-"], "#include <span>\nint main() {}\n");
  const node = Number.parseInt(process.versions.node, 10) >= oldestNode ? process.version : null;
  return [
    check("node", node, () => `install Node ${oldestNode} or 22; this is ${process.version}`),
    check("npm", ask("npm", ["--version"]), () => install("npm")),
    check("compiler", compiles === null ? null : ask(compiler, ["--version"]), () => install("g++")),
    check("cmake", ask("cmake", ["--version"]), () => install("cmake")),
    check("build tool", ask("ninja", ["--version"]) ? "ninja" : ask("make", ["--version"]), () =>
      install("ninja-build"),
    ),
    ...(wheel
      ? [
          check("python3", ask("python3", ["--version"]), () => install("python3")),
          check("pip", ask("python3", ["-m", "pip", "--version"]), () => install("python3-pip")),
        ]
      : []),
  ];
}

/** The libtorch that would be used, as a line of the report. */
export function libtorch(root) {
  try {
    const found = find(root, hasGpu());
    if (found) return check("libtorch", `${found.version} ${found.dir} (${found.from})`);
    const partial = describe(`${root}/.libtorch/torch`);
    const value = partial ? `${partial.version} in .libtorch is not complete for this machine` : "not here yet";
    return { ...check("libtorch", value), fetch: `node train.js setup (fetches ${pinned})` };
  } catch (error) {
    return { name: "libtorch", ok: false, value: error.message, fix: "unset LIBTORCH, or name another folder" };
  }
}

/** What the machine is: processor, memory, GPU. Nothing here can be wrong. */
export function machine() {
  const flags = new Set(/^flags\s*:(.*)$/m.exec(text("/proc/cpuinfo"))?.[1].trim().split(" "));
  const features = instructionSets.filter((name) => flags.has(name));
  const limit = process.constrainedMemory?.() ?? 0;
  const memory = limit > 0 && limit < totalmem() ? limit : totalmem();
  const query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"];
  return [
    check("processor", cpus()[0]?.model ?? process.arch),
    check("features", features.join(" ") || "none that matter here"),
    check("cores", String(availableParallelism())),
    check("memory", `${(memory / 2 ** 30).toFixed(1)} GiB`),
    check("gpu", ask("nvidia-smi", query) ?? "none (not needed)"),
  ];
}
