// A domain of one's own: loads `<folder>/index.js`, checks every part of what it exports with one clear line for each
// mistake, fills in what was left out, and guards every function (guard.ts). What may be left out: docs/domains.md.
// Its data are in data.ts, its tasks are completed in tasks.ts. Test: test/unit/folder.test.ts, example.test.ts

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { ToolError, UsageError } from "../../errors.ts";
import { Random } from "../../random.ts";
import type { AgentTurn, Domain, Entry, Json, Task, Tool } from "../../types.ts";
import { agreed, asksFor, hears, isSaid, slotPattern, wordsOf } from "../ears.ts";
import { scriptedExpert, type Words } from "../expert.ts";
import { equal } from "../store.ts";
import { databaseOf, type Fail, readFile } from "./data.ts";
import { catchStray, guard, guardTool, placeOf, unjson } from "./guard.ts";
import { explain, show } from "./shape.ts";
import { bySlot, completeTask, family, listedTasks, readTasks, slot, type Tasks, writtenCalls } from "./tasks.ts";

/** What a folder's function is given, so that it needs no imports. */
export const kit = { Random, ToolError, z, agreed, hears, isSaid, asksFor };

/** Most readings of one task. */
const MAX_READINGS = 10_000;
/** Where tasks are looked at before they are played, for their sameness and their slots: seeds from 1, indices from 0. */
const FIRST_SEEDS = 16;
const FIRST_INDICES = 2;
/** Tasks of a file that are looked at for the same. */
const LISTED = 1000;

const text = z.string("expected text").trim().min(1, "expected text");
const functionOf = (args: string) =>
  z.custom<(...args: any[]) => any>((value) => typeof value === "function", `expected a function (${args})`);
const flag = z.boolean("expected true or false").optional();
const isPattern = (value: unknown) => value instanceof RegExp;
const sayings = bySlot("question").optional();

const toolShape = z.strictObject({
  name: text.regex(/^[A-Za-z_][\w-]{0,63}$/, 'expected letters, digits, "_" and "-", at most 64'),
  description: text,
  parameters: z.custom<any>(
    (value) => isZodObject(value) || (value as { type?: unknown } | null)?.type === "object",
    "expected a JSON schema of type object or a zod object",
  ),
  writes: flag,
  ends: flag,
  call: functionOf("store, args"),
});

const shape = z.strictObject({
  name: text.regex(/^[a-z][a-z0-9-]*$/, 'expected lower-case letters, digits and "-"'),
  policy: text,
  tools: z.array(toolShape, "expected a list of tools").min(1, "expected at least one tool"),
  database: z.union(
    [functionOf("seed"), z.record(z.string(), z.unknown()), z.instanceof(Map), text],
    "expected a function (seed), tables, or the name of a JSON file",
  ),
  families: z.array(family, "expected a list of names").min(1, "expected at least one family").optional(),
  task: functionOf("family, seed, index").optional(),
  tasks: text.optional(),
  heldOut: text.optional(),
  asks: z
    .union(
      [functionOf("message"), z.array(slot), z.record(slot, z.custom<RegExp>(isPattern))],
      "expected a function (message), a list of slots, or an object: slot -> regular expression",
    )
    .optional(),
  hears: functionOf("message").optional(),
  violates: functionOf("call, store, transcript").optional(),
  rules: functionOf("call, store, customer").optional(),
  readings: functionOf("task").optional(),
  answered: functionOf("task, transcript").optional(),
  expert: z
    .union(
      [
        functionOf("task, habits, seed"),
        z.strictObject({
          identify: sayings,
          details: sayings,
          describe: functionOf("call, database").optional(),
          mistaken: functionOf("call, database, random").optional(),
        }),
      ],
      "expected a function (task, habits, seed), or an object of identify, details, describe, mistaken",
    )
    .optional(),
  drills: z.record(z.string(), functionOf("seed"), "expected an object: name -> function (seed)").optional(),
  toolsInPrompt: flag,
  checkOutputs: flag,
});
type Shape = z.infer<typeof shape>;

/** Loads and checks the domain of a folder; anything wrong with it is a UsageError of one line. */
export async function loadFolder(path: string): Promise<Domain> {
  const dir = resolve(path);
  const label = shortPath(dir);
  const fail = (message: string): never => {
    throw new UsageError(`--domain ${label}: ${message}`);
  };
  const exported = await importIndex(dir, fail);
  const found = shape.safeParse(exported);
  if (!found.success) return fail(explain(found.error, shape));
  return assemble(found.data, dir, label, fail);
}

