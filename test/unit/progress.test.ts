// What a person reads: lines, the closing table, the alarm.

import { PassThrough } from "node:stream";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Evaluation, summarize } from "../../src/eval/evaluate.ts";
import {
  alarm,
  closingAlarm,
  closingTable,
  Display,
  duration,
  evaluationLine,
  gradientAlarm,
  mismatchAlarm,
  stepText,
  thousands,
} from "../../src/run/progress.ts";

const evaluation = (successes: number, tarl: number): Evaluation => ({
  tasks: 2,
  trials: 4,
  pass: [successes / 8, 0.25, 0, 0],
  interval: [
    [0.1, 0.9],
    [0, 0.5],
    [0, 0.4],
    [0, 0.4],
  ],
  families: {
    cancel: { tasks: 1, pass1: 0.5, interval: [0.2, 0.8] },
    return: { tasks: 1, pass1: 0, interval: [0, 0.4] },
  },
  waits: 0.125,
  length: 80,
  turns: 6,
  tarl,
  noWriteFailures: 0.25,
  endings: { "user-stop": 7, "turn-limit": 1 },
  causes: { "no-write": 2 },
  toolFaults: {},
  userFaults: {},
  unjudged: {},
  setting: {
    agent: "policy",
    sampling: null,
    domain: "shop",
    profile: "shop",
    checkOutputs: false,
    tasks: "generated",
    user: { kind: "scripted", disturbances: 0 },
    seed: 0,
    turns: 14,
  },
  played: 8,
  faults: 0,
  replays: 0,
  over: [2, 2, 2, 2],
  published: [successes / 8, 0.25, 0, 0],
  tallies: [
    { task: "a", family: "cancel", trials: 4, successes },
    { task: "b", family: "return", trials: 4, successes: 0 },
  ],
});

test("the line of a step shows every figure", () => {
  const shown = {
    step: 3,
    steps: 30,
    reward: 6.213,
    rewardOutcome: 4.5,
    rewardTurns: 2.9,
    rewardMajor: -1.187,
    pass: 0.45,
    turns: 6.12,
    abstained: 0,
  };
  const rest = { kl: 0.00123, mismatch: 0, rolloutSpeed: 1930, trainSpeed: 2400, secondsLeft: 190 };
  assert.match(stepText({ ...shown, ...rest, shared: 0.384 }), /train 2\.4k tok\/s \(38% shared\) {2}left/);
  assert.is(
    stepText({ ...shown, ...rest, shared: 0 }),
    "step 3/30  reward 6.21 (outcome 4.50 turns 2.90 major -1.19)  pass .450  turns 6.1  kl 0.0012  mismatch 0  " +
      "rollout 1.9k tok/s  train 2.4k tok/s  left 3 min 10 s",
  );
  const silent = { abstained: 90, trainSpeed: 0, shared: 1 };
  assert.match(
    stepText({ ...shown, ...rest, ...silent }),
    /1\.9k tok\/s {2}nothing learned {2}no verdict on 90 rollouts {2}left/,
  );
});

test("numbers for people", () => {
  assert.equal([0, 59.4, 60, 3599, 3600, 7260].map(duration), [
    "0 s",
    "59 s",
    "1 min 0 s",
    "59 min 59 s",
    "1 h 0 min",
    "2 h 1 min",
  ]);
  assert.equal([12, 1234, 5_200_000].map(thousands), ["12", "1.2k", "5.20M"]);
});

test("summary.json has the closing table, paired by task", () => {
  const summary = summarize(evaluation(2, 1), evaluation(4, 2), 9, 61.5);
  assert.equal(Object.keys(summary), ["before", "after", "difference", "tasks", "trials", "seed", "wall_s"]);
  const { pass, interval, families, waits, length, turns, tarl, noWriteFailures } = evaluation(2, 1);
  assert.equal(summary.before, { pass, interval, families, waits, length, turns, tarl, noWriteFailures });
  assert.is(summary.difference.pass1, 0.25); // task a: 2/4 -> 4/4, task b: 0 -> 0; mean of 0.5 and 0
  assert.is(summary.difference.interval.length, 2);
  assert.equal([summary.tasks, summary.trials, summary.seed, summary.wall_s], [2, 4, 9, 61.5]);
});

