// How fast are we beside Hugging Face transformers on PyTorch? The same checkpoint, inputs, dtype (fp32) and threads in
// one run, the two sides in alternation: decode at batch 32, and one training step. The other side: peer.py.
// Run: npm run bench -- transformers; TARL_PEER_PYTHON names the python that has transformers.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../src/root.ts";
import { logLikelihood } from "../src/sft.ts";
import type { Batch } from "../src/types.ts";
import {
  adamw,
  type Bench,
  close,
  demonstrations,
  line,
  machine,
  openBench,
  Peer,
  randomRows,
  type Spread,
  seconds,
  speak,
  spread,
} from "./common.ts";

const PYTHON = "/tmp/tarl-peer/bin/python";
const MAKE = "python3 -m venv /tmp/tarl-peer && /tmp/tarl-peer/bin/pip install torch==2.13.0 transformers==5.18.0";

const REPEATS = 7;
const CONVERSATIONS = 32;
const PROMPT_TOKENS = 64;
const NEW_TOKENS = 128;
/** Both sides compute the same loss and gradient norm, step after step; fp32 sums in another order move them by 1e-5. */
const AGREEMENT = 1e-3;

interface Versions {
  readonly torch: string;
  readonly transformers: string;
}

interface Step {
  readonly seconds: number;
  readonly loss: number;
  readonly gradNorm: number;
}

/** Rates of both sides, in tokens per second. */
interface Comparison {
  readonly tarl: Spread;
  readonly transformers: Spread;
}

async function compareDecode({ table, config }: Bench, peer: Peer): Promise<Comparison> {
  const tokens = CONVERSATIONS * NEW_TOKENS;
  return alternate(async (repeat) => {
    const prompts = randomRows(config, CONVERSATIONS, PROMPT_TOKENS, repeat);
    const ours = await speak(table.policy, prompts, NEW_TOKENS);
    const theirs = await peer.ask<{ seconds: number }>("decode", { prompts, tokens: NEW_TOKENS });
    return [tokens / ours, tokens / theirs.seconds];
  });
}

async function compareTraining({ table }: Bench, peer: Peer): Promise<Comparison & { readonly tokens: number }> {
  const batch = await demonstrations(table);
  const request = { rows: rowsOf(batch), ...adamw };
  const tokens = batch.ids.length;
  const rates = await alternate(async () => {
    let ours = { loss: 0, gradNorm: 0 };
    const time = await seconds(async () => {
      ours = await table.policy.step(batch, logLikelihood, adamw);
    });
    const theirs = await peer.ask<Step>("train", request);
    for (const key of ["loss", "gradNorm"] as const)
      if (!(Math.abs(ours[key] / theirs[key] - 1) < AGREEMENT))
        throw new Error(`${key} is ${ours[key]} here and ${theirs[key]} there: the steps are not the same`);
    return [tokens / time, tokens / theirs.seconds];
  });
  return { ...rates, tokens };
}

/** One round to warm up, then REPEATS that count. */
async function alternate(round: (repeat: number) => Promise<[ours: number, theirs: number]>): Promise<Comparison> {
  await round(0);
  const rates: [number, number][] = [];
  for (let repeat = 1; repeat <= REPEATS; repeat++) rates.push(await round(repeat));
  return { tarl: spread(rates.map(([ours]) => ours)), transformers: spread(rates.map(([, theirs]) => theirs)) };
}

/** Ids of each row, and which of them are learnt. */
function rowsOf({ ids, rows, weight }: Batch): { ids: number[]; learnt: boolean[] }[] {
  return Array.from(rows.subarray(1), (end, row) => ({
    ids: Array.from(ids.subarray(rows[row], end)),
    learnt: Array.from(weight.subarray(rows[row], end), (share) => share > 0),
  }));
}

function show(what: string, { tarl, transformers }: Comparison): void {
  process.stdout.write(`${what}\n`);
  line("  tarl", tarl);
  line("  transformers", transformers);
  process.stdout.write(`  ${ratio({ tarl, transformers }).toFixed(2)}x, best against best\n`);
}

function ratio({ tarl, transformers }: Comparison): number {
  return tarl.high / transformers.high;
}

const python = process.env.TARL_PEER_PYTHON ?? PYTHON;
if (existsSync(python)) {
  const peer = new Peer(python, join(root, "bench", "peer.py"));
  const bench = await openBench();
  try {
    const { threads, cpu } = machine;
    const versions = await peer.ask<Versions>("open", { model: bench.dir, threads });
    const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
    process.stdout.write(`${cpu}, ${threads} threads, Node ${machine.node}, ${names.join(", ")}\n`);

    const decode = await compareDecode(bench, peer);
    show(`decode, ${CONVERSATIONS} conversations, ${PROMPT_TOKENS} + ${NEW_TOKENS} tokens`, decode);
    const train = await compareTraining(bench, peer);
    show(`training step, ${train.tokens} tokens`, train);
    close("transformers", { versions, ratios: { decode: ratio(decode), train: ratio(train) }, decode, train });
  } finally {
    peer.close();
    await bench.table.policy.dispose();
  }
} else {
  process.stdout.write(`skipped: no ${python} (TARL_PEER_PYTHON); to make it: ${MAKE}\n`);
  close("transformers", { versions: null, ratios: { decode: null, train: null }, decode: null, train: null });
}
