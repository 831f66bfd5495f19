// `tarl tasks`: what the agent is asked. One file per subcommand; this one joins them.

import type { Argv, CommandModule } from "yargs";
import bringIn from "./import.ts";
import list from "./list.ts";
import rate from "./rate.ts";
import show from "./show.ts";
import synthesize from "./synthesize.ts";
import validate from "./validate.ts";

export default {
  command: "tasks",
  describe: "Look at tasks, make, import and prove them",
  builder: (yargs: Argv) =>
    yargs
      .command(list)
      .command(show)
      .command(synthesize)
      .command(bringIn)
      .command(validate)
      .command(rate)
      .demandCommand(1, "tasks: expected list, show, synthesize, import, validate or rate"),
  handler: () => {},
} satisfies CommandModule;
