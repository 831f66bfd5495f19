// Arithmetic on Python's int (bigint) and float (number) as the tools need it. Whole expressions: arithmetic.ts.
// Test: test/unit/python.test.ts, golden vectors in test/golden/tau-bench.test.ts

import { PythonError, typeName, type Value } from "./value.ts";

export type Numeric = bigint | number;

export function add(a: Value, b: Value): Numeric {
  if (typeof a === "number" && typeof b === "number") return a + b;
  const [x, y] = operands("+", a, b);
  return typeof x === "bigint" && typeof y === "bigint" ? x + y : Number(x) + Number(y);
}

export function subtract(a: Value, b: Value): Numeric {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = operands("-", a, b);
  return typeof x === "bigint" && typeof y === "bigint" ? x - y : Number(x) - Number(y);
}

/** `abs(x)` */
export function absolute(x: Numeric): Numeric {
  return typeof x === "bigint" ? (x < 0n ? -x : x) : Math.abs(x);
}

/** `a < b` */
export function less(a: Value, b: Value): boolean {
  const [x, y] = operands("<", a, b);
  return x < y;
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

function numeric(value: Value): Numeric | null {
  return typeof value === "bigint" || typeof value === "number" ? value : null;
}
