// Watches a training run for a person: the live line, the clock (timing.jsonl), and the alarm. The run itself does not
// depend on it: everything that the clock decides ends here.
// Test: test/e2e/train.test.ts

import type { Config } from "../config.ts";
import type { Evaluation } from "../eval/evaluate.ts";
import type { Rollout } from "../types.ts";
import type { Line, RunDirectory } from "./directory.ts";
import type { StepLine } from "./metrics.ts";
import { alarm, type Display, evaluationLine, gradientAlarm, mismatchAlarm, stepText } from "./progress.ts";

/** The stretches that a step's time is told apart by. */
export type Stretch = "rollout" | "judge" | "train" | "write" | "evaluate";

/** One line of timing.jsonl: seconds of each stretch. */
type Timing = Line & { readonly [stretch in Stretch]?: number };

export class Observer {
  readonly #started = performance.now();
  /** Seconds that earlier processes worked on this run. */
  readonly #earlier: number;
  /** Updates that the run has behind it. */
  #step: number;
  readonly #history: { readonly tarl: number; readonly pass: number }[];
  /** Seconds of this process's updates, and of its last evaluation. */
  readonly #updates: number[] = [];
  #evaluation = 0;
  #seconds: { [stretch in Stretch]?: number } = {};
  #stretch: Stretch | null = null;
  #since = 0;

  /** `step`: finished updates; what the run holds of later ones has been forgotten. */
  constructor(
    readonly run: RunDirectory,
    readonly display: Display,
    private readonly config: Pick<Config, "steps" | "klCoef">,
    step: number,
    private readonly batchInvariant: boolean,
  ) {
    this.#step = step;
    this.#earlier = run.lines<Timing>("timing.jsonl").reduce((sum, line) => sum + total(line), 0);
    this.#history = run.lines<StepLine>("metrics.jsonl");
  }

  /** Seconds that the run took, earlier processes included. */
  seconds(): number {
    return this.#earlier + (performance.now() - this.#started) / 1000;
  }

  began(stretch: Stretch): void {
    this.#close();
    this.#stretch = stretch;
    if (stretch === "train") this.display.live(`step ${this.#step + 1}/${this.config.steps}  learning`);
  }

  /** Told of every finished rollout of an update, out of `count`. */
  played(count: number): (rollout: Rollout, done: number) => void {
    const { steps } = this.config;
    return (_, done) => this.display.live(`step ${this.#step + 1}/${steps}  rollouts ${done}/${count}`);
  }

  /** The same of a measurement. */
  conversed = (done: number, count: number): void => this.display.live(`held-out conversations ${done}/${count}`);

  updated(line: StepLine): void {
    const { steps, klCoef } = this.config;
    this.#close();
    const timing = this.#write(line.step);
    this.#step = line.step;
    this.#history.push(line);
    const made = line.rollouts * line.length;
    this.#updates.push(total(timing));
    const perUpdate = this.#updates.reduce((sum, seconds) => sum + seconds, 0) / this.#updates.length;
    this.display.line(
      stepText({
        ...line,
        steps,
        kl: klCoef > 0 ? line.kl : line.approxKl,
        rolloutSpeed: made / (timing.rollout || 1),
        trainSpeed: line.tokens / (timing.train || 1),
        shared: 1 - line.computedTokens / (line.tokens || 1),
        secondsLeft: perUpdate * (steps - line.step) + this.#evaluation,
      }),
    );
    const warnings = [gradientAlarm(line), mismatchAlarm(line, this.batchInvariant), alarm(this.#history)];
    for (const warning of warnings) if (warning) this.display.line(warning);
  }

  measured(step: number, evaluation: Evaluation): void {
    this.#close();
    this.#evaluation = total(this.#write(step));
    const when = step === 0 ? "before" : step === this.config.steps ? "after" : `after step ${step}`;
    this.display.line(evaluationLine(when, evaluation));
  }

  #close(): void {
    const now = performance.now();
    if (this.#stretch) this.#seconds[this.#stretch] = (this.#seconds[this.#stretch] ?? 0) + (now - this.#since) / 1000;
    this.#since = now;
    this.#stretch = null;
  }

  #write(step: number): Timing {
    const timing = { step, ...this.#seconds };
    this.run.append("timing.jsonl", timing);
    this.#seconds = {};
    return timing;
  }
}

function total({ step, ...seconds }: Timing): number {
  return Object.values(seconds).reduce((sum, value) => sum + value, 0);
}
