// Adapters: they begin by adding nothing, sampler and trainer see the same one to the bit, their gradients are those that
// the full weights' imply, the rest stays as it is, and what is saved is the same policy: merged, gone on with, or for PEFT.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../../src/errors.ts";
import { adapterShapes, readTargets } from "../../src/policy/lora.ts";
import { parameterShapes } from "../../src/policy/model.ts";
import type { EnginePolicy, NewAdapter, PolicyOptions } from "../../src/policy/policy.ts";
import { adamw, inFolder, lesson, loss, opened, small } from "./lessons.ts";

const lora: NewAdapter = { rank: 4, alpha: 8, targets: readTargets("all"), from: { seed: 5 } };
const some: NewAdapter = { ...lora, targets: readTargets("v_proj,mlp") };

const steps = async (policy: EnginePolicy, count = 3) => {
  for (let i = 0; i < count; i++) await policy.step(lesson(policy.vocabSize, i), loss, { ...adamw, maxGradNorm: 0 });
};

const scores = async (policy: Pick<EnginePolicy, "score">) => {
  const { ids, rows } = lesson(small.vocabSize, 9);
  return (await policy.score(ids, rows, 0.9)).logp;
};

const values = async (policy: EnginePolicy, name: string) => (await policy.engine.tensor(name)).data;
const largest = (a: Float32Array, b: Float32Array) => Math.max(...a.map((x, i) => Math.abs(x - b[i])));

for (const kernels of ["on", "off"] as const)
  test(`a new adapter adds nothing; a learnt one does, and switched off it is the model before, kernels ${kernels}`, async () => {
    const model = { config: small, seed: 3 };
    const options: Partial<PolicyOptions> = { kernels, model };
    const before = await opened({ ...options, role: "reference" }, scores);
    await opened({ ...options, lora }, async (policy) => {
      assert.equal(await scores(policy), before);
      await steps(policy);
      const after = await scores(policy);
      assert.ok(largest(after, before) > 0.05);
      assert.equal(await scores(policy.base!), before);
      assert.equal(await scores(policy), after);
    });
    assert.is(await opened(options, async (policy) => policy.base), null);
  });

test("the rest has no gradients and no state, and stays as it is", () =>
  opened({ lora: some }, async (policy) => {
    const names = parameterShapes(small).map(([name]) => name);
    const before = await Promise.all(names.map((name) => values(policy, name)));
    await policy.engine.backward(lesson(small.vocabSize), loss);
    for (const name of names)
      assert.ok(
        (await values(policy, `grad/${name}`)).every((x) => x === 0),
        name,
      );
    await steps(policy);
    for (const [i, name] of names.entries()) assert.equal(await values(policy, name), before[i], name);
    const learned = adapterShapes(small, some).map(([name]) => name);
    assert.is(learned.length, 2 * 4 * small.layers);
    const state = new Set(await policy.engine.state());
    assert.equal(state, new Set(["steps", ...learned.flatMap((name) => [`m/${name}`, `v/${name}`])]));
  }));

test("the trainer's log-probs of sampled tokens are the sampler's, to the bit", () =>
  opened({ lora: some }, async (policy) => {
    await steps(policy);
    const sampling = { temperature: 0.9, topP: 1, topK: 0, minP: 0, stopIds: [], maxTokens: 30 };
    const talks = await Promise.all(
      [1, 2, 3].map(async (seed) => {
        const prompt = Array.from(lesson(small.vocabSize).ids.subarray(0, 17 + seed));
        const conversation = policy.open(prompt, seed);
        const { ids, logp } = await conversation.generate(sampling);
        conversation.close();
        return { prompt, ids: Int32Array.of(...prompt, ...ids), logp };
      }),
    );
    for (const { prompt, ids, logp } of talks) {
      const known = await policy.score(ids, Int32Array.of(0, ids.length), 0.9);
      assert.equal(known.logp.subarray(prompt.length), logp);
    }
  }));

/** a [M, K] b [K, N], or with either turned. */
function product(
  m: number,
  n: number,
  k: number,
  a: (i: number, l: number) => number,
  b: (l: number, j: number) => number,
) {
  const c = new Float32Array(m * n);
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) for (let l = 0; l < k; l++) c[i * n + j] += a(i, l) * b(l, j);
  return c;
}

