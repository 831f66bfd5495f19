// The comparison of all algorithms: intervals over tasks and seeds worked by hand, with Student's quantiles from printed
// tables; the ordering; what is written. Runs nothing: test/e2e/table.test.ts does.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { crossed, differenceOf, type Estimate, passOf } from "../../bench/table1/crossed.ts";
import { findingsOf, orderingOf, type Trained, verdictOf } from "../../bench/table1/findings.ts";
import { markdown } from "../../bench/table1/markdown.ts";
import { readOptions } from "../../bench/table1/options.ts";
import { picture } from "../../bench/table1/picture.ts";
import { budgetOf, cellOf, type Plan, paperOrder, rows } from "../../bench/table1/rows.ts";
import { hashOf, type Made } from "../../bench/table1/runs.ts";
import { UsageError } from "../../src/errors.ts";
import type { Tally } from "../../src/eval/metrics.ts";

/** t(.975) with 2 and 3 degrees of freedom, as tables print it. */
const [t2, t3] = [4.302653, 3.182446];

const near = (value: number, wanted: number) => assert.ok(Math.abs(value - wanted) < 1e-6, `${value} is not ${wanted}`);

/** Tasks "a", "b" ... with so many successes. */
const tallies = (trials: number, ...successes: number[]): Tally[] =>
  successes.map((own, i) => ({ task: String.fromCharCode(97 + i), family: "f", trials, successes: own }));

test("variance of the mean of crossed seeds and tasks: both are counted, degrees after Satterthwaite", () => {
  // Seed means 2/3, 1/3: variance 1/18, of their mean 1/36. Task means 1/2, 0, 1: 1/4, of their mean 1/12.
  // (1/9)^2 / ((1/36)^2 / 1 + (1/12)^2 / 2) = 32 / 11.
  const both = crossed([
    [1, 0, 1],
    [0, 0, 1],
  ]);
  near(both.mean, 1 / 2);
  near(both.variance, 1 / 9);
  near(both.degrees, 32 / 11);

  const seedsAlone = crossed([
    [1, 1],
    [0, 0],
    [1, 1],
  ]);
  near(seedsAlone.variance, 1 / 9);
  near(seedsAlone.degrees, 2);

  const oneSeed = crossed([[1, 0, 1, 0]]);
  near(oneSeed.variance, 1 / 12);
  near(oneSeed.degrees, 3);
  assert.equal(crossed([[1]]), { mean: 1, variance: 0, degrees: 0 });
});

test("pass^k of several seeds: Wilson's interval on the trials that have this variance, with Student's quantile", () => {
  // 1, 1/2 and 1/2, 0: V = 1/16 + 1/16, 2 degrees, n = (1/4) / (1/8) = 2. At p = 1/2 Wilson's half is
  // sqrt((z^2 / n) / (1 + z^2 / n)) / 2.
  const found = passOf([tallies(2, 2, 1), tallies(2, 1, 0)], 1)!;
  const square = t2 ** 2 / 2;
  const half = Math.sqrt(square / (1 + square)) / 2;
  assert.equal([found.mean, found.tasks, found.seeds], [0.5, 2, 2]);
  near(found.interval[0], 0.5 - half);
  near(found.interval[1], 0.5 + half);
  // pass^2 is 1 for two of two and 0 for one: 1, 0 and 0, 0.
  assert.is(passOf([tallies(2, 2, 1), tallies(2, 1, 0)], 2)!.mean, 0.25);
});

test("pass^k without spread, of one seed, and without tasks", () => {
  // No success in 4 tasks: Wilson's upper limit is z^2 / (4 + z^2), z = 1.959964.
  const none = passOf([tallies(4, 0, 0, 0, 0), tallies(4, 0, 0, 0, 0)], 1)!;
  assert.is(none.mean, 0);
  assert.is(none.interval[0], 0);
  near(none.interval[1], 3.841459 / 7.841459);
  assert.equal(passOf([tallies(4, 0, 0, 0, 0)], 1)!.interval, none.interval, "one seed: the same tasks");
  assert.is(passOf([tallies(1, 1)], 2), null, "no task has two trials");
  const cut = passOf([tallies(2, 1, 1), [...tallies(2, 1), { ...tallies(1, 0, 0)[1] }]], 2)!;
  assert.is(cut.tasks, 1, "tasks that have k trials in every seed");
});

