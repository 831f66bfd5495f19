// Layers that are computed again in backward give the gradients of layers that were kept, to the bit.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { parameterShapes } from "../../src/policy/model.ts";
import type { PolicyOptions } from "../../src/policy/policy.ts";
import { lesson, loss, opened, small } from "./lessons.ts";

/** Statistics and every gradient of two micro-batches. */
const learn = (options: Partial<PolicyOptions>) =>
  opened({ microTokens: 60, ...options }, async (policy) => {
    const stats = await policy.engine.backward(lesson(policy.vocabSize), loss);
    const gradients = new Map<string, Float32Array>();
    for (const [name] of parameterShapes(policy.config))
      gradients.set(name, (await policy.engine.tensor(`grad/${name}`)).data);
    return { stats, gradients };
  });

const untied = { ...small, modelType: "qwen2", qkNorm: false, qkvBias: true, tied: false } as const;

for (const [what, options] of [
  ["on kernels", {}],
  ["on plain ATen", { kernels: "off" }],
  ["in bf16", { dtype: "bf16" }],
  ["with biases and without norms of heads", { model: { config: untied, seed: 4 } }],
] as const)
  test(`gradients are the same to the bit, ${what}`, async () => {
    const kept = await learn({ threads: 1, ...options });
    const again = await learn({ threads: 1, ...options, recompute: true });
    assert.equal(again.stats, kept.stats);
    for (const [name, gradient] of kept.gradients) {
      assert.ok(
        gradient.some((x) => x !== 0),
        name,
      );
      assert.equal(again.gradients.get(name), gradient, name);
    }
  });

test.run();
