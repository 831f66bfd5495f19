// The engine's end and its misuse: disposing, a process or a worker that ends in the middle, and what wrong arguments
// are answered with.

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../src/policy/native.ts";
import { Random } from "../../src/random.ts";
import { adamw, batchOf, config, ids, inFolder, loss, open, refuses, sampling, using } from "./tiny.ts";

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
    await refuses("INVALID_ARGUMENT", () => policy.open([1], 1).generate({ ...sampling, temperature: 1e-39 }));
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

const door = new URL("../../src/policy/policy.js", import.meta.url).href;
/** Each of them ends this often. */
const ends = process.env.TARL_SOAK ? 20 : 4;

/** A module that opens a policy and has eight conversations speak; then `rest`. */
const speaking = (rest: string) => `
  import { openPolicy } from ${JSON.stringify(door)};
  import { isMainThread, parentPort, Worker } from "node:worker_threads";
  const speak = async () => {
    const model = { config: ${JSON.stringify(config)}, seed: 1 };
    const policy = await openPolicy({ model, device: "cpu", dtype: "fp32", threads: 2, role: "policy", kvTokens: 64000 });
    const sampling = ${JSON.stringify({ ...sampling, stopIds: [], maxTokens: 390 })};
    const all = Array.from({ length: 8 }, (_, n) => policy.open([1, n], n).generate(sampling));
    const step = policy.score(new Int32Array(390), Int32Array.of(0, 390), 1);
    return { policy, all };
  };
  ${rest}`;

/** Runs the module again and again, two at once. -> exit codes, and what was written to stderr */
async function runs(rest: string, args: string[] = []): Promise<{ codes: (number | null)[]; stderr: string }> {
  const codes: (number | null)[] = [];
  let stderr = "";
  await inFolder(async (dir) => {
    const script = join(dir, "end.mjs");
    writeFileSync(script, speaking(rest));
    const one = () =>
      new Promise<void>((resolve) => {
        const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "ignore", "pipe"] });
        child.stderr.on("data", (text) => {
          stderr += text;
        });
        child.on("close", (code) => {
          codes.push(code);
          resolve();
        });
      });
    for (let i = 0; i < ends; i += 2) await Promise.all([one(), one()]);
  });
  return { codes, stderr };
}

const every = (code: number) => Array.from({ length: ends }, () => code);

test("a process may leave in the middle of speaking, by process.exit, at once and later", async () => {
  const later = "await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));";
  for (const wait of ["", later]) {
    const { codes, stderr } = await runs(`await speak(); ${wait} process.exit(5);`);
    assert.equal(codes, every(5), stderr);
    assert.is(stderr, "");
  }
});

test("a process that only waits for its conversations stays for them, and leaves then", async () => {
  const { codes, stderr } = await runs("const { all } = await speak(); all[0].then(() => { process.exitCode = 6; });");
  assert.equal(codes, every(6), stderr);
});

test("an exception that nobody catches ends the process with its own code and message", async () => {
  const { codes, stderr } = await runs('await speak(); setTimeout(() => { throw new Error("nobody"); }, 3);');
  assert.equal(codes, every(1), stderr);
  assert.is(stderr.match(/Error: nobody/g)?.length, ends);
  assert.not.match(stderr, /terminate|abort|SIG|fatal/i);
});

test("workers that speak may be terminated, may end by an exception, and may be there when the process leaves", async () => {
  const { codes, stderr } = await runs(`
    if (!isMainThread) {
      await speak();
      parentPort.postMessage("speaks");
      if (process.env.THROWS) throw new Error("nobody");
    } else {
      for (let i = 0; i < 6; i++) {
        const worker = new Worker(new URL(import.meta.url), { env: i % 3 === 2 ? { THROWS: "1" } : {} });
        worker.on("error", () => {});
        await new Promise((resolve) => worker.once("message", resolve));
        if (i === 5) process.exit(7);
        if (i % 3 === 0) await worker.terminate();
        if (i % 3 === 2) await new Promise((resolve) => worker.once("exit", resolve));
      }
    }`);
  assert.equal(codes, every(7), stderr);
  assert.is(stderr, "");
});

test.run();
