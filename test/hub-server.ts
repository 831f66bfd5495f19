// A Hugging Face hub for tests: one repository whose revisions are given to it, with large files on a server of their own,
// and misbehaviour on demand. Speaks as much of the real one's language as both clients, the Python library too, ask for.

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A revision: path -> content. Weights are large files. */
export type Files = Readonly<Record<string, Buffer>>;

/** What is done with one request for a file. */
export type Mischief =
  | { readonly do: "cut" | "stall"; readonly after: number }
  | { readonly do: "status"; readonly status: number; readonly code?: string }
  | { readonly do: "spoil" | "ignore-range" | "wrong-range" | "add" };

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly key: string | undefined;
  readonly host: "hub" | "store";
}

export interface HubServer {
  readonly url: string;
  readonly repo: string;
  /** Branches and tags -> commits; may be changed. */
  readonly refs: Map<string, string>;
  readonly commits: Map<string, Files>;
  /** Path -> what happens to the next requests for it, where it is served from. */
  readonly mischief: Map<string, Mischief[]>;
  readonly asked: Asked[];
  /** What every request is refused with, if anything; `downloads`: those for files alone. */
  refusal: {
    readonly status: number;
    readonly code: string;
    readonly downloads?: boolean;
    readonly key?: string;
  } | null;
  close(): Promise<void>;
}

/** Files in one answer; the rest is on the store, so that whoever follows the link leaves the hub. */
const PAGE = 5;

export const gitHash = (bytes: Buffer): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
export const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
export const isLarge = (path: string): boolean => path.endsWith(".safetensors");

export async function hubServer(repo: string, commits: Readonly<Record<string, Files>>): Promise<HubServer> {
  const asked: Asked[] = [];
  const note = (host: Asked["host"], { method = "", url = "", headers }: IncomingMessage) =>
    asked.push({ method, path: url, range: headers.range, key: headers.authorization, host });
  const mischief = new Map<string, Mischief[]>();

  const store = createServer((request, response) => {
    note("store", request);
    const [, listing] = /^\/rest\/(.+)$/.exec(request.url!) ?? [];
    if (listing) return json(response, Object.entries(self.commits.get(listing)!).slice(PAGE).map(listed));
    const [, commit, path] = /^\/([^/]+)\/(.+)$/.exec(request.url!)!;
    send(request, response, self.commits.get(commit)![path], mischief.get(path)?.shift());
  });
  const hub = createServer((request, response) => {
    note("hub", request);
    const [path] = request.url!.split("?");
    const { refusal } = self;
    const isFile = path.startsWith(`/${repo}/resolve/`);
    if (refusal && (isFile || !refusal.downloads) && (!refusal.key || request.headers.authorization !== refusal.key))
      return refuse(response, refusal.status, refusal.code);
    const [, name, kind, revision, file] =
      /^(?:\/api\/models)?\/([^/]+\/[^/]+)\/(revision|tree|resolve)\/([^/]+)(?:\/(.*))?$/.exec(path) ?? [];
    if (name !== repo) return refuse(response, 404, "RepoNotFound");
    const commit = self.refs.get(decodeURIComponent(revision)) ?? revision;
    const files = self.commits.get(commit);
    if (!files) return refuse(response, 404, "RevisionNotFound");
    if (kind === "revision") {
      const siblings = Object.keys(files).map((rfilename) => ({ rfilename }));
      return json(response, { _id: "1", id: repo, modelId: repo, sha: commit, private: false, gated: false, siblings });
    }
    if (kind === "tree") {
      if (Object.keys(files).length > PAGE)
        response.setHeader("link", `<http://127.0.0.1:${port(store)}/rest/${commit}>; rel="next"`);
      return json(response, Object.entries(files).slice(0, PAGE).map(listed));
    }
    const bytes = files[decodeURIComponent(file)];
    if (!bytes) return refuse(response, 404, "EntryNotFound");
    response.setHeader("x-repo-commit", commit);
    response.setHeader("etag", `"${gitHash(bytes)}"`);
    if (!isLarge(file)) return send(request, response, bytes, mischief.get(file)?.shift());
    response.setHeader("x-linked-etag", `"${sha256(bytes)}"`);
    response.setHeader("x-linked-size", bytes.length);
    response.writeHead(302, { location: `http://127.0.0.1:${port(store)}/${commit}/${file}` }).end();
  });
  for (const server of [hub, store]) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const self: HubServer = {
    url: `http://127.0.0.1:${port(hub)}`,
    repo,
    refs: new Map([["main", Object.keys(commits)[0]]]),
    commits: new Map(Object.entries(commits)),
    mischief,
    asked,
    refusal: null,
    async close() {
      for (const server of [hub, store]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
  return self;
}

const port = (server: ReturnType<typeof createServer>): number => (server.address() as AddressInfo).port;

function listed([path, bytes]: [string, Buffer]) {
  const large = isLarge(path) && { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } };
  // The id of a large file is that of the text which points to it.
  const oid = large ? gitHash(Buffer.from(`oid sha256:${sha256(bytes)}`)) : gitHash(bytes);
  return { type: "file", path, size: bytes.length, oid, ...large };
}

function json(response: ServerResponse, value: unknown): void {
  response.setHeader("content-type", "application/json").end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.setHeader("x-error-code", code).setHeader("content-type", "application/json");
  response.writeHead(status).end(JSON.stringify({ error: code }));
}

function send(request: IncomingMessage, response: ServerResponse, whole: Buffer, mischief: Mischief | undefined): void {
  if (mischief?.do === "status") {
    refuse(response, mischief.status, mischief.code ?? "");
    return;
  }
  const asked = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const start = mischief?.do === "ignore-range" ? 0 : asked;
  const named = mischief?.do === "wrong-range" ? start - 1 : start;
  if (start > 0) response.setHeader("content-range", `bytes ${named}-${whole.length - 1}/${whole.length}`);
  response.statusCode = start > 0 ? 206 : 200;
  const spoiled = mischief?.do === "spoil" ? Buffer.from(whole.map((byte, i) => (i === start ? ~byte : byte))) : whole;
  const bytes = Buffer.concat([spoiled.subarray(start), Buffer.from(mischief?.do === "add" ? "more" : "")]);
  response.setHeader("accept-ranges", "bytes").setHeader("content-length", bytes.length);
  if (mischief?.do === "stall") response.write(bytes.subarray(0, mischief.after - start));
  else if (mischief?.do === "cut")
    response.write(bytes.subarray(0, mischief.after - start), () => setTimeout(() => response.destroy(), 20));
  else response.end(request.method === "HEAD" ? undefined : bytes);
}
