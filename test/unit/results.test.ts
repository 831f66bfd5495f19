// An evaluation on disk: what was finished is found again, half a line is not, and other options are refused.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "../../src/errors.ts";
import type { Trial } from "../../src/eval/trial.ts";
import { fingerprint, Results } from "../../src/run/results.ts";

const base = fs.mkdtempSync(join(tmpdir(), "tarl-results-"));
test.after(() => fs.rmSync(base, { recursive: true }));
const identity = { "--agent": "oracle", "--turns": 14 };
const played = { family: "f", seed: 1, ending: "user-stop", outcome: { success: 1 }, turns: 3, length: 9, waits: 0 };
const trial = (task: string, trial: number, given: Partial<Trial> = {}) =>
  ({ ...played, task, trial, ...given }) as unknown as Trial;
const plan = ["a", "b"].flatMap((task) => [0, 1].map((number) => ({ task, trial: number })));
const lines = (dir: string) => fs.readFileSync(join(dir, "rollouts.jsonl"), "utf8");

test("finished conversations are found again, and end in the order of the plan", () => {
  const straight = join(base, "straight");
  const results = Results.open(straight, identity);
  for (const { task, trial: number } of plan) results.add(trial(task, number), [{ role: "user", text: "é" }]);
  results.sort(plan);
  results.close();

  const broken = join(base, "broken");
  const first = Results.open(broken, identity);
  for (const i of [2, 0]) first.add(trial(plan[i].task, plan[i].trial), [{ role: "user", text: "é" }]);
  first.close();
  fs.appendFileSync(join(broken, "rollouts.jsonl"), '{"task":"b","trial":1,"se'); // killed while it wrote
  const second = Results.open(broken, identity);
  assert.is(second.finished, 2);
  assert.equal(second.find("b", 0), trial("b", 0));
  assert.is(second.find("b", 1), undefined);
  for (const i of [3, 1]) second.add(trial(plan[i].task, plan[i].trial), [{ role: "user", text: "é" }]);
  second.sort(plan);
  second.close();
  assert.is(lines(broken), lines(straight));
  assert.equal(fs.readdirSync(broken).sort(), ["config.json", "rollouts.jsonl"]);
});

test("a conversation that was broken off is played again, and its last line is kept", () => {
  const dir = join(base, "spoiled");
  const first = Results.open(dir, identity);
  first.add(trial("a", 0, { ending: "error" }), []);
  first.add(trial("a", 1), []);
  first.close();
  const second = Results.open(dir, identity);
  assert.equal([second.finished, second.find("a", 0)], [1, undefined]);
  second.add(trial("a", 0), []);
  second.sort(plan);
  second.close();
  assert.equal(
    lines(dir)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
      .map(({ trial, ending }) => [trial, ending]),
    [
      [0, "user-stop"],
      [1, "user-stop"],
    ],
  );
});

test("other options, a stranger's folder, a file and a line that is none are refused in one line", () => {
  const refuses = (dir: string, given: Record<string, string | number>, message: RegExp) =>
    assert.throws(
      () => Results.open(join(base, dir), given),
      (error: Error) => error instanceof UsageError && message.test(error.message),
    );
  Results.open(join(base, "mine"), identity).close();
  refuses(
    "mine",
    { ...identity, "--turns": 30 },
    /^--out \/.*mine: was made with --turns 14, not 30; expected the same options or another folder$/,
  );
  refuses("mine", { "--agent": "oracle" }, /was made with --turns 14, not nothing/);
  fs.mkdirSync(join(base, "strange"));
  fs.writeFileSync(join(base, "strange/notes"), "");
  refuses("strange", identity, /^--out .*strange: it exists and is no evaluation; expected a new or empty folder$/);
  refuses("strange/notes", identity, /it exists and is no evaluation/);
  refuses("strange/notes/in", identity, /expected a folder that can be written to$/);
  for (const [line, message] of [
    ["{", /rollouts\.jsonl:2: not JSON/],
    ["{}", /rollouts\.jsonl:2: has no task; expected a line of an evaluation$/],
    [JSON.stringify({ ...trial("b", 0), turns: undefined }), /rollouts\.jsonl:2: has no turns; /],
    ["null", /rollouts\.jsonl:2: has no task/],
  ] as const) {
    fs.writeFileSync(join(base, "mine/rollouts.jsonl"), `${JSON.stringify(trial("a", 0))}\n${line}\n`);
    refuses("mine", identity, message);
  }
});

test("one process at a time", () => {
  const dir = join(base, "locked");
  const results = Results.open(dir, identity);
  assert.throws(() => Results.open(dir, identity), /is in use by process/);
  results.close();
  const dead = spawnSync(process.execPath, ["-e", "0"]).pid;
  fs.writeFileSync(join(dir, "lock"), `${dead} 12345`);
  Results.open(dir, identity).close();
});

test("a fingerprint tells other files under the same names", () => {
  const dir = join(base, "model");
  fs.mkdirSync(dir);
  const write = (text: string) => fs.writeFileSync(join(dir, "model.safetensors"), text);
  write("one");
  const one = fingerprint(dir, /\.safetensors$/);
  fs.writeFileSync(join(dir, "README.md"), "beside it");
  assert.is(fingerprint(dir, /\.safetensors$/), one);
  write("two");
  assert.is.not(fingerprint(dir, /\.safetensors$/), one);
  assert.is(fingerprint(join(dir, "README.md"), /x/).length, 16);
});

test.run();
