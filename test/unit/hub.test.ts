// Models of the hub: fetched from a server of ours that misbehaves, kept as the Python library keeps them, found again.

import { execFile, spawn } from "node:child_process";
import * as fs from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { hubSettings } from "../../src/cli/hub.ts";
import { findModel } from "../../src/play.ts";
import { Hub, type HubSettings, isHubName } from "../../src/policy/hub.ts";
import { Random } from "../../src/random.ts";
import { root } from "../../src/root.ts";
import { runIn } from "../command.ts";
import { type Files, gitHash, type HubServer, hubServer, isLarge, sha256 } from "../hub-server.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-hub-"));
test.after(() => fs.rmSync(dir, { recursive: true }));

const repo = "org/tiny-1.5";
const folder = "models--org--tiny-1.5";
const first = "1".repeat(40);
const second = "2".repeat(40);

const random = new Random(1, "hub");
const noise = (bytes: number) => Buffer.from(Array.from({ length: bytes }, () => random.int(256)));
const text = (value: unknown) => Buffer.from(JSON.stringify(value));
const plain: Files = {
  ".gitattributes": Buffer.from("*.safetensors filter=lfs\n"),
  "README.md": Buffer.from("# tiny\n"),
  "config.json": text({ model_type: "qwen3" }),
  "generation_config.json": text({ eos_token_id: 7 }),
  "tokenizer.json": text({ model: {} }),
  "tokenizer_config.json": text({ chat_template: "ä" }),
  "chat_template.jinja": Buffer.from("{{ messages }}"),
  "model.safetensors": noise(300_000),
  "pytorch_model.bin": noise(1000),
  "onnx/model.onnx": noise(1000),
  "original/model.safetensors": noise(1000),
  "consolidated.safetensors": noise(1000),
};
const needed = [
  "chat_template.jinja",
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "tokenizer.json",
  "tokenizer_config.json",
];
const [one, two] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const { "model.safetensors": _, ...small } = plain;
const sharded: Files = {
  ...small,
  "model.safetensors.index.json": text({ weight_map: { a: one, b: two, c: one } }),
  [one]: noise(1000),
  [two]: noise(2000),
  "model-00003-of-00003.safetensors": noise(10),
};

interface Opened {
  readonly hub: Hub;
  readonly cache: string;
  readonly lines: string[];
}

let caches = 0;
const newCache = () => join(dir, `cache-${++caches}`);

function open(server: Pick<HubServer, "url">, settings: Partial<HubSettings> = {}): Opened {
  const { cache = newCache() } = settings;
  const lines: string[] = [];
  const line = (text: string) => void lines.push(text);
  const hub = new Hub({ endpoint: server.url, cache, offline: false, line, live: () => {}, waitMs: 1, ...settings });
  return { hub, cache, lines };
}

async function served(work: (server: HubServer) => Promise<void>, commits: Record<string, Files> = { [first]: plain }) {
  const server = await hubServer(repo, commits);
  try {
    await work(server);
  } finally {
    await server.close();
  }
}

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    assert.is((error as Error).name, "UsageError", String(error));
    return (error as Error).message;
  }
  throw new Error("it did not fail");
}

const contents = (snapshot: string) =>
  Object.fromEntries(fs.readdirSync(snapshot).map((name) => [name, fs.readFileSync(join(snapshot, name))]));
const pick = (files: Files, names: readonly string[]) => Object.fromEntries(names.map((name) => [name, files[name]]));
const requests = (server: HubServer, name: string) =>
  server.asked.filter(({ path, host }) => path.endsWith(`/${name}`) && host === (isLarge(name) ? "store" : "hub"));

test("what is a name of the hub, and what is a path", async () => {
  for (const name of ["Qwen/Qwen3-0.6B", "a/b@main", "a/b@refs/pr/1", "runs/x"]) assert.ok(isHubName(name), name);
  for (const path of ["embedded", "./a/b", "../b", "/a/b", "a/b/c", "a", "a/..", "a/b@../x", "a/b@", "a/", "~/a"])
    assert.not.ok(isHubName(path), path);
  const { hub } = open({ url: "http://127.0.0.1:9" });
  assert.match(
    await failure(findModel("./gone", hub)),
    /^--model \.\/gone: no such folder; expected one, or a model of/,
  );
  const cwd = process.cwd();
  process.chdir(dir);
  fs.mkdirSync("runs/x", { recursive: true });
  assert.is(await findModel("runs/x", hub), "runs/x", "a folder goes first");
  process.chdir(cwd);
});

