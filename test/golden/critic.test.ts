// Critics against Hugging Face transformers: values, the value loss with the gradient of every parameter, and ten updates,
// on a trunk of their own (Qwen3ForTokenClassification) and on a policy's, beside its loss. Recorded in
// test/fixtures/critic, and where there is a python with transformers (TARL_PEER_PYTHON, or /tmp/tarl-peer) on a larger
// model, and on what we save. Everything runs on our kernels and on plain ATen.
// time limit: 600 s

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openCritic } from "../../src/policy/critic.ts";
import { parameterShapes } from "../../src/policy/model.ts";
import { type EnginePolicy, openPolicy } from "../../src/policy/policy.ts";
import { root } from "../../src/root.ts";
import type { Batch, LossOptions, OptimizerOptions, StepStats } from "../../src/types.ts";
import { readTensors, type Values } from "../tensors.ts";

/** Largest difference of a value or a log-prob, fp32 on both sides. */
const TOLERANCE = 1e-4;
/** Of a loss, a gradient and a change of weights: relative to its size. */
const LOSS = 5e-5;
const GRADIENT = 1e-3;

// generate.py
const loss: LossOptions = {
  ratio: "token",
  clipLow: 0.2,
  clipHigh: 0.28,
  dualClip: 0,
  klCoef: 0,
  klKind: "k3",
  klClamp: 10,
  entropyCoef: 0.01,
  temperature: 1,
};
const clip = 0.3;
const coefs = { own: 1, shared: 0.7 };
const optimizer: OptimizerOptions = {
  kind: "adamw",
  lr: 1e-3,
  muonScale: 1,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-6,
  weightDecay: 0.1,
  decayVectors: false,
  maxGradNorm: 1,
};

