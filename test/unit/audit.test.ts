// `tarl judge audit`: judges that contradict themselves and each other are seen to, rollouts of a run are read back as they
// were, and a judge that can be gamed is found out.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Audit, audit, practice, readRollouts } from "../../src/audit.ts";
import { resolveConfig } from "../../src/config/config.ts";
import { ruleJudge } from "../../src/judge/rules.ts";
import { openTasks } from "../../src/play.ts";
import { rolloutLine } from "../../src/run/metrics.ts";
import type { Judge, TurnScore } from "../../src/types.ts";
import { runIn } from "../command.ts";
import { llmServer, type Seen } from "../llm-server.ts";
import { naiveJudge } from "../naive-judge.ts";
import { judgeAsModel } from "../standin.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-audit-"));
test.after(() => fs.rmSync(dir, { recursive: true }));

const config = resolveConfig("embedded", { values: { tarl: true, samples: 4 }, label: (key) => key });
const played = await openTasks(config);
const rules = ruleJudge(played.domain);
const heldOut = (count: number) => played.tasks.heldOut(count, 0);
const rollouts = await practice(config, played, heldOut(10));

/** The rules' scores, changed. */
const changed = (name: string, change: (score: TurnScore, turn: number) => TurnScore): Judge => ({
  name,
  async judge(rollout) {
    const { scores, reasons } = await rules.judge(rollout);
    return { scores: scores!.map(change), reasons };
  },
});

test("a judge that is another's twin agrees with it, one that has no opinion agrees by chance", async () => {
  const twin = changed("twin", (score) => score);
  const blind = changed("blind", (_, turn) => (turn % 2 ? 0 : 1));
  const silent: Judge = { name: "silent", judge: async () => ({ scores: null, reasons: [], abstained: "budget" }) };
  const judges = { judge: twin, repeats: [twin, blind], against: silent, rules };
  const found = await audit(config, played, judges, rollouts, []);
  assert.equal([found.rollouts, found.verdicts], [40, 40 * 4]);
  assert.equal(found.abstentions, { budget: 40 });
  assert.equal([found.rules!.exact, found.rules!.alpha], [1, 1]);
  assert.is(found.against!.turns, 0);
  const between = await audit(config, played, { ...judges, repeats: [blind], against: null }, rollouts, []);
  assert.ok(between.repeats!.exact! < 0.8 && Math.abs(between.repeats!.alpha!) < 0.35, JSON.stringify(between.repeats));
  assert.is(found.gaming, null);
});

test("what the judge abstained on is not ranked", async () => {
  const [{ task }] = rollouts;
  const shy: Judge = {
    name: "shy",
    judge: async (rollout) =>
      rollout.task === task ? { scores: null, reasons: [], abstained: "timeout" } : rules.judge(rollout),
  };
  const groups = async (judge: Judge) => {
    const found = await audit(config, played, { judge, repeats: [], against: null, rules }, rollouts, []);
    return [...found.weights, found.everyMajor].map(({ groups }) => groups);
  };
  const [all, some] = [await groups(rules), await groups(shy)];
  assert.is(all.at(-1), 10);
  assert.is(some.at(-1), 9);
  assert.ok(some.every((count, i) => count === all[i] || count === all[i] - 1));
});

test("no more verdicts are waited for at once than the judge takes", async () => {
  let [now, most] = [0, 0];
  const busy: Judge = {
    name: "busy",
    async judge(rollout) {
      most = Math.max(most, ++now);
      await delay(1);
      now--;
      return rules.judge(rollout);
    },
  };
  const few = { ...config, judgeConcurrent: 3 };
  const { gaming } = await audit(few, played, { judge: busy, repeats: [], against: null, rules }, rollouts, heldOut(2));
  assert.ok(gaming!.games > 30);
  assert.is(most, 3);
});

test("the ranking beside itself is the same; without the turns' weight failures tie", async () => {
  const found = await audit(config, played, { judge: rules, repeats: [], against: null, rules }, rollouts, []);
  const own = found.weights.find(({ turns, major }) => turns === 5 && major === 5)!;
  assert.equal([own.tau, own.bestChanges], [1, 0]);
  assert.is(found.weights.length, 9);
  assert.ok(found.weights.find(({ turns, major }) => turns === 0 && major === 0)!.tau! < 1);
  assert.ok(found.everyMajor.groups > 0);
});

test("the gaming set pays nobody under the rules, and finds out a judge that can be gamed", async () => {
  const of = (judge: Judge) => audit(config, played, { judge, repeats: [], against: null, rules }, [], heldOut(8));
  const { gaming } = await of(rules);
  assert.equal(gaming!.paid, {});
  assert.ok(gaming!.tasks > 3 && gaming!.games > 30 * gaming!.tasks);
  assert.ok(gaming!.success! > 13 && gaming!.failure! < 0 && gaming!.game! < gaming!.failure!);
  const { paid } = (await of(naiveJudge(played.domain))).gaming!;
  for (const game of ["says only that it is done", "refuses at once", "echoes the customer", "tells the judge (order)"])
    assert.ok(paid[game] > 0, game);
});

