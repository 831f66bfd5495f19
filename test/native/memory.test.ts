// The KV pool through the engine's door: that no token is computed twice, who waits for whom, who gives pages up first,
// and that memory is there only while it is needed.

import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EnginePolicy } from "../../src/policy/policy.ts";
import { Random } from "../../src/random.ts";
import type { Conversation } from "../../src/types.ts";
import { adamw, all, batchOf, config, ids, loss, sampling, type Talk, talk, using } from "./tiny.ts";

const long = { ...sampling, stopIds: [] };

/** Tokens that differ from all others by themselves or by what stands before them: what a perfect cache computes. */
function distinct(rows: readonly (readonly number[])[]): number {
  type Node = Map<number, Node>;
  const root: Node = new Map();
  let count = 0;
  for (const row of rows) {
    let node = root;
    for (const id of row) {
      let next = node.get(id);
      if (!next) {
        next = new Map();
        node.set(id, next);
        count++;
      }
      node = next;
    }
  }
  return count;
}

/** Several turns with the environment's tokens between them. -> what had to be computed: all but the last token */
async function turns(conversation: Conversation, prompt: readonly number[], random: Random): Promise<number[]> {
  const row = [...prompt];
  for (let turn = 0; turn < 5; turn++) {
    if (turn > 0) {
      const heard = ids(random, 1 + random.int(12));
      conversation.append(heard);
      row.push(...heard);
    }
    row.push(...(await conversation.generate(sampling)).ids);
  }
  return row.slice(0, -1);
}

test("a group's turns compute every token once, but for unfinished pages of the common prompt", async () => {
  await using({}, async (policy) => {
    const rows: Promise<number[]>[] = [];
    const conversations: Conversation[] = [];
    for (let group = 0; group < 4; group++) {
      const prompt = ids(new Random("group", group), 100 + group * 5);
      for (let n = 0; n < 8; n++) {
        const seed = group * 8 + n;
        conversations.push(policy.open(prompt, seed));
        rows.push(turns(conversations[seed], prompt, new Random("rollout", seed)));
      }
    }
    const perfect = distinct(await Promise.all(rows));
    const { computed, recomputed } = await policy.stats();
    const unfinished = [100, 105, 110, 115].reduce((sum, length) => sum + 7 * (length % 16), 0);
    console.log(`computed / distinct tokens: ${computed} / ${perfect} = ${(computed / perfect).toFixed(4)}`);
    assert.is(recomputed, 0);
    // A rollout may repeat the first tokens of another one, which are distinct once and computed twice.
    assert.ok(computed >= perfect && computed <= perfect + unfinished + 32 * 3, `${computed} ${perfect} ${unfinished}`);
    // A conversation that comes when all others have gone finds what they had in common.
    for (const each of conversations) each.close();
    const late = policy.open(ids(new Random("group", 3), 115), 99);
    await late.generate({ ...long, maxTokens: 1 });
    assert.is((await policy.stats()).computed - computed, 115 % 16);
  });
});

test("forks compute nothing of what they have in common", async () => {
  await using({}, async (policy) => {
    const prompt = ids(new Random("forks"), 53);
    const original = policy.open(prompt, 1);
    const first = await original.generate({ ...long, maxTokens: 9 });
    const begun = [...prompt, ...first.ids];
    const twins = Array.from({ length: 7 }, (_, n) => original.fork(n + 2));
    const before = (await policy.stats()).computed;
    assert.is(before, begun.length - 1);
    const rows = await Promise.all(
      twins.map(async (twin) => [...begun, ...(await twin.generate({ ...long, maxTokens: 6 })).ids].slice(0, -1)),
    );
    // Each needs the row of the last common token, and then its own.
    const own = rows.reduce((sum, row) => sum + row.length - begun.length, 0);
    assert.is((await policy.stats()).computed - before, 7 + own);
  });
});

test("parked and resumed in a pool that is too small equals never parked, to the bit", async () => {
  const wide = await using({}, async (policy) => ({ talks: await all(policy, 24), stats: await policy.stats() }));
  const tight = await using({ kvTokens: 30 * 16 }, async (policy) => {
    const talks = await all(policy, 24);
    return { talks, stats: await policy.stats() };
  });
  assert.equal(tight.talks, wide.talks);
  assert.is(wide.stats.recomputed, 0);
  assert.ok(tight.stats.recomputed > 0);
  assert.is(tight.stats.computed - tight.stats.recomputed > 0, true);
});

