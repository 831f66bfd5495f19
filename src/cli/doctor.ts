// `tarl doctor`: what this machine has, what is missing with the line to type, how far the set-up is.
// The looking itself is scripts/doctor.js, which also works before there is a dist/ to run this from.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Argv, CommandModule } from "yargs";
import { root } from "../root.ts";

interface Options {
  json: boolean;
}

export const command = "doctor";
export const describe =
  "Print what this machine has, what is missing with the line to type, and the state of the set-up";

export function builder(yargs: Argv): Argv<Options> {
  return yargs.option("json", { type: "boolean", default: false, describe: "One JSON object on stdout (ours)" });
}

export async function handler({ json }: Options): Promise<void> {
  const { doctor } = await import(pathToFileURL(join(root, "scripts", "doctor.js")).href);
  process.exitCode = doctor(root, json) ? 0 : 1;
}

export default { command, describe, builder, handler } satisfies CommandModule<object, Options>;
