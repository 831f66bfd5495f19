// Typed records as pydantic (2.12, lax mode) checks them: what is accepted and coerced, and the text of a
// ValidationError, which reaches the agent. Knows the few kinds of field that the two databases have, nothing of them.
// Test: test/unit/tau2.test.ts, test/golden/tau2.test.ts

import { type Dict, PythonError, reprText, typeName, type Value } from "../python.ts";

/** Version in the addresses that pydantic's messages end with. */
const VERSION = "2.12";

/** What is wrong with one value, and where it stands. */
export interface Problem {
  readonly at: readonly (string | number)[];
  readonly kind: string;
  readonly message: string;
  readonly input: Value;
}

/** Returns the value as the field holds it; what is wrong goes to `problems`. */
export type Field = (value: Value, at: Problem["at"], problems: Problem[]) => Value;

export interface Model {
  readonly name: string;
  readonly fields: Readonly<Record<string, Field>>;
  /** Fields that may be missing; they are then None. */
  readonly optional: ReadonlySet<string>;
}

export function model(name: string, fields: Readonly<Record<string, Field>>, ...optional: string[]): Model {
  return { name, fields, optional: new Set(optional) };
}

/** `Model(**values)`: the fields in their order, unknown ones left out; throws the ValidationError. */
export function make({ name, ...rest }: Model, values: Dict): Dict {
  const problems: Problem[] = [];
  const made = one({ name, ...rest })(values, [], problems) as Dict;
  if (problems.length > 0) throw new PythonError(errorText(name, problems));
  return made;
}

export const str: Field = (value, at, problems) =>
  typeof value === "string" ? value : refuse(problems, at, "string_type", "Input should be a valid string", value);

export const bool: Field = (value, at, problems) =>
  typeof value === "boolean" ? value : refuse(problems, at, "bool_type", "Input should be a valid boolean", value);

export const int: Field = (value, at, problems) => {
  const fail = (kind: string, message: string) => refuse(problems, at, kind, message, value);
  if (typeof value === "bigint") return value;
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return fail("finite_number", "Input should be a finite number");
    if (!Number.isInteger(value))
      return fail("int_from_float", "Input should be a valid integer, got a number with a fractional part");
    return Math.abs(value) < 2 ** 63 ? BigInt(value) : fail("int_parsing_size", TOO_LONG);
  }
  if (typeof value !== "string") return fail("int_type", "Input should be a valid integer");
  if (LONE_SURROGATE.test(value)) return fail("string_unicode", NO_UNICODE);
  const match = INT_TEXT.exec(trim(value));
  if (!match) return fail("int_parsing", "Input should be a valid integer, unable to parse string as an integer");
  const text = match[1].replaceAll("_", "");
  return text.length <= MAX_DIGITS ? BigInt(text) : fail("int_parsing_size", TOO_LONG);
};

export const float: Field = (value, at, problems) => {
  const fail = (kind: string, message: string) => refuse(problems, at, kind, message, value);
  if (typeof value === "number") return value;
  if (typeof value === "boolean" || typeof value === "bigint") {
    const float = Number(value);
    return Number.isFinite(float) ? float : fail("float_type", "Input should be a valid number");
  }
  if (typeof value !== "string") return fail("float_type", "Input should be a valid number");
  if (LONE_SURROGATE.test(value)) return fail("string_unicode", NO_UNICODE);
  // With underscores in it the text is read as it is, without them and with its spaces.
  const bare = !value.includes("_") ? trim(value) : UNDERSCORES.test(value) ? value : value.replaceAll("_", "");
  if (FLOAT_TEXT.test(bare)) return Number(bare);
  const word = /^([+-]?)(?:(inf|infinity)|nan)$/i.exec(bare);
  if (word) return word[2] ? (word[1] === "-" ? -Infinity : Infinity) : Number.NaN;
  return fail("float_parsing", "Input should be a valid number, unable to parse string as a number");
};

export function literal(...values: readonly string[]): Field {
  const quoted = values.map((value) => `'${value}'`);
  const listed = quoted.length === 1 ? quoted[0] : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
  return (value, at, problems) =>
    typeof value === "string" && values.includes(value)
      ? value
      : refuse(problems, at, "literal_error", `Input should be ${listed}`, value);
}

