// Presets in layers: what lies over what, and the published values of each variant.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Config, layered, presetNames, presets, resolveConfig } from "../../src/config/config.ts";
import { variants } from "../../src/config/presets.ts";

const has = (list: string, values: Partial<Config>) => {
  const config = resolveConfig(list);
  for (const [key, value] of Object.entries(values)) assert.is(config[key as keyof Config], value, `${list}: ${key}`);
};

test("every variant makes sense over both whole presets, and with TARL", () => {
  for (const name of Object.keys(variants))
    for (const list of [name, `paper,${name}`, `paper,tarl,${name}`]) assert.ok(resolveConfig(list), list);
  assert.equal(presetNames.slice(0, 2), ["embedded", "paper"]);
});

test("variants that do not go together are refused, and named", () => {
  const names = Object.keys(variants);
  const pairs = names.flatMap((one) => names.filter((other) => other !== one).map((other) => `${one},${other}`));
  const refused = pairs.flatMap((list) => {
    try {
      resolveConfig(list);
      return [];
    } catch (error) {
      assert.ok((error as Error).message.endsWith(` (with --preset ${list})`), `${error}`);
      return [list];
    }
  });
  // Another algorithm has no use for a --std, no groups for dynamic sampling, no ratio for clips; SPO plays no groups.
  assert.equal(
    Object.fromEntries(names.map((name) => [name, refused.filter((list) => list.startsWith(`${name},`)).length])),
    { ...Object.fromEntries(names.map((name) => [name, 0])), "dr-grpo": 5, dapo: 4, gspo: 1, spo: 6 },
  );
});

test("later lies over earlier, over embedded where none is whole", () => {
  has("paper,dapo", { lr: 1e-6, clipHigh: 0.28, overlongBuffer: 6554, tarl: true });
  has("dapo", { lr: presets.embedded.lr, overlongBuffer: 154 });
  has("dapo,dr-grpo", { clipHigh: 0.28, std: "none", aggregation: "seq-mean-token-sum-norm" });
  has("dr-grpo, tarl", { std: "none", tarl: true });
  assert.is(layered("paper,dapo").base, "paper");
  assert.is(layered("dapo").base, "embedded");
  assert.throws(() => layered("dapo,paper"), /^--preset dapo,paper: paper is whole, expected it first$/);
  assert.throws(() => layered("paper,dappo"), /^--preset dappo: expected embedded, paper, grpo, dr-grpo, /);
  assert.throws(() => layered(""), /^--preset : expected/);
});

test("published values", () => {
  has("grpo", { klCoef: 0.04, klKind: "k3", aggregation: "seq-mean-token-mean" });
  has("dr-grpo", { std: "none", klCoef: 0 });
  has("dapo", { clipLow: 0.2, clipHigh: 0.28, aggregation: "token-mean", dynamicSampling: true, klCoef: 0 });
  has("gspo", { ratio: "sequence", clipLow: 3e-4, clipHigh: 4e-4, miniBatches: 4 });
  has("paper,rloo", { algo: "rloo", ratio: "none", klIn: "reward", klKind: "k1", klCoef: 0.001 });
  has("paper,ppo", { algo: "ppo", criticLr: 1e-5, gamma: 1, lambda: 1, valueClip: 0.5 });
  has("paper,spo", {
    algo: "spo",
    samples: 1,
    tasksPerStep: 128,
    spoHalfLife: 0.06,
    spoRhoMin: 0.875,
    spoRhoMax: 0.96,
  });
  has("reinforce++", { algo: "reinforce++", whiten: true, klIn: "reward" });
  has("reinforce++-baseline", { algo: "reinforce++-baseline", whiten: true, klKind: "k2" });
  has("tarl", { tarl: true, outcomeWeight: 10, turnsWeight: 5, majorWeight: 5 });
  assert.ok(resolveConfig("entropy").entropyCoef > 0);
});

test("the paper's defaults are the paper's", () => {
  has("paper", {
    promptTokens: 4096,
    contextTokens: 32_768,
    turnTokens: 1024,
    turns: 30,
    algo: "grpo",
    criticLr: 1e-5,
    klIn: "loss",
    gamma: 1,
    lambda: 1,
    valueClip: 0.5,
    epochs: 1,
    miniBatches: 1,
    dynamicSampling: false,
    overlongBuffer: 0,
    tis: "off",
  });
});

test.run();
