// Python's values in JavaScript against what CPython 3.11.7 printed for the same input.

import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  add,
  at,
  bind,
  byCodePoint,
  calculate,
  count,
  type Dict,
  dumps,
  equals,
  floatText,
  hash,
  hashableText,
  hashStore,
  iterate,
  length,
  less,
  listFor,
  negative,
  parse,
  parseObject,
  reprText,
  round2,
  subtract,
  sum,
  surplus,
  tail,
  times,
  toInt,
  type Value,
  zip,
} from "../../src/domains/python.ts";
import { Store } from "../../src/domains/store.ts";

/** Expression -> what tau-bench's calculate tool answers under CPython 3.11.7. */
const EXPRESSIONS: readonly (readonly [string, string])[] = [
  ["2 + 2", "4.0"],
  ["1/0", "Error: division by zero"],
  ["1//0", "Error: integer division or modulo by zero"],
  ["-7//2", "-4.0"],
  ["5.5 // -2", "-3.0"],
  ["-0.0//1", "-0.0"],
  ["1.0 // 0.1", "9.0"],
  ["2 ** 0.5", "1.41"],
  ["-2 ** 2", "-4.0"],
  ["2 ** -1", "0.5"],
  ["0 ** 0", "1.0"],
  ["0.0 ** -1", "Error: 0.0 cannot be raised to a negative power"],
  ["10.0 ** 400", "Error: (34, 'Numerical result out of range')"],
  ["(-8) ** 0.5", "Error: float() argument must be a string or a real number, not 'complex'"],
  ["((-8) ** 0.5) // 2", "Error: unsupported operand type(s) for //: 'complex' and 'int'"],
  ["((-8) ** 0.5) / 0", "Error: complex division by zero"],
  ["0 ** ((-8) ** .5)", "Error: 0.0 to a negative or complex power"],
  ["0.125", "0.12"],
  ["0.375", "0.38"],
  ["2.675", "2.67"],
  ["1.005", "1.0"],
  ["-0.005", "-0.01"],
  ["00 / -3", "-0.0"],
  ["1/3", "0.33"],
  ["2/3*3", "2.0"],
  ["9007199254740993 * 1", "9007199254740992.0"],
  ["10**16", "1e+16"],
  ["10**400", "Error: int too large to convert to float"],
  ["10**400/1", "Error: integer division result too large for a float"],
  ["10**400/10**399", "10.0"],
  ["10**309*1.0", "Error: int too large to convert to float"],
  ["10.0**308*10 - 10.0**308*10", "nan"],
  ["1.05 ** 100 * 10 ** 12", "131501257846304.02"],
  [
    "01",
    "Error: leading zeros in decimal integer literals are not permitted; use an 0o prefix for octal integers (<string>, line 1)",
  ],
  ["01.5", "1.5"],
  ["1.5.2", "Error: invalid syntax (<string>, line 1)"],
  ["1..2", "Error: invalid syntax (<string>, line 1)"],
  [".", "Error: invalid syntax (<string>, line 1)"],
  ["..", "Error: invalid syntax (<string>, line 1)"],
  ["...", "Error: float() argument must be a string or a real number, not 'ellipsis'"],
  ["(())", "Error: float() argument must be a string or a real number, not 'tuple'"],
  ["()+()", "Error: float() argument must be a string or a real number, not 'tuple'"],
  ["()+1", 'Error: can only concatenate tuple (not "int") to tuple'],
  ["1+()", "Error: unsupported operand type(s) for +: 'int' and 'tuple'"],
  ["()*3", "Error: float() argument must be a string or a real number, not 'tuple'"],
  ["()*2.0", "Error: can't multiply sequence by non-int of type 'float'"],
  ["()*10**30", "Error: cannot fit 'int' into an index-sized integer"],
  ["-()", "Error: bad operand type for unary -: 'tuple'"],
  ["2(3)", "Error: 'int' object is not callable"],
  ["1.5(2)", "Error: 'float' object is not callable"],
  ["...()", "Error: 'ellipsis' object is not callable"],
  ["()()", "Error: 'tuple' object is not callable"],
  ["1(*2)", "Error: 1 argument after * must be an iterable, not int"],
  ["2.5(**3)", "Error: 2.5 argument after ** must be a mapping, not int"],
  ["1(*())", "Error: 'int' object is not callable"],
  ["1 2", "Error: invalid syntax (<string>, line 1)"],
  ["(1 2)", "Error: invalid syntax. Perhaps you forgot a comma? (<string>, line 1)"],
  ["(1 2", "Error: '(' was never closed (<string>, line 1)"],
  [
    "(1 2 01)",
    "Error: leading zeros in decimal integer literals are not permitted; use an 0o prefix for octal integers (<string>, line 1)",
  ],
  ["1(2 3)", "Error: invalid syntax. Perhaps you forgot a comma? (<string>, line 1)"],
  ["(*1)", "Error: cannot use starred expression here (<string>, line 1)"],
  ["(**1)", "Error: cannot use double starred expression here (<string>, line 1)"],
  ["(*1", "Error: '(' was never closed (<string>, line 1)"],
  ["1)", "Error: unmatched ')' (<string>, line 1)"],
  ["1+)", "Error: unmatched ')' (<string>, line 1)"],
  ["(", "Error: '(' was never closed (<string>, line 1)"],
  ["(1 *", "Error: '(' was never closed (<string>, line 1)"],
  ["(3.5.", "Error: '(' was never closed (<string>, line 1)"],
  ["1*", "Error: invalid syntax (<string>, line 1)"],
  ["*1", "Error: invalid syntax (<string>, line 1)"],
  ["1***2", "Error: invalid syntax (<string>, line 1)"],
  ["1**", "Error: invalid syntax (<string>, line 1)"],
  ["(1 + (2 3)", "Error: invalid syntax. Perhaps you forgot a comma? (<string>, line 1)"],
  ["", "Error: invalid syntax (<string>, line 0)"],
  [" ", "Error: invalid syntax (<string>, line 0)"],
  ["( 1 ", "Error: '(' was never closed (<string>, line 1)"],
];

