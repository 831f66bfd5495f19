// A policy from nothing on a folder's domain: init, one update, and going on with the run from elsewhere, or
// without the policy that it began with.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { tarlArgs } from "../../bench/command.ts";
import { root } from "../../src/root.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-own-run-"));
test.after(() => fs.rmSync(dir, { recursive: true }));
fs.cpSync(join(root, "examples/library"), join(dir, "lending"), { recursive: true });

function tarl(cwd: string, ...args: string[]) {
  return spawnSync(process.execPath, tarlArgs(args), { cwd, encoding: "utf8" });
}

test("init, train and resume take a folder", () => {
  const small = "--layers 1 --hidden 16 --heads 1 --kv-heads 1 --head-dim 16 --ffn 16 --demonstrations 20 --vocab 600";
  const made = tarl(dir, "init", "--domain", "./lending", "--out", "start", ...small.split(" "));
  assert.is(made.status, 0, made.stderr);
  const short = "--steps 1 --tasks-per-step 2 --samples 2 --turns 2 --turn-tokens 8 --eval-tasks 0 --threads 1";
  const room = "--prompt-tokens 1500 --context-tokens 2048 --tarl";
  const line = ["--model", "start", "--domain", "./lending", ...short.split(" "), ...room.split(" ")];
  const trained = tarl(dir, ...line);
  assert.is(trained.status, 0, trained.stderr);
  const run = join(dir, "runs/lending-grpo-tarl-s1");
  const config = JSON.parse(fs.readFileSync(join(run, "config.json"), "utf8"));
  assert.is(config.domain, fs.realpathSync(join(dir, "lending")));
  assert.ok(fs.existsSync(join(run, "checkpoints/step-1/model.safetensors")));
  const { transcript, task } = JSON.parse(fs.readFileSync(join(run, "rollouts/step-1.jsonl"), "utf8").split("\n")[0]);
  assert.match(JSON.stringify([transcript, task]), /library\/\d+\/|book/);
  const resumed = tarl(tmpdir(), "--resume", run);
  assert.is(resumed.status, 0, resumed.stderr);
});

test("a resume whose model is gone, to which the KL is, says so and has thrown nothing away", () => {
  const run = join(dir, "runs/lending-grpo-tarl-s1");
  const metrics = join(run, "metrics.jsonl");
  const later = { ...JSON.parse(fs.readFileSync(metrics, "utf8")), step: 2 }; // as of a kill after the checkpoint
  fs.appendFileSync(metrics, `${JSON.stringify(later)}\n`);
  const written = fs.readFileSync(metrics, "utf8");
  fs.renameSync(join(dir, "start"), join(dir, "elsewhere"));
  const { status, stderr } = tarl(dir, "--resume", run);
  fs.renameSync(join(dir, "elsewhere"), join(dir, "start"));
  assert.is(status, 2);
  assert.match(stderr, /^tarl: --model .*start: no such folder; /);
  assert.is(fs.readFileSync(metrics, "utf8"), written);
});

test("a recipe names its folder as seen from where it is", () => {
  const recipe = join(dir, "lending/recipe.json");
  const short = fs.readFileSync(recipe, "utf8").replace('"tokens": 300000', '"tokens": 2000, "batchTokens": 1000');
  fs.writeFileSync(recipe, short);
  const room = "--prompt-tokens 1500 --context-tokens 2048 --threads 1";
  const taught = tarl(
    dir,
    "sft",
    "--model",
    "start",
    "--recipe",
    "lending/recipe.json",
    ...room.split(" "),
    "--run",
    "talk",
  );
  assert.is(taught.status, 0, taught.stderr);
  const { recipe: kept } = JSON.parse(fs.readFileSync(join(dir, "runs/talk/config.json"), "utf8"));
  assert.is(kept.domain, fs.realpathSync(join(dir, "lending")));
});

test.run();
