// Which tasks an update plays: those that come next, or, for SPO, those of a pool that its tracker finds worth a visit.
// Knows what the tracker believes; how it believes is algorithms/spo.ts. Test: test/unit/curriculum.test.ts

import { draw, expected, movement, score, type Tracker, track, untouched } from "../algorithms/spo.ts";
import { mean } from "../algorithms/statistics.ts";
import type { Config } from "../config/config.ts";
import { Random } from "../random.ts";
import type { Graded } from "../run/metrics.ts";
import { drawOptions, rewardRange, trackerOptions } from "../settings.ts";
import type { TaskSource } from "../tasks/sampler.ts";
import type { Task } from "../types.ts";

export class Curriculum {
  #tracker: Tracker | null;

  /** `tracker`: of a checkpoint to go on from; null at the start. */
  constructor(
    private readonly config: Config,
    tracker: Tracker | null,
  ) {
    this.#tracker = config.algo === "spo" ? (tracker ?? untouched) : null;
  }

  /** For a checkpoint; null where nothing is remembered. */
  get tracker(): Tracker | null {
    return this.#tracker;
  }

  /** `again` counts the draws of this update before this one, where dynamic sampling left groups out. */
  tasks(source: TaskSource, step: number, again: number): readonly Task[] {
    const { tasksPerStep: count, seed, spoPool, maxDraws, dynamicSampling } = this.config;
    if (!this.#tracker) return source.train(count, seed, dynamicSampling ? step * maxDraws + again : step);
    const pool = source.train(spoPool, seed, 0);
    return draw(pool, count, this.#tracker, drawOptions(this.config), new Random("spo", seed, step));
  }

  /** What a rollout is compared with, 0 to 1; nothing where no tracker is kept. */
  expected(task: string): { readonly expected?: number } {
    return this.#tracker ? { expected: expected(this.#tracker, task) } : {};
  }

  /** After an update: `after` is the log-probs that the policy now gives each rollout's tokens, [N]. */
  visited(learned: readonly Graded[], after: readonly Float32Array[]): void {
    if (!this.#tracker) return;
    const range = rewardRange(this.config);
    const visits = learned.map(({ rollout, reward }) => ({ task: rollout.task.id, score: score(reward.total, range) }));
    const moves = learned.map(({ rollout: { ledger } }, i) => movement(ledger.logp, after[i], ledger.mask));
    this.#tracker = track(this.#tracker, visits, mean(moves), trackerOptions(this.config));
  }
}
