// Updates through the engine's door: saving and resuming lose nothing, a step that fails leaves nothing, and state that
// is not the policy's is refused.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../../src/errors.ts";
import { parameterShapes } from "../../src/policy/model.ts";
import type { EnginePolicy, PolicyOptions } from "../../src/policy/policy.ts";
import { makeHeader, readHeader } from "../../src/policy/safetensors.ts";
import { Random } from "../../src/random.ts";
import { adamw, all, batchOf, config, ids, inFolder, loss, open, refuses, using } from "./tiny.ts";

async function refusesState(options: Partial<PolicyOptions>, pattern: RegExp): Promise<void> {
  const error = await open(options).catch((error) => error);
  assert.instance(error, CheckpointError);
  assert.match(error.message, pattern);
  assert.not.match(error.message, "\n");
}

test("learning, saving and going on equals learning straight on, byte for byte", async () => {
  await inFolder(async (dir) => {
    for (const kind of ["adamw", "muon"] as const) {
      const step = async (policy: EnginePolicy) => policy.step(batchOf(await all(policy, 6)), loss, { ...adamw, kind });
      const straight = await using({}, async (policy) => {
        const stats = [await step(policy), await step(policy), await step(policy)];
        await policy.save(join(dir, "straight"), { optimizer: true });
        return stats;
      });
      const first = await using({}, async (policy) => {
        const stats = [await step(policy)];
        await policy.save(join(dir, "half"), { optimizer: true });
        return stats;
      });
      const rest = await using({ model: join(dir, "half") }, async (policy) => {
        const stats = [await step(policy), await step(policy)];
        await policy.save(join(dir, "resumed"), { optimizer: true });
        return stats;
      });
      assert.equal([...first, ...rest], straight);
      for (const name of ["model.safetensors", "optimizer.safetensors"])
        assert.ok(readFileSync(join(dir, "straight", name)).equals(readFileSync(join(dir, "resumed", name))), name);
    }
  });
});

test("in bf16, masters learn in fp32, and going on equals learning straight on", async () => {
  const options = { dtype: "bf16", threads: 1 } as const;
  const random = new Random("bf16");
  const batch = batchOf([{ ids: ids(random, 60), logp: Array.from({ length: 60 }, (_, i) => (i ? -5 : null)) }]);
  const learn = (policy: EnginePolicy) => policy.step(batch, loss, { ...adamw, lr: 1e-5 });
  await inFolder(async (dir) => {
    await using(options, async (policy) => {
      const name = "model.layers.0.mlp.up_proj.weight";
      const weights = (await policy.engine.tensor(name)).data;
      assert.equal((await policy.engine.tensor(`master/${name}`)).data, weights);
      await learn(policy);
      const moved = (await policy.engine.tensor(`master/${name}`)).data;
      // A step of 1e-5 is less than what bf16 can hold of most weights, and masters keep it.
      assert.ok(moved.every((x, i) => x !== weights[i]));
      assert.ok((await policy.engine.tensor(name)).data.some((x, i) => x === weights[i]));
      await policy.save(join(dir, "half"), { optimizer: true });
      await learn(policy);
      await policy.save(join(dir, "straight"), { optimizer: true });
    });
    await using({ ...options, model: join(dir, "half") }, async (policy) => {
      await learn(policy);
      await policy.save(join(dir, "resumed"), { optimizer: true });
    });
    for (const name of ["model.safetensors", "optimizer.safetensors"])
      assert.ok(readFileSync(join(dir, "straight", name)).equals(readFileSync(join(dir, "resumed", name))), name);
    await refusesState({ model: join(dir, "half") }, /master.* is not part of/);
  });
});

