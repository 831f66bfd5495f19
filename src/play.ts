// Sets the table for conversations: domain, sandbox, scripted user and token format around one policy. What train.ts,
// sft.ts and the eval command share; it decides nothing about rewards or learning.
// Test: test/unit/collect.test.ts

import { join } from "node:path";
import { type Config, familyNames } from "./config.ts";
import { domain as findDomain } from "./domains/index.ts";
import { faulty, UsageError } from "./errors.ts";
import type { Agent } from "./eval/evaluate.ts";
import { openPolicy } from "./policy/policy.ts";
import { loadTokenizer, type Tokenizer } from "./policy/tokenizer.ts";
import { derive } from "./random.ts";
import { type Attempt, collect, converse, demonstrate, type Sandbox } from "./rollout/collect.ts";
import { chatFormat } from "./rollout/format.ts";
import { root } from "./root.ts";
import { Session } from "./sandbox/session.ts";
import type { SamplingSettings } from "./settings.ts";
import { type Mix, mix } from "./tasks/sampler.ts";
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

export class Table {
  constructor(
    readonly domain: Domain,
    readonly families: Mix,
    readonly policy: Policy,
    readonly tokenizer: Tokenizer,
    readonly format: Format,
    readonly limits: Conversing,
  ) {}

  /** Opens domain, tokenizer and policy. `checkpoint`: one of the run's own to go on from; null: the config's model. */
  static async open(config: Config, checkpoint: string | null): Promise<Table> {
    const domain = await findDomain(config.domain);
    const families = mix(domain, familyNames(config), config.refuseShare);
    const model = checkpoint ?? modelPath(config.model);
    const tokenizer = loadTokenizer(model);
    const { device, dtype, threads } = config;
    const vocabLimit = tokenizer.size; // rows of the embedding beyond the tokenizer are padding
    const engine = { device, dtype, threads, vocabLimit, role: "policy", fresh: checkpoint === null } as const;
    const policy = await openPolicy({ model, ...engine });
    return new Table(domain, families, policy, tokenizer, chatFormat(tokenizer), config);
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

/** The policy that a run started from, for the KL to it. */
export function openReference({ model, device, dtype, threads }: Config): Promise<Policy> {
  const dir = modelPath(model);
  const vocabLimit = loadTokenizer(dir).size;
  return openPolicy({ model: dir, device, dtype, threads, vocabLimit, role: "reference" });
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
  return new Session(domain, task, new ScriptedUser(domain, task, derive(seed, "user")), limits);
}
