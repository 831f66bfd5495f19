// `tarl tasks rate` is killed while it plays: the same command goes on with what was finished, another one is refused.
// time limit: 300 s

import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { tarlArgs } from "../../bench/command.ts";
import { sharedGrader } from "../../src/grading/grader.ts";
import type { Task } from "../../src/types.ts";
import { runIn } from "../command.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-rate-"));
test.after(() => {
  sharedGrader().close();
  fs.rmSync(dir, { recursive: true });
});

const line = "tasks rate --domain math --count 300 --trials 2 --least 0 --most 1 --threads 1".split(" ");
const linesOf = (file: string) => fs.readFileSync(join(dir, file), "utf8").trim().split("\n");
const rates = (name: string) => linesOf(`${name}/train.jsonl`).map((each) => JSON.parse(each) as Task);

test("a rating that is killed goes on with the same command, and with no other", async () => {
  const played = "killed.rating/rollouts.jsonl";
  const child = spawn(process.execPath, tarlArgs([...line, "--out", "killed"]), { cwd: dir });
  const ended = once(child, "close");
  const begun = () => fs.existsSync(join(dir, played)) && fs.statSync(join(dir, played)).size > 0;
  while (!begun() && child.exitCode === null) await delay(1);
  child.kill("SIGKILL");
  await ended;
  assert.not.ok(fs.existsSync(join(dir, "killed")), "it was killed on the way");
  const finished = linesOf(played);
  assert.ok(finished.length < 600, `${finished.length}`);

  // What is finished is believed: one conversation is made to have come out the other way.
  const first = JSON.parse(finished[0]);
  first.outcome.success = 1 - first.outcome.success;
  fs.writeFileSync(join(dir, played), `${[JSON.stringify(first), ...finished.slice(1)].join("\n")}\n`);
  const other = await runIn(dir, [...line, "--out", "killed", "--turns", "9"]);
  assert.is(other.code, 2);
  assert.match(other.err, /killed\.rating: was made with --turns \d+, not 9/);
  for (const out of ["killed", "straight"]) {
    const { code, err } = await runIn(dir, [...line, "--out", out]);
    assert.is(code, 0, err);
    assert.not.ok(fs.existsSync(join(dir, `${out}.rating`)));
  }
  const straight = rates("straight");
  assert.is(straight.length, 300);
  const change = first.outcome.success - 0.5;
  const changed = straight.map((task) => (task.id === first.task ? { ...task, rate: task.rate! + change } : task));
  assert.equal(rates("killed"), changed);
});

test.run();
