// The embedded default, trained for a few small steps by the real command in processes of their own: same seed, same
// bytes; killed or stopped and resumed, the same bytes again. A busy machine takes minutes.
// time limit: 900 s

import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Summary } from "../../src/eval/evaluate.ts";
import { Runs } from "../runs.ts";

const runs = new Runs();
const { dir } = runs;
const STEPS = 3;
const tiny = "--algo grpo --tarl --tasks-per-step 2 --samples 4 --save-every 1 --keep 1".split(" ");
const small = [...tiny, "--steps", String(STEPS), "--eval-tasks", "2"];
const seed3 = [...small, "--seed", "3"];

test("a run trains, and says what it did", async () => {
  const { code, out } = await runs.start([...seed3, "--run", "straight", "--json"]);
  assert.is(code, 0, out);
  const lines = runs.metrics("straight");
  assert.equal(
    lines.map(({ step }) => step),
    [1, 2, 3],
  );
  for (const line of lines) {
    assert.is(line.rollouts, 8);
    assert.is(line.excluded, 0);
    assert.is(line.mismatch, 0, "sampler and trainer agree to the bit");
  }
  assert.ok(
    lines.some(({ gradNorm }) => gradNorm > 0),
    "something was learnt from",
  );
  const summary: Summary = JSON.parse(String(runs.read("straight", "summary.json")));
  assert.equal(Object.keys(summary), ["before", "after", "difference", "tasks", "trials", "seed", "wall_s"]);
  assert.is(summary.before.pass.length, 4);
  assert.equal([summary.tasks, summary.trials, summary.seed], [2, 4, 3]);
  const printed = JSON.parse(out.trim().split("\n").at(-1)!);
  assert.equal(printed, { run: join(dir, "runs/straight"), ...summary }, "--json prints it");
  const names = fs.readdirSync(join(dir, "runs/straight", `checkpoints/step-${STEPS}`));
  for (const name of ["config.json", "model.safetensors", "tokenizer.json", "optimizer.safetensors"])
    assert.ok(names.includes(name), name);
  assert.not(fs.existsSync(join(dir, "runs/straight/lock")));
});

test("same seed, same bytes; another seed, others", async () => {
  assert.is((await runs.start([...seed3, "--run", "twin"])).code, 0);
  runs.assertSame("twin", "straight");
  assert.is((await runs.start([...small, "--seed", "4", "--run", "other"])).code, 0);
  assert.not.equal(runs.metrics("other")[0], runs.metrics("straight")[0]);
});

for (const [name, moment] of [
  ["in the first evaluation", /^run .*\n/m],
  ["before the first checkpoint", /step 1\/3/],
  ["while it saves", /step 2\/3/],
  ["in the last evaluation", /step 3\/3/],
] as const)
  test(`kill -9 ${name}, then --resume: the bytes of a straight run`, async () => {
    const run = `killed-${name.replaceAll(" ", "-")}`;
    const { code } = await runs.start(
      [...seed3, "--run", run],
      (out, child) => void (moment.test(out) && child.kill("SIGKILL")),
    );
    assert.is(code, null);
    const resumed = await runs.start(["--resume", run]);
    assert.is(resumed.code, 0, resumed.out);
    runs.assertSame(run, "straight");
    const { wall_s: own, ...summary } = JSON.parse(String(runs.read(run, "summary.json")));
    const { wall_s: other, ...straight } = JSON.parse(String(runs.read("straight", "summary.json")));
    assert.equal(summary, straight);
    assert.ok(own > 0 && other > 0);
  });

test("with KL and two epochs the reference stays where it was, and every rollout counts", async () => {
  const more = "--kl-coef 0.1 --epochs 2 --steps 2 --eval-tasks 0 --seed 3 --run kl".split(" ");
  const { code, out } = await runs.start([...tiny, ...more]);
  assert.is(code, 0, out);
  const [first, second] = runs.metrics("kl");
  assert.ok(first.kl > 0 && second.kl > 0, "the second epoch has moved away");
  assert.is(first.mismatch, 0);
  assert.ok(first.ratio !== 1, "so has its ratio");
});

test("Ctrl-C finishes the step, saves, says how to go on, and going on gives the same bytes", async () => {
  let asked = false;
  const { code, out } = await runs.start([...seed3, "--run", "stopped"], (out, child) => {
    if (!asked && /step 1\/3/.test(out)) asked = child.kill("SIGINT");
  });
  assert.is(code, 130, out);
  assert.match(out, "to go on: node train.js --resume stopped");
  const saved = fs.readdirSync(join(dir, "runs/stopped/checkpoints"));
  assert.equal(saved, [`step-${runs.metrics("stopped").length}`]);
  assert.is((await runs.start(["--resume", "stopped"])).code, 0);
  runs.assertSame("stopped", "straight");
});

test("Ctrl-C in an evaluation in between saves the updates before it", async () => {
  let asked = false;
  const more = "--save-every 3 --eval-every 1 --eval-tasks 20 --runs other --run measured".split(" ");
  const { code, out } = await runs.start([...tiny.slice(0, -4), "--steps", "3", ...more], (out, child) => {
    if (!asked && /step 1\/3/.test(out)) asked = child.kill("SIGINT");
  });
  assert.is(code, 130, out);
  assert.match(out, `to go on: node train.js --resume ${join(dir, "other/measured")}`);
  assert.equal(fs.readdirSync(join(dir, "other/measured/checkpoints")), ["step-1"]);
});

test.run();
