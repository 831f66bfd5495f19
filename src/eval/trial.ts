// What an evaluation keeps of one finished conversation: everything that it counts, and why the conversation failed.
// Small enough to hold for every conversation of a large evaluation; the transcript goes to disk instead. The causes are
// defined in docs/metrics.md. Test: test/unit/trial.test.ts

import type { Bill } from "../chat.ts";
import { faulty } from "../errors.ts";
import type { Ending, Outcome, Rollout, ToolFault, UserFault } from "../types.ts";
import { averages, countWaits } from "./metrics.ts";

/** Why a conversation has no success: the first that fits, in this order. */
export const causes = [
  "outage",
  "user-fault",
  "tool-crash",
  "turn-limit",
  "token-limit",
  "invalid-limit",
  "no-write",
  "ended-early",
  "wrong-write",
  "output-unsaid",
  "criteria",
  "unanswered",
] as const;
export type Cause = (typeof causes)[number];

/** Faults of the simulated customer that can make a conversation fail, whatever the agent does. */
const DECISIVE: readonly UserFault["kind"][] = ["left-early", "invented", "as-agent"];

/** How often each tool broke, by the way it did. */
export type ToolFaults = Readonly<Record<string, { readonly [fault in ToolFault]?: number }>>;

export interface Trial {
  readonly task: string;
  readonly family: string;
  /** Which of the task's trials, from 0. */
  readonly trial: number;
  readonly seed: number;
  readonly ending: Ending;
  readonly outcome: Outcome;
  /** Absent where it succeeded. */
  readonly cause?: Cause;
  readonly turns: number;
  /** Policy tokens; 0 of an agent without a policy. */
  readonly length: number;
  readonly waits: number;
  /** TARL reward, null without a verdict. */
  readonly tarl: number | null;
  readonly toolFaults?: ToolFaults;
  readonly userFaults?: readonly UserFault[];
  /** What the scripted customer did to disturb the talk. */
  readonly disturbed?: readonly string[];
  /** Times that it was played again after an outage. */
  readonly replays?: number;
  readonly error?: string;
  readonly bill?: Bill;
}

/** What a rollout does not say of itself. */
export interface Seen {
  /** Does success ask for the task's outputs? */
  readonly checkOutputs: boolean;
  /** Is every change that was made one of those that the task asks for? */
  readonly onlyWanted: boolean;
  readonly tarl: number | null;
  readonly replays: number;
  readonly decode: (ids: Int32Array) => string;
}

export function trialOf(rollout: Rollout, seen: Seen): Trial {
  const { task, sample, seed, ending, outcome, turns, error, bill, userFaults, disturbed } = rollout;
  const cause = causeOf(rollout, seen);
  const toolFaults = toolFaultsOf(rollout);
  return {
    task: task.id,
    family: task.family,
    trial: sample,
    seed,
    ending,
    outcome,
    ...(cause && { cause }),
    turns,
    ...said(rollout, seen.decode),
    tarl: seen.tarl,
    ...(toolFaults && { toolFaults }),
    ...(userFaults?.length && { userFaults }),
    ...(disturbed?.length && { disturbed }),
    ...(seen.replays > 0 && { replays: seen.replays }),
    ...(error !== undefined && { error }),
    ...(bill && { bill }),
  };
}

/** Was it broken off by something that is neither agent nor customer? Such a conversation says nothing of the agent. */
export function isSpoiled({ ending }: Pick<Trial, "ending">): boolean {
  return faulty(ending);
}

/** Did the agent fail without writing anything, where something had to be written? Else the untouched state is right. */
export function isNoWriteFailure({ ending, outcome }: Pick<Rollout, "ending" | "outcome">): boolean {
  return !faulty(ending) && outcome.success === 0 && outcome.writes === 0 && !outcome.stateMatches;
}

export function causeOf(
  { task, ending, outcome, transcript, userFaults = [] }: Rollout,
  { checkOutputs, onlyWanted }: Pick<Seen, "checkOutputs" | "onlyWanted">,
): Cause | null {
  const basis = task.criteria?.basis;
  const wrong = !outcome.stateMatches && (!basis || basis.includes("DB"));
  const asksOutputs = basis ? basis.includes("COMMUNICATE") : checkOutputs;
  const fits: { readonly [cause in Cause]: boolean } = {
    outage: faulty(ending),
    "user-fault": userFaults.some(({ kind }) => DECISIVE.includes(kind)),
    "tool-crash": ending === "tool-crash" || transcript.some((entry) => entry.role === "tool" && entry.fault),
    "turn-limit": ending === "turn-limit",
    "token-limit": ending === "token-limit",
    "invalid-limit": ending === "invalid-limit",
    "no-write": wrong && outcome.writes === 0,
    "ended-early": wrong && onlyWanted,
    "wrong-write": wrong,
    "output-unsaid": asksOutputs && !outcome.outputsSaid,
    criteria: basis !== undefined,
    unanswered: true,
  };
  return outcome.success ? null : causes.find((cause) => fits[cause])!;
}

function toolFaultsOf({ transcript }: Rollout): ToolFaults | null {
  const faults: Record<string, { [fault in ToolFault]?: number }> = {};
  for (const entry of transcript) {
    if (entry.role !== "tool" || !entry.fault) continue;
    const { name } = entry.call;
    faults[name] = { ...faults[name], [entry.fault]: (faults[name]?.[entry.fault] ?? 0) + 1 };
  }
  return Object.keys(faults).length ? faults : null;
}

/** Of an agent without tokens the waits are those in what it said to the customer. */
function said(rollout: Rollout, decode: Seen["decode"]): { length: number; waits: number } {
  if (rollout.ledger.ids.length > 0) {
    const { length, waits } = averages([rollout], decode);
    return { length, waits };
  }
  const messages = rollout.transcript.filter((entry) => entry.role === "agent");
  return { length: 0, waits: messages.reduce((sum, entry) => sum + countWaits(entry.text), 0) };
}
