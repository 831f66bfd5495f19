// The profile `fixed` of retail: each of the mends that retail/fixed.ts lists, beside what `tau1` does; and the amounts and
// schema checks that both desks share. The airline's: test/unit/airline.test.ts.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { domain } from "../../src/domains/index.ts";
import { money, stillPaid } from "../../src/domains/python/money.ts";
import { mismatch } from "../../src/domains/python/schema.ts";
import { at, type Dict, dumps, parse, parseObject, type Value } from "../../src/domains/python.ts";
import { fixed, retail } from "../../src/domains/retail/index.ts";
import { Store } from "../../src/domains/store.ts";
import { callTool } from "../../src/domains/tool.ts";
import type { Domain, Json } from "../../src/types.ts";

const variant = (id: string, price: number, isThere = true) =>
  `"${id}": {"item_id": "${id}", "options": {"size": "${id}"}, "available": ${isThere}, "price": ${price}}`;
const line = (id: string, price: number) =>
  `{"name": "Cup", "product_id": "p", "item_id": "${id}", "price": ${price}, "options": {"size": "${id}"}}`;
const order = (id: string, status: string, items: readonly string[], history: readonly string[]) =>
  `"${id}": {"order_id": "${id}", "user_id": "ann", "status": "${status}", "items": [${items.join(", ")}], "payment_history": [${history.join(", ")}]}`;
const row = (kind: string, amount: number, method: string) =>
  `{"transaction_type": "${kind}", "amount": ${amount}, "payment_method_id": "${method}"}`;

const ITEMS = [line("A", 10.1), line("B", 20.2), line("A", 10.1)];
const DATABASE = new Map(
  Object.entries({
    orders: [
      order("#1", "pending", ITEMS, [row("payment", 40.4, "gift_card_1")]),
      order("#2", "delivered", ITEMS, [row("payment", 40.4, "gift_card_1")]),
      order("#3", "pending", ITEMS, [
        row("payment", 40.4, "gift_card_1"),
        row("payment", 40.4, "credit_card_1"),
        row("refund", 40.4, "gift_card_1"),
      ]),
    ].join(", "),
    products: `"p": {"name": "Cup", "product_id": "p", "variants": {${[variant("A", 10.1), variant("B", 20.2), variant("C", 30.3), variant("D", 5, false)].join(", ")}}}`,
    users: `"ann": {"payment_methods": {"gift_card_1": {"source": "gift_card", "balance": 30, "id": "gift_card_1"}, "credit_card_1": {"source": "credit_card", "id": "credit_card_1"}}}`,
  }).map(([table, rows]) => [table, parseObject(`{${rows}}`) as ReadonlyMap<string, unknown>]),
);

function desk(domain: Domain<Dict>) {
  const store = new Store(DATABASE);
  const call = (name: string, args: Json) =>
    callTool(domain.tools.find((tool) => tool.name === name)!, store, domain.parse!(JSON.stringify(args))).observation;
  const balance = () =>
    ["payment_methods", "gift_card_1", "balance"].reduce<Value>(at, store.get<Dict>("users", "ann")!);
  return { store, call, balance, order: (id: string) => store.get<Dict>("orders", id)! };
}

const CARD = { payment_method_id: "credit_card_1" };
const items = (order_id: string, item_ids: readonly string[], new_item_ids: readonly string[]) => ({
  order_id,
  item_ids,
  new_item_ids,
  ...CARD,
});
const idsOf = (order: Dict) => (at(order, "items") as Dict[]).map((item) => at(item, "item_id"));
const amountsOf = (order: Dict) => (at(order, "payment_history") as Dict[]).map((row) => at(row, "amount"));

test("the profiles of a domain are found by name", async () => {
  assert.is(await domain("retail"), retail);
  assert.is(await domain("retail", "fixed"), fixed);
  assert.is((await domain("airline", "fixed")).profile, "fixed");
  const faces = ({ tools }: Domain) =>
    tools.map(({ name, description, parameters, writes, ends }) => [name, description, parameters, writes, ends]);
  assert.equal(faces(fixed), faces(retail));
});

