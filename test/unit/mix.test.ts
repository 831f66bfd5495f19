// Which update is of which tasks: worked by hand, and the promise that a mixed run, its control and a run of one kind
// draw the same tasks.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { scheduled } from "../../src/training/mix.ts";

const plain = { mix: "none", mixEvery: 2, mixControl: false };
const mixed = { mix: "math", mixEvery: 3, mixControl: false };

test("of every three updates the last one is of the other tasks", () => {
  const updates = Array.from({ length: 7 }, (_, step) => scheduled(mixed, step));
  assert.equal(
    updates.map(({ mixed, index }) => `${mixed ? "other" : "own"} ${index}`),
    ["own 0", "own 1", "other 0", "own 2", "own 3", "other 1", "own 4"],
  );
  assert.ok(updates.every(({ skipped }) => !skipped));
});

test("the control leaves out the other tasks and nothing else", () => {
  for (let step = 0; step < 20; step++) {
    const update = scheduled(mixed, step);
    assert.equal(scheduled({ ...mixed, mixControl: true }, step), { ...update, skipped: update.mixed });
  }
});

test("own tasks are those of a run without a mix, in its order; nothing is drawn twice", () => {
  const own = Array.from({ length: 30 }, (_, step) => scheduled(mixed, step)).filter(({ mixed }) => !mixed);
  assert.equal(
    own,
    own.map((_, step) => scheduled(plain, step)),
  );
});

test.run();
