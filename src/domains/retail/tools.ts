// The sixteen retail tools of tau-bench as the session calls them: schema, argument binding, behaviour.
// Test: test/golden/tau-bench.test.ts

import type { Call, Tool } from "../../types.ts";
import { bind, type Dict, parseObject, type Value } from "../python.ts";
import type { Store } from "../store.ts";
import type { Action } from "./errands.ts";
import { reads } from "./reads.ts";
import { SCHEMAS, type Schema, type ToolName } from "./schemas.ts";
import { writes } from "./writes.ts";

export const tools: readonly Tool<Dict>[] = (Object.keys(SCHEMAS) as ToolName[]).map((name) => {
  const { description, parameters, names }: Schema = SCHEMAS[name];
  const run: (store: Store, ...args: Value[]) => string = { ...reads, ...writes }[name];
  const method = `${pascal(name)}.invoke`;
  const path = { module: `tau_bench.envs.retail.tools.${name}`, method };
  return {
    name,
    description,
    parameters,
    writes: name in writes,
    ends: name === "transfer_to_human_agents",
    call: (store, kwargs) => run(store, ...bind(path, names, kwargs)),
  };
});

/** An action with its arguments as the tools take them. */
export function callOf({ name, arguments: args }: Action): Call<Dict> {
  return { name, arguments: parseObject(JSON.stringify(args)) };
}

/** Runs an action; throws what the tool throws. */
export function perform(action: Action, store: Store): string {
  const call = callOf(action);
  return tools.find(({ name }) => name === call.name)!.call(store, call.arguments);
}

function pascal(name: string): string {
  return name.replace(/(?:^|_)(.)/g, (_, letter: string) => letter.toUpperCase());
}
