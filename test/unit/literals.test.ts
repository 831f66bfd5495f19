// Python literals: what each reads as, to the type; what is refused, with its line; and any value, printed as Python prints
// it, reads as itself.

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { reprText, type Value } from "../../src/domains/python.ts";
import { assigned, imported, type Literal, readModule, returned, valueIn } from "../../src/tasks/literals.ts";

const constructors = { Task: ["name", "actions"], Action: ["kwargs"] };
const read = (source: string): Literal => assigned(readModule(`x = ${source}`, "m.py"), "x", { constructors });

/** The message that an action ends with. */
function failure(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.is((error as Error).name, "UsageError");
    return (error as Error).message;
  }
  return assert.unreachable() as never;
}

// What CPython's ast.literal_eval gives, tuples as lists.
const good: [source: string, value: Literal][] = [
  ["None", null],
  ["True", true],
  ["False", false],
  ["0", 0n],
  ["-7", -7n],
  ["+7", 7n],
  ["00", 0n],
  ["1_000", 1000n],
  ["0xFF", 255n],
  ["0o17", 15n],
  ["0b101", 5n],
  ["123456789012345678901234567890", 123456789012345678901234567890n],
  ["1.0", 1],
  ["1.", 1],
  [".5", 0.5],
  ["-0.0", -0],
  ["1e3", 1000],
  ["1E-2", 0.01],
  ["1_0.2_5e+1_0", 10.25e10],
  ["007.5", 7.5],
  ["1e999", Infinity],
  ['"a"', "a"],
  ["'a\"b'", 'a"b'],
  [String.raw`'it\'s'`, "it's"],
  ["'a' \"b\" '''c'''", "abc"],
  ["('a'\n  # a comment ' \n  'b')", "ab"],
  ["'a' \\\n 'b'", "ab"],
  ["u'a'", "a"],
  ["''", ""],
  ['""""""', ""],
  ['"""a\n"b" \'\n"""', 'a\n"b" \'\n'],
  ['"a#b" # c', "a#b"],
  [String.raw`'\n\t\r\\\a\b\f\v\0\x41\101\u00e9\U0001F600'`, "\n\t\r\\\x07\b\f\v\0AA\u00e9\u{1F600}"],
  [String.raw`'\d\ \q'`, String.raw`\d\ \q`],
  ["'a\\\nb'", "ab"],
  ["'Zoë 東京'", "Zoë 東京"],
  ["[]", []],
  ["[1, 2.0, 'x',]", [1n, 2, "x"]],
  ["[[1], [[]]]", [[1n], [[]]]],
  ["()", []],
  ["(1,)", [1n]],
  ["(1, 2)", [1n, 2n]],
  ["(1)", 1n],
  ["(((1)))", 1n],
  ["{}", new Map()],
  [
    "{'b': 1, 'a': [2], 'b': 3}",
    new Map<string, Literal>([
      ["b", 3n],
      ["a", [2n]],
    ]),
  ],
  ["{'k' 'ey': {'1': None},}", new Map([["key", new Map([["1", null]])]])],
  ["[\r\n1,\r\n2]", [1n, 2n]],
];

for (const [source, value] of good)
  test(`reads ${JSON.stringify(source)}`, () => {
    const actual = read(source);
    assert.equal(actual, value);
    if (typeof value === "number") assert.ok(Object.is(actual, value));
  });

