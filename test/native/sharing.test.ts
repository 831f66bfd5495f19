// Rows that start alike are computed once in learning, as conversations are: the same log-probs to the bit, and the
// gradients of rows that are computed apart.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ModelConfig, parameterShapes } from "../../src/policy/model.ts";
import { type EnginePolicy, openPolicy, type PolicyOptions } from "../../src/policy/policy.ts";
import { Random } from "../../src/random.ts";
import type { Batch, LossOptions } from "../../src/types.ts";

const config: ModelConfig = {
  modelType: "qwen3",
  vocabSize: 97,
  hiddenSize: 40,
  intermediateSize: 56,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 12,
  ropeTheta: 1e4,
  rmsEps: 1e-6,
  tied: true,
  qkNorm: true,
  qkvBias: false,
  oBias: false,
  mlpBias: false,
  ropeScaling: null,
  bosId: null,
  padId: null,
  maxPositions: 200,
  initializerRange: 0.2,
  eosIds: [],
};

const loss: LossOptions = {
  ratio: "token",
  clipLow: 0.2,
  clipHigh: 0.2,
  dualClip: 0,
  klCoef: 0,
  klKind: "k3",
  entropyCoef: 0.01,
  temperature: 0.9,
};

/** A tree of rows: two prompts, branches of each, a row that is the start of another one, and one row twice. */
function tree(): number[][] {
  const random = new Random("tree", 1);
  const some = (length: number) => Array.from({ length }, () => random.int(config.vocabSize));
  const rows: number[][] = [];
  for (const prompt of [some(37), some(16)]) {
    const turn = [...prompt, ...some(9)];
    rows.push([...prompt, ...some(11)], [...turn, ...some(5)], [...turn, ...some(21)], turn, [...prompt, ...some(1)]);
  }
  return [...rows, some(8), rows[2]];
}

/** How many different beginnings the rows have: what is computed once each. */
function distinct(rows: readonly number[][]): number {
  return new Set(rows.flatMap((row) => row.map((_, t) => `${row.slice(0, t + 1)}`))).size;
}

function batch(rows: readonly number[][]): Batch {
  const random = new Random("weights", 1);
  const ids = rows.flat();
  const ends = rows.map(
    (
      (sum) => (row: number[]) =>
        (sum += row.length)
    )(0),
  );
  const starts = new Set([0, ...ends]);
  return {
    ids: Int32Array.from(ids),
    rows: Int32Array.of(0, ...ends),
    weight: Float32Array.from(ids, (_, i) => (starts.has(i) || random.int(4) === 0 ? 0 : random.float() / ids.length)),
    advantage: Float32Array.from(ids, () => random.float() - 0.5),
    oldLogp: null,
    refLogp: null,
  };
}

async function opened<T>(options: Partial<PolicyOptions>, work: (policy: EnginePolicy) => Promise<T>): Promise<T> {
  const model = { config, seed: 3 };
  const policy = await openPolicy({ model, device: "cpu", dtype: "fp32", threads: 2, role: "policy", ...options });
  try {
    return await work(policy);
  } finally {
    await policy.dispose();
  }
}

/** Log-probs, statistics and every gradient. */
const learn = (options: Partial<PolicyOptions>) =>
  opened(options, async (policy) => {
    const lesson = batch(tree());
    const { logp, entropy } = await policy.score(lesson.ids, lesson.rows, loss.temperature);
    const stats = await policy.engine.backward(lesson, loss);
    const gradients = new Map<string, Float32Array>();
    for (const [name] of parameterShapes(config))
      gradients.set(name, (await policy.engine.tensor(`grad/${name}`)).data);
    return { logp, entropy, stats, gradients };
  });

for (const kernels of ["on", "off"] as const)
  test(`what rows have in common is computed once and learned for each, kernels ${kernels}`, async () => {
    const together = await learn({ kernels });
    const apart = await learn({ kernels, microTokens: 1 });
    if (kernels === "on") {
      assert.equal(together.logp, apart.logp);
      assert.equal(together.entropy, apart.entropy);
    }
    assert.is(together.stats.tokens, apart.stats.tokens);
    assert.is(apart.stats.computedTokens, apart.stats.tokens);
    assert.is(together.stats.computedTokens, distinct(tree()));
    assert.is(together.stats.lossTokens, apart.stats.lossTokens);
    assert.ok(Math.abs(together.stats.loss - apart.stats.loss) < 1e-6);
    for (const [name, gradient] of together.gradients) {
      const other = apart.gradients.get(name)!;
      const size = Math.hypot(...other);
      assert.ok(size > 0, name);
      const difference = Math.hypot(...gradient.map((x, i) => x - other[i]));
      assert.ok(difference < 2e-5 * size, `${name}: ${difference / size}`);
    }
  });

test.run();
