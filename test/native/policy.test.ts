// The engine through its door: that results do not depend on company, threads or timing, that sampler and trainer agree
// to the bit, that saving and resuming lose nothing, and what misuse is answered with.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError, EngineError } from "../../src/errors.ts";
import { type ModelConfig, parameterShapes } from "../../src/policy/model.ts";
import { native } from "../../src/policy/native.ts";
import { type EnginePolicy, openPolicy, type PolicyOptions } from "../../src/policy/policy.ts";
import { makeHeader, readHeader } from "../../src/policy/safetensors.ts";
import { Random } from "../../src/random.ts";
import type { Batch, LossOptions, OptimizerOptions, Sampling } from "../../src/types.ts";

const config: ModelConfig = {
  modelType: "qwen3",
  vocabSize: 211,
  hiddenSize: 48,
  intermediateSize: 72,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 24,
  ropeTheta: 1e4,
  ropeScaling: null,
  rmsEps: 1e-6,
  tied: true,
  qkNorm: true,
  qkvBias: false,
  oBias: false,
  mlpBias: false,
  maxPositions: 400,
  initializerRange: 0.3,
  eosIds: [],
  bosId: null,
  padId: null,
};

const sampling: Sampling = { temperature: 0.8, topP: 1, topK: 0, minP: 0, stopIds: [7], maxTokens: 12 };
const loss: LossOptions = {
  ratio: "token",
  clipLow: 0.2,
  clipHigh: 0.2,
  dualClip: 0,
  klCoef: 0,
  klKind: "k3",
  entropyCoef: 0.01,
  temperature: 0.8,
};
const adamw: OptimizerOptions = {
  kind: "adamw",
  lr: 0.01,
  muonScale: 0.5,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0.1,
  decayVectors: false,
  maxGradNorm: 1,
};

function open(options: Partial<PolicyOptions> = {}): Promise<EnginePolicy> {
  const model = { config, seed: 3 };
  return openPolicy({ model, device: "cpu", dtype: "fp32", threads: 2, role: "policy", ...options });
}

async function using<T>(options: Partial<PolicyOptions>, work: (policy: EnginePolicy) => Promise<T>): Promise<T> {
  const policy = await open(options);
  try {
    return await work(policy);
  } finally {
    await policy.dispose();
  }
}

async function inFolder(work: (dir: string) => Promise<void> | void): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "tarl-"));
  try {
    await work(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function ids(random: Random, length: number): number[] {
  return Array.from({ length }, () => random.int(config.vocabSize));
}

interface Talk {
  ids: number[];
  /** Log-prob at sampling, null where the environment wrote. */
  logp: (number | null)[];
}

/** Three turns with environment tokens between them; a function of `n` alone. */
async function talk(policy: EnginePolicy, n: number): Promise<Talk> {
  const random = new Random("talk", n);
  const prompt = [...ids(new Random("group", n % 3), 37), ...ids(random, n % 5)];
  const conversation = policy.open(prompt, n);
  const record: Talk = { ids: [...prompt], logp: prompt.map(() => null) };
  for (let turn = 0; turn < 3; turn++) {
    const generation = await conversation.generate(sampling);
    const env = ids(random, random.int(20));
    conversation.append(env);
    record.ids.push(...generation.ids, ...env);
    record.logp.push(...generation.logp, ...env.map(() => null));
  }
  conversation.close();
  return record;
}

function flat(talks: readonly Talk[]): { ids: Int32Array; rows: Int32Array } {
  let end = 0;
  return {
    ids: Int32Array.from(talks.flatMap((each) => each.ids)),
    rows: Int32Array.of(0, ...talks.map((each) => (end += each.ids.length))),
  };
}

function batchOf(talks: readonly Talk[]): Batch {
  const { ids, rows } = flat(talks);
  const logp = talks.flatMap((each) => each.logp);
  return {
    ids,
    rows,
    weight: Float32Array.from(logp, (x) => (x === null ? 0 : 0.01)),
    advantage: Float32Array.from(logp, (_, i) => Math.sin(i)),
    oldLogp: Float32Array.from(logp, (x) => x ?? 0),
    refLogp: null,
  };
}

const all = (policy: EnginePolicy, count: number) =>
  Promise.all(Array.from({ length: count }, (_, n) => talk(policy, n)));

async function refuses(code: string, work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, EngineError);
    assert.is((error as EngineError).code, code, (error as Error).message);
    return;
  }
  assert.unreachable(`expected an EngineError ${code}`);
}

