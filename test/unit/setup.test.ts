// The set-up's own machinery: stamps, the lock, wheels. Temporary folders and fake commands; no network, nothing built.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { root } from "../../src/root.ts";

const script = (name: string) => pathToFileURL(join(root, "scripts", name)).href;
const { files, identity, lock, same, snapshot } = await import(script("stamp.js"));
const { setup, state } = await import(script("setup.js"));
const { cudaWheels, describe, fetch, find } = await import(script("libtorch.js"));
const { count } = await import(script("test.js"));

let folder = "";
test.before.each(() => {
  folder = fs.mkdtempSync(join(tmpdir(), "tarl-setup-"));
});
test.after.each(() => fs.rmSync(folder, { recursive: true, force: true }));

function put(name: string, content: string): string {
  const path = join(folder, name);
  fs.mkdirSync(join(path, ".."), { recursive: true });
  fs.writeFileSync(path, content);
  return path;
}

/** Runs `work` while stderr is kept from the terminal; resolves to what was written there. */
async function quietly(work: () => Promise<unknown>): Promise<string> {
  const write = process.stderr.write;
  let text = "";
  process.stderr.write = ((chunk: string) => {
    text += chunk;
    return true;
  }) as typeof write;
  try {
    await work();
  } finally {
    process.stderr.write = write;
  }
  return text;
}

// ---------------------------------------------------------------------------------------------------
// Stamps and steps
// ---------------------------------------------------------------------------------------------------

test("a snapshot knows content, not times", () => {
  const path = put("a.txt", "one");
  const before = snapshot([path]);
  assert.is(before[path][2], createHash("sha256").update("one").digest("hex"));
  fs.utimesSync(path, 1, 1);
  assert.ok(same(snapshot([path], before), before));
  fs.writeFileSync(path, "two");
  assert.not.ok(same(snapshot([path], before), before));
  assert.not.ok(same(snapshot([path, put("b.txt", "")], before), before));
});

test("a snapshot reads a file only when its time or size differs", () => {
  const path = put("a.txt", "one");
  const before = snapshot([path]);
  before[path][2] = "what was known";
  assert.is(snapshot([path], before)[path][2], "what was known");
});

test("files are listed in order, through folders", () => {
  for (const name of ["b/z.ts", "b/a.ts", "a.ts", "b/note.md"]) put(name, "");
  const found = files(folder, (path: string) => path.endsWith(".ts"));
  assert.equal(
    found,
    ["a.ts", "b/a.ts", "b/z.ts"].map((name) => join(folder, name)),
  );
  assert.equal(files(join(folder, "nowhere")), []);
});

/** A step that copies `in` to `out` with a real command; `log` counts its runs. */
function copying(name: string, fail = false) {
  return {
    name,
    what: `copies ${name}`,
    again: `cp ${name}`,
    inputs: () => [join(folder, `${name}.in`)],
    facts: () => "",
    output: join(folder, `${name}.out`),
    run: ({ must }: { must(program: string, args: string[]): Promise<void> }) =>
      must("sh", [
        "-c",
        fail ? "echo 'x.cpp:3: error: no such thing'; exit 7" : `echo run >> ${name}.log; cp ${name}.in ${name}.out`,
      ]),
  };
}
const runs = (name: string) => fs.readFileSync(join(folder, `${name}.log`), "utf8").split("run").length - 1;

test("a step runs once, and again when its input or its output changes, and only that step", async () => {
  const list = [copying("one"), copying("two")];
  put("one.in", "1");
  put("two.in", "2");
  const told = await quietly(() => setup(folder, list));
  assert.match(told, /set-up 1\/2 one: copies one\nset-up 1\/2 one: done in \d+\.\d s\nset-up 2\/2 two: copies two/);
  assert.is(await quietly(() => setup(folder, list)), "");
  assert.equal([runs("one"), runs("two")], [1, 1]);
  put("two.in", "3");
  assert.equal(
    state(folder, list).map((step: { done: boolean }) => step.done),
    [true, false],
  );
  await quietly(() => setup(folder, list));
  assert.equal([runs("one"), runs("two")], [1, 2]);
  fs.rmSync(join(folder, "one.out"));
  await quietly(() => setup(folder, list));
  assert.equal([runs("one"), runs("two")], [2, 2]);
  fs.writeFileSync(join(folder, ".setup/one.json"), '{"files": {');
  await quietly(() => setup(folder, list));
  assert.equal([runs("one"), runs("two")], [3, 2]);
});

