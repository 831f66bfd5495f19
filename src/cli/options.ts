// The training options as yargs sees them: made from the table of config.ts, read back as what was really given.
// Not their checking: config.ts does that.

import { readFileSync } from "node:fs";
import type { Argv } from "yargs";
import { type Config, flagName, fromText, options, presets, resolveConfig, table } from "../config.ts";
import { UsageError } from "../errors.ts";

/** Adds every training option, in the groups of the table; `keys` picks some of them. */
export function addOptions<T>(yargs: Argv<T>, keys: readonly (keyof Config)[] = Object.keys(options) as never[]): Argv<T> {
  for (const [group, rows] of Object.entries(table))
    for (const [key, row] of Object.entries(rows)) {
      if (!keys.includes(key as keyof Config)) continue;
      const paper = row.paper === undefined ? "" : `, paper ${row.paper}`;
      const unit = row.unit ? ` [${row.unit}]` : "";
      yargs.option(flagName(key).slice(2), {
        describe: `${row.help}${unit} (${row.default}${paper}; ${row.source})`,
        group: `${group}:`,
        ...(row.written === "flag" ? { type: "boolean" } : { nargs: 1 }),
      });
    }
  return yargs;
}

/** Where a run is kept, and what a program gets to read. */
export interface RunOptions {
  readonly run: string | undefined;
  readonly resume: string | undefined;
  readonly runs: string;
  readonly json: boolean;
}

export function addRun<T>(yargs: Argv<T>): Argv<T & RunOptions> {
  const text = (describe: string) => ({ describe, type: "string", nargs: 1, group: "The run:" }) as const;
  return yargs
    .option("run", text("its name [name] (made from the options; ours)"))
    .option("resume", text("a run to go on with, after Ctrl-C or a crash [name] (none; ours)"))
    .option("runs", { ...text("folder of all runs [folder] (runs; ours)"), default: "runs", defaultDescription: " " })
    .option("json", jsonOption) as never;
}

export const jsonOption = {
  describe: "the result as JSON on stdout, everything else on stderr (false; ours)",
  type: "boolean",
  default: false,
  defaultDescription: " ",
} as const;

/** Adds --preset and --config. */
export function addSources<T>(yargs: Argv<T>): Argv<T & { preset: string; config: string | undefined }> {
  return yargs
    .option("preset", {
      describe: `defaults to start from: ${Object.keys(presets).join(", ")} [name] (embedded; ours)`,
      type: "string",
      default: "embedded",
      defaultDescription: " ",
      nargs: 1,
    })
    .option("config", { describe: "JSON file of options [file] (none; ours)", type: "string", nargs: 1 }) as never;
}

/** The training options that were typed, by their key. */
export function typedOptions(argv: object): { [key: string]: unknown } {
  const typed = Object.entries(argv).filter(([key, value]) => Object.hasOwn(options, key) && value !== undefined);
  return Object.fromEntries(typed.map(([key, value]) => [key, fromText(key, value)]));
}

/** Preset, then the file of --config, then what was typed. */
export function configOf(argv: { readonly preset: string; readonly config: string | undefined }): Config {
  const typed = { values: typedOptions(argv), label: flagName };
  if (!argv.config) return resolveConfig(argv.preset, typed);
  const values = readJson(argv.config, "--config");
  if (typeof values !== "object" || values === null || Array.isArray(values))
    throw new UsageError(`--config ${argv.config}: expected a JSON object of options`);
  const label = (key: string) => `${argv.config}: ${key}`;
  return resolveConfig(argv.preset, { values: values as { [key: string]: unknown }, label }, typed);
}

/** Parses a JSON file that an option names. */
export function readJson(file: string, option: string): unknown {
  return parseJson(readText(file, option), `${option} ${file}`);
}

/** Reads a file that an option names. */
export function readText(file: string, option: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new UsageError(`${option} ${file}: ${missing ? "no such file" : (error as Error).message}`);
  }
}

export function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${source}: not JSON: ${(error as Error).message}`);
  }
}

/** A whole number that was typed for an option which is not in the table. */
export function wholeNumber(name: string, typed: string, min: number, max = 2 ** 31 - 1): number {
  const value = Number(typed);
  if (typed.trim() === "" || !Number.isInteger(value) || value < min || value > max)
    throw new UsageError(`--${name} ${typed}: expected a whole number from ${min} to ${max}`);
  return value;
}
