// `tarl eval`: success on held-out tasks, of a policy, of an agent without one, or of a model behind an API. The measuring
// is ../measure.ts; what --out keeps is ../run/results.ts.

import type { Argv, CommandModule } from "yargs";
import { type Config, flagName, options as table } from "../config/config.ts";
import { UsageError } from "../errors.ts";
import type { Evaluation } from "../eval/evaluate.ts";
import { gradingNote } from "../grading/grader.ts";
import type { Results } from "../run/results.ts";
import { pinned } from "./hub.ts";
import {
  access,
  addOptions,
  addSources,
  configOf,
  described,
  jsonOption,
  type Sources,
  typedOptions,
} from "./options.ts";

interface Options extends Sources {
  readonly agent: string | undefined;
  readonly agentUrl: string | undefined;
  readonly agentPrices: string | undefined;
  readonly out: string | undefined;
  readonly json: boolean | undefined;
}

/** What the result is a function of; the rest of the table has no place here. */
const DECIDES = [
  ...(["model", "format", "device", "dtype", "kernels", "batchInvariant", "tasks", "domain", "profile"] as const),
  ...(["families", "refuseShare", "turns", "turnTokens", "promptTokens", "contextTokens", "invalidInRow"] as const),
  ...(["calls", "checkOutputs"] as const),
  ...(["user", "disturbances", "userModel", "userTemperature"] as const),
  ...(["evalTasks", "evalSplit", "trials", "evalSeed", "evalTemperature"] as const),
];
const KEYS = [
  ...DECIDES,
  ...(["threads", "concurrent", "userUrl", "userPrices", "budget", "cache", "apiTimeout", "apiRetries"] as const),
];
/** Options of the engine, and of what an agent says. */
const ENGINE = ["model", "format", "device", "dtype", "threads", "kernels", "batchInvariant"];
const SAMPLING = ["evalTemperature"];

export default {
  command: "eval",
  describe: "Measure success on held-out tasks",
  builder: (yargs: Argv) =>
    addOptions(addSources(yargs), KEYS)
      .option("agent", described("who is measured", "policy|do-nothing|refuse|oracle|openai:<model>", "policy"))
      .option("agent-url", described("server of an openai: agent", "URL", "OPENAI_BASE_URL, or OpenAI's own"))
      .option(
        "agent-prices",
        described("what a million of its tokens in and out cost, for --budget", "dollars,dollars", "0,0"),
      )
      .option(
        "out",
        described("where results and conversations are kept; the same command goes on there", "folder", "none"),
      )
      .option("json", jsonOption) as unknown as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

async function handler(argv: Options): Promise<void> {
  const { agents } = await import("../eval/evaluate.ts");
  const agent = argv.agent ?? "policy";
  checkAgent(argv, agent, Object.keys(agents));
  const reach = agentAccess(argv);
  const typed = wholeSet(configOf(argv, KEYS));
  if (typed.evalTasks === 0) throw new UsageError("--eval-tasks 0: nothing to measure");
  const config = agent === "policy" ? await pinned(typed, reach.hub) : typed;
  const results = argv.out === undefined ? undefined : await openResults(argv.out, agent, config, reach);
  try {
    await evaluate(argv, agent, config, reach, results);
  } finally {
    results?.close();
  }
}

async function evaluate(
  argv: Options,
  agent: string,
  config: Config,
  access: AgentAccess,
  results: Results | undefined,
): Promise<void> {
  const { Display } = await import("../run/progress.ts");
  const { evaluationMarkdown, evaluationText } = await import("../run/report.ts");
  const { onInterrupt, STOPPED } = await import("./running.ts");
  const { measureAgent } = await import("../measure.ts");
  const display = new Display(process.stderr);
  const { signal, release } = onInterrupt(display, "stopping after the messages under way; Ctrl-C again stops at once");
  if (results?.finished) display.line(`going on in ${results.dir}: ${results.finished} conversations are finished`);
  const found = await measureAgent(config, agent, {
    access,
    results,
    signal,
    finished: (done, count) => display.live(`conversations ${done}/${count}`),
  }).finally(release);
  display.clear();
  process.stdout.write(argv.json ? `${JSON.stringify(found)}\n` : `${evaluationText(found)}\n`);
  if (found.stopped === undefined) {
    results?.writeJson("evaluation.json", found);
    results?.writeText("evaluation.md", evaluationMarkdown(found));
  } else process.exitCode = signal.aborted ? STOPPED : 1;
  const note = gradingNote();
  if (note) display.line(note);
  const rest = restText(found);
  if (rest) display.line(results ? `${rest}; the same command goes on with ${results.dir}` : rest);
}

/** What is left to play, or null. */
function restText({ stopped, played, faults, tasks, trials }: Evaluation): string | null {
  const whole = `${played - faults} of ${tasks * trials} conversations are finished`;
  if (stopped !== undefined) return `stopped (${stopped}): ${whole}`;
  return faults ? `incomplete: ${whole}` : null;
}

function checkAgent(argv: Options, agent: string, names: readonly string[]): void {
  const isModel = /^openai:./.test(agent);
  if (agent !== "policy" && !isModel && !names.includes(agent))
    throw new UsageError(`--agent ${agent}: expected policy, ${names.join(", ")} or openai:<model>`);
  const typed = typedOptions(argv);
  const idle = agent === "policy" ? [] : isModel ? ENGINE : [...ENGINE, ...SAMPLING];
  const useless = idle.find((key) => Object.hasOwn(typed, key));
  if (useless) throw new UsageError(`${flagName(useless)} with --agent ${agent}: it has no policy`);
  for (const key of ["agentUrl", "agentPrices"] as const)
    if (argv[key] !== undefined && !isModel)
      throw new UsageError(`${flagName(key)} with --agent ${agent}: expected an agent openai:<model>`);
}

/** --eval-tasks 0 of a set is all of it. */
function wholeSet(config: Config): Config {
  return config.tasks !== "generated" && config.evalTasks === 0 ? { ...config, evalTasks: 2 ** 31 - 1 } : config;
}

type AgentAccess = ReturnType<typeof agentAccess>;

function agentAccess({ agentUrl, agentPrices = "0,0" }: Options) {
  const { schema, expects } = table.userPrices;
  if (!schema.safeParse(agentPrices).success)
    throw new UsageError(`--agent-prices ${agentPrices}: expected ${expects}`);
  return { ...access(), ...(agentUrl !== undefined && { agentURL: agentUrl }), agentPrices };
}

/** The folder of --out, for these options alone. */
async function openResults(out: string, agent: string, config: Config, { hub }: AgentAccess): Promise<Results> {
  const { fingerprint, Results } = await import("../run/results.ts");
  const { findModel } = await import("../play.ts");
  const weights = async () => fingerprint(await findModel(config.model, hub), /\.safetensors$/);
  const identity = {
    "--agent": agent,
    ...Object.fromEntries(
      DECIDES.filter((key) => agent === "policy" || ![...ENGINE, ...SAMPLING].includes(key)).map((key) => [
        flagName(key),
        config[key],
      ]),
    ),
    ...(agent.startsWith("openai:") && { "--eval-temperature": config.evalTemperature }),
    ...(agent === "policy" && { "weights of --model": await weights() }),
    ...(config.tasks !== "generated" && { "files of --tasks": fingerprint(config.tasks, /\.jsonl?$/, Infinity) }),
  };
  return Results.open(out, identity);
}
