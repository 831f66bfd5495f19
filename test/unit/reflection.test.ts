// Turns that are held back before they are acted on: exactly those that the rules would call the major deviation, at most so
// often, as turns like all others, and never good ones.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { retail } from "../../src/domains/retail/index.ts";
import { shop } from "../../src/domains/shop/index.ts";
import { intervention, ownScores, ruleJudge } from "../../src/judge/rules.ts";
import { attempts, converse, type Oversight, reflection } from "../../src/rollout/collect.ts";
import { chatFormat } from "../../src/rollout/format.ts";
import { Session } from "../../src/sandbox/session.ts";
import type { AgentTurn, Entry, Policy, Task } from "../../src/types.ts";
import { ScriptedUser } from "../../src/user/scripted.ts";
import { letters } from "../../src/vocabulary.ts";
import { always, call, cutShort, oracle, playTalk, say, someTasks } from "../talk.ts";

const CUT: AgentTurn = { text: "", calls: [], invalid: { reason: "cut", observation: "Error: too long" } };

test("a turn is held back where the rules, afterwards, call it the major deviation by itself", async () => {
  const faults = { ...oracle, skipsLookup: 0.5, skipsConfirmation: 0.5, wrongChoice: 0.5, ignoresRules: 0.5 };
  let majors = 0;
  for (const domain of [shop, retail])
    for (const task of someTasks(domain, 6)) {
      const endings = [say("Done."), say("I am sorry, I cannot do that."), CUT, call("transfer", {})];
      for (const [seed, then] of endings.entries()) {
        const expert = domain.expert!(task, faults, seed);
        const intervene = intervention(domain, task);
        const found: (string | null)[] = [];
        const agent = seed ? cutShort(expert, 2 + seed, always(then)) : expert;
        const watched = (talk: readonly Entry[]) => {
          const turn = agent(talk);
          found.push(intervene(turn, talk));
          return turn;
        };
        const rollout = await playTalk(domain, task, watched, seed);
        const scores = ownScores(domain, rollout);
        majors += scores.filter((score) => score === -1).length;
        assert.equal(
          found.map((why) => why !== null),
          scores.map((score) => score === -1),
          task.id,
        );
      }
    }
  assert.ok(majors > 50, `${majors}`);
});

test("looking leaves no trace: the oracle is never held back and its data are its own", async () => {
  for (const task of someTasks(shop, 8)) {
    const intervene = intervention(shop, task);
    const expert = shop.expert!(task, oracle, 1);
    const rollout = await playTalk(shop, task, (talk) => {
      const turn = expert(talk);
      for (let i = 0; i < 2; i++) assert.is(intervene(turn, talk), null);
      return turn;
    });
    assert.is(rollout.outcome.success, 1);
  }
});

const format = chatFormat(letters);
const limits = { promptTokens: 4096, contextTokens: 1 << 16 };
const sampling = { temperature: 1, topP: 1, topK: 0, minP: 0, stopIds: format.stopIds, maxTokens: 4096 };
const [task] = someTasks(shop, 1);

/** Plays these turns, the last one for ever, under an intervention. */
async function played(turns: readonly AgentTurn[], times: number, intervene: Oversight["intervene"], most = 30) {
  const [attempt] = attempts([task as Task], 1, 1, "test");
  const heard: string[] = [];
  let next = 0;
  const policy = {
    contextLength: 1 << 20,
    open: () => ({
      length: 0,
      append: (ids: ArrayLike<number>) => void heard.push(format.decode(ids)),
      generate: async () => {
        const ids = Int32Array.from(format.turn(turns[Math.min(next++, turns.length - 1)]));
        return { ids, logp: new Float32Array(ids.length).fill(-1), ended: "stop" as const };
      },
      close: () => {},
    }),
  } as unknown as Policy;
  const session = new Session(shop, attempt.task, new ScriptedUser(shop, attempt.task, 1), { turns: most });
  const rollout = await converse(attempt, session, policy, format, sampling, limits, undefined, { times, intervene });
  return { rollout, heard };
}

test("a turn that is held back is a turn of its own: counted, learned from, answered by the environment, never good", async () => {
  const intervene = intervention(shop, task);
  const { rollout, heard } = await played([say("Done.")], 2, intervene);
  const kinds = rollout.transcript.map((entry) => (entry.role === "invalid" ? entry.reason : entry.role));
  assert.equal(kinds.slice(0, 4), ["user", "reflected", "reflected", "agent"], "twice, then it is acted on");
  const why = reflection("claims what was not done");
  assert.is(why, "Wait: claims what was not done. Think again and correct your last step.");
  assert.ok(heard[0].includes(why) && heard[1].includes(why));
  const { ledger, turns } = rollout;
  assert.is(turns, Math.max(...ledger.turn) + 1);
  assert.is(rollout.transcript.filter((entry) => entry.role !== "user").length, turns);
  for (let turn = 0; turn < turns; turn++) {
    const ids = ledger.ids.filter((_, t) => ledger.turn[t] === turn);
    assert.equal([...ids], format.turn(say("Done.")), "the policy's own tokens and no others");
  }
  const { scores } = await ruleJudge(shop).judge(rollout);
  assert.equal(scores!.slice(0, 2), [0, 0]);
  assert.is(scores!.length, turns);
});

test("the count begins anew with every turn that is acted on, and the limit of turns holds", async () => {
  const one = await played([say("Done."), say("One moment.")], 1, (turn) => (turn.text === "Done." ? "no" : null));
  const told = (rollout: { transcript: readonly Entry[] }) =>
    rollout.transcript.filter((entry) => entry.role === "invalid").length;
  assert.is(told(one.rollout), 1);
  const stubborn = await played([say("Hm.")], 2, () => "no", 7);
  assert.equal([stubborn.rollout.turns, stubborn.rollout.ending], [7, "turn-limit"]);
  const kinds = stubborn.rollout.transcript.filter((entry) => entry.role !== "user").map(({ role }) => role);
  assert.equal(kinds, ["invalid", "invalid", "agent", "invalid", "invalid", "agent", "invalid"]);
  const none = await played([say("Hm.")], 0, () => "no", 3);
  assert.is(told(none.rollout), 0);
});

test.run();