const bad: [source: string, message: string][] = [
  ["f'{1}'", "m.py:1: an f-string is not read"],
  ["F'''a'''", "m.py:1: an f-string is not read"],
  ["r'a'", "m.py:1: a raw string is not read"],
  ["b'a'", "m.py:1: a bytes literal is not read"],
  ["Rb'a'", "m.py:1: a bytes literal is not read"],
  ["fr'a'", "m.py:1: an f-string is not read"],
  [String.raw`'\N{BULLET}'`, String.raw`m.py:1: \N: an escape that is not read`],
  [String.raw`'\x4'`, String.raw`m.py:1: \x: an escape that is not read`],
  [String.raw`'\ud800'`, String.raw`m.py:1: \ud800 is no character`],
  [String.raw`'\U00110000'`, String.raw`m.py:1: \U00110000 is no character`],
  ["'a", "m.py:1: the string is never closed"],
  ["'a\nb'", "m.py:1: the string is never closed"],
  ["[\n'''a\n", "m.py:2: the string is never closed"],
  ["[1,\n 2", "m.py:1: [ is never closed"],
  ["[1,\n 2)", "m.py:2: ) closes the [ of line 1"],
  ["1]", "m.py:1: ] closes nothing"],
  ["", "m.py:1: expected a literal, got the end of the line"],
  ["1 2", "m.py:1: expected the end of the line, got 2"],
  ["1 + 2", "m.py:1: expected the end of the line, got +"],
  ["1, 2", "m.py:1: expected the end of the line, got ,"],
  ["[1 2]", "m.py:1: expected , or ], got 2"],
  ["[,]", "m.py:1: expected a literal, got ,"],
  ["[1,,2]", "m.py:1: expected a literal, got ,"],
  ["(,)", "m.py:1: expected a literal, got ,"],
  ["(1 2)", "m.py:1: expected , or ), got 2"],
  ["-'a'", "m.py:1: expected a number, got 'a'"],
  ["--1", "m.py:1: expected a number, got -"],
  ["not 1", "m.py:1: expected a literal or Task(...) or Action(...), got not"],
  ["[x for x in y]", "m.py:1: expected a literal or Task(...) or Action(...), got x"],
  ["{\n'a': 1,\n'b': os.system('x')}", "m.py:3: expected a literal or Task(...) or Action(...), got os"],
  ["__import__('os')", "m.py:1: expected a literal or Task(...) or Action(...), got __import__"],
  ["toString()", "m.py:1: expected a literal or Task(...) or Action(...), got toString"],
  ["{1: 2}", "m.py:1: expected a key that is a string, got 1"],
  ["{'a'}", "m.py:1: expected :, got }"],
  ["{'a': 1 'b': 2}", "m.py:1: expected , or }, got 'b'"],
  ["{**x}", "m.py:1: expected a key that is a string, got **"],
  ["012", "m.py:1: 012 is no number that is read"],
  ["1j", "m.py:1: 1j is no number that is read"],
  ["1__0", "m.py:1: 1__0 is no number that is read"],
  ["1e", "m.py:1: 1e is no number that is read"],
  ["...", "m.py:1: expected a literal, got ."],
  ["lambda: 1", "m.py:1: expected a literal or Task(...) or Action(...), got lambda"],
  ["9".repeat(4301), "m.py:1: a number of more than 4300 digits"],
  [`${"[".repeat(201)}`, "m.py:1: more than 200 nested brackets"],
  ["Task(1)", "m.py:1: expected Task(keyword=...), got 1"],
  ["Task(**x)", "m.py:1: expected Task(keyword=...), got **"],
  ["Task(\nname='a',\nnmae='b')", "m.py:3: Task has no nmae; expected name, actions"],
  ["Task(name='a', name='b')", "m.py:1: Task has name twice"],
  ["Task(name='a' actions=[])", "m.py:1: expected , or ), got actions"],
  ["Task", "m.py:1: expected a literal or Task(...) or Action(...), got Task"],
  ["'a\0' \x01", "m.py:1: expected the end of the line, got \x01"],
];

for (const [source, message] of bad)
  test(`refuses ${JSON.stringify(source).slice(0, 60)}`, () =>
    assert.is(
      failure(() => read(source)),
      message,
    ));

test("constructors are read with their lines, and are no values", () => {
  const task = read("Task(\n  name='a',\n  actions=[\n    Action(kwargs={'n': 1.0}),\n  ],\n)");
  const action = { made: "Action", fields: new Map([["kwargs", new Map([["n", 1]])]]), line: 4 };
  assert.equal(task, {
    made: "Task",
    fields: new Map<string, Literal>([
      ["name", "a"],
      ["actions", [action]],
    ]),
    line: 1,
  });
  assert.is(
    failure(() => valueIn([task], "m.py")),
    "m.py:1: expected a literal, got Task(...)",
  );
  assert.equal(valueIn(read("{'a': (1, 2)}"), "m.py"), new Map([["a", [1n, 2n]]]));
});

