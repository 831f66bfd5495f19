// The end of a training run: summary.json, the closing table, and the warning where reward and success part company.
// Test: test/unit/progress.test.ts

import type { Config } from "../config/config.ts";
import { type Evaluation, type Summary, summarize } from "../eval/evaluate.ts";
import type { RunDirectory } from "./directory.ts";
import { closingAlarm, closingTable, type Display, duration } from "./progress.ts";

/** Null where nothing was measured (--eval-tasks 0). `seconds`: what the run took. */
export function closing(config: Config, run: RunDirectory, display: Display, seconds: number): Summary | null {
  const [before, after] = [0, config.steps].map((step) => run.readJson<Evaluation>(evaluationFile(step)));
  display.line(`done in ${duration(seconds)}; the policy is in ${run.checkpointPath(config.steps)}`);
  if (!before || !after) return null;
  const summary = summarize(before, after, config.seed, seconds);
  run.writeJson("summary.json", summary);
  display.line(closingTable(before, after, summary));
  const warning = closingAlarm(before, after);
  if (warning) display.line(warning);
  return summary;
}

/** The same of the tasks that are mixed in. */
export function mixEvaluationFile(step: number): string {
  return `evaluations/mix-step-${step}.json`;
}

/** Where a run keeps what was measured after `step` updates. */
export function evaluationFile(step: number): string {
  return `evaluations/step-${step}.json`;
}
