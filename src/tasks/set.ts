// Task sets: a folder with manifest.json and one file of tasks per split, <split>.jsonl; and what an imported set lays over
// its domain (policy text, tool schemas, database) so that numbers published for it compare. Numbers in a call's arguments
// keep their spelling. Not the importers, and not which tasks are played when (sampler.ts). Test: test/unit/set.test.ts

import { createHash } from "node:crypto";
import { existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { dumps, parse } from "../domains/python.ts";
import { callShape, taskShape } from "../domains/task.ts";
import { UsageError } from "../errors.ts";
import { makeFolder } from "../folders.ts";
import type { Dialogue, Domain, Json, Task, ToolSchema } from "../types.ts";
import { attempt, check, dict, jsonLines, newlines, plain, readText, written } from "./record.ts";

const MANIFEST = "manifest.json";
/** Of a split or a file: it stays inside of the folder. */
export const NAME = /^[A-Za-z0-9_][\w.-]*$/;

export const writtenCall = callShape(dict.transform(dumps));

const shape = taskShape(writtenCall);
const task = shape.extend({ database: shape.shape.database.min(0, "expected a whole number from 0 on") });

export const toolSchema = z.strictObject({
  name: z.string().min(1),
  description: z.string(),
  parameters: dict.transform((value): Json => JSON.parse(dumps(value))),
});

const count = z.int().min(0);
const fileName = z.string().regex(NAME, "expected a plain file name");

const manifest = z.strictObject({
  /** What the lines of the splits are. */
  kind: z.enum(["tasks", "dialogues"]),
  /** Missing where dialogues are of no one domain. */
  domain: z.string().min(1).optional(),
  /** The profile of the domain that the set is meant for. */
  profile: z.string().min(1).optional(),
  /** What made it: "tau-bench", "apigen", "synthesize" ... */
  source: z.string().min(1),
  /** The file or folder that it was read from. */
  from: z.string().optional(),
  seed: z.int().min(0).optional(),
  /** Does success ask for the outputs as well? Without it: as the domain has it. */
  checkOutputs: z.boolean().optional(),
  /** Folder of <table>.json that replaces the domain's databases; a relative one is looked for in the set. */
  data: z.string().min(1).optional(),
  /** Files of the set that replace the domain's policy text and tool schemas. */
  policy: fileName.optional(),
  tools: fileName.optional(),
  /** How tasks were drawn and proven that were made by their domain. */
  synthesis: z
    .strictObject({
      /** Shares that were asked for. */
      heldOut: z.number(),
      refuseShare: z.number(),
      /** Tasks by how they are told, as far as their domain says so. */
      wordings: z.record(z.string(), count),
      /** Gate -> tasks that it looked at, and tasks that failed it. */
      gates: z.record(z.string(), z.strictObject({ checked: count, failed: count })),
      /** Why tasks were left out: the first gate that they failed. */
      rejected: z.record(z.string(), count),
    })
    .optional(),
  splits: z.record(fileName, z.strictObject({ count, families: z.record(z.string(), count).optional() })),
  /** SHA-256 of every file of the set. */
  files: z.record(fileName, z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256 in hexadecimal digits")),
});

export type Manifest = z.infer<typeof manifest>;

/** What a set replaces in its domain. */
export interface Overlay {
  readonly policy?: string;
  readonly tools?: readonly ToolSchema[];
  /** Folder of <table>.json. */
  readonly data?: string;
}

export interface TaskSet {
  /** As it was named. */
  readonly path: string;
  readonly manifest: Manifest & { readonly domain: string };
  readonly splits: ReadonlyMap<string, readonly Task[]>;
  readonly overlay: Overlay;
}

/** What `writeSet` makes a folder of; counts and hashes are its own business. */
export interface Draft<Line extends Task | Dialogue = Task | Dialogue>
  extends Omit<Manifest, "splits" | "files" | "policy" | "tools"> {
  readonly splits: Readonly<Record<string, readonly Line[]>>;
  /** The texts themselves. */
  readonly policy?: string;
  readonly tools?: readonly ToolSchema[];
}

/** A folder of tasks, or a single .jsonl file of them, which is its own only split. Throws UsageErrors. */
export function openSet(path: string): TaskSet {
  if (existsSync(path) && !statSync(path).isDirectory()) return openFile(path);
  const folder = openFolder(path, "tasks");
  const { domain } = folder.manifest;
  if (domain === undefined) throw new UsageError(`${join(path, MANIFEST)}: domain: missing, expected the tasks' own`);
  const manifest = { ...folder.manifest, domain };
  const seen = new Map<string, string>();
  const splits = folder.splits((value, place) => readTask(value, place, domain, seen));
  return { path, manifest, splits, overlay: overlayOf(folder) };
}

/** The tasks of one split, or of all. */
export function tasksOf({ path, splits }: TaskSet, split?: string): readonly Task[] {
  if (split === undefined) return [...splits.values()].flat();
  const tasks = splits.get(split);
  if (!tasks) throw new UsageError(`--split ${split}: ${path} has ${[...splits.keys()].join(", ")}`);
  return tasks;
}

/**
 * The domain as a set plays it: with its policy text and tool schemas. Tasks of families that the domain does not make are
 * won by state and outputs alone. The set's database is not laid over: `overlay.data` is for whoever opens the domain.
 */
export function withSet(domain: Domain, { path, manifest, overlay }: Pick<TaskSet, "path" | "manifest" | "overlay">) {
  if (manifest.domain !== domain.name)
    throw new UsageError(`${path}: a set of the domain ${manifest.domain}, played on ${domain.name}`);
  const { answered } = domain;
  return {
    ...domain,
    ...(overlay.policy === undefined ? {} : { policy: overlay.policy }),
    ...(overlay.tools === undefined ? {} : { tools: toolsWith(domain, overlay.tools, path), toolsInPrompt: true }),
    checkOutputs: manifest.checkOutputs ?? domain.checkOutputs,
    ...(answered ? { answered: (task, said) => !domain.families.includes(task.family) || answered(task, said) } : {}),
  } satisfies Domain as Domain;
}

/** The domain's tools under other schemas; they have to be the same tools. */
function toolsWith(domain: Domain, schemas: readonly ToolSchema[], path: string): Domain["tools"] {
  const missing = domain.tools.find(({ name }) => !schemas.some((schema) => schema.name === name));
  if (missing) throw new UsageError(`${path}: its tools lack ${missing.name}, which ${domain.name} has`);
  return schemas.map((schema) => {
    const tool = domain.tools.find(({ name }) => name === schema.name);
    if (!tool) throw new UsageError(`${path}: ${domain.name} (${domain.profile}) has no tool ${schema.name}`);
    return { ...tool, ...schema };
  });
}

/** Sets are never written over. */
export function checkFree(dir: string): void {
  if (dir === "") throw new UsageError("--out: the folder of a set has no name; expected a new or empty folder");
  if (existsSync(dir) && !(statSync(dir).isDirectory() && readdirSync(dir).length === 0))
    throw new UsageError(`--out ${dir}: exists already; expected a new or empty folder`);
}

/** Writes a set; `dir` has to be new or empty, and appears with everything in it or not at all. */
export function writeSet(dir: string, draft: Draft): Manifest {
  checkFree(dir);
  const { policy, tools, splits, ...rest } = draft;
  const texts = new Map<string, string>();
  for (const [split, lines] of Object.entries(splits))
    texts.set(`${split}.jsonl`, lines.map((line) => `${written(line)}\n`).join(""));
  if (policy !== undefined) texts.set("policy.md", newlines(policy));
  if (tools !== undefined) texts.set("tools.json", `${JSON.stringify(tools, null, 1)}\n`);
  const made: Manifest = check(
    manifest,
    {
      ...rest,
      ...(policy === undefined ? {} : { policy: "policy.md" }),
      ...(tools === undefined ? {} : { tools: "tools.json" }),
      splits: Object.fromEntries(
        Object.entries(splits).map(([split, lines]) => [split, { count: lines.length, ...tally(lines) }]),
      ),
      files: Object.fromEntries([...texts].map(([name, text]) => [name, sha256(text)])),
    },
    join(dir, MANIFEST),
  );
  texts.set(MANIFEST, `${JSON.stringify(made, null, 2)}\n`);
  attempt(dir, () => {
    const part = `${resolve(dir)}.part-${process.pid}`;
    makeFolder(part);
    try {
      for (const [name, text] of texts) writeFileSync(join(part, name), text);
      renameSync(part, dir);
    } catch (error) {
      rmSync(part, { recursive: true, force: true });
      throw error;
    }
  });
  return made;
}

/** How many tasks each family has. */
function tally(lines: readonly (Task | Dialogue)[]): { families?: Record<string, number> } {
  const families = new Map<string, number>();
  for (const line of lines) if ("family" in line) families.set(line.family, (families.get(line.family) ?? 0) + 1);
  return families.size ? { families: Object.fromEntries(families) } : {};
}

/** A folder whose manifest is good and of the kind that is asked for; its files are checked as they are read. */
export function openFolder(path: string, kind: Manifest["kind"]) {
  const file = join(path, MANIFEST);
  if (!existsSync(path)) throw new UsageError(`${path}: no such task set`);
  if (!existsSync(file)) throw new UsageError(`${path}: has no ${MANIFEST}; expected the folder of a task set`);
  const made = check(
    manifest,
    attempt(file, () => plain(parse(readText(file)))),
    file,
  );
  if (made.kind !== kind) throw new UsageError(`${path}: a set of ${made.kind}, expected one of ${kind}`);

  /** `use` reads the text first, so that a bad line is named before a hash that differs. */
  const read = <T>(name: string, use: (text: string, file: string) => T): T => {
    const file = join(path, name);
    const text = readText(file);
    const result = use(text, file);
    if (made.files[name] === undefined) throw new UsageError(`${join(path, MANIFEST)}: files: lacks ${name}`);
    if (sha256(text) !== made.files[name])
      throw new UsageError(`${file}: changed since the set was made (its SHA-256 is not the manifest's)`);
    return result;
  };
  const splits = <T>(readLine: (value: unknown, place: string) => T) =>
    new Map(
      Object.entries(made.splits).map(([split, { count }]) => {
        const lines = read(`${split}.jsonl`, (text, file) => readLines(text, file, readLine));
        if (lines.length !== count)
          throw new UsageError(`${file}: splits.${split}.count: ${count}, but ${split}.jsonl has ${lines.length}`);
        return [split, lines as readonly T[]] as const;
      }),
    );
  return { path, manifest: made, read, splits };
}

function readLines<T>(text: string, file: string, readLine: (value: unknown, place: string) => T): T[] {
  return [...jsonLines(text, file)].map(({ value, place }) => readLine(plain(value), place));
}

function overlayOf({ path, manifest: { policy, tools, data }, read }: ReturnType<typeof openFolder>): Overlay {
  return {
    ...(policy === undefined ? {} : { policy: read(policy, (text) => text) }),
    ...(tools === undefined ? {} : { tools: read(tools, readTools) }),
    ...(data === undefined ? {} : { data: resolve(path, data) }),
  };
}

function readTools(text: string, file: string): ToolSchema[] {
  return check(z.array(toolSchema), plain(attempt(file, () => parse(text))), file);
}

/** A lone file of tasks: all of one domain, as their first line says. */
function openFile(path: string): TaskSet {
  const text = readText(path);
  const seen = new Map<string, string>();
  let domain: string | undefined;
  const tasks = readLines(text, path, (value, place) => {
    const task = readTask(value, place, domain, seen);
    domain = task.domain;
    return task;
  });
  if (domain === undefined) throw new UsageError(`${path}: holds no task`);
  const name = basename(path);
  const split = name.replace(/\.jsonl$/, "");
  const splits = { [split]: { count: tasks.length, ...tally(tasks) } };
  const made = { kind: "tasks", domain, source: "file", splits, files: { [name]: sha256(text) } } as const;
  return { path, manifest: made, splits: new Map([[split, tasks]]), overlay: {} };
}

/** `seen`: the place of every id so far. */
function readTask(value: unknown, place: string, domain: string | undefined, seen: Map<string, string>): Task {
  const read = check(task, value, place);
  if (domain !== undefined && read.domain !== domain)
    throw new UsageError(`${place}: domain: ${read.domain}, expected ${domain} as in the rest of the set`);
  checkNew(read.id, place, seen);
  return read;
}

/** Refuses an id that was there before. */
export function checkNew(id: string, place: string, seen: Map<string, string>): void {
  const before = seen.get(id);
  if (before !== undefined) throw new UsageError(`${place}: id: ${id} stands at ${before} already`);
  seen.set(id, place);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
