// `tarl sft`: supervised training on the scripted expert's demonstrations, after a recipe file. Makes the embedded policy.
// The training itself is ../sft.ts.

import { join } from "node:path";
import type { Argv, CommandModule } from "yargs";
import { type Config, flagName, resolveConfig } from "../config.ts";
import { UsageError } from "../errors.ts";
import { parseRecipe, type Recipe, readRecipe, totalTokens } from "../recipe.ts";
import { root } from "../root.ts";
import { RunDirectory } from "../run/directory.ts";
import { Display, duration, thousands } from "../run/progress.ts";
import { evalSampling } from "../settings.ts";
import type { SftLine } from "../sft.ts";
import {
  addOptions,
  addRun,
  addSources,
  configOf,
  described,
  RUNS,
  type RunOptions,
  type Sources,
  typedOptions,
} from "./options.ts";
import { finishRun, onInterrupt } from "./running.ts";

type Options = RunOptions & Sources & { readonly recipe: string | undefined };

/** What the run directory of supervised training has as its config.json. */
interface SftConfig {
  readonly recipe: Recipe;
  readonly options: Config;
}

export default {
  command: "sft",
  describe: "Train a policy on the scripted expert's demonstrations, after a recipe",
  builder: (yargs: Argv) =>
    addOptions(addSources(addRun(yargs)), [
      ...(["model", "device", "dtype", "threads"] as const),
      ...(["turns", "turnTokens", "promptTokens", "contextTokens", "invalidInRow", "concurrent", "keep"] as const),
    ]).option(
      "recipe",
      described("what to train on, in phases", "file", "assets/recipe.json", "measured"),
    ) as unknown as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

async function handler(argv: Options): Promise<void> {
  const { Table } = await import("../play.ts");
  const { sft } = await import("../sft.ts");
  const [{ recipe, options }, run] = argv.resume ? resumeRun(argv, argv.resume) : createRun(argv);
  const display = new Display(argv.json ? process.stderr : process.stdout, (line) => run.log(line));
  const total = totalTokens(recipe);
  display.line(
    `${argv.resume ? "going on with" : "run"} ${run.dir}: ${recipe.domain}, ${thousands(total)} tokens in ${recipe.phases.length} phases`,
  );
  const stop = onInterrupt(display);
  await finishRun(run, !argv.resume, async () => {
    const step = run.checkpoints().at(-1) ?? 0;
    run.rewind(step);
    const table = await Table.open(options, step ? run.checkpointPath(step) : null);
    const tokens = run.lines<SftLine>("metrics.jsonl").at(-1)?.tokens ?? 0;
    const clock = new Clock(total, tokens);
    const save = (dir: string) => table.policy.save(dir, { optimizer: true });
    let last = step;
    try {
      const finished = await sft(recipe, table, evalSampling(options), {
        step,
        tokens,
        report: (line) => {
          last = line.step;
          run.append("metrics.jsonl", line);
          run.append("timing.jsonl", { step: line.step, ...clock.lap() });
          const text = `step ${line.step}  ${line.phase}  ${clock.describe(line)}`;
          if (line.heldOutLoss === undefined && line.step % 20 !== 0) display.live(text);
          else display.line(text + heldOut(line));
        },
        save: (step) => run.checkpoint(step, options.keep, save),
        stopped: () => stop.requested,
      });
      display.line(
        finished
          ? `done; the policy is in ${run.checkpointPath(last)}`
          : `stopped; to go on: node train.js sft --resume ${run.name}`,
      );
      if (argv.json)
        process.stdout.write(`${JSON.stringify({ run: run.dir, finished, checkpoint: run.checkpointPath(last) })}\n`);
    } finally {
      await table.policy.dispose();
    }
  });
}

function createRun(argv: Options): [SftConfig, RunDirectory] {
  const recipe = readRecipe(argv.recipe ?? join(root, "assets", "recipe.json"));
  const options: Config = {
    ...configOf(argv),
    domain: recipe.domain,
    refuseShare: recipe.refuseShare,
    families: "all",
  };
  const config = { recipe, options };
  const runs = argv.runs ?? RUNS;
  return [
    config,
    RunDirectory.create(runs, argv.run ?? RunDirectory.freeName(runs, `${recipe.domain}-sft-s${recipe.seed}`), config),
  ];
}

function resumeRun(argv: Options, name: string): [SftConfig, RunDirectory] {
  const [given] = Object.keys(typedOptions(argv));
  if (given) throw new UsageError(`--resume ${name} takes its options from the run: leave ${flagName(given)} out`);
  for (const other of ["run", "config", "preset", "recipe"] as const)
    if (argv[other]) throw new UsageError(`--resume ${name} with --${other} ${argv[other]}: leave one of them out`);
  const run = RunDirectory.open(argv.runs ?? RUNS, name);
  const file = `${run.dir}/config.json`;
  const { recipe, options } = run.readJson<{ recipe?: unknown; options?: object }>("config.json") ?? {};
  if (!recipe || !options) throw new UsageError(`--resume ${name}: ${file} is not one of supervised training`);
  const values = options as { [key: string]: unknown };
  return [
    {
      recipe: parseRecipe(recipe, file),
      options: resolveConfig("embedded", { values, label: (key) => `${file}: ${key}` }),
    },
    run,
  ];
}

/** Speed and time left, from the clock of this process. */
class Clock {
  readonly #started = performance.now();
  #last = this.#started;

  constructor(
    readonly total: number,
    readonly tokensBefore: number,
  ) {}

  lap(): { seconds: number } {
    const now = performance.now();
    const seconds = (now - this.#last) / 1000;
    this.#last = now;
    return { seconds };
  }

  describe({ tokens, kind, loss, lr }: SftLine): string {
    const speed = (tokens - this.tokensBefore) / ((this.#last - this.#started) / 1000);
    const share = Math.floor((100 * tokens) / this.total);
    return (
      `${thousands(tokens)}/${thousands(this.total)} tokens (${share}%)  ${kind} loss ${loss.toFixed(4)}  lr ${lr.toPrecision(3)}  ` +
      `${thousands(speed)} tok/s  left ${duration((this.total - tokens) / speed)}`
    );
  }
}

function heldOut({ heldOutLoss, heldOutSuccess }: SftLine): string {
  if (heldOutLoss === undefined) return "";
  return `  held-out loss ${heldOutLoss.toFixed(4)}${heldOutSuccess === undefined ? "" : ` success ${heldOutSuccess.toFixed(3)}`}`;
}
