// The sixteen retail tools of tau-bench as the session calls them. Test: test/golden/tau-bench.test.ts

import type { Tool } from "../../types.ts";
import { type Dict, unchecked } from "../python.ts";
import { reads } from "./reads.ts";
import { SCHEMAS } from "./schemas.ts";
import { writes } from "./writes.ts";

export const tools: readonly Tool<Dict>[] = unchecked({ domain: "retail", schemas: SCHEMAS, reads, writes });
