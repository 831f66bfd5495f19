// Sets the table for conversations: domain, sandbox, scripted user and token format around one policy. What train.ts,
// sft.ts and the eval command share; it decides nothing about rewards or learning.
// Test: test/unit/collect.test.ts

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Config, familyNames } from "./config.ts";
import { domain as findDomain } from "./domains/index.ts";
import { blame, faulty, UsageError } from "./errors.ts";
import type { Agent } from "./eval/evaluate.ts";
import { readConfig } from "./policy/checkpoint.ts";
import { native } from "./policy/native.ts";
import { openPolicy } from "./policy/policy.ts";
import { loadTokenizer, type Tokenizer } from "./policy/tokenizer.ts";
import { derive } from "./random.ts";
import { type Attempt, checkPrompt, collect, converse, demonstrate, type Sandbox } from "./rollout/collect.ts";
import { chatFormat } from "./rollout/format.ts";
import { root } from "./root.ts";
import { Session } from "./sandbox/session.ts";
import type { SamplingSettings } from "./settings.ts";
import { generated, mix, type TaskSource } from "./tasks/sampler.ts";
import type { Domain, Format, Habits, Policy, Rollout } from "./types.ts";
import { ScriptedUser } from "./user/scripted.ts";

export type Conversing = Pick<
  Config,
  "turns" | "turnTokens" | "promptTokens" | "contextTokens" | "invalidInRow" | "concurrent" | "checkOutputs"
>;

/** The folder of a model that an option names. */
export function modelPath(model: string): string {
  return model === "embedded" ? join(root, "assets", "policy") : model;
}

/** A folder that cannot be a model is named as the option that it came from. */
function checkModel(model: string): void {
  const dir = modelPath(model);
  if (existsSync(join(dir, "tokenizer.json"))) return;
  const run = existsSync(join(dir, "checkpoints"))
    ? `; it is a run: expected one of ${join(model, "checkpoints")}`
    : "";
  throw new UsageError(`--model ${model}: ${join(dir, "tokenizer.json")} does not exist${run}`);
}

/** How a config opens an engine; a GPU that is not there is a UsageError. */
export function engineOf({ model, device, dtype, threads }: Pick<Config, "model" | "device" | "dtype" | "threads">) {
  if (device === "cuda" && !native.cuda()) throw new UsageError("--device cuda: no GPU is found; expected cpu or auto");
  return { model: modelPath(model), device, dtype, threads };
}

/** What a config plays: the domain, and where its tasks come from. */
export async function openTasks(config: Config): Promise<{ domain: Domain; tasks: TaskSource }> {
  const domain = await findDomain(config.domain, config.profile);
  const families = mix(domain, familyNames(config), config.refuseShare);
  return { domain, tasks: generated(domain, families, config.trainDatabases) };
}

export class Table {
  constructor(
    readonly domain: Domain,
    readonly tasks: TaskSource,
    readonly policy: Policy,
    readonly tokenizer: Tokenizer,
    readonly format: Format,
    readonly limits: Conversing,
  ) {}

  /** Opens domain, tokenizer and policy. `checkpoint`: one of the run's own to go on from; null: the config's model. */
  static async open(config: Config, checkpoint: string | null): Promise<Table> {
    const { domain, tasks } = await openTasks(config);
    if (!checkpoint) checkModel(config.model);
    const model = checkpoint ?? modelPath(config.model);
    const tokenizer = loadTokenizer(model);
    const format = blame(model, () => chatFormat(tokenizer));
    const { vocabSize, maxPositions } = readConfig(model);
    if (tokenizer.size > vocabSize)
      throw new UsageError(`${model}: the tokenizer has ${tokenizer.size} ids, the policy ${vocabSize}`);
    if (config.contextTokens > maxPositions)
      throw new UsageError(`--context-tokens ${config.contextTokens}: ${model} reads at most ${maxPositions}`);
    checkPrompt(await onePrompt(domain, tasks, format, config), config);
    const vocabLimit = tokenizer.size; // rows of the embedding beyond the tokenizer are padding
    const role = { role: "policy", fresh: checkpoint === null } as const;
    const policy = await openPolicy({ ...engineOf(config), model, vocabLimit, ...role });
    return new Table(domain, tasks, policy, tokenizer, format, config);
  }

  /** One conversation of the policy. */
  converse(attempt: Attempt, sampling: SamplingSettings, signal?: AbortSignal): Promise<Rollout> {
    const { policy, format, limits } = this;
    const full = { ...sampling, stopIds: format.stopIds };
    return converse(attempt, sandboxFor(this.domain, attempt, limits), policy, format, full, limits, signal);
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
async function onePrompt(domain: Domain, tasks: TaskSource, format: Format, limits: Conversing): Promise<number[]> {
  const [task] = tasks.heldOut(1, "prompt");
  const { system, tools, user } = await sandboxFor(domain, { task, sample: 0, seed: 0 }, limits).start();
  return format.prompt(system, tools, user);
}

/** The policy that a run started from, for the KL to it. */
export function openReference(config: Config): Promise<Policy> {
  const engine = engineOf(config);
  return openPolicy({ ...engine, vocabLimit: loadTokenizer(engine.model).size, role: "reference" });
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
  const shown = await demonstrate(attempt, sandboxFor(domain, attempt, limits), agent, format, limits);
  if (faulty(shown.ending))
    throw new Error(`the demonstration of ${attempt.task.id} failed: ${shown.error ?? shown.ending}`);
  return shown;
}

/** One conversation of an agent without a policy; nothing is written as tokens. */
export function perform(domain: Domain, attempt: Attempt, agent: Agent, limits: Conversing): Promise<Rollout> {
  return demonstrate(attempt, sandboxFor(domain, attempt, limits), agent, null, limits);
}

function sandboxFor(domain: Domain, { task, seed }: Attempt, limits: Conversing): Sandbox {
  const { turns, invalidInRow, checkOutputs } = limits;
  return new Session(domain, task, new ScriptedUser(domain, task, derive(seed, "user")), {
    turns,
    invalidInRow,
    checkOutputs: checkOutputs === "profile" ? domain.checkOutputs : checkOutputs === "on",
  });
}
