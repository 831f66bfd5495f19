// Retail: tau-bench's customer service desk. The tools are tau-bench's to the byte; policy text, data and tasks are the
// project's own. Python's values (domains/python.ts) keep 1 and 1.0 apart, in the data and in the agent's calls.

import type { Domain } from "../../types.ts";
import { hears } from "../ears.ts";
import { type Dict, parseObject } from "../python.ts";
import { expert } from "./expert.ts";
import { FAMILIES, world } from "./plans.ts";
import { policy } from "./policy.ts";
import { answered, asks, violates } from "./rules.ts";
import { makeTask } from "./tasks.ts";
import { tools } from "./tools.ts";

export const retail: Domain<Dict> = {
  name: "retail",
  profile: "tau1",
  checkOutputs: true,
  policy,
  toolsInPrompt: true,
  tools,
  unknownTool: (name) => `Unknown action ${name}`,
  families: FAMILIES,
  parse: parseObject,
  database: (seed) => world(seed).database,
  task: makeTask,
  asks,
  hears,
  violates,
  answered,
  expert,
};
