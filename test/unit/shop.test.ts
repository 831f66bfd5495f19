// The shop: tools and rules by hand, properties of its tasks over many databases, and what agents score in real sessions.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { presets } from "../../src/config/config.ts";
import { shop } from "../../src/domains/shop/index.ts";
import { makeTask, wishOf } from "../../src/domains/shop/tasks.ts";
import type { Arguments } from "../../src/domains/shop/tools.ts";
import { IDS } from "../../src/domains/shop/words.ts";
import { makeDatabase, type Order, type User } from "../../src/domains/shop/world.ts";
import { Store } from "../../src/domains/store.ts";
import { mix } from "../../src/tasks/sampler.ts";
import type { Database, Entry, Task } from "../../src/types.ts";
import { type Agent, always, call, first, oracle, playTalk, say, someTasks } from "../talk.ts";

/** A shop written by hand: one customer, a pending order #light of two items and a delivered one #moon. */
const byHand = (): Database =>
  new Map<string, Map<string, unknown>>([
    [
      "users",
      new Map([
        [
          "ann.lee",
          { email: "ann.lee@mail.com", payment: { paypal: "#pear", visa: "#fig" }, orders: ["#light", "#moon"] },
        ],
      ]),
    ],
    [
      "orders",
      new Map<string, unknown>([
        [
          "#light",
          {
            user: "ann.lee",
            status: "pending",
            items: [
              { name: "vase", product_id: "#fox", item_id: "#owl", options: "small" },
              { name: "tent", product_id: "#elk", item_id: "#ant", options: "large" },
            ],
            payment: "#pear",
          },
        ],
        [
          "#moon",
          {
            user: "ann.lee",
            status: "delivered",
            items: [{ name: "chair", product_id: "#cow", item_id: "#hen", options: "wood" }],
            payment: "#fig",
          },
        ],
      ]),
    ],
    [
      "products",
      new Map<string, unknown>([
        ["#fox", { name: "vase", options: { small: "#owl", huge: "#bat" } }],
        ["#cow", { name: "chair", options: { wood: "#hen", metal: "#cat" } }],
      ]),
    ],
  ]);

const args = (values: Partial<Arguments>) => values as Arguments;
const run = (store: Store, name: string, values: Partial<Arguments>): string => {
  try {
    return shop.tools.find((tool) => tool.name === name)!.call(store, args(values));
  } catch (error) {
    return `Error: ${(error as Error).message}`;
  }
};

/** One task of each of the first places of every family, over many databases. */
function manyTasks(databases: number, places: number, from = 1): Task[] {
  const tasks: Task[] = [];
  for (let seed = from; seed < from + databases; seed++)
    for (const family of shop.families)
      for (let index = 0; index < places; index++)
        tasks.push(...[shop.task(family, seed, index)].filter((task) => task !== null));
  return tasks;
}

/** Success over the default mix. */
async function mixedScore(agent: (task: Task) => Agent): Promise<number> {
  let score = 0;
  for (const { name, weight } of mix(shop, [], presets.embedded.refuseShare).families) {
    const tasks = someTasks({ ...shop, families: [name] }, 40);
    let passed = 0;
    for (const task of tasks) passed += (await playTalk(shop, task, agent(task), 3)).outcome.success;
    score += (weight * passed) / tasks.length;
  }
  return score;
}

test("look-ups show JSON with a space after colon and comma", () => {
  const store = new Store(byHand());
  assert.is(
    run(store, "find_user", { email: "ann.lee@mail.com" }),
    '{"payment": {"paypal": "#pear", "visa": "#fig"}, "orders": ["#light", "#moon"]}',
  );
  assert.is(
    run(store, "get_order", { order_id: "#moon" }),
    '{"status": "delivered", "items": [{"name": "chair", "product_id": "#cow", "item_id": "#hen", "options": "wood"}], "payment": "#fig"}',
  );
  assert.is(run(store, "get_product", { product_id: "#cow" }), '{"wood": "#hen", "metal": "#cat"}');
});

