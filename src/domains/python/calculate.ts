// The benchmark's calculator: `str(round(float(eval(expression)), 2))`. Nothing is ever evaluated as code.
// Test: test/unit/python.test.ts, test/golden/tau-bench.test.ts

import { evaluate } from "./arithmetic.ts";
import { readExpression } from "./expression.ts";
import { round2 } from "./number.ts";
import { floatText } from "./text.ts";
import { iterate, PythonError, typeName, type Value } from "./value.ts";

const ALLOWED = "0123456789+-*/(). ";

/** The result as text; throws with the message that the tool shows after "Error: ". */
export function calculate(expression: Value): string {
  if (!isArithmetic(expression)) throw new PythonError("invalid characters in expression");
  return evaluated(expression);
}

/** `all(char in ALLOWED for char in expression)` */
export function isArithmetic(expression: Value): boolean {
  for (const part of iterate(expression)) {
    if (typeof part !== "string")
      throw new PythonError(`'in <string>' requires string as left operand, not ${typeName(part)}`);
    if (!ALLOWED.includes(part)) return false;
  }
  return true;
}

/** `str(round(float(eval(expression)), 2))` */
export function evaluated(expression: Value): string {
  if (typeof expression !== "string") throw new PythonError("eval() arg 1 must be a string, bytes or code object");
  return floatText(round2(evaluate(readExpression(expression))));
}
