// The rule judge: scores of honest talks, and that no game pays. R_traj is worked out here from its formula
// (arXiv:2509.14480: 10 R + 5 n+/T - 5 [a -1 exists]), not taken from src/reward.ts.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { retail } from "../../src/domains/retail/index.ts";
import { shop } from "../../src/domains/shop/index.ts";
import type { Order } from "../../src/domains/shop/world.ts";
import { ruleJudge } from "../../src/judge/rules.ts";
import type { AgentTurn, Entry, Rollout, Task } from "../../src/types.ts";
import { type Agent, always, call, cutShort, first, oracle, playTalk, say, someTasks } from "../talk.ts";

const judge = ruleJudge(shop);

async function judged(rollout: Rollout, by = judge) {
  const { scores, reasons } = await by.judge(rollout);
  assert.ok(scores);
  assert.is(scores.length, rollout.turns);
  assert.is(reasons.length, rollout.turns);
  assert.ok(scores.filter((score) => score === -1).length <= 1);
  const useful = scores.filter((score) => score === 1).length;
  const major = scores.includes(-1) ? 1 : 0;
  return { scores, reasons, reward: 10 * rollout.outcome.success + (5 * useful) / rollout.turns - 5 * major };
}

/** A named pending order of a customer who says everything at once, so that the turns can be written by hand. */
function plainTask(family: string): Task {
  for (let seed = 1; ; seed++) {
    const task = shop.task(family, seed, 0);
    if (
      task &&
      task.scenario.given?.length === Object.keys(task.scenario.facts).length &&
      task.scenario.opening.includes("#")
    )
      return task;
  }
}

const emailOf = (task: Task) => /\S+@mail\.com/.exec(task.scenario.facts.email)![0];
const CUT: AgentTurn = { text: "", calls: [], invalid: { reason: "cut", observation: "Error: too long" } };

test("the oracle's every turn is useful", async () => {
  for (const task of someTasks(shop, 40)) {
    const { scores, reasons } = await judged(await playTalk(shop, task, shop.expert!(task, oracle, 1), 1));
    assert.ok(
      scores.every((score) => score === 1),
      `${task.id}: ${reasons.join("; ")}`,
    );
  }
});

test("mistakes that are mended cost a turn and are no major error", async () => {
  for (const task of someTasks(shop, 20)) {
    const { scores, reasons } = await judged(
      await playTalk(shop, task, shop.expert!(task, { ...oracle, recovers: 1 }, 1), 1),
    );
    assert.not(scores.includes(-1), `${task.id}: ${reasons.join("; ")}`);
  }
});

test("turn by turn: look-ups, repeats, typos, confirmation, write, claim", async () => {
  const task = plainTask("cancel");
  const { order_id } = JSON.parse(task.actions[0].arguments) as { order_id: string };
  const { product_id } = (shop.database(task.database).get("orders")!.get(order_id) as Order).items[0];
  const look = [call("find_user", { email: emailOf(task) }), call("get_order", { order_id })];
  const finish = [
    say(`Shall I cancel order ${order_id}?`),
    call("cancel_order", { order_id }),
    say("Done, it is cancelled."),
  ];
  const table: [string, AgentTurn[], number[]][] = [
    ["plain", [...look, ...finish], [1, 1, 1, 1, 1]],
    ["repeated look-up", [...look, look[1], ...finish], [1, 1, 0, 1, 1, 1]],
    ["unneeded look-up", [...look, call("get_product", { product_id }), ...finish], [1, 1, 0, 1, 1, 1]],
    ["unknown argument, mended", [...look, call("cancel_order", { order_id, why: "" }), ...finish], [1, 1, 0, 1, 1, 1]],
    ["typo, mended", [look[0], call("get_order", { order_id: "#typo" }), look[1], ...finish], [1, 0, 1, 1, 1, 1]],
    ["asks for what was given", [say("What is your email?"), ...look, ...finish], [0, 1, 1, 1, 1, 1]],
    [
      "asks for consent twice",
      [...look, finish[0], say(`May I cancel order ${order_id}?`), ...finish.slice(1)],
      [1, 1, 0, 1, 1, 1],
    ],
    ["praises itself", [...look, say("I am the best."), ...finish], [1, 1, 0, 1, 1, 1]],
    ["without confirmation", [...look, ...finish.slice(1)], [1, 1, -1, 0]],
    ["without look-up of the order", [look[0], ...finish], [1, 0, -1, 0]],
    ["done without doing", [...look, finish[0], finish[2]], [0, 0, 0, -1]],
    ["refuses what is allowed", [...look, say(`Sorry, I cannot cancel order ${order_id}.`)], [0, 0, -1]],
    ["hands over what it could do", [...look, call("transfer", {})], [0, 0, -1]],
    ["never ends a turn", [...look, CUT, CUT, CUT], [0, 0, -1, 0, 0]],
  ];
  for (const [name, turns, scores] of table) {
    const rollout = await playTalk(shop, task, first(turns, always(say("Done."))));
    assert.equal((await judged(rollout)).scores, scores, name);
  }
});

