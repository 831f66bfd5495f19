// The memory plan on a shape of 8.19 billion parameters, against figures worked by hand; what auto decides, what is
// advised where nothing fits, and how it is said.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytesText } from "../../src/policy/amount.ts";
import { readTargets } from "../../src/policy/lora.ts";
import { availableMemory, type MemoryOptions, memoryLine, planMemory, refusal } from "../../src/policy/memory.ts";
import { namedShape } from "../../src/policy/shapes.ts";

const qwen3_8b = namedShape("qwen3-8b")!;

const options: MemoryOptions = {
  device: "cuda",
  dtype: "bf16",
  learns: true,
  microTokens: 16_384,
  contextTokens: 4096,
  concurrent: 256,
  recompute: "auto",
  state: { master: "fp32", moments: "fp32" },
  lora: null,
  reference: false,
  available: 149e9,
};

/** Gigabytes by part. */
const parts = (changes: Partial<MemoryOptions>) =>
  Object.fromEntries(
    planMemory(qwen3_8b, { ...options, ...changes }).parts.map(({ name, bytes }) => [
      name,
      Math.round(bytes / 1e8) / 10,
    ]),
  );

test("weights, gradients, masters and moments of 8.19 billion parameters", () => {
  const wide = parts({});
  assert.is(wide.weights, 16.4);
  assert.is(wide.gradients, 32.8);
  assert.is(wide["master weights"], 32.8);
  assert.is(wide.moments, 65.5);
  const narrow = parts({ state: { master: "split", moments: "8bit" } });
  assert.is(narrow["master weights"], 16.4);
  assert.is(narrow.moments, 16.6);
  assert.is(parts({ state: { master: "none", moments: "8bit" } })["master weights"], undefined);
  const adapter = parts({ lora: { rank: 32, alpha: 64, targets: readTargets("all") } });
  assert.is(adapter.weights, 16.6); // 87 million more
  assert.is(adapter.gradients, 0.3);
  assert.is(adapter.moments, 0.7);
});

test("a reference takes its weights, and going without a KL is advised before an adapter", () => {
  const split = { state: { master: "split", moments: "fp32" }, reference: true } as const;
  assert.is(parts(split).reference, 16.4);
  assert.is(planMemory(qwen3_8b, { ...options, ...split }).remedy, "--moments 8bit");
  const least = { state: { master: "split", moments: "8bit" }, recompute: "on", microTokens: 4096 } as const;
  const { remedy } = planMemory(qwen3_8b, { ...options, ...least, reference: true, available: 94e9 });
  assert.is(remedy, "--kl-coef 0");
});

test("activations are the layers' inputs and one layer where layers are computed again", () => {
  const kept = parts({ recompute: "off" }).activations;
  const again = parts({ recompute: "on" }).activations;
  assert.ok(kept > 80 && kept < 110, `${kept}`);
  assert.ok(again > 4.8 && again < 14, `${again}`);
});

test("the KV pool takes what is left, at most what all conversations can fill", () => {
  const roomy = planMemory(qwen3_8b, { ...options, available: 1e12 });
  assert.is(roomy.kvTokens, 256 * 4096);
  assert.is(roomy.recompute, false);
  assert.is(roomy.remedy, null);
  const kv = roomy.parts.find(({ name }) => name === "keys and values")!;
  assert.is(kv.bytes, 256 * 4096 * 144 * 1024);
  const state = { master: "split", moments: "8bit" } as const;
  const tight = planMemory(qwen3_8b, { ...options, state });
  assert.is(tight.recompute, true);
  assert.is(tight.remedy, null);
  assert.ok(tight.kvTokens > 4096 && tight.kvTokens < 256 * 4096);
  assert.ok(tight.total <= tight.available);
});

