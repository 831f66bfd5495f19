// A critic, on a trunk of its own or on the policy's: what its values are, its loss's gradients, and that learning, saving,
// going on, sharing rows, threads and layers computed again are what they are for a policy. Beside transformers:
// test/golden/critic.test.ts.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../../src/errors.ts";
import { openCritic } from "../../src/policy/critic.ts";
import { parameterShapes, VALUE_HEAD } from "../../src/policy/model.ts";
import { type EnginePolicy, openPolicy, type PolicyOptions } from "../../src/policy/policy.ts";
import { makeHeader, readHeader } from "../../src/policy/safetensors.ts";
import { Random } from "../../src/random.ts";
import type { Batch, LossOptions } from "../../src/types.ts";
import { adamw, inFolder, lesson, opened, loss as policyLoss, small } from "./lessons.ts";
import { all, batchOf, refuses, using } from "./tiny.ts";

const loss: LossOptions = { ...policyLoss, value: { coef: 0.5, clip: 0.2 } };
const kinds = ["values", "both"] as const;

/** A lesson with values; what is old and what should have been said is a function of the token's place. */
function valued(batch: Batch = lesson(small.vocabSize)): Batch {
  const of = (seed: string) => {
    const random = new Random(seed);
    return Float32Array.from(batch.ids, () => random.float() - 0.5);
  };
  return { ...batch, values: { old: of("old"), returns: of("returns") } };
}

/** The batch with all weight on one token. */
const only = (batch: Batch, token: number): Batch => ({
  ...batch,
  weight: batch.weight.map((_, t) => Number(t === token)),
});

/** With a head that is not 0. */
const taught = <T>(options: Partial<PolicyOptions>, work: (policy: EnginePolicy) => Promise<T>): Promise<T> =>
  opened({ output: "values", ...options }, async (policy) => {
    for (let i = 0; i < 3; i++) await policy.step(valued(), loss, adamw);
    return work(policy);
  });

/** Statistics, values, and every gradient. */
const learn = (options: Partial<PolicyOptions>) =>
  opened({ output: "both", ...options }, async (policy) => {
    const batch = valued();
    const values = await policy.values(batch.ids, batch.rows);
    const stats = await policy.engine.backward(batch, loss);
    const gradients = new Map<string, Float32Array>();
    for (const [name] of parameterShapes(policy.config))
      gradients.set(name, (await policy.engine.tensor(`grad/${name}`)).data);
    return { values, stats, gradients };
  });

test("a head that nobody has taught says 0, and the first token of a row always has 0", async () => {
  const { ids, rows } = lesson(small.vocabSize);
  for (const output of kinds)
    await opened({ output }, async (policy) => {
      assert.ok((await policy.values(ids, rows)).every((value) => value === 0));
    });
  await taught({}, async (policy) => {
    const values = await policy.values(ids, rows);
    for (const [t, value] of values.entries()) assert.is(value === 0, rows.subarray(0, -1).includes(t), `${t}`);
  });
});

for (const dtype of ["fp32", "bf16"] as const)
  test(`values are the trainer's to the bit, however rows are cut and whoever computes them, ${dtype}`, async () => {
    const batch = valued();
    const returns = batch.values!.returns;
    const learned = Array.from(batch.ids.keys()).filter((t) => !batch.rows.includes(t) && t % 7 === 0);
    await inFolder(async (dir) => {
      await taught({ dtype }, (policy) => policy.save(dir));
      for (const [threads, microTokens] of [
        [1, 4096],
        [3, 40],
        [2, 1],
      ])
        await opened({ model: dir, dtype, output: "values", threads, microTokens }, async (policy) => {
          const values = await policy.values(batch.ids, batch.rows);
          for (const t of learned) {
            const stats = await policy.engine.backward(only(batch, t), { ...loss, value: { coef: 1, clip: 0 } });
            assert.is(stats.valueLoss, (values[t] - returns[t]) ** 2 / 2, `token ${t}`);
            assert.is(stats.loss, stats.valueLoss);
          }
        });
    });
  });

