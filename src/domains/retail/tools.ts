// The sixteen retail tools of tau-bench as the session calls them: schema, argument binding, behaviour.
// Test: test/golden/tau-bench.test.ts

import type { Tool } from "../../types.ts";
import { bind, type Dict, type Value } from "../python.ts";
import type { Store } from "../store.ts";
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

function pascal(name: string): string {
  return name.replace(/(?:^|_)(.)/g, (_, letter: string) => letter.toUpperCase());
}
