// Copy-on-write sessions of a database, and when two of them stand in the same state.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { copy, equal, Store, sameState } from "../../src/domains/store.ts";
import type { Database } from "../../src/types.ts";

interface Order {
  status: string;
  items: { id: string; price: number }[];
}

const base = (): Database =>
  new Map([
    [
      "orders",
      new Map<string, unknown>([
        ["#2", { status: "pending", items: [{ id: "a", price: 1.5 }] }],
        ["#1", { status: "delivered", items: [] }],
      ]),
    ],
    ["users", new Map<string, unknown>([["ann", new Map<string, unknown>([["zip", "1"]])]])],
  ]);

test("what is edited stays in its session, to any depth", () => {
  const database = base();
  const [one, two] = [new Store(database), new Store(database)];
  one.edit<Order>("orders", "#2").items[0].price = 9;
  one.edit<Map<string, unknown>>("users", "ann").set("zip", "2");
  assert.is(one.get<Order>("orders", "#2")!.items[0].price, 9);
  assert.is(two.get<Order>("orders", "#2")!.items[0].price, 1.5);
  assert.equal(database, base());
});

test("reading copies nothing, editing copies once", () => {
  const database = base();
  const store = new Store(database);
  assert.is(store.get("orders", "#1"), database.get("orders")!.get("#1"));
  assert.is(store.edit("orders", "#1"), store.edit("orders", "#1"));
  assert.is(store.get("orders", "#1"), store.edit("orders", "#1"));
  assert.is.not(store.get("orders", "#1"), database.get("orders")!.get("#1"));
});

