// Airline: tau-bench's booking desk. The tools are tau-bench's to the byte, the policy text is the project's own; there are
// no tasks of its own yet, so that it serves recorded calls and imported tasks on a folder of data.

import type { Domain } from "../../types.ts";
import { type Dict, parseObject } from "../python.ts";
import { policy } from "./policy.ts";
import { tools } from "./tools.ts";

const EMPTY = new Map(["flights", "reservations", "users"].map((table) => [table, new Map<string, unknown>()]));

export const airline: Domain<Dict> = {
  name: "airline",
  policy,
  toolsInPrompt: true,
  tools,
  families: [],
  parse: parseObject,
  database: () => EMPTY,
  task: () => null,
  asks: () => [],
  hears: () => ({ confirms: false, claimsDone: false, refuses: false }),
  violates: () => null,
};
