// `tarl tasks`: what the agent is asked. One file per subcommand; this one joins them.

import type { Argv, CommandModule } from "yargs";
import list from "./list.ts";
import show from "./show.ts";
import validate from "./validate.ts";

export default {
  command: "tasks",
  describe: "Look at tasks",
  builder: (yargs: Argv) =>
    yargs.command(list).command(show).command(validate).demandCommand(1, "tasks: expected list, show or validate"),
  handler: () => {},
} satisfies CommandModule;
