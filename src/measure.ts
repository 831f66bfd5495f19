// Measures an agent on held-out tasks: the same tasks, users and seeds every time, so that two measurements can be paired.
// Joins tasks, conversations, judge and src/eval/; used by train.ts before and after, and by the eval command. Of a
// conversation only its `Trial` is kept. What a server spoils is played again, and then left out: no outage is a zero.
// Test: test/unit/measure.test.ts

import { type Config, readPrices } from "./config/config.ts";
import { type Access, openModel, scripted } from "./customers.ts";
import { expertFor } from "./domains/expert.ts";
import { equal } from "./domains/store.ts";
import { readCall } from "./domains/tool.ts";
import { blame, faulty, UsageError } from "./errors.ts";
import {
  addBills,
  addRequests,
  agents,
  type Evaluation,
  evaluation,
  type Requests,
  type Setting,
} from "./eval/evaluate.ts";
import { type Trial, trialOf } from "./eval/trial.ts";
import { ruleJudge } from "./judge/rules.ts";
import { metered } from "./llm/budget.ts";
import type { OpenChat } from "./llm/client.ts";
import { asksOutputs, openTasks, type Played, perform, Table } from "./play.ts";
import { reward } from "./reward.ts";
import { chatAgent } from "./rollout/agent.ts";
import { type Attempt, attempts, collect } from "./rollout/collect.ts";
import type { Results } from "./run/results.ts";
import { evalSampling, rewardOptions } from "./settings.ts";
import type { Domain, Judge, Rollout, Task } from "./types.ts";

/** Further times that a conversation is played which a server has spoiled. */
const REPLAYS = 2;
/** Conversations that a server spoils one after the other before the rest is left. */
const OUTAGES = 20;

/** Who is measured. */
export interface Measured extends Pick<Setting, "agent" | "model" | "batchInvariant" | "sampling"> {
  readonly play: (attempt: Attempt) => Promise<Rollout>;
  readonly decode: (ids: Int32Array) => string;
  /** A model behind an API that plays the agent. */
  readonly chat?: OpenChat;
}

/** What reaches a model behind an API that plays the agent; prices as --user-prices writes them. */
export interface AgentAccess extends Access {
  readonly agentURL?: string;
  readonly agentPrices?: string;
}

/** Who looks on. */
export interface Watch {
  readonly finished?: (done: number, count: number) => void;
  readonly signal?: AbortSignal;
  /** Finished conversations of earlier processes, and where those of this one go. */
  readonly results?: Results;
}

/** Measures on the held-out tasks of `played`. */
export async function measure(
  config: Config,
  played: Played,
  judge: Judge,
  measured: Measured,
  watch: Watch = {},
  tasks = heldOut(config, played),
): Promise<Evaluation> {
  const plan = attempts(tasks, config.trials, config.evalSeed, "held-out");
  const { trials, ...came } = await playAll(plan, config, played, judge, measured, watch);
  const setting = settingOf(config, played, measured);
  return evaluation(trials, { setting, tasks: tasks.length, trials: config.trials, ...came });
}

/** A measurement by itself, of one of `agents` or of "openai:<model>", with the score of doing nothing beside it. */
export async function measureAgent(
  config: Config,
  name: string,
  { access, ...watch }: Watch & { readonly access?: AgentAccess } = {},
): Promise<Evaluation> {
  const measureWith = async (played: Played, measured: Measured) => {
    const tasks = heldOut(config, played);
    const found = await measure(config, played, ruleJudge(played.domain), measured, watch, tasks);
    return watch.signal?.aborted ? found : { ...found, inaction: await inaction(config, played, tasks) };
  };
  if (name === "policy") {
    const table = await Table.open(config, { access, role: "reference" });
    try {
      return await measureWith(table, policyOf(config, table, watch.signal));
    } finally {
      await table.dispose();
    }
  }
  const played = await openTasks(config, access);
  if (name.startsWith("openai:")) return measureWith(played, modelOf(config, played, name, access, watch.signal));
  return measureWith(played, scriptedOf(config, played, name));
}

