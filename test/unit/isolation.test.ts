// Many sessions over one shared database, random calls among them: nothing crashes, no session sees another, nobody
// writes to the database, and what the tools promise of a state holds after every call. Arguments are ids of the
// database, most of them fitting each other, mixed with odd values. TARL_FUZZ is the number of calls, 20,000 by default.
// The data is tau-bench's where golden data is there, else the domain's own.

import { join } from "node:path";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { domain, domainNames, profilesOf } from "../../src/domains/index.ts";
import { at, type Dict, dumps, hash, length, PythonError, type Value } from "../../src/domains/python.ts";
import { Store, sameState } from "../../src/domains/store.ts";
import { openCall } from "../../src/domains/tool.ts";
import { ToolError } from "../../src/errors.ts";
import { readDatabase } from "../../src/sandbox/replay.ts";
import type { Database, Domain, Tool, WrittenCall } from "../../src/types.ts";
import { golden } from "../golden.ts";

const CALLS = Number(process.env.TARL_FUZZ ?? 20_000);
const CALLS_PER_RUN = 40;
const SESSIONS = 4;
/** One of so many arguments is odd. */
const ODD = 12;

const ODDS: readonly Value[] = [
  null,
  true,
  0n,
  -1n,
  1n,
  2n ** 70n,
  1.5,
  -0,
  Number.NaN,
  "",
  "#W0000000",
  "\ud800",
  "constructor",
  [],
  ["x"],
  [[]],
  new Map(),
  new Map([["a", 1n]]),
];

const EXPRESSIONS = ["1 + 2 * 3", "(10.5 - 4) / 2", "7 // 0"];

/** Succeed by an exact sum alone, which chance does not find. */
const EXACT = ["book_reservation"];

/** Numbers from a list of them, again from its start after its end. */
type Dice = (sides: number) => number;

function diceOf(numbers: readonly number[]): Dice {
  let next = 0;
  return (sides) => numbers[next++ % numbers.length] % sides;
}

/** Texts by the key that they stand under; the keys and texts of a dict under that dict's own key as well. */
type Words = Map<string, string[]>;

function gather(value: unknown, key: string, words: Words): Words {
  const add = (text: string) => words.set(key, [...(words.get(key) ?? []), text]);
  if (typeof value === "string") add(value);
  else if (Array.isArray(value)) for (const part of value) gather(part, key, words);
  else if (value !== null && typeof value === "object")
    for (const [inner, part] of value instanceof Map ? value : Object.entries(value)) {
      add(inner);
      if (typeof part === "string") add(part);
      gather(part, inner, words);
    }
  return words;
}

/** What an argument's name may be called in the data. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  payment_id: ["payment_methods", "payment_history"],
  payment_method_id: ["payment_methods", "payment_method_id"],
  item_ids: ["item_id"],
  new_item_id: ["options"],
  new_item_ids: ["item_id"],
  reservation_id: ["reservation_id", "reservations"],
  date: ["date", "dates"],
};

/** Rows with their words, and the words of the rows that they name. */
class Neighbours {
  readonly #rows: readonly { readonly table: string; readonly id: string; readonly row: unknown }[];
  readonly #known = new Map<number, { near: Words; far: Words }>();

  constructor(readonly database: Database) {
    this.#rows = [...database].flatMap(([table, rows]) => [...rows].map(([id, row]) => ({ table, id, row })));
  }

  around(dice: Dice): { near: Words; far: Words } {
    const number = dice(this.#rows.length);
    const known = this.#known.get(number) ?? this.#gather(number);
    this.#known.set(number, known);
    return known;
  }

  #gather(number: number): { near: Words; far: Words } {
    const { table, id, row } = this.#rows[number];
    const near = gather(row, table, new Map([[`${table.slice(0, -1)}_id`, [id]]]));
    const far: Words = new Map();
    for (const named of new Set([...near.values()].flat()))
      for (const [table, rows] of this.database)
        if (named !== id && rows.has(named)) gather(rows.get(named), table, far);
    return { near, far };
  }
}

interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** A value that fits a schema, from the words around some row. */
function fitting(name: string, schema: Schema, dice: Dice, words: { near: Words; far: Words }): Value {
  if (dice(ODD) === 0) return ODDS[dice(ODDS.length)];
  if (name === "expression") return EXPRESSIONS[dice(EXPRESSIONS.length)];
  if (schema.enum && dice(ODD) > 0) return schema.enum[dice(schema.enum.length)];
  switch (schema.type) {
    case "array":
      return Array.from({ length: 1 + (dice(4) === 0 ? dice(3) : 0) }, () =>
        fitting(name, schema.items ?? {}, dice, words),
      );
    case "object":
      return new Map(
        Object.entries(schema.properties ?? {}).map(([key, part]) => [key, fitting(key, part, dice, words)]),
      );
    case "integer":
    case "number":
      return dice(4) === 0 ? dice(1000) / 2 : BigInt(dice(4));
    default: {
      const [first, second] = name.startsWith("new_") ? [words.far, words.near] : [words.near, words.far];
      const pool = [first, second].flatMap((some) => (ALIASES[name] ?? [name]).map((key) => some.get(key) ?? []));
      const full = pool.filter((texts) => texts.length > 0);
      const texts = full[dice(3) === 0 ? dice(full.length || 1) : 0] ?? [...words.near.values()].flat();
      return texts[dice(texts.length)];
    }
  }
}

