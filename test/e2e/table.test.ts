// The comparison of algorithms in its short form, by the real command: killed in the middle and gone on with, its figures
// against the tallies that its runs left, a run that is broken, runs of other options. A busy machine takes a minute.

import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Findings } from "../../bench/table1/findings.ts";
import type { Evaluation } from "../../src/eval/evaluate.ts";
import { RunDirectory } from "../../src/run/directory.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-table-"));
test.after(() => fs.rmSync(dir, { recursive: true }));

const bench = fileURLToPath(new URL("../../bench/table1.js", import.meta.url));
const short = "--seeds 1 --tasks-per-step 2 --samples 2 --eval-tasks 4 --trials 2 --steps".split(" ");

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly complaint: string;
}

/** A process group of its own, so that it can be killed with the run that it is making. */
function table(runs: string, args: readonly string[], watch?: (out: string, child: ChildProcess) => void) {
  const child = spawn(process.execPath, [bench, ...args, "--runs", join(dir, runs)], { detached: true });
  let [out, complaint] = ["", ""];
  child.stdout.on("data", (chunk) => {
    out += chunk;
    watch?.(out, child);
  });
  child.stderr.on("data", (chunk) => {
    complaint += chunk;
  });
  return new Promise<Ended>((resolve) => child.on("close", (code) => resolve({ code, out, complaint })));
}

const exists = (...path: string[]) => fs.existsSync(join(dir, ...path));
const json = <T>(...path: string[]): T => JSON.parse(fs.readFileSync(join(dir, ...path), "utf8"));
const figures = (out: string): Findings => JSON.parse(out.trim().split("\n").at(-1)!);

/** Without what the clock decides. */
function decided(findings: Findings) {
  const timeless = JSON.stringify(findings.rows, (key, value) => (key === "wall" || key === "cpu" ? 0 : value));
  return { rows: JSON.parse(timeless), ordering: findings.ordering };
}

let straight: Findings;

test("two rows: the table says what the runs' tallies say", async () => {
  const { code, out, complaint } = await table("straight", ["--rows", "grpo,tarl", ...short, "2"]);
  assert.is(code, 0, complaint);
  straight = figures(out);
  assert.equal(
    straight.rows.map(({ name }) => name),
    ["base", "grpo", "tarl"],
  );
  const pass = (run: string, step: number) => {
    const { tallies } = json<Evaluation>("straight", run, "evaluations", `step-${step}.json`);
    assert.is(tallies.length, 4);
    return tallies.reduce((sum, { successes }) => sum + successes, 0) / (4 * 2);
  };
  const [base, grpo, tarl] = [pass("table1-tarl-s1", 0), pass("table1-grpo-s1", 2), pass("table1-tarl-s1", 2)];
  const [atBase, atGrpo, atTarl] = straight.rows;
  assert.equal([atBase.pass[0].mean, atGrpo.pass[0].mean, atTarl.pass[0].mean], [base, grpo, tarl]);
  assert.equal([atTarl.toGrpo[0].mean, atTarl.toBase[0].mean], [tarl - grpo, tarl - base]);
  assert.is(straight.sameStart, true);
  for (const { diagnosis, pass } of [atGrpo, atTarl]) {
    assert.equal([diagnosis!.rollouts, diagnosis!.curve.length, pass.length], [8, 2, 2]);
    assert.ok(diagnosis!.wall > 0 && diagnosis!.cpu > 0);
  }
  for (const name of ["table1.md", "table1.svg", "table1.json"]) assert.ok(exists("straight", name), name);
});

test("kill -9 in the middle of the second run: the same command goes on, and ends in the same table", async () => {
  let timer: NodeJS.Timeout | undefined;
  const killed = await table("killed", ["--rows", "grpo,tarl", ...short, "2"], (out, child) => {
    if (timer || !out.includes("table1-tarl-s1: begins")) return;
    timer = setInterval(() => {
      if (exists("killed", "table1-tarl-s1", "evaluations", "step-0.json")) process.kill(-child.pid!, "SIGKILL");
    }, 5);
  });
  clearInterval(timer);
  assert.is(killed.code, null);
  assert.not.ok(exists("killed", "table1-tarl-s1", "summary.json") || exists("killed", "table1.md"));
  const first = fs.statSync(join(dir, "killed", "table1-grpo-s1", "summary.json")).mtimeMs;
  const { code, out, complaint } = await table("killed", ["--rows", "grpo,tarl", ...short, "2"]);
  assert.is(code, 0, complaint);
  assert.match(out, /2 runs of 8 rollouts, 1 of them finished.*\ntable1-tarl-s1: goes on\n/);
  assert.is(fs.statSync(join(dir, "killed", "table1-grpo-s1", "summary.json")).mtimeMs, first, "not made again");
  assert.equal(decided(figures(out)), decided(straight));
});

test("runs of other options are refused, and nothing is changed", async () => {
  const { code, complaint } = await table("straight", ["--rows", "grpo,tarl", ...short, "3"]);
  assert.is(code, 2);
  const run = join(dir, "straight", "table1-grpo-s1");
  const expected = "expected the same options or another --runs";
  assert.is(complaint, `bench table1: ${run}: was made with --steps 2, not 3; ${expected}\n`);
  assert.is(json<Findings>("straight", "table1.json").plan.steps, 2);
});

test("a run that another process works on stops the bench", async () => {
  fs.cpSync(join(dir, "straight"), join(dir, "used"), { recursive: true });
  for (const file of ["table1-grpo-s1/summary.json", "table1-tarl-s1/summary.json", "table1.md"])
    fs.rmSync(join(dir, "used", file));
  const run = RunDirectory.find(join(dir, "used"), "table1-grpo-s1");
  run.open();
  const { code, complaint } = await table("used", ["--rows", "grpo,tarl", ...short, "2"]);
  assert.is(code, 2);
  assert.match(complaint, /table1-grpo-s1 is in use by process \d+ .*; then the same command goes on/);
  for (const file of ["table1-tarl-s1/summary.json", "table1.md"])
    assert.not.ok(fs.existsSync(join(dir, "used", file)), "nothing else is begun");
  run.close();
});

test("a row that fails is said, and the others are measured", async () => {
  fs.mkdirSync(join(dir, "broken", "table1-grpo-s1"), { recursive: true });
  fs.writeFileSync(join(dir, "broken", "table1-grpo-s1", "notes.txt"), "not a run");
  const { code, out } = await table("broken", ["--rows", "grpo,tarl", ...short, "1"]);
  assert.is(code, 1);
  assert.match(out, /table1-grpo-s1: FAILED: tarl: --run table1-grpo-s1: it exists/);
  assert.equal(
    figures(out).rows.map(({ name }) => name),
    ["base", "tarl"],
  );
  assert.match(fs.readFileSync(join(dir, "broken", "table1.md"), "utf8"), /\*\*FAILED\*\* table1-grpo-s1/);
});

test.run();
