// `tarl sft`: supervised training on the scripted expert's demonstrations, after a recipe file. Makes the embedded policy.
// The training itself is ../sft.ts.

import { dirname, isAbsolute, join } from "node:path";
import type { Argv, CommandModule } from "yargs";
import { type Config, resolveConfig } from "../config/config.ts";
import { absoluteDomain, domainLabel, domainNames, domain as findDomain } from "../domains/index.ts";
import { blame, UsageError } from "../errors.ts";
import {
  checkDrills,
  demonstrates,
  otherDomains,
  parseRecipe,
  type Recipe,
  readRecipe,
  totalTokens,
} from "../recipe.ts";
import { root } from "../root.ts";
import { duration, gradientAlarm, thousands } from "../run/progress.ts";
import { evalSampling } from "../settings.ts";
import type { SftLine } from "../sft.ts";
import { openDialogues } from "../tasks/dialogues.ts";
import type { Dialogue } from "../types.ts";
import { pinned } from "./hub.ts";
import {
  addOptions,
  addRun,
  addSources,
  configOf,
  described,
  inFp32,
  type RunOptions,
  type Sources,
} from "./options.ts";
import { type RunKind, stopped, withRun } from "./running.ts";

type Options = RunOptions & Sources & { readonly recipe: string | undefined };

/** What the run directory of supervised training has as its config.json. */
interface SftConfig {
  readonly recipe: Recipe;
  readonly options: Config;
}

/** What it takes of the table; the rest is the recipe's. */
const KEYS = [
  ...(["model", "format", "device", "dtype", "threads", "kernels", "batchInvariant"] as const),
  ...(["loraRank", "loraAlpha", "loraTargets"] as const),
  ...(["memory", "microTokens", "recompute", "moments", "master"] as const),
  ...(["turns", "turnTokens", "promptTokens", "contextTokens", "invalidInRow", "concurrent", "keep"] as const),
];

export default {
  command: "sft",
  describe: "Train a policy on the scripted expert's demonstrations, after a recipe",
  builder: (yargs: Argv) =>
    addOptions(addSources(addRun(yargs)), KEYS, inFp32).option(
      "recipe",
      described("what to train on, in phases", "file", "assets/recipe.json", "measured"),
    ) as unknown as Argv<Options>,
  handler,
} satisfies CommandModule<object, Options>;

const recipeFile = ({ recipe }: Options) => recipe ?? join(root, "assets", "recipe.json");

/** `found` takes the recipe's dialogues when the recipe is checked. */
const kind = (argv: Options, found: (dialogues: readonly Dialogue[]) => void): RunKind<SftConfig> => ({
  config: async ({ hub }) => {
    const options = await pinned(configOf(argv, KEYS, inFp32), hub);
    const file = recipeFile(argv);
    const read = readRecipe(file);
    // A folder is named as seen from the recipe's own.
    const recipe = { ...read, domain: absoluteDomain(read.domain, dirname(file)) };
    const { domain, refuseShare, trainDatabases } = recipe;
    if (domain === read.domain && !isAbsolute(domain) && !domainNames.includes(domain))
      throw new UsageError(`${file}: domain ${domain}: expected a folder or one of ${domainNames.join(", ")}`);
    return { recipe, options: { ...options, domain, refuseShare, trainDatabases, families: "all", klCoef: 0 } };
  },
  read: (json, file) => {
    const { recipe, options } = json as { recipe?: unknown; options?: { [key: string]: unknown } };
    if (!recipe || !options) throw new UsageError(`${file} is not one of supervised training`);
    const label = (key: string) => `${file}: ${key}`;
    return { recipe: parseRecipe(recipe, file), options: resolveConfig("embedded", { values: options, label }) };
  },
  options: ({ options }) => options,
  sets: ({ recipe: { dialogues } }) => (dialogues === undefined ? [] : [dialogues]),
  check: async ({ recipe }, { domain }) => {
    const file = recipeFile(argv);
    if (demonstrates(recipe) && !domain.expert)
      throw new UsageError(`${file}: the domain ${domain.name} has no scripted expert`);
    const names = otherDomains(recipe);
    for (const name of names)
      if (!domainNames.includes(name))
        throw new UsageError(`${file}: also: ${name}: expected one of ${domainNames.join(", ")}`);
    const others = await Promise.all(names.map((name) => findDomain(name)));
    const silent = others.find(({ expert }) => !expert);
    if (silent) throw new UsageError(`${file}: the domain ${silent.name} has no scripted expert`);
    checkDrills(recipe, [domain, ...others], file);
    if (recipe.dialogues !== undefined) found(blame(`${file}: dialogues`, () => openDialogues(recipe.dialogues!)));
  },
  name: ({ recipe }) => `${domainLabel(recipe.domain)}-sft-s${recipe.seed}`,
  describe: ({ recipe }) =>
    `${domainLabel(recipe.domain)}, ${thousands(totalTokens(recipe))} tokens in ${recipe.phases.length} phases`,
});

