// Golden models: everything that the engine computes, against transformers. Models and cases are discovered in the
// folder, and in test/fixtures/llama; each runs twice, on our kernels and on plain ATen. Kinds and models that are not
// built yet are skipped by name.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Aggregation, pack } from "../../src/batch.ts";
import { native, type Trace } from "../../src/policy/native.ts";
import { type EnginePolicy, openPolicy } from "../../src/policy/policy.ts";
import { loadTokenizer } from "../../src/policy/tokenizer.ts";
import { root } from "../../src/root.ts";
import type { Batch, Ledger, LossOptions, Sampling } from "../../src/types.ts";
import { golden } from "../golden.ts";
import { lessons } from "../rows.ts";
import { type Comparison, expectNear, readTensors, type Values } from "../tensors.ts";

const folder = golden("hf");
if (!folder) throw new Error("no golden/hf: set TARL_GOLDEN to the folder that holds it");
/** test/gpu/engine.test.ts runs this file on a GPU. */
const device = process.env.TARL_TEST_DEVICE === "cuda" ? "cuda" : "cpu";
const readJson = (...path: string[]): any => JSON.parse(readFileSync(join(...path), "utf8"));

interface Case {
  name: string;
  kind: string;
  file: string;
  params: any;
  expect: { [output: string]: Comparison & { top1_margin?: number } };
}

/** A case's tensors, and a policy of its model. */
interface Given {
  readonly policy: EnginePolicy;
  readonly input: { [name: string]: Values };
  readonly output: { [name: string]: Values };
  readonly kernels: "on" | "off";
  readonly model: string;
}

// ---------------------------------------------------------------------------------------------------
// Padded rows [B, S] and packed rows
// ---------------------------------------------------------------------------------------------------

/** The real tokens of padded rows, packed, and where each came from. */
class Rows {
  readonly ids: Int32Array;
  readonly rows: Int32Array;
  /** Place in the padded array of every packed token. */
  readonly places: number[] = [];
  readonly size: number;

  constructor({ input_ids, attention_mask }: { [name: string]: Values }, batch?: number) {
    const [height, width] = input_ids.shape.slice(-2);
    this.size = height * width;
    const start = (batch ?? 0) * this.size;
    const ends = [0];
    for (let b = 0; b < height; b++) {
      for (let t = 0; t < width; t++)
        if (!attention_mask || attention_mask.data[start + b * width + t]) this.places.push(b * width + t);
      ends.push(this.places.length);
    }
    this.ids = Int32Array.from(this.places, (place) => input_ids.data[start + place]);
    this.rows = Int32Array.from(ends);
  }

  pick(values: readonly number[], batch = 0): Float32Array {
    return Float32Array.from(this.places, (place) => values[batch * this.size + place]);
  }

  /** Packed values of `width` numbers each, back in their padded places. */
  spread(values: ArrayLike<number>, width = 1): Float32Array {
    const padded = new Float32Array(this.size * width);
    for (const [i, place] of this.places.entries())
      for (let j = 0; j < width; j++) padded[place * width + j] = values[i * width + j];
    return padded;
  }

  list(): number[][] {
    return Array.from(this.rows.subarray(1), (end, b) => Array.from(this.ids.subarray(this.rows[b], end)));
  }
}

const greedy = (maxTokens: number, stopIds: readonly number[] = []): Sampling => ({
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  maxTokens,
  stopIds,
});

/** A policy that only speaks, of ids below `vocabLimit`. */
const speakerOf = (model: string, kernels: "on" | "off", vocabLimit: number) =>
  openPolicy({ model, device, dtype: "fp32", threads: 2, role: "reference", kernels, vocabLimit });

// ---------------------------------------------------------------------------------------------------
// Kinds
// ---------------------------------------------------------------------------------------------------