async function refusesState(options: Partial<PolicyOptions>, pattern: RegExp): Promise<void> {
  const error = await open(options).catch((error) => error);
  assert.instance(error, CheckpointError);
  assert.match(error.message, pattern);
  assert.not.match(error.message, "\n");
}

test("a conversation does not depend on its company, on threads, or on how rounds are cut", async () => {
  const together = await using({}, (policy) => all(policy, 24));
  const alone = await using({ threads: 1, roundTokens: 16, microTokens: 16 }, async (policy) => {
    const talks: Talk[] = [];
    for (let n = 0; n < 24; n++) talks.push(await talk(policy, n));
    return talks;
  });
  assert.equal(alone, together);
});

test("the trainer's log-probs of sampled tokens are the sampler's, to the bit", async () => {
  await using({}, async (policy) => {
    const talks = await all(policy, 24);
    const { ids, rows } = flat(talks);
    const { logp } = await policy.score(ids, rows, sampling.temperature);
    let sampled = 0;
    for (const [i, before] of talks.flatMap((each) => each.logp).entries())
      if (before !== null) {
        assert.is(logp[i], before, `token ${i}`);
        sampled++;
      }
    assert.ok(sampled > 300, `${sampled} sampled tokens`);
    const stats = await policy.step(batchOf(talks), loss, adamw);
    assert.is(stats.mismatch, 0);
    assert.is(stats.ratio, 1);
    assert.is(stats.lossTokens, sampled);
  });
});

test("conversations that start alike compute their common start once", async () => {
  await using({}, async (policy) => {
    const prompt = ids(new Random("prompt"), 100);
    const talks = Array.from({ length: 8 }, (_, n) => policy.open(prompt, n));
    await Promise.all(talks.map((each) => each.generate({ ...sampling, maxTokens: 1 })));
    const { computed, shared } = await policy.stats();
    assert.is(shared, 7 * 96); // six pages of 16
    assert.is(computed, 100 + 7 * 4);
  });
});

test("a fork speaks from the same tokens with other random numbers", async () => {
  await using({}, async (policy) => {
    const prompt = ids(new Random("fork"), 50);
    const original = policy.open(prompt, 1);
    const twin = original.fork(2);
    const again = policy.open(prompt, 2);
    const [first, second, third] = await Promise.all([original, twin, again].map((each) => each.generate(sampling)));
    assert.equal(second, third);
    assert.not.equal(first.ids, second.ids);
  });
});

test("the kernels and plain ATen agree", async () => {
  const [fast, plain] = await Promise.all(
    (["on", "off"] as const).map((kernels) =>
      using({ kernels }, async (policy) => {
        const random = new Random("twins");
        const batch = batchOf([
          { ids: ids(random, 90), logp: Array.from({ length: 90 }, (_, i) => (i % 3 ? -5 : null)) },
        ]);
        const stats = await policy.engine.backward(batch, loss);
        const grads = await Promise.all(
          [
            "model.embed_tokens.weight",
            "model.layers.0.self_attn.k_proj.weight",
            "model.layers.1.mlp.up_proj.weight",
          ].map(async (name) => (await policy.engine.tensor(`grad/${name}`)).data),
        );
        return { stats, grads };
      }),
    ),
  );
  assert.ok(Math.abs(fast.stats.loss - plain.stats.loss) < 1e-5, `${fast.stats.loss} ${plain.stats.loss}`);
  for (const [i, grad] of fast.grads.entries()) {
    const scale = Math.max(...grad.map(Math.abs));
    for (let j = 0; j < grad.length; j++) assert.ok(Math.abs(grad[j] - plain.grads[i][j]) < 1e-4 * scale);
  }
});