test("a difference is paired by task and by seed", () => {
  // Gains 1, 0, 1, 0 with either seed: no variance between seeds, 1/12 between tasks, 3 degrees.
  const one = [tallies(1, 1, 1, 1, 0), tallies(1, 1, 0, 1, 1)];
  const other = [tallies(1, 0, 1, 0, 0), tallies(1, 0, 0, 0, 1)];
  const found = differenceOf(one, other, 1)!;
  assert.equal([found.mean, found.tasks, found.seeds], [0.5, 4, 2]);
  near(found.interval[0], 0.5 - t3 * Math.sqrt(1 / 12));
  assert.is(found.interval[1], 1, "no difference is larger");
  // Gains 1, 0, 1 and 0, 0, 1, as above: 32 / 11 degrees, rounded down.
  const wide = differenceOf([tallies(1, 1, 0, 1), tallies(1, 0, 0, 1)], [tallies(1, 0, 0, 0), tallies(1, 0, 0, 0)], 1)!;
  near(wide.interval[0], 0.5 - t2 / 3);
  assert.equal(differenceOf(other, one, 1)!.interval[0], -1);
});

test("a difference without spread: what others may bring", () => {
  const same = [tallies(2, 1, 2, 0, 0)];
  const { mean, interval } = differenceOf(same, same, 1)!;
  assert.is(mean, 0);
  near(interval[1], 3.841459 / 7.841459);
  near(interval[0], -3.841459 / 7.841459);
  assert.equal(differenceOf([tallies(1, 1)], [tallies(1, 0)], 1)!.interval, [-1, 1], "one task says nothing of others");
  assert.throws(() => differenceOf(same, [...same, ...same], 1), /1 and 2 seeds/);
});

const estimate = (mean: number, low: number, high: number): Estimate => ({
  ...{ mean, interval: [low, high] as const },
  ...{ tasks: 4, seeds: 3 },
});

test("an ordering is stated from the data, pair by pair", () => {
  const gains: { readonly [pair: string]: Estimate } = {
    "a b": estimate(0.2, 0.1, 0.3),
    "a c": estimate(-0.2, -0.3, -0.1),
    "b c": estimate(0, -0.1, 0.1),
    "b d": estimate(0.1, 0, 0.2),
  };
  const claims = orderingOf([["a"], ["b", "c"], ["d"]], (lower, higher) => gains[`${lower} ${higher}`] ?? null);
  assert.equal(
    claims.map(({ lower, higher, paper, found }) => [lower, higher, paper, found]),
    [
      ["a", "b", "lower", "higher"],
      ["a", "c", "lower", "lower"],
      ["b", "c", "level", "not told apart"],
      ["b", "d", "lower", "not told apart"],
      ["c", "d", "lower", null],
    ],
  );
  assert.is(verdictOf(estimate(0.1, 0, 0.2)), "not told apart", "an interval that ends at 0 holds it");
});

test("the paper's ordering names rows that there are, and its own figures rise with it", () => {
  const placed = paperOrder.map((place) =>
    place.map((name) => rows.find((row) => row.name === name)!.published!.pass[0]),
  );
  for (const [i, place] of placed.slice(1).entries())
    assert.ok(Math.min(...place) > Math.max(...placed[i]), `place ${i + 1}`);
});

const plan: Plan = { steps: 2, tasksPerStep: 3, samples: 4, evalTasks: 2, trials: 2 };

