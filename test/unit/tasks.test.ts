// Which tasks are played when: a function of (seed, step), in the wanted mix, with held-out databases apart.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { shop } from "../../src/domains/shop/index.ts";
import { heldOutDatabases, mix, sampleTasks, trainDatabases } from "../../src/tasks/sampler.ts";
import type { Domain } from "../../src/types.ts";

const all = mix(shop, [], 0.15);
const train = trainDatabases(1000);
const ids = (count: number, ...seeds: number[]) => sampleTasks(shop, all, train, count, ...seeds).map(({ id }) => id);

test("the mix caps what can be passed without a write", () => {
  const weights = Object.fromEntries(all.families.map(({ name, weight }) => [name, weight]));
  assert.ok(Math.abs(weights.refuse - 0.15) < 1e-12);
  for (const name of ["cancel", "payment", "return", "exchange"]) assert.ok(Math.abs(weights[name] - 0.2125) < 1e-12);
  assert.equal(
    mix(shop, [], 1).families.map(({ weight }) => weight),
    [0.2, 0.2, 0.2, 0.2, 0.2],
  );
  assert.equal(mix(shop, ["refuse"], 0.15).families, [{ name: "refuse", weight: 1 }]);
  assert.equal(mix(shop, ["cancel", "refuse"], 0.1).families, [
    { name: "cancel", weight: 0.9 },
    { name: "refuse", weight: 0.1 },
  ]);
  assert.throws(
    () => mix(shop, ["steal"], 0.15),
    /^--families steal: shop has cancel, payment, return, exchange, refuse$/,
  );
});

test("the same seed and step give the same tasks, others give others", () => {
  assert.equal(ids(12, 1, 5), ids(12, 1, 5));
  assert.not.equal(ids(12, 1, 5), ids(12, 1, 6));
  assert.not.equal(ids(12, 1, 5), ids(12, 2, 5));
});

test("every step has its families in the mix, rounded", () => {
  for (let step = 0; step < 20; step++) {
    const tasks = sampleTasks(shop, all, train, 12, 1, step);
    assert.is(new Set(tasks.map(({ id }) => id)).size, 12, "all different");
    for (const { name, weight } of all.families) {
      const count = tasks.filter(({ family }) => family === name).length;
      assert.ok(Math.abs(count - 12 * weight) < 1, `${name}: ${count}`);
    }
  }
});

test("over many steps of one task the mix is met", () => {
  const families = Array.from({ length: 2000 }, (_, step) => sampleTasks(shop, all, train, 1, 3, step)[0].family);
  const share = families.filter((family) => family === "refuse").length / 2000;
  assert.ok(Math.abs(share - 0.15) < 0.03, String(share)); // 3.7 standard errors
});

test("train and held-out databases have no seed in common", () => {
  const seeds = (databases: typeof train, count = 200) =>
    sampleTasks(shop, all, databases, count, 1).map(({ database }) => database);
  const [most, least] = [Math.max(...seeds(trainDatabases(900_000))), Math.min(...seeds(heldOutDatabases()))];
  assert.ok(most < least);
  assert.ok(seeds(trainDatabases(3), 6).every((seed) => seed >= 1 && seed <= 3));
});

test("a domain with too few tasks is told in one line", () => {
  const small: Domain = { ...shop, task: (family, seed, index) => (index === 0 ? shop.task(family, seed, 0) : null) };
  assert.throws(
    () => sampleTasks(small, mix(small, ["cancel"], 1), trainDatabases(2), 3, 1),
    /too few cancel tasks on 2 databases for 3/,
  );
  const none: Domain = { ...shop, task: () => null };
  assert.throws(() => mix(none, ["cancel"], 1), /^shop has no cancel task on databases 1 to 50$/);
  assert.throws(() => mix({ ...shop, families: [] }, [], 1), /^--domain shop: it has no tasks of its own$/);
});

test.run();
