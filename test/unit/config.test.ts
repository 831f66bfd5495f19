// The table of options: presets, precedence, and what is said about bad input.

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  type Config,
  flagName,
  fromText,
  options,
  playsAhead,
  presets,
  resolveConfig,
} from "../../src/config/config.ts";
import { UsageError } from "../../src/errors.ts";
import {
  algorithmOptions,
  criticOf,
  criticOptimizer,
  lossOptions,
  optimizerOptions,
  packOptions,
  valueOptions,
} from "../../src/settings.ts";

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
  [{ algo: "a2c" }, /^--algo a2c: expected grpo or ppo or rloo or spo or reinforce\+\+ or reinforce\+\+-baseline$/],
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
  [{ algo: "spo" }, /^--samples 8 with --algo spo: expected 1, /],
  [{ algo: "spo", samples: 1, spoPool: 4 }, /^--spo-pool 4 with --tasks-per-step 12: expected at least as many$/],
  [{ algo: "spo", samples: 1, spoRhoMin: 0.99 }, /^--spo-rho-min 0.99 with --spo-rho-max 0.96/],
  [{ credit: "turn", tarl: true, klIn: "reward", klCoef: 0.1 }, /^--credit turn with --kl-in reward/],
  [{ algo: "ppo", ratio: "product" }, /^--algo ppo with --ratio product/],
  [{ tis: "token", ratio: "sequence" }, /^--tis token with --ratio sequence/],
  [{ algo: "reinforce++", gamma: 0.9, ratio: "sequence" }, /^--gamma 0.9 with --ratio sequence/],
  [{ klIn: "reward", klKind: "k3_is" }, /^--kl-kind k3_is with --kl-in reward: expected k1, k2, k3 or abs/],
  [{ algo: "ppo", dynamicSampling: true }, /^--dynamic-sampling with --algo ppo/],
  [{ ratio: "none", ahead: "on" }, /^--ahead on with --ratio none: .*; expected --tis$/],
  [{ algo: "spo", samples: 1, ahead: "on" }, /^--ahead on with --algo spo: /],
  [{ overlongBuffer: 768 }, /^--overlong-buffer 768 with --context-tokens 768/],
  [{ tis: "token", tisLow: 3 }, /^--tis-low 3 with --tis-cap 2/],
  [{ gae: "turn" }, /^--gae turn without --algo ppo: it would do nothing$/],
  [{ algo: "ppo", critic: "shared", criticLr: 2 }, /^--critic-lr 2 without --critic own: it would do nothing$/],
  [{ algo: "ppo", valueCoef: 2 }, /^--value-coef 2 without --critic shared: it would do nothing$/],
  [{ algo: "ppo", critic: "shared", loraRank: 4 }, /^--critic shared with --lora-rank: .*; expected --critic own$/],
  [{ algo: "ppo", gammaTurn: 0.9 }, /^--gamma-turn 0.9 without --gae bilevel/],
  [{ gamma: 0.9 }, /^--gamma 0.9 without --algo ppo, --algo reinforce\+\+ or --credit turn: it would do nothing$/],
  [{ algo: "rloo", stdEps: 1 }, /^--std-eps 1 without --algo grpo: it would do nothing$/],
  [{ std: "none", stdEps: 1 }, /^--std-eps 1 without a --std to divide by: it would do nothing$/],
  [{ whiten: false }, /^--whiten false without an --algo that whitens: it would do nothing$/],
  [{ ratio: "none", dualClip: 3 }, /^--dual-clip 3 without a --ratio: it would do nothing$/],
  [
    { klCoef: 0, klClamp: 5 },
    /^--kl-clamp 5 without --kl-coef and --kl-kind k3, k3\+ or k3_score: it would do nothing$/,
  ],
  [{ muonScale: 0.5 }, /^--muon-scale 0.5 without --optimizer muon: it would do nothing$/],
  [{ decayVectors: true }, /^--decay-vectors without --weight-decay: it would do nothing$/],
  [{ mix: "shop" }, /^--mix shop with --domain shop: expected other tasks$/],
  [{ tisNorm: true }, /^--tis-norm without --tis: it would do nothing$/],
  [{ maxDraws: 3 }, /^--max-draws 3 without --dynamic-sampling/],
  [{ overlongFactor: 3 }, /^--overlong-factor 3 without --overlong-buffer/],
  [{ algo: "rloo", std: "none" }, /^--std none with --algo rloo: it divides by nothing$/],
  [{ mixControl: true }, /^--mix-control without --mix: there are no other tasks/],
  [{ mixEvery: 3 }, /^--mix-every 3 without --mix: there are no other tasks/],
  [{ mix: "math", mixEvery: 41 }, /^--mix-every 41 with --steps 40: no update is of the other tasks/],
  [{ abstain: "drop" }, /^--abstain drop without --tarl/],
  [{ dualClip: 0.5 }, /^--dual-clip 0.5: expected 0 \(off\) or more than 1$/],
  [{ promptTokens: 900 }, /^--prompt-tokens 900 with --context-tokens 768/],
  [{ evalEvery: 5, evalTasks: 0 }, /^--eval-every 5 with --eval-tasks 0: nothing to measure$/],
  [{ tarl: true, judge: "llm" }, /^--judge llm without --judge-model: expected its name$/],
  [{ judge: "llm", judgeModel: "m" }, /^--judge llm without --tarl: only TARL learns from its scores$/],
  [{ judgeModel: "m" }, /^--judge-model m without --judge llm: it would do nothing$/],
  [{ judgeRate: 60 }, /^--judge-rate 60 without --judge llm: it would do nothing$/],
  [
    { tarl: true, judge: "llm", judgeModel: "m", judgeBudget: 1 },
    /^--judge-budget 1 without --judge-prices: expected the prices of its tokens$/,
  ],
  [
    { tarl: true, judge: "llm", judgeModel: "m", judgeRate: 19 }, // 96 verdicts: 303 s
    /^--judge-rate 19 with --judge-deadline 300: the 96 verdicts of an update take longer$/,
  ],
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

