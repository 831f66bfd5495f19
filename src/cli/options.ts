// The training options as yargs sees them: made from the table of config.ts, read back as what was really given.
// Not their checking: config.ts does that.

import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Argv } from "yargs";
import {
  type Config,
  flagName,
  fromText,
  type Given,
  layered,
  optionGroups,
  options,
  presetNames,
  resolveConfig,
} from "../config/config.ts";
import type { Access } from "../customers.ts";
import { absoluteDomain, domainNames, isFolder } from "../domains/index.ts";
import { blame, UsageError } from "../errors.ts";
import { isHubName } from "../policy/hub.ts";
import { measuredSplit } from "../tasks/sampler.ts";
import { openSet, type TaskSet } from "../tasks/set.ts";
import { openHub } from "./hub.ts";

const ALL = Object.keys(options) as (keyof Config)[];

/** Own defaults of commands that are to be exact (score, generate) or start from nothing (sft) rather than fast. */
export const inFp32: Partial<Config> = { dtype: "fp32" };

/** Adds every training option, in the groups of the table; `keys` picks some, `own` are a command's own defaults. */
export function addOptions<T>(
  yargs: Argv<T>,
  keys: readonly (keyof Config)[] = ALL,
  own: Partial<Config> = {},
): Argv<T> {
  for (const [group, rows] of Object.entries(optionGroups))
    for (const [key, row] of Object.entries(rows)) {
      if (!keys.includes(key as keyof Config)) continue;
      const paper = row.paper === undefined ? "" : `, paper ${row.paper}`;
      yargs.option(flagName(key).slice(2), {
        ...described(row.help, row.unit, `${own[key as keyof Config] ?? row.default}${paper}`, row.source),
        group: `${group}:`,
        ...(row.written === "flag" ? { nargs: undefined, type: "boolean" } : {}),
      });
    }
  return yargs;
}

/** Where a run is kept, and what a program gets to read. */
export interface RunOptions {
  readonly run: string | undefined;
  readonly resume: string | undefined;
  readonly runs: string | undefined;
  readonly json: boolean | undefined;
}

/** Folder of all runs. */
export const RUNS = "runs";

export function addRun<T>(yargs: Argv<T>): Argv<T & RunOptions> {
  const group = "The run:";
  return yargs
    .option("run", { ...described("its name", "name", "made from the options"), group })
    .option("resume", { ...described("a run to go on with after Ctrl-C or a crash", "name", "none"), group })
    .option("runs", { ...described("folder of all runs", "folder", "runs"), group })
    .option("json", jsonOption) as never;
}

/** An option with one value, described as all of them are. */
export function described(help: string, unit: string, value: string, source = "ours") {
  return { describe: `${help} [${unit}] (default ${value}; ${source})`, nargs: 1 };
}

export const jsonOption = {
  describe: "the result as JSON on stdout, everything else on stderr [true/false] (default false; ours)",
  type: "boolean",
} as const;

/** Of a command that prints nothing else. */
export const alwaysJson = {
  describe: "the output is JSON with and without it [true] (default true; ours)",
  type: "boolean",
  choices: [true],
} as const;

/** Adds --preset and --config. */
export function addSources<T>(yargs: Argv<T>): Argv<T & Sources> {
  return yargs
    .option(
      "preset",
      described("values to start from, several with commas, later over earlier", presetNames.join("|"), "embedded"),
    )
    .option("config", described("JSON file of options", "file", "none")) as never;
}

/** Where values come from besides the command line. */
export interface Sources {
  readonly preset: string | undefined;
  readonly config: string | undefined;
}

/** The training options that were typed, by their key. */
export function typedOptions(argv: object): { [key: string]: unknown } {
  const typed = Object.entries(argv).filter(([key, value]) => Object.hasOwn(options, key) && value !== undefined);
  return Object.fromEntries(typed.map(([key, value]) => [key, fromText(key, value)]));
}

/** What reaches models behind an API and on the hub. */
export function access(): Access {
  const { OPENAI_API_KEY: apiKey, TARL_JUDGE_API_KEY: judgeKey, OPENAI_BASE_URL: baseURL } = process.env;
  const keys = { ...(apiKey && { apiKey }), ...(judgeKey && { judgeKey }) };
  return { ...keys, ...(baseURL && { baseURL }), hub: openHub() };
}

