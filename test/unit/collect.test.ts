// Rollouts and ledgers: the policy's own tokens and nothing else, in a fixed order, whatever happens.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { shop } from "../../src/domains/shop/index.ts";
import { faulty } from "../../src/errors.ts";
import { oracleHabits } from "../../src/eval/evaluate.ts";
import { demonstrateAs } from "../../src/play.ts";
import { derive } from "../../src/random.ts";
import { type Attempt, attempts, collect, converse, type Sandbox } from "../../src/rollout/collect.ts";
import { chatFormat } from "../../src/rollout/format.ts";
import { LedgerWriter } from "../../src/rollout/ledger.ts";
import { Session } from "../../src/sandbox/session.ts";
import type { Conversation, Format, Policy, Reply, Rollout } from "../../src/types.ts";
import { ScriptedUser } from "../../src/user/scripted.ts";
import { letters } from "../../src/vocabulary.ts";
import { FakePolicy } from "../fake-policy.ts";

const format = chatFormat(letters);
const limits = {
  turns: 30,
  invalidInRow: 3,
  checkOutputs: "off" as const,
  promptTokens: 4096,
  contextTokens: 1 << 16,
  turnTokens: 4096,
  concurrent: 4,
};
const sampling = { temperature: 1, topP: 1, topK: 0, minP: 0, stopIds: format.stopIds, maxTokens: 4096 };
const attemptOf = (family: string, index = 0, sample = 0): Attempt =>
  attempts([shop.task(family, 5, index)!], sample + 1, 1, "test")[sample];
const sandboxOf = ({ task, seed }: Attempt): Sandbox =>
  new Session(shop, task, new ScriptedUser(shop, task, derive(seed, "user")), { turns: limits.turns });

async function taught(attempt: Attempt, contextLength?: number): Promise<[FakePolicy, Rollout]> {
  const shown = await demonstrateAs(shop, attempt, oracleHabits, format, limits);
  const policy = new FakePolicy(contextLength);
  policy.learn(attempt, shown.ledger);
  return [policy, shown];
}

test("the ledger tells the policy's tokens from the environment's", () => {
  const ledger = new LedgerWriter();
  ledger.environment([7, 8]);
  ledger.policy([1, 2, 3], [-0.5, -0.25, -0.125]);
  ledger.environment(Int32Array.of(9));
  ledger.policy([4], null);
  const { ids, mask, logp, turn } = ledger.finish();
  assert.equal([...ids], [7, 8, 1, 2, 3, 9, 4]);
  assert.equal([...mask], [0, 0, 1, 1, 1, 0, 1]);
  assert.equal([...logp], [0, 0, -0.5, -0.25, -0.125, 0, 0]);
  assert.equal([...turn], [-1, -1, 0, 0, 0, -1, 1]);
  assert.is(ledger.turns, 2);
});

for (const family of shop.families)
  test(`a policy that says what the expert says has the expert's conversation: ${family}`, async () => {
    const attempt = attemptOf(family);
    const [policy, shown] = await taught(attempt);
    const played = await converse(attempt, sandboxOf(attempt), policy, format, sampling, limits);
    assert.is(played.ending, shown.ending);
    assert.is(played.outcome.success, 1);
    assert.equal(played.ledger.ids, shown.ledger.ids);
    assert.equal(played.ledger.mask, shown.ledger.mask);
    assert.equal(played.ledger.turn, shown.ledger.turn);
    assert.equal(played.transcript, shown.transcript);
    assert.is(played.turns, Math.max(...shown.ledger.turn) + 1);
    assert.is(policy.open_, 0, "the conversation is closed");
  });

test("log-probs are the sampler's, under the mask only", async () => {
  const attempt = attemptOf("cancel");
  const [policy] = await taught(attempt);
  const { ledger } = await converse(attempt, sandboxOf(attempt), policy, format, sampling, limits);
  for (const [t, bit] of ledger.mask.entries())
    assert.is(ledger.logp[t], bit ? Math.fround(-1 / (1 + (ledger.ids[t] % 7))) : 0);
});

test("a turn that is cut is told so and closed by the environment", async () => {
  const attempt = attemptOf("cancel");
  const [policy] = await taught(attempt);
  const short = { ...sampling, maxTokens: 5 };
  const played = await converse(attempt, sandboxOf(attempt), policy, format, short, limits);
  assert.is(played.transcript[1].role, "invalid");
  assert.is(played.ending, "error"); // the fake cannot go on from there
  assert.match(played.error!, "another course");
  const text = format.decode(played.ledger.ids);
  assert.match(text, "<|im_end|>\n<|im_start|>assistant\n");
  assert.is(played.ledger.mask.filter((bit) => bit).length, 5);
});

test("a full context ends the conversation without success", async () => {
  const attempt = attemptOf("cancel");
  const [, shown] = await taught(attempt);
  for (const contextTokens of [
    shown.ledger.ids.length - 1,
    shown.ledger.turn.indexOf(1),
    shown.ledger.turn.indexOf(0) + 3,
  ]) {
    const [policy] = await taught(attempt);
    const played = await converse(attempt, sandboxOf(attempt), policy, format, sampling, { ...limits, contextTokens });
    assert.is(played.ending, "token-limit");
    assert.is(played.outcome.success, 0);
    assert.ok(played.ledger.ids.length <= contextTokens);
    assert.not(faulty(played.ending));
  }
});