/** The policy of a table as it stands. */
export function policyOf(config: Config, table: Table, signal?: AbortSignal): Measured {
  const sampling = evalSampling(config);
  return {
    agent: "policy",
    model: config.model,
    batchInvariant: table.policy.batchInvariant,
    sampling: { temperature: sampling.temperature, maxTokens: sampling.maxTokens },
    play: (attempt) => table.converse(attempt, sampling, signal),
    decode: table.decode,
  };
}

function scriptedOf(config: Config, played: Played, name: string): Measured {
  return {
    agent: name,
    sampling: null,
    play: (attempt) => {
      const { domain } = played;
      const expert = expertFor(domain, attempt.task);
      const agent = agents[name]({ ...domain, expert }, attempt.task, attempt.seed);
      if (!agent) throw new UsageError(`--agent ${name}: the domain ${domain.name} has none`);
      return perform(played, attempt, agent, config);
    },
    decode: () => "",
  };
}

function modelOf(
  config: Config,
  played: Played,
  name: string,
  { agentURL, agentPrices = "0,0", ...access }: AgentAccess = {},
  signal?: AbortSignal,
): Measured {
  const { temperature, maxTokens } = evalSampling(config);
  const model = name.slice("openai:".length);
  const own = { model, temperature, maxTokens, prices: readPrices(agentPrices) };
  const chat = openModel(`--agent ${name}`, own, config, {
    ...access,
    ...(agentURL !== undefined && { baseURL: agentURL }),
  });
  return {
    agent: name,
    sampling: { temperature, maxTokens },
    play: async (attempt) => {
      const meter = metered(chat);
      const rollout = await perform(played, attempt, chatAgent(meter, played.domain, attempt.seed, signal), config);
      const bill = rollout.bill ? addBills(meter.bill(), rollout.bill) : meter.bill();
      return { ...rollout, bill, ...(signal?.aborted && rollout.ending === "error" && { ending: "aborted" as const }) };
    },
    decode: () => "",
    chat,
  };
}

function heldOut({ evalTasks, evalSeed }: Config, { tasks }: Played): Task[] {
  return blame(`--eval-tasks ${evalTasks}`, () => tasks.heldOut(evalTasks, evalSeed));
}

function settingOf(
  config: Config,
  { domain, origin, tasks }: Played,
  { agent, model, batchInvariant, sampling }: Measured,
): Setting {
  const { user, disturbances, userModel, userTemperature, evalSeed, turns } = config;
  return {
    agent,
    ...(model !== undefined && { model }),
    ...(batchInvariant !== undefined && { batchInvariant }),
    sampling,
    domain: domain.name,
    profile: domain.profile,
    checkOutputs: asksOutputs(config, domain),
    tasks: origin,
    ...(tasks.split !== undefined && { split: tasks.split }),
    user:
      user === "llm"
        ? { kind: "llm", model: userModel, temperature: userTemperature }
        : { kind: "scripted", disturbances },
    seed: evalSeed,
    turns,
  };
}