test("put, delete and order of entries: old ids keep their place, new ones come last", () => {
  const store = new Store(base());
  store.put("orders", "#0", { status: "new", items: [] });
  store.put("orders", "#2", { status: "replaced", items: [] });
  assert.equal(
    [...store.entries<Order>("orders")].map(([id, { status }]) => [id, status]),
    [
      ["#2", "replaced"],
      ["#1", "delivered"],
      ["#0", "new"],
    ],
  );
  store.delete("orders", "#2");
  assert.is(store.get("orders", "#2"), undefined);
  assert.equal(
    [...store.entries("orders")].map(([id]) => id),
    ["#1", "#0"],
  );
  assert.equal([...store.snapshot().keys()], ["orders", "users"]);
  assert.equal([...store.snapshot().get("orders")!.keys()], ["#1", "#0"]);
  assert.throws(() => store.edit("orders", "#2"), /no #2 in orders/);
});

test("a fork and what it was made from go their own ways, whatever the rows are made of", () => {
  const store = new Store(base());
  store.edit<Order>("orders", "#2").status = "changed";
  store.edit<Map<string, unknown>>("users", "ann").set("zip", "2");
  store.put("orders", "#9", { status: "new", items: [] });
  const fork = store.fork();
  store.edit<Order>("orders", "#2").status = "later";
  store.edit<Map<string, unknown>>("users", "ann").set("zip", "3");
  store.delete("orders", "#9");
  assert.is(fork.get<Order>("orders", "#2")!.status, "changed");
  assert.is(fork.get<Map<string, unknown>>("users", "ann")!.get("zip"), "2");
  assert.is(fork.get<Order>("orders", "#9")!.status, "new");
  fork.edit<Order>("orders", "#2").status = "forked";
  assert.is(store.get<Order>("orders", "#2")!.status, "later");
  store.adopt(fork);
  assert.is(store.get<Order>("orders", "#2")!.status, "forked");
});

test("a session may adopt forks without end", () => {
  const store = new Store(base());
  store.edit<Order>("orders", "#2").status = "changed";
  for (let i = 0; i < 20_000; i++) store.adopt(store.fork());
  assert.is(store.get<Order>("orders", "#2")!.status, "changed");
});

type Row = Map<string, unknown>;
/** What can be done to a Map, and what is seen of it then. */
const OPERATIONS: { [name: string]: (row: Row) => unknown } = {
  size: (row) => row.size,
  has: (row) => [row.has("a"), row.has("nested"), row.has("none")],
  get: (row) => [row.get("a"), row.get("nested"), row.get("list"), row.get("none")],
  "get twice": (row) => {
    const [one, two] = [row.get("nested"), row.get("nested")];
    return one === two;
  },
  set: (row) => row.set("a", 2).set("new", 3) === row,
  "set into what was taken out": (row) => (row.get("nested") as Row).set("x", 9).size,
  "set into what a list holds": (row) => {
    const list = row.get("list") as Row[];
    list[0].set("y", 9);
    return list.push(new Map());
  },
  "taken out of values": (row) => [...row.values()].map((part) => part instanceof Map && part.set("x", 9)).length,
  "taken out of forEach": (row) =>
    row.forEach((part) => {
      if (part instanceof Map) part.set("x", 9);
    }),
  delete: (row) => [row.delete("nested"), row.delete("nested"), row.delete("none")],
  "delete and set again": (row) => row.delete("a") && [...row.set("a", 1).keys()],
  clear: (row) => row.clear(),
  keys: (row) => [...row.keys()],
  values: (row) => [...row.values()],
  entries: (row) => [...row.entries()],
  spread: (row) => [...row],
  "new Map": (row) => new Map(row),
  forEach: (row) => {
    const seen: unknown[] = [];
    row.forEach(function (this: unknown, part, key, map) {
      seen.push(this, part, key, map === row);
    }, "self");
    return seen;
  },
  "delete while iterating": (row) => {
    const seen: string[] = [];
    for (const [key] of row) if (seen.push(key) === 1) row.delete("nested");
    return seen;
  },
};

const plainRow = (): Row =>
  new Map<string, unknown>([
    ["a", 1],
    ["nested", new Map([["x", 1]])],
    ["list", [new Map([["y", 1]])]],
  ]);

for (const [name, operate] of Object.entries(OPERATIONS))
  test(`a row that is edited is a Map: ${name}`, () => {
    const database: Database = new Map([["rows", new Map([["1", plainRow()]])]]);
    const store = new Store(database);
    const [mine, expected] = [store.edit<Row>("rows", "1"), plainRow()];
    assert.ok(equal(operate(mine), operate(expected)));
    assert.ok(equal(mine, expected));
    assert.equal([...mine.keys()], [...expected.keys()]);
    const fresh: Database = new Map([["rows", new Map([["1", plainRow()]])]]);
    assert.ok(equal(database, fresh), "the database stays as it was");
    assert.ok(equal(store.fork().get("rows", "1"), expected));
  });

test("same state: by what is there, not by how it came about", () => {
  const database = base();
  const fresh = () => new Store(database);
  const changed = (...statuses: string[]) => {
    const store = fresh();
    for (const status of statuses) store.edit<Order>("orders", "#2").status = status;
    return store;
  };
  assert.ok(sameState(fresh(), fresh()));
  assert.ok(sameState(changed("cancelled"), changed("pending", "cancelled")));
  assert.ok(sameState(changed("cancelled", "pending"), fresh()), "changed and changed back");
  assert.not(sameState(changed("cancelled"), fresh()));
  assert.not(sameState(fresh(), changed("cancelled")), "either side's changes count");
  const without = fresh();
  without.delete("orders", "#1");
  assert.not(sameState(without, fresh()));
  assert.not(sameState(fresh(), without));
  const more = fresh();
  more.put("orders", "#9", { status: "new", items: [] });
  assert.not(sameState(fresh(), more));
  more.delete("orders", "#9");
  assert.ok(sameState(fresh(), more));
});

test("equality of plain data", () => {
  const table: [unknown, unknown, boolean][] = [
    [{ a: 1, b: [2] }, { b: [2], a: 1 }, true],
    [[1, 2], [2, 1], false],
    [[1], [1, undefined], false],
    [{ a: undefined }, {}, false],
    [{ a: undefined }, { b: undefined }, false],
    [new Map([["a", 1]]), new Map([["a", 1]]), true],
    [new Map([["a", 1]]), { a: 1 }, false],
    [new Map([["a", 1]]), new Map([["a", 2]]), false],
    [1, 1n, false],
    [0, -0, false],
    [Number.NaN, Number.NaN, true],
    [null, {}, false],
    [null, null, true],
    ["1", 1, false],
    [[], {}, false],
  ];
  for (const [a, b, same] of table) {
    assert.is(equal(a, b), same);
    assert.is(equal(b, a), same);
  }
});

test("a copy is equal and shares nothing, whatever is done to either", () => {
  const value = { list: [{ x: 1 }], map: new Map([["k", { y: [2] }]]), n: 3n, none: null };
  const other = copy(value);
  assert.ok(equal(value, other));
  other.list[0].x = 5;
  other.map.get("k")!.y.push(6);
  assert.is(value.list[0].x, 1);
  assert.equal(value.map.get("k")!.y, [2]);
  value.map.set("later", { y: [] });
  assert.not(other.map.has("later"));
});

test("a table that the database does not have takes nothing", () => {
  const store = new Store(new Map([["orders", new Map()]]));
  for (const write of [
    () => store.put("oders", "#1", {}),
    () => store.edit("oders", "#1"),
    () => store.delete("oders", "#1"),
  ])
    assert.throws(write, /^the database has no table oders$/);
  assert.equal([...store.touched()], []);
  assert.equal([store.get("oders", "#1"), ...store.entries("oders")], [undefined]);
});

test.run();
