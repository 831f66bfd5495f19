// Which judge a config has, what its verdicts are going to take, and that it says once when it stops.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Config, resolveConfig } from "../../src/config/config.ts";
import { math } from "../../src/domains/math/index.ts";
import { shop } from "../../src/domains/shop/index.ts";
import { UsageError } from "../../src/errors.ts";
import { costText, forecast, forecastText, openJudge } from "../../src/judges.ts";
import { openTasks } from "../../src/play.ts";
import { llmServer } from "../llm-server.ts";
import { oracle, playTalk, someTasks } from "../talk.ts";

const config = (values: Partial<Config> = {}) =>
  resolveConfig("embedded", { values: { tarl: true, ...values }, label: (key) => key });
const model = { judge: "llm", judgeModel: "m" } as const;
const [task] = someTasks(shop, 1);
const rollout = await playTalk(shop, task, shop.expert!(task, oracle, 1), 1);

test("rules need nothing, a model needs a key or a server", () => {
  assert.is(openJudge(config()).judge(shop).name, "rules");
  assert.throws(
    () => openJudge(config(model)),
    (error: unknown) =>
      error instanceof UsageError &&
      /^--judge-model m: expected a key in TARL_JUDGE_API_KEY or OPENAI_API_KEY/.test(error.message),
  );
  assert.is(openJudge(config(model), { judgeKey: "k" }).judge(shop).name, "m");
});

test("the judge has a key, a server and limits of its own", async () => {
  const server = await llmServer([], { do: "status", status: 401 });
  const notes: string[] = [];
  try {
    const own = { ...model, judgeUrl: server.url, budget: 1, userPrices: "1,1", user: "llm", userModel: "u" } as const;
    const access = { apiKey: "of-the-users", judgeKey: "of-the-judge" };
    const { judge, chat } = openJudge(config(own), access, (line) => notes.push(line));
    for (let i = 0; i < 3; i++) {
      const { scores, abstained } = await judge(shop).judge(rollout);
      assert.equal([scores, abstained], [null, "http-401"]);
    }
    assert.is(server.seen.length, 1, "a refused key is not tried again");
    assert.is(server.seen[0].key, "Bearer of-the-judge");
    assert.is(chat?.counts().failures["http-401"], 1);
    assert.is(notes.length, 1);
    assert.match(notes[0], /^the judge abstains from now on: .*status 401/);
  } finally {
    await server.close();
  }
});

test("the forecast: verdicts that are left, tokens of the longest conversation or as measured, dollars", async () => {
  const c = config({ ...model, steps: 10, tasksPerStep: 3, samples: 4, judgePrices: "2,8" });
  const played = await openTasks(c);
  const before = forecast(c, played, 4);
  assert.is(before.verdicts, 6 * 3 * 4);
  assert.not(before.measured);
  const mixed = { ...c, mix: "math" };
  assert.is(forecast(mixed, played, 4, [], played).verdicts, 6 * 3 * 4);
  assert.is(forecast(mixed, played, 4, [], { domain: math }).verdicts, 3 * 3 * 4, "answers have no verdicts");
  assert.is(forecast({ ...mixed, mixControl: true }, played, 4, [], played).verdicts, 3 * 3 * 4);
  // Prompt and policy take more than 700 tokens, the conversation 768, its lines 2 x 14 x 20.
  const one = before.inputTokens / 72;
  assert.ok(one > 700 + 768 + 560 && one < 4000, `${one}`);
  assert.is(before.outputTokens, 72 * 14 * 40);
  assert.is(before.dollars, (2 * before.inputTokens + 8 * before.outputTokens) / 1e6);
  const cost = { calls: 12, cached: 0, inputTokens: 12_000, outputTokens: 600, dollars: 1 };
  const measured = forecast(c, played, 4, [{ verdicts: cost }, {}, { verdicts: cost }]);
  assert.equal(measured, {
    verdicts: 72,
    inputTokens: 72_000,
    outputTokens: 3600,
    dollars: (72_000 * 2 + 3600 * 8) / 1e6,
    measured: true,
  });
  assert.is(forecastText(c, measured), "judge m: 72 verdicts, about 72.0k tokens in and 3.6k out, 0.17 dollars");
  const poor = { ...c, judgeBudget: 0.1, judgeTokens: 70_000 };
  assert.match(forecastText(poor, measured), "\nWARNING: --judge-budget 0.1 and --judge-tokens 70000 may not last");
  assert.not.match(forecastText({ ...c, judgeBudget: 0.2, judgeTokens: 80_000 }, measured), "WARNING");
  assert.match(forecastText({ ...c, judgePrices: "0,0" }, before), /at most about .*, no prices given$/);
  assert.is(costText(cost), "judge: 12 requests, 0 answers from the cache, 12.0k tokens in and 600 out, 1.00 dollars");
});

test.run();
