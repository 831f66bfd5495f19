// Rates of tasks, worked by hand: which are kept, how they are counted, and the set that comes of it.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { math } from "../../src/domains/math/index.ts";
import { histogram, rated, replaced, within } from "../../src/rate.ts";
import { someTasks } from "../talk.ts";

const [a, b, c, d] = someTasks(math, 1);
const tally = (task: string, successes: number, trials = 8) => ({ task, family: "add", trials, successes });
const all = rated([a, b, c, d], [tally(d.id, 8), tally(a.id, 1), tally(b.id, 0)]);

test("a rate is the share of won conversations; a task without any has none and is left out", () => {
  assert.equal(all, [
    { ...a, rate: 0.125 },
    { ...b, rate: 0 },
    { ...d, rate: 1 },
  ]);
});

test("both ends of the range belong to it", () => {
  assert.equal(
    within(all, { least: 0.125, most: 0.875 }).map(({ id }) => id),
    [a.id],
  );
  assert.is(within(all, { least: 0, most: 1 }).length, 3);
  assert.is(within([a, b], { least: 0, most: 1 }).length, 0, "not rated");
});

test("the histogram counts tasks by conversations won, fewer trials scaled up", () => {
  assert.equal(histogram(all, 8), [1, 1, 0, 0, 0, 0, 0, 0, 1]);
  assert.equal(histogram(rated([a], [tally(a.id, 3, 6)]), 8), [0, 0, 0, 0, 1, 0, 0, 0, 0]);
});

test("the new set is the old one but for its split", () => {
  const manifest = {
    kind: "tasks" as const,
    domain: "math",
    source: "deepscaler",
    checkOutputs: true,
    splits: {},
    files: {},
  };
  const splits = new Map([
    ["train", [a, b]],
    ["test", [c]],
  ]);
  assert.equal(replaced({ path: "p", manifest, splits, overlay: { policy: "Solve it." } }, "train", [all[0]]), {
    ...{ kind: "tasks", source: "rate", from: "p", domain: "math", checkOutputs: true, policy: "Solve it." },
    splits: { train: [all[0]], test: [c] },
  });
});

test.run();
