// The other side of decoding and prompts: llama.cpp, through the prebuilt binary of node-llama-cpp in a folder that the
// first argument names. One line of JSON asks, one line answers. Started by peers.ts. Not a benchmark of ours.

import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { forgetPeak, peakMiB } from "./machine.ts";

/** What is used of node-llama-cpp. */
interface Sequence {
  clearHistory(): Promise<void>;
  evaluate(ids: readonly number[], options: object): AsyncGenerator<number>;
}
interface Library {
  getLlama(options: object): Promise<{
    readonly llamaCppRelease: { readonly release: string };
    readonly systemInfo: string;
    loadModel(options: object): Promise<{
      createContext(options: object): Promise<{ getSequence(): Sequence }>;
    }>;
  }>;
}

interface Open {
  readonly model: string;
  readonly threads: number;
  readonly device: string;
  readonly batch: number;
  readonly prompt: number;
  readonly new: number;
}

let sequences: Sequence[] = [];

async function open({ model, threads, device, batch, prompt, new: own }: Open) {
  const folder = join(process.argv[2], "node_modules", "node-llama-cpp");
  const { getLlama } = (await import(pathToFileURL(join(folder, "dist", "index.js")).href)) as Library;
  const gpu = device === "cuda" ? "cuda" : false;
  const llama = await getLlama({ gpu, build: "never", skipDownload: true, logLevel: "error", maxThreads: threads });
  const loaded = await llama.loadModel({ modelPath: model, ignoreMemorySafetyChecks: true });
  const context = await loaded.createContext({
    sequences: batch,
    contextSize: prompt + own + 16,
    threads: { ideal: threads, min: threads },
    ignoreMemorySafetyChecks: true,
  });
  sequences = Array.from({ length: batch }, () => context.getSequence());
  return { "llama.cpp": llama.llamaCppRelease.release, features: llama.systemInfo.trim() };
}

/** Greedy, which costs the sampler least; seconds up to everybody's first token, and from there to everybody's last. */
async function generate({ prompts, tokens }: { prompts: number[][]; tokens: number }) {
  await Promise.all(sequences.map((sequence) => sequence.clearHistory()));
  const start = performance.now();
  const streams = prompts.map((prompt, i) => sequences[i].evaluate(prompt, { temperature: 0, yieldEogToken: true }));
  const ids = await Promise.all(streams.map(async (stream) => [(await stream.next()).value as number]));
  const middle = performance.now();
  await Promise.all(
    streams.map(async (stream, i) => {
      while (ids[i].length < tokens) ids[i].push((await stream.next()).value as number);
    }),
  );
  const end = performance.now();
  await Promise.all(streams.map((stream) => stream.return(undefined)));
  return { first: (middle - start) / 1000, rest: (end - middle) / 1000, ids };
}

function forget() {
  forgetPeak();
  return {};
}

const calls: { readonly [name: string]: (request: any) => unknown } = {
  open,
  generate,
  forget,
  peak: () => ({ peakMiB: peakMiB() }),
};

for await (const line of createInterface(process.stdin)) {
  const { call, ...request } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await calls[call](request))}\n`);
}
process.exit();
