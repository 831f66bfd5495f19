// Sets the table for conversations: domain, sandbox, customers and token format around one policy, whose model is found and
// whose memory is planned here. What train.ts, sft.ts and the eval command share; it decides nothing about rewards or
// learning.
// Tests: test/unit/collect.test.ts, test/unit/chat.test.ts

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Config, familyNames } from "./config/config.ts";
import { type Access, openUsers, scripted, type Users } from "./customers.ts";
import { domainNames, domain as findDomain } from "./domains/index.ts";
import { blame, faulty, UsageError } from "./errors.ts";
import type { Agent } from "./eval/evaluate.ts";
import { intervention } from "./judge/rules.ts";
import { type ChatFormatName, formatNote, readFormat, readTemplate } from "./policy/chat.ts";
import { type ModelConfig, readConfig } from "./policy/checkpoint.ts";
import { CRITIC, type Critic, openCritic } from "./policy/critic.ts";
import { type Hub, isHubName, type ModelPart } from "./policy/hub.ts";
import { availableMemory, type MemoryPlan, memoryLine, planMemory, refusal } from "./policy/memory.ts";
import { native } from "./policy/native.ts";
import { openPolicy, type PolicyOptions } from "./policy/policy.ts";
import { loadTokenizer, type Tokenizer } from "./policy/tokenizer.ts";
import { derive } from "./random.ts";
import { type Attempt, checkPrompt, collect, converse, demonstrate, type Sandbox } from "./rollout/collect.ts";
import { chatFormat } from "./rollout/format.ts";
import { templateFormat } from "./rollout/jinja.ts";
import { root } from "./root.ts";
import { readDatabase } from "./sandbox/replay.ts";
import { Session } from "./sandbox/session.ts";
import { criticOf, loraOptions, type SamplingSettings, stateOptions } from "./settings.ts";
import { generated, listed, mix, type TaskSource } from "./tasks/sampler.ts";
import { openSet, type TaskSet, withSet } from "./tasks/set.ts";
import type { Domain, Format, Habits, Policy, Rollout, Scorer, User } from "./types.ts";

export type Conversing = Pick<
  Config,
  "turns" | "turnTokens" | "promptTokens" | "contextTokens" | "invalidInRow" | "concurrent" | "checkOutputs"
> &
  Partial<Pick<Config, "calls">>;

/** The folder of a model that an option names, one that is on the disk. */
export function modelPath(model: string): string {
  return model === "embedded" ? join(root, "assets", "policy") : model;
}

/** The folder of any model that an option names; files of one on the hub that are not in its cache are fetched. */
export async function findModel(model: string, hub?: Hub, part?: ModelPart): Promise<string> {
  const dir = modelPath(model);
  if (existsSync(dir)) return dir;
  if (hub && isHubName(model)) return hub.fetch(model, part);
  throw new UsageError(
    `--model ${model}: no such folder; expected one, or a model of the Hugging Face hub as ORG/NAME or ORG/NAME@REVISION`,
  );
}

/** A folder that cannot be a model is named as the option that it came from. */
function checkModel(model: string, dir: string): void {
  if (existsSync(join(dir, "tokenizer.json"))) return;
  const run = existsSync(join(dir, "checkpoints"))
    ? `; it is a run: expected one of ${join(model, "checkpoints")}`
    : "";
  const use = !run && existsSync(join(dir, "config.json")) ? "; without it a model only scores and generates ids" : "";
  throw new UsageError(`--model ${model}: ${join(dir, "tokenizer.json")} does not exist${run}${use}`);
}

/** How a config opens an engine with the model in a folder; a GPU that is not there is a UsageError. */
export function engineOf(
  config: Pick<Config, "device" | "dtype" | "threads" | "kernels" | "batchInvariant">,
  model: string,
) {
  const { device, dtype, threads, kernels, batchInvariant } = config;
  if (device === "cuda" && !native.cuda()) throw new UsageError("--device cuda: no GPU is found; expected cpu or auto");
  if (batchInvariant === "on" && kernels === "off")
    throw new UsageError("--batch-invariant on with --kernels off: plain libtorch is not; leave one of them out");
  return { model, device, dtype, threads, kernels, batchInvariant };
}

/**
 * How the conversations of a model are written: as the option says, else as the checkpoint was trained here, else as its
 * family does; Qwen3's format is code, and models that bring no template are written in it as well.
 */
