// Which tasks are played when: a function of (seed, step), in the wanted mix, with held-out databases apart.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { shop } from "../../src/domains/shop/index.ts";
import { heldOutDatabases, listed, mix, sampleTasks, trainDatabases } from "../../src/tasks/sampler.ts";
import type { Domain, Task } from "../../src/types.ts";

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

const numbered = (split: string, count: number, family = "f") =>
  Array.from({ length: count }, (_, i) => ({ id: `${split}/${i}`, family }) as Task);
const idsOf = (tasks: readonly Task[]) => tasks.map(({ id }) => id);

test("training walks through a set: every task once before one comes again, none twice in an update", () => {
  for (const [size, count] of [
    [10, 3],
    [10, 5],
    [7, 7],
    [5, 4],
    [1, 1],
  ]) {
    const source = () => listed("set", new Map([["train", numbered("train", size)]]), [], "auto");
    const steps = Array.from({ length: 40 }, (_, step) => idsOf(source().train(count, 9, step)));
    for (const step of steps) assert.is(new Set(step).size, count, `${size} tasks, ${count} a step: ${step}`);
    const walked = steps.flat();
    for (let start = 0; start + size <= walked.length; start += size)
      assert.is(new Set(walked.slice(start, start + size)).size, size, "a round has every task");
    assert.equal(idsOf(source().train(count, 9, 17)), steps[17], "a function of seed and step alone");
    if (size > 2)
      assert.not.equal(
        steps,
        Array.from({ length: 40 }, (_, step) => idsOf(source().train(count, 8, step))),
      );
  }
});

test("what is trained on and what is measured of a set", () => {
  const splits = (...names: string[]) => new Map(names.map((name) => [name, numbered(name, 4)]));
  const drawn = (names: string[], measured = "auto") => {
    const source = listed("set", splits(...names), [], measured);
    const from = (draw: () => Task[]) => {
      try {
        return draw()[0].id.split("/")[0];
      } catch (error) {
        return (error as Error).message;
      }
    };
    return [from(() => source.train(2, 1, 0)), from(() => source.heldOut(2))];
  };
  assert.equal(drawn(["train", "held-out"]), ["train", "held-out"]);
  assert.equal(drawn(["test", "train", "dev"]), ["train", "test"]);
  assert.equal(drawn(["test", "train", "dev"], "dev"), ["train", "dev"]);
  assert.equal(drawn(["mine"]), ["mine", "mine"]);
  assert.equal(drawn(["train"]), ["train", "train"]);
  assert.equal(drawn(["test"]), ["--tasks set: has no train, only test", "test"]);
  assert.equal(drawn(["a", "b"]), [
    "--tasks set: has no train, only a, b",
    "--tasks set: has no held-out, test, dev, only a, b",
  ]);
});

test("a set is measured in its own order, by families where they are named", () => {
  const tasks = [...numbered("x", 3, "f"), ...numbered("y", 3, "g")];
  const source = (names: string[]) => listed("set", new Map([["test", tasks]]), names, "auto");
  assert.equal(idsOf(source([]).heldOut(4)), ["x/0", "x/1", "x/2", "y/0"]);
  assert.equal(idsOf(source([]).heldOut(99)), idsOf(tasks));
  assert.equal(idsOf(source(["g"]).heldOut(2)), ["y/0", "y/1"]);
  assert.throws(() => source(["h"]), /^--families h: set has f, g$/);
  const apart = new Map([
    ["train", numbered("x", 3, "f")],
    ["test", numbered("y", 3, "g")],
  ]);
  assert.throws(() => listed("set", apart, ["f"], "auto").heldOut(2), /^--families f: set has none in test$/);
  assert.throws(() => listed("set", apart, ["g"], "auto").train(2, 1, 0), /^--families g: set has none in train$/);
  const empty = new Map([["test", []]]);
  assert.throws(() => listed("set", empty, [], "auto").heldOut(2), /^--tasks set: test is empty$/);
  const small = listed("set", new Map([["train", tasks]]), [], "auto");
  assert.throws(() => small.train(7, 1, 0), /^--tasks-per-step 7: set has 6 tasks to train on$/);
});

test.run();
