// What a person sees of a run: one live line on a terminal, plain lines elsewhere, and the closing table.
// Pure text from numbers, except for Display. Knows nothing of training.
// Test: test/unit/progress.test.ts

import type { Evaluation, Summary } from "../eval/evaluate.ts";
import type { Interval } from "../eval/metrics.ts";

/** Where lines go. On a terminal `live` overwrites itself; elsewhere it says nothing. */
export class Display {
  #shown = false;

  /** `log` gets every whole line as well. */
  constructor(
    readonly out: NodeJS.WriteStream,
    public log: (text: string) => void = () => {},
  ) {}

  line(text: string): void {
    this.clear();
    this.out.write(`${text}\n`);
    for (const line of text.split("\n")) this.log(line);
  }

  live(text: string): void {
    if (!this.out.isTTY) return;
    this.clear();
    this.out.write(text.slice(0, (this.out.columns || 80) - 1));
    this.#shown = true;
  }

  /** Takes the live line away. */
  clear(): void {
    if (this.#shown) this.out.write("\r\x1b[2K");
    this.#shown = false;
  }
}

/** What the line of one update tells. */
export interface Shown {
  readonly step: number;
  readonly steps: number;
  readonly reward: number;
  readonly rewardOutcome: number;
  readonly rewardTurns: number;
  readonly rewardMajor: number;
  readonly pass: number;
  readonly turns: number;
  readonly kl: number;
  readonly mismatch: number;
  /** Rollouts that the judge abstained on. */
  readonly abstained: number;
  /** Tokens per second. */
  readonly rolloutSpeed: number;
  readonly trainSpeed: number;
  /** Of the tokens that were learned from, those that rows had in common and that were not computed again. */
  readonly shared: number;
  readonly secondsLeft: number;
}

export function stepText(s: Shown): string {
  const parts =
    s.rewardTurns || s.rewardMajor
      ? ` (outcome ${fixed(s.rewardOutcome, 2)} turns ${fixed(s.rewardTurns, 2)} major ${fixed(s.rewardMajor, 2)})`
      : "";
  return [
    `step ${s.step}/${s.steps}`,
    `reward ${fixed(s.reward, 2)}${parts}`,
    `pass ${rate(s.pass)}`,
    `turns ${fixed(s.turns, 1)}`,
    `kl ${small(s.kl)}`,
    `mismatch ${small(s.mismatch)}`,
    `rollout ${thousands(s.rolloutSpeed)} tok/s`,
    s.trainSpeed > 0
      ? `train ${thousands(s.trainSpeed)} tok/s${s.shared > 0 ? ` (${Math.round(100 * s.shared)}% shared)` : ""}`
      : "nothing learned",
    ...(s.abstained > 0 ? [`no verdict on ${s.abstained} rollouts`] : []),
    `left ${duration(s.secondsLeft)}`,
  ].join("  ");
}

export const lengthOf = (e: Evaluation): number => e.length;

/** What all tables tell besides success. */
export const figures: readonly [string, number, (e: Evaluation) => number | null][] = [
  ["TARL reward", 2, (e) => e.tarl],
  ["turns", 2, (e) => e.turns],
  ["length (policy tokens)", 1, lengthOf],
  ["waits", 3, (e) => e.waits],
  ["no-write failures", 3, (e) => e.noWriteFailures],
];

/** One line about one evaluation. */
export function evaluationLine(name: string, e: Evaluation): string {
  const pass = e.pass.map((value, k) => `^${k + 1} ${rate(value)}`).join(" ");
  const line = `${name}: pass${pass}  ${e.pass.length ? interval(e.interval[0]) : ""}  turns ${fixed(e.turns, 1)}  length ${fixed(e.length, 0)}  waits ${fixed(e.waits, 2)}`;
  return [line, ...brokenText(e)].join("\n");
}

/** A line where conversations were broken off, with the first reason. */
export function brokenText({ faults, error }: Evaluation): string[] {
  return faults ? [`${faults} conversations were broken off and are in no figure, the first one: ${error}`] : [];
}

/** Before and after on the same held-out tasks. */
export function closingTable(before: Evaluation, after: Evaluation, { difference }: Summary): string {
  const rows: string[][] = [[`held-out, ${before.tasks} tasks x ${before.trials}`, "before", "after", "difference"]];
  for (const [k, value] of before.pass.entries()) {
    if (after.pass[k] === undefined) continue;
    rows.push([
      `pass^${k + 1}`,
      `${rate(value)} ${interval(before.interval[k])}`,
      `${rate(after.pass[k])} ${interval(after.interval[k])}`,
      k === 0 ? `${signed(difference.pass1)} ${interval(difference.interval)}` : signed(after.pass[k] - value),
    ]);
  }
  for (const [name, was] of Object.entries(before.families)) {
    const is = after.families[name];
    if (!is) continue;
    rows.push([
      `  ${name} (${was.tasks})`,
      `${rate(was.pass1)} ${interval(was.interval)}`,
      `${rate(is.pass1)} ${interval(is.interval)}`,
      signed(is.pass1 - was.pass1),
    ]);
  }
  for (const [title, digits, value] of figures) {
    const [was, is] = [value(before), value(after)];
    if (was !== null && is !== null) rows.push([title, fixed(was, digits), fixed(is, digits), fixed(is - was, digits)]);
  }
  return align(rows);
}

/** The TARL reward rises while success falls: the judge pays for the wrong thing. Looks at halves of the last steps. */
const ALARM_STEPS = 10;
/** Less than this is noise. */
const ALARM_REWARD = 0.25;
const ALARM_PASS = 0.05;

/** One line of warning, or null. `history` holds the TARL reward and the pass rate of every update. */
export function alarm(history: readonly { readonly tarl: number; readonly pass: number }[]): string | null {
  if (history.length < ALARM_STEPS) return null;
  const last = history.slice(-ALARM_STEPS);
  const change = (value: (h: { tarl: number; pass: number }) => number) =>
    mean(last.slice(ALARM_STEPS / 2).map(value)) - mean(last.slice(0, ALARM_STEPS / 2).map(value));
  const tarl = change((h) => h.tarl);
  const pass = change((h) => h.pass);
  if (tarl < ALARM_REWARD || pass > -ALARM_PASS) return null;
  return alarmText(`over the last ${ALARM_STEPS} steps`, tarl, pass);
}

/** The same between the two evaluations of a run. */
export function closingAlarm(before: Evaluation, after: Evaluation): string | null {
  if (before.tarl === null || after.tarl === null) return null;
  const [tarl, pass] = [after.tarl - before.tarl, after.pass[0] - before.pass[0]];
  return tarl > 0 && pass < 0 ? alarmText("on the held-out tasks", tarl, pass) : null;
}

/** One line of warning after an update that the engine left out, or null. */
export function gradientAlarm({ step, gradNorm }: { readonly step: number; readonly gradNorm: number }): string | null {
  return Number.isFinite(gradNorm) ? null : `ALARM: step ${step}: the gradient is not finite: nothing was updated`;
}

/** The same where the trainer's log-probs are not the sampler's although arithmetic is batch-invariant: a bug of ours. */
export function mismatchAlarm(
  { step, mismatch }: { readonly step: number; readonly mismatch: number },
  batchInvariant: boolean,
): string | null {
  if (!batchInvariant || mismatch === 0) return null;
  return `ALARM: step ${step}: trainer and sampler differ by ${small(mismatch)}, in batch-invariant arithmetic: please report it`;
}

function alarmText(where: string, tarl: number, pass: number): string {
  return `ALARM: ${where} the TARL reward rose by ${fixed(tarl, 2)} while success fell by ${fixed(-pass, 3)}: the judge pays for the wrong thing`;
}

export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

export function thousands(value: number): string {
  if (value >= 1e6) return `${fixed(value / 1e6, 2)}M`;
  return value >= 1000 ? `${fixed(value / 1000, 1)}k` : fixed(value, 0);
}

/** Columns under each other. */
export function align(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** ".412" */
export function rate(value: number): string {
  return fixed(value, 3).replace(/^0\./, ".");
}

export function interval([low, high]: Interval): string {
  return `[${[low, high].map((value) => fixed(value, 3).replace(/^(-?)0\./, "$1.")).join(", ")}]`;
}

function signed(value: number): string {
  return `${value < 0 ? "-" : "+"}${rate(Math.abs(value))}`;
}

function small(value: number): string {
  return value === 0 ? "0" : Math.abs(value) < 0.001 ? value.toExponential(1) : fixed(value, 4);
}

export function fixed(value: number, digits: number): string {
  return value.toFixed(digits);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
