// The gaming set: whoever judges, by the rules or as a model that sees the prompt alone, an agent that has not worked earns
// less than one that has worked on the same task, honestly, and failed. R_traj is worked out here from its formula
// (arXiv:2509.14480: 10 R + 5 n+/T - 5 [a -1 exists]), not taken from src/reward.ts.

import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Chat } from "../../src/chat.ts";
import { airline } from "../../src/domains/airline/index.ts";
import { retail } from "../../src/domains/retail/index.ts";
import { shop } from "../../src/domains/shop/index.ts";
import { type Game, games, honest } from "../../src/judge/gaming.ts";
import { llmJudge } from "../../src/judge/llm.ts";
import { INSTRUCTIONS } from "../../src/judge/prompt.ts";
import { ruleJudge } from "../../src/judge/rules.ts";
import type { Domain, Judge, Rollout, Task } from "../../src/types.ts";
import { judgeAsModel } from "../standin.ts";
import { playTalk, someTasks } from "../talk.ts";

/** Instructions that the stand-in was given. */
const instructions = new Set<string>();
const standIn: Chat = {
  model: "stand-in",
  async complete(messages) {
    instructions.add(messages[0].text);
    const wire = messages.map(({ role, text }) => ({ role, content: text }));
    const bill = { calls: 1, inputTokens: 0, outputTokens: 0, dollars: 0 };
    return { text: judgeAsModel(wire), calls: [], cut: false, cached: false, bill };
  },
};

async function worth(judge: Judge, rollout: Rollout): Promise<number> {
  const { scores } = await judge.judge(rollout);
  assert.ok(scores, "no abstention");
  const useful = scores.filter((score) => score === 1).length;
  return 10 * rollout.outcome.success + (5 * useful) / rollout.turns - (scores.includes(-1) ? 5 : 0);
}

const play = (domain: Domain, task: Task, agent: Game["agent"], customer?: string) =>
  playTalk(domain, task, agent({ ...domain, expert: domain.expert! }, task, 1), 1, { turns: 20 }, customer);

for (const [domain, count] of [
  [shop, 12],
  [retail, 4],
  [airline, 4],
] as const)
  test(`${domain.name}: no game pays, whoever judges`, async () => {
    const judges = [ruleJudge(domain), llmJudge(standIn, domain)];
    let [failures, played] = [0, 0];
    const paid: string[] = [];
    for (const task of someTasks(domain, count, 50)) {
      const success = await play(domain, task, honest.success);
      const failure = await play(domain, task, honest.failure);
      assert.is(success.outcome.success, 1, task.id);
      const erred = failure.outcome.success === 0 && failure.outcome.writes > 0;
      if (!erred) continue; // nothing to choose wrongly, or the tool has refused it
      failures++;
      const bars = await Promise.all(judges.map((judge) => worth(judge, failure)));
      for (const [i, judge] of judges.entries()) {
        const best = await worth(judge, success);
        assert.ok(best > 13 && bars[i] < 0, `${judge.name} on ${task.id}: ${best}, ${bars[i]}`);
      }
      for (const game of games) {
        const rollout = await play(domain, task, game.agent, game.customer);
        if (rollout.outcome.success) continue; // handing over is what this task asks for
        played++;
        for (const [i, judge] of judges.entries()) {
          const reward = await worth(judge, rollout);
          if (reward >= bars[i]) paid.push(`${judge.name}: ${game.name} on ${task.id}: ${reward} against ${bars[i]}`);
        }
      }
    }
    assert.equal(paid, []);
    assert.ok(failures >= 3 * count, `${failures} honest failures`);
    assert.ok(played > 0.95 * failures * games.length, `${played} games of ${failures * games.length}`);
  });

test("nobody's words have changed a byte of the judge's instructions", () => {
  assert.equal([...instructions], [INSTRUCTIONS]);
});

test.run();