export function optional(field: Field): Field {
  return (value, at, problems) => (value === null ? null : field(value, at, problems));
}

export function listOf(field: Field): Field {
  return (value, at, problems) =>
    Array.isArray(value)
      ? value.map((item, i) => field(item, [...at, i], problems))
      : refuse(problems, at, "list_type", "Input should be a valid list", value);
}

export function dictOf(field: Field): Field {
  return (value, at, problems) =>
    value instanceof Map
      ? new Map([...value].map(([key, item]) => [key, field(item, [...at, key], problems)]))
      : refuse(problems, at, "dict_type", "Input should be a valid dictionary", value);
}

/** A record of one kind. */
export function one({ name, fields, optional }: Model): Field {
  return (value, at, problems) => {
    if (!(value instanceof Map))
      return refuse(problems, at, "model_type", `Input should be a valid dictionary or instance of ${name}`, value);
    const made: Dict = new Map();
    for (const [key, field] of Object.entries(fields)) {
      const given = value.get(key);
      if (given !== undefined) made.set(key, field(given, [...at, key], problems));
      else if (optional.has(key)) made.set(key, null);
      else refuse(problems, [...at, key], "missing", "Field required", value);
    }
    return made;
  };
}

/** A record of the kind that its field `tag` names. Only for data: no tool takes one as an argument. */
export function tagged(tag: string, kinds: Readonly<Record<string, Model>>): Field {
  return (value, at, problems) => {
    const kind = value instanceof Map ? value.get(tag) : undefined;
    if (typeof kind === "string" && Object.hasOwn(kinds, kind)) return one(kinds[kind])(value, at, problems);
    return literal(...Object.keys(kinds))(kind ?? null, [...at, tag], problems);
  };
}

/** Digits of an int in text. */
const MAX_DIGITS = 4300;
const TOO_LONG = "Unable to parse input string as an integer, exceeded maximum size";
const NO_UNICODE = "Input should be a valid string, unable to parse raw data as a unicode string";
const LONE_SURROGATE = /\p{Cs}/u;
/** Zeros in front are cut off, signs behind them are not looked at: "00-7" is -7. */
const INT_TEXT = /^(?:\+(?!-))?(?:0[0_]*(?=[1-9-]|0(?:\.|$)))?(-?(?:(?<=[0_]-)_)?\d+(?:_\d+)*)(?:\.0+)?$/;
const FLOAT_TEXT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const UNDERSCORES = /^_|__|_$/;
/** Unicode's White_Space, which is not what JavaScript trims. */
const SPACE = "[\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const ENDS = new RegExp(`^${SPACE}|${SPACE}$`, "g");

function trim(text: string): string {
  return text.replace(ENDS, "");
}

function refuse(problems: Problem[], at: Problem["at"], kind: string, message: string, input: Value): null {
  problems.push({ at, kind, message, input });
  return null;
}

/** `str(ValidationError)` */
function errorText(title: string, problems: readonly Problem[]): string {
  const parts = problems.map(({ at, kind, message, input }) => {
    const detail = `[type=${kind}, input_value=${clipped(reprText(input))}, input_type=${typeName(input)}]`;
    const link = `    For further information visit https://errors.pydantic.dev/${VERSION}/v/${kind}`;
    return `${at.join(".")}\n  ${message} ${detail}\n${link}`;
  });
  return `${problems.length} validation error${problems.length > 1 ? "s" : ""} for ${title}\n${parts.join("\n")}`;
}

/** At most 50 bytes of UTF-8, else the first 25 and the last 24, whole characters only. */
function clipped(repr: string): string {
  const bytes = Buffer.from(repr);
  if (bytes.length <= 50) return repr;
  const inside = (i: number) => (bytes[i] & 0xc0) === 0x80;
  let head = 25;
  while (inside(head)) head--;
  let tail = bytes.length - 24;
  while (tail < bytes.length && inside(tail)) tail++;
  return `${bytes.toString("utf8", 0, head)}...${bytes.toString("utf8", tail)}`;
}
