// `tarl [train]`: reinforcement learning of a policy, from a config to a run directory and a closing table.
// The method is ../train.ts; this reads options, watches for Ctrl-C, and prints.

import type { Argv, CommandModule } from "yargs";
import { type Config, flagName, resolveConfig } from "../config.ts";
import { UsageError } from "../errors.ts";
import { RunDirectory } from "../run/directory.ts";
import { Display } from "../run/progress.ts";
import { addRun, addSources, addOptions, configOf, type RunOptions, typedOptions } from "./options.ts";
import { finishRun, onInterrupt } from "./running.ts";

type Options = RunOptions & { preset: string; config: string | undefined };

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
  const name = [config.domain, config.algo, ...(config.tarl ? ["tarl"] : []), `s${config.seed}`].join("-");
  return [config, RunDirectory.create(argv.runs, argv.run ?? RunDirectory.freeName(argv.runs, name), config)];
}

function resumeRun(argv: Options, name: string): [Config, RunDirectory] {
  const [given] = Object.keys(typedOptions(argv));
  if (given) throw new UsageError(`--resume ${name} takes its options from the run: leave ${flagName(given)} out`);
  if (argv.config || argv.run) throw new UsageError(`--resume ${name} with ${argv.config ? "--config" : "--run"}: leave one of them out`);
  const run = RunDirectory.open(argv.runs, name);
  const label = (key: string) => `${run.dir}/config.json: ${key}`;
  return [resolveConfig("embedded", { values: run.readJson("config.json") as object as { [key: string]: unknown }, label }), run];
}

function describe(c: Config): string {
  const method = `${c.algo}${c.tarl ? " with TARL" : ""}`;
  return `${method} on ${c.domain}, ${c.steps} updates of ${c.tasks} tasks x ${c.samples} rollouts, policy ${c.model}, seed ${c.seed}`;
}