test("a cell is a run with its own name and options", () => {
  const row = rows.find(({ name }) => name === "tarl")!;
  const { run, flags, config } = cellOf(row, 7, plan);
  assert.is(run, "table1-tarl-s7");
  assert.is(
    flags.join(" "),
    "--algo grpo --tarl --seed 7 --steps 2 --tasks-per-step 3 --samples 4 --eval-tasks 2 --trials 2 --keep 1 --no-save-rollouts",
  );
  assert.equal([config.seed, config.tarl, config.steps, config.saveRollouts], [7, true, 2, false]);
  assert.not.equal(hashOf(config), hashOf(cellOf(row, 8, plan).config));
  assert.is(hashOf(config), hashOf(Object.fromEntries(Object.entries(config).reverse()) as never), "in any order");
  for (const each of rows) if (each.values) assert.is(cellOf(each, 1, plan).row, each.name);
  const { tasksPerStep, samples } = cellOf(rows.find(({ name }) => name === "spo")!, 1, plan).config;
  assert.equal([tasksPerStep, samples], [12, 1], "a single stream has the budget of the others");
  assert.throws(() => cellOf({ name: "x", title: "X", values: { algo: "magic" } }, 1, plan), /^row x: --algo magic:/);
});

/** A run that starts from 0 of 2 with both tasks and ends with so many successes of 2. */
function made(seed: number, successes: readonly [number, number], more: { pass?: number[]; tarl?: number } = {}): Made {
  const evaluation = (own: Tally[], tarl: number) =>
    ({ tallies: own, pass: [0.5], waits: seed, length: 10, turns: 4, tarl, noWriteFailures: 0.5 }) as never;
  return {
    seed,
    before: evaluation(tallies(2, 0, 0), 1),
    after: evaluation(tallies(2, ...successes), more.tarl ?? 2),
    steps: (more.pass ?? [0.25, 0.75]).map(
      (pass, i) =>
        ({ step: 2 * i + 1, pass, tarl: 0, flatGroups: pass, rollouts: 12, abstained: 3, excluded: 0 }) as never,
    ),
    beside: [{ pass: [0.25] }, { pass: [0.25 + seed / 4] }] as never,
    mixed: [{ step: 2, pass: 1, rollouts: 12, abstained: 12 } as never],
    ...{ wall: 60 * seed, cpu: 100 },
  };
}

const rowNamed = (name: string) => rows.find((row) => row.name === name)!;
const trained: readonly Trained[] = [
  { row: rowNamed("base"), made: [] },
  { row: rowNamed("rloo"), made: [made(1, [1, 0])] },
  { row: rowNamed("grpo"), made: [made(1, [2, 1]), made(2, [1, 0])] },
];
const found = findingsOf(trained, { ...plan, seeds: [1, 2], rollouts: budgetOf(plan) });

test("findings: means over seeds and tasks, paired differences over the seeds that both rows have", () => {
  const [base, rloo, grpo] = found.rows;
  assert.is(found.plan.rollouts, 24);
  assert.equal([base.pass[0].mean, rloo.pass[0].mean, grpo.pass[0].mean], [0, 0.25, 0.5]);
  assert.equal([base.seeds, rloo.seeds, grpo.seeds], [[], [1], [1, 2]]);
  assert.equal([grpo.waits, grpo.length, grpo.turns], [1.5, 10, 4]);
  assert.equal(grpo.toGrpo, []);
  assert.equal([grpo.toBase[0].mean, grpo.toBase[0].seeds, grpo.toBase[1].mean], [0.5, 2, 0.25]);
  assert.equal([rloo.toGrpo[0].mean, rloo.toGrpo[0].seeds], [-0.5, 1], "seed 1 alone: 1/4 less 3/4");
  const { tarl, noWriteFailures, flatGroups, rollouts, mixed, mixedPass, abstained, wall, curve, alarms } =
    grpo.diagnosis!;
  assert.equal([tarl, noWriteFailures, flatGroups], [[1, 2], [0.5, 0.5], 0.5]);
  assert.equal(mixedPass, [0.25, 0.625]);
  assert.equal([rollouts, mixed, abstained, wall, alarms], [24, 12, 0.25, 90, 0]);
  assert.equal(curve, [
    [1, 0.25],
    [3, 0.75],
  ]);
  assert.is(base.diagnosis, null);
  assert.is(found.sameStart, true);
});

