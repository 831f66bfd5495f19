// Benchmarks run to their end on a small piece of work, without peers, and end in one line of JSON; a bad command line is one
// line. What they measure is not looked at: figures of a machine at work mean nothing.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const small = ["--batch", "4", "--group", "2", "--prompt", "24", "--new", "4", "--repeats", "1", "--peers", "none"];

function bench(name: string, args: readonly string[]) {
  const file = fileURLToPath(new URL(`../../bench/${name}.js`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], { encoding: "utf8" });
  return { status, stderr, figures: status === 0 ? JSON.parse(stdout.trim().split("\n").at(-1)!) : null };
}

test("step: rates, shares of the ceilings, peak memory", () => {
  const { status, stderr, figures } = bench("step", small);
  assert.is(status, 0, stderr);
  assert.is(figures.tokens, 4 * 28);
  assert.ok(
    figures.tarl.low > 0 && figures.tarl.low <= figures.tarl.median && figures.tarl.median <= figures.tarl.high,
  );
  assert.ok(figures.tarl.peakMiB > 10 && figures.tarl.rolloutSeconds > 0 && figures.tarl.trainSeconds > 0);
  assert.ok(figures.ceilings.memory > 0 && figures.ceilings.fp32.best >= figures.ceilings.fp32.registers);
  assert.ok(figures.ceilings.fp32.own > 0 && figures.ceilings.bf16.own > 0, stderr);
  assert.ok(figures.shares.arithmetic > 0 && figures.shares.arithmetic < 1);
  assert.equal(figures.ratios, {});
});

test("shared: both stages against their unshared cost", () => {
  const { status, stderr, figures } = bench("shared", small);
  assert.is(status, 0, stderr);
  assert.equal(Object.keys(figures.ratios), ["rollout", "training"]);
  assert.ok(figures.ratios.rollout > 0 && figures.ratios.training > 0);
});

for (const name of ["decode", "prefill", "train", "logprob"])
  test(`${name}: rates and shares of the ceilings`, () => {
    const { status, stderr, figures } = bench(name, small);
    assert.is(status, 0, stderr);
    assert.ok(figures.tarl.median > 0 && figures.shares.arithmetic > 0 && figures.shares.arithmetic < 1);
    assert.is(figures.shares.memory > 0, name === "decode");
  });

test("grading: every pair right, and a rate", () => {
  const { status, stderr, figures } = bench("grading", ["--answers", "300", "--repeats", "1"]);
  assert.is(status, 0, stderr);
  assert.ok(figures.graded.median > 0 && figures.start > 0);
});

test("a bad command line is one line and exit code 2", () => {
  const { status, stderr } = bench("decode", ["--batch", "many"]);
  assert.is(status, 2);
  assert.is(stderr, "bench decode: --batch many: expected a whole number of 1 or more\n");
  const other = bench("default", ["--kernels", "off"]);
  assert.is(other.status, 2);
  assert.is(other.stderr, "bench default: --kernels off: the default run has its own\n");
});

test.run();