const file = fileURLToPath(import.meta.url);

test("every instruction set gives the same log-probs", () => {
  const runs = ["generic", "avx2", "avx512"].map((asked) => {
    const { stdout, stderr } = spawnSync(process.execPath, [file, "--scores"], {
      env: { ...process.env, TARL_ISA: asked },
      encoding: "utf8",
    });
    assert.ok(stdout.includes("scores"), stderr);
    const { isa, scores } = JSON.parse(stdout.slice(stdout.indexOf("{"))) as { isa: string; scores: number[] };
    return { asked, isa, scores };
  });
  assert.is(runs[0].isa, "generic");
  for (const { asked, isa, scores } of runs) {
    if (isa !== asked) console.log(`SKIP 1 this processor has no ${asked}`);
    for (const [i, score] of scores.entries()) assert.ok(Math.abs(score - runs[0].scores[i]) < 1e-4, `${i}: ${score}`);
  }
});

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

test("weights that changed are used at once, by conversations that go on too", async () => {
  await using({}, async (policy) => {
    const prompt = ids(new Random("stale"), 40);
    const old = policy.open(prompt, 1);
    const first = await old.generate(sampling);
    await policy.step(batchOf(await all(policy, 4)), loss, adamw);
    const fresh = policy.open([...prompt, ...first.ids], 1);
    assert.equal(await old.generate(sampling), await fresh.generate(sampling));
  });
});

test("an aborted generation ends with what it had; an aborted signal starts none", async () => {
  await using({}, async (policy) => {
    const conversation = policy.open([1, 2, 3], 1);
    const controller = new AbortController();
    const running = conversation.generate({ ...sampling, stopIds: [], maxTokens: 390 }, controller.signal);
    await refuses("BUSY", () => conversation.append([1]));
    await refuses("BUSY", () => conversation.generate(sampling));
    controller.abort();
    const { ended, ids } = await running;
    assert.is(ended, "aborted");
    assert.is(conversation.length, 3 + ids.length);
    assert.is((await conversation.generate(sampling, controller.signal)).ids.length, 0);
    assert.ok((await conversation.generate(sampling)).ids.length > 0);
  });
});

test("limits end a generation: tokens, stop ids, context", async () => {
  await using({}, async (policy) => {
    const endless = { ...sampling, stopIds: [], maxTokens: 5 };
    assert.is((await policy.open([1], 1).generate(endless)).ended, "length");
    const everything = Array.from({ length: config.vocabSize }, (_, id) => id);
    const stopped = await policy.open([1], 1).generate({ ...endless, stopIds: everything });
    assert.equal([stopped.ended, stopped.ids.length], ["stop", 1]);
    const full = policy.open(ids(new Random("full"), config.maxPositions - 2), 1);
    const last = await full.generate(endless);
    assert.equal([last.ended, last.ids.length], ["context", 2]);
    assert.equal((await full.generate(endless)).ids.length, 0);
  });
});

test("a pool that is too small is a named error, and the engine goes on", async () => {
  await using({ kvTokens: 64 }, async (policy) => {
    await refuses("OUT_OF_MEMORY", () => policy.open(ids(new Random("large"), 100), 1).generate(sampling));
    const small = Array.from({ length: 4 }, (_, n) => policy.open(ids(new Random("small", n), 20), n));
    const waited = await Promise.all(small.map((each) => each.generate(sampling)));
    assert.is(waited.length, 4);
  });
});

test("conversations that do not fit the pool together wait for each other", async () => {
  const speak = (kvTokens: number) =>
    using({ kvTokens }, async (policy) => {
      const talks = Array.from({ length: 5 }, (_, n) => policy.open(ids(new Random("waits", n), 40 + n), n));
      const said = await Promise.all(talks.map((each) => each.generate({ ...sampling, stopIds: [], maxTokens: 70 })));
      const { pages } = await policy.stats();
      for (const each of talks) each.close();
      assert.is((await policy.stats()).pages, 0);
      return { said, pages };
    });
  const [tight, wide] = [await speak(128), await speak(4096)];
  assert.equal(tight.said, wide.said);
  assert.ok(tight.pages <= 8 && wide.pages > 8, `${tight.pages} ${wide.pages}`);
});

