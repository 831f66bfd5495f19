// Runs that learn from a set, by the real command: they go on with the files that they began with, and with no others.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { tarlArgs } from "../../bench/command.ts";
import { shop } from "../../src/domains/shop/index.ts";
import { writeSet } from "../../src/tasks/set.ts";
import type { Dialogue } from "../../src/types.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-sets-"));
test.after(() => fs.rmSync(dir, { recursive: true }));

function tarl(...args: string[]) {
  return spawnSync(process.execPath, tarlArgs(args), {
    cwd: dir,
    encoding: "utf8",
  });
}

/** Resumes a finished run on the same set, then on one that was made anew, then on none. */
function resumes(line: readonly string[], run: string, set: string, make: (count: number) => void): void {
  make(4);
  const first = tarl(...line, "--run", run, "--threads", "1");
  assert.is(first.status, 0, first.stderr);
  const resume = [...line.slice(0, Number(line[0] === "sft")), "--resume", run];
  const same = tarl(...resume);
  assert.is(same.status, 0, same.stderr);
  const path = join(fs.realpathSync(dir), set);
  fs.rmSync(path, { recursive: true });
  make(5);
  const other = tarl(...resume);
  const said = `tarl: --resume ${run}: ${path} has changed since the run began; expected the same files, or a new run\n`;
  assert.equal([other.status, other.stderr], [2, said]);
  fs.rmSync(path, { recursive: true });
  const none = tarl(...resume);
  assert.is(none.status, 2);
  assert.match(none.stderr, `${path}: no such task set\n`);
}

test("training on a task set", () => {
  const tasks = [1, 2, 3, 4, 5].map((index) => shop.task("return", index, 0)!).filter((task) => task !== null);
  const make = (count: number) =>
    void writeSet(join(dir, "tasks"), {
      kind: "tasks",
      domain: "shop",
      source: "test",
      splits: { train: tasks.slice(0, count - 1), test: tasks.slice(count - 1) },
    });
  const short = "--steps 1 --tasks-per-step 2 --samples 2 --turns 3 --eval-tasks 0";
  resumes(["--tasks", "tasks", ...short.split(" ")], "desk", "tasks", make);
});

test("supervised training on a set of dialogues", () => {
  const talk = (i: number): Dialogue => ({
    id: `d/${i}`,
    system: "Help.",
    tools: [],
    turns: [
      { role: "user", text: `Hello, it is ${i}.` },
      { role: "agent", text: "Hello.", calls: [] },
    ],
  });
  const make = (count: number) =>
    void writeSet(join(dir, "talks"), {
      kind: "dialogues",
      source: "test",
      splits: { train: Array.from({ length: count }, (_, i) => talk(i)) },
    });
  const recipe = {
    domain: "shop",
    optimizer: { kind: "adamw" },
    dialogues: "talks",
    phases: [{ name: "talk", tokens: 300, batchTokens: 100, lr: 0.001, length: 100, dialogues: 1 }],
  };
  fs.writeFileSync(join(dir, "recipe.json"), JSON.stringify(recipe));
  resumes(["sft", "--recipe", "recipe.json"], "taught", "talks", make);
});

test.run();