test("changes: what they answer and what they leave", () => {
  const table: [string, Partial<Arguments>, string, string, Partial<Order>][] = [
    ["cancel_order", { order_id: "#light" }, '{"status": "cancelled"}', "#light", { status: "cancelled" }],
    [
      "change_payment",
      { order_id: "#light", payment_id: "#fig" },
      '{"payment": "#fig"}',
      "#light",
      { payment: "#fig", status: "pending" },
    ],
    [
      "return_item",
      { order_id: "#moon", item_id: "#hen", payment_id: "#pear" },
      '{"status": "returned"}',
      "#moon",
      { status: "returned", items: [], refund: "#pear", payment: "#fig" },
    ],
    [
      "exchange_item",
      { order_id: "#moon", item_id: "#hen", new_item_id: "#cat" },
      '{"status": "exchanged"}',
      "#moon",
      { status: "exchanged", items: [{ name: "chair", product_id: "#cow", item_id: "#cat", options: "metal" }] },
    ],
    // The tools obey: what the rules forbid is the agent's to know.
    ["cancel_order", { order_id: "#moon" }, '{"status": "cancelled"}', "#moon", { status: "cancelled" }],
    [
      "return_item",
      { order_id: "#light", item_id: "#ant", payment_id: "#pear" },
      '{"status": "returned"}',
      "#light",
      { status: "returned" },
    ],
  ];
  for (const [name, values, observation, id, fields] of table) {
    const store = new Store(byHand());
    assert.is(run(store, name, values), observation);
    const order = store.get<Order>("orders", id)!;
    for (const [key, value] of Object.entries(fields)) assert.equal(order[key as keyof Order], value, `${name} ${key}`);
  }
});

test("errors, and that a call that fails changes nothing", () => {
  const table: [string, Partial<Arguments>, string][] = [
    ["find_user", { email: "bob@mail.com" }, "user not found"],
    ["get_order", { order_id: "light" }, "order not found"],
    ["get_product", { product_id: "#light" }, "product not found"],
    ["cancel_order", { order_id: "#sun" }, "order not found"],
    ["change_payment", { order_id: "#light", payment_id: "#pear" }, "order is already paid with it"],
    ["change_payment", { order_id: "#light", payment_id: "#nut" }, "payment not found"],
    ["return_item", { order_id: "#moon", item_id: "#owl", payment_id: "#pear" }, "item not found"],
    ["return_item", { order_id: "#moon", item_id: "#hen", payment_id: "#nut" }, "payment not found"],
    ["exchange_item", { order_id: "#moon", item_id: "#owl", new_item_id: "#cat" }, "item not found"],
    ["exchange_item", { order_id: "#moon", item_id: "#hen", new_item_id: "#bat" }, "new item not found"],
    ["exchange_item", { order_id: "#moon", item_id: "#hen", new_item_id: "#hen" }, "new item not found"],
  ];
  for (const [name, values, error] of table) {
    const store = new Store(byHand());
    assert.is(run(store, name, values), `Error: ${error}`);
    assert.equal(store.snapshot(), byHand());
  }
  const store = new Store(byHand());
  run(store, "cancel_order", { order_id: "#light" });
  assert.is(run(store, "cancel_order", { order_id: "#light" }), "Error: order is already cancelled");
});

test("rules: the first one that a change breaks", () => {
  const store = new Store(byHand());
  const tool = (name: string, values: Partial<Arguments>, failed = false): Entry => ({
    role: "tool",
    turn: 0,
    call: { name, arguments: args(values) },
    observation: "",
    failed,
    wrote: false,
  });
  const user = (text: string): Entry => ({ role: "user", text });
  const agent = (text: string): Entry => ({ role: "agent", turn: 0, text });
  const found = tool("find_user", { email: "ann.lee@mail.com" });
  const [light, moon] = ["#light", "#moon"].map((order_id) => tool("get_order", { order_id }));
  const consent = [agent("Shall I do it?"), user("Yes.")];
  const cancel = (order_id: string) => ({ name: "cancel_order", arguments: args({ order_id }) });
  const wrote: Entry = { ...tool("cancel_order", { order_id: "#moon" }), wrote: true } as Entry;
  const table: [string, { name: string; arguments: Arguments }, Entry[], string | null][] = [
    ["all kept", cancel("#light"), [found, light, ...consent], null],
    ["nobody looked up", cancel("#light"), [light, ...consent], "the customer was not looked up"],
    [
      "look-up failed",
      cancel("#light"),
      [tool("find_user", { email: "ann.lee@mail.com" }, true), light, ...consent],
      "the customer was not looked up",
    ],
    ["another order", cancel("#light"), [found, moon, ...consent], "the order was not looked up"],
    ["status", cancel("#moon"), [found, moon, ...consent], "cancel_order on a delivered order"],
    [
      "no consent",
      cancel("#light"),
      [found, light, agent("Hello."), user("Yes.")],
      "the customer was not asked for a yes",
    ],
    ["not asked at all", cancel("#light"), [user("Cancel it."), found, light], "the customer was not asked for a yes"],
    ["a no", cancel("#light"), [found, light, consent[0], user("No, wait.")], "the customer was not asked for a yes"],
    ["an old yes", cancel("#light"), [found, light, ...consent, wrote], "the customer was not asked for a yes"],
    ["look-ups are free", { name: "get_order", arguments: args({ order_id: "#moon" }) }, [], null],
    ["no such order", cancel("#sun"), [], null],
  ];
  for (const [name, made, transcript, rule] of table) assert.is(shop.violates(made, store, transcript), rule, name);
});