const module = `# coding: utf-8
"""Says x = 9."""
import os
from .first import First
from .both import (
    Second, Third
)
from other import Fourth

if True:
    x = 1; y = 2
def unused(a, *, b: int = 3) -> str:
    z = f"{a!r:>{b}}"
    return z if a == b else r"\\d"  # x = 4

class First(Tool):
    @staticmethod
    def get_info() -> Dict[str, Any]:
        return {
            "a": (
                "one "
                "two"
            ),
        }
x = [First, Third]; w = 5
`;

test("a module's assignments, functions and imports are found", () => {
  const parsed = readModule(module, "m.py");
  assert.equal(assigned(parsed, "w"), 5n);
  assert.equal(assigned(parsed, "x", { names: true }), [
    { name: "First", line: 25 },
    { name: "Third", line: 25 },
  ]);
  assert.equal(returned(parsed, "get_info"), new Map([["a", "one two"]]));
  assert.equal(
    [...imported(parsed)],
    [
      ["First", "first"],
      ["Second", "both"],
      ["Third", "both"],
    ],
  );
  assert.is(
    failure(() => assigned(parsed, "y")),
    "m.py: has no y = ...",
  );
  assert.is(
    failure(() => assigned(parsed, "class")),
    "m.py:16: expected class = ...",
  );
  assert.is(
    failure(() => returned(parsed, "get")),
    "m.py: has no function get",
  );
  assert.is(
    failure(() => returned(parsed, "unused")),
    "m.py:12: unused: expected a body of one return",
  );
});

test("a name that is assigned and then changed is refused", () => {
  for (const change of ["x.append(2)", "x += [2]", "x = [2]", "x[0] = 2"])
    assert.is(
      failure(() => assigned(readModule(`x = [1]\n${change}\n`, "m.py"), "x")),
      "m.py:2: x is used again, which is not read",
    );
  assert.is(
    failure(() => assigned(readModule("x: list = []", "m.py"), "x")),
    "m.py:1: expected x = ...",
  );
});

test("whatever Python prints of a value reads as that value", () => {
  const scalar = fc.oneof(
    fc.constantFrom(null, true, false),
    fc.bigInt(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string({ unit: "binary" }),
    fc.string(),
  );
  const { value } = fc.letrec<{ value: Value }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      scalar as fc.Arbitrary<Value>,
      fc.array(tie("value"), { maxLength: 4 }),
      fc.array(fc.tuple(fc.string(), tie("value")), { maxLength: 4 }).map((entries) => new Map(entries)),
    ),
  }));
  fc.assert(
    fc.property(value, (value) => {
      assert.equal(valueIn(read(reprText(value)), "m.py"), value);
    }),
    { numRuns: 2000 },
  );
});

test("what is long is read or refused in time", () => {
  const long = 400_000;
  const text = "a\\n".repeat(long);
  assert.is(read(`'${text}'`), "a\n".repeat(long));
  assert.is((read(`[${"1,".repeat(long / 4)}]`) as Literal[]).length, long / 4);
  assert.is(read(`${" ".repeat(long)}1${" ".repeat(long)}`), 1n);
  assert.is(read(`(${"\\\n".repeat(long)}1)`), 1n);
  assert.is(
    failure(() => read("9".repeat(long))),
    "m.py:1: a number of more than 4300 digits",
  );
  assert.is(
    failure(() => read(`${"_".repeat(long)}(`)),
    `m.py:1: ( is never closed`,
  );
  assert.is(
    failure(() => read(`'${" ".repeat(16_000_000)}'`)),
    "m.py: 16000006 characters, expected 16000000 at most",
  );
});

test("nothing that is typed makes it throw anything but a UsageError", () => {
  const piece = fc.constantFrom(
    "x = ",
    "x",
    "=",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "'",
    '"',
    '"""',
    "\\",
    "\n",
    " ",
    "1",
    ".",
    "e",
    "f'",
    "#",
    "def get_info():\n ",
    "return ",
    "Task(",
    "-",
    "_",
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string({ unit: "binary", maxLength: 3 })), { maxLength: 20 }), (pieces) => {
      for (const act of [assigned, returned])
        try {
          act(readModule(pieces.join(""), "m.py"), act === assigned ? "x" : "get_info", { constructors, names: true });
        } catch (error) {
          assert.is((error as Error).name, "UsageError", (error as Error).stack);
        }
    }),
    { numRuns: 5000 },
  );
});

test.run();
