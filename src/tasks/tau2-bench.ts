// Imports retail or airline of a tau2-bench checkout: tasks, policy text, tool schemas, and where the database lies.
// Instructions are laid out anew from the fields of a user scenario. Layout as of sierra-research/tau2-bench a2c0247. No
// telecom, no tasks that begin in the middle of a conversation. Test: test/unit/tau2.test.ts, test/golden/tau2.test.ts

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Dict, dumps, parse, type Value } from "../domains/python.ts";
import { UsageError } from "../errors.ts";
import type { Criteria, Part, Task, WrittenCall } from "../types.ts";
import { type Benchmark, firstPerson, LOOKUP } from "./benchmark.ts";
import { attempt, readText } from "./record.ts";
import { readToolSchemas } from "./tau2-tools.ts";

const DOMAINS = ["retail", "airline"];
const PARTS: readonly string[] = ["DB", "COMMUNICATE", "ACTION", "NL_ASSERTION"] satisfies Part[];

/** One split of a domain, or all of them. Throws UsageErrors that name file, place in it and reason. */
export function importTau2(checkout: string, domain: string, split?: string): Benchmark {
  if (!DOMAINS.includes(domain)) throw new UsageError(`--domain ${domain}: expected ${DOMAINS.join(" or ")}`);
  const data = join(checkout, "data", "tau2", "domains", domain);
  if (!existsSync(data)) throw new UsageError(`${checkout}: no checkout of tau2-bench: ${data} does not exist`);
  const source = join(checkout, "src", "tau2", "domains", domain);
  const splits = readSplits(join(data, "split_tasks.json"));
  if (split !== undefined && !splits.has(split))
    throw new UsageError(`--split ${split}: ${join(data, "split_tasks.json")} has ${[...splits.keys()].join(", ")}`);
  const file = join(data, "tasks.json");
  const rows = listIn({ file, path: "", value: readJson(file) });
  const ids = rows.map((row) => textIn(field(row, "id")));
  const twice = rows.find((_, i) => ids.indexOf(ids[i]) < i);
  if (twice) wrong(field(twice, "id"), "is taken already");
  const chosen = [...splits].filter(([name]) => split === undefined || name === split);
  return {
    splits: Object.fromEntries(
      chosen.map(([name, members]) => {
        const absent = members.find((member) => !ids.includes(textIn(member)));
        if (absent) wrong(absent, `no task of that id in ${file}`);
        const wanted = new Set(members.map(textIn));
        return [name, rows.filter((_, i) => wanted.has(ids[i])).map((row) => readTask(row, domain, name))];
      }),
    ),
    policy: readText(join(data, "policy.md")),
    ...(existsSync(source) && { tools: readToolSchemas(join(source, "tools.py"), join(source, "data_model.py")) }),
    data,
  };
}

/** A value, and where it was found. */
interface Place {
  readonly file: string;
  readonly path: string;
  readonly value: Value;
}

function readSplits(file: string): Map<string, Place[]> {
  const whole = { file, path: "", value: readJson(file) };
  return new Map([...dictIn(whole).keys()].map((name) => [name, listIn(field(whole, name))]));
}

function readTask(row: Place, domain: string, split: string): Task {
  const id = textIn(field(row, "id"));
  const start = field(row, "initial_state");
  if (start.value !== null)
    wrong(start, "expected null: tasks that begin in the middle of a conversation are not read");
  const [instruction, reason, known] = readScenario(field(row, "user_scenario"));
  const criteria = field(row, "evaluation_criteria");
  const none: Place = { ...criteria, value: new Map() };
  const given = criteria.value === null ? none : criteria;
  const assertions = field(given, "env_assertions");
  if (assertions.value !== null && listIn(assertions).length > 0)
    wrong(assertions, "expected none: retail and airline have no functions to assert with");
  const actions = field(given, "actions");
  const calls = optionalList(actions).map(readAction);
  const free = actions.value === null && assertions.value === null;
  const basis = criteria.value === null ? [] : readBasis(field(given, "reward_basis"), free);
  const isLookup = ({ name }: WrittenCall) => LOOKUP.test(name);
  return {
    id: `${domain}/tau2/${split}/${id}`,
    domain,
    family: `tau2-${split}`,
    database: 0,
    instruction,
    scenario: {
      opening: firstPerson(reason),
      facts: known === null ? {} : { user_id: firstPerson(known) },
      fallback: firstPerson(known ?? reason),
    },
    actions: calls.filter((call) => !isLookup(call)).map(written),
    lookups: calls.filter(isLookup).map(written),
    outputs: optionalList(field(given, "communicate_info")).map(textIn),
    criteria: {
      basis,
      ...(basis.includes("ACTION") && { calls }),
      ...(basis.includes("NL_ASSERTION") && { assertions: optionalList(field(given, "nl_assertions")).map(textIn) }),
    },
  };
}