const kinds: { [kind: string]: (one: Case, given: Given) => Promise<void> } = {
  async forward(one, { policy, input, output }) {
    const rows = new Rows(input);
    const positions = input.position_ids ? Int32Array.from(rows.pick(input.position_ids.data)) : null;
    const trace = await policy.engine.trace(rows.ids, rows.rows, positions);
    const { vocabSize, hiddenSize } = policy.config;
    const check = (name: string, packed: ArrayLike<number>, width: number) => {
      const real = new Set(rows.places);
      const count = (i: number) => real.has(Math.floor(i / width));
      if (one.expect[name]) expectNear(rows.spread(packed, width), output[name], one.expect[name], name, count);
    };
    check("hidden", trace.hidden, hiddenSize);
    for (const [i, residual] of trace.residuals.entries()) check(`resid${i}`, residual, hiddenSize);
    if (one.params?.logits === "last")
      expectNear(trace.logits.subarray(-vocabSize), output.logits, one.expect.logits, "logits");
    else check("logits", trace.logits, vocabSize);
    if (one.expect.logp) {
      const { logp, entropy } = await policy.score(rows.ids, rows.rows, 1);
      check("logp", logp, 1);
      check("entropy", entropy, 1);
    }
  },

  async forward_bf16(one, { model, kernels, input, output }) {
    const options = { model, device, threads: 2, role: "reference", kernels } as const;
    const wide = await openPolicy({ ...options, dtype: "fp32" });
    const narrow = await openPolicy({ ...options, dtype: "bf16" });
    const rows = new Rows(input);
    const got = (await narrow.engine.trace(rows.ids, rows.rows, null)).logits;
    const exact = (await wide.engine.trace(rows.ids, rows.rows, null)).logits;
    const { vocabSize } = wide.config;
    await Promise.all([wide.dispose(), narrow.dispose()]);
    const want = output.logits ?? { shape: [rows.ids.length, vocabSize], data: Array.from(exact) };
    expectNear(got, want, one.expect.logits, "logits");
    for (let t = 0; t < rows.ids.length; t++) {
      const row = Array.from(exact.subarray(t * vocabSize, (t + 1) * vocabSize));
      const [best, second] = [...row].sort((a, b) => b - a);
      if (best - second <= one.expect.logits.top1_margin!) continue;
      const narrowRow = Array.from(got.subarray(t * vocabSize, (t + 1) * vocabSize));
      assert.is(narrowRow.indexOf(Math.max(...narrowRow)), row.indexOf(best), `top-1 of token ${t}`);
    }
  },

  async cached_decode(one, { policy, input, output }) {
    const rows = new Rows(input);
    const traces: Trace[] = [];
    for (const ids of rows.list()) {
      const parts: number[] = [...one.params.parts];
      while (parts.reduce((sum, part) => sum + part, 0) < ids.length) parts.push(1);
      traces.push(await policy.engine.traceCached(Int32Array.from(ids), Int32Array.from(parts)));
    }
    expectNear(
      traces.flatMap(({ logits }) => [...logits]),
      output.logits,
      one.expect.logits,
      "logits",
    );
    expectNear(
      traces.flatMap(({ hidden }) => [...hidden]),
      output.hidden,
      one.expect.hidden,
      "hidden",
    );
  },

  async packed(one, { policy, input, output }) {
    const [ids, rows, positions] = [input.input_ids, input.cu_seqlens, input.position_ids].map(({ data }) =>
      Int32Array.from(data),
    );
    const trace = await policy.engine.trace(ids, rows, positions);
    expectNear(trace.logits, output.logits, one.expect.logits, "logits");
    expectNear(trace.hidden, output.hidden, one.expect.hidden, "hidden");
  },

  async logprobs(one, { policy, input, output }) {
    const rows = new Rows(input);
    for (const temperature of one.params.temperatures) {
      const { logp, entropy } = await policy.score(rows.ids, rows.rows, temperature);
      expectNear(rows.spread(logp), output[`logp_t${temperature}`], one.expect[`logp_t${temperature}`], "logp");
      expectNear(
        rows.spread(entropy),
        output[`entropy_t${temperature}`],
        one.expect[`entropy_t${temperature}`],
        "entropy",
      );
    }
  },

  async policy_loss(one, { policy, input, output }) {
    const { params, expect } = one;
    const { batch, options } = lossOf(params, input);
    const stats = await policy.engine.backward(batch, options);
    expectNear([stats.loss], output.loss, expect.loss, "loss");
    const { logp } = await policy.score(batch.ids, batch.rows, options.temperature);
    const drift = mean(batch, (t) => {
      const d = logp[t] - batch.oldLogp![t];
      return Math.exp(d) - 1 - d;
    });
    const metrics: { [name: string]: () => number } = {
      entropy: () => stats.entropy,
      kl_ref: () => stats.kl,
      clip_fraction: () => stats.clipLow + stats.clipHigh,
      approx_kl_old: () => drift,
    };
    for (const name of Object.keys(expect).filter((name) => name.startsWith("metric.")))
      expectNear([metrics[name.slice(7)]()], output[name], expect[name], name);
    const names: string[] = params.param_names;
    const grads = await Promise.all(names.map(async (name) => (await policy.engine.tensor(`grad/${name}`)).data));
    expectNear(grads.map(norm), output.grad_norms, expect.grad_norms, "grad_norms");
    expectNear([norm(grads.map(norm))], output.grad_norm_total, expect.grad_norm_total, "grad_norm_total");
    for (const name of Object.keys(expect).filter((name) => name.startsWith("grad.")))
      expectNear(grads[names.indexOf(name.slice(5))], output[name], expect[name], name);
  },

  async adamw(one, { policy, input, output }) {
    const { params, expect } = one;
    const names: string[] = params.param_names;
    const read = () => Promise.all(names.map(async (name) => (await policy.engine.tensor(name)).data));
    const vectors = names.map((name) => !/(embed_tokens|lm_head|_proj)\.weight$/.test(name));
    const decayOf = (vector: boolean) =>
      new Set(params.weight_decay.filter((_: number, i: number) => vectors[i] === vector));
    const [matrixDecay] = decayOf(false);
    const [vectorDecay] = decayOf(true);
    const before = await read();
    const [losses, norms]: number[][] = [[], []];
    for (const [step, lr] of params.lr.entries()) {
      const { batch, options } = lossOf(params, input, step);
      const stats = await policy.step(batch, options, {
        kind: "adamw",
        lr,
        muonScale: 1,
        beta1: params.betas[0],
        beta2: params.betas[1],
        eps: params.eps,
        weightDecay: matrixDecay as number,
        decayVectors: vectorDecay === matrixDecay,
        maxGradNorm: params.max_grad_norm,
      });
      losses.push(stats.loss);
      norms.push(stats.gradNorm);
    }
    const after = await read();
    expectNear(losses, output.losses, expect.losses, "losses");
    expectNear(norms, output.grad_norms, expect.grad_norms, "grad_norms");
    expectNear(after.map(norm), output.final_norms, expect.final_norms, "final_norms");
    const deltas = after.map((values, i) => norm(values.map((x, j) => x - before[i][j])));
    expectNear(deltas, output.delta_norms, expect.delta_norms, "delta_norms");
    for (const name of Object.keys(expect).filter((name) => name.startsWith("param.")))
      expectNear(after[names.indexOf(name.slice(6))], output[name], expect[name], name);
    const probe = new Rows({ input_ids: input.probe_ids });
    const { logits } = await policy.engine.trace(probe.ids, probe.rows, null);
    expectNear(logits, output.probe_logits, expect.probe_logits, "probe_logits");
  },

  async greedy(one, { policy, model, kernels, input, output }) {
    const { new_tokens, stop_ids = [], pad_id = 0, banned_from = 0, step_logits = false } = one.params;
    const speaker = banned_from ? await speakerOf(model, kernels, banned_from) : policy;
    const rows = new Rows(input);
    const turns = await Promise.all(
      rows.list().map(async (ids) => {
        const talk = speaker.open(ids, 0);
        const { ids: sampled } = await talk.generate(greedy(new_tokens, stop_ids));
        talk.close();
        return { ids, sampled };
      }),
    );
    const padded = turns.flatMap(({ sampled }) => [...sampled, ...Array(new_tokens - sampled.length).fill(pad_id)]);
    expectNear(padded, output.tokens, one.expect.tokens, "tokens");
    if (step_logits) {
      const { vocabSize } = policy;
      const logits: number[] = [];
      for (const { ids, sampled } of turns) {
        const all = Int32Array.from([...ids, ...sampled]);
        const trace = await policy.engine.trace(all, Int32Array.of(0, all.length), null);
        logits.push(...trace.logits.subarray((ids.length - 1) * vocabSize, (all.length - 1) * vocabSize));
      }
      expectNear(logits, output.step_logits, one.expect.step_logits, "step_logits");
    }
    if (speaker !== policy) await speaker.dispose();
  },

  async sampler(one, { input, output }) {
    const vocab = input.logits.shape.at(-1)!;
    for (const [i, { temperature, top_k, top_p, min_p }] of one.params.settings.entries()) {
      const sampling = { ...greedy(1), temperature, topK: top_k, topP: top_p, minP: min_p };
      const got: number[] = [];
      for (let row = 0; row < output[`probs${i}`].shape[0]; row++)
        got.push(
          ...native.distribution(Float32Array.from(input.logits.data.slice(row * vocab, (row + 1) * vocab)), sampling),
        );
      expectNear(got, output[`probs${i}`], one.expect[`probs${i}`], `probs${i}`);
    }
  },

  async e2e(one, { model, kernels, input, output }) {
    const { prompt_text, env_text, new_tokens, stop_ids, banned_from } = one.params;
    const tokenizer = loadTokenizer(model);
    const prompt = tokenizer.encode(prompt_text);
    assert.equal(prompt, input.prompt_ids.data, "prompt_ids");
    const env = [...input.env_ids.data];
    assert.equal(tokenizer.encode(env_text), one.params.env_closes_turn ? env.slice(1) : env, "env_ids");
    const policy = await speakerOf(model, kernels, banned_from);
    const talk = policy.open(prompt, 0);
    const first = await talk.generate(greedy(new_tokens, stop_ids));
    talk.append(env);
    const second = await talk.generate(greedy(new_tokens, stop_ids));
    await policy.dispose();
    for (const [turn, { ids, logp }] of [first, second].entries()) {
      expectNear(ids, output[`turn${turn + 1}_ids`], one.expect[`turn${turn + 1}_ids`], `turn${turn + 1}_ids`);
      expectNear(logp, output[`turn${turn + 1}_logp`], one.expect[`turn${turn + 1}_logp`], `turn${turn + 1}_logp`);
    }
  },
};

