// `tarl sandbox replay` without golden data: a hand-made shop of one customer, worked out by hand; and its errors.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import yargs from "yargs";
import sandbox from "../../src/cli/sandbox.ts";
import { retail } from "../../src/domains/retail/index.ts";
import { shop } from "../../src/domains/shop/index.ts";
import { UsageError } from "../../src/errors.ts";
import { type Replayed, readDatabase, replayFile } from "../../src/sandbox/replay.ts";

const test = suite<{ dir: string }>("replay");
test.before((context) => {
  context.dir = mkdtempSync(join(tmpdir(), "tarl-replay-"));
  for (const [table, text] of Object.entries(TABLES)) writeFileSync(join(context.dir, `${table}.json`), text);
});
test.after(({ dir }) => rmSync(dir, { recursive: true }));

/**
 * One pending order over 0.3 paid by gift card, one delivered; a balance of 5 (an int), prices that do not add up in binary.
 */
const TABLES = {
  users: `{"ann_1": {"name": {"first_name": "Ann", "last_name": "Ek"}, "address": {"zip": "00123"}, "email": "Ann@x.io",
    "payment_methods": {"gift_card_1": {"source": "gift_card", "balance": 5, "id": "gift_card_1"},
                        "paypal_1": {"source": "paypal", "id": "paypal_1"}}, "orders": ["#1", "#2"]}}`,
  orders: `{"#1": {"order_id": "#1", "user_id": "ann_1", "address": {"zip": "00123"}, "items": [
      {"name": "Cup", "product_id": "7", "item_id": "10", "price": 0.1, "options": {"color": "red"}},
      {"name": "Cup", "product_id": "7", "item_id": "11", "price": 0.2, "options": {"color": "blue"}}],
      "fulfillments": [], "status": "pending",
      "payment_history": [{"transaction_type": "payment", "amount": 0.3, "payment_method_id": "gift_card_1"}]},
    "#2": {"order_id": "#2", "user_id": "ann_1", "address": {"zip": "00123"}, "items": [
      {"name": "Cup", "product_id": "7", "item_id": "10", "price": 0.1, "options": {"color": "red"}}],
      "fulfillments": [], "status": "delivered",
      "payment_history": [{"transaction_type": "payment", "amount": 0.1, "payment_method_id": "paypal_1"}]}}`,
  products: `{"7": {"name": "Cup", "product_id": "7", "variants": {
      "10": {"item_id": "10", "options": {"color": "red"}, "available": true, "price": 0.1},
      "11": {"item_id": "11", "options": {"color": "blue"}, "available": true, "price": 0.2},
      "9": {"item_id": "9", "options": {"color": "gold"}, "available": true, "price": 0.8},
      "12": {"item_id": "12", "options": {"color": "green"}, "available": false, "price": 0.3}}}}`,
};

function run(dir: string, ...lines: string[]): Replayed[] {
  const file = join(dir, "calls.jsonl");
  writeFileSync(file, lines.join("\n"));
  return [...replayFile(retail, readDatabase(retail, dir), file)];
}

const step = (name: string, kwargs: object | string) =>
  `{"name": "${name}", "kwargs": ${typeof kwargs === "string" ? kwargs : JSON.stringify(kwargs)}}`;
const line = (...steps: string[]) => `{"id": "x", "steps": [${steps.join(", ")}]}`;

test("changed items keep their unrounded price difference, the gift card is rounded", ({ dir }) => {
  // 0.8 - 0.1 = 0.7000000000000001 in binary; 5 - that = 4.3 after rounding.
  const swap = { order_id: "#1", item_ids: ["10"], new_item_ids: ["9"], payment_method_id: "gift_card_1" };
  const [{ observations }] = run(
    dir,
    line(step("modify_pending_order_items", swap), step("get_user_details", { user_id: "ann_1" })),
  );
  assert.match(observations[0]!, '"amount": 0.7000000000000001, "payment_method_id": "gift_card_1"}]}');
  assert.match(observations[0]!, '"status": "pending (item modified)"');
  assert.match(observations[1]!, '"balance": 4.3,');
});

test("items are replaced one after the other in the order as it is by then", ({ dir }) => {
  // The first line becomes 11; the second change then finds that line, not the one that was meant.
  const swap = { order_id: "#1", item_ids: ["10", "11"], new_item_ids: ["11", "9"], payment_method_id: "paypal_1" };
  const [{ observations }] = run(dir, line(step("modify_pending_order_items", swap)));
  const ids = [...observations[0]!.matchAll(/"item_id": "(\d+)"/g)].map(([, id]) => id);
  assert.equal(ids, ["9", "11"]);
});