test("ears: what messages ask for and what they claim", () => {
  const table: [string, string[], string][] = [
    ["What is your email?", ["email"], ""],
    ["Which order, and which item of it?", ["order", "item"], ""],
    ["Please tell me to which payment.", ["payment"], ""],
    ["For one in which option?", ["option"], ""],
    ["Shall I cancel order #light?", [], "confirms"],
    ["In order #a, may I return the vase #b with the refund to visa #c?", [], "confirms"],
    ["Done, order #light is cancelled.", [], "claims"],
    ["I have returned the item.", [], "claims"],
    ["Everything is taken care of!", [], "claims"],
    ["Sorry, order #light is delivered, so I cannot cancel it.", [], "refuses"],
    ["This order can't be cancelled.", [], "refuses"],
    ["It is not possible.", [], "refuses"],
    ["Your order is delivered.", [], ""],
    ["Is it done?", [], ""],
    ["Your email is ann.lee@mail.com.", [], ""],
    ["I cannot find you. What is your email?", ["email"], "refuses"],
    ["", [], ""],
  ];
  for (const [message, slots, heard] of table) {
    const { confirms, claimsDone, refuses } = shop.hears(message);
    assert.equal(shop.asks(message), slots, message);
    assert.is(
      [confirms && "confirms", claimsDone && "claims", refuses && "refuses"].filter(Boolean).join(),
      heard,
      message,
    );
  }
});

test("ids: one lowercase word each, none the beginning of another, none twice in a database", () => {
  for (const word of IDS) assert.match(word, /^[a-z]+$/);
  for (const a of IDS) assert.is(IDS.filter((b) => b.startsWith(a)).length, 1, a);
  for (let seed = 1; seed <= 30; seed++) {
    const database = makeDatabase(seed);
    const defined = [
      ...database.get("orders")!.keys(),
      ...database.get("products")!.keys(),
      ...[...database.get("users")!.values()].flatMap((user) => Object.values((user as User).payment)),
      ...[...database.get("products")!.values()].flatMap((product) =>
        Object.values((product as { options: object }).options),
      ),
    ];
    assert.is(new Set(defined).size, defined.length);
  }
});

test("the same seed gives the same bytes, also after the cache has moved on; other seeds other data", () => {
  const text = (seed: number) => JSON.stringify([...makeDatabase(seed)].map(([name, table]) => [name, ...table]));
  assert.is(text(5), text(5));
  assert.is.not(text(5), text(6));
  const before = JSON.stringify(shop.families.map((family) => makeTask(family, 5, 0)));
  for (let seed = 1000; seed < 1400; seed++) shop.database(seed);
  assert.is(JSON.stringify(shop.families.map((family) => makeTask(family, 5, 0))), before);
});

