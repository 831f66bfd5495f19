// The benchmark of a slow judge, in small: both sides learn the same, by the real command against a judge that is served
// here. How much of the wait is hidden is not looked at: a machine at work would say anything.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const bench = fileURLToPath(new URL("../../bench/overlap.js", import.meta.url));

function overlap(args: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bench, ...args.split(" ")], { encoding: "utf8" });
  return { status, stderr, figures: status === 0 ? JSON.parse(stdout.trim().split("\n").at(-1)!) : null };
}

test("updates with a judge at once and with a slow one, and their ratio", () => {
  const { status, stderr, figures } = overlap("--latency .5 --steps 1 --repeats 1 --tasks-per-step 2 --samples 2");
  assert.is(status, 0, stderr);
  const { instant, slow } = figures.seconds;
  assert.ok(instant.median > 0 && slow.median > 0);
  assert.ok(Math.abs(figures.ratios["slow over instant"] - slow.median / instant.median) < 0.01);
  assert.equal([figures.latency, figures.batch, figures.byRepeat.length], [0.5, 4, 1]);
});

test("a bad command line is one line and exit code 2", () => {
  for (const [args, message] of [
    ["--latency soon", "--latency soon: expected a number of 0 or more"],
    ["--repeats 0", "--repeats 0: expected a whole number of 1 or more"],
  ]) {
    const { status, stderr } = overlap(args);
    assert.is(status, 2);
    assert.is(stderr, `bench overlap: ${message}\n`);
  }
});

test.run();
