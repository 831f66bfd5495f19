// Plays conversations: `converse` with the policy, `demonstrate` with an agent of another kind, `collect` many at once.
// A rollout is an ordinary async function; batching is the engine's business. Knows nothing of rewards.
// Nothing depends on timing: every seed is derived from (run seed, label, task, sample), results keep their order.
// Test: test/unit/collect.test.ts

import { faulty, UsageError } from "../errors.ts";
import { derive } from "../random.ts";
import type {
  AgentTurn,
  Conversation,
  Ending,
  Entry,
  Format,
  Outcome,
  Policy,
  Reply,
  Rollout,
  Sampling,
  Task,
  Tool,
} from "../types.ts";
import { LedgerWriter } from "./ledger.ts";

/** What a rollout needs of a sandbox; src/sandbox/session.ts is one. */
export interface Sandbox {
  start(): Promise<{ readonly system: string; readonly tools: readonly Tool[]; readonly user: string }>;
  act(turn: AgentTurn): Promise<Reply>;
  /** Takes a turn that is not acted on; `observation` is what the agent is told. */
  hold(turn: AgentTurn, observation: string): Reply;
  readonly transcript: readonly Entry[];
  outcome(): Outcome;
  /** What went wrong on the user's side, where that ended the conversation. */
  readonly error?: string;
}

/** One of the conversations about a task. `seed` decides everything that is drawn in it. */
export interface Attempt {
  readonly task: Task;
  /** From 0. */
  readonly sample: number;
  readonly seed: number;
}

/** Most tokens of a prompt and of a whole conversation. */
export interface TokenLimits {
  readonly promptTokens: number;
  readonly contextTokens: number;
}

/** Who may hold a turn back, and how often before one is acted on. */
export interface Oversight {
  readonly times: number;
  /** Why a turn must not be acted on, in a few words, or null. */
  readonly intervene: (turn: AgentTurn, transcript: readonly Entry[]) => string | null;
}

/** Every attempt of every task, task by task. `labels` (for instance "train", step) keep streams of one run apart. */
export function attempts(
  tasks: readonly Task[],
  samples: number,
  seed: number,
  ...labels: (string | number)[]
): Attempt[] {
  return tasks.flatMap((task) =>
    Array.from({ length: samples }, (_, sample) => ({ task, sample, seed: derive(seed, ...labels, task.id, sample) })),
  );
}

/**
 * Plays everything on the list, attempts for instance, at most `concurrent` at once; results stand in the list's order.
 * `play` never rejects for what happens inside of a conversation: a failed rollout is data.
 */
export async function collect<I, T>(
  list: readonly I[],
  play: (each: I) => Promise<T>,
  concurrent: number,
  finished?: (result: T, done: number) => void,
): Promise<T[]> {
  const results = new Array<T>(list.length);
  let next = 0;
  let done = 0;
  const worker = async () => {
    while (next < list.length) {
      const i = next++;
      results[i] = await play(list[i]);
      finished?.(results[i], ++done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrent, list.length) }, worker));
  return results;
}

/**
 * One conversation of the policy, token in, token out: what was sampled is what the ledger holds.
 * Never rejects: what goes wrong becomes the ending "error" with its message, an abort the ending "aborted".
 */
export async function converse(
  attempt: Attempt,
  sandbox: Sandbox,
  policy: Policy,
  format: Format,
  sampling: Sampling,
  limits: TokenLimits,
  signal?: AbortSignal,
  oversight?: Oversight,
): Promise<Rollout> {
  const ledger = new LedgerWriter();
  const act = overseen(sandbox, oversight);
  const context = Math.min(limits.contextTokens, policy.contextLength);
  let talk: Conversation | null = null;
  try {
    const { system, tools, user } = await sandbox.start();
    const script = format.open(system, tools, user);
    checkPrompt(script.prompt, limits);
    ledger.environment(script.prompt);
    talk = policy.open(script.prompt, derive(attempt.seed, "policy"));
    for (;;) {
      const room = context - ledger.length;
      if (room < 1) return finish(attempt, sandbox, ledger, "token-limit");
      const said = await talk.generate({ ...sampling, maxTokens: Math.min(sampling.maxTokens, room) }, signal);
      ledger.policy(said.ids, said.logp);
      if (said.ended === "aborted") return finish(attempt, sandbox, ledger, "aborted");
      const reply = await act(format.parse(said.ids, said.ended !== "stop"));
      if (reply.ending) return finish(attempt, sandbox, ledger, reply.ending);
      const heard = script.next(said.ids, reply);
      if (heard.ids.length + (heard.anew ? 0 : ledger.length) >= context)
        return finish(attempt, sandbox, ledger, "token-limit");
      ledger.heard(heard);
      if (heard.anew) {
        talk.close();
        talk = policy.open(heard.ids, derive(attempt.seed, "policy", ledger.turns));
      } else talk.append(heard.ids);
    }
  } catch (error) {
    return finish(attempt, sandbox, ledger, failure(sandbox, signal), error);
  } finally {
    talk?.close();
  }
}

