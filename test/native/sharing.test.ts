// Rows that start alike are computed once in learning, as conversations are: the same log-probs to the bit, and the
// gradients of rows that are computed apart.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { parameterShapes } from "../../src/policy/model.ts";
import type { PolicyOptions } from "../../src/policy/policy.ts";
import { Random } from "../../src/random.ts";
import type { Batch } from "../../src/types.ts";
import { loss, opened, small } from "./lessons.ts";

/** A tree of rows: two prompts, branches of each, a row that is the start of another one, and one row twice. */
function tree(): number[][] {
  const random = new Random("tree", 1);
  const some = (length: number) => Array.from({ length }, () => random.int(small.vocabSize));
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

/** Log-probs, statistics and every gradient. */
const learn = (options: Partial<PolicyOptions>) =>
  opened(options, async (policy) => {
    const lesson = batch(tree());
    const { logp, entropy } = await policy.score(lesson.ids, lesson.rows, loss.temperature);
    const stats = await policy.engine.backward(lesson, loss);
    const gradients = new Map<string, Float32Array>();
    for (const [name] of parameterShapes(small)) gradients.set(name, (await policy.engine.tensor(`grad/${name}`)).data);
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
