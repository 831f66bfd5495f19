// Computes an expression with Python's numeric rules: int and float apart, exact ints of bounded size, floor division,
// correctly rounded quotients, complex only as a type. Reads no text: expression.ts. Test: test/unit/python.test.ts

import type { Expression } from "./expression.ts";
import { type Numeric, ratio } from "./number.ts";
import { floatText } from "./text.ts";
import { PythonError } from "./value.ts";

/** A complex number's parts are never seen: nothing leads from it back to a float. */
type Operand = Numeric | "complex" | "tuple" | "ellipsis";

/** Bits of one int and of all ints of one expression. CPython has no bound and would compute for hours. */
const MAX_BITS = 1 << 20;
const MAX_TOTAL_BITS = 1 << 23;
/** Largest exponent for which a float's power is computed exactly and then rounded. */
const MAX_EXACT_POWER = 1024;

const TOO_LARGE = "int too large to convert to float";

/** `float(expression)`; throws a PythonError with CPython's message. */
export function evaluate(expression: Expression): number {
  let bits = 0;
  const value = compute(expression);
  if (typeof value === "number" || typeof value === "bigint") return toFloat(value);
  throw new PythonError(`float() argument must be a string or a real number, not '${value}'`);

  function compute(tree: Expression): Operand {
    switch (tree.kind) {
      case "int":
      case "float":
        return tree.value;
      case "unary":
        return unary(tree.sign, compute(tree.of));
      case "binary": {
        const left = compute(tree.left);
        return bounded(binary(tree.sign, left, compute(tree.right)));
      }
      case "call":
        return call(compute(tree.callee), tree.star, tree.argument && compute(tree.argument));
      default:
        return tree.kind;
    }
  }

  function bounded(value: Operand): Operand {
    if (typeof value === "bigint") bits += bitsOf(value);
    if (bits > MAX_TOTAL_BITS) throw new PythonError(TOO_LARGE);
    return value;
  }
}

function unary(sign: string, x: Operand): Operand {
  if (x === "complex") return x;
  if (typeof x === "string") throw new PythonError(`bad operand type for unary ${sign}: '${x}'`);
  return sign === "-" ? -x : x;
}

function binary(sign: string, a: Operand, b: Operand): Operand {
  if (typeof a === "string" || typeof b === "string") return unreal(sign, a, b);
  if (typeof a === "bigint" && typeof b === "bigint") return ofInts(sign, a, b);
  return ofFloats(sign, toFloat(a), toFloat(b));
}

function ofInts(sign: string, a: bigint, b: bigint): Operand {
  switch (sign) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      if (bitsOf(a) + bitsOf(b) > MAX_BITS) throw new PythonError(TOO_LARGE);
      return a * b;
    case "/": {
      if (b === 0n) throw new PythonError("division by zero");
      const quotient = ratio(a, b);
      if (!Number.isFinite(quotient)) throw new PythonError("integer division result too large for a float");
      return quotient;
    }
    case "//":
      if (b === 0n) throw new PythonError("integer division or modulo by zero");
      return a / b - (a % b !== 0n && a < 0n !== b < 0n ? 1n : 0n);
    default:
      if (b < 0n) return power(toFloat(a), toFloat(b));
      if (a * a > 1n && b * BigInt(bitsOf(a)) > MAX_BITS) throw new PythonError(TOO_LARGE);
      return a * a > 1n ? a ** b : a === -1n && b % 2n === 0n ? 1n : b === 0n ? 1n : a;
  }
}

function ofFloats(sign: string, a: number, b: number): Operand {
  switch (sign) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      if (b === 0) throw new PythonError("float division by zero");
      return a / b;
    case "//":
      if (b === 0) throw new PythonError("float floor division by zero");
      return floorDivide(a, b);
    default:
      return power(a, b);
  }
}

