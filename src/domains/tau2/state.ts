// What tau2-bench's tools of both domains share: rows of the state, its hash, how arguments are bound to a method, the
// calculator. Test: test/unit/tau2.test.ts

import { createHash } from "node:crypto";
import { ToolError } from "../../errors.ts";
import type { Tool } from "../../types.ts";
import { parts } from "../copy.ts";
import {
  asKey,
  byCodePoint,
  type Dict,
  dumps,
  evaluated,
  isArithmetic,
  ordered,
  PythonError,
  reprText,
  sortedRows,
  type Value,
} from "../python.ts";
import type { Store } from "../store.ts";

/** What a tool does, its arguments in the order of its signature. */
export type Run = (store: Store, ...args: Value[]) => string;

export interface Signature {
  readonly name: string;
  readonly description: string;
  readonly parameters: Tool["parameters"];
  readonly names: readonly string[];
}

/** The row with this id, or undefined; an id that cannot be a key raises as in Python. */
export function row(store: Store, table: string, id: Value): Dict | undefined {
  const key = asKey(id);
  return key === null ? undefined : store.get<Dict>(table, key);
}

/** `dict[key]` for any key. */
export function item(dict: Dict, key: Value): Value {
  const value = dict.get(asKey(key) ?? missing(key));
  return value === undefined ? missing(key) : value;
}

function missing(key: Value): never {
  throw new PythonError(reprText(key));
}

/** An attribute that every record of its kind has. */
export function get<T extends Value = string>(record: Dict, name: string): T {
  return record.get(name) as T;
}

export function fail(message: string): never {
  throw new ToolError(message);
}

/** `str(round(float(eval(expression)), 2))`, behind tau2-bench's check. */
export function calculate(_store: Store, expression: Value): string {
  if (!isArithmetic(expression)) fail("Invalid characters in expression");
  return evaluated(expression);
}

export const transfer: Run = () => "Transfer successful";

/**
 * A tool of the toolkit `className`: its arguments pass three calls, each of which can refuse them. A handover ends the
 * talk; upstream its customer then does.
 */
export function tool(className: string, { names, ...told }: Signature, run: Run, writes: boolean): Tool<Dict> {
  return {
    ...told,
    writes,
    ends: told.name === "transfer_to_human_agents",
    call(store, kwargs) {
      for (const name of kwargs.keys()) {
        if (name === "requestor")
          throw new PythonError(`${ENVIRONMENT} got multiple values for keyword argument 'requestor'`);
        if (name === "self" || name === "tool_name")
          throw new PythonError(`Environment.make_tool_call() got multiple values for argument '${name}'`);
      }
      return run(store, ...ordered(`${className}.${told.name}`, names, kwargs));
    },
  };
}

const ENVIRONMENT = "tau2.environment.environment.Environment.make_tool_call()";

/** Lower-case hex SHA-256 of the state as JSON, all keys sorted: tau2-bench's hash of `model_dump()`. */
export function hash(store: Store): string {
  const sha = createHash("sha256");
  const tables = [...store.base.keys()].sort(byCodePoint);
  for (const [i, table] of tables.entries()) {
    sha.update(`${i === 0 ? "{" : ", "}${dumps(table)}: {`);
    for (const [j, text] of sortedRows(store, table, render).entries()) {
      if (j > 0) sha.update(", ");
      sha.update(text);
    }
    sha.update("}");
  }
  return sha.update("}").digest("hex");
}

function render(id: string, row: unknown): Buffer {
  return Buffer.from(`${dumps(id)}: ${dumps(keysSorted(row as Value))}`);
}

function keysSorted(value: Value): Value {
  if (Array.isArray(value)) return value.map(keysSorted);
  if (!(value instanceof Map)) return value;
  const sorted = [...parts(value)].sort(([a], [b]) => byCodePoint(a, b));
  return new Map(sorted.map(([key, part]) => [key, keysSorted(part)]));
}
