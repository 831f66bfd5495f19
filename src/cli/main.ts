// The command line: `node train.js [command]`. One file per command; this one joins them and turns errors into one line.
// Exit codes: 0 done, 1 something broke, 2 bad input, 130 stopped. Test: test/unit/cli.test.ts

import yargs from "yargs";
import { flagName } from "../config/config.ts";
import { CheckpointError, UsageError } from "../errors.ts";
import doctor from "./doctor.ts";
import evaluate from "./eval.ts";
import generate from "./generate.ts";
import init from "./init.ts";
import judge from "./judge.ts";
import plan from "./plan.ts";
import { isRunning } from "./running.ts";
import sandbox from "./sandbox.ts";
import score from "./score.ts";
import setup from "./setup.ts";
import sft from "./sft.ts";
import tasks from "./tasks/index.ts";
import train from "./train.ts";

/** Where nobody reads any more (`| head`), a command has done what was wanted; a run goes on, its log is a file. */
for (const out of [process.stdout, process.stderr])
  out.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    if (!isRunning()) process.exit();
  });

/** Runs one command line (without node and script) and returns the exit code. Prints nothing but what a command prints. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    await yargs([...args])
      .scriptName("tarl")
      .usage("$0 [command]: reinforcement learning of conversational tool-using agents")
      .command(train)
      .command(sft)
      .command(evaluate)
      .command(tasks)
      .command(judge)
      .command(init)
      .command(plan)
      .command(score)
      .command(generate)
      .command(sandbox)
      .command(setup)
      .command(doctor)
      .parserConfiguration({ "parse-numbers": false })
      .middleware((argv) => checkTyped(args, argv), true)
      .strict()
      .locale("en")
      .wrap(110)
      .showHelpOnFail(false)
      .exitProcess(true)
      .fail((message, error) => {
        throw error && error.name !== "YError" ? error : new UsageError(named(message, args));
      })
      .parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    const bad = error instanceof UsageError || error instanceof CheckpointError;
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`tarl: ${bad ? message.replaceAll("\n", " ") : message}\n`);
    if (!bad && process.env.TARL_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return bad ? 2 : 1;
  }
}

/** Refuses what yargs would make something of: an option given twice (a list), a flag with any text (false). */
function checkTyped(args: readonly string[], argv: { readonly [name: string]: unknown }): void {
  for (const [name, value] of Object.entries(argv))
    if (name !== "_" && Array.isArray(value))
      throw new UsageError(`${flagName(name)} ${value.join(" ")}: expected one value`);
  for (const arg of args) {
    const [, name, text] = /^--([^=]+)=(.*)$/s.exec(arg) ?? [];
    if (name && typeof argv[name] === "boolean" && text !== "true" && text !== "false")
      throw new UsageError(`${arg}: expected true or false`);
  }
}

/** What yargs says, as this project says it: what was typed, or is missing, and what was expected. */
function named(message: string, args: readonly string[]): string {
  const [, kind, list = ""] =
    /^(Unknown|Missing required|Not enough|Not enough non-option) arguments?(?: following)?: (.*)$/.exec(message) ?? [];
  const names = list.split(", ");
  switch (kind) {
    case "Unknown": {
      // An option stands there as typed and once more in camel case: the first is enough.
      const unknown = names.filter(
        (name) => !names.includes(flagName(name).slice(2)) || flagName(name) === `--${name}`,
      );
      const typed = unknown.map((name) => args.find((arg) => arg.replace(/^--?([^=]*).*$/s, "$1") === name) ?? name);
      const isOption = typed[0].startsWith("-");
      return `${typed.join(" ")}: ${isOption ? "no option of this command" : "not expected here"}; --help lists what is`;
    }
    case "Missing required":
      return `${names.map(flagName).join(", ")}: missing; --help says what is expected`;
    case "Not enough":
      return `${flagName(names[0])}: expected a value`;
    case "Not enough non-option":
      return `${args.filter((arg) => !arg.startsWith("-")).join(" ")}: a word is missing; --help says what is expected`;
    default:
      return message;
  }
}
