// Airline: tau-bench's booking desk. The tools are tau-bench's to the byte, the policy text is the project's own; there are
// no tasks of its own yet, so that it serves recorded calls and imported tasks on a folder of data.

import type { Domain } from "../../types.ts";
import { type Dict, parseObject } from "../python.ts";
import { tools as mendedTools } from "./fixed.ts";
import { policy } from "./policy.ts";
import { tools } from "./tools.ts";

const EMPTY = new Map(["flights", "reservations", "users"].map((table) => [table, new Map<string, unknown>()]));

export const airline: Domain<Dict> = {
  name: "airline",
  profile: "tau1",
  checkOutputs: true,
  policy,
  toolsInPrompt: true,
  tools,
  unknownTool: (name) => `Unknown action ${name}`,
  families: [],
  parse: parseObject,
  database: () => EMPTY,
  task: () => null,
  asks: () => [],
  hears: () => ({ confirms: false, claimsDone: false, refuses: false }),
  violates: () => null,
};

/** The same desk with tau-bench's defects mended. */
export const fixed: Domain<Dict> = { ...airline, profile: "fixed", tools: mendedTools };
