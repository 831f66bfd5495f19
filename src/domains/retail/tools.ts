// The sixteen retail tools of tau-bench as the session calls them: schema, argument binding, behaviour.
// Test: test/golden/tau-bench.test.ts

import type { Call, Tool } from "../../types.ts";
import { type Dict, parseObject, unchecked } from "../python.ts";
import type { Store } from "../store.ts";
import type { Action } from "./errands.ts";
import { reads } from "./reads.ts";
import { SCHEMAS } from "./schemas.ts";
import { writes } from "./writes.ts";

export const tools: readonly Tool<Dict>[] = unchecked({ domain: "retail", schemas: SCHEMAS, reads, writes });

/** An action with its arguments as the tools take them. */
export function callOf({ name, arguments: args }: Action): Call<Dict> {
  return { name, arguments: parseObject(JSON.stringify(args)) };
}

/** Runs an action; throws what the tool throws. */
export function perform(action: Action, store: Store): string {
  const call = callOf(action);
  return tools.find(({ name }) => name === call.name)!.call(store, call.arguments);
}