for (const [what, options] of [
  ["kernels", {}],
  ["plain ATen", { kernels: "off" }],
  ["recomputed layers", { recompute: true }],
] as const)
  test(`gradients are those of W + scale B A by the chain rule, ${what}`, () =>
    inFolder(async (dir) => {
      const batch = lesson(small.vocabSize, 4);
      await opened({ ...options, lora: some }, async (policy) => {
        await steps(policy);
        await policy.save(join(dir, "merged"));
        await policy.engine.backward(batch, loss);
        await opened({ model: join(dir, "merged"), kernels: "off" }, async (full) => {
          await full.engine.backward(batch, loss);
          const shapes = adapterShapes(small, some);
          for (let i = 0; i < shapes.length; i += 2) {
            const [[a, [rank, inputs]], [b, [outputs]]] = [shapes[i], shapes[i + 1]];
            const weight = a.replace("base_model.model.", "").replace(".lora_A", "");
            const [dw, va, vb] = [
              await values(full, `grad/${weight}`),
              await values(policy, a),
              await values(policy, b),
            ];
            const scale = some.alpha / some.rank;
            const da = product(
              rank,
              inputs,
              outputs,
              (r, n) => scale * vb[n * rank + r],
              (n, k) => dw[n * inputs + k],
            );
            const db = product(
              outputs,
              rank,
              inputs,
              (n, k) => scale * dw[n * inputs + k],
              (k, r) => va[r * inputs + k],
            );
            for (const [name, expected] of [
              [a, da],
              [b, db],
            ] as const) {
              const found = await values(policy, `grad/${name}`);
              const size = Math.hypot(...expected);
              assert.ok(size > 0, name);
              const difference = Math.hypot(...found.map((x, j) => x - expected[j]));
              assert.ok(difference < 1e-4 * size, `${name}: ${difference / size}`);
            }
          }
        });
      });
    }));

for (const dtype of ["fp32", "bf16"] as const)
  test(`going on from a checkpoint equals learning straight on, byte for byte, ${dtype}`, () =>
    inFolder(async (dir) => {
      const base = join(dir, "base");
      await opened({ dtype }, (policy) => policy.save(base));
      const options = { dtype, threads: 1, model: base } as const;
      const merged = await opened({ ...options, lora }, async (policy) => {
        await steps(policy, 1);
        await policy.save(join(dir, "half"), { optimizer: true });
        const logp = await scores(policy);
        await policy.step(lesson(small.vocabSize, 7), loss, adamw);
        await policy.save(join(dir, "straight"), { optimizer: true });
        return logp;
      });
      await opened({ ...options, lora: { ...lora, from: join(dir, "half") } }, async (policy) => {
        assert.equal(await scores(policy), merged);
        await policy.step(lesson(small.vocabSize, 7), loss, adamw);
        await policy.save(join(dir, "resumed"), { optimizer: true });
      });
      for (const name of ["model.safetensors", "optimizer.safetensors", "adapter/adapter_model.safetensors"])
        assert.ok(readFileSync(join(dir, "straight", name)).equals(readFileSync(join(dir, "resumed", name))), name);
      // The merged weights are the policy, within what their type rounds away.
      const alone = await opened({ dtype, model: join(dir, "half"), role: "reference" }, scores);
      assert.ok(largest(alone, merged) < (dtype === "fp32" ? 1e-4 : 0.3), `${largest(alone, merged)}`);
      for (const [other, expected] of [
        [{ ...lora, rank: 8 }, /r is 4, the run's adapter has 8/],
        [{ ...lora, targets: ["q_proj"] }, /target_modules is .*, the run's adapter has q_proj/],
      ] as const)
        try {
          await opened({ ...options, lora: { ...other, from: join(dir, "half") } }, async () => {});
          assert.unreachable();
        } catch (error) {
          assert.instance(error, CheckpointError);
          assert.match((error as Error).message, expected);
        }
    }));

const python = process.env.TARL_PEER_PYTHON;
const script = `
import json, sys, torch
from transformers import AutoModelForCausalLM
from peft import PeftModel
base, made, ids = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
def logp(model):
    with torch.no_grad():
        z = model(torch.tensor([ids])).logits[0].float()
    return torch.log_softmax(z / 0.9, -1)[:-1].gather(1, torch.tensor(ids[1:]).unsqueeze(1)).squeeze(1).tolist()
load = lambda dir: AutoModelForCausalLM.from_pretrained(dir, dtype=torch.float32)
print(json.dumps([logp(load(made)), logp(PeftModel.from_pretrained(load(base), made + "/adapter"))]))
`;
if (!python) console.log("SKIP 1 no python with transformers and peft: set TARL_PEER_PYTHON");
else
  test("transformers loads the merged weights and PEFT the adapter, with our log-probs", () =>
    inFolder(async (dir) => {
      const [base, made] = [join(dir, "base"), join(dir, "made")];
      await opened({}, (policy) => policy.save(base));
      const ids = lesson(small.vocabSize).ids.slice(0, 40);
      const own = await opened({ model: base, lora: some }, async (policy) => {
        await steps(policy);
        await policy.save(made);
        return (await policy.score(ids, Int32Array.of(0, ids.length), 0.9)).logp.subarray(1);
      });
      const { stdout, stderr } = spawnSync(python, ["-c", script, base, made, JSON.stringify([...ids])]);
      const [merged, adapted] = JSON.parse(`${stdout}` || assert.unreachable(`${stderr}`)!) as number[][];
      assert.ok(largest(own, Float32Array.from(merged)) < 1e-4, "merged");
      assert.ok(largest(own, Float32Array.from(adapted)) < 1e-4, "adapter");
    }));

test.run();
