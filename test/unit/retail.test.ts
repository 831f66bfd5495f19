// The retail domain: its made-up databases, what is proven of every task, how it is heard, and its expert through real
// sessions. What its tools answer: test/golden/tau-bench.test.ts and test/unit/replay.test.ts.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { hears } from "../../src/domains/ears.ts";
import { type Dict, hash, parseObject } from "../../src/domains/python.ts";
import { makeTables, toDatabase } from "../../src/domains/retail/data.ts";
import { retail } from "../../src/domains/retail/index.ts";
import { asks, brokenRules, violates } from "../../src/domains/retail/rules.ts";
import { Store, sameState } from "../../src/domains/store.ts";
import { readCall } from "../../src/domains/tool.ts";
import { Session } from "../../src/sandbox/session.ts";
import { mix, sampleTasks, trainDatabases } from "../../src/tasks/sampler.ts";
import type { AgentTurn, Call, Entry, Habits, Task, WrittenCall } from "../../src/types.ts";
import { ScriptedUser } from "../../src/user/scripted.ts";

const SEEDS = [1, 2, 3, 1_000_000];
const PASSIVE = ["refuse", "transfer", "information"];
const NO_HABITS: Habits = { skipsLookup: 0, skipsConfirmation: 0, wrongChoice: 0, ignoresRules: 0, recovers: 0 };

function tasksOf(family: string, seed: number, most = 8): Task[] {
  const tasks = Array.from({ length: most }, (_, index) => retail.task(family, seed, index));
  return tasks.filter((task) => task !== null);
}

const every = (most?: number) =>
  retail.families.flatMap((family) => SEEDS.flatMap((seed) => tasksOf(family, seed, most)));

const callOf = (call: WrittenCall): Call<Dict> => readCall(retail, call);

/** Runs calls on fresh data; throws where a tool does. */
function replay(task: Task, actions = task.actions): Store {
  const store = new Store(retail.database(task.database));
  for (const call of actions.map(callOf))
    retail.tools.find(({ name }) => name === call.name)!.call(store, call.arguments);
  return store;
}

type Agent = (transcript: readonly Entry[]) => AgentTurn;

/** Plays a task to its end; returns success and every rule that a call broke. */
async function play(
  task: Task,
  agent: Agent,
): Promise<{ success: number; broken: string[]; transcript: readonly Entry[] }> {
  const session = new Session(retail, task, new ScriptedUser(retail, task, 1), { checkOutputs: true });
  await session.start();
  const broken: string[] = [];
  while (!session.ending) {
    const turn = agent(session.transcript);
    for (const { name, arguments: json } of turn.calls) {
      const rule = violates({ name, arguments: parseObject(json) }, session.store, session.transcript);
      if (rule) broken.push(rule);
    }
    await session.act(turn);
  }
  return { success: session.outcome().success, broken, transcript: session.transcript };
}

const say = (text: string): AgentTurn => ({ text, calls: [], invalid: null });
const call = (name: string, args: object): AgentTurn => ({
  text: "",
  calls: [{ name, arguments: JSON.stringify(args) }],
  invalid: null,
});

test("there are tau-bench's sixteen tools, seven of which write", () => {
  assert.is(retail.tools.length, 16);
  assert.is(retail.tools.filter(({ writes }) => writes).length, 7);
  assert.equal(
    retail.tools.filter(({ ends }) => ends).map(({ name }) => name),
    ["transfer_to_human_agents"],
  );
});

test("a database is a function of its seed and sizes", () => {
  const digest = (seed: number, orders: number) =>
    hash(toDatabase(makeTables(seed, { users: 20, orders, products: 10 })));
  assert.is(digest(5, 40), digest(5, 40));
  assert.is.not(digest(5, 40), digest(6, 40));
  assert.is.not(digest(5, 40), digest(5, 41));
  const { users, orders, products } = makeTables(5);
  assert.equal(
    [users, orders, products].map((table) => Object.keys(table).length),
    [60, 120, 20],
  );
  assert.throws(() => makeTables(1, { users: 1, orders: 1, products: 31 }), /expected 1 to 30/);
});

