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
  assert.throws(() => store.edit("carts", "x"), /no x in carts/);
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

test("a copy is equal and shares nothing", () => {
  const value = { list: [{ x: 1 }], map: new Map([["k", { y: [2] }]]), n: 3n, none: null };
  const other = copy(value);
  assert.ok(equal(value, other));
  other.list[0].x = 5;
  other.map.get("k")!.y.push(6);
  assert.is(value.list[0].x, 1);
  assert.equal(value.map.get("k")!.y, [2]);
});

test.run();