test("the head's gradient is the slope of the loss", async () => {
  await inFolder((dir) =>
    taught({}, async (policy) => {
      const batch = valued();
      const free: LossOptions = { ...loss, value: { coef: 1, clip: 0 } };
      const { data, shape } = await policy.engine.tensor(VALUE_HEAD);
      const write = async (values: Float32Array) => {
        const file = join(dir, "head");
        const { header, offsets } = makeHeader([{ name: VALUE_HEAD, dtype: "F32", shape }]);
        writeFileSync(file, Buffer.concat([header, Buffer.from(values.buffer)]));
        await policy.engine.read([
          { name: VALUE_HEAD, file, dtype: "F32", shape, offset: offsets[0], bytes: values.byteLength },
        ]);
      };
      const at = async (i: number, step: number) => {
        await write(data.map((x, j) => (j === i ? x + step : x)));
        return (await policy.engine.backward(batch, free)).valueLoss;
      };
      // Without a clip the loss is a quadratic: central differences are exact but for rounding.
      const slopes: number[] = [];
      for (let i = 0; i < data.length; i++) slopes.push(((await at(i, 0.25)) - (await at(i, -0.25))) / 0.5);
      await write(data);
      const clear = { ...adamw, lr: 0, weightDecay: 0 };
      await policy.step(batch, free, clear); // clears the gradients
      await policy.engine.backward(batch, free);
      const gradient = (await policy.engine.tensor(`grad/${VALUE_HEAD}`)).data;
      const size = Math.hypot(...gradient);
      for (const [i, slope] of slopes.entries()) assert.ok(Math.abs(slope - gradient[i]) < 1e-5 * size, `${i}`);
    }),
  );
});

test("loss, share of clipped tokens and explained variance are those of the values", async () => {
  await taught({}, async (policy) => {
    const batch = valued();
    const { old, returns } = batch.values!;
    const values = await policy.values(batch.ids, batch.rows);
    const tokens = Array.from(batch.ids.keys()).filter((t) => batch.weight[t] !== 0);
    const mean = (of: (t: number) => number) => tokens.reduce((sum, t) => sum + of(t), 0) / tokens.length;
    const variance = (of: (t: number) => number) => mean((t) => of(t) ** 2) - mean(of) ** 2;
    const held = (t: number) => Math.min(Math.max(values[t], old[t] - 0.2), old[t] + 0.2);
    const [free, clipped] = [values, held].map((v) => (t: number) => {
      const value = typeof v === "function" ? v(t) : v[t];
      return (value - returns[t]) ** 2;
    });
    const stats = await policy.engine.backward(batch, loss);
    const near = (got: number, want: number) =>
      assert.ok(Math.abs(got - want) < 1e-9 * Math.abs(want), `${got} ${want}`);
    near(stats.valueLoss, (tokens.length * mean((t) => batch.weight[t] * Math.max(free(t), clipped(t)))) / 2);
    near(stats.loss, 0.5 * stats.valueLoss);
    near(
      stats.valueClipped,
      mean((t) => Number(clipped(t) > free(t))),
    );
    near(stats.valueExplained, 1 - variance((t) => returns[t] - values[t]) / variance((t) => returns[t]));
    assert.ok(stats.valueClipped > 0 && stats.valueClipped < 1);
    assert.equal(
      [stats.pgLoss, stats.entropy, stats.mismatch, stats.lossTokens, stats.tokens],
      [0, 0, 0, tokens.length, batch.ids.length],
    );
    const same = { old, returns: returns.map(() => 0.1) };
    assert.is((await policy.engine.backward({ ...batch, values: same }, loss)).valueExplained, 0);
  });
});