const norm = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0));

function mean(batch: Batch, value: (t: number) => number): number {
  const inside = Array.from(batch.weight.keys()).filter((t) => batch.weight[t] !== 0);
  return batch.oldLogp ? inside.reduce((sum, t) => sum + value(t), 0) / Math.max(inside.length, 1) : 0;
}

/** The batch and the loss options of a policy_loss or adamw case (batch number `at` of ten). */
function lossOf(params: any, input: { [name: string]: Values }, at = 0): { batch: Batch; options: LossOptions } {
  const { kind, agg, const: constant, clip_low = 0, clip_high = 0, kl_beta = 0, entropy_coef = 0 } = params.loss;
  const rows = new Rows(input, at);
  const mask = rows.pick(input.loss_mask.data, at);
  const modes: { [agg: string]: Aggregation } = {
    token_mean: "token-mean",
    seq_mean_token_mean: "seq-mean-token-mean",
    const: "seq-mean-token-sum-norm",
  };
  const some = (name: string) => (input[name] ? rows.pick(input[name].data, at) : null);
  const oldLogp = some("old_logp");
  const slices = Array.from(rows.rows.subarray(1), (end, b) => [rows.rows[b], end]);
  const ledgers: Ledger[] = slices.map(([from, to]) => ({
    ids: rows.ids.subarray(from, to),
    mask: Uint8Array.from(mask.subarray(from, to)),
    logp: oldLogp?.subarray(from, to) ?? new Float32Array(to - from),
    turn: new Int16Array(to - from),
  }));
  const advantage = rows.pick(input.advantages.data, at);
  const advantages = slices.map(([from, to]) => Float64Array.from(advantage.subarray(from, to)));
  const aggregation = modes[agg];
  const packed = pack(lessons(ledgers, advantages), {
    aggregation,
    normConst: constant ?? 1,
    excludeEmpty: false,
    dropZero: false,
  });
  return {
    batch: { ...packed, oldLogp: oldLogp && packed.oldLogp, refLogp: some("ref_logp") },
    options: {
      ratio: ({ pg: "none", ppo: "token", gspo: "sequence" } as const)[kind as "pg" | "ppo" | "gspo"],
      clipLow: clip_low,
      clipHigh: clip_high,
      dualClip: 0,
      klCoef: kl_beta,
      klKind: "k3",
      klClamp: 10,
      entropyCoef: entropy_coef,
      temperature: params.temperature ?? 1,
    },
  };
}