test("the closing table names tasks, families and differences", () => {
  const [before, after] = [evaluation(2, 1), evaluation(4, 2)];
  const rows = closingTable(before, after, summarize(before, after, 1, 60)).split("\n");
  assert.match(rows[0], /^held-out, 2 tasks x 4\s+before\s+after\s+difference$/);
  assert.match(rows[1], /^pass\^1\s+\.250 \[\.100, \.900\]\s+\.500 \[\.100, \.900\]\s+\+\.250 \[-/);
  assert.ok(rows.some((row) => /^ {2}cancel \(1\)\s+\.500/.test(row)));
  assert.ok(rows.some((row) => /^TARL reward\s+1\.00\s+2\.00\s+1\.00$/.test(row)));
  assert.ok(rows.some((row) => /^no-write failures\s+0\.250/.test(row)));
  const short = { ...after, pass: [0.5], families: { cancel: after.families.cancel } };
  assert.not.match(
    closingTable(before, short, summarize(before, short, 1, 60)),
    /pass\^2|return/,
    "only what both have",
  );
});

test("the alarm rings when the reward rises while success falls, and not otherwise", () => {
  const run = (tarl: (i: number) => number, pass: (i: number) => number) =>
    alarm(Array.from({ length: 10 }, (_, i) => ({ tarl: tarl(i), pass: pass(i) })));
  assert.match(
    run(
      (i) => i,
      (i) => 0.6 - 0.03 * i,
    )!,
    /^ALARM: over the last 10 steps the TARL reward rose by 5\.00 while success fell by 0\.150/,
  );
  assert.is(
    run(
      (i) => i,
      (i) => 0.3 + 0.03 * i,
    ),
    null,
  );
  assert.is(
    run(
      (i) => -i,
      (i) => 0.6 - 0.03 * i,
    ),
    null,
  );
  assert.is(
    run(
      (i) => i,
      () => 0.5,
    ),
    null,
  );
  assert.is(
    alarm([
      { tarl: 0, pass: 1 },
      { tarl: 9, pass: 0 },
    ]),
    null,
    "two steps are noise",
  );
  assert.match(
    closingAlarm(evaluation(4, 1), evaluation(2, 3))!,
    /^ALARM: on the held-out tasks the TARL reward rose by 2\.00/,
  );
  assert.is(closingAlarm(evaluation(2, 1), evaluation(4, 3)), null);
});

test("an update that was left out is told, as are conversations that broke off", () => {
  assert.is(gradientAlarm({ step: 3, gradNorm: 2 }), null);
  for (const gradNorm of [Number.NaN, Infinity])
    assert.is(gradientAlarm({ step: 3, gradNorm }), "ALARM: step 3: the gradient is not finite: nothing was updated");
  assert.is(mismatchAlarm({ step: 3, mismatch: 0 }, true), null);
  assert.is(mismatchAlarm({ step: 3, mismatch: 0.1 }, false), null);
  assert.match(
    mismatchAlarm({ step: 3, mismatch: 1e-7 }, true)!,
    /^ALARM: step 3: trainer and sampler differ by 1.0e-7/,
  );
  const broken = { ...evaluation(0, 1), pass: [], interval: [], faults: 8, error: "out of memory" };
  assert.match(
    evaluationLine("before", broken),
    /^before: pass .*\n8 conversations were broken off and are in no figure, the first one: out of memory$/,
  );
  assert.not.match(evaluationLine("before", evaluation(0, 1)), "\n");
});

test("the live line is for terminals only", () => {
  const written = (isTTY: boolean) => {
    const out = Object.assign(new PassThrough(), { isTTY, columns: 20 }) as unknown as NodeJS.WriteStream;
    const log: string[] = [];
    const display = new Display(out, (line) => log.push(line));
    display.live("rollouts 1/96, which is a long line");
    display.line("step 1\nstep 2");
    assert.equal(log, ["step 1", "step 2"]);
    return String(out.read());
  };
  assert.is(written(false), "step 1\nstep 2\n");
  assert.is(written(true), "rollouts 1/96, whic\r\x1b[2Kstep 1\nstep 2\n");
});

test.run();