test("a policy with a critic's head speaks, scores and learns as one without, and its sampler is its trainer", async () => {
  const row = lesson(small.vocabSize);
  const without = await using({}, (policy) => policy.score(row.ids, row.rows, 0.8));
  await using({ output: "both" }, async (policy) => {
    assert.equal(await policy.score(row.ids, row.rows, 0.8), without);
    const learn = async () => policy.step(valued(batchOf(await all(policy, 4))), { ...loss, temperature: 0.8 }, adamw);
    assert.is((await learn()).mismatch, 0);
    assert.is((await learn()).mismatch, 0);
  });
});

test("one backward gives the gradients of both losses", async () => {
  // A head of 0 would hide the critic's part of the trunk.
  await inFolder(async (dir) => {
    await taught({ output: "both" }, (policy) => policy.save(dir));
    const sums = new Map<string, Float32Array>();
    for (const output of ["logits", "values"] as const)
      await opened({ model: dir, output }, async (policy) => {
        await policy.engine.backward(output === "logits" ? lesson(small.vocabSize) : valued(), loss);
        for (const [name] of parameterShapes(policy.config)) {
          const { data } = await policy.engine.tensor(`grad/${name}`);
          const sum = sums.get(name);
          sums.set(name, sum ? sum.map((x, i) => x + data[i]) : data);
        }
      });
    const { gradients } = await learn({ model: dir });
    for (const [name, gradient] of gradients) {
      const off = Math.hypot(...gradient.map((x, i) => x - sums.get(name)![i]));
      assert.ok(off < 2e-5 * Math.hypot(...gradient), `${name}: ${off}`);
    }
  });
});

for (const kernels of ["on", "off"] as const)
  test(`rows that begin alike are computed once, and small micro-batches add up, kernels ${kernels}`, async () => {
    const [together, apart] = [await learn({ kernels }), await learn({ kernels, microTokens: 1 })];
    if (kernels === "on") assert.equal(together.values, apart.values);
    assert.ok(together.stats.computedTokens < apart.stats.computedTokens);
    for (const key of ["loss", "valueLoss", "valueExplained"] as const)
      assert.ok(Math.abs(together.stats[key] - apart.stats[key]) < 1e-6, key);
    for (const [name, gradient] of together.gradients) {
      const off = Math.hypot(...gradient.map((x, i) => x - apart.gradients.get(name)![i]));
      assert.ok(off < 2e-5 * Math.hypot(...gradient), `${name}: ${off}`);
    }
  });

test("threads, and layers computed again, change no bit", async () => {
  const plain = await learn({ threads: 1 });
  assert.equal(await learn({ threads: 3 }), plain);
  assert.equal(await learn({ threads: 1, recompute: true }), plain);
});

for (const output of kinds)
  for (const dtype of ["fp32", "bf16"] as const)
    test(`learning, saving and going on equals learning straight on, ${output}, ${dtype}`, async () => {
      const files = ["model.safetensors", "optimizer.safetensors", "config.json"];
      if (output === "both") files.push("value_head.safetensors");
      const options = { output, dtype, threads: 2 } as const;
      const step = (policy: EnginePolicy) => policy.step(valued(), loss, adamw);
      await inFolder(async (dir) => {
        const straight = await opened(options, async (policy) => {
          const first = await step(policy);
          await policy.save(join(dir, "half"), { optimizer: true });
          const stats = [first, await step(policy), await step(policy)];
          await policy.save(join(dir, "straight"), { optimizer: true });
          return stats;
        });
        const rest = await opened({ ...options, model: join(dir, "half") }, async (policy) => {
          const stats = [await step(policy), await step(policy)];
          await policy.save(join(dir, "resumed"), { optimizer: true });
          return stats;
        });
        assert.equal(rest, straight.slice(1));
        assert.is.not(rest[1].valueLoss, 0);
        for (const name of files)
          assert.ok(readFileSync(join(dir, "straight", name)).equals(readFileSync(join(dir, "resumed", name))), name);
      });
    });