const attempt = (expression: Value) => {
  try {
    return calculate(expression);
  } catch (error) {
    return `Error: ${(error as Error).message}`;
  }
};

test("calculate answers as CPython's eval does", () => {
  for (const [expression, expected] of EXPRESSIONS) assert.is(attempt(expression), expected, expression);
  assert.is(attempt(`${"((".repeat(100)}1${"))".repeat(100)}`), "1.0");
  assert.is(
    attempt(`${"((".repeat(101)}1${"))".repeat(101)}`),
    "Error: too many nested parentheses (<string>, line 1)",
  );
  assert.match(attempt("9".repeat(4301)), /^Error: Exceeds the limit \(4300 digits\).*value has 4301 digits/);
  assert.is(attempt(`1${"+1".repeat(2000)}`), "2001.0");
  assert.is(attempt(`1${"+1".repeat(5000)}`), "Error: maximum recursion depth exceeded during compilation");
});

test("calculate takes what Python takes for a sequence of characters", () => {
  assert.is(attempt(null), "Error: 'NoneType' object is not iterable");
  assert.is(attempt(["1", "x"]), "Error: invalid characters in expression");
  assert.is(attempt(["12", "+", ""]), "Error: eval() arg 1 must be a string, bytes or code object");
  assert.is(attempt([1n]), "Error: 'in <string>' requires string as left operand, not int");
});

test("calculate ends on hostile expressions", () => {
  for (const expression of [
    "9**9**9**9",
    "9**9**9",
    "(9**9999)**(9**9)",
    `${"9**99999*9**99999*".repeat(300)}1`,
    `${"-".repeat(1_000_000)}1`,
    `${"2**".repeat(300_000)}2`,
    "1(".repeat(300_000),
    "1 ".repeat(300_000),
    "(*".repeat(199),
    "(1 ".repeat(199),
    `${"1+".repeat(500_000)}1`,
  ]) {
    const start = performance.now();
    assert.match(attempt(expression), /^Error: /, expression.slice(0, 20));
    assert.ok(performance.now() - start < 5000, `${expression.slice(0, 20)} took too long`);
  }
});