export function formatOf(
  dir: string,
  option: Config["format"],
  tokenizer: Tokenizer,
): { readonly name: ChatFormatName; readonly format: Format } {
  const noted = option === "auto" ? readFormat(dir) : option;
  const template = noted === "append" || noted === "strip" ? null : readTemplate(dir);
  const { modelType, eosIds } = readConfig(dir);
  if (noted === "template" && !template)
    throw new UsageError(`--format template: ${dir} has no chat_template.jinja, and no tokenizer_config.json with one`);
  if (template && (noted === "template" || modelType !== "qwen3"))
    return { name: "template", format: templateFormat(tokenizer, template, eosIds) };
  const mode = noted === "strip" ? "strip" : "append";
  return { name: mode, format: blame(dir, () => chatFormat(tokenizer, { mode })) };
}

/** Does a template change what it showed before when the customer answers? Then a conversation has several rows. */
export function beginsAnew(format: Format): boolean {
  const script = format.open("Be kind.", [], "Hi");
  return script.next([format.stopIds[0]], { messages: [{ role: "user", text: "Yes." }], ending: null }).anew;
}

/** What a config's policy takes of the memory that there is. */
export function memoryOf(config: Config, model: ModelConfig, role: PolicyOptions["role"] = "policy"): MemoryPlan {
  const { dtype, microTokens, contextTokens, concurrent, recompute } = config;
  const device = config.device === "cuda" || (config.device === "auto" && native.cuda()) ? "cuda" : "cpu";
  return planMemory(model, {
    ...{ device, dtype, microTokens, contextTokens, concurrent, recompute },
    state: stateOptions(config),
    lora: loraOptions(config),
    learns: role === "policy",
    critic: criticOf(config),
    reference: hasReference(config, role),
    available: config.memory > 0 ? config.memory * 1e9 : availableMemory(device),
  });
}

function hasReference({ klCoef }: Config, role: PolicyOptions["role"]): boolean {
  return role === "policy" && klCoef > 0;
}

/** What a config plays: the domain, where its tasks come from, and who its customers are. */
export interface Played {
  readonly domain: Domain;
  readonly tasks: TaskSource;
  /** "generated", or the path of the set. */
  readonly origin: string;
  readonly users: Users;
}

export async function openTasks(config: Config, access?: Access): Promise<Played> {
  const users = openUsers(config, access);
  if (config.tasks !== "generated") return { ...(await openListed(config)), origin: config.tasks, users };
  const domain = await findDomain(config.domain, config.profile);
  return { domain, tasks: tasksOf(domain, familyNames(config), config), origin: "generated", users };
}

/** The tasks that a domain makes itself. */
function tasksOf(
  domain: Domain,
  families: readonly string[],
  { refuseShare, trainDatabases }: Pick<Config, "refuseShare" | "trainDatabases">,
): TaskSource {
  return generated(domain, mix(domain, families, refuseShare), trainDatabases);
}

/** Another domain with all of its own families and scripted customers, for `Table.beside`. */
export async function openOther(name: string, how: Pick<Config, "refuseShare" | "trainDatabases">): Promise<Played> {
  const domain = await findDomain(name);
  return { domain, tasks: tasksOf(domain, [], how), origin: "generated", users: scripted(0) };
}

/** A set's own tasks, on its domain as it wants it. */
async function openListed(config: Config): Promise<Pick<Played, "domain" | "tasks">> {
  const set = openSet(config.tasks);
  const domain = await domainOf(set, config.domain, config.profile);
  return { domain, tasks: listed(config.tasks, set.splits, familyNames(config), config.evalSplit) };
}

/** A domain with everything that a set lays over it. */
export async function domainOf(set: TaskSet, name: string, profile?: string): Promise<Domain> {
  if (name === set.manifest.domain && !domainNames.includes(name))
    throw new UsageError(`${set.path}: a set for ${name}; expected --domain with the folder of that domain`);
  const domain = withSet(await findDomain(name, profile), set);
  const { data } = set.overlay;
  if (data === undefined) return domain;
  const database = readDatabase(domain, data);
  return { ...domain, database: () => database };
}

/** What a run's `mix` names, with scripted customers; null without it. */
export async function openMix(config: Config): Promise<Played | null> {
  const { mix: named } = config;
  if (named === "none") return null;
  if (domainNames.includes(named)) return openOther(named, config);
  const set = blame(`--mix ${named}`, () => openSet(named));
  const domain = await domainOf(set, set.manifest.domain, set.manifest.profile);
  return { domain, tasks: listed(named, set.splits, [], "auto"), origin: named, users: scripted(0) };
}