test("a critic opens from its policy's checkpoint, without its state, and is refused as a policy", async () => {
  const options = { device: "cpu", dtype: "fp32", threads: 1 } as const;
  const { ids, rows, weight, values } = valued();
  await inFolder(async (dir) => {
    const [start, own] = [join(dir, "policy"), join(dir, "critic")];
    await opened({ model: { config: { ...small, tied: false }, seed: 5 } }, async (policy) => {
      await policy.step(lesson(small.vocabSize), policyLoss, adamw);
      await policy.save(start, { optimizer: true });
    });
    const critic = await openCritic({ ...options, model: start, fresh: true });
    assert.ok((await critic.values(ids, rows)).every((value) => value === 0));
    await critic.step({ ids, rows, weight, values: values! }, { clip: 0 }, adamw);
    const said = await critic.values(ids, rows);
    await critic.save(own, { optimizer: true });
    await critic.dispose();
    const names = readHeader(join(own, "model.safetensors")).map(({ name }) => name);
    assert.ok(names.includes(VALUE_HEAD) && !names.includes("lm_head.weight"));
    const again = await openCritic({ ...options, model: own });
    assert.equal(await again.values(ids, rows), said);
    await again.dispose();
    const error = await openPolicy({ ...options, role: "policy", model: own }).catch((error) => error);
    assert.instance(error, CheckpointError);
    assert.match(error.message, /critic is a critic \(it has score\.weight\), expected a policy$/);
  });
});

test("what has no values or no logits says so", async () => {
  const { ids, rows } = lesson(small.vocabSize);
  const sampling = { temperature: 1, topP: 1, topK: 0, minP: 0, stopIds: [], maxTokens: 2 };
  await opened({}, async (policy) => {
    await refuses("INVALID_ARGUMENT", () => policy.values(ids, rows));
    await refuses("INVALID_ARGUMENT", () => policy.step(valued(), loss, adamw));
  });
  await opened({ output: "both" }, (policy) =>
    refuses("INVALID_ARGUMENT", () => policy.step(lesson(small.vocabSize), loss, adamw)),
  );
  await opened({ output: "values" }, async (policy) => {
    await refuses("INVALID_ARGUMENT", () => policy.score(ids, rows, 1));
    await refuses("INVALID_ARGUMENT", () => policy.open([1, 2], 1).generate(sampling));
    await refuses("INVALID_ARGUMENT", () =>
      policy.step({ ...valued(), values: { old: new Float32Array(1), returns: new Float32Array(1) } }, loss, adamw),
    );
  });
  const lora = { rank: 2, alpha: 2, targets: ["q_proj"], from: { seed: 1 } };
  await refuses("INVALID_ARGUMENT", () => opened({ output: "both", lora }, async () => undefined));
});

test("a critic learns what a row's first token decides, before its later ones have said it", async () => {
  const random = new Random("toy");
  const texts = Array.from({ length: 24 }, (_, n) => [n % 2, ...Array.from({ length: 7 }, () => 2 + random.int(60))]);
  const rows = Int32Array.from({ length: texts.length + 1 }, (_, n) => n * 8);
  const ids = Int32Array.from(texts.flat());
  const weight = Float32Array.from(ids, (_, t) => (t % 8 === 0 ? 0 : 1 / (7 * texts.length)));
  const returns = Float32Array.from(ids, (_, t) => (ids[t - (t % 8)] ? 5 : -5));
  await opened({ output: "values" }, async (policy) => {
    const batch = { ids, rows, weight, advantage: weight, oldLogp: null, refLogp: null };
    const explained: number[] = [];
    for (let i = 0; i < 60; i++) {
      const values = { old: await policy.values(ids, rows), returns };
      const stats = await policy.step({ ...batch, values }, { ...loss, value: { coef: 1, clip: 0 } }, adamw);
      explained.push(stats.valueExplained);
    }
    assert.is(explained[0], 0);
    assert.ok(explained.at(-1)! > 0.98, `${explained.at(-1)}`);
    const fresh = Int32Array.of(1, 40, 41, 0, 40, 41);
    const [, , win, , , lose] = await policy.values(fresh, Int32Array.of(0, 3, 6));
    assert.ok(win > 3 && lose < -3, `${win}, ${lose}`);
  });
});

test.run();
