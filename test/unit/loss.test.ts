// The losses of policy and critic: gradients against central differences, values worked by hand, and tokens that must
// not matter.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { Random } from "../../src/random.ts";
import { logLikelihood } from "../../src/sft.ts";
import type { LossOptions } from "../../src/types.ts";
import { type LossRows, policyLoss, type Rows, valueLoss } from "../rows.ts";

const ppo: LossOptions = { ...logLikelihood, ratio: "token", clipLow: 0.2, clipHigh: 0.3 };

function near(got: number, expected: number, tolerance = 1e-12): void {
  assert.ok(Math.abs(got - expected) <= tolerance, `${got}, expected ${expected}`);
}

function nearAll(got: Rows, expected: Rows): void {
  for (const [i, row] of expected.entries()) for (const [t, value] of row.entries()) near(got[i][t], value);
}

/** Rows of 3, 1 and 4 tokens; the second token of the last row is outside the mask. */
function sample(seed: number): Required<LossRows> {
  const random = new Random("loss", seed);
  const shape = [3, 1, 4];
  const rows = (value: () => number): Rows => shape.map((n) => Array.from({ length: n }, value));
  const logp = rows(() => -3 * random.float());
  const shift = (scale: number) => logp.map((row) => row.map((x) => x + scale * (random.float() - 0.5)));
  const weight = rows(() => 0.1 + random.float());
  weight[2][1] = 0;
  const perRow = shape.map(() => 4 * (random.float() - 0.5));
  const advantage = shape.map((n, i) => new Array<number>(n).fill(perRow[i]));
  return { logp, weight, advantage, old: shift(0.9), ref: shift(2), entropy: rows(() => random.float()) };
}

test("gradients equal central differences", () => {
  const step = 1e-6;
  for (const ratio of ["token", "sequence", "product", "none"] as const)
    for (const klKind of ["k1", "k2", "k3", "abs", "k3_is"] as const)
      for (const dualClip of [0, 1.2]) {
        const options: LossOptions = { ...ppo, ratio, klKind, dualClip, klCoef: 0.3, entropyCoef: 0.2 };
        const rows = sample(dualClip);
        const { gradLogp, gradEntropy } = policyLoss(rows, options);
        for (const [field, gradient] of [
          ["logp", gradLogp],
          ["entropy", gradEntropy],
        ] as const)
          for (const [i, row] of rows[field].entries())
            for (const t of row.keys()) {
              const moved = (by: number) => {
                const copy = rows[field].map((own) => [...own]);
                copy[i][t] += by;
                return policyLoss({ ...rows, [field]: copy }, options).loss;
              };
              near(gradient[i][t], (moved(step) - moved(-step)) / (2 * step), 1e-8);
            }
      }
});

test("PPO eq. 7 (arXiv:1707.06347), by hand", () => {
  // Ratios 0.5, 1.5, 0.5, 1.5 with advantages 2, 2, -2, -2, weight 1/4, clipped to [0.8, 1.3].
  const logs = [0.5, 1.5, 0.5, 1.5].map(Math.log);
  const rows = { logp: [logs], old: [[0, 0, 0, 0]], advantage: [[2, 2, -2, -2]], weight: [[0.25, 0.25, 0.25, 0.25]] };
  const loss = policyLoss(rows, ppo);
  near(loss.loss, (-1 - 2.6 + 1.6 + 3) / 4);
  nearAll(loss.gradLogp, [[-0.25, 0, 0, 0.75]]);
  const { clipHigh, clipLow, ratio, approxKl, mismatch, lossTokens } = loss;
  assert.equal([clipHigh, clipLow, lossTokens], [0.25, 0.25, 4]);
  near(ratio, 1);
  near(approxKl, -(2 * Math.log(1.5) + 2 * Math.log(0.5)) / 4);
  near(mismatch, Math.log(2));
  // Dual clip eq. 5 (arXiv:1912.09729): the last token's 3 becomes 1.2 x 2, without a gradient.
  const dual = policyLoss(rows, { ...ppo, dualClip: 1.2 });
  near(dual.loss, (-1 - 2.6 + 1.6 + 2.4) / 4);
  assert.is(dual.gradLogp[0][3], 0);
  assert.is(dual.dualClip, 0.25);
});

test("GSPO eq. 7 (arXiv:2507.18071): the geometric mean of a row's ratios", () => {
  const rows = {
    logp: [[Math.log(1.5), 7, Math.log(0.6)]],
    old: [[0, -7, 0]],
    advantage: [[1, 1, 1]],
    weight: [[0.5, 0, 0.5]],
  };
  const loss = policyLoss(rows, { ...ppo, ratio: "sequence" });
  near(loss.loss, -Math.sqrt(0.9));
  near(loss.ratio, Math.sqrt(0.9));
  nearAll(loss.gradLogp, [[-Math.sqrt(0.9) / 2, 0, -Math.sqrt(0.9) / 2]]);
});

test("the product of a row's ratios: the rollout is one action", () => {
  const rows = {
    logp: [[Math.log(1.5), 7, Math.log(0.6)], [Math.log(2)]],
    old: [[0, -7, 0], [0]],
    advantage: [[1, 1, 1], [1]],
    weight: [[0.5, 0, 0.5], [1]],
  };
  const loss = policyLoss(rows, { ...ppo, ratio: "product" });
  near(loss.loss, -0.9 - 1.3);
  nearAll(loss.gradLogp, [[-0.9, 0, -0.9], [0]]);
  // Beyond e^20 the ratio is held, and has no gradient.
  const far = policyLoss(
    { ...rows, old: [[-12, 0, -12], [0]], advantage: [[-1, 0, -1], [0]] },
    { ...ppo, ratio: "product" },
  );
  assert.ok(Math.abs(far.loss / Math.exp(20) - 1) < 1e-12);
  nearAll(far.gradLogp, [[0, 0, 0], [0]]);
});