test("a cancelled order refunds every row of its history", ({ dir }) => {
  const pay = step("modify_pending_order_payment", { order_id: "#1", payment_method_id: "paypal_1" });
  const cancel = step("cancel_pending_order", { order_id: "#1", reason: "no longer needed" });
  const [{ observations }] = run(dir, line(pay, cancel, step("get_user_details", { user_id: "ann_1" })));
  assert.is([...observations[1]!.matchAll(/"transaction_type": "refund"/g)].length, 4); // one was there, three rows refunded
  assert.match(observations[2]!, '"balance": 5.9,'); // 5, +0.3 when the payment moved, +0.3 for rows 1 and 3 each
});

test("errors come in tau-bench's order and never raise", ({ dir }) => {
  const cases: readonly (readonly [string, object | string, string])[] = [
    ["get_order_details", { order_id: "#9" }, "Error: order not found"],
    ["get_order_details", { order_id: ["#1"] }, "Error: unhashable type: 'list'"],
    ["get_order_details", {}, "Error: GetOrderDetails.invoke() missing 1 required positional argument: 'order_id'"],
    ["find_user_id_by_email", { email: "ANN@X.IO" }, "ann_1"],
    ["find_user_id_by_name_zip", { first_name: "ann", last_name: "EK", zip: "00123" }, "ann_1"],
    [
      "find_user_id_by_name_zip",
      '{"first_name": 1.0, "last_name": "Ek", "zip": "00123"}',
      "Error: 'float' object has no attribute 'lower'",
    ],
    // As deep as tau-bench lets it be.
    ["get_order_details", `{"order_id": ${"[".repeat(40)}${"]".repeat(40)}}`, "Error: unhashable type: 'list'"],
    ["cancel_pending_order", { order_id: "#2", reason: "bored" }, "Error: non-pending order cannot be cancelled"],
    ["cancel_pending_order", { order_id: "#1", reason: "bored" }, "Error: invalid reason"],
    [
      "return_delivered_order_items",
      { order_id: "#2", item_ids: ["11"], payment_method_id: "x" },
      "Error: payment method not found",
    ],
    [
      "return_delivered_order_items",
      { order_id: "#2", item_ids: ["11"], payment_method_id: "paypal_1" },
      "Error: some item not found",
    ],
    [
      "exchange_delivered_order_items",
      { order_id: "#2", item_ids: [11], new_item_ids: [], payment_method_id: "x" },
      "Error: 11 not found",
    ],
    [
      "exchange_delivered_order_items",
      { order_id: "#2", item_ids: ["10"], new_item_ids: [], payment_method_id: "x" },
      "Error: the number of items to be exchanged should match",
    ],
    [
      "exchange_delivered_order_items",
      { order_id: "#2", item_ids: ["10"], new_item_ids: ["12"], payment_method_id: "x" },
      "Error: new item 12 not found or available",
    ],
    [
      "modify_pending_order_payment",
      { order_id: "#1", payment_method_id: "gift_card_1" },
      "Error: the new payment method should be different from the current one",
    ],
    ["get_item", {}, "Unknown action get_item"],
  ];
  const [{ observations, raised, done }] = run(dir, line(...cases.map(([name, kwargs]) => step(name, kwargs))));
  for (const [i, [name, , expected]] of cases.entries()) assert.is(observations[i], expected, name);
  assert.ok(raised.every((message) => message === null));
  assert.is(done, false);
});

test("every line starts from fresh data; the setup counts, but is not shown; numbers keep their spelling", ({
  dir,
}) => {
  const zip = (zip: string) =>
    step(
      "modify_user_address",
      `{"user_id": "ann_1", "address1": "", "address2": "", "city": "", "state": "", "country": "", "zip": ${zip}}`,
    );
  const look = step("get_user_details", { user_id: "ann_1" });
  const results = run(
    dir,
    line(look),
    `{"id": 1.0, "setup": [${zip("1.0")}], "steps": [${look}]}`,
    "",
    line(zip("1"), look),
    line(look),
  );
  assert.equal(
    results.map(({ id }) => id),
    ["x", 1, "x", "x"],
  );
  assert.match(results[1].observations[0]!, '"zip": 1.0}');
  assert.match(results[2].observations[1]!, '"zip": 1}');
  assert.is(new Set(results.map(({ hash }) => hash)).size, 3);
  assert.is(results[0].hash, results[3].hash);
});

test("a call that ends the episode is executed, and so is what follows", ({ dir }) => {
  const [{ observations, done }] = run(dir, line(step("transfer_to_human_agents", {}), step("think", { thought: "" })));
  assert.is(observations[0], "Error: TransferToHumanAgents.invoke() missing 1 required positional argument: 'summary'");
  assert.is(observations[1], "");
  assert.is(done, true);
});