test("a failing step names itself, the reason, the log and the line to type, and runs again next time", async () => {
  put("one.in", "1");
  let message = "";
  await quietly(async () =>
    setup(folder, [copying("one", true)]).catch((error: Error) => {
      message = error.message;
    }),
  );
  for (const part of ["1/1 one", "exit code 7", "x.cpp:3: error: no such thing", ".setup/one.log", "cp one"]) {
    assert.ok(message.includes(part), `${part} in ${message}`);
  }
  assert.not.ok(fs.existsSync(join(folder, ".setup/lock")));
  await quietly(() => setup(folder, [copying("one")]));
  assert.is(runs("one"), 1);
});

test("a program that is not installed is said to be so", async () => {
  put("one.in", "1");
  const step = { ...copying("one"), run: ({ must }: any) => must("tarl-no-such-program", []) };
  let message = "";
  await quietly(async () =>
    setup(folder, [step]).catch((error: Error) => {
      message = error.message;
    }),
  );
  assert.match(message, "tarl-no-such-program is not installed");
});

test("two set-ups at the same time do the work once", async () => {
  put("one.in", "1");
  const step = copying("one");
  step.run = ({ must }) => must("sh", ["-c", "sleep 0.3; echo run >> one.log; cp one.in one.out"]);
  const told = await quietly(() => Promise.all([setup(folder, [step]), setup(folder, [step])]));
  assert.is(runs("one"), 1);
  assert.match(told, `waiting for the one that process ${process.pid} runs`);
});

// ---------------------------------------------------------------------------------------------------
// The lock
// ---------------------------------------------------------------------------------------------------

test("a dead owner's lock is taken over, and so is one whose process number was given away", async () => {
  const path = join(folder, "lock");
  const dead = spawnSync("true").pid;
  for (const content of [`${dead} 1\n`, `${process.pid} 1\n`, "", "rubbish\n"]) {
    fs.writeFileSync(path, content);
    const held = await lock(path);
    assert.is(fs.readFileSync(path, "utf8"), `${identity(process.pid)}\n`);
    held.release();
    assert.equal(fs.readdirSync(folder), []);
  }
});

test("a dead owner's command is waited for", async () => {
  const path = join(folder, "lock");
  const command = spawn("sleep", ["0.4"], { stdio: "ignore" });
  fs.writeFileSync(path, `${spawnSync("true").pid} 1\n${identity(command.pid)}\n`);
  const start = performance.now();
  let told = 0;
  const held = await lock(path, (pid: number) => {
    told = pid;
  });
  held.release();
  assert.ok(performance.now() - start > 300);
  assert.is(told, command.pid);
});

test("many processes after one stale lock: one at a time", async () => {
  const path = join(folder, "lock");
  fs.writeFileSync(path, `${spawnSync("true").pid} 1\n`);
  const code = `
    const { lock } = await import(${JSON.stringify(script("stamp.js"))});
    const fs = await import("node:fs");
    const held = await lock(${JSON.stringify(path)});
    fs.writeFileSync(${JSON.stringify(join(folder, "inside"))}, "", { flag: "wx" });
    await new Promise((done) => setTimeout(done, 20));
    fs.rmSync(${JSON.stringify(join(folder, "inside"))});
    held.release();`;
  const codes = await Promise.all(
    Array.from({ length: 6 }, () => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: "ignore" });
      return new Promise((done) => child.on("close", done));
    }),
  );
  assert.equal(codes, [0, 0, 0, 0, 0, 0]);
});

// ---------------------------------------------------------------------------------------------------
// libtorch
// ---------------------------------------------------------------------------------------------------

/** A folder that looks like libtorch 2.<minor>.1. */
function torch(name: string, minor: number): string {
  put(`${name}/lib/libtorch_cpu.so`, "");
  const define = (part: string, value: number) => `#define TORCH_VERSION_${part} ${value}\n`;
  put(`${name}/include/torch/headeronly/version.h`, define("MAJOR", 2) + define("MINOR", minor) + define("PATCH", 1));
  return join(folder, name);
}

/** A folder with a `python3` that says where its torch is. */
function python(origin: string): string {
  const path = put("bin/python3", `#!/bin/sh\necho ${origin}\n`);
  fs.chmodSync(path, 0o755);
  return join(folder, "bin");
}

test("the version is read from the headers", () => {
  assert.equal(describe(torch("t", 13)), { dir: join(folder, "t"), version: "2.13.1", inRange: true });
  assert.is(describe(torch("old", 10)).inRange, false);
  assert.is(describe(torch("last", 15)).inRange, true);
  assert.is(describe(torch("new", 16)).inRange, false);
  assert.is(describe(join(folder, "nowhere")), null);
});

