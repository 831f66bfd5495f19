// The engine through its door: that results do not depend on company, threads or timing, that sampler and trainer agree
// to the bit, that saving and resuming lose nothing, and what misuse is answered with.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EngineError } from "../../src/errors.ts";
import type { ModelConfig } from "../../src/policy/model.ts";
import { type EnginePolicy, openPolicy, type PolicyOptions } from "../../src/policy/policy.ts";
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
  rmsEps: 1e-6,
  tied: true,
  qkNorm: true,
  qkvBias: false,
  oBias: false,
  maxPositions: 400,
  initializerRange: 0.3,
  eosIds: [],
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

test("a conversation does not depend on its company, on threads, or on how rounds are cut", async () => {
  const together = await using({}, (policy) => all(policy, 24));
  const alone = await using({ threads: 1, roundTokens: 16 }, async (policy) => {
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
  const runs = ["generic", "avx2", "avx512"].map((isa) => {
    const { stdout, stderr } = spawnSync(process.execPath, [file, "--scores"], {
      env: { ...process.env, TARL_ISA: isa },
      encoding: "utf8",
    });
    assert.ok(stdout.includes("scores"), stderr);
    return JSON.parse(stdout.slice(stdout.indexOf("{"))) as { scores: number[] };
  });
  for (const { scores } of runs.slice(1))
    for (const [i, score] of scores.entries()) assert.ok(Math.abs(score - runs[0].scores[i]) < 1e-4, `${i}: ${score}`);
});

test("learning, saving and going on equals learning straight on, byte for byte", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tarl-"));
  try {
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
  } finally {
    rmSync(dir, { recursive: true });
  }
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

test("a deadline is a named error", async () => {
  await using({ deadlineMs: 1 }, (policy) =>
    refuses("DEADLINE", () => policy.open([1], 1).generate({ ...sampling, stopIds: [], maxTokens: 399 })),
  );
});

test("misuse is a named error", async () => {
  await using({}, async (policy) => {
    await refuses("INVALID_ARGUMENT", () => policy.open([config.vocabSize], 1));
    await refuses("INVALID_ARGUMENT", () => policy.open([1.5], 1));
    await refuses("INVALID_ARGUMENT", () => policy.open([], 1).generate(sampling));
    await refuses("INVALID_ARGUMENT", () => policy.open([1], 1).generate({ ...sampling, temperature: Number.NaN }));
    await refuses("INVALID_ARGUMENT", () => policy.open([1], 1).generate({ ...sampling, maxTokens: 0 }));
    await refuses("INVALID_ARGUMENT", () => policy.score(Int32Array.of(1, 2), Int32Array.of(0, 3), 1));
    await refuses("INVALID_ARGUMENT", () => policy.score(Int32Array.of(1, 2), Int32Array.of(0, 2), 0));
    const batch = batchOf([{ ids: [1, 2], logp: [null, -1] }]);
    await refuses("INVALID_ARGUMENT", () => policy.step({ ...batch, weight: Float32Array.of(1, 1) }, loss, adamw));
    await refuses("INVALID_ARGUMENT", () => policy.step({ ...batch, advantage: Float32Array.of(1) }, loss, adamw));
    const closed = policy.open([1], 1);
    closed.close();
    await refuses("DISPOSED", () => closed.generate(sampling));
  });
  const reference = await open({ role: "reference" });
  await refuses("INVALID_ARGUMENT", () => reference.step(batchOf([{ ids: [1, 2], logp: [null, -1] }]), loss, adamw));
  const cut = reference.open([1], 1).generate({ ...sampling, stopIds: [], maxTokens: 390 });
  await reference.dispose();
  assert.is((await cut.catch((error) => error)).ended ?? "aborted", "aborted");
  await refuses("DISPOSED", () => reference.open([1], 1));
  await refuses("DISPOSED", () => reference.score(Int32Array.of(1), Int32Array.of(0, 1), 1));
});

test("a process may end while the engine works", () => {
  const script = join(mkdtempSync(join(tmpdir(), "tarl-")), "end.mjs");
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
});

if (process.argv[2] === "--scores") {
  const scores = await using({}, async (policy) => {
    const row = Int32Array.from(ids(new Random("isa"), 80));
    return Array.from((await policy.score(row, Int32Array.of(0, 80), 1)).logp);
  });
  console.log(JSON.stringify({ scores }));
} else {
  test.run();
}