const script = join(root, "test", "fixtures", "critic", "generate.py");
const python = process.env.TARL_PEER_PYTHON ?? "/tmp/tarl-peer/bin/python";
const dir = mkdtempSync(join(tmpdir(), "tarl-critic-"));
test.after(() => rmSync(dir, { recursive: true }));
const ask = (...args: string[]) =>
  execFileSync(python, [script, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

const largest = (a: ArrayLike<number>, b: readonly number[]) =>
  b.reduce((most, x, i) => Math.max(most, Math.abs(x - a[i])), a.length === b.length ? 0 : Number.NaN);

const worst = new Map<string, number>();
test.after(() => console.log(Array.from(worst, ([what, off]) => `${what} within ${off.toExponential(1)}`).join(", ")));

function expectWithin(difference: number, bound: number, what: string): void {
  const kind = what.split(" ")[0];
  worst.set(kind, Math.max(worst.get(kind) ?? 0, difference));
  assert.ok(difference <= bound, `${what}: off by ${difference}, expected at most ${bound}`);
}

/** How far numbers are from others, as a share of the others' size. */
function share(got: ArrayLike<number>, want: ArrayLike<number>): number {
  assert.is(got.length, want.length);
  const off = Math.hypot(...Array.from(want, (x, i) => x - got[i]));
  return off / Math.max(Math.hypot(...Array.from(want)), 1e-12);
}

/** A policy with values or a critic, of one of the folders that generate.py writes. */
async function opened<T>(
  folder: string,
  which: "own" | "shared",
  kernels: "on" | "off",
  work: (policy: EnginePolicy) => Promise<T>,
): Promise<T> {
  const own = which === "own";
  const policy = await openPolicy({
    ...{ device: "cpu", dtype: "fp32", threads: 2, role: "policy", kernels, microTokens: 40 },
    model: join(folder, own ? "critic" : "policy"),
    output: own ? "values" : "both",
  });
  try {
    return await work(policy);
  } finally {
    await policy.dispose();
  }
}

function batchOf(known: { [name: string]: Values }, which: "own" | "shared"): Batch {
  const [ids, rows] = [known.ids, known.rows].map(({ data }) => Int32Array.from(data));
  const floats = (name: string) => Float32Array.from(known[name].data);
  return {
    ...{ ids, rows, weight: floats("weight"), advantage: floats("advantage") },
    oldLogp: which === "own" ? null : floats("old.logp"),
    refLogp: null,
    values: { old: floats(`old.${which}`), returns: floats("returns") },
  };
}

function agrees(folder: string, what: string): void {
  const known = readTensors(join(folder, "expected.safetensors"));
  for (const which of ["own", "shared"] as const)
    for (const kernels of ["on", "off"] as const) {
      const batch = batchOf(known, which);
      const objective = { ...loss, value: { coef: coefs[which], clip } };
      const expected = (name: string) => known[`${which}.${name}`].data;
      const names = (policy: EnginePolicy) => parameterShapes(policy.config).map(([name]) => name);
      const title = `${what}, trunk ${which}, kernels ${kernels}`;

      test(`${title}: values, loss and every gradient`, () =>
        opened(folder, which, kernels, async (policy) => {
          expectWithin(largest(await policy.values(batch.ids, batch.rows), expected("values")), TOLERANCE, "values");
          const stats = await policy.engine.backward(batch, objective);
          const [first] = expected("losses");
          expectWithin(Math.abs(stats.loss - first), LOSS * Math.abs(first) + 2e-6, "loss");
          for (const name of names(policy)) {
            const gradient = (await policy.engine.tensor(`grad/${name}`)).data;
            expectWithin(share(gradient, expected(`grad.${name}`)), GRADIENT, `gradient of ${name}`);
          }
        }));

      test(`${title}: ten updates`, () =>
        opened(folder, which, kernels, async (policy) => {
          const read = async (name: string) => (await policy.engine.tensor(name)).data;
          const before = new Map<string, Float32Array>();
          for (const name of names(policy)) before.set(name, await read(name));
          const stats: StepStats[] = [];
          for (const _ of expected("losses")) stats.push(await policy.step(batch, objective, optimizer));
          for (const [i, { loss, gradNorm }] of stats.entries()) {
            expectWithin(share([loss], [expected("losses")[i]]), GRADIENT, `loss of update ${i + 1}`);
            expectWithin(share([gradNorm], [expected("norms")[i]]), GRADIENT, `norm of update ${i + 1}`);
          }
          for (const name of names(policy)) {
            const [now, then] = [await read(name), before.get(name)!];
            const moved = (to: ArrayLike<number>) => Array.from(then, (x, i) => to[i] - x);
            expectWithin(share(moved(now), moved(expected(`after.${name}`))), GRADIENT, `change of ${name}`);
          }
        }));
    }
}

agrees(join(root, "test", "fixtures", "critic"), "recorded");
if (!existsSync(python)) {
  console.log(`SKIP 10 critics: no ${python} with torch and transformers (TARL_PEER_PYTHON names one)`);
} else {
  ask("write", dir);
  agrees(dir, "live");
  for (const dtype of ["fp32", "bf16"] as const)
    test(`transformers reads what we save in ${dtype}, every tensor of it and no other`, async () => {
      const [critic, policy] = ["critic", "policy"].map((name) => join(dir, `${name}-${dtype}`));
      const options = { device: "cpu", dtype, threads: 1 } as const;
      // A critic of the policy's trunk, whose head has learned something, and the policy with its own head.
      const one = await openCritic({ ...options, model: join(dir, "policy") });
      const two = await openPolicy({ ...options, role: "policy", output: "both", model: join(dir, "policy") });
      const { ids, rows, weight, values } = batchOf(readTensors(join(dir, "expected.safetensors")), "own");
      await one.step({ ids, rows, weight, values: values! }, { clip: 0 }, optimizer);
      await Promise.all([one.save(critic, { optimizer: true }), two.save(policy, { optimizer: true })]);
      await Promise.all([one.dispose(), two.dispose()]);
      const row = Array.from(ids.subarray(0, rows[1]));
      const theirs = JSON.parse(ask("read", JSON.stringify(row), critic, policy));

      const again = { device: "cpu", dtype: "fp32", threads: 1, role: "reference" } as const;
      const spans = [Int32Array.from(row), Int32Array.of(0, row.length)] as const;
      const saved = await openPolicy({ ...again, model: critic, output: "values" });
      expectWithin(largest((await saved.values(...spans)).subarray(1), theirs.values), TOLERANCE, "values");
      await saved.dispose();
      const speaker = await openPolicy({ ...again, model: policy });
      expectWithin(largest((await speaker.score(...spans, 1)).logp.subarray(1), theirs.logp), TOLERANCE, "log-probs");
      await speaker.dispose();
    });
}

test.run();
