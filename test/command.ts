// Runs a command of the command line in this process, from a folder, with what it prints. What tests of commands share.

import { main } from "../src/cli/main.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function runIn(dir: string, args: readonly string[]): Promise<Ran> {
  const { write } = process.stdout;
  const complain = process.stderr.write;
  const [cwd, exitCode] = [process.cwd(), process.exitCode];
  let [out, err] = ["", ""];
  process.stdout.write = (text) => {
    out += text;
    return true;
  };
  process.stderr.write = (text) => {
    err += text;
    return true;
  };
  process.chdir(dir);
  try {
    return { code: await main(args), out, err };
  } finally {
    process.chdir(cwd);
    process.stdout.write = write;
    process.stderr.write = complain;
    process.exitCode = exitCode;
  }
}