test("LIBTORCH comes first, then python3's torch, then .libtorch", () => {
  const named = torch("named", 11);
  const own = torch(".libtorch/torch", 13);
  const theirs = torch("site/torch", 14);
  const PATH = python(join(theirs, "__init__.py"));
  assert.is(find(folder, false, { LIBTORCH: named, PATH }).dir, named);
  assert.equal([find(folder, false, { PATH }).dir, find(folder, false, { PATH }).from], [theirs, "python3"]);
  torch("site/torch", 16); // out of range: passed over
  assert.is(find(folder, false, { PATH }).dir, own);
  assert.is(find(folder, true, { PATH }), null, "with a GPU, one without CUDA does not do");
  put(".libtorch/torch/lib/libtorch_cuda.so", "");
  assert.is(find(folder, true, { PATH }).dir, own);
});

test("a wrong LIBTORCH is an error that names it", () => {
  assert.throws(() => find(folder, false, { LIBTORCH: "/nowhere" }), /LIBTORCH=\/nowhere: expected a folder with/);
  assert.throws(
    () => find(folder, false, { LIBTORCH: torch("t", 16) }),
    /version 2\.16\.1, expected torch 2\.11 to 2\.15/,
  );
});

test("the CUDA wheels are read from METADATA", async () => {
  const metadata = [
    "Requires-Dist: sympy>=1.13.3",
    'Requires-Dist: cuda-toolkit[cublas,cudart,cupti]==13.0.3; platform_system == "Linux"',
    'Requires-Dist: nvidia-cudnn-cu13 (==9.20.0.48) ; platform_system == "Linux"',
  ].join("\n");
  const toolkit = [
    "Requires-Dist: nvidia-cublas==13.1.1.3.*; (sys_platform == 'linux') and extra == 'all'",
    "Requires-Dist: nvidia-cublas==13.1.1.3.*; (sys_platform == 'linux') and extra == 'cublas'",
    "Requires-Dist: nvidia-cuda-runtime==13.0.96.*; (sys_platform == 'linux') and extra == 'cudart'",
    "Requires-Dist: nvidia-cuda-cupti==13.0.85.*; (sys_platform == 'linux') and extra == 'cupti'",
    "Requires-Dist: nvidia-nvjitlink<14,>=13.0.88; (sys_platform == 'linux') and extra == 'cufft'",
  ].join("\n");
  const opened: string[] = [];
  const open = async (requirement: string) => {
    opened.push(requirement);
    return toolkit;
  };
  const cpu = ["nvidia-cuda-runtime==13.0.96.*", "nvidia-cuda-cupti==13.0.85.*"];
  assert.equal(await cudaWheels(metadata, false, open), cpu);
  assert.equal(await cudaWheels(metadata, true, open), [
    "nvidia-cublas==13.1.1.3.*",
    ...cpu,
    "nvidia-cudnn-cu13==9.20.0.48",
  ]);
  assert.equal(opened, ["cuda-toolkit==13.0.3", "cuda-toolkit==13.0.3"]);
  assert.equal(await cudaWheels("Requires-Dist: sympy>=1.13.3", false, open), [], "a CPU build names none");
});

/** Writes a wheel of torch 2.13.0 with Python; `damage` changes a member after its hash was taken. */
function wheel(path: string, damage = false): void {
  const version = ["MAJOR 2", "MINOR 13", "PATCH 0"].map((part) => `#define TORCH_VERSION_${part}\n`).join("");
  const members = {
    "torch/lib/libtorch_cpu.so": "machine code",
    "torch/lib/libtorch_cuda.so": "not wanted",
    "torch/include/torch/headeronly/version.h": version,
    "torch-2.13.0.dist-info/METADATA": "Name: torch\n",
  };
  const hash = (content: string) => createHash("sha256").update(content).digest("base64url");
  const record = Object.entries(members).map(
    ([name, content]) => `${name},sha256=${hash(content)},${content.length}\n`,
  );
  const written = damage ? { ...members, "torch/lib/libtorch_cpu.so": "machine kode" } : members;
  const archive = { ...written, "torch-2.13.0.dist-info/RECORD": record.join("") };
  const code =
    "import json,sys,zipfile\nz=zipfile.ZipFile(sys.argv[1],'w')\nfor k,v in json.loads(sys.argv[2]).items(): z.writestr(k,v)\nz.close()";
  assert.is(spawnSync("python3", ["-c", code, path, JSON.stringify(archive)]).status, 0);
}

/** A `run` for fetch(): real unpacking, and a pip that each time does the next of `downloads`. */
function fakeRun(downloads: ((wheels: string) => number)[]) {
  const pip: string[] = [];
  const run = async (program: string, args: string[]) => {
    if (args[1] !== "pip") return spawnSync(program, args, { stdio: "ignore" }).status;
    pip.push(args.at(-1) as string);
    return downloads.shift()?.(args[args.indexOf("-d") + 1]) ?? 1;
  };
  return { run, pip };
}
const name = "torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl";
/** A pip that brings the wheel, whole or damaged. */
const brings =
  (damage: boolean) =>
  (wheels: string): number => {
    wheel(join(wheels, name), damage);
    return 0;
  };
