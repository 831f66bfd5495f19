// Synthesized sets: a function of their options, split by database, in the mix, proven, no two tasks alike; what is left
// out is counted; what cannot be had is one line. The gates themselves: test/unit/gates.test.ts.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { domainNames, domain as findDomain } from "../../src/domains/index.ts";
import { shop } from "../../src/domains/shop/index.ts";
import { failures } from "../../src/gates.ts";
import { type Synthesis, synthesize } from "../../src/synthesize.ts";
import { openSet, tasksOf, writeSet } from "../../src/tasks/set.ts";
import type { Domain, Task } from "../../src/types.ts";

const options: Synthesis = {
  seed: 7,
  count: 60,
  heldOut: 0.1,
  families: [],
  refuseShare: 0.15,
  trainDatabases: 100_000,
};
const made = (domain: Domain, change: Partial<Synthesis> = {}) => synthesize(domain, { ...options, ...change });
const words = ({ scenario, actions }: Task) => JSON.stringify([scenario.opening, actions]);

for (const name of domainNames)
  test(`${name}: the splits are apart, the mix is met, everything is proven and different`, async () => {
    const domain = await findDomain(name);
    if (domain.families.length === 0) return;
    const { splits, ...rest } = await made(domain);
    assert.is(splits.train.length, 54);
    assert.is(splits["held-out"].length, 6);
    assert.ok(splits.train.every(({ database }) => database >= 1 && database <= 100_000));
    assert.ok(splits["held-out"].every(({ database }) => database >= 1_000_000 && database < 1_100_000));
    const tasks = Object.values(splits).flat();
    assert.is(new Set(tasks.map(words)).size, 60);
    assert.is(new Set(tasks.map(({ id }) => id)).size, 60);
    const passive = splits.train.filter(({ actions }) => actions.length === 0).length;
    // 8.1, each family rounded up or down; a domain that grades answers changes nothing.
    assert.ok(domain.grade ? passive === 54 : passive >= 6 && passive <= 10, `${passive} of 54`);
    for (const family of domain.families)
      assert.ok(
        splits.train.some((task) => task.family === family),
        family,
      );
    for (const task of tasks.slice(0, 10)) assert.equal(await failures(domain, task), []);
    assert.is(rest.domain, name);
    assert.is(rest.profile, domain.profile);
    const { gates, rejected } = rest.synthesis!;
    assert.is(gates.succeeds.checked - Object.values(gates).reduce((sum, { failed }) => sum + failed, 0), 60);
    assert.is(gates.changes.checked, tasks.filter(({ actions }) => actions.length > 0).length);
    assert.equal(Object.keys(rejected), []);
  });

test("the same options make the same bytes, other seeds another set", async () => {
  const text = async (change: Partial<Synthesis>) => JSON.stringify(await made(shop, change));
  const first = await text({});
  assert.is(await text({}), first);
  assert.is.not(await text({ seed: 8 }), first);
});

test("counts are kept whatever is asked for", async () => {
  const counts = async (change: Partial<Synthesis>) =>
    Object.entries((await made(shop, change)).splits).map(([split, tasks]) => `${split} ${tasks.length}`);
  assert.equal(await counts({ count: 1 }), ["train 1"]);
  assert.equal(await counts({ count: 7, heldOut: 0.5 }), ["train 3", "held-out 4"]);
  assert.equal(await counts({ heldOut: 0 }), ["train 60"]);
  assert.equal(await counts({ heldOut: 1 }), ["held-out 60"]);
  const { splits } = await made(shop, { families: ["return"], count: 5, heldOut: 0 });
  assert.ok(splits.train.every(({ family }) => family === "return"));
});

test("what fails a gate is left out and counted, and so is a task that is there already", async () => {
  const broken: Domain = {
    ...shop,
    task(family, seed, index) {
      const task = shop.task(family, seed, index);
      if (task && index === 0 && seed % 2 === 0) return { ...task, actions: [{ name: "nothing", arguments: "{}" }] };
      return task && seed % 3 === 0 ? { ...shop.task(family, 3, index)!, database: seed } : task;
    },
  };
  const { splits, synthesis } = await made(broken, { families: ["cancel"], heldOut: 0, count: 20 });
  assert.is(splits.train.length, 20);
  assert.ok(splits.train.every(({ database }) => database % 2 === 1));
  const { rejected, gates } = synthesis!;
  assert.ok(rejected.calls > 3 && rejected.different > 1, JSON.stringify(rejected));
  assert.is(gates.calls.failed, rejected.calls);
});

test("wordings are counted where a domain tells them", async () => {
  const { synthesis } = await made(await findDomain("retail"));
  const { easy, hard, both, neither } = synthesis!.wordings;
  assert.is(easy + hard + both + neither, 60);
  for (const count of [easy, hard, both, neither]) assert.ok(count > 4, JSON.stringify(synthesis!.wordings));
  assert.equal((await made(shop)).synthesis!.wordings, {});
});

test("a domain without room is told of in one line, with what was left out", async () => {
  const refused = async (domain: Domain, change: Partial<Synthesis>) => {
    try {
      await made(domain, change);
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  assert.match(
    await refused(shop, { trainDatabases: 1, count: 99 }),
    /^shop has too few \w+ tasks on databases 1 to 1: \d+ more were wanted$/,
  );
  const same: Domain = { ...shop, task: () => shop.task("cancel", 1, 0) };
  assert.match(
    await refused(same, { families: ["cancel"] }),
    /^shop has too few cancel tasks on databases 1 to 100000: 53 more were wanted; left out so far: different 1001$/,
  );
  assert.match(await refused(shop, { families: ["steal"] }), /^--families steal: shop has /);
});

test("a set is read back as it was made, and is not written over", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tarl-synthesize-"));
  try {
    const draft = await made(shop);
    const manifest = writeSet(join(dir, "set"), draft);
    const set = openSet(join(dir, "set"));
    assert.equal(set.manifest, manifest);
    assert.equal(
      tasksOf(set, "train").map(({ id }) => id),
      draft.splits.train.map(({ id }) => id),
    );
    assert.is(manifest.seed, 7);
    assert.equal(Object.keys(manifest.splits.train.families!).sort(), [...shop.families].sort());
    assert.throws(() => writeSet(join(dir, "set"), draft), /exists already/);
    writeFileSync(join(dir, "set", "train.jsonl"), "");
    assert.throws(() => openSet(join(dir, "set")), /train/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test.run();
