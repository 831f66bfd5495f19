// tau2-bench's applications behind retail and airline: tools, errors, hash and reward to the byte, on data that the user
// brings (see tasks/tau2-bench.ts). What a customer and a judge hear is the business of the domain that this is laid
// over. No telecom, no tools for the user, no solo mode.

import type { Backend, Database } from "../../types.ts";
import { type Dict, parseObject } from "../python.ts";
import * as airlineTools from "./airline.ts";
import { readDatabase, type Tau2Domain } from "./data.ts";
import * as retailTools from "./retail.ts";
import { checks } from "./reward.ts";
import { AIRLINE, RETAIL } from "./schemas.ts";
import { hash, type Run, type Signature, tool } from "./state.ts";

export const retail = backend("retail", "RetailTools", RETAIL, retailTools);
export const airline = backend("airline", "AirlineTools", AIRLINE, airlineTools);

type Runs = Readonly<Record<string, Run>>;

function backend(
  name: Tau2Domain,
  className: string,
  signatures: readonly Signature[],
  { reads, writes }: { reads: Runs; writes: Runs },
): Backend<Dict> {
  return {
    name,
    profile: "tau2",
    tools: signatures.map((signature) =>
      tool(
        className,
        signature,
        reads[signature.name] ?? writes[signature.name],
        Object.hasOwn(writes, signature.name),
      ),
    ),
    unknownTool: (tool) => `Error: Tool '${tool}' not found.`,
    parse: parseObject,
    read: (path): Database => readDatabase(name, path),
    hash,
    checks,
  };
}
