// The domain math: problems are what they say (read and worked out here once more, from the text alone), sides do not share
// one, the expert is right without habits and wrong with them, a session ends with the first message.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { math } from "../../src/domains/math/index.ts";
import { sharedGrader } from "../../src/grading/grader.ts";
import { ruleJudge } from "../../src/judge/rules.ts";
import { heldOutDatabases, mix, sampleTasks, trainDatabases } from "../../src/tasks/sampler.ts";
import type { Task } from "../../src/types.ts";
import { always, oracle, playTalk, say, someTasks } from "../talk.ts";

const mixOfAll = mix(math, [], 0.15);
const trained = sampleTasks(math, mixOfAll, trainDatabases(1000), 600, "t");
const heldOut = sampleTasks(math, mixOfAll, heldOutDatabases(), 600, "h");
const text = (task: Task) => task.scenario.opening;

/** What a text asks for, by its family alone. */
function solve({ family, scenario: { opening } }: Task): number {
  const [a, b, c] = opening.match(/\d+/g)!.map(Number);
  if (family === "add") return a + b;
  if (family === "multiply") return a * b;
  if (family === "most") return Math.max(a, b, c);
  if (family === "change") return opening.startsWith("I have") ? a - b - c : c - a - b;
  return Math.abs(a - b); // subtract and missing
}

test("the answer of a problem is what its text comes to", () => {
  for (const task of [...trained, ...heldOut]) {
    assert.is(Number(task.outputs[0]), solve(task), text(task));
    assert.ok(solve(task) > 0 && solve(task) < 100, text(task));
  }
});

test("no text is trained on and held out; every family is on both sides", () => {
  const known = new Set(trained.map(text));
  assert.equal(
    heldOut.map(text).filter((problem) => known.has(problem)),
    [],
  );
  for (const side of [trained, heldOut])
    assert.is(new Set(side.map(({ family }) => family)).size, math.families.length);
});

test("a problem is a function of database, family and index; there are sixteen", () => {
  const [task] = trained;
  const index = Number(task.id.split("/").at(-1));
  assert.equal(math.task(task.family, task.database, index), task);
  assert.is(math.task("add", 1, 16), null);
});

test("the oracle solves everything with its first message", async () => {
  for (const task of someTasks(math, 8)) {
    const { outcome, turns, ending } = await playTalk(math, task, math.expert!(task, oracle, 0));
    assert.equal([outcome.success, turns, ending], [1, 1, "user-stop"], text(task));
  }
});

test("an expert who slips is right about half of the time, and never says another problem's numbers", async () => {
  const habits = { ...oracle, wrongChoice: 0.6 };
  const tasks = trained.slice(0, 400);
  const rollouts = await Promise.all(tasks.map((task, i) => playTalk(math, task, math.expert!(task, habits, i))));
  const rate = rollouts.filter(({ outcome }) => outcome.success).length / tasks.length;
  assert.ok(rate > 0.5 && rate < 0.68, `${rate}`); // slips of .6, of which one in four to one in three changes nothing
});

test("doing nothing and refusing win nothing; a right answer in other words wins", async () => {
  const [task] = trained;
  for (const words of ["Okay.", "Sorry, I cannot do that.", `${Number(task.outputs[0]) + 1}`])
    assert.is((await playTalk(math, task, always(say(words)))).outcome.success, 0, words);
  const right = await playTalk(math, task, always(say(`So the answer is \\boxed{${task.outputs[0]}.0}`)));
  assert.equal([right.outcome.success, right.outcome.outputsSaid], [1, true]);
});

test("the rule judge has no turns to score, which is no abstention", async () => {
  const rollout = await playTalk(math, trained[0], always(say("7")));
  assert.equal(await ruleJudge(math).judge(rollout), { scores: null, reasons: [] });
});

test("drills are right: calculations, rows of numbers, numbers behind names", () => {
  for (let seed = 0; seed < 50; seed++) {
    const lines = (name: string) =>
      math
        .drills![name](seed)
        .map(({ text }) => text)
        .join("")
        .trim()
        .split("\n");
    for (const line of lines("facts")) {
      const [, a, sign, b, result] = /^(\d+)([-+*])(\d+)=(\d+)\.$/.exec(line)!;
      assert.is({ "+": +a + +b, "-": +a - +b, "*": +a * +b }[sign], +result, line);
    }
    for (const line of lines("counts")) {
      const row = line.split(",").map(Number);
      assert.equal(
        row,
        [0, 1, 2, 3, 4].map((i) => row[0] + i),
      );
    }
    const [shown, ...asked] = lines("numbers");
    assert.ok(asked.every((line) => shown.split(", ").includes(line)));
  }
});

test.after(() => sharedGrader().close());

test.run();
