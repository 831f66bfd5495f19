// Retail: tau-bench's customer service desk. The tools are tau-bench's to the byte; policy text, data and tasks are the
// project's own. Python's values (domains/python.ts) keep 1 and 1.0 apart, in the data and in the agent's calls.

import type { Domain } from "../../types.ts";
import { hears } from "../ears.ts";
import { scriptedExpert } from "../expert.ts";
import { type Dict, parseObject } from "../python.ts";
import { words } from "./expert.ts";
import { tools as mendedTools } from "./fixed.ts";
import { database, FAMILIES, readings, task } from "./plans.ts";
import { policy } from "./policy.ts";
import { answered, asks, brokenRules, violates } from "./rules.ts";
import { tools } from "./tools.ts";

const base = {
  name: "retail",
  profile: "tau1",
  checkOutputs: true,
  policy,
  toolsInPrompt: true,
  tools,
  unknownTool: (name: string) => `Unknown action ${name}`,
  families: FAMILIES,
  parse: parseObject,
  database,
  task,
  asks,
  hears,
  rules: brokenRules,
  readings,
  violates,
  answered,
};

export const retail: Domain<Dict> = { ...base, expert: scriptedExpert(base, words) };

const mended = { ...base, profile: "fixed", tools: mendedTools };
/** The same desk with tau-bench's defects mended. */
export const fixed: Domain<Dict> = { ...mended, expert: scriptedExpert(mended, words) };