async function playAll(
  plan: readonly Attempt[],
  config: Config,
  { domain, users }: Played,
  judge: Judge,
  { play, decode, chat }: Measured,
  { finished, signal, results }: Watch,
): Promise<{ trials: Trial[]; stopped?: string; requests?: Requests }> {
  const chats = [users.chat, chat].flatMap((each) => each ?? []);
  const known = plan.map(({ task, sample }) => results?.find(task.id, sample));
  const open = plan.filter((_, i) => !known[i]);
  const earlier = known.reduce((sum, trial) => sum + (trial?.bill?.dollars ?? 0), 0);
  const requests = requestsOf(chats, results);
  let outages = 0;
  let outage = "";
  const stopped = (): string | null => {
    if (signal?.aborted) return "interrupted";
    for (const each of chats) if (each.stopped()) return each.stopped()!.message;
    const spent = chats.reduce((sum, each) => sum + each.counts().dollars, earlier);
    if (config.budget > 0 && spent >= config.budget) return `the budget of ${config.budget} dollars is spent`;
    return outages < OUTAGES ? null : `${OUTAGES} conversations in a row were spoiled, the last one: ${outage}`;
  };
  const checkOutputs = asksOutputs(config, domain);

  const playOne = async (attempt: Attempt): Promise<Trial | null> => {
    let bill: Rollout["bill"];
    for (let replays = 0; ; replays++) {
      if (stopped()) return null;
      const rollout = await play(attempt);
      if (requests) results?.count(requests());
      if (rollout.bill) bill = bill ? addBills(bill, rollout.bill) : rollout.bill;
      const spoiled = faulty(rollout.ending);
      if (spoiled && (stopped() || rollout.ending === "aborted")) return null;
      if (spoiled && chats.length > 0 && replays < REPLAYS) continue;
      outages = spoiled && chats.length > 0 ? outages + 1 : 0;
      outage = rollout.error ?? "";
      const tarl = spoiled ? null : await value(config, judge, rollout);
      const onlyWanted = writesOnlyTruth(domain, rollout);
      const trial = trialOf({ ...rollout, ...(bill && { bill }) }, { checkOutputs, onlyWanted, tarl, replays, decode });
      results?.add(trial, rollout.transcript);
      return trial;
    }
  };

  const done = plan.length - open.length;
  const told = (_: Trial | null, more: number) => finished?.(done + more, plan.length);
  const trials = await collect(open, playOne, config.concurrent, told);
  results?.sort(plan.map(({ task, sample }) => ({ task: task.id, trial: sample })));
  const next = trials.values();
  const all = known.flatMap((trial) => trial ?? next.next().value ?? []);
  return {
    trials: all,
    ...(all.length < plan.length && { stopped: stopped() ?? "conversations were aborted" }),
    ...(requests && { requests: requests() }),
  };
}

/** Counts of this measurement and of what earlier processes did for it; null where no model is asked. */
function requestsOf(chats: readonly OpenChat[], results: Results | undefined): (() => Requests) | null {
  if (chats.length === 0) return null;
  const before = chats.map((chat) => chat.counts());
  const earlier: Requests = results?.requests ?? { calls: 0, retries: 0, cached: 0, failures: {} };
  return () =>
    chats
      .map((chat, i) => addRequests(chat.counts(), before[i], -1))
      .reduce((sum, own) => addRequests(sum, own), earlier);
}

/** TARL reward, null where the judge abstained. */
async function value(config: Config, judge: Judge, rollout: Rollout): Promise<number | null> {
  const verdict = { outcome: rollout.outcome, judgement: await judge.judge(rollout) };
  return verdict.judgement.scores && reward(verdict, rollout.turns, rewardOptions(config, true)).total;
}

/** Is every change that was made one of those that the task asks for? */
function writesOnlyTruth(domain: Domain, { task, transcript }: Rollout): boolean {
  const wrote = transcript.filter((entry) => entry.role === "tool" && entry.wrote);
  if (wrote.length === 0) return true;
  const truth = task.actions.map((action) => readCall(domain, action));
  return wrote.every(
    (entry) =>
      entry.role === "tool" &&
      truth.some(({ name, arguments: args }) => name === entry.call.name && equal(args, entry.call.arguments)),
  );
}

/** Beside every score: the share of these tasks that an agent wins which says "Okay." until the customer leaves. */
async function inaction(config: Config, played: Played, tasks: readonly Task[]): Promise<number> {
  const { play } = scriptedOf(config, { ...played, users: scripted(0) }, "do-nothing");
  const plan = attempts(tasks, 1, config.evalSeed, "held-out");
  const wins = await collect(plan, async (attempt) => (await play(attempt)).outcome.success === 1, config.concurrent);
  return wins.filter(Boolean).length / wins.length;
}
