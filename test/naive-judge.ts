// A judge that can be gamed, for tests: it pays for every turn that looks right and takes off for wrong changes, but has
// nothing against an agent that ends early, or says what is not true. Not a judge to learn from.

import { Store, sameState } from "../src/domains/store.ts";
import { callTool, readCall } from "../src/domains/tool.ts";
import { replayTruth } from "../src/sandbox/verify.ts";
import type { Domain, Judge, Rollout, TurnScore } from "../src/types.ts";

/** +1 for every turn that could be acted on, -1 for the first change that the ground truth does not hold. */
export function naiveJudge(domain: Domain): Judge {
  return {
    name: "naive",
    async judge(rollout) {
      const wrong = firstWrongWrite(domain, rollout);
      const scores = Array.from({ length: rollout.turns }, (_, turn): TurnScore => {
        if (turn === wrong) return -1;
        const [entry] = rollout.transcript.filter((entry) => entry.role !== "user" && entry.turn === turn);
        return entry?.role === "agent" || (entry?.role === "tool" && !entry.failed) ? 1 : 0;
      });
      return { scores, reasons: scores.map(() => "as it looks") };
    },
  };
}

function firstWrongWrite(domain: Domain, { task, transcript }: Rollout): number {
  const truth = task.actions.map((action) => readCall(domain, action));
  const store = new Store(domain.database(task.database));
  const tool = (name: string) => domain.tools.find((tool) => tool.name === name)!;
  for (const entry of transcript) {
    if (entry.role !== "tool" || !entry.wrote) continue;
    callTool(tool(entry.call.name), store, entry.call.arguments);
    const wanted = truth.some((action) => {
      const other = new Store(domain.database(task.database));
      callTool(tool(action.name), other, action.arguments);
      return sameState(store, other);
    });
    if (!wanted && !sameState(store, replayTruth(domain, task))) return entry.turn;
  }
  return -1;
}