test("the environment is read as the Python library reads it", () => {
  const hub = join(homedir(), ".cache/huggingface/hub");
  assert.is(hubSettings({ HF_TOKEN: "x" }).cache, hub);
  assert.is(hubSettings({ HF_TOKEN: "x", HF_HOME: "" }).cache, hub);
  assert.is(hubSettings({ XDG_CACHE_HOME: "/c" }).cache, "/c/huggingface/hub");
  assert.is(hubSettings({ XDG_CACHE_HOME: "/c", HF_HOME: "/h" }).cache, "/h/hub");
  assert.is(hubSettings({ HF_HOME: "~/h" }).cache, join(homedir(), "h/hub"));
  assert.is(hubSettings({ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/o" }).cache, "/o");
  assert.is(hubSettings({ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/o", HF_HUB_CACHE: "/n" }).cache, "/n");
  const home = join(dir, "home");
  fs.mkdirSync(home);
  assert.is(hubSettings({ HF_HOME: home }).token, undefined);
  fs.writeFileSync(join(home, "token"), " hf_file\n");
  fs.writeFileSync(join(home, "other"), "hf_other");
  assert.is(hubSettings({ HF_HOME: home }).token, "hf_file");
  assert.is(hubSettings({ HF_HOME: home, HF_TOKEN_PATH: join(home, "other") }).token, "hf_other");
  assert.is(hubSettings({ HF_HOME: home, HF_TOKEN: " hf_env\n" }).token, "hf_env");
  assert.is(hubSettings({}).endpoint, "https://huggingface.co");
  assert.is(hubSettings({ HF_ENDPOINT: "http://mirror/" }).endpoint, "http://mirror");
  for (const value of ["1", "true", "YES", "on"]) assert.ok(hubSettings({ HF_HUB_OFFLINE: value }).offline);
  for (const value of ["0", "", "no"]) assert.not.ok(hubSettings({ HF_HUB_OFFLINE: value }).offline);
});

test("the files that are needed, and no others, in the layout of the Python library", () =>
  served(async (server) => {
    const { hub, cache, lines } = open(server);
    const snapshot = await hub.fetch(repo);
    assert.is(snapshot, join(cache, folder, "snapshots", first));
    assert.equal(contents(snapshot), pick(plain, needed));
    for (const name of needed) {
      const hash = isLarge(name) ? sha256(plain[name]) : gitHash(plain[name]);
      assert.is(fs.readlinkSync(join(snapshot, name)), `../../blobs/${hash}`);
    }
    assert.is(fs.readdirSync(join(cache, folder, "blobs")).length, needed.length, "nothing unfinished is left");
    assert.equal(fs.readdirSync(join(cache, ".locks", folder)), []);
    assert.is(fs.readFileSync(join(cache, folder, "refs/main"), "utf8"), first);
    assert.is(lines.length, 2);
    assert.match(lines[1], /^org\/tiny-1\.5: fetching model\.safetensors \(300 kB\) into /);
    const before = server.asked.length;
    assert.is(await hub.fetch(repo), snapshot);
    assert.is(server.asked.length, before + 1, "only what main is by now is asked");
  }));

test("shards are those that the index names", () =>
  served(
    async (server) => {
      const snapshot = await open(server).hub.fetch(repo);
      const names = [...needed.filter((name) => !isLarge(name)), "model.safetensors.index.json", one, two];
      assert.equal(contents(snapshot), pick(sharded, names));
    },
    { [first]: sharded },
  ));

test("a revision is a branch, a tag or a commit; pinned it stays what it was", () =>
  served(
    async (server) => {
      const { hub, cache } = open(server);
      assert.is(await hub.pin(repo), `${repo}@${first}`);
      server.refs.set("main", second).set("v1", first).set("refs/pr/1", second);
      assert.is(await hub.pin(repo), `${repo}@${second}`);
      assert.is(await hub.pin(`${repo}@v1`), `${repo}@${first}`);
      assert.is(await hub.pin(`${repo}@refs/pr/1`), `${repo}@${second}`);
      assert.is(fs.readFileSync(join(cache, folder, "refs/refs/pr/1"), "utf8"), second);
      const old = await hub.fetch(`${repo}@${first}`);
      assert.is(old, join(cache, folder, "snapshots", first));
      const before = server.asked.length;
      assert.is(await hub.fetch(`${repo}@${first}`), old);
      assert.is(server.asked.length, before, "a commit that is whole is asked for nothing");
      assert.equal(contents(await hub.fetch(repo))["config.json"], sharded["config.json"]);
      assert.match(await failure(hub.pin(`${repo}@v2`)), /^--model org\/tiny-1\.5@v2: .* has no such revision of it$/);
    },
    { [first]: plain, [second]: sharded },
  ));

test("a transfer that breaks off goes on where it was, in the same process and in the next", () =>
  served(async (server) => {
    const name = "model.safetensors";
    server.mischief.set(name, [
      { do: "cut", after: 100_000 },
      { do: "status", status: 503 },
      { do: "cut", after: 200_000 },
    ]);
    const { hub } = open(server);
    const snapshot = await hub.fetch(repo);
    assert.equal(fs.readFileSync(join(snapshot, name)), plain[name]);
    const [whole, , part, last] = requests(server, name).map(({ range }) => range);
    assert.is(whole, undefined);
    assert.is(part, "bytes=100000-");
    assert.is(last, "bytes=200000-");

    const cut = { do: "cut", after: 120_000 } as const;
    server.mischief.set(name, [cut, ...Array(5).fill({ do: "status", status: 500 })]);
    const again = open(server);
    assert.match(
      await failure(again.hub.fetch(repo)),
      /^--model org\/tiny-1\.5: model\.safetensors: .* answers with status 500; the same command goes on where/,
    );
    const partial = join(again.cache, folder, "blobs", `${sha256(plain[name])}.incomplete`);
    assert.equal(fs.readFileSync(partial), plain[name].subarray(0, 120_000));
    server.asked.length = 0;
    server.mischief.clear();
    const after = await open(server, { cache: again.cache }).hub.fetch(repo);
    assert.equal(
      requests(server, name).map(({ range }) => range),
      ["bytes=120000-"],
    );
    assert.equal(contents(after), pick(plain, needed));
  }));

test("a server that ignores the range, sends another one, or falls silent, spoils nothing", () =>
  served(async (server) => {
    const name = "model.safetensors";
    const part = "bytes=100000-";
    const tricks = [
      [{ do: "ignore-range" }, [undefined, part]],
      [{ do: "wrong-range" }, [undefined, part, part]],
      [{ do: "stall", after: 200_000 }, [undefined, part, "bytes=200000-"]],
    ] as const;
    for (const [trick, ranges] of tricks) {
      server.asked.length = 0;
      server.mischief.set(name, [{ do: "cut", after: 100_000 }, trick]);
      assert.equal(contents(await open(server, { stallMs: 300 }).hub.fetch(repo)), pick(plain, needed));
      assert.equal(
        requests(server, name).map(({ range }) => range),
        ranges,
        trick.do,
      );
    }
  }));

test("wrong content is fetched again once, then refused, and never kept", () =>
  served(async (server) => {
    for (const name of ["model.safetensors", "config.json"])
      for (const trick of ["spoil", "add"] as const) {
        server.mischief.set(name, [{ do: trick }]);
        assert.equal(contents(await open(server).hub.fetch(repo)), pick(plain, needed));
        server.mischief.set(name, [{ do: trick }, { do: trick }]);
        const { hub, cache } = open(server);
        const line = `--model ${repo}: ${name}: it arrived twice with another content than is listed`;
        assert.is(await failure(hub.fetch(repo)), line);
        const hash = isLarge(name) ? sha256(plain[name]) : gitHash(plain[name]);
        assert.not.ok(fs.readdirSync(join(cache, folder, "blobs")).some((blob) => blob.startsWith(hash)));
      }
    // What an earlier process has left in an unfinished file is checked as well, and so is the length of a finished one.
    const blobs = join(newCache(), folder, "blobs");
    fs.mkdirSync(blobs, { recursive: true });
    fs.writeFileSync(join(blobs, `${sha256(plain["model.safetensors"])}.incomplete`), Buffer.alloc(1000));
    fs.writeFileSync(join(blobs, gitHash(plain["config.json"])), "{");
    assert.equal(contents(await open(server, { cache: join(blobs, "../..") }).hub.fetch(repo)), pick(plain, needed));
  }));

test("without a network the cache does, which is said in one line", () =>
  served(async (server) => {
    const { hub, cache } = open(server);
    const snapshot = await hub.fetch(repo);
    server.asked.length = 0;
    const offline = open(server, { cache, offline: true });
    assert.is(await offline.hub.fetch(repo), snapshot);
    assert.equal(server.asked, []);
    assert.equal(offline.lines, [`${repo}: HF_HUB_OFFLINE is set; going on with revision ${first} of the cache`]);
    const down = open({ url: "http://127.0.0.1:9" }, { cache });
    assert.is(await down.hub.fetch(repo), snapshot);
    assert.is(down.lines.length, 1);
    assert.match(down.lines[0], /^org\/tiny-1\.5: http:\/\/127\.0\.0\.1:9 cannot be reached \(.*\); going on with /);
    for (const status of [500, 429, 403]) {
      server.refusal = { status, code: "" };
      const refused = open(server, { cache });
      assert.is(await refused.hub.fetch(repo), snapshot);
      assert.is(refused.lines.length, 1);
    }
    // A cache that another program has filled has no list of files: a folder that is a model will do.
    fs.rmSync(join(cache, folder, "trees"), { recursive: true });
    const unlisted = open(server, { cache, offline: true });
    assert.is(await unlisted.hub.fetch(repo), snapshot);
    assert.is(unlisted.lines.length, 1);
    const pinned = open(server, { cache, offline: true });
    assert.is(await pinned.hub.fetch(`${repo}@${first}`), snapshot);
    assert.equal(pinned.lines, [`${repo}@${first}: HF_HUB_OFFLINE is set; going on with ${snapshot} of the cache`]);
    fs.rmSync(join(snapshot, "model.safetensors"));
    assert.is(
      await failure(open(server, { cache, offline: true }).hub.fetch(repo)),
      `--model ${repo}: no such folder; HF_HUB_OFFLINE is set, and ${snapshot} has no model.safetensors`,
    );
    assert.is(
      await failure(open(server, { offline: true, cache: "/nowhere" }).hub.fetch(repo)),
      `--model ${repo}: no such folder; HF_HUB_OFFLINE is set, and it is not in /nowhere`,
    );
    assert.match(
      await failure(open({ url: "http://127.0.0.1:9" }).hub.fetch(repo)),
      /^--model org\/tiny-1\.5: no such folder; http:\/\/127\.0\.0\.1:9 cannot be reached \(.*\), and it is not in /,
    );
  }));

test("what the hub refuses is one clear line", () =>
  served(async (server) => {
    const line = (settings?: Partial<HubSettings>, model = repo) => failure(open(server, settings).hub.fetch(model));
    assert.match(
      await line({}, "org/other"),
      /^--model org\/other: no such folder, and http.* has no such model, or keeps it private \(expected a token in HF_TOKEN\)$/,
    );
    server.refusal = { status: 401, code: "RepoNotFound" };
    assert.match(await line(), /no such folder; http.* has no such model, or keeps it private \(expected a token/);
    server.refusal = { status: 403, code: "GatedRepo", downloads: true };
    assert.match(
      await line(),
      /^--model org\/tiny-1\.5: chat_template|config\.json: http.* asks for access to be granted; expected a token in HF_TOKEN/,
    );
    assert.match(await line({ token: "hf_x" }), /asks for access to be granted; the token that was given has none/);
    server.refusal = null;
    assert.is(await failure(open({ url: "hub" }).hub.fetch(repo)), "HF_ENDPOINT hub: expected the address of a hub");
    server.commits.set(first, { "config.json": plain["config.json"], "pytorch_model.bin": noise(9) });
    assert.is(
      await line(),
      `--model ${repo}: it has neither model.safetensors nor model.safetensors.index.json (but pytorch_model.bin)`,
    );
    server.commits.set(first, { "README.md": plain["README.md"] });
    assert.is(await line(), `--model ${repo}: it has no config.json`);
  }));

test("the token opens what is private, is any text, and goes to the hub alone", () =>
  served(async (server) => {
    server.refusal = { status: 401, code: "RepoNotFound", key: "Bearer secret" };
    const snapshot = await open(server, { token: "secret" }).hub.fetch(repo);
    assert.equal(contents(snapshot), pick(plain, needed));
    for (const { host, key } of server.asked) assert.is(key, host === "hub" ? "Bearer secret" : undefined);
  }));

test("a disk that is too small, and one that cannot be written", () =>
  served(async (server) => {
    const { hub, cache } = open(server);
    const trees = join(cache, folder, "trees");
    fs.mkdirSync(trees, { recursive: true });
    const blob_id = gitHash(plain["config.json"]);
    const huge = { size: 2 ** 52, blob_id, lfs_sha256: sha256(plain["model.safetensors"]) };
    const files = { "config.json": { size: plain["config.json"].length, blob_id }, "model.safetensors": huge };
    fs.writeFileSync(join(trees, `${first}.json`), JSON.stringify({ format_version: 1, files }));
    assert.match(
      await failure(hub.fetch(repo)),
      /: 4503600 GB are to be fetched into .*, which has [\d.]+ [GMk]B left$/,
    );
    const inFile = join(dir, "file");
    fs.writeFileSync(inFile, "");
    assert.match(
      await failure(open(server, { cache: join(inFile, "hub") }).hub.fetch(repo)),
      /^--model org\/tiny-1\.5: .*file\/hub cannot be written: ENOTDIR/,
    );
  }));

test("several processes at once fetch a file once, and one that dies is not waited for", () =>
  served(async (server) => {
    const cache = newCache();
    const code = `
      import { Hub } from ${JSON.stringify(new URL("../../src/policy/hub.js", import.meta.url).href)};
      const [endpoint, cache, repo] = process.argv.slice(1);
      const hub = new Hub({ endpoint, cache, offline: false, line: () => {}, live: () => {}, waitMs: 1 });
      console.log(await hub.fetch(repo));`;
    const args = ["--input-type=module", "-e", code, server.url, cache, repo];
    const lock = join(cache, ".locks", folder, `${sha256(plain["model.safetensors"])}.tarl`);
    fs.mkdirSync(join(cache, ".locks", folder), { recursive: true });
    const dead = spawn(process.execPath, ["-e", ""]);
    await new Promise((resolve) => dead.on("exit", resolve));
    const { hostname } = await import("node:os");
    fs.writeFileSync(lock, `${hostname()} ${dead.pid}`);
    const run = promisify(execFile);
    const started = performance.now();
    const found = await Promise.all([1, 2, 3, 4].map(() => run(process.execPath, args)));
    assert.ok(performance.now() - started < 30_000, "nobody waits for the dead one to be idle for a minute");
    for (const { stdout } of found) assert.is(stdout.trim(), join(cache, folder, "snapshots", first));
    assert.equal(contents(join(cache, folder, "snapshots", first)), pick(plain, needed));
    for (const name of needed) assert.is(requests(server, name).length, 1, name);
    assert.is(fs.readdirSync(join(cache, folder, "blobs")).length, needed.length);
  }));

const python = process.env.TARL_PEER_PYTHON ?? "python3";
const peer = (cache: string, server: HubServer, code: string) =>
  promisify(execFile)(python, ["-c", code], {
    env: {
      PATH: process.env.PATH,
      HF_HUB_CACHE: cache,
      HF_HOME: cache,
      HF_ENDPOINT: server.url,
      HF_HUB_DISABLE_TELEMETRY: "1",
    },
  });

test("the Python library finds what is fetched here, and the other way round", async () => {
  try {
    await promisify(execFile)(python, ["-c", "import huggingface_hub"]);
  } catch {
    console.log(`SKIP 1 ${python} has no huggingface_hub: set TARL_PEER_PYTHON to one that has`);
    return;
  }
  await served(async (server) => {
    const ours = open(server);
    const snapshot = await ours.hub.fetch(repo);
    server.asked.length = 0;
    const look = `
import huggingface_hub as h, json
r = ${JSON.stringify(repo)}
print(json.dumps([h.hf_hub_download(r, n, local_files_only=True) for n in ${JSON.stringify(needed)}]
  + [h.snapshot_download(r, local_files_only=True, allow_patterns=["*.json", "model.safetensors", "*.jinja"], ignore_patterns=["*/*"])]
  + [h.hf_hub_download(r, n) for n in ${JSON.stringify(needed)}]
  + [str(i.repo_id) for i in h.scan_cache_dir().repos] + [len(h.scan_cache_dir().warnings)]))`;
    const paths = needed.map((name) => join(snapshot, name));
    assert.equal(JSON.parse((await peer(ours.cache, server, look)).stdout), [...paths, snapshot, ...paths, repo, 0]);
    assert.equal(
      server.asked.filter(({ method, host }) => method === "GET" && host === "store"),
      [],
    );

    const theirs = newCache();
    const get = (files: string) => `import huggingface_hub as h\n${files}`;
    const all = `h.snapshot_download(${JSON.stringify(repo)}, allow_patterns=${JSON.stringify(needed)})`;
    await peer(theirs, server, get(all));
    server.asked.length = 0;
    const found = open(server, { cache: theirs });
    assert.equal(contents(await found.hub.fetch(repo)), pick(plain, needed));
    assert.equal(requests(server, "model.safetensors"), []);
    assert.equal(found.lines, []);

    // As transformers leaves it: single files, and no list of what there is.
    const single = newCache();
    await peer(
      single,
      server,
      get(needed.map((name) => `h.hf_hub_download(${JSON.stringify(repo)}, "${name}")`).join("\n")),
    );
    assert.is(
      await open(server, { cache: single, offline: true }).hub.fetch(repo),
      join(single, folder, "snapshots", first),
    );
  });
});

test("commands take a name; a run keeps the commit and goes on with it", async () => {
  const assets = join(root, "assets/policy");
  const names = fs.readdirSync(assets);
  const files = Object.fromEntries(names.map((name) => [name, fs.readFileSync(join(assets, name))]));
  const work = join(dir, "work");
  fs.mkdirSync(work);
  fs.writeFileSync(join(work, "ids.jsonl"), "[5,6,7,8]\n");
  await served(
    async (server) => {
      const variables = { HF_ENDPOINT: server.url, HF_HOME: newCache() };
      Object.assign(process.env, variables);
      try {
        const planned = await runIn(work, ["plan", "--model", repo, "--json"]);
        assert.is(planned.code, 0, planned.err);
        assert.ok(JSON.parse(planned.out).parts.some(({ name }: { name: string }) => name === "weights"));
        assert.equal(requests(server, "model.safetensors"), [], "a plan needs no weights");
        const near = await runIn(work, ["score", "--ids", "ids.jsonl"]);
        const far = await runIn(work, ["score", "--ids", "ids.jsonl", "--model", repo]);
        assert.is(far.code, 0, far.err);
        assert.is(far.out, near.out);
        assert.match(far.err, /fetching model\.safetensors/);
        const short = "--tasks-per-step 1 --samples 2 --eval-tasks 0 --kl-coef 0.1 --save-every 1 --threads 1";
        const start = ["--model", repo, "--run", "far", "--steps", "1", ...short.split(" ")];
        const run = await runIn(work, start);
        assert.is(run.code, 0, run.err);
        const { model } = JSON.parse(fs.readFileSync(join(work, "runs/far/config.json"), "utf8"));
        assert.is(model, `${repo}@${first}`);
        server.refs.set("main", second);
        server.asked.length = 0;
        const resumed = await runIn(work, ["--resume", "far"]);
        assert.is(resumed.code, 0, resumed.err);
        assert.equal(server.asked, [], "the reference is of the same commit, which is in the cache");
        const gone = await runIn(work, ["eval", "--model", `${repo}@gone`, "--eval-tasks", "1"]);
        assert.is(gone.code, 2);
        assert.match(
          gone.err,
          /^tarl: --model org\/tiny-1\.5@gone: no such folder, and http.* has no such revision of it\n$/,
        );
      } finally {
        for (const name of Object.keys(variables)) delete process.env[name];
      }
    },
    { [first]: files, [second]: plain },
  );
});

test.run();
