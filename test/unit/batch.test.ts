// Packing: what weighs how much, and that nothing outside the mask gets in.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Aggregation, miniBatches, type PackOptions, pack, tokenWeights } from "../../src/batch.ts";
import { Random } from "../../src/random.ts";
import type { Ledger } from "../../src/types.ts";
import { lessons } from "../rows.ts";

const options: PackOptions = { aggregation: "token-mean", normConst: 1, excludeEmpty: true, dropZero: false };

/** A ledger with the given mask; ids count from `first`, log-probs are -1, -2, ... under the mask and `garbage` outside. */
function ledger(mask: number[], first: number, garbage = 0): Ledger {
  return {
    ids: Int32Array.from(mask, (_, t) => first + t),
    mask: Uint8Array.from(mask),
    logp: Float32Array.from(mask, (bit, t) => (bit ? -(t + 1) : garbage)),
    turn: Int16Array.from(mask, (bit) => (bit ? 0 : -1)),
  };
}

const a = ledger([0, 1, 1, 0], 10);
const b = ledger([0, 1], 20);
const empty = ledger([0, 0, 0], 30);

test("rows lie one after the other, in order", () => {
  const batch = pack(lessons([a, b], [2, -1]), options);
  assert.equal([...batch.rows], [0, 4, 6]);
  assert.equal([...batch.ids], [10, 11, 12, 13, 20, 21]);
  assert.equal([...batch.advantage], [0, 2, 2, 0, 0, -1]);
  assert.equal([...(batch.oldLogp ?? [])], [0, -2, -3, 0, 0, -2]);
  assert.is(batch.refLogp, null);
});

test("weights of each aggregation, by hand", () => {
  const masks = [a, b, empty].map(({ mask }) => mask); // 2, 1 and 0 policy tokens
  const weights = (aggregation: Aggregation, excludeEmpty: boolean) =>
    tokenWeights(masks, { aggregation, normConst: 10, excludeEmpty });
  assert.equal(weights("token-mean", true), [1 / 3, 1 / 3, 0]);
  assert.equal(weights("token-sum", true), [1, 1, 0]);
  assert.equal(weights("seq-mean-token-sum", true), [1 / 2, 1 / 2, 0]);
  assert.equal(weights("seq-mean-token-sum", false), [1 / 3, 1 / 3, 0]);
  assert.equal(weights("seq-mean-token-mean", true), [1 / 4, 1 / 2, 0]);
  assert.equal(weights("seq-mean-token-mean", false), [1 / 6, 1 / 3, 0]);
  assert.equal(weights("seq-mean-token-sum-norm", true), [1 / 20, 1 / 20, 0]);
});

test("a batch without policy tokens weighs nothing", () => {
  for (const aggregation of ["token-mean", "seq-mean-token-mean", "seq-mean-token-sum-norm"] as const)
    assert.equal(tokenWeights([empty.mask], { ...options, aggregation }), [0]);
});

test("garbage outside the mask changes no bit", () => {
  const clean = pack(lessons([a, b, empty], [Float64Array.of(0, 1, 2, 0), 3, 0]), options);
  const noise = Float64Array.of(Number.NaN, 1, 2, Number.POSITIVE_INFINITY);
  const dirty = pack(
    lessons(
      [ledger([0, 1, 1, 0], 10, Number.NaN), ledger([0, 1], 20, -1e30), ledger([0, 0, 0], 30, Number.NaN)],
      [noise, 3, 5],
    ),
    options,
  );
  assert.equal(dirty, clean);
});

test("dropping rollouts without an advantage keeps the others' weights", () => {
  const ledgers = [a, b, ledger([0, 1, 1], 40), empty];
  // The third has an advantage outside its mask only, the fourth has no token for its own.
  const given = [0, 4, Float64Array.of(9, 0, 0), 1];
  const all = pack(lessons(ledgers, given), options);
  const few = pack(lessons(ledgers, given), { ...options, dropZero: true });
  assert.equal([...few.rows], [0, 2, 5]);
  assert.equal([...few.ids], [20, 21, 30, 31, 32]);
  assert.equal([...few.weight], [0, ...all.weight.slice(5, 6), 0, 0, 0]);
  assert.equal(all.weight[5], Math.fround(1 / 5));
});

test("contexts of one conversation are rows of their own, and one sequence", () => {
  // Two contexts: a prompt and a turn of two tokens; the prompt, what is left of that turn, and a turn of one token.
  const twice = { ...ledger([0, 1, 1, 0, 0, 1], 30), rows: Int32Array.of(0, 3, 6) };
  const batch = pack(lessons([a, twice, b], [1, 3, 0]), {
    ...options,
    aggregation: "seq-mean-token-mean",
    dropZero: true,
  });
  assert.equal([...batch.rows], [0, 4, 7, 10]);
  assert.equal([...batch.ids.subarray(4)], [30, 31, 32, 33, 34, 35]);
  assert.equal([...batch.advantage.subarray(4)], [0, 3, 3, 0, 0, 3]);
  assert.equal([...batch.oldLogp!.subarray(4)], [0, -2, -3, 0, 0, -6]);
  assert.equal(
    [...batch.weight.subarray(4)],
    [0, 1, 1, 0, 0, 1].map((bit) => Math.fround(bit / (3 * 3))),
  );
});

test("what networks say goes with its tokens, under the mask alone", () => {
  const own = Float32Array.of(9, -4, -5, 9);
  const values = { old: Float32Array.of(9, 1, 2, 9), returns: Float64Array.of(9, 3, 4, 9) };
  const batch = pack([{ ledger: a, advantage: 1, oldLogp: own, refLogp: own, values }], options);
  assert.equal([...batch.oldLogp!], [0, -4, -5, 0]);
  assert.equal([...batch.refLogp!], [0, -4, -5, 0]);
  assert.equal([...batch.values!.old], [0, 1, 2, 0]);
  assert.equal([...batch.values!.returns], [0, 3, 4, 0]);
});

test("mini-batches are whole groups, each in one of them", () => {
  const groups = ["a", "a", "b", "c", "c", "c", "d", "e"];
  const parts = miniBatches(groups, 2, new Random("x"));
  assert.is(parts.length, 2);
  assert.equal(
    parts.flat().sort((x, y) => x - y),
    [...groups.keys()],
  );
  const names = parts.map((members) => new Set(members.map((i) => groups[i])));
  assert.equal(names.map((own) => own.size).sort(), [2, 3], "nearly the same number of groups");
  assert.is([...names[0]].filter((name) => names[1].has(name)).length, 0);
  const orders = [1, 2, 3, 4, 5].map((seed) => JSON.stringify(miniBatches(groups, 2, new Random(seed))));
  assert.ok(new Set(orders).size > 1, "which groups are together is drawn");
  assert.equal(miniBatches(groups, 1, new Random("x")), [[0, 1, 2, 3, 4, 5, 6, 7]]);
});

test("a batch can be empty", () => {
  const batch = pack(lessons([a, b], [0, 0]), { ...options, dropZero: true });
  assert.equal([...batch.rows], [0]);
  assert.is(batch.ids.length, 0);
});

test.run();