function callOf(tool: Tool, dice: Dice, neighbours: Neighbours): WrittenCall {
  const words = neighbours.around(dice);
  const { properties = {} } = tool.parameters as Schema;
  const args = Object.entries(properties).map(([name, schema]): [string, Value] => [
    name,
    fitting(name, schema, dice, words),
  ]);
  return { name: tool.name, arguments: dumps(new Map(dice(30) === 0 ? args.slice(1) : args)) };
}

/** What the tool says; an error that is not the tool's own or Python's is a crash. */
function execute(domain: Domain, store: Store, written: WrittenCall): { text: string; failed: boolean } {
  const opened = openCall(domain, written);
  if (opened.reason) return { text: opened.observation, failed: true };
  try {
    const text: unknown = opened.tool.call(store, opened.call.arguments);
    return { text: String(text), failed: String(text).startsWith("Error: ") };
  } catch (error) {
    if (!(error instanceof ToolError || error instanceof PythonError)) throw error;
    return { text: error.message, failed: true };
  }
}

/** What has to hold of a row, given what it was before the call. */
const INVARIANTS: Readonly<Record<string, (table: string, was: Dict, now: Dict) => void>> = {
  retail(table, was, now) {
    if (table === "orders") {
      assert.ok(STATUSES.has(at(now, "status") as string), `status ${at(now, "status")}`);
      assert.is((at(now, "items") as Value[]).length, (at(was, "items") as Value[]).length, "items of an order");
      assert.ok(historyOf(now) >= historyOf(was), "payment history");
    } else
      for (const method of (at(now, "payment_methods") as Map<string, Dict>).values())
        if (at(method, "source") === "gift_card") assert.ok(Number(at(method, "balance")) >= 0, "gift card balance");
  },
  airline(table, was, now) {
    if (table !== "reservations") return;
    assert.ok(
      [undefined, "cancelled"].includes(now.get("status") as string | undefined),
      `status ${now.get("status")}`,
    );
    assert.is(length(at(now, "passengers")), length(at(was, "passengers")), "passengers");
    assert.ok(historyOf(now) >= historyOf(was), "payment history");
  },
};

const STATUSES = new Set([
  "pending",
  "processed",
  "delivered",
  "cancelled",
  "pending (item modified)",
  "return requested",
  "exchange requested",
]);

function historyOf(row: Dict): number {
  return (at(row, "payment_history") as Value[]).length;
}

/** The longest payment history that a row of a session had so far is part of what it was. */
function check(name: string, store: Store, histories: Map<string, number>): void {
  const holds = INVARIANTS[name];
  for (const [table, id] of store.touched()) {
    const was = store.base.get(table)!.get(id) as Dict | undefined;
    const now = store.get<Dict>(table, id);
    if (!holds || !was || !now) continue;
    holds(table, was, now);
    if (!now.has("payment_history")) continue;
    assert.ok(historyOf(now) >= (histories.get(id) ?? 0), "payment history grew shorter");
    histories.set(id, historyOf(now));
  }
}

function databaseOf(domain: Domain, name: string): Database {
  const folder = golden("tau-bench");
  return folder && name in INVARIANTS ? readDatabase(domain, join(folder, "data", name)) : domain.database(1);
}

const profiles = domainNames.flatMap((name) =>
  profilesOf(name)
    .filter((profile) => profile !== "tau2")
    .map((profile) => ({ name, profile })),
);
for (const { name, profile } of profiles)
  test(`${name}, ${profile}: sessions over one database are alone with their state`, async () => {
    const played = await domain(name, profile);
    const database = databaseOf(played, name);
    if ([...database.values()].every((rows) => rows.size === 0)) return;
    const before = hash(database);
    const neighbours = new Neighbours(database);
    const succeeded = new Set<string>();
    const turn = fc.record({
      session: fc.nat(SESSIONS - 1),
      tool: fc.nat(played.tools.length - 1),
      numbers: fc.array(fc.nat(1 << 20), { minLength: 17, maxLength: 17 }),
    });
    const turns = fc.array(turn, { minLength: CALLS_PER_RUN, maxLength: CALLS_PER_RUN });
    const property = fc.property(turns, (turns) => {
      const calls = turns.map(({ session, tool, numbers }) => ({
        session,
        written: callOf(played.tools[tool], diceOf(numbers), neighbours),
      }));
      const stores = Array.from({ length: SESSIONS }, () => new Store(database));
      const histories = stores.map(() => new Map<string, number>());
      const texts = calls.map(({ session, written }) => {
        const { text, failed } = execute(played, stores[session], written);
        if (!failed) succeeded.add(written.name);
        check(name, stores[session], histories[session]);
        return text;
      });
      for (const [session, store] of stores.entries()) {
        const alone = new Store(database);
        for (const [i, call] of calls.entries())
          if (call.session === session)
            assert.is(execute(played, alone, call.written).text, texts[i], dumps(call.written.name));
        assert.ok(sameState(store, alone), "the same calls alone give another state");
      }
    });
    fc.assert(property, {
      numRuns: Math.ceil(CALLS / CALLS_PER_RUN / profiles.length),
      seed: 20240607,
      endOnFailure: true,
      includeErrorInReport: true,
    });
    assert.is(hash(database), before, "the database was written to");
    const never = played.tools.map(({ name }) => name).filter((name) => !succeeded.has(name) && !EXACT.includes(name));
    assert.equal(never, [], "tools that never succeeded");
  });

test.run();
