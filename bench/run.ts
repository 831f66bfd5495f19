// One benchmark of the engine, from its command line to its figures: opens our side and the others, lets them take turns
// at the same work, and holds what comes out against each other and against the machine's ceilings. What the work is
// stands in decode.ts, prefill.ts, train.ts, logprob.ts, step.ts. Test: test/unit/bench.test.ts

import { basename, resolve } from "node:path";
import { type ModelConfig, readConfig } from "../src/policy/checkpoint.ts";
import { countParameters } from "../src/policy/model.ts";
import { native } from "../src/policy/native.ts";
import { type EnginePolicy, openPolicy } from "../src/policy/policy.ts";
import { alternate, attempt, BUSY, close, keep, line, machine, type Spread, say, spread } from "./common.ts";
import {
  arithmetic,
  type Ceilings,
  describeMachine,
  forgetPeak,
  measureCeilings,
  peakMiB,
  processor,
} from "./machine.ts";
import { type Defaults, type Options, type PeerName, readOptions } from "./options.ts";
import { findPeers, openSide, type Side, torchCeilings } from "./peers.ts";
import { randomWeights } from "./weights.ts";

export interface Bench {
  readonly options: Options;
  readonly policy: EnginePolicy;
  readonly config: ModelConfig;
}

/** The work of a benchmark. Times are in seconds; inputs depend on the repeat alone, so that all sides get the same. */
export interface Plan {
  /** One line: what one repeat is. */
  readonly what: string;
  /** What a repeat counts for, on every side. */
  readonly tokens: number;
  /** What a repeat needs at the least (flops.ts). */
  readonly flops: number;
  readonly bytes?: number;
  readonly ours: (repeat: number) => Promise<number>;
  readonly theirs: { readonly [name in PeerName]?: (side: Side, repeat: number) => Promise<number> };
  /** Further figures of our side, after all repeats. */
  readonly more?: () => object;
}

/** Reads the command line and does the work; says so and does nothing where a GPU is asked for and there is none. */
export async function start(
  name: string,
  defaults: Defaults,
  work: (options: Options) => Promise<void>,
): Promise<void> {
  await attempt(name, async () => {
    const options = readOptions(process.argv.slice(2), defaults);
    if (options.device === "cuda" && !native.cuda()) {
      say("skipped: --device cuda, and there is no GPU that libtorch can use");
      close(name, { skipped: "no GPU" });
      return;
    }
    if (machine.load > BUSY) say(`the machine is busy (load ${machine.load.toFixed(1)}): these figures mean little`);
    await work(options);
  });
}

/** Runs a benchmark beside its peers. */
export function run(name: string, defaults: Defaults, plan: (bench: Bench) => Plan): Promise<void> {
  return start(name, defaults, (options) => measure(name, options, plan));
}

async function measure(name: string, options: Options, plan: (bench: Bench) => Plan): Promise<void> {
  const { dtype, device, threads, kernels, repeats } = options;
  const dir = options.model ?? (await randomWeights(options.shape, dtype));
  const config = readConfig(dir);
  const label = labelOf(options);
  const ceilings = await findCeilings(options);
  const policy = await openPolicy({ model: dir, device, dtype, threads, kernels, role: "policy", fresh: true });
  const sides: Side[] = [];
  try {
    const work = plan({ options, policy, config });
    const wanted = options.peers.filter((peer) => work.theirs[peer]);
    const { names, missing } = findPeers(wanted, config);
    const size = `${(countParameters(config) / 1e6).toPrecision(3)}M parameters`;
    say(`${name}: ${label} (${size}), ${dtype}, ${device}: ${work.what}`);
    say(`${describeMachine(threads)}, kernels ${kernels === "on" ? native.isa() : "off"}`);
    const both = options.peerDtype === "best";
    for (const peer of names)
      for (const theirs of both && peer !== "llama.cpp" ? (["fp32", "bf16"] as const) : [dtype])
        try {
          sides.push(await openSide(peer, theirs, dir, options));
        } catch (error) {
          missing[peer] = `it did not open in ${theirs}: ${(error as Error).message}`;
        }
    for (const [peer, why] of Object.entries(missing)) say(`skipped: ${peer}: ${why}`);

    forgetPeak();
    for (const { peer } of sides) await peer.ask("forget");
    const [ours, ...theirs] = await alternate(
      [work.ours, ...sides.map((side) => (repeat: number) => work.theirs[side.name]!(side, repeat))],
      repeats,
    );
    const rates = (times: readonly number[]) => ({
      ...spread(times.map((time) => work.tokens / time)),
      seconds: spread(times).median,
    });
    const tarl = { ...rates(ours), peakMiB: peakMiB(), ...work.more?.() };
    const others: Other[] = [];
    for (const [i, { name: peer, dtype: own, versions, peer: process }] of sides.entries()) {
      const rate = rates(theirs[i]);
      const { peakMiB: peak } = await process.ask<{ peakMiB: number }>("peak");
      others.push({ name: peer, dtype: own, ...rate, ratio: tarl.median / rate.median, peakMiB: peak, versions });
    }
    const shares = {
      memory: share(work.bytes, ceilings.memory && ceilings.memory * 1e9 * spread(ours).median),
      arithmetic: share(work.flops, ceilings[dtype].best && ceilings[dtype].best * 1e9 * spread(ours).median),
    };
    print(tarl, others, shares, ceilings, options);

    const figures = {
      parameters: countParameters(config),
      ...describe(options),
      tokens: work.tokens,
      tarl,
      others: Object.fromEntries(others.map(({ name: peer, ...rest }) => [`${peer} ${rest.dtype}`, rest])),
      ratios: ratios(others),
      missing,
      shares,
      ceilings,
    };
    finish(name, options, figures);
  } finally {
    for (const { peer } of sides) peer.close();
    await policy.dispose();
  }
}

