// Where does the time of the default run go? A few updates of `node train.js --algo grpo --tarl` by the real command, and
// the seconds of each stage from its timing.jsonl. --repeats is the number of updates; the first one does not count. To
// compare two builds, run it in both. Run: npm run bench -- default

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "../src/cli/main.ts";
import { UsageError } from "../src/errors.ts";
import { line, say, spread } from "./common.ts";
import { describeMachine, peakMiB } from "./machine.ts";
import { describe, finish, start } from "./run.ts";

/** 12 tasks x 8, and their usual length in tokens. */
const defaults = { batch: 96, prompt: 300, new: 150, group: 8, repeats: 4, dtype: "bf16" } as const;
const STAGES = ["rollout", "judge", "train", "write"] as const;

type Line = { readonly [key: string]: number };

await start("default", defaults, async (options) => {
  const { dtype, device, threads, repeats } = options;
  const own = { ...defaults, model: null, shape: "tiny", kernels: "on" } as const;
  for (const name of ["model", "shape", "batch", "prompt", "new", "group", "kernels"] as const)
    if (options[name] !== own[name]) throw new UsageError(`--${name} ${options[name]}: the default run has its own`);
  const runs = mkdtempSync(join(tmpdir(), "tarl-bench-"));
  try {
    const flags = ["--dtype", dtype, "--device", device, "--threads", `${threads}`];
    const steps = [
      "--steps",
      `${repeats + 1}`,
      "--decay",
      "none",
      "--eval-tasks",
      "0",
      "--runs",
      runs,
      "--run",
      "bench",
    ];
    const code = await main(["train", "--algo", "grpo", "--tarl", ...flags, ...steps]);
    if (code !== 0) throw new Error(`train: exit code ${code}`);
    const lines = (file: string): Line[] =>
      readFileSync(join(runs, "bench", file), "utf8")
        .trim()
        .split("\n")
        .map((text) => JSON.parse(text))
        .filter(({ step }) => step > 1);
    const timing = lines("timing.jsonl");
    const metrics = lines("metrics.jsonl");
    say(describeMachine(threads));
    const total = timing.map((time) => STAGES.reduce((sum, stage) => sum + (time[stage] ?? 0), 0));
    const stages = {
      step: spread(total),
      ...Object.fromEntries(STAGES.map((stage) => [stage, spread(timing.map((time) => time[stage] ?? 0))])),
    };
    for (const [stage, seconds] of Object.entries(stages)) line(stage, seconds, "s");
    const rollout = spread(metrics.map(({ rollouts, length }, i) => (rollouts * length) / timing[i].rollout));
    const train = spread(metrics.map(({ tokens }, i) => tokens / timing[i].train));
    line("rollout", rollout, "sampled tokens/s");
    line("train", train, "tokens/s");
    const asked = { ...options, model: "embedded" };
    finish("default", asked, { ...describe(asked), seconds: stages, rollout, train, peakMiB: peakMiB() });
  } finally {
    rmSync(runs, { recursive: true, force: true });
  }
});
