#!/usr/bin/env node
// The launcher of every command: makes sure that the set-up is done, then hands over to src/cli/main.ts.
//   node train.js [command] [options]        node train.js --help

import { root, SetupError, setup, state } from "./scripts/setup.js";

const [command, ...rest] = process.argv.slice(2);
if (command === "doctor" && !state(root).every((step) => step.done)) {
  // The doctor is asked for when the set-up cannot be done, so it must not need it.
  const { doctor } = await import("./scripts/doctor.js");
  process.exit(doctor(root, rest.includes("--json")) ? 0 : 1);
}

try {
  await setup(root);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
const { main } = await import("./dist/src/cli/main.js");
process.exitCode = await main(process.argv.slice(2));