test("pages come back after a close, an abort, a fork, a failure and a step", async () => {
  await using({ kvTokens: 256 }, async (policy) => {
    const pages = async () => (await policy.stats()).pages;
    const talk = policy.open(ids(new Random("pages"), 100), 1);
    await talk.generate(sampling);
    const twin = talk.fork(2);
    await twin.generate(sampling);
    const controller = new AbortController();
    const running = talk.generate({ ...sampling, stopIds: [], maxTokens: 100 }, controller.signal);
    controller.abort();
    await running;
    assert.ok((await pages()) > 0);
    talk.close();
    assert.ok((await pages()) > 0);
    twin.close();
    assert.is(await pages(), 0);
    const large = policy.open(ids(new Random("large"), 300), 1);
    await refuses("OUT_OF_MEMORY", () => large.generate(sampling));
    assert.is(await pages(), 0);
    const trace = (ids: number[], part: number) =>
      policy.engine.traceCached(Int32Array.from(ids), Int32Array.of(part)).catch((error) => error.message);
    assert.match(await trace([1, 2, 3], 2), "parts");
    assert.match(await trace([1, 999], 2), "999");
    assert.is(await pages(), 0);
  });
});

test("a deadline is a named error, for generations alone, and leaves the conversation as it was", async () => {
  await using({ deadlineMs: 1 }, async (policy) => {
    const prompt = ids(new Random("late"), 32);
    const talk = policy.open(prompt, 1);
    await refuses("DEADLINE", () => talk.generate({ ...sampling, stopIds: [], maxTokens: 360 }));
    assert.is(talk.length, 32);
    const row = Int32Array.from(ids(new Random("row"), 4000));
    const scores = await policy.score(row, Int32Array.of(0, 4000), 1);
    assert.is(scores.logp.length, 4000);
    policy.engine.open(99, Int32Array.from(prompt), 1);
    assert.equal(await policy.engine.generate(0, sampling), await policy.engine.generate(99, sampling));
  });
});

test("weights that are no numbers fail a generation and show in the mismatch", async () => {
  await inFolder(async (dir) => {
    await using({}, (policy) => policy.save(dir));
    const [{ offset }] = readHeader(join(dir, "model.safetensors")).filter(({ name }) => name === "model.norm.weight");
    const bytes = readFileSync(join(dir, "model.safetensors"));
    bytes.writeFloatLE(Number.NaN, offset);
    writeFileSync(join(dir, "model.safetensors"), bytes);
    await using({ model: dir }, async (policy) => {
      const talk = policy.open([1, 2, 3], 1);
      await refuses("INTERNAL", () => talk.generate(sampling));
      await refuses("INTERNAL", () => talk.generate({ ...sampling, temperature: 0 }));
      assert.is(talk.length, 3);
      const stats = await policy.step(batchOf([{ ids: [1, 2, 3], logp: [null, -1, -2] }]), loss, adamw);
      assert.ok(Number.isNaN(stats.mismatch) && Number.isNaN(stats.gradNorm));
    });
  });
});

test("dispose ends work under way and queued by name, and does not hold up the process", async () => {
  const policy = await open({ roundTokens: 64, microTokens: 64 });
  const random = new Random("dispose");
  const rows = Int32Array.from({ length: 201 }, (_, r) => r * 60);
  const row = Int32Array.from(ids(random, 12000));
  const talk = policy.open([1, 2, 3], 1);
  const work = Array.from({ length: 20 }, () => policy.score(row, rows, 1).catch((error) => error));
  const start = performance.now();
  const disposed = policy.dispose();
  const blocked = performance.now() - start;
  talk.close();
  policy.engine.abort(0);
  await refuses("DISPOSED", () => policy.open([1], 1));
  await Promise.all([disposed, policy.dispose()]);
  for (const error of await Promise.all(work)) assert.is(error.code, "DISPOSED");
  assert.ok(blocked < 50, `${blocked} ms`);
});

