// Arithmetic on Python's int (bigint) and float (number) as the tools need it. Whole expressions: arithmetic.ts.
// Test: test/unit/python.test.ts, golden vectors in test/golden/tau-bench.test.ts

import { reprText } from "./text.ts";
import { byCodePoint, equals, PythonError, typeName, type Value } from "./value.ts";

export type Numeric = bigint | number;

/** `a + b`; `sign` is the operator that an error names. */
export function add(a: Value, b: Value, sign = "+"): Numeric {
  if (typeof a === "number" && typeof b === "number") return a + b;
  const [x, y] = operands(sign, a, b);
  return typeof x === "bigint" && typeof y === "bigint" ? x + y : float(x) + float(y);
}

/** `a - b` */
export function subtract(a: Value, b: Value, sign = "-"): Numeric {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = operands(sign, a, b);
  return typeof x === "bigint" && typeof y === "bigint" ? x - y : float(x) - float(y);
}

/** `n * value` for a small int: a str or a list is repeated. */
export function times(n: bigint, value: Value): Value {
  if (typeof value === "string") return value.repeat(Math.max(0, Number(n)));
  if (Array.isArray(value)) return Array.from({ length: Number(n) }, () => value).flat();
  const [x, y] = operands("*", n, value);
  return typeof x === "bigint" && typeof y === "bigint" ? x * y : float(x) * float(y);
}

/** `-x` */
export function negative(x: Value): Numeric {
  const value = numeric(x);
  if (value === null) throw new PythonError(`bad operand type for unary -: '${typeName(x)}'`);
  return -value;
}

/** `sum(values)` */
export function sum(values: Iterable<Value>): Numeric {
  let total: Numeric = 0n;
  for (const value of values) total = add(total, value);
  return total;
}

/** `abs(x)` */
export function absolute(x: Numeric): Numeric {
  return typeof x === "bigint" ? (x < 0n ? -x : x) : Math.abs(x);
}

/** `a < b`: numbers, strings by code point, lists by their first difference. */
export function less(a: Value, b: Value): boolean {
  if (typeof a === "number" && typeof b === "number") return a < b;
  if (typeof a === "string" && typeof b === "string") return byCodePoint(a, b) < 0;
  if (Array.isArray(a) && Array.isArray(b)) {
    const i = a.findIndex((item, i) => i >= b.length || !equals(item, b[i]));
    return i === -1 ? a.length < b.length : i < b.length && less(a[i], b[i]);
  }
  const [x, y] = operands("<", a, b);
  return x < y;
}

/** `int(value)` for a str of a few characters. */
export function toInt(value: Value): bigint {
  if (typeof value !== "string")
    throw new PythonError(
      `int() argument must be a string, a bytes-like object or a real number, not '${typeName(value)}'`,
    );
  const digits = [...strip(value)].map((char) => digitOf(char) ?? char).join("");
  if (!/^[+-]?[0-9]+(_[0-9]+)*$/.test(digits))
    throw new PythonError(`invalid literal for int() with base 10: ${reprText(value)}`);
  return BigInt(digits.replace(/[+_]/g, ""));
}

/** `round(x, 2)`: the exact binary value, halves to the even digit. An int stays as it is. */
export function round2<T extends Numeric>(x: T): T {
  if (typeof x === "bigint" || x === 0 || !Number.isFinite(x) || Math.abs(x) >= 2 ** 52) return x;
  // Only odd eighths lie exactly between two hundredths; toFixed rounds everything else as Python does.
  const eighths = x * 8;
  if (!Number.isInteger(eighths) || eighths % 2 === 0) return Number(x.toFixed(2)) as T;
  const twice = BigInt(eighths) * 25n; // 200 x, odd
  const below = (twice - (twice < 0n ? -1n : 1n)) / 2n; // the hundredth nearer to zero
  const even = below % 2n === 0n ? below : below + (twice < 0n ? -1n : 1n);
  return Number(`${even}e-2`) as T;
}

/** The float nearest to n / d (d is not 0), infinite when there is none. */
export function ratio(n: bigint, d: bigint): number {
  const [size, by] = [n < 0n ? -n : n, d < 0n ? -d : d];
  if (size < 1n << 53n && by < 1n << 53n) return Number(n) / Number(d);
  // A quotient of at least 64 bits, its last bit set when anything was cut off, rounds as the exact value would.
  const shift = 68 - 4 * (size.toString(16).length - by.toString(16).length);
  const dividend = shift > 0 ? size << BigInt(shift) : size;
  const divisor = shift < 0 ? by << BigInt(-shift) : by;
  const quotient = dividend / divisor;
  const rounded = Number(dividend % divisor === 0n ? quotient : quotient | 1n);
  const half = Math.trunc(shift / 2);
  const value = rounded * 2 ** -half * 2 ** -(shift - half);
  return n < 0n !== d < 0n ? -value : value;
}

function operands(sign: string, a: Value, b: Value): [Numeric, Numeric] {
  const [x, y] = [numeric(a), numeric(b)];
  if (x !== null && y !== null) return [x, y];
  throw new PythonError(
    sign === "<"
      ? `'<' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`
      : `unsupported operand type(s) for ${sign}: '${typeName(a)}' and '${typeName(b)}'`,
  );
}

/** bool is an int. */
function numeric(value: Value): Numeric | null {
  if (typeof value === "boolean") return value ? 1n : 0n;
  return typeof value === "bigint" || typeof value === "number" ? value : null;
}

function float(x: Numeric): number {
  const value = Number(x);
  if (typeof x === "bigint" && !Number.isFinite(value)) throw new PythonError("int too large to convert to float");
  return value;
}

/** `text.strip()` as int() does it: a BOM is no space, U+0085 is one. */
function strip(text: string): string {
  return text.replace(/^[\p{Z}\t-\r\x85]+|[\p{Z}\t-\r\x85]+$/gu, "");
}

/** The value of a decimal digit of any script: Unicode keeps each script's ten in a row. */
function digitOf(char: string): number | null {
  let value = 0;
  for (let code = char.codePointAt(0)!; /^\p{Nd}$/u.test(String.fromCodePoint(code)); code--) value++;
  return value === 0 ? null : (value - 1) % 10;
}