const whole = brings(false);
const damaged = brings(true);

test("a wheel is unpacked as far as it is needed, and nothing else is left", async () => {
  const { run, pip } = fakeRun([whole]);
  await fetch(folder, false, run, () => {});
  assert.equal(pip, ["torch==2.13.0"]);
  assert.is(describe(join(folder, ".libtorch/torch")).version, "2.13.0");
  assert.is(fs.readFileSync(join(folder, ".libtorch/torch/lib/libtorch_cpu.so"), "utf8"), "machine code");
  assert.not.ok(fs.existsSync(join(folder, ".libtorch/torch/lib/libtorch_cuda.so")));
  assert.equal(fs.readdirSync(folder), [".libtorch"]);
});

test("with a GPU everything is unpacked", async () => {
  await fetch(folder, true, fakeRun([whole]).run, () => {});
  assert.ok(fs.existsSync(join(folder, ".libtorch/torch/lib/libtorch_cuda.so")));
});

test("a damaged wheel, a cut wheel and a broken connection are fetched again", async () => {
  const cut = (wheels: string) => {
    wheel(join(wheels, name));
    fs.truncateSync(join(wheels, name), 300);
    return 0;
  };
  for (const bad of [damaged, cut, () => 2]) {
    const { run, pip } = fakeRun([bad, whole]);
    const told: string[] = [];
    await fetch(folder, false, run, (line: string) => told.push(line));
    assert.is(pip.length, 2);
    assert.equal(told, ["torch==2.13.0: try 2 of 3"]);
    assert.is(fs.readFileSync(join(folder, ".libtorch/torch/lib/libtorch_cpu.so"), "utf8"), "machine code");
    fs.rmSync(join(folder, ".libtorch"), { recursive: true });
  }
});

test("three bad wheels are an error, and what was there stays", async () => {
  torch(".libtorch/torch", 12);
  const { run } = fakeRun([damaged, damaged, damaged]);
  let message = "";
  await fetch(folder, false, run, () => {}).catch((error: Error) => {
    message = error.message;
  });
  assert.is(message, "torch==2.13.0 could not be fetched (3 tries)");
  assert.is(describe(join(folder, ".libtorch/torch")).version, "2.12.1");
});

test("a wheel that an interrupted set-up had fetched is used", async () => {
  fs.mkdirSync(join(folder, ".libtorch.part/wheels"), { recursive: true });
  put(".libtorch.part/tree/torch/lib/libtorch_cpu.so", "half of it");
  wheel(join(folder, ".libtorch.part/wheels", name));
  const { run, pip } = fakeRun([]);
  await fetch(folder, false, run, () => {});
  assert.equal(pip, []);
  assert.is(fs.readFileSync(join(folder, ".libtorch/torch/lib/libtorch_cpu.so"), "utf8"), "machine code");
});

// ---------------------------------------------------------------------------------------------------
// The test runner's reading of a test file's output
// ---------------------------------------------------------------------------------------------------

const closing = (total: number, passed: number, skipped: number) =>
  `\n  Total:     ${total}\x1b[32m\n  Passed:    ${passed}\x1b[39m\n  Skipped:   \x1b[33m${skipped}\x1b[39m\n  Duration:  1.00ms\n\n`;

test("the runner believes the counts, not the exit code", () => {
  assert.equal(count(0, closing(5, 5, 2)), { passed: 5, failed: 0, skipped: 2, wrong: "" });
  assert.equal(count(0, closing(5, 3, 0)), { passed: 3, failed: 2, skipped: 0, wrong: "2 of 5 failed" });
  assert.equal(count(0, closing(0, 0, 0)), { passed: 0, failed: 1, skipped: 0, wrong: "no test ran" });
  assert.equal(count(0, ""), { passed: 0, failed: 1, skipped: 0, wrong: "no test ran" });
  assert.equal(count(3, closing(5, 5, 0)), { passed: 5, failed: 1, skipped: 0, wrong: "exit code 3" });
  assert.equal(count("SIGKILL", closing(5, 5, 0), true), { passed: 5, failed: 1, skipped: 0, wrong: "time limit" });
  const skips = "SKIP 12 airline: no domain yet\nSKIP 3 thinker: kind not built\n";
  assert.equal(count(0, skips + closing(1, 1, 0)), { passed: 1, failed: 0, skipped: 15, wrong: "" });
});

test.run();
