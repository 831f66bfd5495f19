// The test runner: sets up if needed, checks the code (check.js), then runs every test file in a process of its own.
//   npm test                      all of it; without a GPU test/gpu says what it skips
//   node scripts/test.js PATTERN  only the test files whose path holds a PATTERN, no checks
// uvu leaves with 0 where nothing ran or a hook threw, so its counts decide: a file that runs no test, fewer than it
// has, one marked `.only`, or one over its time limit has failed. A line `SKIP <count> <why>` of a test file counts
// cases that it skips. `// time limit: N s` in a test file replaces the default.

import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { biome, clangFormat, types } from "./check.js";
import { run } from "./run.js";
import { root, SetupError, setup } from "./setup.js";
import { files } from "./stamp.js";

const limitSeconds = 300;

/** What a test file's output says: { passed, failed, skipped, wrong }; `wrong`: why it failed, "" when it did not. */
export function count(code, output, late = false) {
  const plain = stripVTControlCharacters(output);
  const [total, passed, skips] = ["Total", "Passed", "Skipped"].map((name) =>
    [...plain.matchAll(new RegExp(`^  ${name}: +(\\d+)$`, "gm"))].reduce((sum, match) => sum + Number(match[1]), 0),
  );
  const skipped = [...plain.matchAll(/^SKIP (\d+) /gm)].reduce((sum, match) => sum + Number(match[1]), skips);
  const wrong = verdict();
  return { passed, failed: wrong ? Math.max(1, total - passed) : 0, skipped, wrong };

  function verdict() {
    if (late) return "time limit";
    if (total === 0 && skipped === 0) return "no test ran";
    if (passed < total) return `${total - passed} of ${total} failed`;
    return code === 0 ? "" : `exit code ${code}`;
  }
}

/** Runs one test file, given by its TypeScript source. */
async function runFile(source) {
  const content = readFileSync(join(root, source), "utf8");
  if (/\b\w+\.only\(/.test(content)) {
    return { passed: 0, failed: 1, skipped: 0, wrong: "a test is marked .only", seconds: 0, output: "" };
  }
  const limit = Number(/^\/\/ time limit: (\d+) s/m.exec(content)?.[1] ?? limitSeconds);
  const compiled = join("dist", source.replace(/\.ts$/, ".js"));
  const { code, output, seconds, late } = await run(process.execPath, ["--enable-source-maps", compiled], {
    limitSeconds: limit,
  });
  const result = count(code, output, late);
  return { ...result, wrong: late ? `stopped after ${limit} s` : result.wrong, seconds, output };
}

function print(name, { passed, skipped, wrong, seconds, output }) {
  const counts = [passed !== undefined && `${passed} passed`, skipped && `${skipped} skipped`, wrong].filter(Boolean);
  process.stdout.write(
    `${wrong ? "FAIL" : "ok  "} ${name.padEnd(40)} ${seconds.toFixed(1).padStart(6)} s  ${counts.join(", ")}\n`,
  );
  const shown = wrong ? output.split("\n") : output.match(/^SKIP \d+ .*$/gm);
  for (const line of shown ?? []) process.stdout.write(`     ${line}\n`);
}

async function main(patterns) {
  await setup(root);
  const sources = files(join(root, "test"), (path) => path.endsWith(".test.ts"))
    .map((path) => relative(root, path))
    .filter((path) => patterns.length === 0 || patterns.some((pattern) => path.includes(pattern)));
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const add = (name, result) => {
    print(name, result);
    for (const key of Object.keys(sum)) sum[key] += result[key];
  };
  if (patterns.length === 0) {
    for (const check of [types, biome, clangFormat]) {
      const { name, ok, seconds, output } = check();
      add(name, { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0, wrong: ok ? "" : "see below", seconds, output });
    }
  }
  for (const source of sources) add(source, await runFile(source));
  if (sources.length === 0) {
    process.stdout.write(`no test file matches ${patterns.join(" ")}\n`);
    sum.failed += 1;
  }
  const skipped = sum.skipped ? `, ${sum.skipped} skipped` : "";
  process.stdout.write(`${sum.passed} passed, ${sum.failed} failed${skipped}\n`);
  process.exitCode = sum.failed ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stdout.write(`${error.message}\n0 passed, 1 failed\n`);
    process.exitCode = 1;
  }
}
