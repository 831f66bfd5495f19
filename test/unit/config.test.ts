// The table of options: presets, precedence, and what is said about bad input.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Config, flagName, fromText, options, presets, resolveConfig } from "../../src/config.ts";
import { UsageError } from "../../src/errors.ts";
import { advantageOptions, lossOptions, optimizerOptions, packOptions } from "../../src/settings.ts";

const typed = (values: Record<string, unknown>) => ({ values, label: flagName });
const resolve = (values: Record<string, unknown>, preset = "embedded") => resolveConfig(preset, typed(values));

test("every option has a default that it accepts itself, a unit, a text and a source", () => {
  for (const [key, option] of Object.entries(options)) {
    for (const value of [option.default, option.paper ?? option.default])
      assert.ok((option.schema as { safeParse(x: unknown): { success: boolean } }).safeParse(value).success, key);
    assert.ok(option.unit.length > 0, `${key} has no unit`);
    assert.ok(option.help.length > 0, key);
    assert.ok(["paper", "ours", "measured"].includes(option.source), key);
  }
});

test("the preset paper is what is known of the paper", () => {
  const paper = resolveConfig("paper");
  const known: Partial<Config> = {
    tasksPerStep: 32,
    samples: 4,
    lr: 1e-6,
    temperature: 0.7,
    topP: 0.95,
    turnTokens: 1024,
    contextTokens: 32_768,
    turns: 30,
    outcomeWeight: 10,
    turnsWeight: 5,
    majorWeight: 5,
    clipLow: 0.2,
    clipHigh: 0.2,
    klCoef: 0.001,
    klKind: "k3",
    epochs: 1,
    maxGradNorm: 1,
    tarl: true,
    credit: "trajectory",
  };
  for (const [key, value] of Object.entries(known)) assert.is(paper[key as keyof Config], value, key);
  assert.ok(paper.steps >= 200 && paper.steps <= 300);
});

test("later values lie over earlier ones, and the preset under all", () => {
  const file = { values: { lr: 0.1, seed: 7 }, label: (key: string) => `run.json: ${key}` };
  const config = resolveConfig("embedded", file, typed({ lr: 0.2 }));
  assert.is(config.lr, 0.2);
  assert.is(config.seed, 7);
  assert.is(config.tasksPerStep, presets.embedded.tasksPerStep);
});

const bad: [values: Record<string, unknown>, message: RegExp][] = [
  [{ lr: "abc" }, /^--lr abc: expected a number above 0$/],
  [{ lr: Number.NaN }, /^--lr NaN: expected/],
  [{ evalTemperature: 1e-39 }, /^--eval-temperature 1e-39: expected 0, or a number of at least 0.000001$/],
  [{ evalTemperature: Infinity }, /^--eval-temperature Infinity: expected/],
  [{ temperature: 1e-39 }, /^--temperature 1e-39: expected a number of at least 0.000001$/],
  [{ lr: Infinity }, /^--lr Infinity: expected/],
  [{ lr: 0 }, /^--lr 0: expected a number above 0$/],
  [{ lr: ["1", "2"] }, /^--lr \["1","2"\]: expected/],
  [{ tasksPerStep: 1.5 }, /^--tasks-per-step 1.5: expected a whole number from 1 to 65536$/],
  [{ tasksPerStep: -1 }, /^--tasks-per-step -1: expected/],
  [{ tasksPerStep: "" }, /^--tasks-per-step "": expected/],
  [{ algo: "ppo" }, /^--algo ppo: expected grpo or rloo$/],
  [{ tarl: "maybe" }, /^--tarl maybe: expected true or false$/],
  [{ topP: 0 }, /^--top-p 0: expected a number from 0.01 to 1$/],
  [{ model: null }, /^--model null: expected/],
  [{ learningRate: 1 }, /^--learning-rate: no such option$/],
  [{ top_p: 1 }, /^--top_p: no such option; did you mean topP\?$/],
  [{ toString: 1 }, /no such option/],
  [{ samples: 1 }, /^--samples 1 with --algo grpo: a group needs/],
  [{ credit: "turn" }, /^--credit turn without --tarl/],
  [{ credit: "turn", tarl: true, ratio: "sequence" }, /--ratio sequence/],
  [{ credit: "turn", tarl: true, std: "none" }, /^--credit turn with --std none: expected sample or population$/],
  [{ credit: "turn", tarl: true, algo: "rloo" }, /^--credit turn with --algo rloo/],
  [{ algo: "rloo", std: "none" }, /^--std none with --algo rloo: it divides by nothing$/],
  [{ abstain: "drop" }, /^--abstain drop without --tarl/],
  [{ dualClip: 0.5 }, /^--dual-clip 0.5: expected 0 \(off\) or more than 1$/],
  [{ promptTokens: 900 }, /^--prompt-tokens 900 with --context-tokens 768/],
  [{ evalEvery: 5, evalTasks: 0 }, /^--eval-every 5 with --eval-tasks 0: nothing to measure$/],
];
for (const [values, message] of bad)
  test(`is refused in one line: ${Object.entries(values)}`, () => {
    try {
      resolve(values);
    } catch (error) {
      assert.instance(error, UsageError);
      assert.match((error as Error).message, message);
      assert.not.match((error as Error).message, "\n");
      return;
    }
    assert.unreachable("it was accepted");
  });

test("an unknown preset is named", () => {
  assert.throws(() => resolveConfig("best"), /^--preset best: expected embedded or paper$/);
});

test("typed text becomes a number only where a number is wanted and can be read", () => {
  assert.is(fromText("lr", "3e-4"), 3e-4);
  assert.is(fromText("lr", "3e-4x"), "3e-4x");
  assert.is(fromText("lr", ""), "");
  assert.is(fromText("lr", "NaN"), "NaN");
  assert.is(fromText("model", "007"), "007");
  assert.is(fromText("tarl", "true"), true);
});

test("the learning rate rises, stays or falls as it is told", () => {
  const rates = (values: Record<string, unknown>) =>
    [0, 1, 2, 3].map(
      (step) => optimizerOptions(resolve({ steps: 4, lr: 1, warmup: 0, decay: "none", ...values }), step).lr,
    );
  assert.equal(rates({}), [1, 1, 1, 1]);
  assert.equal(rates({ warmup: 2 }), [0.5, 1, 1, 1]);
  assert.equal(rates({ warmup: 8, decay: "linear" }), [0.125, 0.25, 0.375, 0.5]);
  assert.equal(rates({ decay: "linear" }), [1, 0.75, 0.5, 0.25]);
  const cosine = rates({ decay: "cosine", warmup: 2 });
  assert.equal(cosine.slice(0, 3), [0.5, 1, 1]);
  assert.ok(Math.abs(cosine[3] - 0.5) < 1e-12);
});

test("stages get their own words", () => {
  const config = resolve({ algo: "rloo", klCoef: 0.1, clipHigh: 0.3, temperature: 0.5 });
  assert.equal(advantageOptions(config), { baseline: "leave-one-out", std: "none", eps: 0, singleton: "zero" });
  assert.is(advantageOptions(resolve({ std: "population", stdEps: 0.5 })).eps, 0.5);
  assert.is(lossOptions(config).clipHigh, 0.3);
  assert.is(lossOptions(config).temperature, 0.5);
  assert.not(packOptions(config).dropZero, "KL acts on every token");
  assert.ok(packOptions(resolve({})).dropZero);
});

test.run();
