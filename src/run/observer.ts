// Watches a training run for a person: the live line, the clock (timing.jsonl), and the alarm. The run itself does not
// depend on it: everything that the clock decides ends here.
// Test: test/e2e/train.test.ts

import type { Config } from "../config/config.ts";
import type { Evaluation } from "../eval/evaluate.ts";
import type { Rollout } from "../types.ts";
import type { Line, RunDirectory } from "./directory.ts";
import type { StepLine } from "./metrics.ts";
import { alarm, type Display, evaluationLine, gradientAlarm, mismatchAlarm, stepText } from "./progress.ts";

/** The stretches that a step's time is told apart by. */
export type Stretch = "rollout" | "judge" | "train" | "write" | "evaluate";

/** What verdicts of a model took: requests, answers out of the cache, tokens as its server counts them, dollars. */
export interface VerdictCost {
  readonly calls: number;
  readonly cached: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly dollars: number;
}

/**
 * One line of timing.jsonl: seconds of each stretch, and since the line before of all cores together, and what the
 * judge took.
 */
export type Timing = Line & { readonly [stretch in Stretch]?: number } & {
  readonly cpu?: number;
  readonly verdicts?: VerdictCost;
};

export class Observer {
  readonly #started = performance.now();
  /** Seconds that earlier processes worked on this run. */
  readonly #earlier: number;
  /** Updates that the run has behind it. */
  #step: number;
  readonly #history: Pick<StepLine, "domain" | "tarl" | "pass" | "excluded" | "rollouts">[];
  /** Seconds of this process's updates, and of its last evaluation. */
  readonly #updates: number[] = [];
  #evaluation = 0;
  #judged: VerdictCost | undefined;
  /** Seconds in which the conversations of an update were played, ahead of it or not. */
  readonly #playing = new Map<number, number>();
  #seconds: { [stretch in Stretch]?: number } = {};
  #stretch: Stretch | null = null;
  #since = 0;
  /** Processor seconds of this process that are written down. */
  #cpu = cpuSeconds();

  /** `step`: finished updates; what the run holds of later ones has been forgotten. */
  constructor(
    readonly run: RunDirectory,
    readonly display: Display,
    private readonly config: Pick<Config, "steps" | "klCoef">,
    step: number,
    /** Rollouts are learned from by the weights that sampled them, to the bit. */
    private readonly exact: boolean,
    /** What verdicts took since the process began; absent where no model judges. */
    private readonly verdicts?: () => VerdictCost,
  ) {
    this.#step = step;
    this.#judged = verdicts?.();
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

  /** A function that is told of every finished rollout of update `step`, out of the `count` that are played at once. */
  playing(step: number): (count: number) => (rollout: Rollout, done: number) => void {
    const { steps } = this.config;
    return (count) => {
      const since = performance.now();
      return (_, done) => {
        this.display.live(`step ${step + 1}/${steps}  rollouts ${done}/${count}`);
        if (done === count)
          this.#playing.set(step, (this.#playing.get(step) ?? 0) + (performance.now() - since) / 1000);
      };
    };
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
        rolloutSpeed: made / (this.#playing.get(line.step - 1) || Infinity),
        trainSpeed: line.tokens / (timing.train || 1),
        shared: 1 - line.computedTokens / (line.tokens || 1),
        secondsLeft: perUpdate * (steps - line.step) + this.#evaluation,
      }),
    );
    const course = this.#history.filter((each) => each.domain === line.domain && each.excluded < each.rollouts);
    const warnings = [gradientAlarm(line), mismatchAlarm(line, this.exact), alarm(course)];
    for (const warning of warnings) if (warning) this.display.line(warning);
  }

  /** `of`: what was measured, where it is not the run's own domain. */
  measured(step: number, evaluation: Evaluation, of = ""): void {
    this.#close();
    this.#evaluation = total(this.#write(step));
    const when = step === 0 ? "before" : step === this.config.steps ? "after" : `after step ${step}`;
    this.display.line(evaluationLine(of ? `${when}, ${of}` : when, evaluation));
  }

  #close(): void {
    const now = performance.now();
    if (this.#stretch) this.#seconds[this.#stretch] = (this.#seconds[this.#stretch] ?? 0) + (now - this.#since) / 1000;
    this.#since = now;
    this.#stretch = null;
  }

  /** What verdicts took since the line before. */
  #verdictsSince(): Pick<Timing, "verdicts"> {
    const before = this.#judged;
    if (!this.verdicts || !before) return {};
    const now = this.verdicts();
    this.#judged = now;
    return { verdicts: subtract(now, before) };
  }

  #write(step: number): Timing {
    const cpu = cpuSeconds();
    const timing = { step, ...this.#seconds, cpu: cpu - this.#cpu, ...this.#verdictsSince() };
    this.#cpu = cpu;
    this.run.append("timing.jsonl", timing);
    this.#seconds = {};
    return timing;
  }
}

function total({ step, cpu, verdicts, ...seconds }: Timing): number {
  return Object.values(seconds).reduce((sum, value) => sum + value, 0);
}

function subtract(now: VerdictCost, before: VerdictCost): VerdictCost {
  const names = ["calls", "cached", "inputTokens", "outputTokens", "dollars"] as const;
  return Object.fromEntries(names.map((name) => [name, now[name] - before[name]])) as unknown as VerdictCost;
}

/** What the process took of all cores, the engine's threads included. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
