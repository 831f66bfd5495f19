// `tarl tasks`: what the agent is asked. One file per subcommand; this one joins them.

import type { Argv, CommandModule } from "yargs";
import bringIn from "./import.ts";
import list from "./list.ts";
import show from "./show.ts";

export default {
  command: "tasks",
  describe: "Look at tasks, import them",
  builder: (yargs: Argv) =>
    yargs.command(list).command(show).command(bringIn).demandCommand(1, "tasks: expected list, show or import"),
  handler: () => {},
} satisfies CommandModule;
