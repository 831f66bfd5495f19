// `tarl eval`: success on held-out tasks, of a policy or of an agent without one. The measuring is ../eval/evaluate.ts.

import type { Argv, CommandModule } from "yargs";
import { flagName } from "../config.ts";
import { UsageError } from "../errors.ts";
import { addOptions, addSources, configOf, described, jsonOption, type Sources, typedOptions } from "./options.ts";

type Options = Sources & { readonly agent: string | undefined; readonly json: boolean | undefined };

/** What an evaluation depends on; the rest of the table has no place here. */
const KEYS = [
  ...(["model", "device", "dtype", "threads", "domain", "profile", "families", "refuseShare"] as const),
  ...(["turns", "turnTokens", "promptTokens", "contextTokens", "invalidInRow", "concurrent", "checkOutputs"] as const),
  ...(["evalTasks", "evalTrials", "evalSeed", "evalTemperature"] as const),
];

export default {
  command: "eval",
  describe: "Measure success on held-out tasks",
  builder: (yargs: Argv) =>
    addOptions(addSources(yargs), KEYS)
      .option("agent", described("who is measured", "policy|do-nothing|refuse|oracle", "policy"))
      .option("json", jsonOption) as unknown as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

async function handler(argv: Options): Promise<void> {
  const { agents } = await import("../eval/evaluate.ts");
  const agent = argv.agent ?? "policy";
  if (agent !== "policy" && !Object.hasOwn(agents, agent))
    throw new UsageError(`--agent ${agent}: expected policy, ${Object.keys(agents).join(" or ")}`);
  const config = configOf(argv, KEYS);
  const engine = ["model", "device", "dtype", "threads", "evalTemperature"].find((key) =>
    Object.hasOwn(typedOptions(argv), key),
  );
  if (agent !== "policy" && engine) throw new UsageError(`${flagName(engine)} with --agent ${agent}: it has no policy`);
  if (config.evalTasks === 0) throw new UsageError("--eval-tasks 0: nothing to measure");
  const { evaluationText, Display } = await import("../run/progress.ts");
  const display = new Display(process.stderr);
  const { measureAgent } = await import("../measure.ts");
  const found = await measureAgent(config, agent, (done, count) => display.live(`conversations ${done}/${count}`));
  display.clear();
  process.stdout.write(argv.json ? `${JSON.stringify(found)}\n` : `${evaluationText(agent, found)}\n`);
}
