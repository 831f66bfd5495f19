// The command line in a process of its own, for benchmarks and tests of whole runs. Sets nothing up: scripts/ have.
// Tests: test/e2e/table.test.ts, test/e2e/overlap.test.ts

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";

const main = new URL("../src/cli/main.js", import.meta.url).href;
const script = `const { main } = await import(${JSON.stringify(main)}); process.exitCode = await main(process.argv.slice(1));`;

/** What node is started with, for what a person would type as `node train.js <args>`. */
export const tarlArgs = (args: readonly string[]): string[] => ["--input-type=module", "-e", script, "--", ...args];

/** Starts what a person would type as `node train.js <args>`; `env` is laid over this process's own. */
export function startTarl(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, tarlArgs(args), {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
}

/** How a process ended. */
export interface Ended {
  /** Null where a signal ended it. */
  readonly code: number | null;
  /** The last line that it complained with, else how it ended. */
  readonly why: string;
}

/** Waits for the end of a process. Its standard output is for somebody else to read. */
export async function endOf(child: ReturnType<typeof startTarl>): Promise<Ended> {
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaint = (complaint + chunk).slice(-2000);
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) =>
    child.on("close", (...ended) => resolve(ended)).on("error", reject),
  );
  const last = complaint.trim().split("\n").at(-1);
  return { code, why: code === null ? `it was ended by ${signal}` : last || `exit code ${code}` };
}