/** The default export of index.js, called with the kit where it is a function. */
async function importIndex(dir: string, fail: Fail): Promise<unknown> {
  if (!existsSync(dir) || !statSync(dir).isDirectory()) return fail("no such folder");
  const file = ["index.js", "index.mjs"].find((name) => existsSync(join(dir, name)));
  if (!file) return fail("expected index.js or index.mjs in it");
  try {
    const { default: exported } = (await import(pathToFileURL(join(dir, file)).href)) as { default?: unknown };
    if (exported === undefined)
      return fail(`${file}: expected a default export, the domain or a function that makes it`);
    return typeof exported === "function" ? await exported(kit) : exported;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    const typeless = file === "index.js" && /Unexpected token 'export'|Cannot use import statement/.test(message);
    const hint = typeless ? '; beside it a package.json with {"type": "module"} is missing' : "";
    const place = error instanceof SyntaxError && !hint ? syntaxPlace(dir) : placeOf(error, pathToFileURL(dir).href);
    return fail(`${file}: ${message.split("\n")[0]}${place}${hint}`);
  }
}

/** Where a file of the folder is no JavaScript: an import does not say it, node --check does. */
function syntaxPlace(dir: string): string {
  for (const file of readdirSync(dir).filter((name) => /\.m?js$/.test(name))) {
    const { stderr } = spawnSync(process.execPath, ["--check", join(dir, file)], { encoding: "utf8" });
    const line = stderr.startsWith(join(dir, file)) && /:(\d+)$/m.exec(stderr.split("\n")[0])?.[1];
    if (line) return ` (${file}:${line})`;
  }
  return "";
}

function assemble(given: Shape, dir: string, label: string, fail: Fail): Domain {
  const href = pathToFileURL(dir).href;
  catchStray(label, href);
  const guarded = <Args extends readonly unknown[], T>(name: string, work: (...args: Args) => T) =>
    guard(label, name, href, work);
  const { name, toolsInPrompt = true, checkOutputs = false } = given;
  const tools = given.tools.map((tool, i) => guardTool(toolOf(tool, (problem) => fail(`tools[${i}].${problem}`))));
  const twice = tools.find((tool, i) => tools.findIndex((other) => other.name === tool.name) < i);
  if (twice) fail(`tools: two of them are called ${twice.name}`);
  const database = databaseOf(given.database, dir, (make) => guarded("database", make), fail);
  const tasks = tasksOf(given, dir, guarded, fail);
  const asks = asksOf(given, tasks, guarded);
  const { rules, violates, readings, answered, drills } = given;
  const texts = (found: unknown, what: string): string[] => {
    if (Array.isArray(found) && found.every((each) => typeof each === "string")) return found;
    throw new Error(`returned ${show(found)}, expected ${what}`);
  };
  const base: Domain = {
    name,
    profile: "own",
    checkOutputs,
    policy: policyOf(given.policy, dir, fail),
    toolsInPrompt,
    tools,
    ...tasks,
    database,
    asks,
    hears: given.hears ? guarded("hears", (message: string) => speech(given.hears!(message))) : hears,
    violates: guarded("violates", (call, store, transcript) => {
      if (!violates) return rules ? (texts(rules(call, store), "a list of rules")[0] ?? null) : null;
      const broken: unknown = violates(call, store, transcript) ?? null;
      if (broken === null || typeof broken === "string") return broken;
      throw new Error(`returned ${show(broken)}, expected the rule that is broken, or null`);
    }),
    ...(rules && {
      rules: guarded("rules", (call, store, customer) => texts(rules(call, store, customer), "a list of rules")),
    }),
    ...(readings && {
      readings: guarded("readings", (task: Task) => listed(readings(task)).map((calls) => writtenCalls(calls))),
    }),
    answered: guarded("answered", (task, talk) =>
      answered ? answered(task, talk) === true : saidAll(task, talk, base),
    ),
    ...(drills && {
      drills: Object.fromEntries(Object.entries(drills).map(([key, drill]) => [key, guarded(`drills.${key}`, drill)])),
    }),
  };
  return { ...base, expert: expertOf(given, base, guarded) };
}