/** Acts on turns, but for those that are held back: the agent is asked to think again. */
function overseen(sandbox: Sandbox, oversight?: Oversight): (turn: AgentTurn) => Promise<Reply> {
  let held = 0;
  return async (turn) => {
    const why = oversight && held < oversight.times ? oversight.intervene(turn, sandbox.transcript) : null;
    held = why === null ? 0 : held + 1;
    return why === null ? sandbox.act(turn) : sandbox.hold(turn, reflection(why));
  };
}

/** What an agent reads whose turn is held back. Forced reflection: an ablation of arXiv:2509.14480; the words are ours. */
export function reflection(why: string): string {
  return `Wait: ${why}. Think again and correct your last step.`;
}

/**
 * One conversation of an agent without a policy (expert, baseline, API model), with the same ledger as the policy's;
 * log-probs are 0. `format` null: nothing is written as tokens and the ledger stays empty. Never rejects.
 */
export async function demonstrate(
  attempt: Attempt,
  sandbox: Sandbox,
  agent: (transcript: readonly Entry[]) => AgentTurn | Promise<AgentTurn>,
  format: Format | null,
  limits: TokenLimits,
): Promise<Rollout> {
  const ledger = new LedgerWriter();
  try {
    const { system, tools, user } = await sandbox.start();
    const script = format?.open(system, tools, user);
    if (script) {
      checkPrompt(script.prompt, limits);
      ledger.environment(script.prompt);
    }
    for (;;) {
      const turn = await agent(sandbox.transcript);
      const said = format?.turn(turn) ?? [];
      ledger.policy(said, null);
      if (ledger.length >= limits.contextTokens) return finish(attempt, sandbox, ledger, "token-limit");
      const reply = await sandbox.act(turn);
      if (reply.ending) return finish(attempt, sandbox, ledger, reply.ending);
      if (script) ledger.heard(script.next(said, reply));
    }
  } catch (error) {
    return finish(attempt, sandbox, ledger, failure(sandbox), error);
  }
}

function finish(attempt: Attempt, sandbox: Sandbox, ledger: LedgerWriter, ending: Ending, thrown?: unknown): Rollout {
  const message = thrown === undefined ? sandbox.error : thrown instanceof Error ? thrown.message : String(thrown);
  return {
    ...attempt,
    ledger: ledger.finish(),
    turns: ledger.turns,
    transcript: [...sandbox.transcript],
    ending,
    outcome: faulty(ending) ? noOutcome : sandbox.outcome(),
    ...(message === undefined ? {} : { error: message }),
  };
}

const noOutcome: Outcome = { success: 0, stateMatches: false, outputsSaid: false, writes: 0 };

/** The user may have failed before the talk began; what an abort throws is no error. */
function failure(sandbox: Sandbox, signal?: AbortSignal): Ending {
  if (signal?.aborted) return "aborted";
  return sandbox.error === undefined ? "error" : "user-fault";
}

/** Throws a UsageError where a prompt is too long. */
export function checkPrompt(prompt: readonly number[], { promptTokens }: Pick<TokenLimits, "promptTokens">): void {
  if (prompt.length > promptTokens)
    throw new UsageError(
      `--prompt-tokens ${promptTokens}: the prompt has ${prompt.length} tokens, expected room for them`,
    );
}
