// Why a conversation failed: one case for every cause, each with everything that a later one would say as well.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Cause, causeOf, causes, isNoWriteFailure, isSpoiled, type Seen, trialOf } from "../../src/eval/trial.ts";
import type { Entry, Outcome, Part, Rollout, Task } from "../../src/types.ts";

const right: Outcome = { success: 0, stateMatches: true, outputsSaid: true, writes: 1 };
const wrong: Outcome = { success: 0, stateMatches: false, outputsSaid: false, writes: 1 };
const call = (given: object): Entry => ({
  role: "tool",
  turn: 0,
  call: { name: "lend", arguments: {} },
  observation: "",
  failed: true,
  wrote: false,
  ...given,
});
const rollout = (given: Partial<Rollout>): Rollout => ({
  task: { id: "a", family: "f", actions: [{ name: "lend", arguments: "{}" }] } as unknown as Task,
  sample: 1,
  seed: 9,
  ledger: { ids: new Int32Array(), mask: new Uint8Array(), logp: new Float32Array(), turn: new Int16Array() },
  turns: 2,
  transcript: [],
  ending: "user-stop",
  outcome: wrong,
  ...given,
});
const seen: Seen = { checkOutputs: true, onlyWanted: true, tarl: null, replays: 0, decode: () => "" };
const asked = (...basis: Part[]) => ({ ...rollout({}).task, criteria: { basis } }) as Task;
const left = [{ kind: "left-early", turn: 1, evidence: "" }] as const;
const threw = [call({ fault: "threw" })];

const table: readonly [Cause | null, Partial<Rollout>, Partial<Seen>?][] = [
  [null, { outcome: { ...right, success: 1 }, userFaults: left }],
  ["outage", { ending: "error", userFaults: left }],
  ["outage", { ending: "user-fault" }],
  ["outage", { ending: "aborted" }],
  ["user-fault", { userFaults: left, transcript: threw }],
  ["wrong-write", { userFaults: [{ kind: "too-long", turn: 1, evidence: "" }] }, { onlyWanted: false }],
  ["tool-crash", { transcript: threw, ending: "turn-limit" }],
  ["tool-crash", { ending: "tool-crash" }],
  ["turn-limit", { ending: "turn-limit" }],
  ["token-limit", { ending: "token-limit", outcome: right }],
  ["invalid-limit", { ending: "invalid-limit" }],
  ["no-write", { outcome: { ...wrong, writes: 0 }, ending: "tool-end" }],
  ["ended-early", {}],
  ["wrong-write", {}, { onlyWanted: false }],
  ["output-unsaid", { outcome: { ...right, outputsSaid: false } }],
  ["output-unsaid", { task: asked("COMMUNICATE"), outcome: wrong }, { checkOutputs: false }],
  ["criteria", { task: asked("ACTION"), outcome: wrong, transcript: [] }],
  ["ended-early", { task: asked("DB", "ACTION") }],
  ["unanswered", { outcome: { ...right, outputsSaid: false } }, { checkOutputs: false }],
  ["unanswered", { outcome: right }],
];

test("the first cause that fits", () => {
  for (const [cause, given, more] of table)
    assert.is(causeOf(rollout(given), { ...seen, ...more }), cause, JSON.stringify([cause, given]));
  assert.equal(new Set(table.flatMap(([cause]) => cause ?? [])), new Set(causes), "every cause has a case");
});

test("only what broke off says nothing of the agent", () => {
  assert.equal(
    (["user-stop", "tool-crash", "turn-limit", "error", "user-fault", "aborted"] as const).filter((ending) =>
      isSpoiled({ ending }),
    ),
    ["error", "user-fault", "aborted"],
  );
});

test("nothing had to be written where the untouched state is right, whatever the truth calls", () => {
  const silent = { ...wrong, writes: 0 };
  assert.ok(isNoWriteFailure(rollout({ outcome: silent })));
  for (const given of [
    { outcome: { ...silent, stateMatches: true } },
    { outcome: wrong },
    { ending: "error" } as const,
  ])
    assert.not(isNoWriteFailure(rollout({ outcome: silent, ...given })), JSON.stringify(given));
});

test("what is kept of a conversation", () => {
  const transcript = [
    ...threw,
    call({ fault: "threw" }),
    call({ fault: "hung" }),
    { role: "agent", turn: 1, text: "Wait, wait!" },
  ] as Entry[];
  const bill = { calls: 1, inputTokens: 2, outputTokens: 3, dollars: 4 };
  const kept = trialOf(
    rollout({ transcript, bill, userFaults: [], disturbed: ["talks"], outcome: { ...wrong, writes: 0 } }),
    { ...seen, replays: 2, tarl: -4 },
  );
  assert.equal(kept, {
    task: "a",
    family: "f",
    trial: 1,
    seed: 9,
    ending: "user-stop",
    outcome: { ...wrong, writes: 0 },
    cause: "tool-crash",
    turns: 2,
    length: 0,
    waits: 2,
    tarl: -4,
    toolFaults: { lend: { threw: 2, hung: 1 } },
    disturbed: ["talks"],
    replays: 2,
    bill,
  });
});

test("a policy's waits and length are read from its own tokens", () => {
  const ledger = {
    ids: Int32Array.of(1, 2, 3),
    mask: Uint8Array.of(0, 1, 1),
    logp: new Float32Array(3),
    turn: Int16Array.of(-1, 0, 0),
  };
  const decode = (ids: Int32Array) => (ids.length === 2 ? "wait" : "wait wait");
  const { waits, length } = trialOf(rollout({ ledger }), { ...seen, decode });
  assert.equal([waits, length], [1, 2]);
});

test.run();