/**
 * Preset, then the file of --config, then what was typed; `own` are a command's defaults where no other preset is asked
 * for. `keys`: what the command takes, of the file too. Paths are made absolute: a run may move on elsewhere.
 */
export function configOf(argv: Sources, keys: readonly (keyof Config)[] = ALL, own: Partial<Config> = {}): Config {
  const given = [...fileOf(argv, keys), { values: typedOptions(argv), label: flagName }];
  const preset = argv.preset ?? "embedded";
  const values = layered(preset).base === "embedded" ? own : {};
  const config = resolveConfig(preset, { values, label: flagName }, ...given);
  return {
    ...config,
    domain: absoluteDomain(config.domain),
    model: absoluteModel(config.model),
    mix: absoluteMix(config.mix),
    ...(config.cache !== "none" && { cache: resolve(config.cache) }),
    ...(config.tasks !== "generated" && ofSet(config, given)),
  };
}

/** A domain's name, or the whole path of a set. */
function absoluteMix(mix: string): string {
  if (mix === "none" || domainNames.includes(mix)) return mix;
  if (existsSync(mix)) return resolve(mix);
  throw new UsageError(
    `--mix ${mix}: no such file or folder; expected a task set, or one of ${domainNames.join(", ")}`,
  );
}

/** What there is on the disk goes before the hub. */
function absoluteModel(model: string): string {
  return model === "embedded" || (isHubName(model) && !existsSync(model)) ? model : resolve(model);
}

/** The set that --tasks names. */
export const openNamed = (path: string): TaskSet => blame("--tasks", () => openSet(path));

/** A set has its own domain and profile, and is measured as a whole; what somebody gave has to agree with it. */
function ofSet(config: Config, given: readonly Given[]): Partial<Config> {
  const tasks = resolve(config.tasks);
  const { manifest, splits } = openNamed(tasks);
  const giver = (key: string) => given.findLast(({ values }) => Object.hasOwn(values, key));
  const agreed = (key: "domain" | "profile", own: string | undefined): string => {
    const by = giver(key);
    if (!by) return own ?? "default";
    const isPath = key === "domain" && isFolder(config.domain); // its name is known when it is loaded
    if (own !== undefined && !isPath && config[key] !== own)
      throw new UsageError(`${by.label(key)} ${config[key]}: ${config.tasks} is a set for ${own}`);
    return key === "domain" ? absoluteDomain(config.domain) : config.profile;
  };
  return {
    tasks,
    domain: agreed("domain", manifest.domain),
    profile: agreed("profile", manifest.profile),
    ...(!giver("evalTasks") && { evalTasks: splits.get(measuredSplit(splits, config.evalSplit) ?? "")?.length ?? 0 }),
  };
}

/** What --config names, if it names something. */
function fileOf(argv: Sources, keys: readonly (keyof Config)[]): Given[] {
  if (argv.config === undefined) return [];
  const values = readJson(argv.config, "--config");
  if (typeof values !== "object" || values === null || Array.isArray(values))
    throw new UsageError(`--config ${argv.config}: expected a JSON object of options`);
  const other = Object.keys(values).find((key) => Object.hasOwn(options, key) && !keys.includes(key as keyof Config));
  if (other !== undefined) throw new UsageError(`${argv.config}: ${other}: not an option of this command`);
  return [{ values: values as { [key: string]: unknown }, label: (key) => `${argv.config}: ${key}` }];
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

/** A share that was typed for an option which is not in the table. */
export function share(name: string, typed: string): number {
  const value = Number(typed);
  if (typed.trim() === "" || !(value >= 0 && value <= 1))
    throw new UsageError(`--${name} ${typed}: expected a share from 0 to 1`);
  return value;
}

/** A real number above 0 that was typed for an option which is not in the table. */
export function realNumber(name: string, typed: string): number {
  const value = Number(typed);
  if (!Number.isFinite(value) || value <= 0) throw new UsageError(`--${name} ${typed}: expected a number above 0`);
  return value;
}
