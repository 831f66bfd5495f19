// The ground truth of goals on a toy backend: what is found, what is refused, and why something is no task.

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  combinations,
  forbiddenBy,
  type Goal,
  type Ground,
  NOTHING,
  run,
  truthOf,
} from "../../src/domains/making/goals.ts";
import type { Store } from "../../src/domains/store.ts";
import { ToolError } from "../../src/errors.ts";
import type { Tool, WrittenCall } from "../../src/types.ts";

interface Account {
  money: number;
  readonly closed?: boolean;
}

const take: Tool = {
  name: "take",
  description: "",
  parameters: {},
  writes: true,
  call(store: Store, { id, amount }: { id: string; amount: number }) {
    if (!store.get("accounts", id)) throw new ToolError("no such account");
    store.edit<Account>("accounts", id).money -= amount;
    return "taken";
  },
};

const ground: Ground = {
  domain: {
    tools: [take],
    rules: ({ arguments: { id, amount } }, store) => {
      const account = store.get<Account>("accounts", id);
      return [
        ...(account && account.money < amount ? ["too little money"] : []),
        ...(account?.closed ? ["the account is closed"] : []),
      ];
    },
  },
  database: new Map([
    [
      "accounts",
      new Map<string, Account>([
        ["a", { money: 10 }],
        ["b", { money: 3 }],
        ["c", { money: 1, closed: true }],
      ]),
    ],
  ]),
};

const calls = (id: string, amount: number): WrittenCall[] => [
  { name: "take", arguments: JSON.stringify({ id, amount }) },
];
const goal = (readings: Goal["readings"], otherwise?: Goal): Goal => ({
  ...NOTHING,
  want: "take",
  readings,
  ...(otherwise && { otherwise }),
});
const truth = (...goals: Goal[]) => truthOf(ground, goals);

test("the only reading that runs and breaks no rule is the truth", () => {
  const found = truth(goal([calls("a", 5), calls("b", 5), calls("none", 5)]));
  assert.equal("actions" in found && found.actions, calls("a", 5));
});

test("two readings that end differently are ambiguous, two ways to the same end are not", () => {
  assert.equal(truth(goal([calls("a", 2), calls("b", 2)])), { why: "ambiguous" });
  const twice = [...calls("a", 1), ...calls("a", 1)];
  assert.ok("actions" in truth(goal([calls("a", 2), twice])));
});

test("without an allowed reading there is no truth, but what the customer falls back on", () => {
  assert.equal(truth(goal([calls("b", 5)])), { why: "impossible" });
  const found = truth(goal([calls("b", 5)], goal([calls("a", 5)])));
  assert.ok("actions" in found);
  assert.equal(found.actions, calls("a", 5));
  assert.equal(found.refused, [{ action: calls("b", 5)[0], rule: "too little money" }]);
  // Two rules at once, or a tool that fails, give no reason to refuse by.
  assert.equal(truth(goal([calls("c", 5)], goal([calls("a", 5)]))), { why: "impossible" });
  assert.equal(truth(goal([calls("none", 5)], goal([calls("a", 5)]))), { why: "impossible" });
});

test("a goal that no call serves is served beside others", () => {
  const found = truth(goal([calls("a", 4)]), goal([[]]));
  assert.equal("why" in found ? found : found.actions, calls("a", 4));
});

test("a call that changes nothing makes no task", () => {
  assert.equal(truth(goal([calls("a", 0)])), { why: "idle" });
});

test("goals that get into each other's way make no task, others any order", () => {
  assert.equal(truth(goal([calls("a", 6)]), goal([calls("a", 6), calls("b", 2)])), { why: "entangled" });
  const found = truth(goal([calls("a", 6)]), goal([calls("b", 2)]));
  assert.equal("actions" in found && found.actions, [...calls("a", 6), ...calls("b", 2)]);
});

test("what the rules allow once its fallback is done is no refusal", () => {
  assert.equal(truth(goal([calls("b", 5)], goal([calls("b", -2)]))), { why: "entangled" });
  assert.ok("actions" in truth(goal([calls("b", 5)], goal([calls("b", -1)]))));
});

test("what is forbidden breaks exactly one rule at its place", () => {
  assert.equal(forbiddenBy(ground, [], [calls("b", 5)]), { action: calls("b", 5)[0], rule: "too little money" });
  assert.is(forbiddenBy(ground, [], [calls("b", 2)]), null);
  assert.equal(forbiddenBy(ground, calls("b", 2), [calls("b", 2)])?.rule, "too little money");
  assert.is(forbiddenBy(ground, [], [calls("b", 5), calls("b", 6)]), null);
});

test("a run stops at the first failure or broken rule", () => {
  assert.is(run(ground, calls("b", 5)), null);
  assert.is(run(ground, calls("none", 1)), null);
  assert.is(run(ground, calls("a", 5))?.get<Account>("accounts", "a")?.money, 5);
});

test("combinations take one of each", () => {
  assert.equal(combinations([[1, 2], [3]]), [
    [1, 3],
    [2, 3],
  ]);
  assert.equal(combinations([[1], []]), []);
  assert.equal(combinations([]), [[]]);
});

test.run();
