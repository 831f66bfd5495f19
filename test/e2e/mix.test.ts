// Updates of mathematical problems between those of the shop, by the real command: what their lines say, that the
// control makes the same updates without them, and that a mixed run goes on to the same bytes.
// time limit: 600 s

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Evaluation } from "../../src/eval/evaluate.ts";
import { sharedGrader } from "../../src/grading/grader.ts";
import type { StepLine } from "../../src/run/metrics.ts";
import { runIn } from "../command.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-mix-"));
test.after(() => {
  sharedGrader().close();
  fs.rmSync(dir, { recursive: true });
});

const small =
  "--algo grpo --tarl --mix math --tasks-per-step 2 --samples 4 --steps 4 --save-every 2 --keep 9 --eval-tasks 2 --mix-eval-tasks 3 --trials 1";
const train = (...more: string[]) => runIn(dir, [...small.split(" "), ...more]);
const path = (run: string, file: string) => join(dir, "runs", run, file);
const json = <T>(run: string, file: string): T => JSON.parse(fs.readFileSync(path(run, file), "utf8"));
const lines = <T>(run: string, file: string): T[] =>
  fs
    .readFileSync(path(run, file), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
const tasks = (run: string, step: number) =>
  lines<{ task: { id: string }; seed: number }>(run, `rollouts/step-${step}.jsonl`).map(({ task, seed }) => [
    task.id,
    seed,
  ]);

test("every second update is of problems: one turn, the outcome alone, no abstention", async () => {
  const { code, err } = await train("--run", "mixed");
  assert.is(code, 0, err);
  const [, second, , fourth] = lines<StepLine>("mixed", "metrics.jsonl");
  for (const line of [second, fourth]) {
    assert.equal([line.turns, line.abstained, line.excluded, line.mismatch], [1, 0, 0, 0]);
    assert.equal(line.classes, { unjudged: 8 });
    assert.is(line.reward, 10 * line.pass);
  }
  assert.ok(tasks("mixed", 2).every(([id]) => String(id).startsWith("math/")));
  assert.ok(tasks("mixed", 3).every(([id]) => String(id).startsWith("shop/")));
  for (const step of [0, 4])
    assert.is(json<Evaluation>("mixed", `evaluations/mix-step-${step}.json`).setting.domain, "math");
});

test("the control makes the same updates of the shop, and no other", async () => {
  assert.is((await train("--mix-control", "--run", "control")).code, 0);
  assert.equal(
    lines<StepLine>("control", "metrics.jsonl").map(({ step, lr }) => [step, lr]),
    lines<StepLine>("mixed", "metrics.jsonl").flatMap(({ step, lr }) => (step % 2 ? [[step, lr]] : [])),
  );
  for (const step of [1, 3]) assert.equal(tasks("control", step), tasks("mixed", step));
  assert.ok(fs.existsSync(path("control", "checkpoints/step-4")));
});

test("gone on with, a mixed run and its control come to the same bytes", async () => {
  for (const run of ["mixed", "control"]) {
    const again = `${run}-again`;
    fs.cpSync(path(run, ""), path(again, ""), { recursive: true });
    fs.rmSync(path(again, "checkpoints/step-4"), { recursive: true });
    const { code, out } = await runIn(dir, ["--resume", again]);
    assert.is(code, 0);
    const made = `-again after step 2 (made again: up to step ${run === "mixed" ? 4 : 3}): `;
    assert.ok(out.includes(made), out);
    assert.equal(lines(again, "metrics.jsonl"), lines(run, "metrics.jsonl"));
    for (const file of ["metrics.jsonl", "evaluations/mix-step-4.json", "checkpoints/step-4/model.safetensors"])
      assert.ok(fs.readFileSync(path(run, file)).equals(fs.readFileSync(path(again, file))), `${run}: ${file}`);
  }
});

test.run();
