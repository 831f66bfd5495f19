// Grades answers in a child process that may hang or die of what it reads: the answer that did it counts as wrong, the others
// are asked again of the next child. Started with the first answer, alone for the whole process; never keeps it alive.
// What makes answers equal is in equal.ts. Test: test/unit/grading.test.ts

import { type ChildProcess, fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Question } from "./child.ts";

export interface GraderLimits {
  /** For one answer, of the child's computing: a busy machine makes no answer wrong. */
  readonly cpuMs: number;
  /** Of the child's JavaScript heap. */
  readonly heapMB: number;
  /** Until a child is ready to grade. */
  readonly startMs: number;
}

export const graderLimits: GraderLimits = { cpuMs: 5000, heapMB: 512, startMs: 120_000 };

/** What became of the answers: `hung` took too long, `crashed` ended the child; both are among `graded`. */
export interface GraderCounts {
  readonly graded: number;
  readonly hung: number;
  readonly crashed: number;
}

/** Characters of a message that are sent: its end. */
const MOST_CHARACTERS = 20_000;
/** Children in a row that never became ready. */
const MOST_FALSE_STARTS = 2;

/** Looks at a child that was given no time to compute, before it is given up. */
const MOST_ROUNDS = 60;
const SHORTEST_MS = 100;

interface Waiting {
  readonly question: Question;
  readonly resolve: (right: boolean) => void;
  readonly reject: (error: Error) => void;
}

export class Grader {
  #child: ChildProcess | null = null;
  #ready = false;
  #falseStarts = 0;
  /** In the order in which the child answers; the first `#sent` are with it. */
  #waiting: Waiting[] = [];
  #sent = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushing = false;
  #counts = { graded: 0, hung: 0, crashed: 0 };

  constructor(readonly limits: GraderLimits = graderLimits) {}

  get counts(): GraderCounts {
    return { ...this.#counts };
  }

  /** Of the child, where there is one. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Does the agent's message give the expected answer? Rejects only where no child can be started. */
  isRight(message: string, expected: string): Promise<boolean> {
    const question: Question = [message.slice(-MOST_CHARACTERS), expected];
    return new Promise((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject });
      if (!this.#child) this.#start();
      else if (this.#ready) this.#flushSoon();
      this.#keepAlive(true);
    });
  }

  /** Ends the child; what waits is rejected. */
  close(): void {
    this.#fail(new Error("the grader is closed"));
    this.#child?.kill("SIGKILL");
    this.#child = null;
    this.#ready = false;
  }

  #start(): void {
    const child = fork(fileURLToPath(new URL("./child.js", import.meta.url)), [], {
      execArgv: [`--max-old-space-size=${this.limits.heapMB}`],
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      serialization: "json",
    });
    this.#child = child;
    this.#ready = false;
    this.#sent = 0;
    child.on("message", (message: "ready" | boolean) => this.#heard(child, message));
    child.once("error", () => child.kill("SIGKILL"));
    child.once("close", () => this.#ended(child));
    this.#watch(child, this.limits.startMs);
  }

  #heard(child: ChildProcess, message: "ready" | boolean): void {
    if (child !== this.#child) return;
    if (message === "ready") {
      this.#ready = true;
      this.#falseStarts = 0;
      this.#flush();
      return;
    }
    this.#sent--;
    this.#counts.graded++;
    this.#waiting.shift()!.resolve(message);
    this.#watch(child, this.limits.cpuMs);
    if (this.#waiting.length === 0) this.#keepAlive(false);
  }

  /** All that is asked in one turn of the event loop goes in one message. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      if (this.#ready) this.#flush();
    });
  }

  #flush(): void {
    const more = this.#waiting.slice(this.#sent).map(({ question }) => question);
    if (more.length === 0) return;
    const isIdle = this.#sent === 0;
    this.#sent += more.length;
    this.#child!.send(more, () => {}); // a child that is gone is heard of by "close"
    if (isIdle) this.#watch(this.#child!, this.limits.cpuMs);
  }

  /** The child has so long for what it is at; nothing waits for a child that has nothing to do. */
  #watch(child: ChildProcess, limitMs: number): void {
    clearTimeout(this.#timer);
    if (this.#ready && this.#sent === 0) return;
    const before = cpuMs(child.pid);
    const look = (rounds: number) => {
      const left = limitMs - (cpuMs(child.pid) - before);
      // It has not computed for so long yet; NaN, where nobody can tell, is none left.
      if (left > 0 && rounds > 0) this.#timer = setTimeout(look, Math.max(left, SHORTEST_MS), rounds - 1);
      else {
        if (this.#ready) this.#counts.hung++;
        this.#blame(child);
      }
    };
    this.#timer = setTimeout(look, limitMs, MOST_ROUNDS);
  }

  /** Takes the first answer as the one that did it, and starts anew with the others. */
  #blame(child: ChildProcess): void {
    if (this.#ready && this.#sent > 0) {
      this.#counts.graded++;
      this.#waiting.shift()!.resolve(false);
    } else if (!this.#ready && ++this.#falseStarts >= MOST_FALSE_STARTS) {
      this.#fail(new Error("the process that grades answers does not start"));
    }
    clearTimeout(this.#timer);
    this.#child = null;
    this.#ready = false;
    this.#sent = 0;
    child.kill("SIGKILL");
    if (this.#waiting.length > 0) this.#start();
  }

  /** A child that ended by itself. */
  #ended(child: ChildProcess): void {
    if (child !== this.#child) return;
    if (this.#ready && this.#sent > 0) this.#counts.crashed++;
    this.#blame(child);
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    this.#sent = 0;
    clearTimeout(this.#timer);
    this.#keepAlive(false);
  }

  #keepAlive(needed: boolean): void {
    const child = this.#child;
    if (!child) return;
    if (needed) child.ref();
    else child.unref();
    if (needed) child.channel?.ref();
    else child.channel?.unref();
  }
}

/** Milliseconds of all cores that a process took so far, in steps of ten; NaN where the system does not tell. */
function cpuMs(pid: number | undefined): number {
  try {
    // user and system time, fields 14 and 15 of proc(5), in hundredths; the name in brackets before them may hold spaces
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return 10 * (Number(fields[11]) + Number(fields[12]));
  } catch {
    return Number.NaN;
  }
}

let shared: Grader | undefined;

/** A line for a person about answers of this process that could not be graded in time; null where all were. */
export function gradingNote(): string | null {
  const { hung = 0, crashed = 0 } = shared?.counts ?? {};
  return hung + crashed > 0
    ? `graded as wrong: ${hung} answers that took too long, ${crashed} that ended the process which grades`
    : null;
}

/** The one of this process. */
export function sharedGrader(): Grader {
  shared ??= new Grader();
  return shared;
}
