// An evaluation on disk: config.json (what it is a function of), rollouts.jsonl (a line for every finished conversation,
// written when it ends), requests.json (how often models behind an API were asked), evaluation.json and evaluation.md (when
// all are there). What was finished is read back by the next process and not played again; the lines end in the order of the
// plan, so that an interrupted evaluation leaves the bytes of a straight one. Test: test/unit/results.test.ts

import { createHash } from "node:crypto";
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import type { Requests } from "../eval/evaluate.ts";
import { isSpoiled, type Trial } from "../eval/trial.ts";
import { makeFolder } from "../folders.ts";
import { plainJson } from "../json.ts";
import type { Entry } from "../types.ts";
import { Folder, taken } from "./folder.ts";

const LINES = "rollouts.jsonl";
const REQUESTS = "requests.json";

/** What an evaluation is a function of: name as a person types it -> value. */
export type Identity = Readonly<Record<string, string | number | boolean>>;

/** Where a line is in the file, in bytes. */
interface Place {
  readonly start: number;
  readonly end: number;
}

export class Results extends Folder {
  /** Finished conversations; one that was spoiled is not finished. */
  readonly #trials = new Map<string, Trial>();
  readonly #places = new Map<string, Place>();
  #size = 0;
  /** Those of earlier processes. */
  requests?: Requests;

  /** Makes the folder, or goes on with one of the same options. Anything else there is a UsageError. */
  static open(dir: string, identity: Identity): Results {
    const results = new Results(resolve(dir));
    const isNew = !taken(results.dir);
    if (!isNew) results.compare(dir, identity);
    try {
      makeFolder(results.dir);
    } catch (error) {
      throw new UsageError(`--out ${dir}: ${(error as Error).message}; expected a folder that can be written to`);
    }
    results.lock();
    try {
      if (isNew) results.writeJson("config.json", identity);
      results.readLines();
      results.requests = results.readJson(REQUESTS);
    } catch (error) {
      results.close();
      throw error;
    }
    return results;
  }

  /** How many conversations are finished. */
  get finished(): number {
    return this.#trials.size;
  }

  /** What an earlier process found; undefined where the conversation has to be played. */
  find(task: string, trial: number): Trial | undefined {
    return this.#trials.get(keyOf({ task, trial }));
  }

  add(trial: Trial, transcript: readonly Entry[]): void {
    const line = `${JSON.stringify({ ...trial, transcript }, plainJson)}\n`;
    appendFileSync(join(this.dir, LINES), line);
    this.#note(trial, Buffer.byteLength(line));
  }

  /** All that were sent so far, by this process and earlier ones. */
  count(requests: Requests): void {
    this.writeJson(REQUESTS, requests);
  }

  /** Puts the lines into the order of `plan`. */
  sort(plan: readonly Pick<Trial, "task" | "trial">[]): void {
    const places = plan.flatMap((each) => this.#places.get(keyOf(each)) ?? []);
    const isSorted = places.every(({ start }, i) => start === (places[i - 1]?.end ?? 0));
    if (isSorted && (places.at(-1)?.end ?? 0) === this.#size) return;
    const bytes = readFileSync(join(this.dir, LINES));
    this.writeText(LINES, Buffer.concat(places.map(({ start, end }) => bytes.subarray(start, end))));
  }

  private compare(dir: string, identity: Identity): void {
    const was = statSync(this.dir).isDirectory() ? this.readJson<Identity>("config.json") : undefined;
    if (was?.["--agent"] === undefined)
      throw new UsageError(`--out ${dir}: it exists and is no evaluation; expected a new or empty folder`);
    const other = Object.keys({ ...identity, ...was }).find((name) => was[name] !== identity[name]);
    if (other === undefined) return;
    const shown = (value: Identity[string] | undefined) => (value === undefined ? "nothing" : String(value));
    throw new UsageError(
      `--out ${dir}: was made with ${other} ${shown(was[other])}, not ${shown(identity[other])}; expected the same options or another folder`,
    );
  }

  /** What follows the last newline was cut. */
  private readLines(): void {
    const path = join(this.dir, LINES);
    if (!existsSync(path)) return;
    const bytes = readFileSync(path);
    for (let number = 1, start = 0, end = 0; ; number++, start = end) {
      end = bytes.indexOf("\n", start) + 1;
      if (end === 0) break;
      this.#note(readTrial(bytes.toString("utf8", start, end), `${path}:${number}`), end - start);
    }
    if (this.#size < bytes.length) truncateSync(path, this.#size);
  }

  #note(trial: Trial, bytes: number): void {
    const key = keyOf(trial);
    this.#places.set(key, { start: this.#size, end: this.#size + bytes });
    this.#size += bytes;
    if (!isSpoiled(trial)) this.#trials.set(key, trial);
  }
}

function keyOf({ task, trial }: Pick<Trial, "task" | "trial">): string {
  return `${trial} ${task}`;
}

const NEEDED = ["task", "family", "trial", "seed", "ending", "outcome", "turns", "length", "waits"] as const;

function readTrial(line: string, place: string): Trial {
  let read: Partial<Trial & { transcript: unknown }>;
  try {
    read = JSON.parse(line);
  } catch (error) {
    throw new UsageError(`${place}: not JSON: ${(error as Error).message}`);
  }
  const { transcript, ...trial } = read ?? {};
  for (const key of NEEDED)
    if (trial[key] === undefined) throw new UsageError(`${place}: has no ${key}; expected a line of an evaluation`);
  return trial as Trial;
}

/** Bytes of each file that tell it from another one of the same size: the header and the first weights. */
const HEAD = 1 << 20;

/** Tells files apart from others under the same path, by names, sizes and first `bytes`: a folder's, or one file. */
export function fingerprint(path: string, files: RegExp, bytes = HEAD): string {
  const hash = createHash("sha256");
  const dir = statSync(path).isDirectory() ? path : dirname(path);
  const names = dir === path ? readdirSync(dir).filter((name) => files.test(name)) : [basename(path)];
  for (const name of names.sort()) {
    const path = join(dir, name);
    const { size } = statSync(path);
    const head = Buffer.alloc(Math.min(size, bytes));
    const file = openSync(path, "r");
    try {
      hash.update(`${name} ${size} `).update(head.subarray(0, readSync(file, head, 0, head.length, 0)));
    } finally {
      closeSync(file);
    }
  }
  return hash.digest("hex").slice(0, 16);
}
