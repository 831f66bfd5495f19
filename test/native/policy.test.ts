// Which bits are promised: that results do not depend on company, threads or rounds, that sampler and trainer agree,
// that kernels and plain ATen do, on every instruction set.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../src/policy/native.ts";
import { Random } from "../../src/random.ts";
import { adamw, all, batchOf, flat, ids, loss, sampling, type Talk, talk, using } from "./tiny.ts";

for (const dtype of ["fp32", "bf16"] as const) {
  test(`${dtype}: a conversation does not depend on its company, on threads, or on how rounds are cut`, async () => {
    const together = await using({ dtype }, (policy) => all(policy, 24));
    const alone = await using({ dtype, threads: 1, roundTokens: 16, microTokens: 16 }, async (policy) => {
      const talks: Talk[] = [];
      for (let n = 0; n < 24; n++) talks.push(await talk(policy, n));
      return talks;
    });
    assert.equal(alone, together);
  });

  test(`${dtype}: the trainer's log-probs of sampled tokens are the sampler's, to the bit`, async () => {
    await using({ dtype }, async (policy) => {
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
}

const NAMES = [
  "model.embed_tokens.weight",
  "model.layers.0.self_attn.k_proj.weight",
  "model.layers.1.mlp.up_proj.weight",
] as const;

/** Loss and gradients of one row. */
function learnt(options: { readonly dtype: "fp32" | "bf16"; readonly kernels: "on" | "off" }, seed = "twins") {
  return using(options, async (policy) => {
    const logp = Array.from({ length: 90 }, (_, i) => (i % 3 ? -5 : null));
    const stats = await policy.engine.backward(batchOf([{ ids: ids(new Random(seed), 90), logp }]), loss);
    const grads = await Promise.all(NAMES.map(async (name) => (await policy.engine.tensor(`grad/${name}`)).data));
    return { loss: stats.loss, grads };
  });
}

test("fp32: the kernels and plain ATen agree", async () => {
  const fast = await learnt({ dtype: "fp32", kernels: "on" });
  const plain = await learnt({ dtype: "fp32", kernels: "off" });
  assert.ok(Math.abs(fast.loss - plain.loss) < 1e-5, `${fast.loss} ${plain.loss}`);
  for (const [i, grad] of fast.grads.entries()) {
    const scale = Math.max(...grad.map(Math.abs));
    for (let j = 0; j < grad.length; j++) assert.ok(Math.abs(grad[j] - plain.grads[i][j]) < 1e-4 * scale);
  }
});

test("bf16: the kernels are as near to fp32 as plain ATen is, over some rows", async () => {
  const ours = NAMES.map(() => 0);
  const theirs = NAMES.map(() => 0);
  for (const seed of ["a", "b", "c", "d", "e", "f"]) {
    const exact = await learnt({ dtype: "fp32", kernels: "off" }, seed);
    const far = (grads: readonly ArrayLike<number>[], i: number) => {
      const off = exact.grads[i].map((value, j) => value - grads[i][j]);
      return (Math.hypot(...off) / Math.hypot(...exact.grads[i])) ** 2;
    };
    const fast = await learnt({ dtype: "bf16", kernels: "on" }, seed);
    const plain = await learnt({ dtype: "bf16", kernels: "off" }, seed);
    for (const i of NAMES.keys()) {
      ours[i] += far(fast.grads, i);
      theirs[i] += far(plain.grads, i);
    }
  }
  for (const [i, name] of NAMES.entries())
    assert.ok(ours[i] < 1.5 * theirs[i] && ours[i] < 6 * 0.05 ** 2, `${name}: ${ours[i]}, ATen ${theirs[i]}`);
});

const file = fileURLToPath(import.meta.url);

test("every instruction set gives the same log-probs", () => {
  const runs = ["generic", "avx2", "avx512", "avx512_bf16"].map((asked) => {
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

if (process.argv[2] === "--scores") {
  const scores = await using({}, async (policy) => {
    const row = Int32Array.from(ids(new Random("isa"), 80));
    return Array.from((await policy.score(row, Int32Array.of(0, 80), 1)).logp);
  });
  console.log(JSON.stringify({ isa: native.isa(), scores }));
} else {
  test.run();
}
