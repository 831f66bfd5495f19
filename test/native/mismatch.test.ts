// The trainer's log-probs against the sampler's, on the tokens that were sampled: nothing between them where arithmetic
// is batch-invariant, little elsewhere. And both against one plain pass over each whole conversation.

import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EnginePolicy, PolicyOptions } from "../../src/policy/policy.ts";
import { Random } from "../../src/random.ts";
import type { Conversation, Sampling } from "../../src/types.ts";
import { config, flat, ids, sampling, type Talk, using } from "./tiny.ts";

/** A crowd whose company is left to chance: lengths, turns, pauses, forks, cuts. One temperature for each of them. */
async function crowd(policy: EnginePolicy, name: string, temperature: number): Promise<Talk[]> {
  const talks: Talk[] = [];
  const said: Sampling = { ...sampling, temperature };
  const speak = async (conversation: Conversation, talk: Talk, random: Random): Promise<void> => {
    talks.push(talk);
    for (let turn = random.int(4); turn >= 0; turn--) {
      if (random.int(2)) await new Promise((resolve) => setTimeout(resolve, random.int(4)));
      const signal = random.int(6) === 0 ? AbortSignal.timeout(random.int(3)) : undefined;
      const cut = { ...said, topK: random.int(3) ? 0 : 20, maxTokens: 1 + random.int(20) };
      const { ids: spoken, logp } = await conversation.generate(cut, signal);
      const heard = ids(random, random.int(30));
      talk.ids.push(...spoken, ...heard);
      talk.logp.push(...logp, ...heard.map(() => null));
      conversation.append(heard);
      if (talks.length < 40 && random.int(4) === 0) {
        const twin = conversation.fork(talks.length);
        await speak(twin, { ids: [...talk.ids], logp: talk.logp.map(() => null) }, random);
      }
    }
    conversation.close();
  };
  await Promise.all(
    Array.from({ length: 24 }, (_, n) => {
      const random = new Random(name, n);
      const prompt = [...ids(new Random(name, "group", n % 4), 5 + (n % 4) * 30), ...ids(random, random.int(20))];
      return speak(policy.open(prompt, n), { ids: prompt, logp: prompt.map(() => null) }, random);
    }),
  );
  return talks;
}

/** |difference| on the sampled tokens. */
function differences(talks: readonly Talk[], logp: Float32Array): number[] {
  return talks
    .flatMap((each) => each.logp)
    .flatMap((before, i) => (before === null ? [] : [Math.abs(logp[i] - before)]));
}

function describe(name: string, values: readonly number[]): { max: number; mean: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))];
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const parts = [`mean ${mean}`, ...[0.5, 0.9, 0.99, 1].map((share) => `${share * 100}% ${at(share)}`)];
  console.log(`${name}: ${values.length} tokens, ${parts.join(", ")}`);
  return { max: at(1), mean };
}

// Weights as a model begins with; in bf16 the differences grow with the logits.
const model = { config: { ...config, initializerRange: 0.08 }, seed: 5 };

for (const dtype of ["fp32", "bf16"] as const)
  for (const kernels of ["on", "off"] as const)
    test(`sampler and trainer agree in any company, ${dtype}, kernels ${kernels}`, async () => {
      const values: number[] = [];
      let invariant = false;
      const random = new Random("company", 1);
      for (const [n, kvTokens] of [4096, 80 * 16, 50 * 16].entries()) {
        const roundTokens = [4096, 100, 17][n];
        const temperature = [1, 0.6, 1.3][n];
        const options: Partial<PolicyOptions> = { model, dtype, kernels, kvTokens, roundTokens, threads: 1 };
        await using(options, async (policy) => {
          invariant = policy.batchInvariant;
          const talks = await crowd(policy, `${random.int(1000)}`, temperature);
          const { ids, rows } = flat(talks);
          values.push(...differences(talks, (await policy.score(ids, rows, temperature)).logp));
        });
      }
      assert.ok(values.length > 1000);
      const { max, mean } = describe(`${dtype}, kernels ${kernels}, batch-invariant ${invariant}`, values);
      assert.is(invariant, kernels === "on");
      if (invariant) assert.is(max, 0);
      else if (dtype === "fp32") assert.ok(max < 1e-4);
      else assert.ok(mean < 5e-3);
    });

test("cached, batched, shared, parked, forked and resumed has the log-probs of one plain pass", async () => {
  const talks = await using({ kvTokens: 50 * 16, roundTokens: 40 }, async (policy) => {
    const talks = await crowd(policy, "plain", 0.9);
    assert.ok((await policy.stats()).recomputed > 0);
    return talks;
  });
  await using({ kernels: "off", threads: 1, role: "reference" }, async (policy) => {
    const values: number[] = [];
    for (const each of talks) {
      const { ids, rows } = flat([each]);
      values.push(...differences([each], (await policy.score(ids, rows, 0.9)).logp));
    }
    assert.ok(describe("engine against one plain pass, fp32", values).max < 1e-4);
  });
});

test("batch-invariant arithmetic that cannot be had is refused", async () => {
  await using({ batchInvariant: "on" }, async (policy) => assert.is(policy.batchInvariant, true));
  const refused = await using({ kernels: "off", batchInvariant: "on" }, async () => null).catch((error) => error);
  assert.is(refused.code, "INVALID_ARGUMENT");
  assert.match(refused.message, /batchInvariant: on/);
  await using({ kernels: "off" }, async (policy) => assert.is(policy.batchInvariant, false));
});

test.run();
