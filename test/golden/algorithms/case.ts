// What a golden case is, how it is compared, and its rows as what our functions take; for the checks in this folder.

import * as assert from "uvu/assert";
import type { AlgorithmOptions, Sample } from "../../../src/algorithms/algorithm.ts";
import { type Aggregation, tokenWeights } from "../../../src/batch.ts";
import { resolveConfig } from "../../../src/config/config.ts";
import { algorithmOptions } from "../../../src/settings.ts";
import type { Ledger, TurnScore } from "../../../src/types.ts";
import type { Rows } from "../../rows.ts";

/** Golden files are data of many shapes. */
export type Data = any;

export interface Case {
  id: string;
  kind: string;
  params: Data;
  /** The shared batch's fields, overridden by the case's own. */
  inputs: Data;
  expected: Data;
  tolerance: string;
}

/** Fails where `got` is not what the case expects. `single`: it was made of single precision. */
export type Near = (got: unknown, expected: Data, single?: "single") => void;

/** Checks by the kind of case. */
export type Checks = Record<string, (c: Case, near: Near) => void>;

export const total = (values: number[]): number => values.reduce((sum, value) => sum + value, 0);

/** Bits and turns as a ledger has them. */
export const maskOf = (row: number[]): Uint8Array => Uint8Array.from(row);

export const turnOf = (row: number[]): Int16Array => Int16Array.from(row);

export function ledgers(masks: Rows, logp: Rows): Ledger[] {
  return masks.map((mask, i) => ({
    ids: new Int32Array(mask.length),
    mask: Uint8Array.from(mask),
    logp: Float32Array.from(logp[i]),
    turn: Int16Array.from(mask, (bit) => bit - 1),
  }));
}

export function weightOptions(params: Data) {
  const aggregation: Aggregation = params.agg;
  return { aggregation, normConst: params.norm_const ?? 1, excludeEmpty: params.exclude_empty ?? true };
}

/** One weight for each token, in double precision. */
export function weightRows(masks: Rows, params: Data): Rows {
  const bits = masks.map((mask) => Uint8Array.from(mask));
  const weights = tokenWeights(bits, weightOptions(params));
  return masks.map((mask, i) => mask.map((bit) => (bit ? weights[i] : 0)));
}

/** What an algorithm is told of the batch's rollouts; `rewards` names the token rewards that are to be learned from. */
export function samples(inputs: Data): Sample[] {
  return inputs.mask.map((mask: number[], i: number) => ({
    task: inputs.group[i],
    reward: {
      total: inputs.reward[i],
      perTurn: inputs.turn_rewards[i],
      parts: { outcome: 0, turns: 0, major: 0 },
      class: "good",
    },
    ledger: { mask: maskOf(mask), turn: turnOf(inputs.turn[i]), logp: inputs.logp_old[i] },
    refLogp: inputs.logp_ref[i],
    values: inputs.values_old[i],
  }));
}

/** Options of the default run, and what a case says. */
export function algorithmOf(own: Partial<AlgorithmOptions>, params: Data): AlgorithmOptions {
  const { coef, type: kind } = typeof params.kl_in_reward === "object" ? params.kl_in_reward : {};
  const kl = coef ? { coef, kind, clamp: 0 } : null;
  const { gamma = 1, lambda = 1, gamma_turn: gammaTurn = 1 } = params;
  return { ...algorithmOptions(resolveConfig("embedded")), gamma, lambda, gammaTurn, kl, ...own };
}

/** Where the token rewards of a case come from. */
export const creditOf = (rewards: string) => (rewards === "rewards_turn" ? "turn" : "trajectory");

export function tisOf({ level, mode, low, cap, norm }: Data) {
  return { level, mode: mode ?? "clamp", low: low ?? 0, cap, norm: norm ?? false };
}

export function verdict(success: 0 | 1, scores: TurnScore[] | null) {
  const outcome = { success, stateMatches: success === 1, outputsSaid: true, writes: 0 };
  return { outcome, judgement: { scores, reasons: [] } };
}

export function tarlOptions([outcome, turns, major] = [10, 5, 5]) {
  return { tarl: true, outcome, turns, major, conflict: "keep" } as const;
}

export function compare(got: Data, expected: Data, bound: { rtol: number; atol: number }, where: string): void {
  if (typeof expected === "number") {
    const within = Math.abs(got - expected) <= bound.atol + bound.rtol * Math.abs(expected);
    assert.ok(typeof got === "number" && within, `${where}: ${got}, expected ${expected}`);
  } else if (Array.isArray(expected)) {
    assert.is(got?.length, expected.length, `${where}: length ${got?.length}, expected ${expected.length}`);
    for (const [i, value] of expected.entries()) compare(got[i], value, bound, `${where}[${i}]`);
  } else assert.equal(got, expected, `${where}: ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);
}

/** All numbers rounded to single precision, as the trainer's batch holds them. */
export function single<T>(data: T): T;
export function single(data: Data): Data {
  if (typeof data === "number") return Math.fround(data);
  if (Array.isArray(data) || ArrayBuffer.isView(data)) return Array.from(data as Data, single);
  if (typeof data !== "object" || data === null) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, single(value)]));
}
