// `tarl [train]`: reinforcement learning of a policy, from a config to a run directory and a closing table.
// The method is ../train.ts; this reads options and prints.

import type { Argv, CommandModule } from "yargs";
import { type Config, resolveConfig } from "../config.ts";
import { domainLabel } from "../domains/index.ts";
import { blame, UsageError } from "../errors.ts";
import { pinned } from "./hub.ts";
import { addOptions, addRun, addSources, configOf, type RunOptions, type Sources } from "./options.ts";
import { type RunKind, stopped, withRun } from "./running.ts";

type Options = RunOptions & Sources;

export default {
  command: ["train", "$0"],
  describe: "Train a policy by reinforcement learning (the default command)",
  builder: (yargs: Argv) => addOptions(addSources(addRun(yargs))) as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

const kind = (argv: Options): RunKind<Config> => ({
  config: ({ hub }) => pinned(configOf(argv), hub),
  read: (json, file) => {
    const values = json as { [key: string]: unknown };
    if (values.recipe) throw new UsageError(`${file} is one of supervised training: sft --resume goes on with it`);
    return resolveConfig("embedded", { values, label: (key) => `${file}: ${key}` });
  },
  options: (config) => config,
  sets: ({ tasks }) => (tasks === "generated" ? [] : [tasks]),
  check: async (config, { tasks }) => {
    const { trainDatabases: databases, tasksPerStep, seed, evalTasks, evalSeed } = config;
    const drawn = `--train-databases ${databases} with --tasks-per-step ${tasksPerStep}`;
    const draw = () => tasks.train(tasksPerStep, seed, 0);
    if (config.tasks === "generated") blame(drawn, draw);
    else draw();
    if (evalTasks > 0) blame(`--eval-tasks ${evalTasks}`, () => tasks.heldOut(evalTasks, evalSeed));
  },
  name: (c) => [domainLabel(c.domain), c.algo, ...(c.tarl ? ["tarl"] : []), `s${c.seed}`].join("-"),
  describe: (c) =>
    `${c.algo}${c.tarl ? " with TARL" : ""} on ${c.tasks === "generated" ? domainLabel(c.domain) : c.tasks}, ${c.steps} updates of ${c.tasksPerStep} tasks x ${c.samples} rollouts, ` +
    `policy ${c.model}, seed ${c.seed}`,
});

async function handler(argv: Options): Promise<void> {
  const { train } = await import("../train.ts");
  const { closing } = await import("../run/closing.ts");
  const { Observer } = await import("../run/observer.ts");
  await withRun(argv, kind(argv), async ({ config, run, step, table, display, stop }) => {
    const observer = new Observer(run, display, config, step, table.policy.batchInvariant);
    const finished = await train({ config, table, run, observer, stop }, step);
    if (!finished) return stopped(display, run);
    const summary = closing(config, run, display, observer.seconds());
    if (argv.json) process.stdout.write(`${JSON.stringify({ run: run.dir, ...summary })}\n`);
  });
}
