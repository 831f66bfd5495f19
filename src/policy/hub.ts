// Models by their name on the Hugging Face hub: the only door to @huggingface/hub, which says what a revision is and which
// files it has. They are kept as the Python library keeps them, so that each finds what the other has fetched. Not the
// transfer of a file: download.ts. Reads no environment: cli/hub.ts. Test: test/unit/hub.test.ts

import {
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { CheckpointError, UsageError } from "../errors.ts";
import { makeFolder } from "../folders.ts";
import { bytesText } from "./amount.ts";
import { COMPANIONS, INDEX, readIndex, WEIGHTS } from "./checkpoint.ts";
import { download, patiently, Refusal, WrongContent } from "./download.ts";

export interface HubSettings {
  /** Address of the hub, without a slash at its end. */
  readonly endpoint: string;
  /** Folder of the cache: models--ORG--NAME below it. */
  readonly cache: string;
  readonly token?: string;
  /** Asks nothing of the network. */
  readonly offline: boolean;
  /** A line that stays, and one that the next replaces. */
  readonly line: (text: string) => void;
  readonly live: (text: string) => void;
  /** Before a second try, milliseconds. */
  readonly waitMs?: number;
  /** Longest silence in the middle of a file, milliseconds. */
  readonly stallMs?: number;
}

/** ORG/NAME, perhaps with @REVISION: a branch, a tag or a commit. */
const NAME = /^(\w[\w.-]*\/\w[\w.-]*)(?:@(\w[\w./-]*))?$/;
const COMMIT = /^[0-9a-f]{40}$/;
/** Of a file's content: git's SHA-1, or SHA-256. */
const HASH = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** Could this be the name of a model on the hub? A folder of the same name goes before it. */
export function isHubName(model: string): boolean {
  return NAME.test(model) && !model.includes("..");
}

/** Where a model is on the hub, and where in the cache. */
interface Place {
  readonly repo: string;
  readonly revision: string;
  /** models--ORG--NAME. */
  readonly folder: string;
  readonly storage: string;
  /** The file with the commit that the revision was when it was last asked for. */
  readonly ref: string;
}

function placeOf(model: string, cache: string): Place {
  const [, repo, revision = "main"] = NAME.exec(model)!;
  const folder = `models--${repo.replace("/", "--")}`;
  const storage = join(cache, folder);
  return { repo, revision, folder, storage, ref: join(storage, "refs", revision) };
}

/** "shape": what says how large a model is. */
export type ModelPart = "all" | "shape";
const SHAPE = ["config.json", "generation_config.json"];

/** A revision's files as the Python library lists them in trees/COMMIT.json. */
interface Tree {
  readonly [path: string]: {
    readonly size: number;
    readonly blob_id: string;
    readonly lfs_sha256?: string;
    readonly lfs_size?: number;
    readonly xet_hash?: string;
  };
}
const TREE_FORMAT = 1;

/** Longest wait for an answer that is no file, milliseconds; as the Python library has it. */
const ANSWER_MS = 10_000;
const WAIT_MS = 1000;
const STALL_MS = 30_000;

export class Hub {
  /** Why the network is left alone from now on. */
  #closed: string | null;
  #told = false;

  constructor(readonly settings: HubSettings) {
    this.#closed = settings.offline ? "HF_HUB_OFFLINE is set" : null;
  }

  /** The same model with its revision as a commit, which means the same for ever. */
  async pin(model: string): Promise<string> {
    const { repo, revision, ref } = placeOf(model, this.settings.cache);
    if (COMMIT.test(revision)) return model;
    const named = (commit: string) => `${repo}@${commit}`;
    const info = await this.#ask(model, async ({ modelInfo }, how) =>
      modelInfo({ ...how, name: repo, revision, additionalFields: ["sha"] }),
    );
    if (info) {
      if (!COMMIT.test(info.sha)) throw new UsageError(`--model ${model}: the hub names no commit for it`);
      if (readText(ref) !== info.sha) quietly(() => writeWhole(ref, info.sha));
      return named(info.sha);
    }
    const commit = readText(ref)?.trim();
    if (!commit || !COMMIT.test(commit)) throw this.#absent(model);
    this.#tell(model, `revision ${commit}`);
    return named(commit);
  }

  /** The folder of a model with all files that are needed of it, or of its shape. Those that the cache lacks are fetched. */
  async fetch(model: string, part: ModelPart = "all"): Promise<string> {
    const pinned = placeOf(await this.pin(model), this.settings.cache);
    const { storage, revision: commit, repo } = pinned;
    const dir = join(storage, "snapshots", commit);
    const listing = join(storage, "trees", `${commit}.json`);
    const tree = readTree(listing) ?? (await this.#list(model, repo, commit, listing));
    if (!tree) {
      const lack = lacking(dir, part);
      if (lack !== null) throw this.#absent(model, dir, lack);
      this.#tell(model, dir);
      return dir;
    }
    const small = ["config.json", ...COMPANIONS, ...(tree[WEIGHTS] ? [] : [INDEX])].filter((name) => tree[name]);
    if (!tree["config.json"]) throw new UsageError(`--model ${model}: it has no config.json`);
    if (part === "shape") {
      await this.#get(
        model,
        pinned,
        tree,
        SHAPE.filter((name) => tree[name]),
      );
      return dir;
    }
    if (!tree[WEIGHTS] && !tree[INDEX]) {
      const other = Object.keys(tree).find((name) => /\.(bin|pt|pth|gguf|onnx|h5|msgpack|safetensors)$/.test(name));
      const found = other ? ` (but ${other})` : "";
      throw new UsageError(`--model ${model}: it has neither ${WEIGHTS} nor ${INDEX}${found}`);
    }
    await this.#get(model, pinned, tree, small);
    const weights = tree[WEIGHTS] ? [WEIGHTS] : shardsOf(dir);
    const unlisted = weights.find((name) => !tree[name]);
    if (unlisted) throw new CheckpointError(`--model ${model}: ${INDEX} names ${unlisted}, which it does not have`);
    await this.#get(model, pinned, tree, weights);
    return dir;
  }

  /** Says once that the cache has to do. */
  #tell(model: string, what: string): void {
    if (!this.#told) this.settings.line(`${model}: ${this.#closed}; going on with ${what} of the cache`);
    this.#told = true;
  }

  /** All files of a commit, kept for good; null where they cannot be asked for. */
  async #list(model: string, repo: string, commit: string, listing: string): Promise<Tree | null> {
    const entries = await this.#ask(model, async ({ listFiles }, how) => {
      const found = [];
      for await (const entry of listFiles({ ...how, repo, revision: commit, recursive: true })) found.push(entry);
      return found;
    });
    if (!entries) return null;
    const tree: Tree = Object.fromEntries(
      entries
        .filter(({ type, oid }) => type === "file" && oid !== undefined)
        .map(({ path, size, oid, lfs, xetHash }) => [
          path,
          {
            size,
            blob_id: oid!,
            ...(lfs && { lfs_sha256: lfs.oid, lfs_size: lfs.size }),
            ...(xetHash !== undefined && { xet_hash: xetHash }),
          },
        ]),
    );
    quietly(() => writeWhole(listing, JSON.stringify({ format_version: TREE_FORMAT, files: tree })));
    return tree;
  }

  /** Has the named files in the snapshot. */
  async #get(model: string, at: Place, tree: Tree, names: readonly string[]): Promise<void> {
    const { storage, revision: commit, repo, folder } = at;
    const { endpoint, cache, line, live, waitMs = WAIT_MS, stallMs = STALL_MS } = this.settings;
    const snapshot = join(storage, "snapshots", commit);
    const missing = names.filter((name) => sizeOf(join(snapshot, name)) !== tree[name].size);
    if (missing.length === 0) return;
    if (this.#closed) throw this.#absent(model, snapshot, missing[0]);
    const files = missing.map((name) => {
      const { size, blob_id, lfs_sha256: hash = blob_id } = tree[name];
      if (!HASH.test(hash)) throw new UsageError(`--model ${model}: the hub lists ${name} without a hash`);
      const url = `${endpoint}/${repo}/resolve/${commit}/${encodeURIComponent(name)}`;
      const blob = join(storage, "blobs", hash);
      return { name, url, bytes: size, hash, blob, lock: join(cache, ".locks", folder, `${hash}.tarl`) };
    });
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    const started = performance.now();
    let [name, done] = ["", 0];
    try {
      makeFolder(snapshot);
      this.#checkSpace(model, files);
      const label = files.length === 1 ? files[0].name : `${files.length} files`;
      line(`${model}: fetching ${label} (${bytesText(total)}) into ${snapshot}`);
      for (const file of files) {
        ({ name } = file);
        await download(file, {
          request: this.#request,
          waitMs,
          stallMs,
          waiting: () => line(`${model}: another process fetches ${name}; waiting for it`),
          progress: (bytes) => {
            const seconds = (performance.now() - started) / 1000;
            const percent = Math.floor((100 * (done + bytes)) / total);
            live(`${name}  ${percent}% of ${bytesText(total)}  ${Math.round(seconds)} s`);
          },
        });
        link(file.blob, join(snapshot, name));
        done += file.bytes;
      }
      live("");
    } catch (error) {
      live("");
      throw this.#failure(model, name, error);
    }
  }

  #checkSpace(model: string, files: readonly { readonly bytes: number; readonly blob: string }[]): void {
    const { cache } = this.settings;
    const wanted = files.filter(({ blob, bytes }) => sizeOf(blob) !== bytes);
    const needed = wanted.reduce((sum, { bytes, blob }) => sum + bytes - (sizeOf(`${blob}.incomplete`) ?? 0), 0);
    const { bavail, bsize } = statfsSync(cache);
    if (needed > bavail * bsize)
      throw new UsageError(
        `--model ${model}: ${bytesText(needed)} are to be fetched into ${cache}, which has ${bytesText(bavail * bsize)} left`,
      );
  }

  /** What the hub answers; null where it cannot be asked, with the reason in #closed. */
  async #ask<T>(model: string, what: (api: Api, how: { hubUrl: string; fetch: typeof fetch }) => Promise<T>) {
    if (this.#closed) return null;
    const { endpoint, waitMs = WAIT_MS } = this.settings;
    if (!URL.canParse(endpoint)) throw new UsageError(`HF_ENDPOINT ${endpoint}: expected the address of a hub`);
    const api = await import("@huggingface/hub");
    const request = ((url: string, init: RequestInit) =>
      this.#request(url, { ...init, signal: AbortSignal.timeout(ANSWER_MS) })) as typeof fetch;
    const isFinal = (error: unknown) => !(error instanceof Refusal && error.passing);
    try {
      return await patiently(() => what(api, { hubUrl: endpoint, fetch: request }), waitMs, isFinal);
    } catch (error) {
      const reason = this.#reason(error);
      if (error instanceof Refusal && error.status === 404)
        throw new UsageError(`--model ${model}: no such folder, and ${reason}`);
      this.#closed = reason;
      return null;
    }
  }

  /** fetch, but that it rejects with a Refusal; the token is for the hub's own address. */
  #request = async (url: string, init: RequestInit): Promise<Response> => {
    const { endpoint, token } = this.settings;
    const headers = new Headers(init.headers);
    headers.set("user-agent", "tarl");
    if (token && new URL(url).origin === new URL(endpoint).origin) headers.set("authorization", `Bearer ${token}`);
    const response = await fetch(url, { ...init, headers });
    if (response.ok) return response;
    const said = (await response.text()).slice(0, 500);
    throw new Refusal(response.status, response.headers.get("x-error-code") ?? "", said);
  };

  /** Why the hub was of no use, as half a sentence. */
  #reason(error: unknown): string {
    const { endpoint, token } = this.settings;
    if (!(error instanceof Refusal)) {
      const { cause, message } = error as Error & { cause?: { code?: string } };
      return `${endpoint} cannot be reached (${cause?.code ?? message})`;
    }
    const { status, code, message } = error;
    const given = token ? "the token that was given has none" : "expected a token in HF_TOKEN";
    if (code === "RevisionNotFound" || /invalid rev/i.test(message)) return `${endpoint} has no such revision of it`;
    if (code === "GatedRepo" || status === 403) return `${endpoint} asks for access to be granted; ${given}`;
    if (status === 404 || status === 401)
      return `${endpoint} has no such model, or keeps it private (${token ? "the token that was given does not open it" : given})`;
    return `${endpoint} answers with status ${status}`;
  }

  /** What ended the transfer of a file, as one line. */
  #failure(model: string, name: string, error: unknown): Error {
    if (error instanceof UsageError) return error;
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    const { cache } = this.settings;
    if (code === "ENOSPC" || code === "EDQUOT") return new UsageError(`--model ${model}: no space is left in ${cache}`);
    if (syscall) return new UsageError(`--model ${model}: ${cache} cannot be written: ${message}`);
    if (error instanceof WrongContent) return new UsageError(`--model ${model}: ${name}: ${message}`);
    return new UsageError(
      `--model ${model}: ${name}: ${this.#reason(error)}; the same command goes on where it broke off`,
    );
  }

  /** A model that is nowhere, or of which the cache has a part. */
  #absent(model: string, dir = "", lack = ""): UsageError {
    const have = existsSync(dir) ? `${dir} has no ${lack}` : `it is not in ${this.settings.cache}`;
    return new UsageError(`--model ${model}: no such folder; ${this.#closed}, and ${have}`);
  }
}

