// Which update of a run is made of which tasks, where tasks of another kind are mixed in (--mix). Whole updates alternate, so
// that rewards of different scales never meet in one batch. Test: test/unit/mix.test.ts

import type { Config } from "../config/config.ts";

/** An update of a run: which of its kind it is. */
export interface Scheduled {
  /** Of the other tasks. */
  readonly mixed: boolean;
  /** Updates of the same kind before it: tasks and seeds are drawn by it, so that they are those of a run of one kind. */
  readonly index: number;
  /** Left out, as in the control of a mixed run. */
  readonly skipped: boolean;
}

/** The update after `step` others: of every `mixEvery` the last one is of the other tasks. */
export function scheduled(
  { mix, mixEvery, mixControl }: Pick<Config, "mix" | "mixEvery" | "mixControl">,
  step: number,
): Scheduled {
  if (mix === "none") return { mixed: false, index: step, skipped: false };
  const before = Math.floor(step / mixEvery);
  const mixed = step % mixEvery === mixEvery - 1;
  return { mixed, index: mixed ? before : step - before, skipped: mixed && mixControl };
}

/** The first update from `step` on that is not left out; null where the run ends before. */
export function playedFrom(
  config: Pick<Config, "mix" | "mixEvery" | "mixControl" | "steps">,
  step: number,
): number | null {
  if (step >= config.steps) return null;
  return scheduled(config, step).skipped ? playedFrom(config, step + 1) : step;
}
