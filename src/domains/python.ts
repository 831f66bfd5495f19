// Python's values and rules, as far as tau-bench's databases and tools show them: the door to python/.

export { calculate, evaluated, isArithmetic } from "./python/calculate.ts";
export { bind, ordered } from "./python/call.ts";
export { hash, hashableText, hashStore } from "./python/hash.ts";
export { dumps, parse, parseObject } from "./python/json.ts";
export { absolute, add, less, type Numeric, round2, subtract } from "./python/number.ts";
export { sortedRows } from "./python/rows.ts";
export { floatText, reprText } from "./python/text.ts";
export {
  asKey,
  at,
  byCodePoint,
  count,
  type Dict,
  equals,
  iterate,
  length,
  lower,
  PythonError,
  sorted,
  text,
  typeName,
  type Value,
} from "./python/value.ts";