type Api = typeof import("@huggingface/hub");

function shardsOf(dir: string): string[] {
  return [...new Set(readIndex(dir).values())];
}

/** The first file that a folder lacks to be a model, or null. Who has no list of a revision's files looks at this. */
function lacking(dir: string, part: ModelPart): string | null {
  const first = part === "shape" ? ["config.json"] : ["config.json", "tokenizer.json"];
  const missing = first.find((name) => !existsSync(join(dir, name)));
  if (missing || part === "shape") return missing ?? null;
  if (existsSync(join(dir, WEIGHTS))) return null;
  if (!existsSync(join(dir, INDEX))) return WEIGHTS;
  return shardsOf(dir).find((name) => !existsSync(join(dir, name))) ?? null;
}

/** null where there is none, or one of another format. */
function readTree(file: string): Tree | null {
  try {
    const { format_version, files } = JSON.parse(readFileSync(file, "utf8"));
    return format_version === TREE_FORMAT && typeof files === "object" ? files : null;
  } catch {
    return null;
  }
}

/** Points to a blob from a snapshot, relatively, so that a cache can be moved. */
function link(blob: string, path: string): void {
  const aside = besides(path);
  rmSync(aside, { force: true });
  symlinkSync(relative(dirname(path), blob), aside);
  renameSync(aside, path);
}

/** A file that is there whole or not at all. */
function writeWhole(path: string, text: string): void {
  makeFolder(dirname(path));
  writeFileSync(besides(path), text);
  renameSync(besides(path), path);
}

/** A name of this process for what is to become `path`. */
function besides(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}`);
}

/** What only spares a question later may fail, in a cache that is not ours to write. */
function quietly(work: () => void): void {
  try {
    work();
  } catch {}
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** Of a file, or of what a link points to; undefined where there is none. */
function sizeOf(path: string): number | undefined {
  try {
    return statSync(path).size;
  } catch {
    return undefined;
  }
}