test("int and float are what the literal says", () => {
  const json = '{"a": [1, 1.0, -0.0, 1e16, 100, 100.0, 12345678901234567890, null, true, NaN, -Infinity]}';
  const list = (parse(json) as Map<string, Value[]>).get("a")!;
  assert.equal(
    list.slice(0, 7).map((x) => typeof x),
    ["bigint", "number", "number", "number", "bigint", "number", "bigint"],
  );
  assert.is(
    dumps(parse(json)),
    '{"a": [1, 1.0, -0.0, 1e+16, 100, 100.0, 12345678901234567890, null, true, NaN, -Infinity]}',
  );
});

test("dicts keep their order, the last of two equal keys wins, ids are not reordered", () => {
  assert.is(dumps(parse('{"9": 1, "1": 2, "9": 3, "__proto__": {}}')), '{"9": 3, "1": 2, "__proto__": {}}');
});

test("dumps escapes all but printable ASCII", () => {
  const value = new Map([['é\x7f😀"\\\b\f\n\r\t\u2028', [] as Value]]);
  assert.is(dumps(value), '{"\\u00e9\\u007f\\ud83d\\ude00\\"\\\\\\b\\f\\n\\r\\t\\u2028": []}');
});

test("broken JSON is one error with its place", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["", "Expecting value: line 1 column 1 (char 0)"],
    ["{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"],
    ["[1,]", "Expecting value: line 1 column 4 (char 3)"],
    ['{"a":1,}', "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)"],
    ['{"a" 1}', "Expecting ':' delimiter: line 1 column 6 (char 5)"],
    ["[1 2]", "Expecting ',' delimiter: line 1 column 4 (char 3)"],
    ['"abc', "Unterminated string starting at: line 1 column 1 (char 0)"],
    ['"a\nb"', "Invalid control character at: line 1 column 3 (char 2)"],
    ['"\\x"', "Invalid \\escape: line 1 column 2 (char 1)"],
    ['"\\u12g4"', "Invalid \\uXXXX escape: line 1 column 3 (char 2)"],
    ["01", "Extra data: line 1 column 2 (char 1)"],
    ["1.", "Extra data: line 1 column 2 (char 1)"],
    ["[1,\n 2,\n x]", "Expecting value: line 3 column 2 (char 9)"],
    ['"😀" x', "Extra data: line 1 column 5 (char 4)"],
    ["+1", "Expecting value: line 1 column 1 (char 0)"],
  ];
  for (const [json, message] of cases)
    assert.throws(
      () => parse(json),
      (error: Error) => error.message === message,
      json,
    );
  assert.throws(() => parse("[".repeat(100_000)), /nested/);
  assert.throws(() => parse("1".repeat(4301)), /4300 digits/);
  assert.throws(() => parseObject("[1]"), /Expecting one JSON object/);
});

test("floats are written as Python writes them", () => {
  const cases: readonly (readonly [number, string])[] = [
    [1e16, "1e+16"],
    [1e15 + 0.5, "1000000000000000.5"],
    [123456789012345680, "1.2345678901234568e+17"],
    [1e22, "1e+22"],
    [1e-4, "0.0001"],
    [9.999e-5, "9.999e-05"],
    [1e-7, "1e-07"],
    [5e-324, "5e-324"],
    [1.7976931348623157e308, "1.7976931348623157e+308"],
    [-0, "-0.0"],
    [100, "100.0"],
    [0.1 + 0.2, "0.30000000000000004"],
    [-1e-5, "-1e-05"],
    [Number.NaN, "nan"],
    [Number.NEGATIVE_INFINITY, "-inf"],
  ];
  for (const [x, text] of cases) assert.is(floatText(x), text);
});

test("repr quotes and escapes as Python 3.11 does", () => {
  const cases: readonly (readonly [Value, string])[] = [
    ["a'b", '"a\'b"'],
    ['a"b', "'a\"b'"],
    ["a'b\"c", "'a\\'b\"c'"],
    ["\\\n\r\t", "'\\\\\\n\\r\\t'"],
    ["\x00\x1f\x7f\x80\xa0\xad", "'\\x00\\x1f\\x7f\\x80\\xa0\\xad'"],
    ["é中😀", "'é中😀'"],
    ["\u2028\u200b\ufeff", "'\\u2028\\u200b\\ufeff'"],
    ["\u{1f6dc}", "'\\U0001f6dc'"], // assigned in Unicode 15, after Python 3.11
    ["\ud800", "'\\ud800'"],
    [[null, true, 1n, 1, new Map([["k", [] as Value]])], "[None, True, 1, 1.0, {'k': []}]"],
  ];
  for (const [value, text] of cases) assert.is(reprText(value), text);
});

