// tau2-bench's reward in parts: what a task's basis names. A part that needs a language model to judge it is left open; it
// is never taken as passed. Their product is sandbox/verify.ts's. Test: test/unit/tau2.test.ts, test/golden/tau2.test.ts

import type { Checks, Criteria, Entry, Part, Task } from "../../types.ts";
import { isSaid } from "../ears.ts";
import { type Dict, equals, parseObject } from "../python.ts";
import { type Store, sameState } from "../store.ts";

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
