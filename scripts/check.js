// The checks that read the code instead of running it: types, Biome, clang-format. Each gives { name, ok, seconds, output }.
// By itself:  npm run check  prints what is wrong;  npm run format  (--write) mends what a formatter can mend.

import { spawnSync } from "node:child_process";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { root, setup } from "./setup.js";
import { files } from "./stamp.js";
import { steps } from "./steps.js";

function command(name, script, args) {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "node_modules", script), ...args], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  return { name, ok: status === 0, seconds: (performance.now() - start) / 1000, output: `${stdout}${stderr}` };
}

export function types() {
  return command("types", "typescript/bin/tsc", ["-p", "."]);
}

export function biome(write = false) {
  return command("biome", "@biomejs/biome/bin/biome", ["check", ...(write ? ["--write"] : []), "."]);
}

export function clangFormat(write = false) {
  const sources = files(join(root, "native"), (path) => /\.(h|cpp|cu|inc)$/.test(path));
  const args = write ? ["-i"] : ["--dry-run", "-Werror"];
  const result = command("clang-format", "clang-format/index.js", [...args, ...sources]);
  const places = [...result.output.matchAll(/^(.+?):(\d+):\d+: error: code should be clang-formatted/gm)];
  const first = new Map(places.reverse().map(([, path, line]) => [relative(root, path), line]));
  if (first.size === 0) return result;
  return {
    ...result,
    output: [...first].map(([path, line]) => `${path}:${line}: not formatted (npm run format)\n`).join(""),
  };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await setup(root, steps(root).slice(0, 1));
  const write = process.argv.includes("--write");
  for (const { name, ok, output } of [biome(write), clangFormat(write), types()]) {
    process.stdout.write(`${ok ? "ok  " : "FAIL"} ${name}\n${ok ? "" : output}`);
    if (!ok) process.exitCode = 1;
  }
}