test("rollouts of a run are read back as they were, whole groups from the last update", async () => {
  const retail = await openTasks({ ...config, domain: "retail" });
  const by = ruleJudge(retail.domain);
  const some = await practice({ ...config, samples: 2 }, retail, retail.tasks.heldOut(4, 0));
  const folder = join(dir, "run", "rollouts");
  fs.mkdirSync(folder, { recursive: true });
  const nothing = { total: 0, parts: { outcome: 0, turns: 0, major: 0 }, class: "unjudged", perTurn: [] } as const;
  const mixedIn = some.slice(0, 2).map((rollout) => ({ ...rollout, task: { ...rollout.task, domain: "math" } }));
  for (const [step, part] of [
    [9, some.slice(0, 4)],
    [10, some.slice(4)],
    [11, mixedIn],
  ] as const) {
    const lines = part.map((rollout) =>
      rolloutLine(
        {
          rollout,
          judgement: { scores: null, reasons: [] },
          reward: nothing,
          tarl: nothing,
          kept: true,
          learned: true,
        },
        0,
      ),
    );
    fs.writeFileSync(join(folder, `step-${step}.jsonl`), lines.join(""));
  }
  const read = readRollouts(join(dir, "run"), retail.domain, 3);
  assert.equal(
    read.map(({ task }) => task.id),
    some.slice(4).map(({ task }) => task.id),
  );
  for (const [i, rollout] of read.entries()) {
    assert.equal(await by.judge(rollout), await by.judge(some[4 + i]));
    assert.equal(rollout.transcript, some[4 + i].transcript);
  }
  assert.is(readRollouts(join(dir, "run"), retail.domain, 5).length, 6, "the third group is whole");
  assert.throws(() => readRollouts(dir, retail.domain, 5), /no rollouts; expected a run/);
});

test("the command: a model that contradicts itself between repeats is seen to", async () => {
  /** Every second verdict on a conversation calls its first turn a 0. */
  const moods = new Map<string, number>();
  const moody = ({ body }: Seen) => {
    const text = body.messages[1].content;
    const mood = moods.get(text) ?? 0;
    moods.set(text, mood + 1);
    const verdict = JSON.parse(judgeAsModel(body.messages));
    if (mood % 2 === 1) for (const turn of verdict.turns) if (turn.score === 1) turn.score = 0;
    return { do: "say", message: { role: "assistant", content: JSON.stringify(verdict) } } as const;
  };
  const server = await llmServer([], moody);
  try {
    const model = ["--judge", "llm", "--judge-model", "j", "--judge-url", server.url];
    const line = ["judge", "audit", ...model, "--rollouts", "16", "--samples", "4", "--games", "0", "--json"];
    process.env.TARL_JUDGE_API_KEY = "a-key-of-its-own";
    const { code, out, err } = await runIn(dir, [...line, "--repeats", "2", "--against", "k"]);
    assert.is(code, 0, err);
    const found: Audit = JSON.parse(out);
    assert.equal([found.judge, found.rollouts, found.verdicts], ["j", 16, 48]);
    assert.ok(found.repeats!.exact! < 0.9, "it contradicts itself");
    assert.ok(found.rules!.exact! > 0.5 && found.against!.judge === "k");
    assert.ok(server.seen.every(({ key }) => key === "Bearer a-key-of-its-own"));
    assert.match(err, /judge: \d+ requests/);
  } finally {
    delete process.env.TARL_JUDGE_API_KEY;
    await server.close();
  }
});

test("the command: a judge without a single verdict ends it with 1", async () => {
  const server = await llmServer([], () => ({ do: "say", message: { role: "assistant", content: "fine!" } }));
  try {
    process.env.TARL_JUDGE_API_KEY = "a-key-of-its-own";
    const model = ["--judge", "llm", "--judge-model", "j", "--judge-url", server.url, "--judge-tries", "1"];
    for (const games of ["0", "1"]) {
      const line = ["--rollouts", "4", "--samples", "2", "--games", games, "--repeats", "1"];
      const { code, out } = await runIn(dir, ["judge", "audit", ...model, ...line]);
      assert.is(code, 1);
      assert.match(out, /^judge j: 4 rollouts, 4 verdicts asked for, abstentions: 4 invalid\n/);
      assert.is(/not judged: 1 conversations/.test(out), games === "1", out);
    }
  } finally {
    delete process.env.TARL_JUDGE_API_KEY;
    await server.close();
  }
});

test("the command: the rules are not beside themselves", async () => {
  const { code, out, err } = await runIn(dir, ["judge", "audit", "--rollouts", "4", "--samples", "2", "--games", "0"]);
  assert.is(code, 0, err);
  assert.match(out, /^judge rules: 4 rollouts, \d+ verdicts/);
  assert.not.match(out, /agreement/);
});

test("the command says what it was given wrongly", async () => {
  const server = ["--judge", "llm", "--judge-model", "m", "--judge-url", "http://127.0.0.1:9"];
  for (const [args, message] of [
    [["--repeats", "2"], "--repeats 2 with --judge rules: expected a judge that is a model"],
    [["--rollouts", "0"], "--rollouts 0: expected a whole number from 1 to 2147483647"],
    [["--run", "none"], "--run none: no run with a config.json in "],
    [["--judge", "llm"], "--judge llm without --judge-model: expected its name"],
    [[...server, "--against", ""], "--against  --judge-url http://127.0.0.1:9: the model of an API has no name"],
  ] as const) {
    const { code, err } = await runIn(dir, ["judge", "audit", ...args]);
    assert.is(code, 2, err);
    assert.match(err, message);
  }
});

test.run();
