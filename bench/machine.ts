// The machine that figures are taken on: its processor, the ceilings that nothing on it can pass, and the memory that this
// process took. Ceilings are measured by small programs that are built for this very processor, which the engine's
// own build never is. Test: test/unit/bench.test.ts

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../src/root.ts";
import { machine } from "./common.ts";

export interface Processor {
  /** Name, family and model: "amd-epyc-25-17", for file names. */
  readonly slug: string;
  /** Of the instruction sets that decide which kernels run. */
  readonly features: string;
}

const FEATURES = ["avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8"];

/** Reads what /proc/cpuinfo says of the first processor. */
export function parseProcessor(cpuinfo: string): Processor {
  const value = (key: string) => new RegExp(`^${key}\\s*: (.*)$`, "m").exec(cpuinfo)?.[1].trim() ?? "unknown";
  const flags = value("flags").split(" ");
  const words = [value("model name"), value("cpu family"), value("model")].join(" ");
  return {
    slug: words
      .toLowerCase()
      .replace(/\((r|tm)\)|@.*?ghz|\bprocessor\b/g, "")
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, ""),
    features: FEATURES.filter((feature) => flags.includes(feature)).join(" "),
  };
}

export const processor: Processor = parseProcessor(readFileSync("/proc/cpuinfo", "utf8"));

/** GB/s and GFLOP/s with `threads` threads; null: not measured. */
export interface Ceilings {
  /** Streaming reads from memory. */
  readonly memory: number | null;
  readonly fp32: Arithmetic;
  readonly bf16: Arithmetic;
}

/** Where the best rate of arithmetic was found, and all rates that were tried. */
export interface Arithmetic {
  readonly best: number | null;
  readonly registers: number | null;
  /** 2048^3 by torch's `mm` (oneDNN, MKL). */
  readonly mm: number | null;
  /** A product of 2048^3 by kernels of ours. */
  readonly own: number | null;
}

export function arithmetic(registers: number | null, mm: number | null, own: number | null): Arithmetic {
  const found = [registers, mm, own].filter((rate) => rate !== null && rate > 0) as number[];
  return { best: found.length > 0 ? Math.max(...found) : null, registers: registers || null, mm, own };
}

/** `mm`: rates of torch's matrix product, from a process of its own (peers.ts). */
export function measureCeilings(threads: number, mm: { fp32: number; bf16: number } | null): Ceilings {
  const [memory, fp32, bf16] = build("roof.cpp", [], [threads]) ?? [null, null, null];
  const own = build("gemm.cpp", ["-Inative", "build/cmake/libcore.a"], [threads, 2048, 2048, 2048]);
  return {
    memory,
    fp32: arithmetic(fp32, mm?.fp32 ?? null, own?.[0] ?? null),
    bf16: arithmetic(bf16, mm?.bf16 ?? null, own?.[1] ?? null),
  };
}

/** Builds and runs one of the programs; the numbers that it prints, or null, said aloud, where it cannot be built. */
function build(source: string, flags: readonly string[], args: readonly number[]): number[] | null {
  const folder = mkdtempSync(join(tmpdir(), "tarl-roof-"));
  try {
    const program = join(folder, "program");
    const all = ["-std=c++20", "-O3", "-march=native", "-Wno-psabi", "-pthread", join("bench", source), ...flags];
    execFileSync(process.env.CXX ?? "c++", [...all, "-o", program], { cwd: root, stdio: "inherit" });
    return execFileSync(program, args.map(String), { encoding: "utf8" }).trim().split("\n").map(Number);
  } catch (error) {
    process.stdout.write(`not measured, bench/${source}: ${(error as Error).message.split("\n")[0]}\n`);
    return null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** From here on, `peakMiB` counts anew. */
export function forgetPeak(): void {
  writeFileSync("/proc/self/clear_refs", "5");
}

/** Most memory that this process held at once (resident), in MiB. */
export function peakMiB(): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;
}

export function describeMachine(threads: number): string {
  return `${machine.cpu} (${processor.features}), ${threads} threads, Node ${machine.node}`;
}