test("what is wrong with the files is one line that names file, line and reason", ({ dir }) => {
  const fails = (text: string, reason: RegExp) =>
    assert.throws(
      () => run(dir, line(), text),
      (error: Error) =>
        error instanceof UsageError &&
        error.message.includes("calls.jsonl:2: ") &&
        reason.test(error.message) &&
        !error.message.includes("\n"),
      text,
    );
  fails("{", /Expecting property name/);
  fails("[1]", /expected \{"id"/);
  fails('{"id": 1}', /has no steps/);
  fails('{"steps": 1}', /steps is 1, expected a list/);
  fails('{"steps": [{"name": 1, "kwargs": {}}]}', /steps\[0\].*expected \{"name"/);
  fails('{"steps": [{"name": "think", "kwargs": []}]}', /steps\[0\]/);
  assert.throws(() => readDatabase(retail, join(dir, "none")), /none\/orders\.json: no such file/);
  assert.throws(
    () => [...replayFile(retail, readDatabase(retail, dir), join(dir, "none.jsonl"))],
    /none\.jsonl: no such file/,
  );
});

test("odd data: a row that is no object is named, a row that lacks something is told of as data", ({ dir }) => {
  const odd = mkdtempSync(join(dir, "odd-"));
  const put = (table: keyof typeof TABLES, text: string) => writeFileSync(join(odd, `${table}.json`), text);
  for (const [table, text] of Object.entries(TABLES)) put(table as keyof typeof TABLES, text);
  for (const [row, found] of [
    ["[{}]", "a list"],
    ['"x"', '"x"'],
    ["null", "null"],
    ["1.0", "1.0"],
  ]) {
    put("users", `{"ann_1": ${row}}`);
    assert.throws(
      () => readDatabase(retail, odd),
      (error: Error) =>
        error instanceof UsageError &&
        error.message === `${join(odd, "users.json")}: ann_1: expected an object, got ${found}`,
    );
  }
  put("users", TABLES.users);
  put("orders", TABLES.orders.replaceAll('"payment_method_id": "gift_card_1"', '"payment_method_id": 7'));
  const cancel = { order_id: "#1", reason: "no longer needed" };
  const [{ observations }] = run(odd, line(step("cancel_pending_order", cancel)));
  assert.match(observations[0]!, /^Error: the data are not of the shape that cancel_pending_order needs: /);
});

test("a domain of plain objects replays as well", ({ dir }) => {
  const database = shop.database(1);
  for (const [table, rows] of database)
    writeFileSync(join(dir, `${table}.json`), JSON.stringify(Object.fromEntries(rows)));
  const [[id]] = [...database.get("orders")!].filter(([, order]) => (order as { status: string }).status === "pending");
  const file = join(dir, "shop.jsonl");
  writeFileSync(file, `${line(step("get_order", { order_id: id }))}\n${line(step("cancel_order", { order_id: id }))}`);
  const [look, cancel] = [...replayFile(shop, readDatabase(shop, dir), file)];
  assert.match(look.observations[0]!, '"status": "pending"');
  assert.match(cancel.observations[0]!, '"status": "cancelled"');
  assert.is.not(look.hash, cancel.hash);
});

test("a domain whose arguments a session checks is replayed with the same check", ({ dir }) => {
  const file = join(dir, "shop.jsonl");
  const odd = [
    step("get_order", {}),
    step("get_order", { order_id: 7 }),
    step("get_order", '{"order_id": NaN}'),
    step("get", {}),
  ];
  writeFileSync(file, line(...odd));
  const [{ observations }] = [...replayFile(shop, shop.database(1), file)];
  assert.equal(observations, [
    "Error: missing argument order_id",
    "Error: argument order_id must be of type string",
    "Error: arguments are not a JSON object",
    "Error: unknown tool get",
  ]);
});

test("the command prints one JSON line for each line of calls", async ({ dir }) => {
  for (const [table, text] of Object.entries(TABLES)) writeFileSync(join(dir, `${table}.json`), text);
  const calls = join(dir, "calls.jsonl");
  writeFileSync(calls, `{"id": 7.0, "steps": [${step("calculate", { expression: "1/3" })}]}\n`);
  const write = process.stdout.write;
  let printed = "";
  process.stdout.write = ((text: string) => {
    printed += text;
    return true;
  }) as typeof write;
  try {
    await yargs(["sandbox", "replay", "--data", dir, "--calls", calls])
      .command(sandbox)
      .strict()
      .exitProcess(false)
      .parseAsync();
  } finally {
    process.stdout.write = write;
  }
  assert.match(
    printed,
    /^\{"id":7\.0,"observations":\["0\.33"\],"raised":\[null\],"done":false,"hash":"[0-9a-f]{64}"\}\n$/,
  );
});

test.run();