test("what does not fit is advised: one option where one suffices, else several, else nothing", () => {
  const advice = (changes: Partial<MemoryOptions>) => planMemory(qwen3_8b, { ...options, ...changes }).remedy;
  assert.is(advice({}), "--moments 8bit");
  assert.is(advice({ recompute: "off", state: { master: "split", moments: "8bit" } }), "--recompute on");
  assert.is(advice({ available: 48e9 }), "--lora-rank 32");
  assert.is(advice({ available: 10e9 }), "");
  const plan = planMemory(qwen3_8b, { ...options, available: 10e9 });
  assert.match(refusal(plan), /^memory: \d+ GB are needed \(moments 65\.5 GB, .*\) and 9\.50 GB are there: nothing/);
  assert.match(refusal(planMemory(qwen3_8b, options)), /would fit with --moments 8bit$/);
});

test("several options together are found where none suffices alone", () => {
  const lora = { rank: 8, alpha: 8, targets: ["q_proj"] };
  const plan = planMemory(qwen3_8b, { ...options, lora, dtype: "fp32", recompute: "off", available: 45e9 });
  assert.is(plan.remedy, "--recompute on --micro-tokens 4096");
});

test("a policy that only speaks needs no gradients, and on the CPU one packed copy", () => {
  const quiet = parts({ learns: false, device: "cpu" });
  assert.is(quiet.gradients, undefined);
  assert.is(quiet.moments, undefined);
  assert.is(quiet["packed copies"], 15.1); // all matrices but the embedding
});

test("a policy that only speaks computes no layer again, and is advised nothing of learning", () => {
  const quiet = (changes: Partial<MemoryOptions>) =>
    planMemory(qwen3_8b, { ...options, learns: false, device: "cpu", ...changes });
  assert.is(quiet({ available: 10e9 }).recompute, false);
  assert.is(quiet({ recompute: "on" }).recompute, false);
  assert.is(quiet({ dtype: "fp32", available: 50e9 }).remedy, "--dtype bf16");
  assert.is(quiet({ dtype: "bf16", available: 10e9 }).remedy, "");
});

test("a critic of its own is a second engine that learns everything, without logits or keys and values", () => {
  const narrow = { ...options, available: 1e12 };
  const [none, own, shared] = ([null, "own", "shared"] as const).map((critic) =>
    planMemory(qwen3_8b, { ...narrow, critic }),
  );
  const of = ({ parts }: typeof own, name: string) => parts.find((part) => part.name === name)?.bytes ?? 0;
  // 8.19e9 parameters less an output matrix of 151,936 x 4,096, at 2 + 4 + 4 + 8 bytes.
  const head = 151_936 * 4096;
  const learned = (of(none, "weights") / 2 - head + 4096) * 18;
  const activations = of(own, "critic") - learned;
  assert.is(activations, of(none, "activations") + 16_384 * 8 * 4096);
  assert.is(own.total - none.total, of(own, "critic"));
  assert.is(of(own, "logits"), of(none, "logits"));
  // A head on the policy's trunk is 4,096 numbers.
  assert.is(of(shared, "critic"), 0);
  assert.is(of(shared, "weights") - of(none, "weights"), 2 * 4096);
  assert.is(of(shared, "moments") - of(none, "moments"), 8 * 4096);
  // An adapter leaves the critic as large as it was, and none is advised where it cannot be.
  const lora = { rank: 32, alpha: 64, targets: readTargets("all") };
  assert.is(of(planMemory(qwen3_8b, { ...narrow, critic: "own", lora }), "critic"), of(own, "critic"));
  assert.is(planMemory(qwen3_8b, { ...options, available: 48e9, critic: "shared" }).remedy, "");
  assert.is(parts({ learns: false, critic: "own" }).critic, undefined);
});

test("it is said on one line", () => {
  assert.is(bytesText(1.236e9), "1.24 GB");
  assert.is(bytesText(123.6e9), "124 GB");
  assert.is(bytesText(15.31e6), "15.3 MB");
  assert.is(bytesText(300_000), "300 kB");
  const line = memoryLine(planMemory(qwen3_8b, { ...options, available: 1e12 }));
  assert.match(line, /^memory: \d+ GB of 950 GB: keys and values 155 GB, activations /);
});

test("this machine has memory", () => {
  const bytes = availableMemory("cpu");
  assert.ok(bytes > 1e8 && bytes < 1e14, `${bytes}`);
});

test.run();
