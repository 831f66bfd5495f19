// One evaluation as a person reads it: every row once, in text and in Markdown.

import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Evaluation } from "../../src/eval/evaluate.ts";
import { evaluationMarkdown, evaluationText } from "../../src/run/report.ts";

const full: Evaluation = {
  setting: {
    agent: "openai:m|1",
    sampling: { temperature: 0.5, maxTokens: 96 },
    domain: "retail",
    profile: "tau1",
    checkOutputs: true,
    tasks: "/sets/retail",
    split: "test",
    user: { kind: "llm", model: "customer", temperature: 1 },
    seed: 3,
    turns: 30,
  },
  tasks: 20,
  trials: 2,
  played: 39,
  faults: 3,
  replays: 4,
  stopped: "the budget of 5 dollars is spent",
  pass: [0.55, 0.4],
  interval: [
    [0.4, 0.7],
    [0.2, 0.6],
  ],
  over: [20, 18],
  published: [0.52, 0.38],
  inaction: 0.05,
  families: { cancel: { tasks: 12, pass1: 0.75, interval: [0.5, 0.9] } },
  waits: 0.125,
  length: 0,
  turns: 8.5,
  tarl: null,
  noWriteFailures: 0.25,
  endings: { "user-stop": 36, error: 3 },
  causes: { outage: 3, "wrong-write": 2 },
  toolFaults: { lend: { threw: 2, hung: 1 } },
  userFaults: { invented: 2, "left-early": 1 },
  unjudged: { NL_ASSERTION: 30 },
  disturbances: { none: { rollouts: 8, successes: 4 }, forgets: { rollouts: 4, successes: 1 } },
  cost: { calls: 120, inputTokens: 34_500, outputTokens: 2300, dollars: 5.012345 },
  requests: { calls: 130, retries: 10, cached: 5, failures: { "http-429": 8, timeout: 2 } },
  error: "agent: m|1 at http://localhost: status 500",
  tallies: [],
};

const rows: [string, string][] = [
  [
    "openai:m|1, 20 tasks x 2",
    "retail (tau1), /sets/retail: test, customer customer at temperature 1, temperature 0.5, outputs asked for, at most 30 turns, seed 3",
  ],
  ["STOPPED after 39 of 40", "the budget of 5 dollars is spent"],
  ["pass^1", ".550 [.400, .700]"],
  ["pass^2", ".400 [.200, .600]  over 18 tasks"],
  ["pass^k with 3 broken off as failures", ".520 .380"],
  ["doing nothing", ".050"],
  ["  cancel (12)", ".750 [.500, .900]"],
  ["turns", "8.50"],
  ["length (policy tokens)", "0.0"],
  ["waits", "0.125"],
  ["no-write failures", "0.250"],
  ["faults", "3 broken off, 3 of tools, 3 of the customer"],
  ["failed: outage", "3"],
  ["failed: wrong-write", "2"],
  ["ended: user-stop", "36"],
  ["ended: error", "3"],
  ["not judged", "NL_ASSERTION 30"],
  ["disturbed: none", ".500 of 8"],
  ["disturbed: forgets", ".250 of 4"],
  ["tool faults: lend", "threw 2, hung 1"],
  ["customer's faults", "invented 2, left-early 1"],
  ["played again after an outage", "4"],
  ["cost", "5.0123 dollars, 120 answers, 34.5k tokens in, 2.3k out"],
  ["requests", "130 sent, 10 of them repeated, 5 answered by the cache; failed: http-429 8, timeout 2"],
];
const note =
  "3 conversations were broken off and are in no figure, the first one: agent: m|1 at http://localhost: status 500";

test("as text", () => {
  const width = Math.max(...rows.map(([title]) => title.length));
  const lines = rows.map(([title, value]) => `${title.padEnd(width)}  ${value}`);
  assert.equal(evaluationText(full).split("\n"), [...lines, note]);
});

test("as a Markdown table", () => {
  const cell = (text: string) => text.trim().replaceAll("|", "\\|");
  const [head, ...rest] = rows.map(([title, value]) => `| ${cell(title)} | ${cell(value)} |`);
  assert.equal(evaluationMarkdown(full).split("\n"), [head, "| --- | --- |", ...rest, "", note, ""]);
});

test("what did not happen has no row", () => {
  const { stopped, inaction, disturbances, cost, requests, error, ...some } = full;
  const text = evaluationText({
    ...some,
    setting: { ...full.setting, user: { kind: "scripted", disturbances: 0 }, sampling: null },
    faults: 0,
    replays: 0,
    published: full.pass,
    over: [20, 20],
    toolFaults: {},
    userFaults: {},
    unjudged: {},
  });
  assert.not.match(
    text,
    /STOPPED|3 broken off|as failures|doing nothing|disturb|tool faults|not judged|customer's faults|again|cost|requests|over/,
  );
  assert.match(text, /scripted customer/);
  assert.match(text, /\nfaults +0 broken off, 0 of tools\n/);
  const none = evaluationText({ ...full, played: 3, pass: [], interval: [], over: [], published: [0, 0] });
  assert.not.match(none, /\nturns|pass\^1/, "no figure of nothing");
});

test.run();
