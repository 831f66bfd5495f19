// Does the method's claim hold here? Every algorithm on the embedded policy with the same budget of rollouts and several
// seeds, measured on the same held-out tasks: the paper's table with intervals, as Markdown, JSON and a picture. Each run is
// made by the command line; a bench that was killed goes on where it stopped. What is compared: table1/rows.ts; how:
// table1/crossed.ts, table1/findings.ts. Run: npm run bench -- table1. Test: test/e2e/table.test.ts

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../src/errors.ts";
import { makeFolder } from "../src/folders.ts";
import { root } from "../src/root.ts";
import { IN_USE } from "../src/run/folder.ts";
import { duration } from "../src/run/progress.ts";
import { attempt, BUSY, close, machine, say, short } from "./common.ts";
import { describeMachine } from "./machine.ts";
import { findingsOf, type Trained } from "./table1/findings.ts";
import { estimate, type Failure, markdown, type Report } from "./table1/markdown.ts";
import { readOptions } from "./table1/options.ts";
import { picture } from "./table1/picture.ts";
import { budgetOf, type Cell, cellOf } from "./table1/rows.ts";
import { commitsOf, hashOf, make, read, STOPPED, stateOf } from "./table1/runs.ts";

async function compare(args: readonly string[]): Promise<void> {
  const options = readOptions(args);
  const { rows, seeds, plan, runs } = options;
  const cells = seeds.flatMap((seed) => rows.flatMap((row) => (row.values ? [cellOf(row, seed, plan)] : [])));
  const failures = await makeAll(runs, cells, budgetOf(plan));
  if (!failures) {
    say("stopped; the same command goes on");
    process.exitCode = STOPPED;
    return;
  }
  const there = cells.filter(({ run }) => failures.every((failure) => failure.run !== run));
  if (there.length === 0) throw new Error("every run has failed");
  const trained = rows.map((row): Trained => {
    const own = there.filter((cell) => cell.row === row.name);
    return { row, made: own.map((cell) => read(runs, cell)) };
  });
  const report: Report = {
    ...findingsOf(trained, { ...plan, seeds, rollouts: budgetOf(plan) }),
    command: `npm run bench -- ${["table1", ...args].join(" ")}`,
    commits: commitsOf(runs, there),
    machine: describeMachine(machine.threads) + (machine.load > BUSY ? ", busy: its times mean little" : ""),
    hashes: Object.fromEntries(there.map((cell) => [cell.run, hashOf(cell.config)])),
    failures,
  };
  write(report, options.out);
  say(markdown(report, "table1.svg"));
  close("table1", report);
  if (failures.length) process.exitCode = 1;
}

/** Makes what is not finished, one run after the other, and says which failed; null where a person stopped it. */
async function makeAll(runs: string, cells: readonly Cell[], rollouts: number): Promise<Failure[] | null> {
  const finished = cells.filter((cell) => stateOf(runs, cell) === "finished").length;
  say(`${cells.length} runs of ${rollouts} rollouts, ${finished} of them finished; they are in ${runs}`);
  const commit = commitNow();
  const failures: Failure[] = [];
  for (const cell of cells) {
    const state = stateOf(runs, cell); // another bench may have made it in the meantime
    if (state === "finished") continue;
    say(`${cell.run}: ${state === "half" ? "goes on" : "begins"}`);
    const { code, why } = await make(runs, cell, state, commit);
    if (code === STOPPED) return null;
    // Another bench, or what a killed one has left, works on it: two at once would make the same runs.
    if (code !== 0 && why.includes(IN_USE)) throw new UsageError(`${why}; then the same command goes on`);
    say(`${cell.run}: ${code === 0 ? lineOf(runs, cell) : `FAILED: ${why}`}`);
    if (code !== 0) failures.push({ run: cell.run, why });
  }
  return failures;
}

function write(report: Report, folders: readonly string[]): void {
  const json = JSON.stringify(short({ bench: "table1", ...machine, ...report }), null, 1);
  for (const folder of folders) {
    makeFolder(folder);
    writeFileSync(join(folder, "table1.md"), markdown(report, "table1.svg"));
    writeFileSync(join(folder, "table1.json"), `${json}\n`);
    writeFileSync(join(folder, "table1.svg"), picture(report));
    say(`written: ${folder}/table1.md, .json, .svg`);
  }
}

function lineOf(runs: string, cell: Cell): string {
  const { before, after, wall } = read(runs, cell);
  const [was, is] = [before, after].map(({ pass, interval }) => estimate({ mean: pass[0], interval: interval[0] }));
  return `pass^1 ${was}, then ${is}, in ${duration(wall)}`;
}

/** The code that runs now; "-dirty" where it is not what was committed. */
function commitNow(): string {
  try {
    const described = execFileSync("git", ["describe", "--always", "--dirty"], { cwd: root, stdio: "pipe" });
    return String(described).trim();
  } catch {
    return "unknown";
  }
}

await attempt("table1", () => compare(process.argv.slice(2)));