test("who spoke least lately gives pages up first, from the end, and no more than needed", async () => {
  await using({ kvTokens: 12 * 16 }, async (policy) => {
    const speak = async (n: number) => {
      const each = policy.open(ids(new Random("lately", n), 60), n);
      await each.generate({ ...long, maxTokens: 4 }); // 63 tokens computed, four pages
      return each;
    };
    const [first, second] = [await speak(1), await speak(2), await speak(3)];
    await speak(4);
    assert.is((await policy.stats()).pages, 12);
    const again = async (each: Conversation) => {
      const before = (await policy.stats()).recomputed;
      await each.generate({ ...long, maxTokens: 1 });
      return (await policy.stats()).recomputed - before;
    };
    assert.is(await again(second), 0);
    assert.is(await again(first), 63);
  });
});

test("generations that may outgrow the pool together are admitted in order, and a cancelled one makes room at once", async () => {
  await using({ kvTokens: 24 * 16 }, async (policy) => {
    const order: number[] = [];
    const controllers = Array.from({ length: 6 }, () => new AbortController());
    const talks = controllers.map((_, n) => policy.open(ids(new Random("order", n), 20), n));
    // 20 + 360 tokens each: one fits at a time.
    const said = talks.map(async (each, n) => {
      const { ended } = await each.generate({ ...long, maxTokens: 360 }, controllers[n].signal);
      order.push(n);
      return ended;
    });
    while ((await policy.stats()).waiting > 5); // until the first round
    controllers[3].abort();
    assert.is(await said[3], "aborted");
    assert.is(talks[3].length, 20);
    assert.equal(await Promise.all(said), ["length", "length", "length", "aborted", "length", "length"]);
    assert.equal(
      order.filter((n) => n !== 3),
      [0, 1, 2, 4, 5],
    );
    const { waiting, pages, pagesLimit } = await policy.stats();
    assert.is(waiting, 0);
    assert.ok(pages <= pagesLimit);
    // The pages of one that is closed while it speaks are back when its promise settles.
    for (const [n, each] of talks.entries()) if (n !== 3) each.close();
    const endless = talks[3].generate({ ...long, maxTokens: 360 });
    talks[3].close();
    assert.is((await endless).ended, "aborted");
    assert.is((await policy.stats()).pages, 0);
  });
});

test("a long prompt does not hold up those that speak", async () => {
  await using({ roundTokens: 32 }, async (policy) => {
    const order: string[] = [];
    const busy = policy.score(Int32Array.from(ids(new Random("first"), 390)), Int32Array.of(0, 390), 1); // both come meanwhile
    const prompt = policy.open(ids(new Random("long"), 390), 1);
    const speaker = policy.open(ids(new Random("short"), 4), 2);
    const speaks = speaker.generate({ ...long, maxTokens: 12 }).then(() => order.push("speaker"));
    await Promise.all([busy, speaks, prompt.generate({ ...long, maxTokens: 1 }).then(() => order.push("prompt"))]);
    assert.equal(order, ["speaker", "prompt"]);
    const { rounds, computed } = await policy.stats();
    assert.is(computed, 390 + 4 + 11);
    assert.is(rounds, Math.ceil(computed / 32));
  });
});

test("steps have the memory of the keys and values to themselves", async () => {
  const resident = () => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;
  const fill = (policy: EnginePolicy) =>
    Promise.all(
      Array.from({ length: 150 }, (_, n) =>
        policy.open(ids(new Random("fill", n), 390), n).generate({ ...long, maxTokens: 1 }),
      ),
    );
  await using({}, async (policy) => {
    await policy.step(batchOf([await talk(policy, 1)]), loss, adamw);
    await fill(policy);
    const { pages } = await policy.stats();
    const bytes = pages * 16 * 2 * config.layers * config.kvHeads * config.headDim * 4;
    const full = resident();
    await policy.step(batchOf([{ ids: [1, 2, 3], logp: [null, -5, -5] } satisfies Talk]), loss, adamw);
    const freed = full - resident();
    assert.is((await policy.stats()).pages, 0);
    assert.ok(freed > (0.7 * bytes) / 2 ** 20, `${freed} MiB of ${bytes / 2 ** 20} came back`);
  });
});

test.run();
