// `tarl judge audit`: whether a judge can be trusted with a reward. The work is ../audit.ts; this reads options and
// prints.
// Tests: test/unit/audit.test.ts, test/unit/cli.test.ts

import { join } from "node:path";
import type { Argv, CommandModule } from "yargs";
import type { Audit } from "../audit.ts";
import { type Config, flagName, resolveConfig, options as table } from "../config/config.ts";
import { UsageError } from "../errors.ts";
import type { Agreement } from "../eval/agreement.ts";
import {
  access,
  addOptions,
  addSources,
  configOf,
  described,
  jsonOption,
  RUNS,
  type Sources,
  typedOptions,
  wholeNumber,
} from "./options.ts";

interface Options extends Sources {
  readonly run: string | undefined;
  readonly runs: string | undefined;
  readonly rollouts: string | undefined;
  readonly repeats: string | undefined;
  readonly against: string | undefined;
  readonly games: string | undefined;
  readonly json: boolean | undefined;
}

/** Options of the table that it takes; with --run all others are the run's. */
const OWN = [
  ...(["judge", "judgeModel", "judgeUrl", "judgeTemperature", "judgePrices", "judgeTries", "judgeDeadline"] as const),
  ...(["judgeConcurrent", "judgeRate", "judgeBudget", "judgeTokens", "cache", "apiTimeout", "apiRetries"] as const),
];
const KEYS = [
  ...OWN,
  ...(["domain", "profile", "tasks", "families", "refuseShare", "seed", "samples", "turns", "concurrent"] as const),
  ...(["outcomeWeight", "turnsWeight", "majorWeight", "conflict", "evalSeed"] as const),
];

const audit: CommandModule<object, Options> = {
  command: "audit",
  describe: "Print how far a judge agrees with itself, others and the rules, and whether it can be gamed",
  builder: (yargs: Argv) =>
    addOptions(addSources(yargs), KEYS)
      .option("run", described("a run whose rollouts are judged", "name|folder", "none: an expert with faults plays"))
      .option("runs", described("folder of all runs", "folder", RUNS))
      .option("rollouts", described("how many are judged, at least; whole groups", "rollouts", "64"))
      .option("repeats", described("times that a model judges each of them", "verdicts", "3"))
      .option("against", described("a second model on the same server that judges them", "name", "none"))
      .option("games", described("held-out tasks on which the gaming set is played; 0 is off", "tasks", "8"))
      .option("json", jsonOption) as unknown as Argv<Options>,
  handler,
};

export default {
  command: "judge",
  describe: "Look at who scores the turns",
  builder: (yargs: Argv) => yargs.command(audit).demandCommand(1, "judge: expected audit"),
  handler: () => {},
} satisfies CommandModule;

async function handler(argv: Options): Promise<void> {
  const { audit, practice, readRollouts } = await import("../audit.ts");
  const { costText, modelJudge, openJudge, openJudgeModel } = await import("../judges.ts");
  const { ruleJudge } = await import("../judge/rules.ts");
  const { openTasks } = await import("../play.ts");
  const { RunDirectory } = await import("../run/directory.ts");
  const most = wholeNumber("rollouts", argv.rollouts ?? "64", 1);
  const repeats = wholeNumber("repeats", argv.repeats ?? "3", 1, 100);
  const count = wholeNumber("games", argv.games ?? "8", 0);
  const run = argv.run === undefined ? null : RunDirectory.find(argv.runs ?? RUNS, argv.run, "--run");
  const config = run ? configOfRun(argv, run.readJson("config.json") ?? {}, join(run.dir, "config.json")) : typed(argv);
  for (const name of ["repeats", "against"] as const)
    if (config.judge === "rules" && argv[name] !== undefined)
      throw new UsageError(`--${name} ${argv[name]} with --judge rules: expected a judge that is a model`);
  const reach = access();
  const played = await openTasks(config, reach);
  const { domain, tasks } = played;
  if (domain.grade)
    throw new UsageError(`judge audit on ${domain.name}: its answers are graded, there are no turns to score`);
  const note = (line: string) => void process.stderr.write(`${line}\n`);
  const opened = openJudge(config, reach, note);
  const judge = opened.judge(domain);
  const rules = opened.chat ? ruleJudge(domain) : judge;
  const other = argv.against === undefined ? null : openJudgeModel(config, reach, "--against", argv.against);
  const again = (repeat: number) => modelJudge(config, domain, opened.chat!, undefined, repeat);
  const judges = {
    judge,
    repeats: opened.chat ? Array.from({ length: repeats - 1 }, (_, i) => again(i + 1)) : [],
    against: other && modelJudge(config, domain, other),
    rules,
  };
  const heldOut = (many: number) => tasks.heldOut(many, config.evalSeed);
  const rollouts = run
    ? readRollouts(run.dir, domain, most)
    : await practice(config, played, heldOut(Math.ceil(most / config.samples)));
  const found = await audit(config, played, judges, rollouts, count ? heldOut(count) : []);
  for (const chat of [opened.chat, other]) if (chat) note(`${chat.model}, ${costText(chat.counts())}`);
  const { judged, gaming } = found;
  if (judged === 0 || (gaming && gaming.games === 0 && gaming.abstained > 0)) process.exitCode = 1;
  process.stdout.write(argv.json ? `${JSON.stringify(found)}\n` : `${auditText(found)}\n`);
}

