import type { Dict } from "../python.ts";
import { parseObject } from "../python.ts";
import type { Database, Domain } from "../../types.ts";
import { tools } from "./tools.ts";
const empty: Database = new Map([["orders", new Map()], ["products", new Map()], ["users", new Map()]]);
export const retail: Domain<Dict> = { name: "retail", policy: "", toolsInPrompt: true, tools, families: [], parse: parseObject, database: () => empty, task: () => null, asks: () => [], hears: () => ({confirms:false, claimsDone:false, refuses:false}), violates: () => null };
