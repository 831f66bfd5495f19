// `npm run bench [-- name...]`: runs bench/<name>.ts, all of them when none is named; bench/common.ts is what
// they share. One JSON object ends each output.

import { basename, join } from "node:path";
import { run } from "./run.js";
import { root, setup } from "./setup.js";
import { files } from "./stamp.js";

const all = files(join(root, "bench"), (path) => path.endsWith(".ts"))
  .map((path) => basename(path, ".ts"))
  .filter((name) => name !== "common");
const names = process.argv.length > 2 ? process.argv.slice(2) : all;
for (const name of names) {
  if (!all.includes(name)) {
    process.stderr.write(`bench ${name}: no such benchmark; expected one of ${all.join(", ")}\n`);
    process.exit(2);
  }
}

await setup(root);
for (const name of names) {
  const { code } = await run(process.execPath, ["--enable-source-maps", `dist/bench/${name}.js`], { show: true });
  if (code !== 0) process.exitCode = 1;
}
