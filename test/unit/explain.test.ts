// What --explain says: every algorithm and variant names its own numbers, and nothing that is off.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { flagName, resolveConfig } from "../../src/config/config.ts";
import { explain, explanation } from "../../src/config/explain.ts";
import { variants } from "../../src/config/presets.ts";

const say = (preset: string, values: Record<string, unknown> = {}) =>
  explanation(resolveConfig(preset, { values, label: flagName }));

/** Preset, what is typed, and what has to be read. */
const cases: readonly [preset: string, values: Record<string, unknown>, lines: readonly string[]][] = [
  [
    "embedded",
    {},
    ["R(τ) = s: 1", "(R − mean R) / (std + 1e-6), std over n − 1", "clip(ρₜ, 0.8, 1.2)", "(Lₜ + 0.02 · KLₜ)", "1.2e-4"],
  ],
  ["embedded", { std: "population", stdEps: 0.25 }, ["(std + 0.25), std over n "]],
  ["embedded", { std: "batch", stdEps: 0.25 }, ["std of the whole update + 0.25"]],
  [
    "paper",
    {},
    [
      "10 · s + 5 · n₊ / T − 5 · [",
      "−5 to 15",
      "Lₜ + 0.001 · KLₜ",
      "top-p 0.95",
      "biased",
      "logits / 0.7",
      "32 tasks × 4",
    ],
  ],
  ["tarl", { outcomeWeight: 7, turnsWeight: 3, majorWeight: 2 }, ["7 · s + 3 · n₊ / T − 2 ·", "−2 to 10"]],
  ["tarl", { conflict: "keep", abstain: "drop" }, ["both count", "the rollout is left out"]],
  ["tarl", { credit: "turn" }, ["share lands on that turn's last token", "GRPO, process supervision"]],
  ["grpo", {}, ["Lₜ + 0.04 · KLₜ", "1 / (S n)", "      k3"]],
  ["dr-grpo", {}, ["Â = R − mean R      Dr. GRPO", "1 / (768 S)"]],
  ["dapo", {}, ["clip(ρₜ, 0.8, 1.28)", "(tokens − 614) / 154", "at most 10 times"]],
  ["gspo", {}, ["clip(ρ, 0.9997, 1.0004)", "GSPO", "4 mini-batches"]],
  ["rloo", { klCoef: 0.05 }, ["the other 7 rollouts", "−Â · log π(xₜ)", "rₜ −= 0.05 · KLₜ", "1 / S"]],
  ["ppo", { lambda: 0.95, gamma: 0.99 }, ["δₜ = rₜ + 0.99 · Vₜ₊₁", "0.99 · 0.95 · Âₜ₊₁", "V_old ± 0.5", "3e-4"]],
  ["ppo", { gae: "turn", valueClip: 0, critic: "shared" }, ["GAE by turn", "wₜ (V − G)²", "the policy's trunk"]],
  ["ppo", { gae: "bilevel", gammaTurn: 0.9 }, ["rₖ + 0.9 · Vₖ₊₁", "bi-level GAE"]],
  ["spo", {}, ["2^(−D / 0.06) from 0.875 to 0.96", "drawn from 512", "+ 0.05", "96 tasks × 1 rollout,"]],
  ["spo", { spoPower: 0.5 }, ["√(v(1 − v)) / (α + β)^0.5"]],
  ["reinforce++", { gamma: 0.98 }, ["0.98^(l − t) · r_l", "variance + 1e-8"]],
  ["reinforce++-baseline", { klCoef: 0.02 }, ["d² / 2", "0.02 · KLₜ", "variance + 1e-8"]],
  ["entropy", {}, ["− 0.001 · Hₜ"]],
  ["embedded", { tis: "token", tisCap: 3, tisLow: 0.5 }, ["clipped to [0.5, 3]", "TIS"]],
  [
    "embedded",
    { tis: "sequence", tisMode: "mask", tisNorm: true },
    ["Πₜ π_trainer", "0 outside [0, 2], over its mean"],
  ],
  ["embedded", { dualClip: 3, ratio: "product" }, ["min(Lₜ, −3 Â)", "Πₜ π(xₜ)"]],
  ["embedded", { optimizer: "muon", muonScale: 0.5, decay: "none", warmup: 0 }, ["Muon", "at 0.5 of the rate"]],
  ["rloo", { dynamicSampling: true, maxDraws: 7 }, ["at most 7 times, until enough groups"]],
  ["embedded", { mix: "math", mixEvery: 3 }, ["one update in 3 is of math"]],
  ["embedded", { mix: "math", mixControl: true }, ["one update in 2 is left out"]],
  ["embedded", { reflection: 2, ahead: "on" }, ["held back, at most 2 times", "from before the last update"]],
  ["embedded", { topK: 20, minP: 0.1 }, ["top-k 20, min-p 0.1"]],
];

for (const [preset, values, lines] of cases)
  test(`${preset} ${JSON.stringify(values)}`, () => {
    const text = say(preset, values);
    for (const line of lines) assert.ok(text.includes(line), `no "${line}" in:\n${text}`);
  });

test("what is off is not spoken of", () => {
  const text = say("embedded", { klCoef: 0 });
  for (const word of ["KL", "Hₜ", "TIS", "overlong", "dual", "Critic", "biased", "top-"]) assert.not.match(text, word);
  assert.not.match(say("paper,rloo"), "+ 0.001 · KLₜ");
});

test("every variant is explained, over both whole presets, without a hole", () => {
  for (const name of Object.keys(variants))
    for (const preset of [name, `paper,${name}`]) {
      assert.not.match(say(preset), /undefined|NaN|false/, preset);
      for (const { lines } of explain(resolveConfig(preset))) assert.ok(lines.length > 0);
    }
});

test.run();
