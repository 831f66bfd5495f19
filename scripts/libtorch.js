// Where libtorch is: LIBTORCH, the active python3's torch, or .libtorch/, which pip's wheels fill.
// Not the build against it (CMakeLists.txt). Node built-ins only. Tested by test/unit/setup.test.ts.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { text } from "./stamp.js";

/** The version that is fetched when none is found. */
export const pinned = "2.13.0";
/** Minor versions of torch 2 whose C++ interface the native core is written for. */
const minors = [11, 15];
const tries = 3;
const unpacker = join(dirname(fileURLToPath(import.meta.url)), "wheel.py");

// What a machine without a GPU needs of the wheels; libtorch_cpu.so itself is linked to cudart and cupti.
const cpuMembers = [
  ...["libtorch_cpu.so", "libc10.so", "libgomp*.so*", "libshm.so"].map((name) => `torch/lib/${name}`),
  "torch/include/*",
  "torch/share/*",
];
const cpuLibraries = ["*/lib/libcudart.so.*", "*/lib/libcupti.so.*"];
const cpuExtras = ["cudart", "cupti"];

/** { dir, version, inRange } of a folder with lib/ and include/, or null when it is no libtorch. */
export function describe(dir) {
  if (!dir || !existsSync(join(dir, "lib/libtorch_cpu.so"))) return null;
  const header = ["torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"]
    .map((name) => text(join(dir, "include", name)))
    .find((content) => content.includes("#define TORCH_VERSION_MAJOR"));
  if (!header) return null;
  const [major, minor, patch] = ["MAJOR", "MINOR", "PATCH"].map((part) =>
    Number(new RegExp(`#define TORCH_VERSION_${part} +(\\d+)`).exec(header)?.[1]),
  );
  const inRange = major === 2 && minor >= minors[0] && minor <= minors[1];
  return { dir, version: `${major}.${minor}.${patch}`, inRange };
}

/** Does a GPU answer? */
export function hasGpu() {
  return spawnSync("nvidia-smi", ["-L"], { stdio: "ignore" }).status === 0;
}

/**
 * The libtorch to build against: { dir, version, from }, or null when one has to be fetched.
 * Throws when LIBTORCH is set to something that cannot be used. `gpu`: a .libtorch/ without CUDA does not do.
 */
export function find(root, gpu, env = process.env) {
  const range = `torch 2.${minors[0]} to 2.${minors[1]}`;
  if (env.LIBTORCH) {
    const found = describe(env.LIBTORCH);
    if (!found) throw new Error(`LIBTORCH=${env.LIBTORCH}: expected a folder with lib/libtorch_cpu.so and include/`);
    if (!found.inRange) throw new Error(`LIBTORCH=${env.LIBTORCH}: version ${found.version}, expected ${range}`);
    return { ...found, from: "LIBTORCH" };
  }
  const code = "import importlib.util as u; s = u.find_spec('torch'); print(s.origin or '' if s else '')";
  const origin = spawnSync("python3", ["-c", code], { encoding: "utf8", env }).stdout?.trim();
  const python = origin ? describe(dirname(origin)) : null;
  if (python?.inRange) return { ...python, from: "python3" };
  const own = describe(join(root, ".libtorch/torch"));
  const enough = own?.inRange && (!gpu || existsSync(join(own.dir, "lib/libtorch_cuda.so")));
  return enough ? { ...own, from: ".libtorch" } : null;
}

/**
 * Fetches the pinned wheel, and the CUDA wheels that it names, into .libtorch/ (laid out as in site-packages).
 * Everything happens in .libtorch.part/, which is renamed when it is whole; wheels found there are used again.
 * `run(command, args, env)` runs a command and resolves to its exit code; `say(text)` tells what goes on.
 */