test("what goes wrong is data", async () => {
  const attempt = attemptOf("cancel");
  const [policy] = await taught(attempt);
  const tight = await converse(attempt, sandboxOf(attempt), policy, format, sampling, { ...limits, promptTokens: 3 });
  assert.is(tight.ending, "error");
  assert.match(tight.error!, /^--prompt-tokens 3: the prompt has \d+ tokens, expected room for them$/);
  assert.is(tight.turns, 0);

  const gone = { open: () => Promise.reject(new Error("line is dead")), reply: async () => ({ text: "", done: true }) };
  const mute = await converse(attempt, new Session(shop, attempt.task, gone), policy, format, sampling, limits);
  assert.is(mute.ending, "user-fault");
  assert.is(mute.error, "line is dead");
  assert.is(mute.outcome.success, 0);

  const aborted = await converse(attempt, sandboxOf(attempt), policy, format, sampling, limits, AbortSignal.abort());
  assert.is(aborted.ending, "aborted");
  assert.ok(["error", "user-fault", "aborted"].every((ending) => faulty(ending as Rollout["ending"])));
});

test("many at once: results keep the order of the attempts, and no more than allowed are played", async () => {
  const tasks = [0, 1, 2].map((index) => shop.task("return", 5, index)!).filter(Boolean);
  const list = attempts(tasks, 4, 1, "test");
  const policy = new FakePolicy();
  for (const attempt of list)
    policy.learn(attempt, (await demonstrateAs(shop, attempt, oracleHabits, format, limits)).ledger);
  const order: number[] = [];
  const rollouts = await collect(
    list,
    (attempt) => converse(attempt, sandboxOf(attempt), policy, format, sampling, limits),
    3,
    (_, done) => order.push(done),
  );
  assert.equal(
    rollouts.map(({ task, sample, seed }) => ({ task, sample, seed })),
    list,
  );
  assert.equal(
    order,
    list.map((_, i) => i + 1),
  );
  assert.is(policy.most, 3);
});

test("seeds depend on the run, the label, the task and the sample, and on nothing else", () => {
  const task = shop.task("return", 5, 0)!;
  const seeds = (...labels: (string | number)[]) => attempts([task], 2, 1, ...labels).map(({ seed }) => seed);
  assert.equal(seeds("train", 3), seeds("train", 3));
  const all = [
    ...seeds("train", 3),
    ...seeds("train", 4),
    ...seeds("held-out"),
    ...attempts([task], 2, 2, "train", 3).map(({ seed }) => seed),
  ];
  assert.is(new Set(all).size, 8);
});

test("a context that begins anew is a row of its own; every sampled token is learnt once", async () => {
  const attempt = attemptOf(shop.families[0]);
  const said = ["one", "two", "three"].map((word) => [...letters.encodePlain(word), format.stopIds[0]]);
  const contexts: number[][] = [];
  let turn = 0;
  const seeds: number[] = [];
  const policy: Policy = Object.assign(new FakePolicy(), {
    open(ids: ArrayLike<number>, seed: number): Conversation {
      const own = Array.from(ids);
      seeds.push(seed);
      return {
        length: 0,
        append: (more) => void own.push(...Array.from(more)),
        async generate() {
          contexts.push([...own]);
          const ids = Int32Array.from(said[turn++]);
          own.push(...ids);
          return { ids, logp: new Float32Array(ids.length).fill(-turn), ended: "stop" };
        },
        fork: () => {
          throw new Error("not needed");
        },
        close: () => {},
      };
    },
  });
  const ends: Reply["ending"][] = [null, null, "user-stop"];
  const sandbox: Sandbox = {
    start: async () => ({ system: "", tools: [], user: "Hi" }),
    act: async () => {
      const ending = ends[turn - 1];
      return { messages: ending ? [] : [{ role: "user", text: `${turn}` }], ending };
    },
    hold: () => {
      throw new Error("not needed");
    },
    transcript: [],
    outcome: () => ({ success: 1, stateMatches: true, outputsSaid: true, writes: 0 }),
  };
  // After the second turn only the last words are left.
  const short: Format = {
    ...format,
    open: (...given) => ({
      prompt: format.open(...given).prompt,
      next: (_, reply) => ({ ids: format.between(reply, true), anew: turn === 2 }),
    }),
  };
  const { ledger, turns } = await converse(attempt, sandbox, policy, short, sampling, limits);
  assert.is(turns, 3);
  assert.is(seeds.length, 2);
  assert.is.not(seeds[0], seeds[1]);
  const rows = Array.from(ledger.rows!);
  assert.is(rows.at(-1), ledger.ids.length);
  // Each turn stands in its row right behind what the policy had read.
  for (const [t, context] of contexts.entries()) {
    const at = ledger.turn.indexOf(t);
    const start = rows.findLast((row) => row <= at)!;
    assert.equal([...ledger.ids.subarray(start, at)], context);
    assert.equal([...ledger.ids.subarray(at, at + said[t].length)], said[t]);
    assert.ok(ledger.logp.subarray(at, at + said[t].length).every((logp) => logp === -(t + 1)));
  }
  assert.is(
    ledger.mask.reduce((sum, bit) => sum + bit, 0),
    said.flat().length,
  );
});

test.run();
