// Who scores the turns of a config's rollouts: the domain's rules, or a model behind an API, and what that model is going to
// take. Not how a conversation is judged: judge/. Tests: test/unit/judges.test.ts, test/e2e/judge.test.ts

import { type Config, readPrices } from "./config/config.ts";
import { type Access, openModel } from "./customers.ts";
import { llmJudge } from "./judge/llm.ts";
import { question } from "./judge/prompt.ts";
import { ruleJudge } from "./judge/rules.ts";
import type { OpenChat } from "./llm/client.ts";
import { CHARS_PER_TOKEN } from "./llm/wire.ts";
import type { Played } from "./play.ts";
import type { Timing, VerdictCost } from "./run/observer.ts";
import { thousands } from "./run/progress.ts";
import { scheduled } from "./training/mix.ts";
import type { Domain, Judge, Task } from "./types.ts";

export interface OpenJudge {
  /** Of the rollouts of a domain. */
  readonly judge: (domain: Domain) => Judge;
  /** The model that judges, or null. */
  readonly chat: OpenChat | null;
}

/**
 * The judge of a config. `access` has to reach the model that it asks for; `note` is told once when that model will answer
 * no more, at which every further verdict is an abstention and the run goes on.
 */
export function openJudge(config: Config, access?: Access, note: (line: string) => void = () => {}): OpenJudge {
  if (config.judge === "rules") return { judge: ruleJudge, chat: null };
  const chat = openJudgeModel(config, access);
  let told = false;
  const tell = () => {
    const stopped = told ? null : chat.stopped();
    if (stopped) note(`the judge abstains from now on: ${stopped.message}`);
    told ||= stopped !== null;
  };
  return { judge: (domain) => modelJudge(config, domain, chat, tell), chat };
}

/** A model behind an API as the judge; `repeat` tells apart verdicts that are to be independent. */
export function modelJudge(
  { judgeTries: tries, judgeDeadline }: Pick<Config, "judgeTries" | "judgeDeadline">,
  domain: Domain,
  chat: OpenChat,
  judged: () => void = () => {},
  repeat = 0,
): Judge {
  const own = llmJudge(chat, domain, { tries, deadlineMs: judgeDeadline * 1000, repeat });
  return {
    name: own.name,
    async judge(rollout, signal) {
      const judgement = await own.judge(rollout, signal);
      judged();
      return judgement;
    },
  };
}

/** `option` names the model. */
export function openJudgeModel(
  config: Config,
  access: Access = {},
  option = "--judge-model",
  model = config.judgeModel,
): OpenChat {
  const { judgeUrl, judgeTemperature: temperature, judgePrices, judgeConcurrent: concurrency, judgeRate } = config;
  const { judgeBudget: dollars, judgeTokens: tokens } = config;
  const baseURL = judgeUrl === "environment" ? access.baseURL : judgeUrl;
  const budget = { ...(dollars > 0 && { dollars }), ...(tokens > 0 && { tokens }) };
  const own = { model, temperature, prices: readPrices(judgePrices), concurrency, perMinute: judgeRate, budget };
  const typed = `${option} ${model}${judgeUrl === "environment" ? "" : ` --judge-url ${judgeUrl}`}`;
  const expected = "a key in TARL_JUDGE_API_KEY or OPENAI_API_KEY, or a server in --judge-url or OPENAI_BASE_URL";
  return openModel(typed, own, config, { ...access, apiKey: access.judgeKey ?? access.apiKey, baseURL }, expected);
}

/** What a run's verdicts are going to take. */
export interface Forecast {
  readonly verdicts: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly dollars: number;
  /** From earlier updates of this run; else from the prompt and the limits of a conversation, which few reach. */
  readonly measured: boolean;
}

/** Tokens of one turn's score and reason. */
const VERDICT_TOKENS = 40;
/** Tokens that the JSON around one line of the conversation takes. */
const LINE_TOKENS = 20;

/** `done`: finished updates; `clock`: what was written of them; `mixed`: what is mixed in. */
export function forecast(
  config: Config,
  { domain, tasks }: Pick<Played, "domain" | "tasks">,
  done: number,
  clock: readonly Pick<Timing, "verdicts">[] = [],
  mixed: Pick<Played, "domain"> | null = null,
): Forecast {
  const spent = clock.flatMap(({ verdicts }) => verdicts ?? []);
  const left = Array.from({ length: config.steps - done }, (_, i) => scheduled(config, done + i));
  const judged = left.filter((each) => !each.skipped && !(each.mixed ? mixed?.domain : domain)?.grade);
  const verdicts = judged.length * config.tasksPerStep * config.samples;
  const sum = (name: keyof VerdictCost) => spent.reduce((total, cost) => total + cost[name], 0);
  const calls = sum("calls");
  const most = mostOf(config, domain, tasks.train(1, config.seed, 0)[0]);
  const one = calls > 0 ? { inputTokens: sum("inputTokens") / calls, outputTokens: sum("outputTokens") / calls } : most;
  const prices = readPrices(config.judgePrices);
  return {
    verdicts,
    inputTokens: verdicts * one.inputTokens,
    outputTokens: verdicts * one.outputTokens,
    dollars: (verdicts * (one.inputTokens * prices.input + one.outputTokens * prices.output)) / 1e6,
    measured: calls > 0,
  };
}

/** The tokens of one verdict on a conversation that reaches its limits. */
function mostOf({ turns, turnTokens, contextTokens }: Config, domain: Domain, task: Task) {
  const empty = { task, transcript: [], turns: 0, ending: "turn-limit" } as const;
  const chars = question(domain, empty).reduce((sum, { text }) => sum + text.length, 0);
  const talk = Math.min(2 * turns * turnTokens, contextTokens);
  return {
    inputTokens: chars / CHARS_PER_TOKEN + talk + 2 * turns * LINE_TOKENS,
    outputTokens: turns * VERDICT_TOKENS,
  };
}

/** One line for a person before a run, with a warning where a budget will not last. */
export function forecastText(
  config: Config,
  { verdicts, inputTokens, outputTokens, dollars, measured }: Forecast,
): string {
  const { judgeModel, judgePrices, judgeBudget, judgeTokens } = config;
  const about = measured ? "about" : "at most about";
  const cost = judgePrices === "0,0" ? "no prices given" : `${dollars.toFixed(2)} dollars`;
  const line = `judge ${judgeModel}: ${verdicts} verdicts, ${about} ${thousands(inputTokens)} tokens in and ${thousands(outputTokens)} out, ${cost}`;
  const short = [
    ...(judgeBudget > 0 && dollars > judgeBudget ? [`--judge-budget ${judgeBudget}`] : []),
    ...(judgeTokens > 0 && inputTokens + outputTokens > judgeTokens ? [`--judge-tokens ${judgeTokens}`] : []),
  ];
  const warning = short.length ? `\nWARNING: ${short.join(" and ")} may not last: when spent, the judge abstains` : "";
  return line + warning;
}

/** One line for a person after a run. */
export function costText({ calls, cached, inputTokens, outputTokens, dollars }: VerdictCost): string {
  const cost = dollars > 0 ? `, ${dollars.toFixed(2)} dollars` : "";
  return `judge: ${calls} requests, ${cached} answers from the cache, ${thousands(inputTokens)} tokens in and ${thousands(outputTokens)} out${cost}`;
}