/** How a table is opened. */
export interface Opening {
  /** One of the run's own to go on from; null: the config's model. */
  readonly checkpoint?: string | null;
  readonly access?: Access;
  readonly role?: PolicyOptions["role"];
  /** Rejects where what is played does not suit; before anything is loaded. */
  readonly check?: (played: Played) => Promise<void>;
  /** Told the memory plan before anything is loaded. */
  readonly note?: (line: string) => void;
}

export class Table implements Played {
  readonly domain: Domain;
  readonly tasks: TaskSource;
  readonly origin: string;
  readonly users: Users;

  constructor(
    played: Played,
    readonly policy: Policy,
    readonly tokenizer: Tokenizer,
    readonly format: Format,
    readonly limits: Conversing,
    readonly hub?: Hub,
    /** PPO's critic, where it has a trunk of its own. */
    readonly critic: Critic | null = null,
  ) {
    ({ domain: this.domain, tasks: this.tasks, origin: this.origin, users: this.users } = played);
  }

  /** Opens domain, tokenizer and policy. */
  static async open(config: Config, opening: Opening = {}): Promise<Table> {
    const { checkpoint = null, access, role = "policy", check, note } = opening;
    const played = await openTasks(config, access);
    const adapter = loraOptions(config);
    // An adapter goes on from a checkpoint on the weights that it began with, which nothing has changed.
    const saved = adapter ? null : checkpoint;
    // The KL needs those as well: what is not there is said before anything is opened.
    const first = !saved || hasReference(config, role) ? await findModel(config.model, access?.hub) : null;
    const model = saved ?? first!;
    if (!saved) checkModel(config.model, model);
    const tokenizer = loadTokenizer(model);
    const { name, format } = formatOf(model, config.format, tokenizer);
    const { ratio } = config;
    if ((ratio === "sequence" || ratio === "product") && (name === "strip" || beginsAnew(format)))
      throw new UsageError(`--ratio ${ratio} with the format ${name}: it needs a conversation in one row`);
    const shape = readConfig(model);
    const { vocabSize, maxPositions } = shape;
    if (tokenizer.size > vocabSize)
      throw new UsageError(`${model}: the tokenizer has ${tokenizer.size} ids, the policy ${vocabSize}`);
    if (config.contextTokens > maxPositions)
      throw new UsageError(`--context-tokens ${config.contextTokens}: ${model} reads at most ${maxPositions}`);
    checkPrompt(firstPrompt(played, format, config), config);
    const vocabLimit = tokenizer.size; // rows of the embedding beyond the tokenizer are padding
    await check?.(played);
    const engine = engineOf(config, model);
    const memory = memoryOf(config, shape, role);
    if (memory.remedy !== null) throw new UsageError(refusal(memory));
    note?.(memoryLine(memory));
    const { microTokens, seed } = config;
    const { recompute, kvTokens } = memory;
    const learning = { microTokens, recompute, fresh: checkpoint === null, state: stateOptions(config) };
    const valued = role === "policy" ? criticOf(config) : null;
    const policy = await openPolicy({
      ...engine,
      ...{ ...learning, vocabLimit, kvTokens, role, output: valued === "shared" ? "both" : "logits" },
      files: new Map([formatNote(name)]),
      ...(adapter && { lora: { ...adapter, from: checkpoint ?? { seed } } }),
    });
    const began = checkpoint ? join(checkpoint, CRITIC) : model;
    const critic = valued === "own" ? await openCritic({ ...engineOf(config, began), ...learning }) : null;
    return new Table(played, policy, tokenizer, format, config, access?.hub, critic);
  }

  /** A checkpoint to go on from. */
  async save(dir: string): Promise<void> {
    await this.policy.save(dir, { optimizer: true });
    await this.critic?.save(join(dir, CRITIC), { optimizer: true });
  }

  async dispose(): Promise<void> {
    await Promise.all([this.policy.dispose(), this.critic?.dispose()]);
  }

  /** The same policy where something else is played. */
  beside(played: Played, limits: Conversing = this.limits): Table {
    checkPrompt(firstPrompt(played, this.format), limits);
    return new Table(played, this.policy, this.tokenizer, this.format, limits, this.hub);
  }

