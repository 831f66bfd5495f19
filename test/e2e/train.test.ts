// The embedded default, trained for a few small steps by the real command in processes of their own: same seed, same
// bytes; killed or stopped and resumed, the same bytes again. A busy machine takes minutes.
// time limit: 900 s

import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Summary } from "../../src/eval/evaluate.ts";
import type { StepLine } from "../../src/run/metrics.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-train-"));
test.after(() => fs.rmSync(dir, { recursive: true }));

const main = new URL("../../src/cli/main.js", import.meta.url).href;
const script = `const { main } = await import(${JSON.stringify(main)}); process.exitCode = await main(process.argv.slice(1));`;
const STEPS = 3;
const tiny = "--algo grpo --tarl --tasks-per-step 2 --samples 4 --save-every 1 --keep 1".split(" ");
const small = [...tiny, "--steps", String(STEPS), "--eval-tasks", "2"];
const seed3 = [...small, "--seed", "3"];

interface Ended {
  readonly code: number | null;
  readonly out: string;
}

/** Runs the command; `watch` is called with all output so far whenever there is more. */
function tarl(args: readonly string[], watch?: (out: string, child: ChildProcess) => void): Promise<Ended> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", script, "--", ...args], { cwd: dir });
  let out = "";
  const hear = (chunk: Buffer) => {
    out += chunk;
    watch?.(out, child);
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out })));
}

const read = (run: string, file: string) => fs.readFileSync(join(dir, "runs", run, file));
const metrics = (run: string) =>
  String(read(run, "metrics.jsonl"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as StepLine);

/** Everything of a run that its seed decides: file -> bytes. */
function decided(run: string): Map<string, Buffer> {
  const files = ["metrics.jsonl", "config.json"];
  for (const folder of ["rollouts", "evaluations", `checkpoints/step-${STEPS}`])
    for (const name of fs.readdirSync(join(dir, "runs", run, folder)).sort()) files.push(join(folder, name));
  return new Map(files.map((file) => [file, read(run, file)]));
}

function assertSame(run: string, other: string): void {
  const [one, two] = [decided(run), decided(other)];
  assert.equal([...one.keys()], [...two.keys()]);
  for (const [file, bytes] of one) assert.ok(bytes.equals(two.get(file)!), `${file} differs`);
}

test("a run trains, and says what it did", async () => {
  const { code, out } = await tarl([...seed3, "--run", "straight", "--json"]);
  assert.is(code, 0, out);
  const lines = metrics("straight");
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
  const summary: Summary = JSON.parse(String(read("straight", "summary.json")));
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
  assert.is((await tarl([...seed3, "--run", "twin"])).code, 0);
  assertSame("twin", "straight");
  assert.is((await tarl([...small, "--seed", "4", "--run", "other"])).code, 0);
  assert.not.equal(metrics("other")[0], metrics("straight")[0]);
});

for (const [name, moment] of [
  ["in the first evaluation", /^run .*\n/m],
  ["before the first checkpoint", /step 1\/3/],
  ["while it saves", /step 2\/3/],
  ["in the last evaluation", /step 3\/3/],
] as const)
  test(`kill -9 ${name}, then --resume: the bytes of a straight run`, async () => {
    const run = `killed-${name.replaceAll(" ", "-")}`;
    const { code } = await tarl(
      [...seed3, "--run", run],
      (out, child) => void (moment.test(out) && child.kill("SIGKILL")),
    );
    assert.is(code, null);
    const resumed = await tarl(["--resume", run]);
    assert.is(resumed.code, 0, resumed.out);
    assertSame(run, "straight");
    const { wall_s: own, ...summary } = JSON.parse(String(read(run, "summary.json")));
    const { wall_s: other, ...straight } = JSON.parse(String(read("straight", "summary.json")));
    assert.equal(summary, straight);
    assert.ok(own > 0 && other > 0);
  });

test("with KL and two epochs the reference stays where it was, and every rollout counts", async () => {
  const more = "--kl-coef 0.1 --epochs 2 --steps 2 --eval-tasks 0 --seed 3 --run kl".split(" ");
  const { code, out } = await tarl([...tiny, ...more]);
  assert.is(code, 0, out);
  const [first, second] = metrics("kl");
  assert.ok(first.kl > 0 && second.kl > 0, "the second epoch has moved away");
  assert.is(first.mismatch, 0);
  assert.ok(first.ratio !== 1, "so has its ratio");
});

test("Ctrl-C finishes the step, saves, says how to go on, and going on gives the same bytes", async () => {
  let asked = false;
  const { code, out } = await tarl([...seed3, "--run", "stopped"], (out, child) => {
    if (!asked && /step 1\/3/.test(out)) asked = child.kill("SIGINT");
  });
  assert.is(code, 130, out);
  assert.match(out, "to go on: node train.js --resume stopped");
  const saved = fs.readdirSync(join(dir, "runs/stopped/checkpoints"));
  assert.equal(saved, [`step-${metrics("stopped").length}`]);
  assert.is((await tarl(["--resume", "stopped"])).code, 0);
  assertSame("stopped", "straight");
});

test("Ctrl-C in an evaluation in between saves the updates before it", async () => {
  let asked = false;
  const more = "--save-every 3 --eval-every 1 --eval-tasks 20 --runs other --run measured".split(" ");
  const { code, out } = await tarl([...tiny.slice(0, -4), "--steps", "3", ...more], (out, child) => {
    if (!asked && /step 1\/3/.test(out)) asked = child.kill("SIGINT");
  });
  assert.is(code, 130, out);
  assert.match(out, `to go on: node train.js --resume ${join(dir, "other/measured")}`);
  assert.equal(fs.readdirSync(join(dir, "other/measured/checkpoints")), ["step-1"]);
});

test.run();
