// `tarl tasks`: what the agent is asked. One file per subcommand; this one joins them.

import type { Argv, CommandModule } from "yargs";
import list from "./list.ts";
import show from "./show.ts";

export default {
  command: "tasks",
  describe: "Look at tasks",
  builder: (yargs: Argv) => yargs.command(list).command(show).demandCommand(1, "tasks: expected list or show"),
  handler: () => {},
} satisfies CommandModule;