export async function fetch(root, gpu, run, say) {
  const part = join(root, ".libtorch.part");
  const tree = join(part, "tree");
  for (const dir of [tree, join(part, "old")]) rmSync(dir, { recursive: true, force: true });
  const wheel = (requirement, patterns) => take(part, requirement, patterns, run, say);
  const torch = await wheel(`torch==${pinned}`, gpu ? ["*"] : cpuMembers);
  for (const requirement of await cudaWheels(torch, gpu, (line) => wheel(line, []))) {
    await wheel(requirement, gpu ? ["*"] : cpuLibraries);
  }

  const place = join(root, ".libtorch");
  if (existsSync(place)) renameSync(place, join(part, "old"));
  renameSync(tree, place);
  rmSync(part, { recursive: true, force: true });
}

/**
 * Fetches the wheel of one requirement into `part`/wheels unless it is there, and unpacks the members that match into
 * `part`/tree; a damaged or broken-off wheel is fetched again. Resolves to its METADATA.
 */
export async function take(part, requirement, patterns, run, say) {
  const [wheels, tree, temporary] = ["wheels", "tree", "tmp"].map((name) => join(part, name));
  rmSync(temporary, { recursive: true, force: true });
  for (const dir of [wheels, tree, temporary]) mkdirSync(dir, { recursive: true });
  const [, name, version = ""] = /^([\w-]+)(?:==([\d.]+\d))?/.exec(requirement);
  const prefix = `${name.replaceAll("-", "_")}-${version}`;
  for (let attempt = 1; ; attempt++) {
    let wheel = readdirSync(wheels).find((file) => file.startsWith(prefix) && file.endsWith(".whl"));
    let code = 0;
    if (!wheel) {
      // The C++ part of a wheel is the same for every Python: 3.11's serves them all.
      const which = ["--no-deps", "--only-binary=:all:", "--python-version", "3.11", "--no-cache-dir"];
      const args = ["-m", "pip", "download", ...which, "--progress-bar", "off", "-d", wheels, requirement];
      code = await run("python3", args, { TMPDIR: temporary });
      wheel = readdirSync(wheels).find((file) => file.startsWith(prefix) && file.endsWith(".whl"));
    }
    if (code === 0 && wheel) {
      code = await run("python3", [unpacker, join(wheels, wheel), tree, "*.dist-info/METADATA", ...patterns]);
      if (code === 0) return metadata(tree, prefix);
      rmSync(join(wheels, wheel));
    }
    if (attempt === tries) throw new Error(`${requirement} could not be fetched (${tries} tries)`);
    say(`${requirement}: try ${attempt + 1} of ${tries}`);
  }
}

function metadata(tree, prefix) {
  const folder = readdirSync(tree).find((name) => name.startsWith(prefix) && name.endsWith(".dist-info"));
  return readFileSync(join(tree, folder, "METADATA"), "utf8");
}

/**
 * The CUDA wheels that torch's METADATA names. The meta-package cuda-toolkit stands for those of its extras;
 * `open(requirement)` resolves to a wheel's METADATA. Without a GPU only cudart and cupti.
 */
export async function cudaWheels(torch, gpu, open) {
  const wanted = [];
  for (const { name, extras, pin } of requirements(torch)) {
    if (name.startsWith("nvidia-") && (gpu || /cuda-(runtime|cupti)/.test(name))) wanted.push(name + pin);
    if (name !== "cuda-toolkit") continue;
    const chosen = gpu ? extras : extras.filter((extra) => cpuExtras.includes(extra));
    for (const part of requirements(await open(name + pin))) {
      if (chosen.includes(part.extra)) wanted.push(part.name + part.pin);
    }
  }
  return [...new Set(wanted)];
}

/** The Requires-Dist lines of a METADATA file: name, [extras], version, and the extra that asks for it. */
function requirements(content) {
  const lines = content.matchAll(/^Requires-Dist: *([\w.-]+)(?:\[([^\]]*)\])? *([^;\n]*)(.*)$/gm);
  return [...lines].map(([, name, extras = "", pin, marker]) => ({
    name,
    extras: extras.split(",").filter(Boolean),
    pin: pin.replaceAll(/[()\s]/g, ""),
    extra: /extra == ['"]([\w-]+)['"]/.exec(marker)?.[1],
  }));
}