  /** One conversation of the policy; the rules hold a turn back at most `reflection` times before one is acted on. */
  async converse(attempt: Attempt, sampling: SamplingSettings, signal?: AbortSignal, reflection = 0): Promise<Rollout> {
    const { policy, format, limits } = this;
    const full = { ...sampling, stopIds: format.stopIds };
    const { user, told } = this.users.customer(this.domain, attempt);
    const sandbox = sandboxFor(this.domain, attempt, user, limits);
    const intervene = intervention(this.domain, attempt.task, runsEveryCall(limits, this.domain));
    const oversight = reflection > 0 ? { times: reflection, intervene } : undefined;
    const rollout = await converse(attempt, sandbox, policy, format, full, limits, signal, oversight);
    return { ...rollout, ...told(rollout) };
  }

  /** One conversation of the domain's scripted expert. */
  demonstrate(attempt: Attempt, habits: Habits): Promise<Rollout> {
    return demonstrateAs(this.domain, attempt, habits, this.format, this.limits);
  }

  collect(
    list: readonly Attempt[],
    play: (attempt: Attempt) => Promise<Rollout>,
    finished?: (rollout: Rollout, done: number) => void,
  ): Promise<Rollout[]> {
    return collect(list, play, this.limits.concurrent, finished);
  }

  decode = (ids: ArrayLike<number>): string => this.format.decode(ids);
}

/** A prompt to look at: where one is too long, every conversation breaks off. */
function firstPrompt(
  { domain, tasks }: Played,
  format: Format,
  { evalTasks, seed }: Pick<Config, "evalTasks" | "seed"> = { evalTasks: 0, seed: 0 },
): readonly number[] {
  const [task] = evalTasks > 0 ? tasks.heldOut(1, "prompt") : tasks.train(1, seed, 0);
  return format.open(domain.policy, domain.toolsInPrompt ? domain.tools : [], task.scenario.opening).prompt;
}

/** The policy that a run started from, for the KL to it: where an adapter is learned, the policy without it. */
export async function openReference(config: Config, { policy, hub }: Table): Promise<Scorer> {
  if (policy.base) return policy.base;
  const model = await findModel(config.model, hub);
  const { microTokens } = config;
  const vocabLimit = loadTokenizer(model).size;
  return openPolicy({ ...engineOf(config, model), vocabLimit, microTokens, role: "reference" });
}

/** One conversation of a domain's scripted expert, as tokens of any format. Rejects where it was spoiled. */
export async function demonstrateAs(
  domain: Domain,
  attempt: Attempt,
  habits: Habits,
  format: Format,
  limits: Conversing,
): Promise<Rollout> {
  const agent = domain.expert?.(attempt.task, habits, derive(attempt.seed, "expert"));
  if (!agent) throw new UsageError(`the domain ${domain.name} has no scripted expert`);
  const { user } = scripted(0).customer(domain, attempt);
  const shown = await demonstrate(attempt, sandboxFor(domain, attempt, user, limits), agent, format, limits);
  if (faulty(shown.ending))
    throw new Error(`the demonstration of ${attempt.task.id} failed: ${shown.error ?? shown.ending}`);
  return shown;
}

/** One conversation of an agent without a policy; nothing is written as tokens. */
export async function perform(
  { domain, users }: Pick<Played, "domain" | "users">,
  attempt: Attempt,
  agent: Agent,
  limits: Conversing,
): Promise<Rollout> {
  const { user, told } = users.customer(domain, attempt);
  const rollout = await demonstrate(attempt, sandboxFor(domain, attempt, user, limits), agent, null, limits);
  return { ...rollout, ...told(rollout) };
}

function sandboxFor(domain: Domain, { task }: Attempt, user: User, limits: Conversing): Sandbox {
  const { turns, invalidInRow } = limits;
  const everyCall = runsEveryCall(limits, domain);
  return new Session(domain, task, user, { turns, invalidInRow, everyCall, checkOutputs: asksOutputs(limits, domain) });
}

/** Does every call of a turn run? */
function runsEveryCall({ calls = "profile" }: Conversing, domain: Domain): boolean {
  return calls === "profile" ? (domain.everyCall ?? false) : calls === "all";
}

/** Does success ask for a task's outputs? */
export function asksOutputs({ checkOutputs }: Pick<Config, "checkOutputs">, domain: Domain): boolean {
  return checkOutputs === "profile" ? domain.checkOutputs : checkOutputs === "on";
}
