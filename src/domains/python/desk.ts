// A customer service desk of tau-bench: what an agent is told about its tools (schemas in the order of the arguments,
// all required), the three tools that every desk has, and how a call reaches the function behind it.
// What the tools do is retail/ and airline/. Test: test/golden/tau-bench.test.ts, test/unit/fixed.test.ts

import { ToolError } from "../../errors.ts";
import type { Json, Tool } from "../../types.ts";
import type { Store } from "../store.ts";
import { calculate } from "./calculate.ts";
import { bind } from "./call.ts";
import { mismatch } from "./schema.ts";
import type { Dict, Value } from "./value.ts";

export interface Schema {
  readonly description: string;
  readonly parameters: Json;
  /** Arguments in their order; all are required. */
  readonly names: readonly string[];
}

/** A tool's function; null is what escapes tau-bench's environment as an exception. */
export type Run = (store: Store, ...args: Value[]) => string | null;
export type Runs = Readonly<Record<string, Run>>;

export interface Desk {
  readonly domain: string;
  readonly schemas: Readonly<Record<string, Schema>>;
  readonly reads: Runs;
  readonly writes: Runs;
}

/** The tools as tau-bench's environment calls them: arguments bind by CPython's rules, nobody looks at their types. */
export function unchecked(desk: Desk): Tool<Dict>[] {
  return tools(desk, (name, { names }) => {
    const method = `${pascal(name)}.invoke`;
    const path = { module: `tau_bench.envs.${desk.domain}.tools.${name}`, method };
    return (args) => bind(path, names, args);
  });
}

/** The same tools behind their schemas: what does not match is refused in one line before anything runs. */
export function checked(desk: Desk): Tool<Dict>[] {
  return tools(desk, (_, { names, parameters }) => (args) => {
    const wrong = mismatch(parameters, args);
    if (wrong) throw new ToolError(wrong);
    return names.map((name) => args.get(name)!);
  });
}

type Binder = (name: string, schema: Schema) => (args: Dict) => Value[];

function tools({ schemas, reads, writes }: Desk, binder: Binder): Tool<Dict>[] {
  return Object.entries(schemas).map(([name, schema]) => {
    const run = writes[name] ?? reads[name];
    const take = binder(name, schema);
    return {
      name,
      description: schema.description,
      parameters: schema.parameters,
      writes: name in writes,
      ends: name === "transfer_to_human_agents",
      call: (store, args) => run(store, ...take(args)) as string,
    };
  });
}

/** What the tools do that every desk has. */
export const shared = {
  calculate: (_store: Store, expression: Value) => calculate(expression),
  think: (_store: Store, _thought: Value) => "",
  transfer_to_human_agents: (_store: Store, _summary: Value) => "Transfer successful",
};

export const SHARED = {
  calculate: schema("Works out an arithmetic expression and rounds the result to two decimals.", {
    expression: string("Numbers, + - * /, parentheses and spaces; nothing else."),
  }),
  think: schema("Notes a thought. Changes nothing and finds out nothing.", { thought: string("The thought.") }),
  transfer_to_human_agents: schema(
    "Hands the conversation to a human colleague and ends it. Only for requests that none of the tools can serve.",
    { summary: string("What the customer wants and what has been done so far.") },
  ),
};

export function schema(description: string, properties: { readonly [name: string]: Json }): Schema {
  return { description, names: Object.keys(properties), parameters: object(properties) };
}

export function string(description: string): Json {
  return { type: "string", description };
}

export function integer(description: string): Json {
  return { type: "integer", description };
}

export function number(description: string): Json {
  return { type: "number", description };
}

export function choice(description: string, values: readonly string[]): Json {
  return { type: "string", enum: values, description };
}

export function list(items: Json, description: string): Json {
  return { type: "array", items, description };
}

/** An object with exactly these properties. */
export function object(properties: { readonly [name: string]: Json }): Json {
  return { type: "object", properties, required: Object.keys(properties) };
}

function pascal(name: string): string {
  return name.replace(/(?:^|_)(.)/g, (_, letter: string) => letter.toUpperCase());
}
