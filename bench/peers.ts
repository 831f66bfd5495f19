// The other sides of a benchmark, each in a process of its own that answers one line of JSON with another: what is
// installed, how it is had, and how it is opened. What they compute is in peer.py, peer_trl.py and peer_llama.ts.
// Nothing of theirs is a dependency of the project: what is not there is said and left out.

import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { UsageError } from "../src/errors.ts";
import type { ModelConfig } from "../src/policy/model.ts";
import { root } from "../src/root.ts";
import { writeGguf } from "./gguf.ts";
import type { Dtype, Options, PeerName } from "./options.ts";

const PYTHON = "/tmp/tarl-peer/bin/python";
const LLAMA = "/tmp/tarl-llama";

const HOW: { readonly [name in PeerName]: string } = {
  transformers:
    "python3 -m venv /tmp/tarl-peer && /tmp/tarl-peer/bin/pip install torch==2.13.0 transformers==5.18.0 (or TARL_PEER_PYTHON)",
  trl: "/tmp/tarl-peer/bin/pip install trl==1.16.0 (or TARL_PEER_PYTHON)",
  "llama.cpp":
    "npm install --prefix /tmp/tarl-llama --ignore-scripts node-llama-cpp@3.22.1 (or TARL_PEER_LLAMA, the folder)",
};

/** A process that answers: one line of JSON asks, one answers. */
export class Peer {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;

  constructor(
    program: string,
    readonly script: string,
    args: readonly string[] = [],
  ) {
    this.#child = spawn(program, [script, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    // One that does not start, or has ended, shows in an answer that does not come.
    this.#child.on("error", () => {});
    this.#child.stdin.on("error", () => {});
    this.#answers = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  async ask<T>(call: string, request: object = {}): Promise<T> {
    this.#child.stdin.write(`${JSON.stringify({ call, ...request })}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`${this.script} ended while it was asked to ${call}`);
    return JSON.parse(value) as T;
  }

  close(): void {
    this.#child.stdin.end();
  }
}

/** One of the other sides, open. */
export interface Side {
  readonly name: PeerName;
  readonly dtype: Dtype;
  readonly versions: { readonly [name: string]: string };
  readonly peer: Peer;
}

export interface Installed {
  /** What can take part. */
  readonly names: readonly PeerName[];
  /** Why another one cannot, in one line. */
  readonly missing: { [name in PeerName]?: string };
}

const python = () => process.env.TARL_PEER_PYTHON ?? PYTHON;
const llama = () => process.env.TARL_PEER_LLAMA ?? LLAMA;

/** Which of the wanted sides are installed and can open such a model. */
export function findPeers(wanted: readonly PeerName[], { modelType }: Pick<ModelConfig, "modelType">): Installed {
  const modules = existsSync(python()) ? pythonModules(["transformers", "trl"]) : [];
  if (existsSync(join(llama(), "node_modules", "node-llama-cpp"))) modules.push("llama.cpp");
  const whyNot = (name: PeerName): string | null => {
    if (!modules.includes(name)) return `not installed; to have it: ${HOW[name]}`;
    return name === "llama.cpp" && modelType !== "qwen3"
      ? `a GGUF is written of qwen3 alone, not of ${modelType}`
      : null;
  };
  const reasons = wanted.map((name) => [name, whyNot(name)] as const);
  return {
    names: reasons.filter(([, reason]) => reason === null).map(([name]) => name),
    missing: Object.fromEntries(reasons.filter(([, reason]) => reason !== null)),
  };
}

function pythonModules(names: readonly string[]): string[] {
  const code = "import importlib.util, sys; print(*[n for n in sys.argv[1:] if importlib.util.find_spec(n)])";
  try {
    return execFileSync(python(), ["-c", code, ...names], { encoding: "utf8" })
      .trim()
      .split(" ");
  } catch (error) {
    throw new UsageError(`TARL_PEER_PYTHON ${python()}: ${(error as Error).message.split("\n")[0]}; expected a python`);
  }
}

/** GFLOP/s of torch's product of two matrices of 2048 x 2048, and GB/s of a GPU's memory; null without torch. */
export async function torchCeilings({ threads, device }: Options) {
  if (!existsSync(python()) || !pythonModules(["torch"]).includes("torch")) return null;
  const peer = new Peer(python(), join(root, "bench", "peer.py"));
  try {
    return await peer.ask<{ fp32: number; bf16: number; memory: number | null }>("ceilings", { threads, device });
  } catch (error) {
    process.stdout.write(`not measured, torch.mm: ${(error as Error).message}\n`);
    return null;
  } finally {
    peer.close();
  }
}

/** Opens one side on the checkpoint in `dir`. */
export async function openSide(name: PeerName, dtype: Dtype, dir: string, options: Options): Promise<Side> {
  const { threads, device, batch, prompt, new: own } = options;
  const request = { model: dir, dtype, threads, device, batch, prompt, new: own, group: options.group };
  if (name !== "llama.cpp") {
    const peer = new Peer(python(), join(root, "bench", name === "trl" ? "peer_trl.py" : "peer.py"));
    return { name, dtype, peer, versions: await peer.ask("open", request) };
  }
  const peer = new Peer(process.execPath, fileURLToPath(new URL("./peer_llama.js", import.meta.url)), [llama()]);
  return { name, dtype, peer, versions: await peer.ask("open", { ...request, model: writeGguf(dir, dtype) }) };
}