test("tasks: JSON, no two alike, null where a database has no room, and plenty a minute", () => {
  const started = performance.now();
  const tasks = manyTasks(600, 3);
  const perMinute = (tasks.length / (performance.now() - started)) * 60_000;
  assert.ok(tasks.length > 6000, `${tasks.length} tasks`);
  assert.ok(perMinute > 20_000, `${perMinute.toFixed(0)} a minute`);
  assert.is(new Set(tasks.map(({ id }) => id)).size, tasks.length);
  assert.is(new Set(tasks.map(({ id, ...rest }) => JSON.stringify(rest))).size, tasks.length);
  for (const task of tasks.slice(0, 50)) assert.equal(JSON.parse(JSON.stringify(task)), task);
  assert.is(shop.task("cancel", 1, 99), null);
  assert.is(shop.task("unknown", 1, 0), null);
});

test("a task of another making that changes nothing and names no order is won by a refusal", async () => {
  const task = { ...makeTask("return", 3, 0)!, actions: [{ name: "transfer", arguments: "{}" }] };
  const success = async (text: string) => (await playTalk(shop, task, always(say(text)))).outcome.success;
  assert.equal([await success("I cannot do that."), await success("Okay.")], [1, 0]);
});

test("tasks: nothing but refusals is without writes; half of the requests name the order, 60% leave out the email", () => {
  const tasks = manyTasks(300, 2);
  let [named, asked] = [0, 0];
  for (const { family, actions, scenario, outputs } of tasks) {
    assert.is(actions.length, family === "refuse" ? 0 : 1);
    assert.is(outputs.length, family === "refuse" ? 1 : 0);
    named += scenario.opening.includes("#") ? 1 : 0;
    asked += scenario.opening.includes("@") ? 0 : 1;
    assert.is(scenario.given!.includes("email"), scenario.opening.includes("@"));
  }
  assert.ok(Math.abs(named / tasks.length - 0.5) < 0.05, `${named} of ${tasks.length}`);
  assert.ok(Math.abs(asked / tasks.length - 0.6) < 0.05, `${asked} of ${tasks.length}`);
});

test("tasks: a description fits one order and one item, a kind of payment one id", () => {
  for (const task of manyTasks(100, 2)) {
    const { user } = wishOf(task);
    const database = shop.database(task.database);
    const { payment, orders } = database.get("users")!.get(user) as User;
    const items = orders.flatMap((order) =>
      (database.get("orders")!.get(order) as Order).items.map(({ name }) => name),
    );
    assert.is(new Set(items).size, items.length);
    assert.is(new Set(Object.values(payment)).size, Object.keys(payment).length);
  }
});

test("refusals are of all four kinds", () => {
  const kinds = new Map<string, number>();
  for (let seed = 1; seed <= 400; seed++) {
    const task = shop.task("refuse", seed, 0);
    if (task) kinds.set(wishOf(task).kind, (kinds.get(wishOf(task).kind) ?? 0) + 1);
  }
  assert.is(kinds.size, 4);
  for (const [kind, count] of kinds) assert.ok(count > 60, `${kind}: ${count}`);
});

test("the oracle passes every task, and so does an expert that slips and mends", async () => {
  for (const task of manyTasks(25, 3)) {
    const clean = await playTalk(shop, task, shop.expert!(task, oracle, 1), 1);
    assert.is(clean.outcome.success, 1, task.id);
    assert.is(clean.ending, "user-stop");
    assert.not(
      clean.transcript.some((entry) => entry.role === "invalid" || (entry.role === "tool" && entry.failed)),
      task.id,
    );
    const mended = await playTalk(shop, task, shop.expert!(task, { ...oracle, recovers: 1 }, 1), 1);
    assert.is(mended.outcome.success, 1, task.id);
  }
});

test("the oracle's last turn is told: it writes once and breaks no rule", async () => {
  for (const task of manyTasks(25, 1)) {
    const { transcript, outcome } = await playTalk(shop, task, shop.expert!(task, oracle, 2), 2);
    assert.is(outcome.writes, task.actions.length);
    const store = new Store(shop.database(task.database));
    for (const [i, entry] of transcript.entries())
      if (entry.role === "tool") assert.is(shop.violates(entry.call, store, transcript.slice(0, i)), null, task.id);
  }
});

