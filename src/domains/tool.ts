// Calling a tool: what is wrong with a written call before it runs, arguments lightly checked against the tool's JSON schema
// (required, unknown, type; what is inside of arrays and objects is the tool's own business), and the call, which never
// throws. Test: test/unit/session.test.ts

import { BrokenTool, ToolError } from "../errors.ts";
import type { Call, Domain, InvalidReason, Json, Tool, ToolFault, WrittenCall } from "../types.ts";
import type { Store } from "./store.ts";

/** Levels of arrays and objects in a call's arguments; tau-bench's tools need 3. */
const MAX_DEPTH = 16;

interface Schema {
  readonly properties?: Readonly<Record<string, { readonly type?: string }>>;
  readonly required?: readonly string[];
}

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: Number.isInteger,
  boolean: (value) => typeof value === "boolean",
  array: Array.isArray,
  object: isObject,
  null: (value) => value === null,
};

/** What is wrong with the arguments, in one short line for the agent, or null. `parameters`: a schema of type "object". */
function checkArguments(parameters: Json, args: unknown): string | null {
  if (!isObject(args)) return "arguments are not a JSON object";
  const { properties = {}, required = [] } = parameters as Schema;
  for (const name of required) if (!Object.hasOwn(args, name)) return `missing argument ${name}`;
  for (const [name, value] of Object.entries(args)) {
    if (!Object.hasOwn(properties, name)) return `unknown argument ${clip(name)}`;
    const { type } = properties[name];
    if (type && TYPES[type] && !TYPES[type](value)) return `argument ${name} must be of type ${type}`;
  }
  return null;
}

/** Is something nested deeper than this? Arguments of untrusted depth would exhaust the stack of whoever walks them. */
function isDeeper(value: unknown, levels: number): boolean {
  if (value === null || typeof value !== "object") return false;
  if (levels === 0) return true;
  const inner = value instanceof Map ? value.values() : Object.values(value);
  for (const part of inner) if (isDeeper(part, levels - 1)) return true;
  return false;
}

/** A written call as the domain's tools take it; throws where the arguments are not one JSON object. */
export function readCall(domain: Pick<Domain, "parse">, { name, arguments: json }: WrittenCall): Call {
  return { name, arguments: (domain.parse ?? JSON.parse)(json) };
}

/** A call that can run, or why it cannot and what the agent is told. */
export type Opened =
  | { readonly tool: Tool; readonly call: Call; readonly reason: null }
  | { readonly reason: Extract<InvalidReason, "unknown-tool" | "json" | "arguments">; readonly observation: string };

/** A written call with its tool, its arguments read and checked, where the domain does not answer for them itself. */
export function openCall(
  domain: Pick<Domain, "tools" | "unknownTool" | "parse">,
  written: WrittenCall,
  levels = MAX_DEPTH,
): Opened {
  const { name } = written;
  const tool = domain.tools.find((tool) => tool.name === name);
  if (!tool)
    return { reason: "unknown-tool", observation: domain.unknownTool?.(name) ?? `Error: unknown tool ${clip(name)}` };
  let call: Call;
  try {
    call = readCall(domain, written);
  } catch {
    return { reason: "json", observation: "Error: arguments are not a JSON object" };
  }
  if (isDeeper(call.arguments, levels))
    return { reason: "arguments", observation: "Error: arguments are nested too deeply" };
  const wrong = domain.parse ? null : checkArguments(tool.parameters, call.arguments);
  return wrong === null ? { tool, call, reason: null } : { reason: "arguments", observation: `Error: ${wrong}` };
}

/** What came of a call. */
export interface Called {
  readonly observation: string;
  readonly failed: boolean;
  readonly fault?: ToolFault;
  /** No answer came that a talk could go on with. */
  readonly crashed?: true;
}

/** Runs a tool; what it throws is its observation. Tools that write must not have written before they throw. */
export function callTool(tool: Tool, store: Store, args: unknown): Called {
  try {
    const observation: unknown = tool.call(store, args);
    if (typeof observation === "string") return { observation, failed: observation.startsWith("Error: ") };
    return {
      observation: `Error: ${tool.name} returned ${String(observation)}, expected text`,
      failed: true,
      fault: "result",
      crashed: true,
    };
  } catch (error) {
    const observation = `Error: ${error instanceof Error ? error.message : String(error)}`;
    if (error instanceof ToolError) return { observation, failed: true };
    if (error instanceof BrokenTool) return { observation, failed: true, fault: error.fault };
    return { observation, failed: true, fault: "threw" };
  }
}

/** An agent's own words, short enough to be quoted in one line. */
export function clip(text: string): string {
  const line = text.replace(/\s+/g, " ");
  return line.length > 40 ? `${line.slice(0, 40)}...` : line;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