// ---------------------------------------------------------------------------------------------------
// Discovery
// ---------------------------------------------------------------------------------------------------

const skipped = new Map<string, number>();
const skip = (why: string, count: number) => skipped.set(why, (skipped.get(why) ?? 0) + count);

for (const place of [folder, join(root, "test", "fixtures", "llama")])
  for (const set of readdirSync(join(place, "cases")).sort()) {
    const listed = readJson(place, "cases", set, "cases.json");
    const cases: Case[] = listed.cases;
    const config = listed.model && readJson(place, listed.model, "config.json");
    if (!config || !["qwen3", "qwen2", "llama"].includes(config.model_type)) {
      skip(`${set}: ${config ? config.model_type : "log-mel"} is not built yet`, cases.length);
      continue;
    }
    for (const one of cases)
      if (kinds[one.kind]) declare(`${set}/${one.name}`, one, join(place, listed.model), join(place, "cases", set));
      else skip(`${one.kind} is not built yet`, 1);
  }

function declare(name: string, one: Case, model: string, tensors: string): void {
  const all = one.file ? readTensors(join(tensors, one.file)) : {};
  const part = (prefix: string) =>
    Object.fromEntries(
      Object.entries(all).flatMap(([name, v]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), v]] : [])),
    );
  for (const kernels of ["on", "off"] as const)
    test(`${name}, kernels ${kernels}`, async () => {
      const policy = await openPolicy({ model, device, dtype: "fp32", threads: 2, role: "policy", kernels });
      try {
        await kinds[one.kind](one, { policy, input: part("in."), output: part("out."), kernels, model });
      } finally {
        await policy.dispose();
      }
    });
}

for (const one of readJson(folder, "errors", "cases.json").cases) {
  if (!one.file || !one.expect?.logits) continue;
  const dir = join(folder, "errors", one.dir);
  if (!existsSync(join(dir, "config.json"))) continue;
  test(`errors/${one.name}: logits`, async () => {
    const all = readTensors(join(folder, "errors", one.file));
    const policy = await openPolicy({ model: dir, device, dtype: "fp32", threads: 1, role: "reference" });
    const rows = new Rows({ input_ids: all["in.input_ids"] });
    const { logits } = await policy.engine.trace(rows.ids, rows.rows, null);
    await policy.dispose();
    expectNear(logits, all["out.logits"], one.expect.logits, "logits");
  });
}

for (const [why, count] of skipped) console.log(`SKIP ${count} ${why}`);

test.run();