test("misuse is a named error", async () => {
  await using({}, async (policy) => {
    await refuses("INVALID_ARGUMENT", () => policy.open([config.vocabSize], 1));
    await refuses("INVALID_ARGUMENT", () => policy.open([1.5], 1));
    await refuses("INVALID_ARGUMENT", () => policy.open([], 1).generate(sampling));
    await refuses("INVALID_ARGUMENT", () => policy.open([1], 1).generate({ ...sampling, temperature: Number.NaN }));
    await refuses("INVALID_ARGUMENT", () => policy.open([1], 1).generate({ ...sampling, maxTokens: 0 }));
    assert.throws(() => policy.engine.open(9, Int32Array.of(config.vocabSize), 1), /ids\[0\] is 211/);
    assert.throws(() => policy.engine.append(0, Int32Array.of(0, -1)), /ids\[1\] is -1/);
    await refuses("INVALID_ARGUMENT", () => policy.score(Int32Array.of(1, 2), Int32Array.of(0, 3), 1));
    await refuses("INVALID_ARGUMENT", () => policy.score(Int32Array.of(1, 2), Int32Array.of(0, 2), 0));
    const batch = batchOf([{ ids: [1, 2], logp: [null, -1] }]);
    await refuses("INVALID_ARGUMENT", () => policy.step({ ...batch, weight: Float32Array.of(1, 1) }, loss, adamw));
    await refuses("INVALID_ARGUMENT", () => policy.step({ ...batch, advantage: Float32Array.of(1) }, loss, adamw));
    const closed = policy.open([1], 1);
    closed.close();
    await refuses("DISPOSED", () => closed.generate(sampling));
  });
  if (!native.cuda()) await refuses("INVALID_ARGUMENT", () => open({ device: "cuda" }));
  await using({ vocabLimit: 200 }, async (policy) => {
    await refuses("INVALID_ARGUMENT", () => policy.score(Int32Array.of(205, 205), Int32Array.of(0, 2), 1));
    assert.is((await policy.score(Int32Array.of(205, 199), Int32Array.of(0, 2), 1)).logp.length, 2);
  });
  const reference = await open({ role: "reference" });
  await refuses("INVALID_ARGUMENT", () => reference.step(batchOf([{ ids: [1, 2], logp: [null, -1] }]), loss, adamw));
  const cut = reference.open([1], 1).generate({ ...sampling, stopIds: [], maxTokens: 390 });
  await reference.dispose();
  assert.is((await cut).ended, "aborted");
  await refuses("DISPOSED", () => reference.open([1], 1));
  await refuses("DISPOSED", () => reference.score(Int32Array.of(1), Int32Array.of(0, 1), 1));
});

test("a process may end while the engine works", () =>
  inFolder((dir) => {
    const script = join(dir, "end.mjs");
    const door = new URL("../../src/policy/policy.js", import.meta.url).href;
    writeFileSync(
      script,
      `import { openPolicy } from ${JSON.stringify(door)};
       const policy = await openPolicy({ model: { config: ${JSON.stringify(config)}, seed: 1 }, device: "cpu", dtype: "fp32", threads: 2, role: "policy" });
       policy.open([1], 1).generate(${JSON.stringify({ ...sampling, stopIds: [], maxTokens: 399 })});
       if (process.argv[2] === "exit") process.exit(5);
       process.exitCode = 6;`,
    );
    assert.is(spawnSync(process.execPath, [script, "exit"]).status, 5);
    assert.is(spawnSync(process.execPath, [script]).status, 6);
  }));

if (process.argv[2] === "--scores") {
  const scores = await using({}, async (policy) => {
    const row = Int32Array.from(ids(new Random("isa"), 80));
    return Array.from((await policy.score(row, Int32Array.of(0, 80), 1)).logp);
  });
  console.log(JSON.stringify({ isa: native.isa(), scores }));
} else {
  test.run();
}
