// Agreement of judges and of rankings: published examples and cases worked by hand.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { agreement, kendall, ranking } from "../../src/eval/agreement.ts";

const near = (value: number | null, wanted: number, digits = 3) =>
  assert.ok(value !== null && Math.abs(value - wanted) < 0.5 * 10 ** -digits, `${value}, expected ${wanted}`);

test("Krippendorff's alpha, nominal: the binary example of Krippendorff 2011", () => {
  const a = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0];
  const b = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0];
  const { exact, alpha, turns, conversations } = agreement([[a, b]]);
  assert.equal([exact, turns, conversations], [0.6, 10, 1]);
  near(alpha, 0.095);
});

test("Krippendorff's alpha, nominal: four observers, missing data, 0.743", () => {
  /** Units of four observers with five values, "." where one has none (Krippendorff 2011, section C). */
  const units = ["11.1", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", ".555", "..11", ".3.."];
  const conversations = units.map((unit) => [...unit].map((value) => (value === "." ? null : [Number(value)])));
  const { alpha, turns } = agreement(conversations);
  assert.is(turns, 11, "one value alone says nothing");
  near(alpha, 0.743);
});

test("abstentions are missing values, and intervals hold what they are of", () => {
  assert.equal(agreement([[[1, 0], null], [null]]), {
    conversations: 0,
    turns: 0,
    exact: null,
    alpha: null,
    exactInterval: null,
    alphaInterval: null,
  });
  const conversations = Array.from({ length: 40 }, (_, i) => [
    [1, i % 2, 0],
    [1, i % 4 ? i % 2 : 1, 0],
    i % 5 ? null : [1, 0, 0],
  ]);
  const { exact, alpha, exactInterval, alphaInterval } = agreement(conversations);
  for (const [value, interval] of [
    [exact, exactInterval],
    [alpha, alphaInterval],
  ] as const) {
    assert.ok(interval![0] < value! && value! < interval![1], `${value} in ${interval}`);
    assert.ok(interval![1] - interval![0] < 0.4);
  }
  assert.equal(agreement(conversations), agreement(conversations), "the same every time");
  assert.is(agreement([[[1], [1]]]).alpha, null, "nothing to tell apart");
});

test("Kendall's tau-b, by hand", () => {
  // Of 6 pairs: own 1 2 3 4 against 1 3 2 4 has one discordant.
  near(
    kendall([
      [1, 1],
      [2, 3],
      [3, 2],
      [4, 4],
    ]),
    4 / 6,
  );
  // Ties: own has 2 untied pairs of 3, other 3; both untied ones agree: 2 / sqrt(2 * 3).
  near(
    kendall([
      [1, 1],
      [1, 2],
      [2, 3],
    ]),
    2 / Math.sqrt(6),
  );
  assert.is(
    kendall([
      [1, 1],
      [1, 2],
    ]),
    null,
  );
});

test("a ranking's mean tau, and whose best rollout changes", () => {
  const same = [
    [5, 1],
    [3, 0],
  ] as const;
  const other = [
    [5, 0],
    [3, 1],
  ] as const;
  const flat = [
    [5, 2],
    [5, 1],
  ] as const;
  assert.equal(ranking([same, other, flat]), { tau: 0, groups: 2, bestChanges: 1 / 3 });
  assert.equal(ranking([]), { tau: null, groups: 0, bestChanges: null });
});

test.run();
