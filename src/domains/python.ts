// Python's values and rules, as far as tau-bench's databases and tools show them: the door to python/.

export { calculate, evaluated, isArithmetic } from "./python/calculate.ts";
export { bind, ordered } from "./python/call.ts";
export {
  checked,
  choice,
  type Desk,
  integer,
  list,
  number,
  object,
  type Runs,
  type Schema,
  SHARED,
  schema,
  shared,
  string,
  unchecked,
} from "./python/desk.ts";
export { hash, hashableText, hashStore } from "./python/hash.ts";
export { dumps, parse, parseObject } from "./python/json.ts";
export { money, stillPaid } from "./python/money.ts";
export { absolute, add, less, type Numeric, negative, round2, subtract, sum, times, toInt } from "./python/number.ts";
export { sortedRows } from "./python/rows.ts";
export { floatText, reprText } from "./python/text.ts";
export {
  asKey,
  at,
  byCodePoint,
  count,
  type Dict,
  equals,
  equalsLower,
  has,
  iterate,
  length,
  listFor,
  lower,
  PythonError,
  sorted,
  surplus,
  tail,
  text,
  typeName,
  type Value,
  zip,
} from "./python/value.ts";
