// The verifier: does the final state equal the one that the ground truth leads to, and was said what had to be said?
// Looks at results only, never at the way there; that is the judge's. Test: test/unit/session.test.ts

import { isSaid } from "../domains/ears.ts";
import { Store, sameState } from "../domains/store.ts";
import { callTool, readCall } from "../domains/tool.ts";
import type { Domain, Ending, Entry, Outcome, Part, Task } from "../types.ts";

/** A conversation that is over, or is taken to be. */
export interface Played {
  readonly domain: Domain;
  readonly task: Task;
  readonly store: Store;
  readonly transcript: readonly Entry[];
  readonly ending: Ending | null;
  /** What the domain's `grade` found, where it has one. */
  readonly graded?: boolean;
}

/**
 * Success takes a talk that came to its own end, the state that the ground truth leads to, each of the task's outputs in
 * some message where `checkOutputs` asks for it, and for a task whose truth changes nothing the domain's `answered`: an agent
 * that says and does nothing passes nothing. Where the domain grades, its finding stands for the outputs. A task with
 * criteria of its own takes these in place of all but the ending.
 */
export function verify(played: Played, checkOutputs: boolean): Outcome {
  const { domain, task, store, transcript, ending, graded = false } = played;
  const truth = replayTruth(domain, task);
  const stateMatches = sameState(store, truth);
  const outputsSaid = domain.grade ? graded : task.outputs.every((output) => isSaid(output, transcript));
  const isIdle = () => sameState(truth, new Store(domain.database(task.database)));
  const answered = () => !isIdle() || (domain.answered?.(task, transcript) ?? true);
  const checks = task.criteria && domain.checks?.(task, transcript, store, truth);
  const parts = checks && (Object.entries(checks) as [Part, boolean | null][]);
  const unjudged = parts?.filter(([, passed]) => passed === null).map(([part]) => part) ?? [];
  const passed = parts
    ? parts.every(([, passed]) => passed !== false)
    : stateMatches && (outputsSaid || (!checkOutputs && !domain.grade)) && answered();
  const ended = ending === "user-stop" || ending === "tool-end";
  return {
    success: ended && passed ? 1 : 0,
    stateMatches,
    outputsSaid,
    writes: transcript.filter((entry) => entry.role === "tool" && entry.wrote).length,
    ...(unjudged.length > 0 && { unjudged }),
  };
}

/** Fresh data after the task's own actions; actions that fail change nothing, as in tau-bench. */
export function replayTruth(domain: Domain, task: Task): Store {
  const store = new Store(domain.database(task.database));
  for (const action of task.actions) {
    const tool = domain.tools.find(({ name }) => name === action.name);
    if (tool && !tool.ends) callTool(tool, store, readCall(domain, action).arguments);
  }
  return store;
}
