// Imports a domain of a tau-bench checkout: its tasks, policy text, tool schemas, and where its database lies. Reads the
// checkout's Python files as literals; none of it is run, and nothing of it is kept but what the user writes to a set.
// Layout as of sierra-research/tau-bench 59a200c. Test: test/unit/import.test.ts, test/golden/import.test.ts

import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { dumps } from "../domains/python.ts";
import { UsageError } from "../errors.ts";
import type { Scenario, Task, ToolSchema, WrittenCall } from "../types.ts";
import { type Benchmark, firstPerson, LOOKUP } from "./benchmark.ts";
import { assigned, imported, type Literal, type Made, readModule, returned, valueIn } from "./literals.ts";
import { check, plain, readText } from "./record.ts";
import { toolSchema } from "./set.ts";

const CONSTRUCTORS = {
  Task: ["annotator", "user_id", "instruction", "actions", "outputs"],
  Action: ["name", "kwargs"],
};

/** One split of a domain, or all of them. Throws UsageErrors that name file and line. */
export function importTauBench(checkout: string, domain: string, split?: string): Benchmark {
  const dir = domainFolder(checkout, domain);
  const found = splitsIn(dir);
  if (split !== undefined && !found.includes(split))
    throw new UsageError(`--split ${split}: ${dir} has ${found.join(", ")}`);
  return {
    splits: Object.fromEntries(
      (split === undefined ? found : [split]).map((name) => [name, readTasks(dir, domain, name)]),
    ),
    policy: readText(join(dir, "wiki.md")),
    tools: readTools(join(dir, "tools")),
    data: folder(join(dir, "data")),
  };
}

function domainFolder(checkout: string, domain: string): string {
  const envs = join(checkout, "tau_bench", "envs");
  if (!existsSync(envs)) throw new UsageError(`${checkout}: no checkout of tau-bench: ${envs} does not exist`);
  const domains = readdirSync(envs).filter((name) => existsSync(join(envs, name, "wiki.md")));
  if (!domains.includes(domain))
    throw new UsageError(`--domain ${domain}: ${envs} has ${domains.join(", ") || "none"}`);
  return join(envs, domain);
}

function splitsIn(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => /^tasks_(\w+)\.py$/.exec(name)?.[1] ?? []);
}

function folder(path: string): string {
  if (!existsSync(path) || !statSync(path).isDirectory()) throw new UsageError(`${path}: no such folder`);
  return path;
}

function readTasks(dir: string, domain: string, split: string): Task[] {
  const file = join(dir, `tasks_${split}.py`);
  const module = readModule(readText(file), file);
  const name = module.statements.some(({ tokens }) => tokens[0].text === "TASKS")
    ? "TASKS"
    : `TASKS_${split.toUpperCase()}`;
  const list = assigned(module, name, { constructors: CONSTRUCTORS });
  if (!Array.isArray(list)) throw new UsageError(`${file}: ${name}: expected a list of Task(...)`);
  return list.map((literal, n) => {
    const what = `${name}[${n}]`;
    if (!isMade(literal, "Task")) throw new UsageError(`${file}: ${what}: expected Task(...)`);
    const read = reader(literal, file, what);
    const instruction = read("instruction", isText, "text");
    const customer = read("user_id", isText, "text");
    const calls = read("actions", Array.isArray, "a list").map((action, i) =>
      readAction(action, literal, file, `${what}.actions[${i}]`),
    );
    return {
      id: `${domain}/tau-bench-${split}/${n}`,
      domain,
      family: `tau-bench-${split}`,
      database: 0,
      customer,
      instruction,
      scenario: scenarioOf(instruction, customer),
      actions: calls.filter((call) => !LOOKUP.test(call.name)),
      lookups: calls.filter((call) => LOOKUP.test(call.name)),
      outputs: read("outputs", isTexts, "a list of texts"),
    };
  });
}

function readAction(literal: Literal, task: Made, file: string, what: string): WrittenCall {
  if (!isMade(literal, "Action")) throw new UsageError(`${file}:${task.line}: ${what}: expected Action(...)`);
  const read = reader(literal, file, what);
  return { name: read("name", isText, "text"), arguments: dumps(valueIn(read("kwargs", isMap, "a dict"), file)) };
}

/** Fields of a constructor's call, each of a type that is asked for. */
function reader({ made, fields, line }: Made, file: string, what: string) {
  return <T extends Literal>(key: string, is: (value: Literal) => value is T, type: string): T => {
    const value = fields.get(key);
    if (value === undefined) throw new UsageError(`${file}:${line}: ${what}: ${made}(...) lacks ${key}`);
    if (!is(value)) throw new UsageError(`${file}:${line}: ${what}.${key}: expected ${type}`);
    return value;
  };
}

function isMade(value: Literal, made: string): value is Made {
  return value !== null && typeof value === "object" && "made" in value && value.made === made;
}

const isText = (value: Literal): value is string => typeof value === "string" && value !== "";
const isTexts = (value: Literal): value is string[] => Array.isArray(value) && value.every(isText);
const isMap = (value: Literal): value is Map<string, Literal> => value instanceof Map;

/** For a scripted customer, who says all of it at once: the instruction in the first person. */
function scenarioOf(instruction: string, userId: string): Scenario {
  return {
    opening: firstPerson(instruction),
    facts: {},
    fallback: `I have told you all that I know. My user id is ${userId}.`,
  };
}

/** The schemas of the classes in ALL_TOOLS, in their order, from what each one's get_info returns. */
function readTools(dir: string): ToolSchema[] {
  const file = join(dir, "__init__.py");
  const module = readModule(readText(file), file);
  const list = assigned(module, "ALL_TOOLS", { names: true });
  const places = imported(module);
  if (!Array.isArray(list)) throw new UsageError(`${file}: ALL_TOOLS: expected a list of classes`);
  return list.map((literal, i) => {
    const name = literal !== null && typeof literal === "object" && "name" in literal ? literal.name : undefined;
    const place = name === undefined ? undefined : places.get(name as string);
    if (place === undefined)
      throw new UsageError(`${file}: ALL_TOOLS[${i}]: expected a class imported from a file beside it`);
    return readTool(join(dir, `${place}.py`));
  });
}

function readTool(file: string): ToolSchema {
  const info = valueIn(returned(readModule(readText(file), file), "get_info"), file);
  const schema = info instanceof Map ? info.get("function") : undefined;
  return check(toolSchema, schema === undefined ? schema : plain(schema), `${file}: get_info: function`);
}
