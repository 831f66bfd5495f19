// tau2-bench's applications behind retail and airline: tools, errors, hash and reward to the byte, on data that the user
// brings (tasks/tau2-bench.ts) or that the domain generates. Policy text, tasks and what a customer and a judge hear are
// those of the domain that this is laid over. No telecom, no tools for the customer, no solo mode.

import type { Backend, Database, Domain } from "../../types.ts";
import { type Dict, parseObject, type Value } from "../python.ts";
import * as airlineTools from "./airline.ts";
import { readDatabase, type Tau2Domain, typed } from "./data.ts";
import * as retailTools from "./retail.ts";
import { checks } from "./reward.ts";
import { AIRLINE, RETAIL } from "./schemas.ts";
import { hash, type Run, type Signature, tool } from "./state.ts";

export const retail = backend("retail", "RetailTools", RETAIL, retailTools);
export const airline = backend("airline", "AirlineTools", AIRLINE, airlineTools);

/** A domain of tau-bench under tau2-bench's rules; its generated data become typed records. */
export function over(base: Domain<Dict>): Domain<Dict> {
  const name = base.name as Tau2Domain;
  const made = new WeakMap<Database, Database>();
  return {
    ...base,
    ...{ retail, airline }[name],
    everyCall: true,
    database(seed) {
      const plain = base.database(seed);
      const database = made.get(plain) ?? typed(name, asData(plain), `database ${seed} of ${name}`);
      made.set(plain, database);
      return database;
    },
  };
}

/** Tables as tau2-bench lays them out: customers have their id in their row. */
function asData(plain: Database): Value {
  const rows = (table: string, rows: ReadonlyMap<string, unknown>) =>
    [...rows].map(([id, row]): [string, Value] => [
      id,
      table === "users" ? new Map([["user_id", id], ...(row as Dict)]) : (row as Dict),
    ]);
  return new Map([...plain].map(([table, of]) => [table, new Map(rows(table, of))]));
}

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
    read: (path) => readDatabase(name, path),
    hash,
    checks,
  };
}
