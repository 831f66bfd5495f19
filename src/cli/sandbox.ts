// `tarl sandbox replay`: recorded tool calls on a domain's database files, one JSON line of results for each line of calls.

import type { Argv, CommandModule } from "yargs";
import { domain, domainNames, profilesOf } from "../domains/index.ts";
import { dumps } from "../domains/python.ts";
import { type Replayed, readDatabase, replayFile } from "../sandbox/replay.ts";

interface Options {
  domain: string;
  profile: string;
  data: string;
  calls: string;
}

const PROFILES = ["airline", "retail"].map((name) => `${name} has ${profilesOf(name).join(", ")}`).join("; ");

const replay: CommandModule<object, Options> = {
  command: "replay",
  describe: "Run recorded calls, each line on fresh data; print observations, exceptions and the state's hash",
  builder: (yargs: Argv) =>
    yargs
      .option("domain", {
        describe: `Whose tools: ${domainNames.join(", ")}, or a folder of your own [name|folder] (ours)`,
        type: "string",
        default: "retail",
        nargs: 1,
      })
      .option("profile", {
        describe: `Under whose rules: ${PROFILES} [name]; default: the domain's first (ours)`,
        type: "string",
        default: "default",
        defaultDescription: "tau1",
        nargs: 1,
      })
      .option("data", {
        describe: "Folder with the domain's tables as <table>.json, for tau2 with its db.json, or that file [path]",
        type: "string",
        demandOption: true,
        nargs: 1,
      })
      .option("calls", {
        describe: 'JSON lines {"id", "setup": [{name, kwargs}]?, "steps": [{name, kwargs}]} [file] (ours)',
        type: "string",
        demandOption: true,
        nargs: 1,
      }),
  async handler({ domain: name, profile, data, calls }) {
    const chosen = await domain(name, profile);
    for (const result of replayFile(chosen, readDatabase(chosen, data), calls)) await write(`${textOf(result)}\n`);
  },
};

export default {
  command: "sandbox",
  describe: "The sandbox alone",
  builder: (yargs: Argv) => yargs.command(replay).demandCommand(1, "sandbox: expected a command: replay"),
  handler: () => undefined,
} satisfies CommandModule;

function textOf({ id, observations, raised, done, hash }: Replayed): string {
  return `{"id":${dumps(id)},${JSON.stringify({ observations, raised, done, hash }).slice(1)}`;
}

/** Waits for a slow reader. */
async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await new Promise((resolve) => process.stdout.once("drain", resolve));
}