test("k1+ and k3+ have the slope of k2, k3_score as well where k3 is not flat", () => {
  const rows = { logp: [[-2, -1.5, -9]], ref: [[-1.2, -1.9, -3]], weight: [[1, 1, 1]] };
  const kl = (klKind: LossOptions["klKind"]) => policyLoss(rows, { ...logLikelihood, klCoef: 1, klKind });
  const [k1, k2, k3] = (["k1", "k2", "k3"] as const).map(kl);
  for (const [kind, value] of [
    ["k1+", k1],
    ["k3+", k3],
  ] as const) {
    assert.is(kl(kind).klLoss, value.klLoss);
    assert.equal(kl(kind).gradLogp, k2.gradLogp);
  }
  assert.is(kl("k3_score").klLoss, k3.klLoss);
  nearAll(kl("k3_score").gradLogp, [[-0.8, 0.4, 0]]);
});

test("without old log-probs the ratio is 1 and follows log pi", () => {
  const { old: _, ...rows } = sample(7);
  const loss = policyLoss(rows, ppo);
  const expected = rows.weight.map((row, i) => row.map((weight, t) => -weight * rows.advantage[i][t]));
  nearAll(loss.gradLogp, expected);
  assert.equal([loss.ratio, loss.approxKl, loss.mismatch], [1, 0, 0]);
});

test("k3 is flat above 10", () => {
  const kl = (d: number) =>
    policyLoss({ logp: [[-d]], ref: [[0]], weight: [[1]] }, { ...logLikelihood, klCoef: 1, klKind: "k3" });
  near(kl(1).loss, Math.E - 2);
  near(kl(1).gradLogp[0][0], 1 - Math.E);
  for (const d of [3, 25, 800, -12, -30]) {
    assert.is(kl(d).loss, 10);
    assert.is(kl(d).gradLogp[0][0], 0);
  }
  const unbounded = { ...logLikelihood, klCoef: 1, klKind: "k3", klClamp: 0 } as const;
  near(policyLoss({ logp: [[-3]], ref: [[0]], weight: [[1]] }, unbounded).loss, Math.exp(3) - 4);
});

test("the k3 that is reported does not depend on the one that is learned from", () => {
  const rows = sample(3);
  const reported = (["k1", "k2", "k3", "abs"] as const).map(
    (klKind) => policyLoss(rows, { ...ppo, klKind, klCoef: 0.1 }).kl,
  );
  assert.is(new Set(reported).size, 1);
  assert.ok(reported[0] > 0);
});

test("tokens of weight 0 change no bit, whatever they hold", () => {
  for (const ratio of ["token", "sequence", "product", "none"] as const) {
    const options: LossOptions = { ...ppo, ratio, klCoef: 0.1, entropyCoef: 0.1, dualClip: 3 };
    const clean = sample(5);
    const dirty = sample(5);
    for (const field of ["logp", "old", "ref", "entropy", "advantage"] as const) {
      clean[field][2][1] = 0;
      dirty[field][2][1] = field === "old" ? Number.POSITIVE_INFINITY : Number.NaN;
    }
    assert.equal(policyLoss(dirty, options), policyLoss(clean, options));
  }
});

test("a batch without weights, and one without tokens, cost nothing", () => {
  const nothing = policyLoss({ logp: [[-1, -2]], weight: [[0, 0]] }, ppo);
  assert.is(nothing.loss, 0);
  assert.equal([nothing.ratio, nothing.tokens, nothing.lossTokens], [0, 2, 0]);
  assert.is(policyLoss({ logp: [], weight: [] }, ppo).loss, 0);
});

test("lengths and rows that do not fit are refused", () => {
  assert.throws(() => policyLoss({ logp: [[-1, -2]], weight: [[1]] }, ppo), /weight has 1 values, expected 2/);
  assert.throws(() => policyLoss({ logp: [[-1]], weight: [[1]], old: [[1, 2]] }, ppo), /old_logp has 2 values/);
});

test("the critic's loss: half the larger squared error, of the value or of the held one", () => {
  // Errors 1, 2 and -1; held within .5 of the old values they are 1, .5 and -2.5.
  const rows = { values: [[3, 4], [1]], old: [[3, 2], [-1]], returns: [[2, 2], [2]], weight: [[0.5, 0.25], [0.25]] };
  const held = valueLoss(rows, 0.5);
  near(held.loss, (0.5 * 1 + 0.25 * 4 + 0.25 * 6.25) / 2);
  nearAll(held.gradValues, [[0.5, 0.5], [0]]);
  near(held.clipped, 1 / 3);
  const free = valueLoss(rows, 0);
  near(free.loss, (0.5 * 1 + 0.25 * 4 + 0.25 * 1) / 2);
  nearAll(free.gradValues, [[0.5, 0.5], [-0.25]]);
  assert.is(free.clipped, 0);
});

test("the critic's loss: weight 0 is never read, what does not fit is refused", () => {
  const rows = { values: [[Number.NaN, 1]], old: [[Number.NaN, 1]], returns: [[Number.NaN, 0]], weight: [[0, 1]] };
  assert.equal(valueLoss(rows, 0.2), { loss: 0.5, clipped: 0, gradValues: [[0, 1]] });
  assert.throws(() => valueLoss({ ...rows, returns: [[1]] }, 0), /value loss: returns has 1 values, expected 2/);
});

test.run();
