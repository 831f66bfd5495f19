// Which tasks an update plays, and what SPO remembers of them.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { resolveConfig } from "../../src/config/config.ts";
import type { Graded } from "../../src/run/metrics.ts";
import type { TaskSource } from "../../src/tasks/sampler.ts";
import { Curriculum } from "../../src/training/curriculum.ts";
import type { Task } from "../../src/types.ts";

const config = (values: { readonly [key: string]: unknown }) =>
  resolveConfig("embedded", { values: { tasksPerStep: 2, evalTasks: 0, ...values }, label: (key) => key });

/** Tasks that are named by what they were asked for with. */
const source = {
  train: (count: number, seed: number, step: number) =>
    Array.from({ length: count }, (_, i) => ({ id: `${seed}/${step}/${i}` }) as Task),
} as unknown as TaskSource;
const names = (tasks: readonly Task[]) => tasks.map(({ id }) => id);

test("tasks come one update after the other; further draws have updates of their own", () => {
  const plain = new Curriculum(config({ seed: 7 }), null);
  assert.equal(names(plain.tasks(source, 3, 0)), ["7/3/0", "7/3/1"]);
  const drawing = new Curriculum(config({ seed: 7, dynamicSampling: true, maxDraws: 4 }), null);
  const all = [0, 1].flatMap((step) => [0, 1, 2, 3].flatMap((again) => names(drawing.tasks(source, step, again))));
  assert.is(new Set(all).size, all.length, "none is drawn twice");
  assert.is(plain.tracker, null);
  assert.equal(plain.expected("7/3/0"), {});
});

test("SPO draws from one pool, and prefers what may go either way", () => {
  const own = config({ algo: "spo", samples: 1, spoPool: 4, seed: 7 });
  const fresh = new Curriculum(own, null);
  const pool = names(source.train(4, 7, 0));
  assert.ok(names(fresh.tasks(source, 5, 0)).every((id) => pool.includes(id)));
  // Two tasks were always won; of the others nothing is known.
  const sure = { alpha: 1000, beta: 1e-9, moved: 0 };
  const tracker = { moved: 0, tasks: { [pool[0]]: sure, [pool[1]]: sure } };
  const knowing = new Curriculum(own, tracker);
  const drawn = Array.from({ length: 200 }, (_, step) => names(knowing.tasks(source, step, 0))).flat();
  const share = drawn.filter((id) => id === pool[0] || id === pool[1]).length / drawn.length;
  assert.ok(share < 0.25, `${share} of the draws are of tasks that are always won`);
});

test("a visit is remembered: expected before it, learnt from it, a function of what was carried", () => {
  const curriculum = new Curriculum(config({ algo: "spo", samples: 1, spoPool: 4 }), null);
  assert.equal(curriculum.expected("a"), { expected: 0.5 });
  const rollout = { task: { id: "a" }, ledger: { logp: Float32Array.of(0, -1, -2), mask: Uint8Array.of(0, 1, 1) } };
  const learned = [{ rollout, reward: { total: 1 } }] as unknown as Graded[];
  curriculum.visited(learned, [Float32Array.of(9, -1.5, -2.5)]);
  // Beta(.5, .5), no move before a first visit, of which at most .96 is kept: alpha .48 + 1, beta .48.
  assert.ok(Math.abs(curriculum.expected("a").expected! - 1.48 / 1.96) < 1e-12);
  assert.is(curriculum.tracker!.moved, 0.5, "mean change of its log-probs");
  const again = new Curriculum(config({ algo: "spo", samples: 1, spoPool: 4 }), structuredClone(curriculum.tracker));
  for (const each of [curriculum, again]) each.visited(learned, [Float32Array.of(0, -1, -2)]);
  assert.equal(again.tracker, curriculum.tracker);
});

test.run();
