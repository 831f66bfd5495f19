// SPO's tracker over several updates: what is remembered, what is drawn, and that its record survives a file. The formulas
// of one visit are golden cases.

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  draw,
  drawWeight,
  expected,
  movement,
  score,
  standardised,
  type Tracker,
  track,
  untouched,
} from "../../src/algorithms/spo.ts";
import { Random } from "../../src/random.ts";

const options = { halfLife: 0.06, rhoMin: 0.5, rhoMax: 0.96 };
const drawing = { explore: 0.05, power: 0 };

function near(got: number, wanted: number): void {
  assert.ok(Math.abs(got - wanted) < 1e-12, `${got}, expected ${wanted}`);
}

test("a task's move is that of all updates since its last visit", () => {
  // First visit: nothing is forgotten but rhoMax. alpha .96 / 2 + 1, beta .96 / 2.
  const first = track(untouched, [{ task: "a", score: 1 }], 0.5, options);
  near(first.tasks.a.alpha, 1.48);
  near(first.tasks.a.beta, 0.48);
  const second = track(first, [{ task: "b", score: 0 }], 0.02, options);
  assert.equal(second.tasks.a, first.tasks.a);
  // .02 + .01 is half of the half-life: rho = 2^-.5.
  const third = track(second, [{ task: "a", score: 0 }], 0.01, options);
  near(third.tasks.a.alpha, 1.48 * Math.SQRT1_2);
  near(third.tasks.a.beta, 0.48 * Math.SQRT1_2 + 1);
  near(third.moved, 0.53);
});

test("an unknown task is even; a known one is what its visits say", () => {
  assert.is(expected(untouched, "a"), 0.5);
  near(expected(track(untouched, [{ task: "a", score: 1 }], 0, options), "a"), 1.48 / 1.96);
});

test("the record survives a file", () => {
  const tracker = track(untouched, [{ task: "a", score: 0.3 }], 0.123456789, options);
  assert.equal(JSON.parse(JSON.stringify(tracker)), tracker);
});

test("tasks that are even are drawn more often, visited ones less with a power, none never", () => {
  assert.is(drawWeight({ alpha: 2, beta: 2 }, drawing), 0.55);
  assert.is(drawWeight({ alpha: 2, beta: 2 }, { explore: 0.05, power: 0.5 }), 0.3);
  const known = (alpha: number, beta: number) => ({ alpha, beta, moved: 0 });
  const tracker: Tracker = { moved: 0, tasks: { sure: known(99, 1e-9), even: known(4, 4) } };
  const pool = [{ id: "sure" }, { id: "even" }];
  const drawn = { sure: 0, even: 0 };
  for (let seed = 0; seed < 4000; seed++)
    drawn[draw(pool, 1, tracker, drawing, new Random(seed))[0].id as "sure" | "even"]++;
  // Weights .05 and .55: one in twelve, 333 of 4,000 with a deviation of 17.5.
  assert.ok(Math.abs(drawn.sure - 4000 / 12) < 70, `${drawn.sure}`);
});

test("a draw has different tasks, and is a function of its seed", () => {
  const pool = Array.from({ length: 20 }, (_, i) => ({ id: `${i}` }));
  const once = draw(pool, 8, untouched, drawing, new Random("spo", 1));
  assert.is(new Set(once).size, 8);
  assert.equal(draw(pool, 8, untouched, drawing, new Random("spo", 1)), once);
  assert.not.equal(draw(pool, 8, untouched, drawing, new Random("spo", 2)), once);
});

test("rewards as successes, moves as means, standardised by hand", () => {
  assert.equal(
    [-5, 5, 15, 20].map((reward) => score(reward, [-5, 15])),
    [0, 0.5, 1, 1],
  );
  near(movement([0, -1, -2], [9, -1.5, -1], [0, 0.1, 0.2]), 0.75);
  assert.is(movement([], [], []), 0);
  assert.equal(standardised([0.3, 0.3]), [0, 0]);
  for (const [i, value] of standardised([1, 2, 3]).entries()) assert.ok(Math.abs(value - (i - 1)) < 1e-7);
});

test.run();
