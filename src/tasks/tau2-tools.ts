// Tool schemas with upstream's own texts, from the Python files of a tau2-bench checkout: what tau2-bench makes of a
// tool's signature and docstring (docstring_parser's Google style, pydantic's JSON schema). Reads the few forms that these
// files have and refuses any other; nothing is run. Test: test/unit/tau2.test.ts, test/golden/tau2.test.ts

import { UsageError } from "../errors.ts";
import type { Json, ToolSchema } from "../types.ts";
import { readText } from "./record.ts";

type Schema = { readonly [key: string]: Json };

/** What annotations can name besides str and int. */
interface Names {
  readonly literals: ReadonlyMap<string, readonly string[]>;
  readonly records: ReadonlyMap<string, Shape>;
}

/** A record; `unread`: a field of it in a form that is not read. */
interface Shape {
  readonly schema: Schema;
  readonly unread: string | undefined;
}

const MARK = /^ *@is_tool\b/gm;
const TOOL = /^ {4}@is_tool\([^)]*\)\n {4}def (\w+)\(([^)]*)\)(?: -> [^:]+)?:(?: *#.*)?\n {8}"""([\s\S]*?)"""/gm;
const LITERAL = /^(\w+) = Literal\[([^\]]*)\]/gm;
const RECORD = /^class (\w+)\(BaseModel\):\n((?: {4}.*(?:\n|$)|\n)*)/gm;
const ANNOTATED = /^ {4}(\w+) *:/m;
const FIELD = /^ {4}(\w+): (str|int) = Field\(\s*description=("[^"\\]*"|'[^'\\]*')\s*,?\s*\)$/gm;
const SECTION = /^(?:Args|Returns|Raises):[ \t]*$/gm;

/** The tools of `tools.py` in their order; `data_model.py` says what the types are that it names. */
export function readToolSchemas(tools: string, models: string): ToolSchema[] {
  const names = readNames(readText(models));
  const source = readText(tools);
  const found = [...source.matchAll(TOOL)].map(([, name, signature, doc]) => {
    const place = `${tools}: ${name}`;
    if (doc.includes("\\")) throw new UsageError(`${place}: a docstring with a backslash is not read`);
    const { description, parameters } = readDoc(doc);
    const used = new Set<string>();
    const properties = signature.split(/,(?![^[]*\])/).flatMap((part): [string, Schema][] => {
      const [, key, type] = /^\s*(\w+)(?:: (.+?))?\s*$/s.exec(part) ?? [];
      if (part.trim() === "" || key === "self") return [];
      if (type === undefined) throw new UsageError(`${place}: expected "name: type", got ${part.trim()}`);
      const text = parameters.get(key);
      return [[key, { ...(text !== undefined && { description: text }), ...typed(type, names, used, place) }]];
    });
    const defs = Object.fromEntries([...used].sort().map((name) => [name, names.records.get(name)!.schema]));
    const object = objectOf("parameters", properties);
    return { name, description, parameters: used.size > 0 ? { $defs: defs, ...object } : object };
  });
  const marked = [...source.matchAll(MARK)].length;
  if (marked === 0) throw new UsageError(`${tools}: no tools: expected methods under @is_tool`);
  if (found.length < marked)
    throw new UsageError(
      `${tools}: ${marked - found.length} of ${marked} methods under @is_tool have a form that is not read`,
    );
  return found;
}

function readNames(text: string): Names {
  const quoted = (list: string) => list.split(",").map((value) => value.trim().slice(1, -1));
  const literals = [...text.matchAll(LITERAL)].map(([, name, list]) => [name, quoted(list)] as const);
  const records = [...text.matchAll(RECORD)].map(([, name, body]) => {
    const fields = [...body.matchAll(FIELD)].map(([, key, type, text]): [string, Schema] => [
      key,
      { description: text.slice(1, -1), ...PLAIN[type as keyof typeof PLAIN] },
    ]);
    const [, unread] = ANNOTATED.exec(body.replace(FIELD, "")) ?? [];
    return [name, { schema: objectOf(name, fields), unread }] as const;
  });
  return { literals: new Map(literals), records: new Map(records) };
}

const PLAIN = { str: { type: "string" }, int: { type: "integer" } } as const;

function isPlain(type: string): type is keyof typeof PLAIN {
  return Object.hasOwn(PLAIN, type);
}

function typed(type: string, { literals, records }: Names, used: Set<string>, place: string): Schema {
  if (isPlain(type)) return PLAIN[type];
  const values = literals.get(type);
  if (values) return { enum: values, type: "string" };
  const [, item, or] = /^List\[(\w+)( \| dict)?\]$/.exec(type) ?? [];
  if (item === "str" && !or) return { items: PLAIN.str, type: "array" };
  const record = records.get(item);
  if (!or || !record) throw new UsageError(`${place}: type ${type} is not known`);
  if (record.unread) throw new UsageError(`${place}: field ${record.unread} of ${item} has a form that is not read`);
  used.add(item);
  const anyOf: readonly Schema[] = [{ $ref: `#/$defs/${item}` }, { additionalProperties: true, type: "object" }];
  return { items: { anyOf }, type: "array" };
}

/** As pydantic writes it: keys in alphabetical order, `required` where something is. */
function objectOf(title: string, properties: readonly (readonly [string, Schema])[]): Schema {
  const named = properties.map(([key, schema]) => [key, sorted({ ...schema, title: titleOf(key) })] as const);
  const required = properties.map(([key]) => key);
  return { properties: Object.fromEntries(named), ...(required.length > 0 && { required }), title, type: "object" };
}

function sorted(schema: Schema): Schema {
  return Object.fromEntries(Object.entries(schema).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function titleOf(name: string): string {
  return name.replace(/(?:^|_)(.)/g, (all, letter: string) => (all.length > 1 ? " " : "") + letter.toUpperCase());
}

/** The first line, the rest, and what `Args:` says of each. */
function readDoc(doc: string): { readonly description: string; readonly parameters: ReadonlyMap<string, string> } {
  const text = cleaned(doc);
  const titles = [...text.matchAll(SECTION)];
  const [short, ...rest] = text.slice(0, titles[0]?.index).split("\n");
  const long = rest.join("\n").trim();
  const args = titles.findIndex(([title]) => title.startsWith("Args"));
  const parameters = new Map<string, string>();
  if (args >= 0) {
    const body = text.slice(titles[args].index + titles[args][0].length + 1, titles[args + 1]?.index);
    const indent = /^ */.exec(body)![0];
    for (const part of body.split(new RegExp(`^${indent}(?=\\S)`, "m")).slice(1)) {
      const [, name, first, more] = /^(\w+): ?([^\n]*)(?:\n([\s\S]*))?$/.exec(part.replace(/\n+$/, "")) ?? [];
      if (name !== undefined) parameters.set(name, more === undefined ? first : `${first}\n${cleaned(more)}`);
    }
  }
  return { description: long === "" ? short : `${short}\n\n${long}`, parameters };
}

/** `inspect.cleandoc(text)` */
function cleaned(text: string): string {
  const [first, ...rest] = text.split("\n");
  const margin = Math.min(
    ...rest.filter((line) => line.trim() !== "").map((line) => line.length - line.trimStart().length),
  );
  const lines = [first.trimStart(), ...rest.map((line) => line.slice(Number.isFinite(margin) ? margin : 0))];
  return lines.join("\n").replace(/^\n+|\s+$/g, "");
}