test("a database is consistent, and none of its ids can be tau-bench's", () => {
  for (const seed of SEEDS) {
    const { users, orders, products } = makeTables(seed);
    const all = Object.values(orders);
    const twice = all.filter(({ items }) => new Set(items.map(({ name }) => name)).size < items.length);
    assert.ok(twice.length > 5 && twice.length < 35, `${twice.length} of 120 orders have a product twice`); // 18 expected
    for (const order of all)
      assert.is(new Set(order.items.map(({ item_id }) => item_id)).size, order.items.length, "never the same item");
    const items = new Set<string>();
    for (const [id, { product_id, variants }] of Object.entries(products)) {
      assert.is(id, product_id);
      assert.match(id, /^\d{8}$/); // tau-bench: 10 digits
      for (const item of Object.keys(variants)) {
        assert.match(item, /^\d{9}$/); // 10 digits
        assert.not(items.has(item));
        items.add(item);
      }
    }
    for (const [id, order] of Object.entries(orders)) {
      assert.match(id, /^#R\d{6}$/); // #W and 7 digits
      const user = users[order.user_id];
      assert.ok(user.orders.includes(id));
      const [{ amount, payment_method_id }] = order.payment_history;
      assert.ok(payment_method_id in user.payment_methods);
      assert.is(amount, Number(order.items.reduce((sum, { price }) => sum + price, 0).toFixed(2)));
      for (const { item_id, product_id, price } of order.items)
        assert.is(products[product_id].variants[item_id].price, price);
    }
    for (const [id, { payment_methods, orders: own }] of Object.entries(users)) {
      assert.match(id, /^[a-z]+_[a-z]+_\d{3}$/); // 4 digits
      for (const order of own) assert.is(orders[order].user_id, id);
      for (const method of Object.keys(payment_methods)) assert.match(method, /^(gift_card|paypal|credit_card)_\d{6}$/); // 7
    }
  }
});

test("every family has tasks on every database, no two alike, all of them plain JSON", () => {
  for (const seed of SEEDS) {
    const tasks = retail.families.flatMap((family) => {
      const some = tasksOf(family, seed, 40);
      assert.ok(some.length >= 8, `${family} on ${seed}: ${some.length}`);
      return some;
    });
    assert.is(new Set(tasks.map(({ id }) => id)).size, tasks.length);
    assert.is(new Set(tasks.map(({ scenario }) => JSON.stringify(scenario))).size, tasks.length);
    for (const task of tasks) assert.equal(JSON.parse(JSON.stringify(task)), task);
  }
  assert.is(retail.task("cancel", 1, 10_000), null);
  assert.is(retail.task("nonsense", 1, 0), null);
  assert.equal(retail.task("several", 7, 3), retail.task("several", 7, 3));
});

test("every tool that writes is some task's ground truth", () => {
  const used = new Set(every().flatMap(({ actions }) => actions.map(({ name }) => name)));
  assert.equal(
    [...used].sort(),
    retail.tools
      .filter(({ writes }) => writes)
      .map(({ name }) => name)
      .sort(),
  );
});

test("every write of a ground truth succeeds, breaks no rule, and cannot be left out", () => {
  for (const task of every()) {
    assert.is(task.actions.length === 0, PASSIVE.includes(task.family), task.id);
    const end = replay(task);
    assert.ok(sameState(end, replay(task)));
    const store = new Store(retail.database(task.database));
    for (const [i, action] of task.actions.entries()) {
      const step = callOf(action);
      assert.equal(brokenRules(step, store, task.customer), [], task.id);
      retail.tools.find(({ name }) => name === step.name)!.call(store, step.arguments);
      let without: Store | null = null;
      try {
        without = replay(task, task.actions.toSpliced(i, 1));
      } catch {}
      assert.ok(without === null || !sameState(without, end), task.id);
    }
  }
});

test("what is refused breaks exactly one rule, and all rules occur", () => {
  const rules = new Set<string>();
  for (const task of SEEDS.flatMap((seed) => tasksOf("refuse", seed, 120))) {
    const { forbidden, customer } = task;
    const broken = brokenRules(callOf(forbidden!.action), new Store(retail.database(task.database)), customer);
    assert.equal(broken, [forbidden!.rule], task.id);
    // Whoever can have a part of the wish may be offered it.
    const { item_ids } = JSON.parse(forbidden!.action.arguments);
    if (forbidden!.rule.startsWith("a new item")) assert.is(item_ids.length, 1, task.id);
    rules.add(broken[0].replace(/is (delivered|processed|pending), /, ""));
  }
  assert.equal([...rules].sort(), [
    "a new item is not available",
    "a new item is not of the same product",
    "a new item is the same as the old one",
    "it concerns another customer",
    "the gift card does not cover the amount",
    "the gift card does not cover the difference",
    "the order not delivered",
    "the order not pending",
    "the payment method is the one used before",
    "the reason is none of the two",
    "the refund goes neither to the original payment method nor to a gift card",
  ]);
});

const tablesOf = (() => {
  const made = new Map<number, ReturnType<typeof makeTables>>();
  return (seed: number) => made.get(seed) ?? made.set(seed, makeTables(seed)).get(seed)!;
})();

/** Where an instruction says something once, the one call of its ground truth, and what it is about. */
function* saying(words: RegExp) {
  for (const task of every(40)) {
    const { users, orders } = tablesOf(task.database);
    const [found, more] = task.instruction.matchAll(words);
    const [action, another] = task.actions;
    if (!found || more || !action || another || task.forbidden) continue;
    const args = JSON.parse(action.arguments) as Record<string, string> & { item_ids: string[] };
    const order = orders[args.order_id];
    if (order) yield { found, args, user: users[task.customer!], orders, order };
  }
}

test("the customer's words fit one order alone, by its contents, its status, or beside the others", () => {
  let count = 0;
  for (const { found, args, user, orders } of saying(/your order with the ([A-Z]\w+(?: [A-Z]\w+)*)/g)) {
    const fits = user.orders.filter((id) => orders[id].items.some(({ name }) => name === found[1]));
    assert.equal(fits, [args.order_id]);
    count++;
  }
  for (const { found, args, user, orders } of saying(/the order of yours that is (\w+)/g)) {
    assert.equal(
      user.orders.filter((id) => orders[id].status === found[1]),
      [args.order_id],
    );
    count++;
  }
  const measures: Record<string, (order: ReturnType<typeof makeTables>["orders"][string]) => number> = {
    "most expensive": ({ items }) => items.reduce((sum, { price }) => sum + price, 0),
    cheapest: ({ items }) => -items.reduce((sum, { price }) => sum + price, 0),
    "most items": ({ items }) => items.length,
  };
  for (const { found, args, user, orders } of saying(
    /your (?:(most expensive|cheapest) (\w+) order|(\w+) order with the (most items))/g,
  )) {
    const [, kind, status = found[3]] = found;
    const peers = user.orders.map((id) => orders[id]).filter((order) => order.status === status);
    const measure = measures[kind ?? found[4]];
    for (const other of peers)
      if (other.order_id !== args.order_id) assert.ok(measure(other) < measure(orders[args.order_id]), found[0]);
    assert.ok(peers.length > 1);
    count++;
  }
  assert.ok(count > 60, `${count}`);
  for (const task of every(20))
    for (const [, id] of task.instruction.matchAll(/(#R\d+)/g))
      assert.ok(id in tablesOf(task.database).orders, task.id);
});

test("the customer's words fit one payment method alone", () => {
  let count = 0;
  for (const { found, args, user, order } of saying(
    /the other payment method in your account|what you paid with|your credit card\b/g,
  )) {
    const methods = Object.values(user.payment_methods);
    const used = order.payment_history[0].payment_method_id;
    const fits = methods.filter(({ id, source }) =>
      found[0].startsWith("the other")
        ? id !== used
        : found[0].startsWith("what")
          ? id === used
          : source === "credit_card",
    );
    assert.equal(
      fits.map(({ id }) => id),
      [args.payment_method_id],
    );
    count++;
  }
  assert.ok(count > 30, `${count}`);
});

test("everything, everything but one, and all pending orders mean just these", () => {
  let count = 0;
  for (const { found, args, order } of saying(
    /(?:return|send back) (all items|everything)(?: but the ([\w ]+?)(?: with .+?)?)? in (?:order|your|the)/g,
  )) {
    const ids = order.items.filter(({ name }) => name !== found[2]).map(({ item_id }) => item_id);
    const twice = order.items.filter(({ name }) => name === found[2]).length > 1;
    if (!twice) assert.equal([...args.item_ids].sort(), ids.sort());
    assert.is(args.item_ids.length, order.items.length - (found[2] ? 1 : 0));
    count++;
  }
  assert.ok(count > 10, `${count}`);
  const all = every(60).filter(
    ({ family, instruction }) => family === "cancel" && /all your|every order/.test(instruction),
  );
  for (const { actions, customer, database } of all) {
    const { users, orders } = tablesOf(database);
    const pending = users[customer!].orders.filter((id) => orders[id].status === "pending");
    assert.equal(actions.map((action) => JSON.parse(action.arguments).order_id).sort(), pending.sort());
  }
  assert.ok(all.length > 3, `${all.length}`);
});

test("what has to be told is what the data says", () => {
  const kinds = { paid: 0, together: 0, total: 0, costs: 0, beside: 0 };
  for (const { instruction, outputs, customer, database, actions } of every(60).filter(
    ({ outputs }) => outputs.length,
  )) {
    const { users, orders, products } = tablesOf(database);
    const mine = users[customer!].orders.map((id) => orders[id]);
    const [output] = outputs;
    if (actions.length > 0) kinds.beside++;
    const [, name, id] = /what you paid for the ([\w ]+?)(?: with .+?)? of order (#R\d+)/.exec(instruction) ?? [];
    if (name) {
      const prices = orders[id].items.filter((item) => item.name === name).map(({ price }) => price);
      assert.ok(prices.includes(Number(output)), `${prices}: ${output}`);
      kinds.paid++;
    }
    const [, status] = /what your (\w+) orders cost all together/.exec(instruction) ?? [];
    if (status) {
      const sum = mine
        .filter((order) => order.status === status)
        .flatMap(({ items }) => items.map(({ price }) => price));
      assert.ok(Math.abs(sum.reduce((a, b) => a + b, 0) - Number(output)) < 0.006, output);
      kinds.together++;
    }
    const [, whole] = /how much you paid for order (#R\d+)/.exec(instruction) ?? [];
    if (whole) {
      assert.is(orders[whole].payment_history[0].amount, Number(output));
      kinds.total++;
    }
    const [, product] = /what the cheapest ([\w ]+) that you have in stock costs/.exec(instruction) ?? [];
    if (product) {
      const { variants } = Object.values(products).find((each) => each.name === product)!;
      const prices = Object.values(variants).flatMap(({ available, price }) => (available ? [price] : []));
      assert.is(Math.min(...prices), Number(output));
      kinds.costs++;
    }
  }
  for (const [kind, count] of Object.entries(kinds)) assert.ok(count > 4, `${kind}: ${count}`);
});

test("the truth is a reading; every other one fails, breaks a rule or ends the same", () => {
  let others = 0;
  for (const task of every(12)) {
    if (task.actions.length === 0) continue;
    const all = [...retail.readings!(task)];
    const text = JSON.stringify(task.actions);
    assert.ok(
      all.some((reading) => JSON.stringify(reading) === text),
      task.id,
    );
    for (const reading of all) {
      if (JSON.stringify(reading) === text) continue;
      others++;
      const store = new Store(retail.database(task.database));
      const runs = reading.map(callOf).every((step) => {
        if (brokenRules(step, store, task.customer).length > 0) return false;
        try {
          retail.tools.find(({ name }) => name === step.name)!.call(store, step.arguments);
          return true;
        } catch {
          return false;
        }
      });
      assert.ok(!runs || sameState(store, replay(task)), task.id);
    }
  }
  assert.ok(others > 40, `${others}`);
});

test("no slip of the tongue means the truth", () => {
  let count = 0;
  for (const task of every(30)) {
    const { slips = {} } = task.scenario;
    const { users } = tablesOf(task.database);
    const args = task.actions.map((action) => JSON.parse(action.arguments));
    for (const [slot, slip] of Object.entries(slips)) {
      const [{ reason, payment_method_id, zip, address1 }] = args.length
        ? args
        : [JSON.parse(task.forbidden!.action.arguments)];
      if (slot === "reason") assert.not.match(slip, reason === "no longer needed" ? /need/ : /mistake/);
      if (slot === "address") assert.not.ok(slip.includes(zip) && slip.includes(address1), task.id);
      if (slot !== "payment") continue;
      const [, kind, digits] = /my (gift card|PayPal|\w+ ending in (\d+))/.exec(slip)!;
      const meant = Object.values(users[task.customer!].payment_methods).filter((method) =>
        method.source === "credit_card"
          ? method.last_four === digits
          : kind === (method.source === "paypal" ? "PayPal" : "gift card"),
      );
      assert.is(meant.length, 1);
      assert.is.not(meant[0].id, payment_method_id, `${task.id}: ${slip}`);
      count++;
    }
  }
  assert.ok(count > 100, `${count}`);
});

test("a fallback is served where the first wish is forbidden, told at once or after the refusal", async () => {
  const told = { early: 0, late: 0 };
  for (const task of SEEDS.flatMap((seed) => tasksOf("fallback", seed, 12))) {
    const { forbidden, scenario, customer, database } = task;
    const broken = brokenRules(callOf(forbidden!.action), new Store(retail.database(database)), customer);
    assert.equal(broken, [forbidden!.rule], task.id);
    const { success, transcript } = await play(task, retail.expert!(task, NO_HABITS, 1));
    assert.is(success, 1, task.id);
    const refusals = transcript.filter((e) => e.role === "agent" && hears(e.text).refuses).length;
    assert.is(refusals, scenario.wording!.hard ? 1 : 0, task.id);
    assert.is(scenario.otherwise?.length, scenario.wording!.hard ? 1 : undefined);
    if (scenario.wording!.hard) {
      told.late++;
      assert.ok(transcript.some((e) => e.role === "user" && e.text === scenario.otherwise![0]));
    } else told.early++;
    // Neither a refusal and no more nor the forbidden call passes.
    const email = /\S+@mail\.example/.exec(JSON.stringify(scenario.facts))![0].replace(/\.$/, "");
    let turn = 0;
    const lazy = () =>
      turn++ === 0 ? call("find_user_id_by_email", { email }) : say("I am sorry, that is not possible.");
    assert.is((await play(task, lazy)).success, 0, task.id);
  }
  assert.ok(told.early > 10 && told.late > 10, JSON.stringify(told));
});

test("easy wordings name things at once, hard ones leave them to be asked for", () => {
  const seen = new Set<string>();
  for (const task of every(20)) {
    const { opening, facts, given = [], wording } = task.scenario;
    const { easy, hard } = wording!;
    seen.add(`${easy} ${hard}`);
    const named = opening.includes(facts.email) || opening.includes(facts.name);
    if (easy) assert.ok(named, task.id);
    if (!easy && hard) assert.not(named, task.id);
    if (easy) assert.not.match(opening, /my (most|cheapest|only|order)|order of mine/, task.id);
    if (task.family === "several" || task.family === "fallback" || !hard) continue;
    for (const slot of ["reason", "payment", "option", "address"])
      assert.not(given.includes(slot), `${task.id}: ${slot}`);
  }
  assert.is(seen.size, 4);
});

test("the expert without habits breaks no rule and passes every task", async () => {
  for (const task of every(6)) {
    const { success, broken, transcript } = await play(task, retail.expert!(task, NO_HABITS, 1));
    assert.is(success, 1, `${task.id}: ${JSON.stringify(transcript.at(-1))}`);
    assert.equal(broken, [], task.id);
  }
});

test("the expert's habits are the mistakes that they are named for", async () => {
  const active = SEEDS.flatMap((seed) =>
    ["cancel", "address", "items", "exchange"].flatMap((f) => tasksOf(f, seed, 2)),
  );
  const played = (habit: Partial<Habits>, tasks: readonly Task[]) =>
    Promise.all(tasks.map((task) => play(task, retail.expert!(task, { ...NO_HABITS, ...habit }, 1))));
  for (const { success } of await played({ wrongChoice: 1 }, active)) assert.is(success, 0);
  for (const { success, broken } of await played({ skipsConfirmation: 1 }, active)) {
    assert.is(success, 1);
    assert.equal(broken, ["the customer has not said yes to it"]);
  }
  for (const { broken } of await played({ skipsLookup: 1 }, active))
    assert.equal(broken, ["the order was not looked at"]);
  const refused = SEEDS.flatMap((seed) => tasksOf("refuse", seed, 4));
  for (const { success } of await played({ ignoresRules: 1 }, refused)) assert.is(success, 0);
  for (const { success, transcript } of await played({ recovers: 1 }, active)) {
    assert.is(success, 1);
    const slipped = transcript.some(
      (e) => (e.role === "agent" && e.text.startsWith("Wait,")) || (e.role === "tool" && e.failed),
    );
    assert.ok(slipped);
  }
});

test("doing nothing passes nothing; always refusing or handing over passes less than .15 of the default mix", async () => {
  const tasks = sampleTasks(retail, mix(retail, [], 0.15), trainDatabases(10), 100, "lazy");
  const rate = async (agent: () => Agent) => {
    const played = await Promise.all(tasks.map((task) => play(task, agent())));
    return played.reduce((sum, { success }) => sum + success, 0) / tasks.length;
  };
  assert.is(await rate(() => () => say("Is there anything else?")), 0);
  assert.is(await rate(() => () => say("I am sorry, I cannot do that.")), 0);
  assert.is(await rate(() => () => call("transfer_to_human_agents", { summary: "help" })), 0);
  const email = (transcript: readonly Entry[]) => /\S+@mail\.example/.exec(JSON.stringify(transcript))?.[0];
  const after = (last: AgentTurn) => () => {
    let found = false;
    return (transcript: readonly Entry[]) => {
      if (found) return last;
      const known = email(transcript)?.replace(/^"|[."]+$/g, "");
      if (!known) return say("What is your e-mail address?");
      found = true;
      return call("find_user_id_by_email", { email: known });
    };
  };
  assert.ok((await rate(after(call("transfer_to_human_agents", { summary: "help" })))) < 0.15);
  assert.ok((await rate(after(say("I am sorry, I cannot do that.")))) < 0.15);
});

test("messages are heard as a customer would", () => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ["Could you please provide your email address so I can find your account?", "", ["email"]],
    ["May I have your e-mail, or your full name and zip code?", "", ["email", "name"]],
    ["What is the order number?", "", ["order"]],
    ["Please tell me the reason for the cancellation.", "", ["reason"]],
    ["Which items would you like to return, and which payment method should get the refund?", "", ["items", "payment"]],
    ["What is the new address?", "", ["address"]],
    ["I will cancel order #R1 and refund $10. Shall I go ahead?", "confirms", []],
    ["Your order will be cancelled. Do you confirm these details (yes/no)?", "confirms", []],
    ["Please reply with 'yes' to proceed.", "confirms", []],
    ["Your order #R1 has been cancelled.", "claimsDone", []],
    ["All done! Is there anything else I can help you with?", "claimsDone", []],
    ["I'm sorry, but a delivered order can't be cancelled.", "refuses", []],
    ["Unfortunately I am unable to do that.", "refuses", []],
    ["Once you agree, the order can be cancelled.", "", []],
    ["One moment.", "", []],
  ];
  for (const [message, heard, slots] of cases) {
    const speech = hears(message);
    const names = Object.keys(speech).filter((name) => speech[name as keyof typeof speech]);
    assert.is(names.join(), heard, message);
    assert.equal(asks(message), slots, message);
  }
});

test("a write needs a known customer, their own order, a look at it and a yes", () => {
  const task = retail.task("cancel", 1, 0)!;
  const userId = task.customer!;
  const step = callOf(task.actions[0]);
  const store = new Store(retail.database(1));
  const tool = (name: string, args: object, observation: string): Entry => {
    const call = { name, arguments: parseObject(JSON.stringify(args)) };
    return { role: "tool", turn: 0, call, observation, failed: false, wrote: false };
  };
  const talk: Entry[] = [{ role: "user", text: "Cancel my order." }];
  const now = () => violates(step, store, talk);
  assert.is(now(), "the customer was not identified");
  assert.is(
    violates(step, store, [...talk, tool("find_user_id_by_email", { email: "x" }, "somebody_else_1")]),
    "it concerns another customer",
  );
  talk.push(tool("find_user_id_by_email", { email: "x" }, userId));
  assert.is(now(), "the order was not looked at");
  talk.push(tool("get_order_details", { order_id: step.arguments.get("order_id") }, "{}"));
  assert.is(now(), "the customer has not said yes to it");
  talk.push({ role: "agent", turn: 1, text: "Shall I cancel it?" }, { role: "user", text: "No, wait." });
  assert.is(now(), "the customer has not said yes to it");
  talk.push({ role: "agent", turn: 2, text: "Shall I cancel it?" }, { role: "user", text: "Yes." });
  assert.is(now(), null);
  assert.is(violates({ name: "think", arguments: new Map() }, store, []), null);
  step.arguments.set("order_id", ["odd"]);
  assert.is(now(), null); // the tool answers it
});

test.run();
