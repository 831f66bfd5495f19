// The golden cases for rewards, advantages, losses and metrics, through the code that the trainer runs. Every file and
// case of the folder is found, not listed, and a kind without a check fails. Each case runs twice: in double precision, and
// with what goes in and comes out rounded to single precision, as a batch holds it, where the case has a tolerance for
// that. disagreements.json documents where libraries differ: it holds no expectations. The checks are in algorithms/.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { placeReward } from "../../src/algorithms/place.ts";
import { reward } from "../../src/reward.ts";
import { golden } from "../golden.ts";
import { advantageChecks } from "./algorithms/advantages.ts";
import { type Case, compare, type Data, maskOf, single, tarlOptions, turnOf, verdict } from "./algorithms/case.ts";
import { lossChecks } from "./algorithms/losses.ts";
import { rewardChecks } from "./algorithms/rewards.ts";

const folder = golden("algorithms");
if (!folder) throw new Error("no golden/algorithms: set TARL_GOLDEN to the folder that holds it");
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
const contents = files.map((name) => [name, JSON.parse(readFileSync(join(folder, name), "utf8"))] as const);
const batches: Record<string, Data> = Object.assign({}, ...contents.map(([, content]) => content.batches ?? {}));
const checks = { ...advantageChecks, ...lossChecks, ...rewardChecks };

for (const [file, content] of contents) {
  for (const raw of content.cases ?? []) {
    if (raw.kind === "disagreement") continue;
    const inputs = { ...batches[raw.batch], ...raw.inputs };
    for (const precision of ["f64", "f32"] as const) {
      const bounds = content.tolerances[raw.tolerance];
      if (!bounds[precision]) continue;
      const c: Case = { ...raw, inputs: precision === "f64" ? inputs : single(inputs) };
      test(`${file} ${c.id} ${precision}`, () => {
        let compared = 0;
        checks[c.kind](c, (got, expected, made) => {
          compared++;
          const bound = bounds[made ? "f32" : precision];
          if (bound) compare(precision === "f64" ? got : single(got), expected, bound, c.id);
        });
        assert.ok(compared > 0, "nothing was compared");
      });
    }
  }
}

for (const [name, batch] of Object.entries(batches)) {
  test(`batches.json ${name}: rewards from outcomes and turn scores`, () => {
    const tight = { rtol: 1e-9, atol: 1e-12 };
    for (const [i, scores] of batch.turn_scores.entries()) {
      const result = reward(verdict(batch.outcome[i], scores), scores.length, tarlOptions());
      const ledger = { mask: maskOf(batch.mask[i]), turn: turnOf(batch.turn[i]) };
      compare(result.total, batch.reward[i], tight, `reward ${i}`);
      compare(result.perTurn, batch.turn_rewards[i], tight, `turn_rewards ${i}`);
      compare(placeReward(result, ledger, "trajectory"), batch.rewards_terminal[i], tight, `rewards_terminal ${i}`);
      compare(placeReward(result, ledger, "turn"), batch.rewards_turn[i], tight, `rewards_turn ${i}`);
    }
  });
}

test.run();
