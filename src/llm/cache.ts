// Answers on disk, by the content of the question: the same run twice asks nothing. A file for each answer, written
// beside its place and renamed, so that readers and writers of many processes never meet half a file; one that is broken
// counts as absent and is written again. Knows neither server nor key. Test: test/unit/llm.test.ts

import { createHash, randomUUID } from "node:crypto";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { UsageError } from "../errors.ts";
import { makeFolder } from "../folders.ts";
import type { Answer, Body } from "./wire.ts";

/** Changes where old files would be read wrongly. */
const VERSION = 1;

export class AnswerCache {
  readonly #dir: string;

  /** Makes the folder where it is missing; a UsageError where that cannot be done. */
  constructor(dir: string) {
    this.#dir = dir;
    try {
      makeFolder(dir);
      fs.accessSync(dir, fs.constants.W_OK);
    } catch (error) {
      throw new UsageError(`cache folder ${dir}: expected one that can be written (${(error as Error).message})`);
    }
  }

  read(body: Body): Answer | null {
    try {
      const { sha256, answer } = JSON.parse(fs.readFileSync(this.#path(body), "utf8"));
      return hash(answer) === sha256 ? answer : null;
    } catch {
      return null;
    }
  }

  /** False where it could not be written: the answer is of use all the same. */
  write(body: Body, answer: Answer): boolean {
    const path = this.#path(body);
    const part = `${path}.${randomUUID()}.part`;
    try {
      makeFolder(dirname(path));
      fs.writeFileSync(part, `${JSON.stringify({ sha256: hash(answer), answer })}\n`);
      fs.renameSync(part, path);
      return true;
    } catch {
      removeQuietly(part);
      return false;
    }
  }

  #path(body: Body): string {
    const key = hash([VERSION, sorted(body)]);
    return join(this.#dir, key.slice(0, 2), `${key}.json`);
  }
}

function removeQuietly(path: string): void {
  try {
    fs.rmSync(path, { force: true });
  } catch {
    // A folder that is no folder has nothing to remove.
  }
}

function hash(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

/** The order of the keys does not matter at the top; below it is part of the question. */
function sorted(body: Body): [string, unknown][] {
  return Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1));
}