test("round2 goes to the even hundredth on exact halves alone", () => {
  const cases: readonly (readonly [number, number])[] = [
    [0.125, 0.12],
    [0.375, 0.38],
    [-0.125, -0.12],
    [-0.375, -0.38],
    [2.675, 2.67],
    [1.005, 1],
    [0.005, 0.01],
    [70368744177663.125, 70368744177663.12],
    [1e300, 1e300],
  ];
  for (const [x, rounded] of cases) assert.is(round2(x), rounded, String(x));
  assert.ok(Object.is(round2(-0.001), -0));
  assert.is(round2(7n), 7n);
});

test("the hashed text is nested tuples with sorted keys", () => {
  const value = parse('{"b": [1], "a": {}, "\\ue000": 1.0, "\\ud83d\\ude00": null}');
  const text = "(('a', ()), ('b', (1,)), ('\\ue000', 1.0), ('😀', None))";
  assert.is(hashableText(value), text);
  assert.is(hash(value), createHash("sha256").update(text).digest("hex"));
});

test("a session's hash is that of its whole database", () => {
  const database = parse('{"t": {"b": {"x": 1}, "a": {"x": 2}}, "s": {"only": [1.5]}, "e": {}}') as Map<string, Dict>;
  const store = new Store(database);
  const same = () => assert.is(hashStore(store), hash(store.snapshot()));
  same();
  store.edit<Dict>("t", "a").set("x", 2.5);
  same();
  store.put("t", "aa", new Map([["x", 3n]]));
  same();
  store.delete("t", "b");
  store.delete("t", "a");
  same();
  store.delete("s", "only");
  same();
  assert.is(hashStore(new Store(database)), hash(database));
});

test("arguments bind with CPython's messages", () => {
  const path = { module: "shop.tools.pay", method: "Pay.invoke" };
  const fails = (json: string, message: string) =>
    assert.throws(
      () => bind(path, ["a", "b", "c"], parseObject(json)),
      (error: Error) => error.message === message,
    );
  assert.equal(bind(path, ["a", "b", "c"], parseObject('{"c": 3, "a": 1, "b": "x"}')), [1n, "x", 3n]);
  fails("{}", "Pay.invoke() missing 3 required positional arguments: 'a', 'b', and 'c'");
  fails('{"b": 1}', "Pay.invoke() missing 2 required positional arguments: 'a' and 'c'");
  fails('{"b": 1, "c": 2}', "Pay.invoke() missing 1 required positional argument: 'a'");
  fails('{"z": 1, "y": 2}', "Pay.invoke() got an unexpected keyword argument 'z'");
  fails('{"z": 1, "data": 2}', "shop.tools.pay.Pay.invoke() got multiple values for keyword argument 'data'");
});

test("equality, counting and iteration are Python's", () => {
  assert.ok(
    equals(true, 1n) && equals(1n, 1) && equals([1n, [2]], [1, [2n]]) && !equals("1", 1n) && !equals(null, false),
  );
  assert.ok(equals(parse('{"a": 1, "b": 2}'), parse('{"b": 2.0, "a": true}')));
  assert.not.ok(equals(Number.NaN, Number.NaN) || equals([Number.NaN], [Number.NaN]));
  assert.is(count([1n, true, 1, "1"], 1), 3);
  assert.is(count("banana", "a"), 3);
  assert.equal(iterate("é😀"), ["é", "😀"]);
  assert.is(length("é😀"), 2);
  assert.throws(() => count(new Map(), "x"), /'dict' object has no attribute 'count'/);
  assert.is(surplus(["a", 1n, "b", 1], ["a", true, "b"]), "1", "there are two of one");
  assert.is(surplus("aba", ["a", "b", "a"]), null);
  assert.throws(() => surplus(7n, []), /'int' object is not iterable/);
  assert.equal(zip(["a", "b"], "xy"), [
    ["a", "x"],
    ["b", "y"],
  ]);
  assert.throws(() => iterate(1), /'float' object is not iterable/);
  assert.throws(() => length(null), /object of type 'NoneType' has no len\(\)/);
  assert.equal(["b", "\u{1f600}", "a", "\ue000", ""].sort(byCodePoint), ["", "a", "b", "\ue000", "\u{1f600}"]);
});