async function handler(argv: Options): Promise<void> {
  const { sft } = await import("../sft.ts");
  let dialogues: readonly Dialogue[] = [];
  const found = (read: readonly Dialogue[]) => {
    dialogues = read;
  };
  await withRun(argv, kind(argv, found), async ({ config: { recipe, options }, run, step, table, display, stop }) => {
    const tokens = run.lines<SftLine>("metrics.jsonl").at(-1)?.tokens ?? 0;
    const clock = new Clock(totalTokens(recipe), tokens);
    let last = step;
    const finished = await sft(recipe, table, evalSampling(options), {
      step,
      tokens,
      dialogues,
      report: (line) => {
        last = line.step;
        run.append("metrics.jsonl", line);
        run.append("timing.jsonl", { step: line.step, ...clock.lap() });
        const text = `step ${line.step}  ${line.phase}  ${clock.describe(line)}`;
        const checked = heldOut(line);
        if (checked === "" && line.step % SHOW_EVERY !== 0) display.live(text);
        else display.line(text + checked);
        const warning = gradientAlarm(line);
        if (warning) display.line(warning);
      },
      save: (step) => run.checkpoint(step, options.keep, (dir) => table.policy.save(dir, { optimizer: true })),
      stopped: () => stop.requested,
    });
    const checkpoint = run.checkpointPath(last);
    if (!finished) return stopped(display, run, "node train.js sft");
    display.line(`done; the policy is in ${checkpoint}`);
    if (argv.json) process.stdout.write(`${JSON.stringify({ run: run.dir, checkpoint })}\n`);
  });
}

/** Steps between the lines that stay. */
const SHOW_EVERY = 20;

/** Speed and time left, from the clock of this process. */
class Clock {
  readonly #started = performance.now();
  #last = this.#started;

  constructor(
    readonly total: number,
    readonly tokensBefore: number,
  ) {}

  lap(): { seconds: number } {
    const now = performance.now();
    const seconds = (now - this.#last) / 1000;
    this.#last = now;
    return { seconds };
  }

  describe({ tokens, kind, loss, lr }: SftLine): string {
    const speed = (tokens - this.tokensBefore) / ((this.#last - this.#started) / 1000);
    const share = Math.floor((100 * tokens) / this.total);
    return (
      `${thousands(tokens)}/${thousands(this.total)} tokens (${share}%)  ${kind} loss ${loss.toFixed(4)}  lr ${lr.toPrecision(3)}  ` +
      `${thousands(speed)} tok/s  left ${duration((this.total - tokens) / speed)}`
    );
  }
}

function heldOut({ heldOutLoss, heldOutSuccess }: SftLine): string {
  const parts = [
    ...(heldOutLoss === undefined ? [] : [`loss ${heldOutLoss.toFixed(4)}`]),
    ...(heldOutSuccess === undefined ? [] : [`success ${heldOutSuccess.toFixed(3)}`]),
  ];
  return parts.length ? `  held-out ${parts.join(" ")}` : "";
}
