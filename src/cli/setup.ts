// `tarl setup`: the set-up alone. The launcher has done it before this runs, so what is left is to say so.
// The steps themselves are scripts/setup.js.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Argv, CommandModule } from "yargs";
import { root } from "../root.ts";

interface Options {
  json: boolean;
}

interface Step {
  readonly name: string;
  readonly done: boolean;
  readonly seconds: number;
  readonly detail: string;
}

export const command = "setup";
export const describe = "Set up packages, libtorch, the native addon and TypeScript, as far as something is to be done";

export function builder(yargs: Argv): Argv<Options> {
  return yargs.option("json", { type: "boolean", default: false, describe: "One JSON object on stdout (ours)" });
}

export async function handler({ json }: Options): Promise<void> {
  const { setup } = await import(pathToFileURL(join(root, "scripts", "setup.js")).href);
  const steps: Step[] = await setup(root);
  if (json) process.stdout.write(`${JSON.stringify({ steps })}\n`);
  else
    for (const step of steps)
      process.stdout.write(`${step.name.padEnd(10)} done in ${step.seconds.toFixed(1)} s ${step.detail}\n`);
}

export default { command, describe, builder, handler } satisfies CommandModule<object, Options>;