/** What was found of one side: its rate, the median seconds of a repeat, its memory. */
interface Found extends Spread {
  readonly seconds: number;
  readonly peakMiB: number;
}

interface Other extends Found {
  readonly name: PeerName;
  readonly dtype: string;
  readonly ratio: number;
  readonly versions: object;
}

/** How many times as fast we are as the faster of each peer's sides. */
export function ratios(others: readonly { readonly name: string; readonly ratio: number }[]): {
  [name: string]: number;
} {
  const best: { [name: string]: number } = {};
  for (const { name, ratio } of others) best[name] = Math.min(ratio, best[name] ?? Number.POSITIVE_INFINITY);
  return best;
}

const share = (need: number | undefined, could: number | null) => (need === undefined || !could ? null : need / could);

async function findCeilings({ device, threads, ...rest }: Options): Promise<Ceilings> {
  const torch = await torchCeilings({ device, threads, ...rest });
  if (device === "cpu") return measureCeilings(threads, torch);
  const rate = (dtype: "fp32" | "bf16") => arithmetic(null, torch?.[dtype] ?? null, null);
  return { memory: torch?.memory ?? null, fp32: rate("fp32"), bf16: rate("bf16") };
}

function print(
  { seconds, peakMiB: peak, median, low, high, ...more }: Found,
  others: readonly Other[],
  shares: { readonly memory: number | null; readonly arithmetic: number | null },
  ceilings: Ceilings,
  { dtype }: Options,
): void {
  const figures = (time: number, mib: number) => `, ${time.toPrecision(3)} s each, peak ${Math.round(mib)} MiB`;
  line(`tarl ${dtype}`, { median, low, high }, "tokens/s", figures(seconds, peak));
  for (const [name, value] of Object.entries(more)) say(`  ${name} ${Number(value).toPrecision(3)}`);
  for (const other of others) {
    const ratio = `; tarl is ${other.ratio.toFixed(2)}x, median against median`;
    line(`${other.name} ${other.dtype}`, other, "tokens/s", figures(other.seconds, other.peakMiB) + ratio);
  }
  const percent = (value: number | null) => (value === null ? "?" : `${(100 * value).toFixed(0)}%`);
  const { best, registers, mm, own } = ceilings[dtype];
  const rate = (value: number | null) => value?.toFixed(0) ?? "?";
  if (shares.memory !== null)
    say(`memory: ${percent(shares.memory)} of ${ceilings.memory?.toFixed(1)} GB/s, streaming reads`);
  say(
    `arithmetic: ${percent(shares.arithmetic)} of ${rate(best)} GFLOP/s, the best of registers ${rate(registers)}, ` +
      `torch.mm ${rate(mm)}, own product ${rate(own)}`,
  );
}

export function labelOf({ model, shape }: Options): string {
  return model === null ? shape : basename(resolve(model));
}

/** What was asked for, and the processor, as the figures name them. */
export function describe(options: Options): object {
  const { save: _, peers, shape: __, ...asked } = options;
  return { ...asked, model: labelOf(options), peers: peers.join(" "), features: processor.features, isa: native.isa() };
}

/** "decode-tiny-fp32-b32-g8-p64-n128-amd-epyc-25-17-2t.json" */
export function resultName(bench: string, options: Options): string {
  const { dtype, device, batch, group, prompt, threads, kernels } = options;
  const sizes = [`b${batch}`, ...(group > 1 ? [`g${group}`] : []), `p${prompt}`, `n${options.new}`];
  const parts = [bench, labelOf(options), dtype, ...sizes];
  if (kernels === "off") parts.push("plain");
  return `${[...parts, device === "cuda" ? "cuda" : processor.slug, `${threads}t`].join("-")}.json`;
}

/** Closes the output; with --save the figures are kept in bench/results as well. */
export function finish(bench: string, options: Options, figures: object): void {
  if (options.save) keep(bench, resultName(bench, options), figures);
  close(bench, figures);
}