test("findings: another start is seen; a row without a run is left out", () => {
  const other = { ...made(2, [1, 0]), before: made(2, [1, 1]).after };
  const rows = [trained[0], { ...trained[1], made: [] }, { ...trained[2], made: [made(1, [1, 1]), other] }];
  const { sameStart, rows: there } = findingsOf(rows, found.plan);
  assert.is(sameStart, false);
  assert.equal(
    there.map(({ name }) => name),
    ["base", "grpo"],
  );
});

test("Markdown: every row, the ordering in words, what failed", () => {
  const report = {
    ...found,
    ...{ command: "npm run bench -- table1", commits: ["abc"], machine: "a machine", hashes: {} },
    failures: [{ run: "table1-ppo-s1", why: "it broke" }],
  };
  const page = markdown(report, "table1.svg");
  assert.match(page, "| SPO (RLOO) | 1 | 1.00 | 10 | 4.00 | .250 [");
  assert.match(page, "24 in all");
  assert.match(page, "- **FAILED** table1-ppo-s1: it broke");
  assert.match(page, /\| Base < SPO \(RLOO\) \| not told apart \| \.250 \[/);
  assert.match(page, "| SPO (RLOO) < PPO | not run |  |");
  assert.match(
    page,
    "| GRPO | 1.00 -> 2.00 | .500 -> .500 | 24 | 12 | .250 -> .625 | .500 | .250 | .000 | 0 | 1 min 30 s | 1 min 40 s |",
  );
  assert.not.match(page, "no row can be compared");
  for (const line of page.split("\n").filter((line) => /^\|/.test(line)))
    assert.not.match(line, /undefined|NaN|null/, line);
});

test("the picture: one drawing with closed elements, a mark for every figure, inside its frame", () => {
  const drawn = picture(found);
  const open: string[] = [];
  for (const [, end, name, empty] of drawn.replace(/<style>.*?<\/style>/s, "").matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)) {
    if (end) assert.is(open.pop(), name);
    else if (!empty) open.push(name);
  }
  assert.equal(open, []);
  assert.is(drawn.match(/<circle class="k1" [^>]*r="3.5"/g)?.length, 3 + 2, "pass^1 of three rows, two differences");
  assert.is(drawn.match(/<polyline class="curve"/g)?.length, 2);
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(drawn)!.map(Number);
  for (const [, axis, at] of drawn.matchAll(/ (c?[xy])[12]?="([^"]+)"/g))
    assert.ok(Number(at) >= 0 && Number(at) <= (axis.endsWith("x") ? width : height), `${axis} ${at}`);
  assert.not.match(drawn, /NaN|Infinity|undefined/);
  assert.match(drawn, "prefers-color-scheme: dark");
});

test("options: what is asked for, and one line about what is wrong", () => {
  const asked = readOptions(["--rows", "tarl,grpo", "--seeds", "4,5", "--steps", "2", "--out", "there"]);
  assert.equal(
    asked.rows.map(({ name }) => name),
    ["base", "grpo", "tarl"],
  );
  assert.equal([asked.seeds, asked.plan.steps, asked.plan.evalTasks, asked.plan.trials], [[4, 5], 2, 200, 4]);
  assert.equal([asked.runs, asked.out], ["runs", ["there"]]);
  assert.is(readOptions([]).rows.length, rows.length);
  for (const [args, message] of [
    ["--rows grpo,magic", `--rows magic: expected some of ${rows.map(({ name }) => name).join(",")}`],
    ["--rows base", "--rows base: it is measured by the runs of others; expected one of them beside it"],
    ["--seeds 1,two", "--seeds 1,two: expected whole numbers, such as 1,2,3"],
    ["--seeds 1,1", "--seeds 1,1: one of them stands there twice"],
    ["--trials 0", "--trials 0: expected a whole number of 1 or more"],
    ["--what", "Unknown option '--what'"],
  ] as const)
    assert.throws(
      () => readOptions(args.split(" ")),
      (error: Error) => error instanceof UsageError && error.message === message,
      args,
    );
});

test.run();
