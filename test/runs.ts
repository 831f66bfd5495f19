// Runs of the command line in processes of their own, as a user starts them: started, killed, gone on with, compared as
// bytes.

import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { tarlArgs } from "../bench/command.ts";
import type { StepLine } from "../src/run/metrics.ts";

export interface Ended {
  readonly code: number | null;
  readonly out: string;
}

/** Runs in a folder of their own, which goes when the tests of the file have run. */
export class Runs {
  readonly dir = fs.mkdtempSync(join(tmpdir(), "tarl-runs-"));

  constructor() {
    test.after(() => fs.rmSync(this.dir, { recursive: true }));
  }

  /** Runs the command; `watch` is called with all output so far whenever there is more. */
  start(args: readonly string[], watch?: (out: string, child: ChildProcess) => void): Promise<Ended> {
    const child = spawn(process.execPath, tarlArgs(args), { cwd: this.dir });
    let out = "";
    const hear = (chunk: Buffer) => {
      out += chunk;
      watch?.(out, child);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    return new Promise((resolve) => child.on("close", (code) => resolve({ code, out })));
  }

  read(run: string, file: string): Buffer {
    return fs.readFileSync(join(this.dir, "runs", run, file));
  }

  /** What is in a folder of a run. */
  list(run: string, folder: string): string[] {
    return fs.readdirSync(join(this.dir, "runs", run, folder));
  }

  metrics(run: string): StepLine[] {
    return String(this.read(run, "metrics.jsonl"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  }

  /** Everything that the seed decides is the same in both: options, metrics, rollouts, evaluations, the last checkpoint. */
  assertSame(run: string, other: string): void {
    const [one, two] = [this.#decided(run), this.#decided(other)];
    assert.equal([...one.keys()], [...two.keys()]);
    for (const [file, bytes] of one) assert.ok(bytes.equals(two.get(file)!), `${file} differs`);
  }

  #decided(run: string): Map<string, Buffer> {
    const files = ["metrics.jsonl", "config.json"];
    for (const folder of ["rollouts", "evaluations", `checkpoints/step-${this.metrics(run).length}`])
      for (const name of fs.readdirSync(join(this.dir, "runs", run, folder), { recursive: true }).sort())
        files.push(join(folder, String(name)));
    const whole = files.filter((file) => fs.statSync(join(this.dir, "runs", run, file)).isFile());
    return new Map(whole.map((file) => [file, this.read(run, file)]));
  }
}