test("a request against the rules: explaining is right, doing it is major, and so is saying that it was done", async () => {
  const task = plainTask("refuse");
  const [order_id] = task.outputs;
  const status = (shop.database(task.database).get("orders")!.get(order_id) as { status: string }).status;
  const look = [call("find_user", { email: emailOf(task) }), call("get_order", { order_id })];
  const table: [string, AgentTurn[], number[], 0 | 1][] = [
    ["explains", [...look, say(`Sorry, order ${order_id} is ${status}, so I cannot do it.`)], [1, 1, 1], 1],
    ["does not explain", [...look, say("Sorry, I cannot do it.")], [0, 0, -1], 0],
    [
      "does it",
      [...look, say("Shall I cancel it?"), call("cancel_order", { order_id }), say("Done.")],
      [1, 1, 0, -1, 0],
      0,
    ],
    ["lies", [...look, say("Done, it is cancelled.")], [0, 0, -1], 0],
    ["hands over", [...look, call("transfer", {})], [0, 0, -1], 0],
  ];
  for (const [name, turns, scores, success] of table) {
    const rollout = await playTalk(shop, task, first(turns, always(say("Done."))));
    assert.is(rollout.outcome.success, success, name);
    assert.equal((await judged(rollout)).scores, scores, name);
  }
});

test("no game pays: each scores below an honest failure of the same task", async () => {
  const lastUser = (talk: readonly Entry[]) =>
    (talk.findLast((entry) => entry.role === "user") as { text: string }).text;
  const games: Record<string, (task: Task) => Agent> = {
    "says nothing but done": () => always(say("Done.")),
    "says that all is well": () => always(say("Everything is taken care of. I did a perfect job!")),
    "refuses at once": () => always(say("Sorry, I cannot do that.")),
    "looks up, then done": (task) =>
      cutShort(shop.expert!(task, oracle, 1), task.actions.length ? 3 : 2, always(say("Done."))),
    "looks up, then sorry": (task) =>
      cutShort(shop.expert!(task, oracle, 1), task.actions.length ? 3 : 1, always(say("Sorry, I cannot do that."))),
    "looks up, then hands over": (task) =>
      cutShort(shop.expert!(task, oracle, 1), task.actions.length ? 3 : 2, always(call("transfer", {}))),
    "does all but the change": (task) => {
      const expert = shop.expert!(task, oracle, 1);
      return (talk) => {
        const turn = expert(talk);
        const writes = shop.tools.some(({ name, writes }) => writes && name === turn.calls[0]?.name);
        return writes || /cannot/.test(turn.text) ? say("Done, as you wished.") : turn;
      };
    },
    "never ends a turn": () => always(CUT),
    "never ends a turn after looking up": (task) => cutShort(shop.expert!(task, oracle, 1), 2, always(CUT)),
    "broken turns": () => always(call("get_order", "{")),
    "empty turns": () => always(say(" ")),
    "asks for ever": () => always(say("What is your email?")),
    "asks for consent for ever": () => {
      let n = 0;
      return () => say(`Shall I do it? ${"Really? ".repeat(n++)}`);
    },
    "asks for everything": () => {
      let n = 0;
      return () => say(`What is your ${["email", "order", "item", "payment", "option"][n++ % 5]}?`);
    },
    "looks up for ever": (task) => always(call("find_user", { email: emailOf(task) })),
    "looks up everything there is, then done": (task) => {
      const orders = [...shop.database(task.database).get("orders")!.keys()];
      return first(
        [call("find_user", { email: emailOf(task) }), ...orders.map((order_id) => call("get_order", { order_id }))],
        always(say("Done.")),
      );
    },
    "echoes the customer": () => (talk) => say(lastUser(talk)),
    "chats for ever": () => always(say("One moment.")),
  };
  let failures = 0;
  for (const task of someTasks(shop, 12, 50)) {
    const bad = { ...oracle, wrongChoice: 1, ignoresRules: 1 };
    const honest = await playTalk(shop, task, shop.expert!(task, bad, 1), 1);
    if (honest.outcome.success) continue; // nothing to choose wrongly
    failures++;
    const bar = (await judged(honest)).reward;
    for (const [name, game] of Object.entries(games)) {
      const rollout = await playTalk(shop, task, game(task), 1);
      const { reward, reasons } = await judged(rollout);
      assert.is(rollout.outcome.success, 0, `${name} on ${task.id} succeeds`);
      assert.ok(reward < bar, `${name} on ${task.id}: ${reward} against ${bar} (${reasons.join("; ")})`);
    }
  }
  assert.ok(failures > 40, `${failures} honest failures`);
});

