// What a person is told of a run's updates: the alarm looks at those that taught something, of what was played.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RunDirectory } from "../../src/run/directory.ts";
import type { StepLine } from "../../src/run/metrics.ts";
import { Observer } from "../../src/run/observer.ts";
import { Display } from "../../src/run/progress.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-observer-"));
test.after(() => fs.rmSync(dir, { recursive: true }));

/** What is said of ten updates: success falls from .9 to .5 while the TARL reward rises from 0 to 5. */
function said(early: Partial<StepLine>): string[] {
  const run = RunDirectory.create(dir, RunDirectory.freeName(dir, "run"), {});
  const lines: string[] = [];
  const display = new Display(fs.createWriteStream("/dev/null") as unknown as NodeJS.WriteStream, (line) =>
    lines.push(line),
  );
  const observer = new Observer(run, display, { steps: 20, klCoef: 0 }, 0, true);
  const none = { reward: 0, rewardOutcome: 0, rewardTurns: 0, rewardMajor: 0, turns: 0, length: 0, abstained: 0 };
  const line = { ...none, domain: "shop", rollouts: 4, excluded: 0, gradNorm: 1, mismatch: 0, approxKl: 0, tokens: 0 };
  for (let step = 1; step <= 10; step++) {
    const late = step > 5;
    const own = { ...line, step, tarl: late ? 5 : 0, pass: late ? 0.5 : 0.9, ...(late ? {} : early) };
    observer.updated(own as unknown as StepLine);
  }
  return lines.filter((text) => text.startsWith("ALARM"));
}

test("a reward that rises while success falls is told of", () => {
  assert.is(said({}).length, 1);
});

test("updates without anything to learn from, whose reward is no reward, and others' domains are not in it", () => {
  assert.equal(said({ excluded: 4 }), []);
  assert.equal(said({ domain: "math" }), []);
});

test.run();
