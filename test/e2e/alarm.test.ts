// The alarm "TARL reward up, success down": it rings in a run whose judge can be gamed and is silent with the rules.
// Short runs of the embedded policy, in this process, that learn from the turns alone, where the game shows within ten
// updates; and recorded ones of the whole default run (fixtures/alarm).
// time limit: 600 s

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Config, resolveConfig } from "../../src/config/config.ts";
import { ruleJudge } from "../../src/judge/rules.ts";
import { Table } from "../../src/play.ts";
import { root } from "../../src/root.ts";
import { RunDirectory } from "../../src/run/directory.ts";
import type { StepLine } from "../../src/run/metrics.ts";
import { Observer } from "../../src/run/observer.ts";
import { alarm, Display } from "../../src/run/progress.ts";
import { train } from "../../src/train.ts";
import type { Domain, Judge } from "../../src/types.ts";
import { naiveJudge } from "../naive-judge.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-alarm-"));
test.after(() => fs.rmSync(dir, { recursive: true }));

type Point = Pick<StepLine, "tarl" | "pass">;

/** A run of the embedded policy under a judge: what it said, and the course of reward and success. */
async function history(judgeOf: (domain: Domain) => Judge, values: Partial<Config>) {
  const given = { tarl: true, evalTasks: 0, saveRollouts: false, saveEvery: 1000, ...values };
  const config = resolveConfig("embedded", { values: given, label: (key) => key });
  const table = await Table.open(config);
  const run = RunDirectory.create(dir, judgeOf.name, config);
  const said: string[] = [];
  const display = new Display(fs.createWriteStream("/dev/null") as unknown as NodeJS.WriteStream, (line) =>
    said.push(line),
  );
  const observer = new Observer(run, display, config, 0, table.policy.batchInvariant);
  const stop = { requested: false, signal: new AbortController().signal };
  try {
    await train({ config, table, judge: judgeOf, run, observer, stop }, 0);
  } finally {
    await table.policy.dispose();
  }
  return { said: said.filter((line) => line.startsWith("ALARM: over")), course: run.lines<StepLine>("metrics.jsonl") };
}

/** Turns alone; the outcome would hold the policy back for a while. */
const turnsAlone = { steps: 10, tasksPerStep: 8, warmup: 0, decay: "none", outcomeWeight: 0 } as const;
const mean = (course: readonly Point[], name: keyof Point) =>
  course.reduce((sum, point) => sum + point[name], 0) / course.length;

test("a run whose judge can be gamed rings the alarm, one with the rules does not", async () => {
  const naive = await history(naiveJudge, turnsAlone);
  const rules = await history(ruleJudge, turnsAlone);
  assert.ok(naive.said.length > 0, "it rings");
  assert.equal(rules.said, []);
  assert.ok(mean(naive.course.slice(5), "pass") < mean(rules.course.slice(5), "pass") - 0.1, "it unlearns the work");
});

/** Updates at which the alarm would have rung. */
const rings = (course: readonly Point[]) => course.flatMap((_, i) => (alarm(course.slice(0, i + 1)) ? [i + 1] : []));

test("over whole default runs, with the outcome: the same", () => {
  const recorded = JSON.parse(fs.readFileSync(join(root, "test/fixtures/alarm/histories.json"), "utf8"));
  const courseOf = (name: "naive" | "rules") =>
    recorded[name].map(([tarl, pass]: [number, number]): Point => ({ tarl, pass }));
  assert.is(courseOf("naive").length, 40);
  assert.equal(rings(courseOf("rules")), []);
  assert.ok(rings(courseOf("naive")).length > 0);
});

test.run();