test("arguments hold to the schema instead of Python's rules", () => {
  const cancel = { order_id: "#1", reason: 7 };
  assert.is(desk(retail).call("cancel_pending_order", cancel), "Error: invalid reason");
  const { call, store } = desk(fixed);
  assert.is(call("cancel_pending_order", cancel), "Error: argument reason must be of type string");
  assert.is(
    call("cancel_pending_order", { ...cancel, reason: "bored" }),
    'Error: argument reason must be one of "no longer needed", "ordered by mistake"',
  );
  const address = { address1: "1 Elm St", address2: "", city: "Rome", state: "NY", country: "USA", zip: 13440 };
  assert.is(
    call("modify_pending_order_address", { order_id: "#1", ...address }),
    "Error: argument zip must be of type string",
  );
  assert.is(call("modify_user_address", { user_id: "ann" }), "Error: missing argument address1");
  assert.is(
    call("modify_pending_order_items", items("#1", "A" as never, ["B"])),
    "Error: argument item_ids must be of type array",
  );
  assert.is(call("get_order_details", { order_id: "#1", x: 1 }), "Error: unknown argument x");
  assert.equal([...store.touched()], []);
});

test("a cancelled order refunds what is still paid", () => {
  const cancel = { order_id: "#3", reason: "no longer needed" };
  const [before, after] = [desk(retail), desk(fixed)];
  before.call("cancel_pending_order", cancel);
  assert.is(amountsOf(before.order("#3")).length, 6, "every row is refunded, the refund too");
  assert.is(before.balance(), 110.8);
  after.call("cancel_pending_order", cancel);
  const rows = at(after.order("#3"), "payment_history") as Dict[];
  assert.equal(rows.slice(3).map(dumps), [
    '{"transaction_type": "refund", "amount": 40.4, "payment_method_id": "credit_card_1"}',
  ]);
  assert.is(after.balance(), 30n);
  after.call("cancel_pending_order", { ...cancel, order_id: "#1" });
  assert.is(after.balance(), 70.4);
});

test("amounts of changed items are whole cents", () => {
  const change = items("#1", ["A", "B"], ["B", "C"]);
  const [before, after] = [desk(retail), desk(fixed)];
  before.call("modify_pending_order_items", change);
  assert.is(amountsOf(before.order("#1"))[1], 20.2 - 10.1 + (30.3 - 20.2));
  after.call("modify_pending_order_items", change);
  assert.is(amountsOf(after.order("#1"))[1], 20.2);
});

test("items are looked up as the order was before the call", () => {
  const change = items("#1", ["A", "B"], ["B", "C"]);
  const [before, after] = [desk(retail), desk(fixed)];
  before.call("modify_pending_order_items", change);
  assert.equal(idsOf(before.order("#1")), ["C", "B", "A"], "B to C hit the line that had just become B");
  after.call("modify_pending_order_items", change);
  assert.equal(idsOf(after.order("#1")), ["B", "C", "A"]);
  const twice = desk(fixed);
  twice.call("modify_pending_order_items", items("#1", ["A", "A"], ["C", "B"]));
  assert.equal(idsOf(twice.order("#1")), ["C", "B", "B"]);
});

test("what changed items cannot be is said in tau-bench's words", () => {
  for (const profile of [retail, fixed]) {
    const { call, store } = desk(profile);
    const change = (...args: Parameters<typeof items>) => call("modify_pending_order_items", items(...args));
    assert.is(change("#1", ["B", "B"], ["A", "A"]), "Error: B not found");
    assert.is(change("#1", ["B"], []), "Error: the number of items to be exchanged should match");
    assert.is(change("#1", ["B"], ["D"]), "Error: new item D not found or available");
    assert.is(change("#2", ["B"], ["C"]), "Error: non-pending order cannot be modified");
    const gift = { ...items("#1", ["A", "A"], ["C", "C"]), payment_method_id: "gift_card_1" };
    assert.is(
      call("modify_pending_order_items", gift),
      "Error: insufficient gift card balance to pay for the new item",
    );
    assert.equal([...store.touched()], []);
  }
});