/** What a tool does with a value, as the message of the error or the value itself. */
function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return (error as Error).message;
  }
}

test("subscripts of anything answer or fail as Python's", () => {
  const rows: readonly [container: Value, key: Value, expected: unknown][] = [
    [new Map([["a", 1n]]), "a", 1n],
    [new Map(), "b", "'b'"],
    [new Map(), null, "None"],
    [new Map(), 1, "1.0"],
    [new Map(), ["x"], "unhashable type: 'list'"],
    ["abc", "a", "string indices must be integers, not 'str'"],
    [[1n], "a", "list indices must be integers or slices, not str"],
    [null, "a", "'NoneType' object is not subscriptable"],
    [true, "a", "'bool' object is not subscriptable"],
  ];
  for (const [container, key, expected] of rows)
    assert.equal(
      outcome(() => at(container, key)),
      expected,
    );
  assert.equal(
    ["abcd", "\u{1f600}\u00e9", "a", ["x", "y", "z"]].map((value) => tail(value, 2)),
    ["cd", "\u{1f600}\u00e9", "a", ["y", "z"]],
  );
  assert.is(
    outcome(() => tail(new Map(), 2)),
    "unhashable type: 'slice'",
  );
  assert.is(
    outcome(() => tail(5n, 2)),
    "'int' object is not subscriptable",
  );
  assert.is(
    outcome(() => listFor("append", new Map())),
    "'dict' object has no attribute 'append'",
  );
});

test("comparison is Python's", () => {
  const rows: readonly [a: Value, b: Value, expected: unknown][] = [
    [true, 2n, true],
    ["\uffff", "\u{1f600}", true],
    [[1n, 2n], [1, 3n], true],
    [[1n], [1n, 0n], true],
    [[1n, 0n], [1n], false],
    [[], [0n], true],
    [[1n, "x"], [1n, 2n], "'<' not supported between instances of 'str' and 'int'"],
    [null, 1n, "'<' not supported between instances of 'NoneType' and 'int'"],
    [10n ** 400n, 1e308, false],
    [Number.NaN, 1n, false],
  ];
  for (const [a, b, expected] of rows)
    assert.is(
      outcome(() => less(a, b)),
      expected,
    );
});

test("arithmetic on anything is Python's", () => {
  assert.equal(
    [true, 2n, 2.5, "ab", ["x"]].map((value) => times(3n, value)),
    [3n, 6n, 7.5, "ababab", ["x", "x", "x"]],
  );
  assert.is(
    outcome(() => times(3n, null)),
    "unsupported operand type(s) for *: 'int' and 'NoneType'",
  );
  assert.is(
    outcome(() => add(1n, "x", "+=")),
    "unsupported operand type(s) for +=: 'int' and 'str'",
  );
  assert.is(
    outcome(() => subtract(1, 10n ** 400n)),
    "int too large to convert to float",
  );
  assert.is(sum([1n, true, 2.5]), 4.5);
  assert.is(sum([]), 0n);
  assert.is(
    outcome(() => sum([1n, "x"])),
    "unsupported operand type(s) for +: 'int' and 'str'",
  );
  assert.is(negative(true), -1n);
  assert.is(
    outcome(() => negative("x")),
    "bad operand type for unary -: 'str'",
  );
});

test("int() reads what Python reads", () => {
  const rows: readonly [string, unknown][] = [
    ["15", 15n],
    ["5 ", 5n],
    ["+5", 5n],
    ["-5", -5n],
    ["1_0", 10n],
    ["\u0663\u0664", 34n],
    ["5\u2003", 5n],
    ["\uff15\uff16", 56n],
    ["_5", "invalid literal for int() with base 10: '_5'"],
    ["5_", "invalid literal for int() with base 10: '5_'"],
    ["", "invalid literal for int() with base 10: ''"],
  ];
  for (const [text, expected] of rows)
    assert.is(
      outcome(() => toInt(text)),
      expected,
    );
  const wrong = "int() argument must be a string, a bytes-like object or a real number, not 'list'";
  assert.is(
    outcome(() => toInt([])),
    wrong,
  );
});

test.run();
