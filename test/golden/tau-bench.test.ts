// Recorded tau-bench calls, replayed: observations, escaped exceptions and the state's hash, byte for byte, through what
// `tarl sandbox replay` runs; and the vectors of Python's JSON, repr, hash and rounding. Files and lines are found in the
// folder, not listed; a domain that is not built yet is skipped by name and count.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { domain, domainNames } from "../../src/domains/index.ts";
import {
  at,
  type Dict,
  dumps,
  floatText,
  hash,
  hashableText,
  parse,
  round2,
  type Value,
} from "../../src/domains/python.ts";
import { readDatabase, replayFile } from "../../src/sandbox/replay.ts";
import { golden } from "../golden.ts";

/** Messages of CPython's own machinery that may differ, with the reason; fewer than 1% of a file's lines. */
const EXCEPTIONS: readonly { readonly observation: RegExp; readonly reason: string }[] = [
  {
    observation: /^Error: (maximum recursion depth exceeded.*)?$/,
    reason: "depends on the frames that the recording process had open",
  },
];

const folder = golden("tau-bench");
const lines = (file: string) => readFileSync(join(folder!, file), "utf8").split("\n").filter(Boolean);
const files = folder ? readdirSync(folder).filter((name) => name.endsWith(".jsonl")) : [];

if (!folder) {
  console.log("SKIP 1 tau-bench: no golden data beside the checkout (TARL_GOLDEN names the folder)");
  test.skip("tau-bench: no golden data", () => undefined);
}

for (const file of files) {
  const vectors = file.startsWith("vectors_") ? VECTORS()[file] : undefined;
  const name = file.split("_")[0];
  if (vectors) test(`${file}: ${lines(file).length} vectors`, () => lines(file).forEach(vectors));
  else if (domainNames.includes(name)) test(`${file}: ${lines(file).length} lines`, () => replayed(name, file));
  else console.log(`SKIP ${lines(file).length} ${file}: not built yet`);
}

function VECTORS(): Readonly<Record<string, (line: string) => void>> {
  return {
    "vectors_json_repr_hash.jsonl": (line) => {
      const vector = parse(line) as Dict;
      const value = parse(at(vector, "json") as string);
      const got = { dumps: dumps(value), repr: hashableText([value]), sha256: hash([value]) };
      for (const [key, text] of Object.entries(got))
        assert.is(text, at(vector, key), `${key} of ${at(vector, "json")}`);
    },
    "vectors_round2.jsonl": (line) => {
      const { x, round2: rounded } = JSON.parse(line);
      const number = { nan: Number.NaN, inf: Infinity, "-inf": -Infinity }[x as string] ?? Number(x);
      assert.is(floatText(number), x);
      assert.is(floatText(round2(number)), rounded, `round(${x}, 2)`);
    },
  };
}

interface Expected {
  readonly line: string;
  readonly observations: readonly Value[];
  readonly raised: Value;
  readonly done: Value | undefined;
  readonly hash: Value;
}

/** A golden line as a line of calls, and what has to come of it. */
function split(text: string, i: number): { calls: string; expected: Expected } {
  const record = parse(text) as Dict;
  const steps = (record.get("steps") ?? [record]) as Dict[];
  const calls = new Map<string, Value>([["id", BigInt(i)]]);
  if (record.has("setup")) calls.set("setup", (record.get("setup") as Dict[]).map(call));
  calls.set("steps", steps.map(call));
  return {
    calls: dumps(calls),
    expected: {
      line: `line ${i + 1} (${record.get("id") ?? record.get("task_id")})`,
      observations: steps.map((step) => at(step, "observation")),
      raised: record.get("raised") ?? null,
      done: record.get("done"),
      hash: record.get("final_hash") ?? at(record, "hash"),
    },
  };
}

function call(step: Dict): Dict {
  return new Map([
    ["name", at(step, "name")],
    ["kwargs", at(step, "kwargs")],
  ]);
}

async function replayed(name: string, file: string): Promise<void> {
  const chosen = await domain(name);
  const database = readDatabase(chosen, join(folder!, "data", name));
  const cases = lines(file).map(split);
  const initial = parse(lines(file)[0]) as Dict;
  if (initial.has("initial_hash")) assert.is(hash(database), initial.get("initial_hash"), "initial hash");

  const scratch = mkdtempSync(join(tmpdir(), "tarl-calls-"));
  try {
    writeFileSync(join(scratch, "calls.jsonl"), cases.map(({ calls }) => calls).join("\n"));
    const excused: string[] = [];
    let i = 0;
    for (const got of replayFile(chosen, database, join(scratch, "calls.jsonl"))) {
      const { line, observations, raised, done, hash } = cases[i++].expected;
      for (const [step, want] of observations.entries()) {
        const excuse = EXCEPTIONS.find(
          ({ observation }) => typeof want === "string" && want !== "" && observation.test(want),
        );
        if (got.observations[step] !== want && excuse) excused.push(`${line}: ${excuse.reason}`);
        else assert.is(got.observations[step], want, `${file} ${line} step ${step}`);
      }
      assert.is(
        got.raised.some((message) => message !== null),
        raised !== null,
        `${file} ${line} raised`,
      );
      if (done !== undefined) assert.is(got.done, done, `${file} ${line} done`);
      assert.is(got.hash, hash, `${file} ${line} hash`);
    }
    assert.is(i, cases.length);
    for (const reason of excused) console.log(`EXCUSED ${file} ${reason}`);
    assert.ok(excused.length < 0.01 * cases.length, `${excused.length} of ${cases.length} lines excused`);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

test.run();