function written({ name, arguments: args }: WrittenCall): WrittenCall {
  return { name, arguments: args };
}

/** The whole instruction; why the customer calls; what they know. */
function readScenario(scenario: Place): readonly [instruction: string, reason: string, known: string | null] {
  const persona = optionalText(field(scenario, "persona"));
  const instructions = field(scenario, "instructions");
  const person: Lines = [["Who you are", persona]];
  if (typeof instructions.value === "string")
    return [laidOut([...person, ["What this is about", instructions.value]]), instructions.value, null];
  const reason = textIn(field(instructions, "reason_for_call"));
  const known = optionalText(field(instructions, "known_info"));
  const lines: Lines = [
    ...person,
    ["Why you call", reason],
    ["What you know", known],
    ["What you do not know", optionalText(field(instructions, "unknown_info"))],
    ["How you go about it", textIn(field(instructions, "task_instructions"))],
  ];
  return [laidOut(lines), reason, known];
}

type Lines = readonly (readonly [heading: string, text: string | null])[];

function laidOut(lines: Lines): string {
  const parts = lines.flatMap(([heading, text]) => (text?.trim() ? [`${heading}:\n${text.trim()}`] : []));
  return parts.join("\n\n");
}

function readAction(action: Place): NonNullable<Criteria["calls"]>[number] {
  const by = field(action, "requestor");
  if (by.value !== null && by.value !== "assistant") wrong(by, "expected assistant: the customer has no tools here");
  const args = field(action, "arguments");
  const compared = field(action, "compare_args");
  dictIn(args);
  return {
    name: textIn(field(action, "name")),
    arguments: dumps(args.value),
    ...(compared.value !== null && { compared: listIn(compared).map(textIn) }),
  };
}

/** `free`: upstream looks at no state where a task says nothing at all about it. */
function readBasis(basis: Place, free: boolean): Part[] {
  const parts = basis.value === null ? (["DB", "COMMUNICATE"] as const) : listIn(basis).map(readPart);
  return [...new Set(parts)].filter((part) => part !== "DB" || !free);
}

function readPart(part: Place): Part {
  return PARTS.includes(textIn(part)) ? (part.value as Part) : wrong(part, `expected one of ${PARTS.join(", ")}`);
}

function readJson(file: string): Value {
  return attempt(file, () => parse(readText(file)));
}

/** A field of an object; null where it is missing. */
function field(place: Place, key: string): Place {
  const value = dictIn(place).get(key) ?? null;
  return { file: place.file, path: place.path === "" ? key : `${place.path}.${key}`, value };
}

function dictIn(place: Place): Dict {
  return place.value instanceof Map ? place.value : wrong(place, "expected an object");
}

function listIn(place: Place): Place[] {
  if (!Array.isArray(place.value)) return wrong(place, "expected a list");
  return place.value.map((value, i) => ({ file: place.file, path: `${place.path}[${i}]`, value }));
}

function optionalList(place: Place): Place[] {
  return place.value === null ? [] : listIn(place);
}

function textIn(place: Place): string {
  return typeof place.value === "string" ? place.value : wrong(place, "expected text");
}

function optionalText(place: Place): string | null {
  return place.value === null ? null : textIn(place);
}

function wrong({ file, path, value }: Place, reason: string): never {
  const text = dumps(value);
  const got = text.length > 60 ? `${text.slice(0, 60)}...` : text;
  throw new UsageError(
    `${file}: ${path === "" ? "" : `${path}: `}${reason}${value === null ? ", got nothing" : `, got ${got}`}`,
  );
}
