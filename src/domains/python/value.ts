// Python values in JavaScript and what CPython 3.11 does with them, errors included: int is bigint, float is number,
// str is string, list is an array, dict is a Map, None/True/False are null/true/false.
// Not an interpreter: only what tau-bench's tools use. Test: test/unit/python.test.ts

import { ToolError } from "../../errors.ts";
import { reprText } from "./text.ts";

export type Value = null | boolean | bigint | number | string | Value[] | Dict;
export type Dict = Map<string, Value>;

/** What CPython would raise; the message is that of the exception (a KeyError's is the repr of its key). */
export class PythonError extends ToolError {}

/** `type(value).__name__` */
export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  if (Array.isArray(value)) return "list";
  if (value instanceof Map) return "dict";
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return "float";
    default:
      return "str";
  }
}

/** `str(value)` */
export function text(value: Value): string {
  return typeof value === "string" ? value : reprText(value);
}

/** `container[key]` for a key that is no index. */
export function at(container: Value, key: Value): Value {
  if (container instanceof Map) {
    const name = typeof key === "string" ? key : asKey(key);
    const value = name === null ? undefined : container.get(name);
    if (value === undefined) throw new PythonError(reprText(key));
    return value;
  }
  if (typeof container === "string") throw new PythonError(`string indices must be integers, not '${typeName(key)}'`);
  if (Array.isArray(container)) throw new PythonError(`list indices must be integers or slices, not ${typeName(key)}`);
  throw new PythonError(`'${typeName(container)}' object is not subscriptable`);
}

/** `key in dict` */
export function has(dict: Dict, key: Value): key is string {
  const name = asKey(key);
  return name !== null && dict.has(name);
}

/** `value.method` for a method of lists that nothing else has: the list itself. */
export function listFor(method: "append" | "extend", value: Value): Value[] {
  if (Array.isArray(value)) return value;
  throw new PythonError(`'${typeName(value)}' object has no attribute '${method}'`);
}

/** `value[-n:]` */
export function tail(value: Value, n: number): Value {
  if (typeof value === "string") return [...value].slice(-n).join("");
  if (Array.isArray(value)) return value.slice(-n);
  throw new PythonError(
    value instanceof Map ? "unhashable type: 'slice'" : `'${typeName(value)}' object is not subscriptable`,
  );
}

/** The key as `key in dict` takes it: null where no string key can equal it. */
export function asKey(value: Value): string | null {
  if (Array.isArray(value) || value instanceof Map) throw new PythonError(`unhashable type: '${typeName(value)}'`);
  return typeof value === "string" ? value : null;
}

/** `iter(value)`: items of a list, keys of a dict, characters of a str. */
export function iterate(value: Value): Value[] {
  if (Array.isArray(value)) return value;
  if (value instanceof Map) return [...value.keys()];
  if (typeof value === "string") return [...value];
  throw new PythonError(`'${typeName(value)}' object is not iterable`);
}

/** `len(value)` */
export function length(value: Value): number {
  if (Array.isArray(value)) return value.length;
  if (value instanceof Map) return value.size;
  if (typeof value === "string") return [...value].length;
  throw new PythonError(`object of type '${typeName(value)}' has no len()`);
}

/** `value.count(item)`; in a str, `item` is one of its characters. */
export function count(value: Value, item: Value): number {
  if (!Array.isArray(value) && typeof value !== "string")
    throw new PythonError(`'${typeName(value)}' object has no attribute 'count'`);
  let found = 0;
  for (const x of value) if (Object.is(x, item) || equals(x, item)) found++;
  return found;
}

/** The first of some items that there are more of than are held, as text. */
export function surplus(items: Value, held: readonly Value[]): string | null {
  for (const item of iterate(items)) if (count(items, item) > count(held as Value, item)) return text(item);
  return null;
}

/** `zip(a, b)` of as many items each. */
export function zip(a: Value, b: Value): [Value, Value][] {
  const others = iterate(b);
  return iterate(a).map((item, i) => [item, others[i]]);
}

/** `value.lower()` */
export function lower(value: Value): string {
  if (typeof value === "string") return value.toLowerCase();
  throw new PythonError(`'${typeName(value)}' object has no attribute 'lower'`);
}

/** `a.lower() == b.lower()`; most pairs differ in their first letter already. */
export function equalsLower(a: Value, b: Value): boolean {
  if (typeof a === "string" && typeof b === "string") {
    const [x, y] = [a.charCodeAt(0), b.charCodeAt(0)];
    if (x < 128 && y < 128 && (x | 32) !== (y | 32)) return false;
  }
  return lower(a) === lower(b);
}

/** `sorted(value)` where every item is a str. */
export function sorted(value: Value): string[] {
  return (iterate(value) as string[]).toSorted(byCodePoint);
}

/** `a == b`: True is 1 is 1.0; dicts do not mind the order of their keys. */
export function equals(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((x, i) => equals(x, b[i]));
  if (a instanceof Map)
    return b instanceof Map && a.size === b.size && [...a].every(([k, v]) => b.has(k) && equals(v, b.get(k)!));
  // biome-ignore lint/suspicious/noDoubleEquals: 1n == 1 holds, exactly as in Python
  return isNumeric(a) && isNumeric(b) && a == b;
}

/** Order of Python's strings. JavaScript compares UTF-16 units, which puts U+E000..U+FFFF above all pairs. */
export function byCodePoint(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Moves surrogates above the other UTF-16 units. */
function rank(unit: number): number {
  return unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

function isNumeric(value: Value): value is boolean | bigint | number {
  return typeof value === "boolean" || typeof value === "bigint" || typeof value === "number";
}