test("conversations are played ahead by themselves only where a model judges, and something corrects for it", () => {
  const judged = { tarl: true, judge: "llm", judgeModel: "m" };
  const ahead = (values: object) =>
    playsAhead(resolveConfig("embedded", { values: { ...values }, label: (key) => key }));
  assert.is(ahead({}), false);
  assert.is(ahead({ ahead: "on" }), true);
  assert.is(ahead(judged), true);
  assert.is(ahead({ ...judged, ahead: "off" }), false);
  assert.is(ahead({ ...judged, ratio: "none" }), false);
  assert.is(ahead({ ...judged, ratio: "none", tis: "token" }), true);
  assert.is(ahead({ ...judged, algo: "spo", samples: 1 }), false);
});

test("an unknown preset is named", () => {
  assert.throws(() => resolveConfig("best"), /^--preset best: expected embedded, paper, grpo, /);
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

test("a critic has a learning rate of its own, or a place in the policy's loss", () => {
  const own = resolve({ algo: "ppo", lr: 1, criticLr: 8, steps: 4, warmup: 0, decay: "linear", valueClip: 0.4 });
  assert.is(criticOf(own), "own");
  assert.equal({ ...criticOptimizer(own, 2), lr: 0 }, { ...optimizerOptions(own, 2), lr: 0 });
  assert.is(criticOptimizer(own, 2).lr, 4);
  assert.equal(valueOptions(own), { clip: 0.4 });
  assert.is(lossOptions(own).value, undefined);
  const shared = resolve({ algo: "ppo", critic: "shared", valueCoef: 0.2, valueClip: 0.4 });
  assert.equal(lossOptions(shared).value, { coef: 0.2, clip: 0.4 });
  assert.is(criticOf(resolve({})), null);
});

test("stages get their own words", () => {
  const config = resolve({ algo: "rloo", klCoef: 0.1, clipHigh: 0.3, temperature: 0.5 });
  assert.is(algorithmOptions(config).algo, "rloo");
  assert.is(algorithmOptions(config).kl, null);
  assert.equal(algorithmOptions(resolve({ klCoef: 0.1, klIn: "reward", klKind: "k1" })).kl, {
    coef: 0.1,
    kind: "k1",
    clamp: 10,
  });
  assert.equal(algorithmOptions(resolve({})).rewardRange, [0, 1]);
  assert.equal(algorithmOptions(resolve({ tarl: true })).rewardRange, [-5, 15]);
  assert.equal(algorithmOptions(resolve({ overlongBuffer: 9, overlongFactor: 2 })).rewardRange, [-2, 1]);
  assert.is(lossOptions(resolve({ klCoef: 0.1, klIn: "reward", klKind: "k1" })).klCoef, 0);
  assert.not(packOptions(resolve({ algo: "ppo" })).dropZero, "a critic learns from every token");
  assert.is(lossOptions(config).clipHigh, 0.3);
  assert.is(lossOptions(config).temperature, 0.5);
  assert.not(packOptions(config).dropZero, "KL acts on every token");
  assert.ok(packOptions(resolve({ klCoef: 0 })).dropZero);
});

test.run();
