// `tarl [train]`: reinforcement learning of a policy, from a config to a run directory and a closing table.
// The method is ../train.ts; this reads options, watches for Ctrl-C, and prints.

import type { Argv, CommandModule } from "yargs";
import { type Config, flagName, resolveConfig } from "../config.ts";
import { UsageError } from "../errors.ts";
import { RunDirectory } from "../run/directory.ts";
import { Display } from "../run/progress.ts";
import {
  addOptions,
  addRun,
  addSources,
  configOf,
  RUNS,
  type RunOptions,
  type Sources,
  typedOptions,
} from "./options.ts";
import { finishRun, onInterrupt } from "./running.ts";

type Options = RunOptions & Sources;

export default {
  command: ["train", "$0"],
  describe: "Train a policy by reinforcement learning (the default command)",
  builder: (yargs: Argv) => addOptions(addSources(addRun(yargs))) as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

async function handler(argv: Options): Promise<void> {
  const { train } = await import("../train.ts");
  const { closing } = await import("../run/closing.ts");
  const { Observer } = await import("../run/observer.ts");
  const [config, run] = argv.resume ? resumeRun(argv, argv.resume) : createRun(argv);
  const display = new Display(argv.json ? process.stderr : process.stdout, (line) => run.log(line));
  display.line(`${argv.resume ? "going on with" : "run"} ${run.dir}: ${describe(config)}`);
  const stop = onInterrupt(display);
  const observer = new Observer(run, display, config.steps);
  await finishRun(run, !argv.resume, async () => {
    const finished = await train(config, run, observer, stop);
    if (!finished) return display.line(`stopped; to go on: node train.js --resume ${run.name}`);
    const summary = closing(config, run, display, observer.seconds());
    if (argv.json) process.stdout.write(`${JSON.stringify(summary ?? { run: run.dir })}\n`);
  });
}

function createRun(argv: Options): [Config, RunDirectory] {
  const config = configOf(argv);
  const runs = argv.runs ?? RUNS;
  const name = [config.domain, config.algo, ...(config.tarl ? ["tarl"] : []), `s${config.seed}`].join("-");
  return [config, RunDirectory.create(runs, argv.run ?? RunDirectory.freeName(runs, name), config)];
}

function resumeRun(argv: Options, name: string): [Config, RunDirectory] {
  const [given] = Object.keys(typedOptions(argv));
  if (given) throw new UsageError(`--resume ${name} takes its options from the run: leave ${flagName(given)} out`);
  for (const other of ["run", "config", "preset"] as const)
    if (argv[other]) throw new UsageError(`--resume ${name} with --${other} ${argv[other]}: leave one of them out`);
  const run = RunDirectory.open(argv.runs ?? RUNS, name);
  const label = (key: string) => `${run.dir}/config.json: ${key}`;
  return [
    resolveConfig("embedded", { values: run.readJson("config.json") as object as { [key: string]: unknown }, label }),
    run,
  ];
}

function describe(c: Config): string {
  const method = `${c.algo}${c.tarl ? " with TARL" : ""}`;
  return `${method} on ${c.domain}, ${c.steps} updates of ${c.tasks} tasks x ${c.samples} rollouts, policy ${c.model}, seed ${c.seed}`;
}