test("pairs of exchanged items stay together", () => {
  const exchange = items("#2", ["B", "A"], ["A", "C"]);
  const pairs = (order: Dict) => dumps([at(order, "exchange_items"), at(order, "exchange_new_items")]);
  const [before, after] = [desk(retail), desk(fixed)];
  before.call("exchange_delivered_order_items", exchange);
  assert.is(pairs(before.order("#2")), '[["A", "B"], ["A", "C"]]');
  after.call("exchange_delivered_order_items", exchange);
  assert.is(pairs(after.order("#2")), '[["A", "B"], ["C", "A"]]');
});

test("an empty list of items is refused", () => {
  const { call, store } = desk(fixed);
  const none = "Error: there has to be an item";
  assert.is(call("modify_pending_order_items", items("#1", [], [])), none);
  assert.is(call("exchange_delivered_order_items", items("#2", [], [])), none);
  assert.is(call("return_delivered_order_items", { order_id: "#2", item_ids: [], ...CARD }), none);
  assert.equal([...store.touched()], []);
});

test("the address can change after the items did", () => {
  const address = { address1: "1 Elm St", address2: "", city: "Rome", state: "NY", country: "USA", zip: "13440" };
  for (const profile of [retail, fixed]) {
    const { call, order } = desk(profile);
    call("modify_pending_order_items", items("#1", ["A"], ["B"]));
    const answer = call("modify_pending_order_address", { order_id: "#1", ...address });
    if (profile === fixed) assert.is(at(at(order("#1"), "address"), "city"), "Rome");
    else assert.is(answer, "Error: non-pending order cannot be modified");
  }
  assert.is(
    desk(fixed).call("modify_pending_order_address", { order_id: "#2", ...address }),
    "Error: non-pending order cannot be modified",
  );
});

test("what retail's tasks ask for works under both profiles", () => {
  for (const family of retail.families)
    for (const seed of [1, 2, 1_000_000])
      for (let index = 0; index < 6; index++) {
        const task = retail.task(family, seed, index);
        const store = new Store(retail.database(seed));
        for (const { name, arguments: json } of task?.actions ?? []) {
          const tool = fixed.tools.find((tool) => tool.name === name)!;
          assert.is(callTool(tool, store, parseObject(json)).failed, false, `${task!.id} ${name}`);
        }
      }
});

test("amounts are whole cents, as an int where none are left", () => {
  assert.equal([137.0, 137n, 0.125, 2.675, -0.0].map(money), [137n, 137n, 0.12, 2.67, 0n]);
});

test("what is still paid goes back to who paid, and no more than that", () => {
  /** "a 10.1, b 20" as rows. */
  const rows = (text: string) =>
    [...text.matchAll(/(\w) (\S+?)(?=,|$)/g)].map(([, id, amount]) => [id, parse(amount)] as const);
  const cases = [
    ["a 10.1, b 20", "a 10.1, b 20", "to each what it paid"],
    ["a 10, a -10, b 10", "b 10", "a has its money back"],
    ["a 0.1, a 0.2", "a 0.3", "in whole cents"],
    ["a 100, b -40", "a 60", "b was given back 40 of what a had paid"],
    ["a 100, a -100", "", "nothing is left"],
  ];
  for (const [paid, refunds, why] of cases) assert.equal([...stillPaid(rows(paid))], rows(refunds), why);
});

test("a mismatch names its place", () => {
  const schema = {
    type: "object",
    properties: { list: { type: "array", items: { type: "object", properties: { n: { type: "number" } } } } },
  };
  const wrong = (json: string) => mismatch(schema, parse(json));
  assert.is(wrong('{"list": [{"n": 1}, {"n": 1.5}]}'), null);
  assert.is(wrong('{"list": [{"n": 1}, {"n": true}]}'), "argument list[1].n must be of type number");
  assert.is(wrong('{"list": [{"n": Infinity}]}'), "argument list[0].n must be of type number");
  assert.is(wrong('{"list": [{}]}'), "missing argument list[0].n");
  assert.is(wrong('{"list": [], "more\\nof it": 1}'), "unknown argument more of it");
  assert.is(wrong("[]"), "arguments must be of type object");
});

test.run();