test("habits: each makes its own kind of mistake", async () => {
  const share = async (
    habits: object,
    families: string[],
    bad: (talk: Awaited<ReturnType<typeof playTalk>>) => boolean,
  ) => {
    const tasks = someTasks({ ...shop, families }, 25);
    let count = 0;
    for (const task of tasks)
      if (bad(await playTalk(shop, task, shop.expert!(task, { ...oracle, ...habits }, 1), 1))) count++;
    return count / tasks.length;
  };
  const asked = (entry: Entry) => entry.role === "agent" && shop.hears(entry.text).confirms;
  const looked = (entry: Entry) => entry.role === "tool" && entry.call.name === "get_order";
  const failed = ({ outcome }: { outcome: { success: number } }) => outcome.success === 0;
  const writes = shop.families.filter((family) => family !== "refuse");
  assert.is(await share({ ignoresRules: 1 }, ["refuse"], failed), 1);
  assert.is(await share({ ignoresRules: 1 }, writes, failed), 0);
  assert.is(await share({ skipsConfirmation: 1 }, writes, ({ transcript }) => transcript.some(asked)), 0);
  assert.is(await share({ skipsLookup: 1 }, ["cancel", "payment"], ({ transcript }) => transcript.some(looked)), 0);
  assert.ok((await share({ wrongChoice: 1 }, writes, failed)) > 0.6);
  const half = await share({ skipsConfirmation: 0.5 }, writes, ({ transcript }) => transcript.some(asked));
  assert.ok(half > 0.35 && half < 0.65, `${half}`);
});

test("the expert is decided by its seed", async () => {
  const [task] = someTasks(shop, 1);
  const habits = { skipsLookup: 0.5, skipsConfirmation: 0.5, wrongChoice: 0.5, ignoresRules: 0.5, recovers: 0.5 };
  const talk = async (seed: number) =>
    JSON.stringify((await playTalk(shop, task, shop.expert!(task, habits, seed), seed)).transcript);
  assert.is(await talk(4), await talk(4));
  const all = new Set<string>();
  for (let seed = 0; seed < 20; seed++) all.add(await talk(seed));
  assert.ok(all.size > 10);
});

test("agents that need no skill stay below .15: do nothing, chat, refuse, claim, hand over", async () => {
  const named = (task: Task) => /#[a-z]+/.exec(task.scenario.opening)?.[0] ?? "#light";
  const agents: Record<string, (task: Task) => Agent> = {
    "says nothing": () => always(say("")),
    chats: () => always(say("Hello.")),
    refuses: () => always(say("Sorry, I cannot do that.")),
    "refuses and guesses why": (task) => always(say(`Sorry, order ${named(task)} is delivered, so I cannot do that.`)),
    "refuses and names every reason": (task) =>
      always(say(`Sorry, order ${named(task)} is pending or delivered, so I cannot.`)),
    claims: () => always(say("Done.")),
    "hands over": () => always(call("transfer", {})),
  };
  for (const [name, agent] of Object.entries(agents)) {
    const score = await mixedScore(agent);
    assert.ok(score < 0.15, `${name}: ${score}`);
  }
  assert.is(await mixedScore(agents["says nothing"]), 0);
  assert.is(await mixedScore(agents.refuses), 0);
  assert.ok((await mixedScore((task) => shop.expert!(task, oracle, 1))) > 0.999);
});

test("an agent that looks up the order and refuses whatever is asked wins the refusals of the mix, and nothing else", async () => {
  const score = await mixedScore((task) => {
    const { user, order } = wishOf(task);
    const { email } = shop.database(task.database).get("users")!.get(user) as User;
    const { status } = shop.database(task.database).get("orders")!.get(order) as Order;
    const refusal = say(`Sorry, order ${order} is ${status}, so I cannot do that.`);
    return first([call("find_user", { email }), call("get_order", { order_id: order })], always(refusal));
  });
  assert.ok(Math.abs(score - presets.embedded.refuseShare) < 1e-9, `${score}`);
});

for (const [name, drill] of Object.entries(shop.drills!)) {
  test(`drill ${name}: what is learned are ids that stand before`, () => {
    for (let seed = 1; seed <= 300; seed++) {
      let before = "";
      let learned = 0;
      for (const { text, learn } of drill(seed)) {
        if (learn) {
          learned++;
          assert.match(text, /^#[a-z]+$/);
          assert.ok(before.includes(text), `seed ${seed}: ${text} stands nowhere before`);
        }
        before += text;
      }
      assert.ok(learned >= 5, `${learned} look-ups`);
    }
    assert.equal(drill(9), drill(9));
  });
}

test.run();
