// On a GPU: the engine against the reference, the golden models among it, and against itself with its kernels off.
// Skipped aloud without a GPU.
// time limit: 1200 s

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type EnginePolicy, openPolicy } from "../../src/policy/policy.ts";
import { root } from "../../src/root.ts";
import type { Sampling } from "../../src/types.ts";
import { golden } from "../golden.ts";
import { gpu } from "./gpu.ts";

const sampling: Sampling = { temperature: 1, topP: 0.95, topK: 0, minP: 0, stopIds: [], maxTokens: 40 };
const model = join(root, "assets/policy");

const open = (dtype: "fp32" | "bf16", kernels: "on" | "off") =>
  openPolicy({ model, device: "cuda", dtype, threads: 2, role: "policy", kernels });

/** Conversations that start alike: prompts, and what was sampled with its log-probs. */
async function converse(policy: EnginePolicy): Promise<{ ids: number[]; logp: number[]; start: number }[]> {
  const talks = Array.from({ length: 20 }, (_, i) => {
    const prompt = Array.from({ length: 300 + i }, (_, t) => (t < 290 ? t * 31 : t * 17 + i * 101) % 900);
    const talk = policy.open(Int32Array.from(prompt), i);
    return { talk, prompt };
  });
  return Promise.all(
    talks.map(async ({ talk, prompt }) => {
      const said = await talk.generate(sampling);
      talk.close();
      return { ids: [...prompt, ...said.ids], logp: [...said.logp], start: prompt.length };
    }),
  );
}

if (gpu("the engine against itself with its kernels off, and the golden models")) {
  for (const [dtype, mean, most] of [
    ["fp32", 1e-5, 1e-3],
    ["bf16", 1e-2, 0.5],
  ] as const)
    test(`what is sampled in ${dtype} has the log-probs of one plain pass`, async () => {
      const [ours, plain] = [await open(dtype, "on"), await open(dtype, "off")];
      try {
        const talks = await converse(ours);
        const ids = Int32Array.from(talks.flatMap((talk) => talk.ids));
        const rows = new Int32Array(talks.length + 1);
        for (const [i, talk] of talks.entries()) rows[i + 1] = rows[i] + talk.ids.length;
        for (const policy of [ours, plain]) {
          const { logp } = await policy.score(ids, rows, 1);
          const off = talks.flatMap((talk, i) =>
            talk.logp.map((value, t) => Math.abs(value - logp[rows[i] + talk.start + t])),
          );
          assert.ok(Math.max(...off) < most, `largest difference ${Math.max(...off)}`);
          const average = off.reduce((sum, x) => sum + x) / off.length;
          assert.ok(average < mean, `mean difference ${average}`);
        }
      } finally {
        await Promise.all([ours.dispose(), plain.dispose()]);
      }
    });

  test("the golden models, computed on the GPU", () => {
    assert.ok(golden("hf"), "no golden/hf: set TARL_GOLDEN to the folder that holds it");
    const file = join(root, "dist/test/golden/models.test.js");
    const env = { ...process.env, TARL_TEST_DEVICE: "cuda" };
    const { status, stdout } = spawnSync(process.execPath, [file], { encoding: "utf8", env, maxBuffer: 2 ** 26 });
    assert.is(status, 0, stdout.slice(-4000));
  });
}

test.run();
