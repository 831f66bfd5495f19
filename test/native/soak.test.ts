// Random conversations through the addon: open, append, generate, fork, cancel, close, step, score, many at once, in a
// pool that is too small for them. Every promise settles once, memory stays, no page is left over, and what was said has
// the trainer's log-probs. native/test/soak.cpp does the same without JavaScript, and compares with a quiet engine.
// TARL_SOAK: operations.
// time limit: 7200 s

import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EnginePolicy } from "../../src/policy/policy.ts";
import { Random } from "../../src/random.ts";
import type { Conversation } from "../../src/types.ts";
import { adamw, batchOf, config, ids, loss, sampling, using } from "./tiny.ts";

const operations = Number(process.env.TARL_SOAK ?? 3000);
const SILENCE_MS = 120_000;

interface Life {
  conversation: Conversation;
  ids: number[];
}

/** One conversation after the other, each of random length, until enough was done. */
async function live(policy: EnginePolicy, n: number, count: Map<string, number>, enough: () => boolean) {
  const random = new Random("soak", n);
  const did = (what: string) => count.set(what, (count.get(what) ?? 0) + 1);
  let life: Life | null = null;
  for (let turn = 0; !enough(); turn++) {
    if (!life || life.ids.length > 300) {
      life?.conversation.close();
      const prompt = ids(new Random("prompt", random.int(5)), 1 + random.int(120));
      life = { conversation: policy.open(prompt, n * 1e6 + turn), ids: [...prompt] };
      did("open");
    }
    const what = random.int(20);
    if (what === 0) {
      life.conversation.close();
      life = null;
      did("close");
    } else if (what < 4) {
      const more = ids(random, random.int(30));
      life.conversation.append(more);
      life.ids.push(...more);
      did("append");
    } else if (what < 6) {
      const twin = life.conversation.fork(n * 1e6 + turn);
      life.conversation.close();
      life = { ...life, conversation: twin };
      did("fork");
    } else if (what === 6) {
      await new Promise((resolve) => setTimeout(resolve, random.int(3)));
      did("park");
    } else if (what === 7 && random.int(40) === 0) {
      await policy.step(batchOf([{ ids: [1, 2, 3], logp: [null, -5, -5] }]), loss, { ...adamw, lr: 0 });
      did("step");
    } else if (what === 8) {
      const started = { ...sampling, maxTokens: 40 };
      const cancel = new AbortController();
      const running = life.conversation.generate(started, cancel.signal);
      const closes = random.int(3) === 0;
      if (closes) life.conversation.close();
      else setTimeout(() => cancel.abort(), random.int(3));
      life.ids.push(...(await running).ids);
      assert.is(life.conversation.length, life.ids.length);
      if (closes) life = null;
      did("cancel");
    } else {
      const said = await life.conversation.generate({ ...sampling, maxTokens: 1 + random.int(8) });
      const from = life.ids.length;
      life.ids.push(...said.ids);
      did("generate");
      if (random.int(30) === 0 && life.ids.length > 1) {
        const row = Int32Array.from(life.ids);
        const { logp } = await policy.score(row, Int32Array.of(0, row.length), sampling.temperature);
        assert.equal(logp.slice(from), said.logp);
        did("score");
      }
    }
  }
  life?.conversation.close();
}

test("a crowd of random conversations", async () => {
  await using({ kvTokens: 64 * 16, model: { config: { ...config, layers: 1 }, seed: 3 } }, async (policy) => {
    const count = new Map<string, number>();
    const total = () => [...count.values()].reduce((sum, x) => sum + x, 0);
    const resident: number[] = [];
    let before = { total: -1, at: Date.now() };
    const watch = setInterval(() => {
      resident.push(process.memoryUsage.rss() / 2 ** 20);
      if (total() !== before.total) before = { total: total(), at: Date.now() };
      if (Date.now() - before.at < SILENCE_MS) return;
      console.log(`nothing happened for ${SILENCE_MS} ms after`, count);
      process.exit(3);
    }, 50);
    const start = performance.now();
    await Promise.all(Array.from({ length: 24 }, (_, n) => live(policy, n, count, () => total() >= operations)));
    clearInterval(watch);
    const { pages, waiting, computed, recomputed, sampled } = await policy.stats();
    assert.equal({ pages, waiting }, { pages: 0, waiting: 0 });
    const tenth = Math.floor(resident.length / 10);
    const mean = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
    const [second, last] = [mean(resident.slice(tenth, 2 * tenth)), mean(resident.slice(-tenth))];
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${total()} operations in ${seconds} s:`, Object.fromEntries(count));
    console.log(`${sampled} sampled, ${computed} computed, ${recomputed} again; MiB ${second} then ${last}`);
    // Long enough for V8 to have settled.
    if (tenth >= 60) assert.ok(last < 1.1 * second + 10, `${second} MiB, then ${last}`);
  });
});

test.run();