type Guarded = <Args extends readonly unknown[], T>(name: string, work: (...args: Args) => T) => (...args: Args) => T;

// ---------------------------------------------------------------------------------------------------
// Parts
// ---------------------------------------------------------------------------------------------------

function policyOf(policy: string, dir: string, fail: Fail): string {
  return /^[^\s/\\]+\.(md|txt)$/.test(policy) ? readFile(dir, policy, "policy", fail).trim() : policy;
}

function isZodObject(value: unknown): value is z.ZodObject {
  return (value as { _zod?: { def?: { type?: unknown } } } | null)?._zod?.def?.type === "object";
}

function isObject(value: unknown): boolean {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** A zod object becomes its JSON schema, and the tool is called with what it parsed. */
function toolOf({ parameters, writes = false, ends = false, call, ...rest }: Shape["tools"][number], fail: Fail): Tool {
  if (!isZodObject(parameters)) {
    const odd = unjson(parameters);
    if (odd) fail(`parameters: it holds ${odd}, expected a JSON schema of type object`);
    const { properties = {}, required = [] } = parameters;
    if (!isObject(properties) || !Object.values(properties).every(isObject))
      fail("parameters.properties: expected an object: name -> schema");
    if (!Array.isArray(required) || !required.every((name) => typeof name === "string"))
      fail("parameters.required: expected a list of names");
    return { ...rest, parameters: { properties: {}, ...parameters }, writes, ends, call };
  }
  const schema: z.ZodObject = parameters;
  const parse = (args: unknown) => {
    const found = schema.safeParse(args);
    if (found.success) return found.data;
    const [{ path, message }] = found.error.issues;
    throw new ToolError(`argument ${path.join(".")}: ${message.replace(/^Invalid input: /, "")}`);
  };
  return {
    ...rest,
    parameters: jsonSchema(schema, fail),
    writes,
    ends,
    call: (store, args) => call(store, parse(args)),
  };
}

function jsonSchema(schema: z.ZodObject, fail: Fail): Json {
  try {
    const { $schema, ...json } = z.toJSONSchema(schema, {
      io: "input",
      // What every z.int() has says nothing to the agent.
      override: ({ jsonSchema: part }) => {
        if (part.minimum === Number.MIN_SAFE_INTEGER) delete part.minimum;
        if (part.maximum === Number.MAX_SAFE_INTEGER) delete part.maximum;
      },
    });
    return JSON.parse(JSON.stringify(json)) as Json;
  } catch (error) {
    return fail(`parameters: zod cannot write it as a JSON schema: ${(error as Error).message}`);
  }
}

function tasksOf(given: Shape, dir: string, guarded: Guarded, fail: Fail): Tasks {
  const { name, families, task, tasks, heldOut } = given;
  if (tasks !== undefined) {
    if (task || families) fail(`tasks: ${tasks}: leave task and families out, the file has them`);
    const read = (file: string, key: string) => readTasks(readFile(dir, file, key, fail), file, fail);
    return listedTasks(name, read(tasks, "tasks"), heldOut === undefined ? null : read(heldOut, "heldOut"));
  }
  if (heldOut !== undefined) fail(`heldOut: ${heldOut}: only beside a file of tasks`);
  if (!task || !families) return fail(`${task ? "families" : "task"}: expected families and task, or a file of tasks`);
  const twice = families.find((family, i) => families.indexOf(family) < i);
  if (twice) fail(`families: two of them are called ${twice}`);
  const make = guarded("task", (family: string, seed: number, index: number) => {
    const made: unknown = task(family, seed, index);
    if (made === null || made === undefined) return null;
    return completeTask(made, { id: `${name}/${seed}/${family}/${index}`, domain: name, family, database: seed });
  });
  for (const family of families)
    for (let seed = 1; seed <= FIRST_SEEDS; seed++)
      if (!equal(make(family, seed, 0), make(family, seed, 0)))
        fail(`task: ${name}/${seed}/${family}/0 is another task the second time; draw it with kit.Random`);
  return { families, task: (family, seed, index) => (families.includes(family) ? make(family, seed, index) : null) };
}

/** By default a slot is asked for by its name; the slots are those that some tasks have facts for. */
function asksOf({ asks, tasks }: Shape, { families, task }: Tasks, guarded: Guarded): Domain["asks"] {
  if (typeof asks === "function")
    return guarded("asks", (message: string) => {
      const slots: unknown = asks(message);
      if (Array.isArray(slots) && slots.every((slot) => typeof slot === "string")) return slots as string[];
      throw new Error(`returned ${show(slots)}, expected a list of slots`);
    });
  if (asks && !Array.isArray(asks)) {
    // A pattern that remembers where it stopped would hear every other message.
    const stateless = ([slot, { source, flags }]: [string, RegExp]) => [
      slot,
      new RegExp(source, flags.replace(/[gy]/g, "")),
    ];
    return asksFor(Object.fromEntries(Object.entries(asks).map(stateless)));
  }
  const slots = new Set(asks);
  const seeds = tasks === undefined ? FIRST_SEEDS : LISTED;
  for (const family of asks ? [] : families)
    for (let seed = 1; seed <= seeds; seed++)
      for (let index = 0; index < FIRST_INDICES; index++)
        for (const slot of Object.keys(task(family, seed, index)?.scenario.facts ?? {})) slots.add(slot);
  return asksFor(Object.fromEntries([...slots].map((slot) => [slot, slotPattern(slot)])));
}

function speech(heard: unknown) {
  if (heard === null || typeof heard !== "object")
    throw new Error(`returned ${show(heard)}, expected { confirms, claimsDone, refuses }`);
  const { confirms = false, claimsDone = false, refuses = false } = heard as Record<string, unknown>;
  return { confirms: confirms === true, claimsDone: claimsDone === true, refuses: refuses === true };
}

function listed(readings: Iterable<unknown>): unknown[] {
  const all: unknown[] = [];
  for (const reading of readings) if (all.push(reading) > MAX_READINGS) throw new Error(`more than ${MAX_READINGS}`);
  return all;
}

/**
 * By default: what is asked for and forbidden was refused, after something was looked up where there is something to look
 * up; every other task has its outputs said.
 */
function saidAll({ forbidden, lookups = [], outputs }: Task, talk: readonly Entry[], domain: Domain): boolean {
  if (!forbidden) return outputs.every((output) => isSaid(output, talk));
  const seen = lookups.length === 0 ? 0 : talk.findIndex((entry) => entry.role === "tool" && !entry.failed);
  return seen >= 0 && talk.slice(seen).some((entry) => entry.role === "agent" && domain.hears(entry.text).refuses);
}

function expertOf({ expert }: Shape, domain: Domain, guarded: Guarded): NonNullable<Domain["expert"]> {
  if (typeof expert === "function") {
    const open = guarded("expert", expert);
    return (task, habits, seed) => {
      const next = open(task, habits, seed) as (transcript: readonly Entry[]) => unknown;
      return guarded("expert", (transcript: readonly Entry[]) => turnOf(next(transcript)));
    };
  }
  const questions = (asked: Readonly<Record<string, string>>) =>
    Object.entries(asked).map(([slot, text]) => ({ slots: [slot], text }));
  const { identify, details, describe, mistaken } = expert ?? {};
  const plain = (task: Task) =>
    Object.fromEntries(
      Object.keys(task.scenario.facts).map((slot) => [slot, `What is the ${wordsOf(slot).join(" ")}?`]),
    );
  return (task, habits, seed) => {
    const words: Words = {
      identify: questions(identify ?? (details ? {} : plain(task))),
      details: questions(details ?? {}),
      ...(describe && { describe: guarded("expert.describe", (call, database) => String(describe(call, database))) }),
      ...(mistaken && {
        mistaken: guarded(
          "expert.mistaken",
          (call, database, random) =>
            writtenCalls([mistaken({ ...call, arguments: JSON.parse(call.arguments) }, database, random)])[0],
        ),
      }),
    };
    return scriptedExpert(domain, words)(task, habits, seed);
  };
}

/** A turn of a folder's own expert: text, calls, or both. */
function turnOf(turn: unknown): AgentTurn {
  const { text = "", calls = [] } = Object(turn) as { text?: unknown; calls?: unknown };
  if (!isObject(turn) || typeof text !== "string") throw new Error(`returned ${show(turn)}, expected { text, calls }`);
  return { text, calls: writtenCalls(calls), invalid: null };
}

/** As a person would type it from where they are. */
function shortPath(dir: string): string {
  const path = relative(process.cwd(), dir);
  if (path === "") return ".";
  return path.startsWith("..") || isAbsolute(path) ? dir : `./${path}`;
}
