// Known-answer vectors of the published generators, and what a stream promises.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { derive, murmur3, Random, xoshiro128 } from "../../src/random.ts";

test("xoshiro128** gives the published sequence from state 1, 2, 3, 4", () => {
  const state = Uint32Array.of(1, 2, 3, 4);
  const expected = [
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
  ];
  for (const value of expected) assert.is(xoshiro128(state), value);
});

test("murmur3 gives the published hashes", () => {
  const hash = (text: string, seed: number) => murmur3(new TextEncoder().encode(text), seed);
  assert.is(hash("", 0), 0);
  assert.is(hash("", 1), 0x514e28b7);
  assert.is(hash("", 0xffffffff), 0x81f16f39);
  assert.is(hash("test", 0), 0xba6bd213);
  assert.is(hash("Hello, world!", 0x9747b28c), 0x24884cba);
  assert.is(hash("The quick brown fox jumps over the lazy dog", 0x9747b28c), 0x2fa826cd);
});

test("equal seeds give equal streams, different seeds different ones", () => {
  const draw = (...seeds: (number | string)[]) => {
    const random = new Random(...seeds);
    return Array.from({ length: 8 }, () => random.float()).join();
  };
  assert.is(draw(7, "user", 3), draw(7, "user", 3));
  const streams = [[1], ["1"], [1, 2], [2, 1], [12], ["1,2"], ["a", "b"], ["ab"], ["a", "b", ""], []] as (
    | number
    | string
  )[][];
  assert.is(new Set(streams.map((seeds) => draw(...seeds))).size, streams.length);
  assert.is(new Set(streams.map((seeds) => derive(...seeds))).size, streams.length);
});

test("derive is a uint32", () => {
  for (let i = 0; i < 1000; i++) {
    const seed = derive("x", i);
    assert.ok(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32);
  }
});

test("float is uniform in [0, 1): mean 1/2, variance 1/12", () => {
  const random = new Random("float");
  const n = 100_000;
  let sum = 0;
  let squares = 0;
  let lowest = 0; // the largest value of the lowest 26 bits of 53
  for (let i = 0; i < n; i++) {
    const x = random.float();
    assert.ok(x >= 0 && x < 1);
    sum += x;
    squares += x * x;
    lowest = Math.max(lowest, (x * 2 ** 53) % 2 ** 26);
  }
  // Five standard errors: sqrt(1/12/n) = 0.00091 for the mean, sqrt(1/180/n) = 0.00024 for the variance.
  assert.ok(Math.abs(sum / n - 0.5) < 0.0046);
  assert.ok(Math.abs(squares / n - (sum / n) ** 2 - 1 / 12) < 0.0012);
  assert.ok(lowest > 0.99 * 2 ** 26);
});

test("int covers its range evenly and refuses what has no range", () => {
  const random = new Random("int");
  const counts = new Array(7).fill(0);
  for (let i = 0; i < 70_000; i++) counts[random.int(7)]++;
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 470, `${counts}`); // five standard deviations
  assert.is(random.int(1), 0);
  // A plain modulo would send 2/3 of the draws of 3 * 2^30 to its lower third.
  let low = 0;
  for (let i = 0; i < 20_000; i++) if (random.int(3 * 2 ** 30) < 2 ** 30) low++;
  assert.ok(Math.abs(low / 20_000 - 1 / 3) < 0.017);
  for (const n of [0, -1, 1.5, Number.NaN, 2 ** 32 + 1]) assert.throws(() => random.int(n), /expected an integer/);
  assert.throws(() => random.pick([]), /expected an integer/);
});

test("shuffle permutes a copy, every order equally often", () => {
  const random = new Random("shuffle");
  const list = Object.freeze(["a", "b", "c"]);
  const orders = new Map<string, number>();
  for (let i = 0; i < 12_000; i++) {
    const order = random.shuffle(list).join("");
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  assert.is(orders.size, 6);
  for (const count of orders.values()) assert.ok(Math.abs(count - 2000) < 205, `${[...orders]}`);
});

test("chance and pick follow their rates", () => {
  const random = new Random("chance");
  let yes = 0;
  let first = 0;
  for (let i = 0; i < 20_000; i++) {
    if (random.chance(0.2)) yes++;
    if (random.pick(["x", "y", "z", "w"]) === "x") first++;
  }
  assert.ok(Math.abs(yes / 20_000 - 0.2) < 0.015);
  assert.ok(Math.abs(first / 20_000 - 0.25) < 0.016);
  assert.not(random.chance(0));
  assert.ok(random.chance(1));
});

test.run();