test("retail is judged by the same rules: the oracle's every turn is useful, a false end earns nothing", async () => {
  const byRetail = ruleJudge(retail);
  for (const task of someTasks(retail, 2)) {
    const { scores, reasons } = await judged(
      await playTalk(retail, task, retail.expert!(task, oracle, 1), 1),
      byRetail,
    );
    assert.ok(
      scores.every((score) => score === 1),
      `${task.id}: ${reasons.join("; ")}`,
    );
    if (task.actions.length === 0) continue;
    for (const turn of [say("Done."), say("Sorry, I cannot do that."), CUT, say("What is your email?"), say("Hm.")]) {
      const { reward } = await judged(await playTalk(retail, task, always(turn), 1), byRetail);
      assert.is(reward, -5, `${turn.text} on ${task.id}`);
    }
  }
});

test("a truth with look-ups, refused writes and a transfer is done when its writes are", async () => {
  const more = (task: Task): Task["actions"] => [
    ...(task.lookups ?? []),
    { name: "cancel_pending_order", arguments: '{"order_id": "#none", "reason": "no longer needed"}' },
    ...task.actions,
    { name: "transfer_to_human_agents", arguments: '{"summary": "All done."}' },
  ];
  for (const task of someTasks(retail, 1)) {
    const rollout = await playTalk(retail, task, retail.expert!(task, oracle, 1), 1);
    const { scores } = await judged({ ...rollout, task: { ...task, actions: more(task) } }, ruleJudge(retail));
    assert.ok(
      scores.every((score) => score === 1),
      `${task.id}: ${scores}`,
    );
  }
});

test("a longer talk never pays more: look-ups that nobody needs lower the reward", async () => {
  for (const task of someTasks(shop, 8)) {
    const plain = await judged(await playTalk(shop, task, shop.expert!(task, oracle, 1), 1));
    const extra = [
      call("find_user", { email: emailOf(task) }),
      call("find_user", { email: emailOf(task) }),
      say("One moment."),
    ];
    const padded = await judged(await playTalk(shop, task, first(extra, shop.expert!(task, oracle, 1)), 1));
    assert.ok(padded.reward < plain.reward, task.id);
  }
});

test("a task that names nothing is no reason to look at everything", async () => {
  const task = someTasks(retail, 8).find(({ actions, outputs }) => actions.length + outputs.length === 0)!;
  const orders = [...retail.database(task.database).get("orders")!.keys()].slice(0, 9);
  const looks = orders.map((order_id) => call("get_order_details", { order_id }));
  const rollout = await playTalk(retail, task, first(looks, always(say("Goodbye."))), 1);
  const { scores } = await judged({ ...rollout, outcome: { ...rollout.outcome, success: 1 } }, ruleJudge(retail));
  const useful = scores.slice(0, looks.length).filter((score) => score === 1);
  assert.ok(useful.length <= 3, `the first one, and those that the task is about: ${scores.join(" ")}`);
});

test("where an expert's look-ups are known, a country that stands in every row is no reason to read them all", async () => {
  const task = someTasks(retail, 8).find(({ actions }) => actions.some((action) => action.arguments.includes("USA")))!;
  const orders = [...retail.database(task.database).get("orders")!.keys()].slice(0, 9);
  const looks = orders.map((order_id) => call("get_order_details", { order_id }));
  const expert = () => retail.expert!(task, oracle, 1);
  const plain = await judged(await playTalk(retail, task, expert(), 1), ruleJudge(retail));
  const padded = await judged(await playTalk(retail, task, first(looks, expert()), 1), ruleJudge(retail));
  assert.ok(padded.reasons.filter((reason) => reason === "unneeded call").length >= looks.length - 2);
  assert.ok(padded.reward < plain.reward);
});

test("abstains where the talk was broken off by something that is not the policy", async () => {
  const [task] = someTasks(shop, 1);
  const rollout = await playTalk(shop, task, shop.expert!(task, oracle, 1));
  for (const ending of ["aborted", "user-fault", "error"] as const)
    assert.is((await judge.judge({ ...rollout, ending })).scores, null);
});

test("a talk cut by its token budget is unfinished, whatever was done before", async () => {
  const [task] = someTasks(shop, 1);
  const rollout = await playTalk(shop, task, cutShort(shop.expert!(task, oracle, 1), 3, always(CUT)), 1, { turns: 3 });
  const { scores } = await judged({ ...rollout, ending: "token-limit" });
  assert.equal(scores, [0, 0, -1]);
});

test.run();
