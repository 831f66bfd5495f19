// 100,000 hostile turns against every domain: broken JSON, unknown tools, wrong types, huge and deep arguments, control
// tokens, ids of the database in the wrong places. Nothing may throw or hang, and every turn leaves one typed entry.

import { join } from "node:path";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { domain, domainNames } from "../../src/domains/index.ts";
import { ruleJudge } from "../../src/judge/rules.ts";
import { root } from "../../src/root.ts";
import { Session } from "../../src/sandbox/session.ts";
import type { AgentTurn, Domain, InvalidReason } from "../../src/types.ts";
import { ScriptedUser } from "../../src/user/scripted.ts";
import { someTasks } from "../talk.ts";

const TURNS = 100_000;
const TURNS_PER_RUN = 50;

const CONTROL = [
  "<|im_end|>",
  "<|im_start|>system\n",
  "<tool_call>",
  "</tool_response>",
  "###STOP###",
  "\u0000",
  "\ud800",
  "\u202e",
  "#",
];
const HUGE = "x".repeat(1 << 20);
const DEEP = "[".repeat(15_000) + "]".repeat(15_000);

function hostileTurns(domain: Domain, known: readonly string[]): fc.Arbitrary<AgentTurn[]> {
  const tools = domain.tools.length ? domain.tools.map(({ name }) => name) : ["search"];
  const parameters = [
    ...new Set(domain.tools.flatMap(({ parameters }) => Object.keys((parameters as any).properties ?? {}))),
  ];
  const word = fc.oneof(fc.constantFrom("", ...known), fc.constantFrom(...CONTROL), fc.string());
  const value = fc.oneof(
    { weight: 4, arbitrary: word },
    fc.jsonValue({ maxDepth: 2 }),
    fc.array(word, { maxLength: 3 }),
    fc.double(),
    fc.constant(-0),
  );
  const args = fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .dictionary(fc.constantFrom(...parameters, "__proto__", "x"), value, { maxKeys: 4 })
        .map((a) => JSON.stringify(a)),
    },
    { weight: 3, arbitrary: fc.jsonValue().map((a) => JSON.stringify(a)) },
    { weight: 3, arbitrary: fc.string() },
    fc.constantFrom(
      "",
      "{",
      '{"a": 1e999}',
      '{"a": NaN}',
      "null",
      '{"order_id": {}}',
      `{"order_id": ${DEEP}}`,
      DEEP,
      HUGE,
      `{"email": "${HUGE}"}`,
      '{"a":1,"a":2}',
    ),
  );
  const name = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...tools) },
    fc.constantFrom("toString", "__proto__", ""),
    fc.string(),
  );
  const text = fc.oneof(
    fc.constantFrom(
      ...CONTROL,
      HUGE,
      "",
      " ",
      "Shall I do it?",
      "What is your email and your order?",
      "Wait, which item?",
      `${"Which ".repeat(3000)}order?`,
      `${"a.b@c ".repeat(3000)}?`,
    ),
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.array(word, { maxLength: 12 }).map((words) => words.join(" ")),
  );
  const reason = fc.constantFrom<InvalidReason>("json", "unknown-tool", "arguments", "too-long", "empty", "cut");
  const called = fc.record({
    text,
    calls: fc.array(fc.record({ name, arguments: args }), { minLength: 1, maxLength: 2 }),
    invalid: fc.constant(null),
  });
  const turn: fc.Arbitrary<AgentTurn> = fc.oneof(
    { weight: 6, arbitrary: called },
    { weight: 3, arbitrary: text.map((text) => ({ text, calls: [], invalid: null })) },
    {
      weight: 1,
      arbitrary: fc.record({
        text,
        calls: fc.constant([]),
        invalid: fc.record({ reason, observation: fc.constant("Error: no") }),
      }),
    },
  );
  return fc.array(turn, { minLength: TURNS_PER_RUN, maxLength: TURNS_PER_RUN });
}

/** Strings of the database: the ids that a tool could be given. */
function words(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (value instanceof Map) return [...value].flat().flatMap(words);
  return value !== null && typeof value === "object" ? Object.values(value).flatMap(words) : [];
}

const example = join(root, "examples/library"); // guarded, as every domain of one's own
const all = await Promise.all([...domainNames, example].map((name) => domain(name)));
const domains = all.filter(({ families }) => families.length > 0);
for (const played of domains)
  test(`${played.name}: hostile turns end as typed results`, async () => {
    const tasks = someTasks(played, 3);
    const known = [...new Set(tasks.slice(0, 4).flatMap(({ database }) => words(played.database(database))))].slice(
      0,
      400,
    );
    const judge = ruleJudge(played);
    let count = 0;
    const property = fc.asyncProperty(fc.constantFrom(...tasks), hostileTurns(played, known), async (task, turns) => {
      let session: Session | null = null;
      let started = 0;
      for (const [i, turn] of turns.entries()) {
        if (!session) {
          session = new Session(played, task, new ScriptedUser(played, task, i));
          await session.start();
          started = i;
        }
        const before = session.transcript.length;
        const { messages, ending } = await session.act(turn);
        count++;
        const entry = session.transcript[before];
        assert.ok(entry && entry.role !== "user" && entry.turn === i - started);
        assert.ok(ending ? messages.length === 0 : messages.length === 1 && typeof messages[0].text === "string");
        if (!ending && i < turns.length - 1) continue;
        const outcome = session.outcome();
        const ledger = {
          ids: new Int32Array(),
          mask: new Uint8Array(),
          logp: new Float32Array(),
          turn: new Int16Array(),
        };
        const { transcript } = session;
        const rollout = {
          task,
          sample: 0,
          seed: 0,
          ledger,
          turns: i - started + 1,
          transcript,
          ending: ending ?? "token-limit",
          outcome,
        };
        const { scores } = await judge.judge(rollout as Parameters<typeof judge.judge>[0]);
        session = null;
        if (played.grade) continue; // turns have no scores there
        assert.is(scores!.length, rollout.turns);
        assert.ok(scores!.filter((score) => score < 0).length <= 1);
      }
    });
    const numRuns = Math.ceil(TURNS / TURNS_PER_RUN / domains.length);
    await fc.assert(property, { numRuns, seed: 20240607, endOnFailure: true });
    assert.ok(count >= TURNS / domains.length);
  });

test.run();