/** Only what TARL learns from is audited. */
function typed(argv: Options): Config {
  return configOf(argv, KEYS, { tarl: true });
}

/** The run's own options with the judge's that were typed over them. */
function configOfRun(argv: Options, values: { readonly [key: string]: unknown }, file: string): Config {
  const given = typedOptions(argv);
  const other = Object.keys(given).find((key) => !OWN.includes(key as (typeof OWN)[number]));
  if (other !== undefined)
    throw new UsageError(`${flagName(other)} with --run ${argv.run}: it is the run's; leave one out`);
  for (const source of ["config", "preset"] as const)
    if (argv[source] !== undefined) throw new UsageError(`--${source} with --run ${argv.run}: leave one of them out`);
  const own = Object.fromEntries(Object.entries(values).filter(([key]) => Object.hasOwn(table, key)));
  // A run of another judge says nothing about the server of this one.
  const judged = given.judge === undefined ? {} : Object.fromEntries(OWN.map((key) => [key, table[key].default]));
  const label = (key: string) => `${file}: ${key}`;
  return resolveConfig(
    "embedded",
    { values: { ...own, ...judged, tarl: true }, label },
    { values: given, label: flagName },
  );
}

function auditText(found: Audit): string {
  const { judge, rollouts, verdicts, abstentions, repeats, against, rules, weights, everyMajor, gaming } = found;
  const kinds = Object.entries(abstentions).map(([kind, count]) => `${count} ${kind}`);
  const lines = [
    `judge ${judge}: ${rollouts} rollouts, ${verdicts} verdicts asked for, abstentions: ${kinds.join(", ") || "none"}`,
    agreementText("with itself, asked again", repeats),
    agreementText(`with ${against?.judge}`, against),
    agreementText("with the rules", rules),
    "ranking of the rollouts of a task, beside the one that is used:",
    ...weights.map((each) => rankingText(`weights 10/${each.turns}/${each.major}`, each)),
    rankingText("every -1 counts, by the rules", everyMajor),
  ];
  if (gaming) {
    const { tasks, games, abstained, paid, success, failure, game } = gaming;
    const means = `TARL reward ${number(success)} of honest successes, ${number(failure)} of honest failures, ${number(game)} of games`;
    lines.push(`gaming set: ${games} games on the ${tasks} tasks with an honest failure; ${means}`);
    if (abstained > 0) lines.push(`  not judged: ${abstained} conversations`);
    for (const [name, count] of Object.entries(paid)) lines.push(`  PAID ${count} times: ${name}`);
    if (games > 0 && Object.keys(paid).length === 0)
      lines.push("  no game is paid as much as an honest failure of its task");
  }
  return lines.filter((line) => line !== "").join("\n");
}

function agreementText(title: string, found: Agreement | null): string {
  if (!found) return "";
  const { turns, conversations, exact, alpha, exactInterval, alphaInterval } = found;
  const figure = (value: number | null, interval: readonly number[] | null) =>
    `${number(value)}${interval ? ` [${interval.map(number).join(", ")}]` : ""}`;
  return `agreement ${title}: ${figure(exact, exactInterval)} of turns, alpha ${figure(alpha, alphaInterval)} (${turns} turns, ${conversations} rollouts)`;
}

function rankingText(title: string, found: { tau: number | null; groups: number; bestChanges: number | null }): string {
  return `  ${title.padEnd(30)} tau ${number(found.tau).padStart(6)} (${found.groups} groups)  best changes in ${number(found.bestChanges)}`;
}

function number(value: number | null): string {
  return value === null ? "-" : value.toFixed(3);
}
