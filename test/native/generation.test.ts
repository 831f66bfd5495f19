// Generations through the engine's door: shared starts, forks, limits, aborts, deadlines, and a pool that is too small.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readHeader } from "../../src/policy/safetensors.ts";
import { Random } from "../../src/random.ts";
import { adamw, all, batchOf, config, ids, inFolder, loss, refuses, sampling, using } from "./tiny.ts";

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

test.run();