test("optimizer state that is not the policy's is refused", async () => {
  await inFolder(async (dir) => {
    const random = new Random("state");
    const batch = batchOf([{ ids: ids(random, 30), logp: Array.from({ length: 30 }, (_, i) => (i ? -5 : null)) }]);
    const saved = (kind: "adamw" | "muon") =>
      using({}, async (policy) => {
        await policy.step(batch, loss, { ...adamw, kind });
        await policy.save(join(dir, kind), { optimizer: true });
        return readHeader(join(dir, kind, "optimizer.safetensors"));
      });
    const entries = await saved("adamw");
    const matrix = "v/model.layers.0.mlp.up_proj.weight";
    const parameters = parameterShapes(config).length;
    const matrices = parameterShapes(config).filter(
      ([name, shape]) => /layers/.test(name) && shape.length === 2,
    ).length;
    assert.is(entries.length, 1 + 2 * parameters);
    assert.is((await saved("muon")).length, 1 + 2 * parameters - matrices);

    const write = (tensors: readonly { name: string; dtype: string; shape: readonly number[] }[]) => {
      const { header, fileBytes } = makeHeader(tensors);
      writeFileSync(
        join(dir, "adamw", "optimizer.safetensors"),
        Buffer.concat([header, Buffer.alloc(fileBytes)], fileBytes),
      );
    };
    const model = join(dir, "adamw");
    write(entries.filter(({ name }) => name !== matrix));
    await refusesState({ model }, /v\/model.layers.0.mlp.up_proj.weight is missing/);
    write(entries.map((entry) => (entry.name === matrix ? { ...entry, shape: [...entry.shape].reverse() } : entry)));
    await refusesState({ model }, /up_proj.weight is F32 \[48,72\], expected F32 \[72,48\]/);
    write([...entries, { name: "m/other", dtype: "F32", shape: [1] }]);
    await refusesState({ model }, /m\/other is not part of/);
    await (await open({ model, fresh: true })).dispose();
  });
});

test("Muon decays its matrices by its own rate", async () => {
  const random = new Random("decay");
  const batch = batchOf([{ ids: ids(random, 60), logp: Array.from({ length: 60 }, (_, i) => (i ? -5 : null)) }]);
  const name = "model.layers.1.mlp.down_proj.weight";
  const learn = (weightDecay: number) =>
    using({}, async (policy) => {
      const before = (await policy.engine.tensor(name)).data;
      await policy.step(batch, loss, { ...adamw, kind: "muon", weightDecay });
      return { before, after: (await policy.engine.tensor(name)).data };
    });
  const [none, some] = [await learn(0), await learn(2)];
  for (const [i, x] of none.before.entries())
    assert.ok(Math.abs(none.after[i] - some.after[i] - x * adamw.lr * adamw.muonScale * 2) < 1e-6, `${i}`);
});

test("a step that fails leaves no gradients, and steps at once are steps one after the other", async () => {
  const random = new Random("steps");
  const good = batchOf([{ ids: ids(random, 60), logp: Array.from({ length: 60 }, (_, i) => (i ? -5 : null)) }]);
  // The second row is a micro-batch of its own, and its target has no logit.
  const wrong = batchOf([
    { ids: ids(random, 40).map((id) => id % 200), logp: Array.from({ length: 40 }, (_, i) => (i ? -5 : null)) },
    { ids: [1, 210], logp: [null, -5] },
  ]);
  const options = { microTokens: 40, vocabLimit: 205 };
  const small = { ...good, ids: good.ids.map((id) => id % 205) };
  const weights = async (policy: EnginePolicy) => (await policy.engine.tensor("model.embed_tokens.weight")).data;
  const plain = await using(options, async (policy) => {
    const stats = [await policy.step(small, loss, adamw), await policy.step(small, loss, adamw)];
    return { stats, weights: await weights(policy) };
  });
  const disturbed = await using(options, async (policy) => {
    await refuses("INVALID_ARGUMENT", () => policy.step(wrong, loss, adamw));
    const stats = await Promise.all([policy.step(small, loss, adamw), policy.step(small, loss, adamw)]);
    return { stats, weights: await weights(policy) };
  });
  assert.equal(disturbed, plain);
});

test("gradients and updates do not depend on the number of threads", async () => {
  const learn = (threads: number) =>
    using({ threads }, async (policy) => {
      const talks = await all(policy, 6);
      for (const kind of ["adamw", "muon"] as const) await policy.step(batchOf(talks), loss, { ...adamw, kind });
      const names = ["model.embed_tokens.weight", "model.layers.1.mlp.down_proj.weight"];
      return Promise.all(names.map((name) => policy.engine.tensor(name)));
    });
  assert.equal(await learn(1), await learn(3));
});

test.run();
