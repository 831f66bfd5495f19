// The grader on answers made by hand (test/answers.ts), and its process: that hangs, runs out of memory, dies, and is started
// again without an answer lost. What is equal is equal in both directions.

import { spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Grader } from "../../src/grading/grader.ts";
import { bombs, equal, malformed, type Pair, unequal } from "../answers.ts";

const grader = new Grader();
const gradeAll = (pairs: readonly Pair[], by = grader) => Promise.all(pairs.map((pair) => by.isRight(...pair)));
const wrongly = async (pairs: readonly Pair[], right: boolean) => {
  const found = await gradeAll(pairs);
  return pairs.filter((_, i) => found[i] !== right).map((pair) => pair.join("  |  "));
};

test("there are at least 200 pairs, none twice", () => {
  const all = [...equal, ...unequal, ...malformed];
  assert.ok(all.length >= 200, `${all.length}`);
  assert.is(new Set(all.map((pair) => pair.join("\n"))).size, all.length);
});

test("equal answers are equal", async () => {
  assert.equal(await wrongly(equal, true), []);
});

test("unequal answers are unequal", async () => {
  assert.equal(await wrongly(unequal, false), []);
});

test("what is no answer is unequal to anything, and does no harm", async () => {
  assert.equal(await wrongly(malformed, false), []);
  assert.equal(
    await wrongly(
      malformed.map(([said]) => [said, "7"]),
      false,
    ),
    [],
  );
});

test("which of two bare answers was expected makes no difference", async () => {
  const bare = (pair: Pair) => pair.every((text) => /^[\d\s.+\-*/^=()x]+$/.test(text));
  const swapped = (pairs: readonly Pair[]) => pairs.filter(bare).map(([said, expected]): Pair => [expected, said]);
  assert.ok(swapped(equal).length > 30);
  assert.equal(await wrongly(swapped(equal), true), []);
  assert.equal(await wrongly(swapped(unequal), false), []);
});

test("bombs are unequal, and no answer beside them is lost", async () => {
  const own = new Grader({ cpuMs: 1500, heapMB: 256, startMs: 60_000 });
  const good: readonly Pair[] = [
    ["\\boxed{\\sqrt{8}}", "2\\sqrt{2}"],
    ["5", "5"],
  ];
  const mixed = bombs.flatMap((bomb) => [...good, bomb]);
  const found = await gradeAll(mixed, own);
  assert.equal(
    found,
    mixed.map((pair) => good.includes(pair)),
  );
  const { graded, hung, crashed } = own.counts;
  assert.is(graded, mixed.length);
  console.log(`${bombs.length} bombs: ${hung} hung, ${crashed} ended the process`);
  assert.ok(hung + crashed > 0, "none of them needed a process of its own");
  own.close();
});

test("what reaches it in one piece is all answered", async () => {
  const own = new Grader({ cpuMs: 1000, heapMB: 256, startMs: 60_000 });
  assert.ok(await own.isRight("1", "1"));
  process.kill(own.pid!, "SIGSTOP");
  const asked: Promise<boolean>[] = [];
  for (const answer of ["2", "3", "\\sqrt{5}"]) {
    asked.push(own.isRight(answer, answer));
    await delay(20); // each in a message of its own
  }
  process.kill(own.pid!, "SIGCONT");
  assert.equal(await Promise.all(asked), [true, true, true]);
  assert.is(own.counts.hung, 0);
  own.close();
});

test("a child that is killed from outside costs one answer at most", async () => {
  const own = new Grader();
  assert.ok(await own.isRight("2", "2"));
  const asked = gradeAll(
    Array.from({ length: 400 }, (): Pair => ["\\boxed{\\frac{\\sqrt{3}}{3}}", "\\frac{1}{\\sqrt{3}}"]),
    own,
  );
  setTimeout(() => process.kill(own.pid!, "SIGKILL"), 20);
  const found = await asked;
  assert.ok(found.filter((right) => !right).length <= 1);
  assert.is(own.counts.graded, 401);
  assert.ok(await own.isRight("3", "3"));
  own.close();
});

test("ordinary answers are graded at 500 a second and more", async () => {
  const many = Array.from({ length: 5000 }, (_, i): Pair => [`So it is ${i}+${i}=${2 * i}.`, `${2 * i + (i % 2)}`]);
  await gradeAll(many.slice(0, 100));
  const start = performance.now();
  const found = await gradeAll(many);
  const perSecond = many.length / ((performance.now() - start) / 1000);
  assert.is(found.filter(Boolean).length, 2500);
  const start2 = performance.now();
  const expressions = await gradeAll(
    Array.from(
      { length: 200 },
      (_, i): Pair => [`\\boxed{\\sqrt{${i + 2}}+\\frac{${i}}{7}}`, `\\frac{${i}}{7}+\\sqrt{${i + 2}}`],
    ),
  );
  assert.ok(expressions.every(Boolean));
  const slow = 200 / ((performance.now() - start2) / 1000);
  console.log(`${perSecond.toFixed(0)} numbers a second, ${slow.toFixed(0)} expressions a second`);
  assert.ok(perSecond > 500);
});

/** Runs a script of ours in a process of its own; what it prints, and when it ended. */
function runScript(code: string, onLine?: (line: string, kill: () => void) => void): Promise<string> {
  const grader = new URL("../../src/grading/grader.js", import.meta.url).href;
  const child = spawn(process.execPath, ["--input-type=module", "-e", `import { Grader } from "${grader}";\n${code}`]);
  let text = "";
  child.stdout.on("data", (data) => {
    text += data;
    onLine?.(text, () => child.kill("SIGKILL"));
  });
  return new Promise((resolve) => child.once("close", () => resolve(text)));
}

test("it keeps no process alive that waits for nothing", async () => {
  const text = await runScript(`const grader = new Grader(); console.log(await grader.isRight("1/2", "0.5"));`);
  assert.is(text, "true\n");
});

test("it ends with the process that started it, even in an endless loop", async () => {
  const code = `
    const grader = new Grader({ cpuMs: 600000, heapMB: 256, startMs: 60000 });
    await grader.isRight("1", "1");
    grader.isRight("\\\\boxed{\\\\sum_{n=1}^{1000000000000} n}", "\\\\frac{3}{7}");
    setTimeout(() => console.log(grader.pid), 300);`;
  const text = await runScript(code, (line, kill) => line.endsWith("\n") && kill());
  const pid = Number(text);
  assert.ok(pid > 0);
  const isThere = () => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  for (let i = 0; i < 100 && isThere(); i++) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.not(isThere());
});

test.after(() => grader.close());

test.run();
