// `tarl [train]`: reinforcement learning of a policy, from a config to a run directory and a closing table.
// The method is ../train.ts; this reads options and prints.

import type { Argv, CommandModule } from "yargs";
import { type Config, flagName, playsAhead, resolveConfig } from "../config/config.ts";
import { domainLabel, domainNames } from "../domains/index.ts";
import { blame, UsageError } from "../errors.ts";
import { gradingNote } from "../grading/grader.ts";
import type { Timing } from "../run/observer.ts";
import { pinned } from "./hub.ts";
import { access, addOptions, addRun, addSources, configOf, type RunOptions, type Sources } from "./options.ts";
import { type RunKind, stopped, withRun } from "./running.ts";

type Options = RunOptions & Sources & { readonly explain: boolean | undefined };

export default {
  command: ["train", "$0"],
  describe: "Train a policy by reinforcement learning (the default command)",
  builder: (yargs: Argv) =>
    addOptions(
      addSources(addRun(yargs)).option("explain", {
        describe:
          "print what would be optimised, as equations with this run's numbers [true/false] (default false; ours)",
        type: "boolean",
      }),
    ) as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

/** What needs turns with scores, as it is where there are none. */
const ofTurns = { judge: "rules", credit: "trajectory", reflection: 0 } as const;

const kind = (argv: Options): RunKind<Config> => ({
  config: ({ hub }) => pinned(configOf(argv), hub),
  read: (json, file) => {
    const values = json as { [key: string]: unknown };
    if (values.recipe) throw new UsageError(`${file} is one of supervised training: sft --resume goes on with it`);
    return resolveConfig("embedded", { values, label: (key) => `${file}: ${key}` });
  },
  options: (config) => config,
  sets: ({ tasks, mix }) => [
    ...(tasks === "generated" ? [] : [tasks]),
    ...(mix === "none" || domainNames.includes(mix) ? [] : [mix]),
  ],
  check: async (config, { tasks, domain }) => {
    const { openMix } = await import("../play.ts");
    const mixed = await openMix(config);
    if (domain.grade && (!mixed || mixed.domain.grade))
      for (const [key, value] of Object.entries(ofTurns) as [keyof typeof ofTurns, string | number][])
        if (config[key] !== value)
          throw new UsageError(
            `${flagName(key)} ${config[key]}: expected ${value} where answers are graded, as those of ${domain.name} are`,
          );
    const { trainDatabases: databases, tasksPerStep, seed, evalTasks, evalSeed } = config;
    const drawn = `--train-databases ${databases} with --tasks-per-step ${tasksPerStep}`;
    const draw = () => tasks.train(tasksPerStep, seed, 0);
    if (config.tasks === "generated") blame(drawn, draw);
    else draw();
    const pool = config.algo === "spo" ? config.spoPool : tasksPerStep;
    if (pool > tasksPerStep) blame(`--spo-pool ${pool}`, () => tasks.train(pool, seed, 0));
    if (evalTasks > 0) blame(`--eval-tasks ${evalTasks}`, () => tasks.heldOut(evalTasks, evalSeed));
    if (mixed) blame(`--mix ${config.mix}`, () => mixed.tasks.train(pool, seed, 0));
    if (mixed && config.mixEvalTasks > 0)
      blame(`--mix ${config.mix}`, () => mixed.tasks.heldOut(config.mixEvalTasks, evalSeed));
    const { openJudge } = await import("../judges.ts");
    openJudge(config, access());
  },
  name: (c) =>
    [domainLabel(c.domain), c.algo.replace("++", "pp"), ...(c.tarl ? ["tarl"] : []), ...mixName(c), `s${c.seed}`].join(
      "-",
    ),
  describe: (c) =>
    `${c.algo}${c.tarl ? " with TARL" : ""} on ${c.tasks === "generated" ? domainLabel(c.domain) : c.tasks}, ${c.steps} updates of ${c.tasksPerStep} tasks x ${c.samples} rollouts, ` +
    `${c.mix === "none" ? "" : `one in ${c.mixEvery} ${c.mixControl ? "left out" : `of ${domainLabel(c.mix)}`}, `}` +
    `policy ${c.model}, seed ${c.seed}`,
});

function mixName({ mix, mixControl }: Config): string[] {
  return mix === "none" ? [] : [mixControl ? "control" : "mix"];
}

async function handler(argv: Options): Promise<void> {
  if (argv.explain) return print(argv);
  const { costText, forecast, forecastText, openJudge } = await import("../judges.ts");
  const { openMix } = await import("../play.ts");
  const { train } = await import("../train.ts");
  const { closing } = await import("../run/closing.ts");
  const { Observer } = await import("../run/observer.ts");
  await withRun(argv, kind(argv), async ({ config, run, step, table, display, stop }) => {
    const { judge, chat } = openJudge(config, access(), (line) => display.line(line));
    if (chat) {
      const clock = run.lines<Timing>("timing.jsonl");
      display.line(forecastText(config, forecast(config, table, step, clock, await openMix(config))));
    }
    const exact = table.policy.batchInvariant && !playsAhead(config);
    const observer = new Observer(run, display, config, step, exact, chat?.counts);
    const finished = await train({ config, table, judge, run, observer, stop }, step);
    if (chat) display.line(costText(chat.counts()));
    if (!finished) return stopped(display, run);
    const note = gradingNote();
    if (note) display.line(note);
    const summary = closing(config, run, display, observer.seconds());
    if (argv.json) process.stdout.write(`${JSON.stringify({ run: run.dir, ...summary })}\n`);
  });
}

/** What would be optimised; no model is opened and nothing is written. */
async function print(argv: Options): Promise<void> {
  if (argv.resume !== undefined)
    throw new UsageError(`--explain with --resume ${argv.resume}: expected the run's options`);
  const { explain, explanation } = await import("../config/explain.ts");
  const config = configOf(argv);
  process.stdout.write(argv.json ? `${JSON.stringify({ config, parts: explain(config) })}\n` : explanation(config));
}