/** CPython's float_floor_div: through the exact remainder, so that 1.0 // 0.1 is 9.0. */
function floorDivide(a: number, b: number): number {
  const remainder = a % b;
  const quotient = (a - remainder) / b - (remainder !== 0 && remainder < 0 !== b < 0 ? 1 : 0);
  if (quotient === 0) return a / b < 0 || Object.is(a / b, -0) ? -0 : 0;
  const floor = Math.floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

function power(x: number, y: number): Operand {
  if (x === 0 && y < 0) throw new PythonError("0.0 cannot be raised to a negative power");
  if (x === 1 || (x === -1 && Math.abs(y) === Number.POSITIVE_INFINITY)) return 1; // NaN in JavaScript
  if (x < 0 && Number.isFinite(x) && Number.isFinite(y) && !Number.isInteger(y)) return "complex";
  const result =
    Number.isInteger(y) && Math.abs(y) <= MAX_EXACT_POWER && Number.isFinite(x) ? exactPower(x, y) : x ** y;
  if (!Number.isFinite(result) && Number.isFinite(x) && Number.isFinite(y))
    throw new PythonError("(34, 'Numerical result out of range')");
  return result;
}

/** x ** y rounded once; `Math.pow` may be off by one unit in the last place. */
function exactPower(x: number, y: number): number {
  if (x === 0) return x ** y;
  let exponent = 0;
  let mantissa = x;
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2;
    exponent++;
  }
  const top = BigInt(mantissa) ** BigInt(Math.abs(y));
  const bottom = 1n << BigInt(exponent * Math.abs(y));
  return y >= 0 ? ratio(top, bottom) : ratio(bottom, top);
}

/** Operators where one side is a complex, () or ... */
function unreal(sign: string, a: Operand, b: Operand): Operand {
  const [left, right] = [a, b].map(nameOf);
  const unsupported = `unsupported operand type(s) for ${sign === "**" ? "** or pow()" : sign}: '${left}' and '${right}'`;
  if (a === "tuple" || b === "tuple") {
    if (sign === "+" && a === "tuple") {
      if (b === "tuple") return "tuple";
      throw new PythonError(`can only concatenate tuple (not "${right}") to tuple`);
    }
    if (sign !== "*") throw new PythonError(unsupported);
    const times = a === "tuple" ? b : a;
    if (typeof times !== "bigint")
      throw new PythonError(`can't multiply sequence by non-int of type '${nameOf(times)}'`);
    if (BigInt.asIntN(64, times) !== times) throw new PythonError("cannot fit 'int' into an index-sized integer");
    return "tuple";
  }
  if (a === "ellipsis" || b === "ellipsis" || sign === "//") throw new PythonError(unsupported);
  for (const x of [a, b]) if (typeof x === "bigint") toFloat(x);
  if (sign === "/" && isZero(b)) throw new PythonError("complex division by zero");
  if (sign === "**" && isZero(a)) throw new PythonError("0.0 to a negative or complex power");
  return "complex";
}

function call(callee: Operand, star: string, argument: Operand | null): never {
  const wanted = star === "**" ? "a mapping" : star === "*" && argument !== "tuple" ? "an iterable" : null;
  if (wanted)
    throw new PythonError(`${strOf(callee)} argument after ${star} must be ${wanted}, not ${nameOf(argument!)}`);
  throw new PythonError(`'${nameOf(callee)}' object is not callable`);
}

function nameOf(x: Operand): string {
  return typeof x === "bigint" ? "int" : typeof x === "number" ? "float" : x;
}

function strOf(x: Operand): string {
  return x === "tuple" ? "()" : x === "ellipsis" ? "Ellipsis" : typeof x === "number" ? floatText(x) : String(x);
}

function isZero(x: Operand): boolean {
  return x === 0 || x === 0n;
}

function toFloat(x: Numeric): number {
  const float = Number(x);
  if (typeof x === "bigint" && !Number.isFinite(float)) throw new PythonError(TOO_LARGE);
  return float;
}

/** Bits of an int, at most 3 too many. */
function bitsOf(x: bigint): number {
  return 4 * x.toString(16).length;
}
