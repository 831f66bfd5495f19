// tau2-bench's reward: the product of what a task's basis names. A part that needs a language model to judge it is left
// open, and named; it is never taken as passed. Test: test/unit/tau2.test.ts, test/golden/tau2.test.ts

import type { Checks, Criteria, Ending, Entry, Part, Task } from "../../types.ts";
import { isSaid } from "../ears.ts";
import { type Dict, equals, parseObject } from "../python.ts";
import { type Store, sameState } from "../store.ts";

export interface Score {
  /** 1 when all judged parts passed and the talk came to its own end. */
  readonly reward: 0 | 1;
  /** Parts of the basis that nobody judged: `reward` is the product of the others. */
  readonly unjudged: readonly Part[];
}

/** The parts of the task's basis. `truth`: the state that its actions lead to. */
export function checks(task: Task, transcript: readonly Entry[], store: Store, truth: Store): Checks {
  const { basis, calls = [], assertions = [] } = task.criteria ?? NONE;
  const found: Readonly<Record<Part, () => boolean | null>> = {
    DB: () => sameState(store, truth),
    COMMUNICATE: () => task.outputs.every((output) => isSaid(output, transcript)),
    ACTION: () => calls.every((call) => isCalled(call, transcript)),
    NL_ASSERTION: () => (assertions.length === 0 ? true : null),
  };
  return Object.fromEntries(basis.map((part) => [part, found[part]()]));
}

/** Any end but one that the customer or the agent chose scores nothing. */
export function score(checks: Checks, ending: Ending | null): Score {
  const ended = ending === "user-stop" || ending === "tool-end";
  const parts = Object.entries(checks) as [Part, boolean | null][];
  return {
    reward: ended && parts.every(([, passed]) => passed !== false) ? 1 : 0,
    unjudged: parts.filter(([, passed]) => passed === null).map(([part]) => part),
  };
}

const NONE: Criteria = { basis: [] };

/** Without `compared` the arguments of the agent's call decide which are compared: one without any always fits. */
function isCalled(
  { name, arguments: json, compared }: NonNullable<Criteria["calls"]>[number],
  transcript: readonly Entry[],
) {
  const wanted = parseObject(json);
  return transcript.some((entry) => {
    if (entry.role !== "tool" || entry.call.name !== name) return false;
    const given = entry.call.arguments as Dict;
    const keys = new Set(compared ?? given.keys());
    const only = (args: Dict) => new Map([...args].filter(([key]) => keys.has(key)));
    return equals(only(given), only(wanted));
  });
}
