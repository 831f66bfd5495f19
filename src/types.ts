// The records that pass between the stages, and the interfaces of what can be exchanged. No code.
//
// task -> session -> rollout -> verdict -> reward -> advantage -> batch -> step -> checkpoint, metrics
//
// Every record is readonly: a stage makes a new one, it never writes into the one it was given.

import type { Bill } from "./chat.ts";
import type { Store } from "./domains/store.ts";

// ---------------------------------------------------------------------------------------------------
// Domains
// ---------------------------------------------------------------------------------------------------

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A tool that the agent may call. `parameters` is a JSON schema of type "object". */
export interface Tool<Args = any> {
  readonly name: string;
  readonly description: string;
  readonly parameters: Json;
  /** True when a successful call may change the state. */
  readonly writes: boolean;
  /** True when any call of it ends the conversation. */
  readonly ends?: boolean;
  /** Runs on the session's own state and returns the observation. A throw becomes `Error: <message>`. */
  call(store: Store, args: Args): string;
}

/** A tool as a prompt shows it. */
export type ToolSchema = Pick<Tool, "name" | "description" | "parameters">;

/** A call of a tool with its arguments as the domain reads them. */
export interface Call<Args = any> {
  readonly name: string;
  readonly arguments: Args;
}

/** A call as it was written: the arguments are JSON text, so that 1 and 1.0 stay apart. */
export interface WrittenCall {
  readonly name: string;
  readonly arguments: string;
}

/** What a conversation is about. Everything in it is JSON. */
export interface Task {
  /** Unique in its set; "domain/database/family/index" where the domain made it, for instance "shop/3/return/12". */
  readonly id: string;
  readonly domain: string;
  /** The template that it was made from: results are broken down by it. */
  readonly family: string;
  /** Seed of the database that it is played on: `domain.database(task.database)`. */
  readonly database: number;
  /** Id of the customer in the data, where it has customers. */
  readonly customer?: string;
  /** Prose for a reader (LLM user, LLM judge): who the customer is, what they want and know. */
  readonly instruction: string;
  /** The same, structured, for the scripted user. */
  readonly scenario: Scenario;
  /** Ground truth: the writes that bring fresh data to the wanted state, in order. Empty: nothing may change. */
  readonly actions: readonly WrittenCall[];
  /** Each must occur in some message of the agent (checked only where the profile asks for it). */
  readonly outputs: readonly string[];
  /** The reads by which an expert finds out what the truth needs, in order. */
  readonly lookups?: readonly WrittenCall[];
  /** What the customer asks for and may not have, and the one rule that forbids it. */
  readonly forbidden?: { readonly action: WrittenCall; readonly rule: string };
  /** How it is scored, where its source says so. */
  readonly criteria?: Criteria;
  /** Share of its conversations that a policy won, where it was rated (`tarl tasks rate`). */
  readonly rate?: number;
}

/** A part of a score that is a product of parts; which of them count is the task's business. */
export type Part = "DB" | "COMMUNICATE" | "ACTION" | "NL_ASSERTION";

/** What the score of a task is the product of, where its source says so (tau2-bench). */
export interface Criteria {
  /** DB: the state; COMMUNICATE: the outputs; ACTION: `calls`; NL_ASSERTION: `assertions`. */
  readonly basis: readonly Part[];
  /** Calls that the agent has to make. `compared`: the arguments that count; without it, all that the agent gives. */
  readonly calls?: readonly (WrittenCall & { readonly compared?: readonly string[] })[];
  /** What a judge has to find true of the conversation. */
  readonly assertions?: readonly string[];
}

/** What was found of each part; null: nobody could judge it. */
export type Checks = { readonly [part in Part]?: boolean | null };

/** How a customer talks; it colours what is said beside the facts (src/user/phrases.ts). */
export type Style = "plain" | "terse" | "chatty" | "formal" | "impatient" | "unsure" | "friendly";

/** What the scripted user plays from. Phrases are complete sentences, ready to be said. */
export interface Scenario {
  /** The first message. */
  readonly opening: string;
  /**
   * Slot (one that the domain's `asks` can name) -> what the customer answers when asked for it; the last is what they
   * insist on.
   */
  readonly facts: { readonly [slot: string]: string };
  /**
   * Slot -> what the customer may answer by mistake and then mends: as a fact, with another plausible value. Default none.
   */
  readonly slips?: { readonly [slot: string]: string };
  /** Slots that the opening answers already: asking for them again is of no use. Default none. */
  readonly given?: readonly string[];
  /** Said once when the agent seems lost or asks for something the customer does not know. */
  readonly fallback: string;
  /** Default plain. */
  readonly style?: Style;
  /** What the customer asks for instead, one after the other, when something is refused. Default none. */
  readonly otherwise?: readonly string[];
  /** How openly the opening was worded, where it was made from goals. */
  readonly wording?: Wording;
}

/** How a task is told. Each of the two is decided by itself; with neither it is left to chance. */
export interface Wording {
  /** Things are named by their ids, and the customer says at once who they are. */
  readonly easy: boolean;
  /** Details are told only when asked for, and what to fall back on only after a refusal. */
  readonly hard: boolean;
}

/** A backend application: what the agent can do, what it must obey, and what it is asked. */
export interface Domain<Args = any> {
  readonly name: string;
  /** Whose rules its tools, hash and scores follow ("tau1", "fixed", "tau2"); it stands beside every score. */
  readonly profile: string;
  /** Does success ask for a task's outputs as well? */
  readonly checkOutputs: boolean;
  /** Does every call of a turn run, one after the other (tau2-bench), or only the first (tau-bench; default)? */
  readonly everyCall?: boolean;
  /** The system text: the rules that the agent has to follow. */
  readonly policy: string;
  /** False when the prompt holds no tool schemas (a policy trained on this domain alone knows them). */
  readonly toolsInPrompt: boolean;
  readonly tools: readonly Tool<Args>[];
  /** What an agent is told that calls a tool which does not exist. */
  unknownTool?(name: string): string;
  readonly families: readonly string[];
  /**
   * Reads the JSON text of a call's arguments; throws on what is not one JSON object. Without it: JSON.parse, and the
   * session checks names and types against the tool's `parameters`. A domain that reads for itself answers for itself.
   */
  parse?(json: string): Args;
  /** Reads data that a user brings. Default: a folder with `<table>.json` of every table. */
  read?(path: string): Database;
  /** The state's hash, as its profile computes it. Default: tau-bench's. */
  hash?(store: Store): string;
  /** Fresh data; the same seed gives the same bytes. Cached and shared: sessions never write to it. */
  database(seed: number): Database;
  /** Task number `index` of a family on one database, or null when this database has no room for it. */
  task(family: string, seed: number, index: number): Task | null;
  /** Which slots of a scenario does this message of the agent ask for? Empty when it asks for nothing. */
  asks(message: string): readonly string[];
  /** What a message of the agent does to the talk, as a customer and a judge would hear it. */
  hears(message: string): Speech;
  /** Policy predicates: null when this call is allowed in this state, else the rule that it breaks. */
  violates(call: Call<Args>, store: Store, transcript: readonly Entry[]): string | null;
  /** Every rule about the state that a write asked for by this customer would break now; the gates prove tasks with it. */
  rules?(call: Call<Args>, store: Store, customer?: string): readonly string[];
  /**
   * Every list of calls that the words of a task's customer admit, by enumeration over the data: only the truth may be right.
   */
  readings?(task: Task): Iterable<readonly WrittenCall[]>;
  /** For tasks without writes: did the agent say what had to be said (silence must not pass)? Default true. */
  answered?(task: Task, transcript: readonly Entry[]): boolean;
  /**
   * Is this message the answer to the task? A domain that has it hears one message: with it the talk ends, in success or not.
   * Rejects only where nobody could look, which spoils the conversation.
   */
  grade?(task: Task, message: string): Promise<boolean>;
  /** The parts of a score, for a task with `criteria`; `truth` is the state that the ground truth leads to. */
  checks?(task: Task, transcript: readonly Entry[], store: Store, truth: Store): Checks;
  /** The scripted expert: what the agent says next, given the talk so far. Demonstrations and the oracle use it. */
  expert?(task: Task, habits: Habits, seed: number): (transcript: readonly Entry[]) => AgentTurn;
  /** Texts of look-ups by name, each a function of its seed, for a policy that starts from nothing (see `tarl sft`). */
  readonly drills?: Readonly<Record<string, (seed: number) => readonly Segment[]>>;
}

/** The application behind a domain: what replaying recorded calls needs of it. */
export type Backend<Args = any> = Pick<
  Domain<Args>,
  "name" | "profile" | "tools" | "unknownTool" | "parse" | "read" | "hash" | "checks"
>;

/** A piece of a drill. */
export interface Segment {
  readonly text: string;
  readonly learn: boolean;
}

/** How the scripted expert works: the rate (0 to 1) at which it makes each kind of mistake. All 0: the oracle. */
export interface Habits {
  readonly skipsLookup: number;
  readonly skipsConfirmation: number;
  readonly wrongChoice: number;
  readonly ignoresRules: number;
  /** Rate of mistakes that it notices and mends ("Wait, ..."). */
  readonly recovers: number;
}

/** Tables of entities by id, in insertion order. Entities are plain data (objects, arrays, Maps, scalars). */
export type Database = ReadonlyMap<string, ReadonlyMap<string, unknown>>;

/** How a message of the agent is heard; several can be true at once. */
export interface Speech {
  /** Asks for consent to something ("Shall I ...?"). */
  readonly confirms: boolean;
  /** Says that what was wanted is done. */
  readonly claimsDone: boolean;
  /** Says that it cannot or may not be done. */
  readonly refuses: boolean;
}

// ---------------------------------------------------------------------------------------------------
// Session
// ---------------------------------------------------------------------------------------------------

/**
 * One line of a conversation, in order. `turn` counts the agent's turns from 0; a turn has one entry, or one for each of its
 * calls where all of them run.
 */
export type Entry =
  | { readonly role: "user"; readonly text: string }
  | { readonly role: "agent"; readonly turn: number; readonly text: string }
  | {
      readonly role: "tool";
      readonly turn: number;
      readonly call: Call;
      readonly observation: string;
      /** True when the tool refused or failed. */
      readonly failed: boolean;
      /** True when the call changed the state. */
      readonly wrote: boolean;
      /** Set where the tool itself is broken: it threw what is no ToolError, ran too long, or returned what is no text. */
      readonly fault?: ToolFault;
    }
  | {
      /** A turn that could not be acted on (broken JSON, unknown tool ...); `observation` is what the agent was told. */
      readonly role: "invalid";
      readonly turn: number;
      readonly text: string;
      readonly reason: InvalidReason;
      readonly observation: string;
    };

export type ToolFault = "threw" | "hung" | "result";

/** The last one could have been acted on, and was held back. */
export type InvalidReason = "json" | "unknown-tool" | "arguments" | "too-long" | "empty" | "cut" | "reflected";

/** Why a conversation ended. The last three are not the policy's fault and are counted apart. */
export type Ending =
  | "user-stop" // the customer said goodbye
  | "tool-end" // a tool that ends the talk was called (transfer to a human)
  | "tool-crash" // a tool returned no text (the fourth certificate of tau-bench's airline), which ends its episodes
  | "turn-limit"
  | "token-limit" // the context or the rollout's token budget is full
  | "invalid-limit" // too many turns in a row that could not be acted on
  | "aborted"
  | "user-fault"
  | "error";

/** What one generation of the agent says and asks for, read from its text. */
export interface AgentTurn {
  /** What is said to the customer: outside of thoughts and tool calls, trimmed. */
  readonly text: string;
  /** Tool calls in order. */
  readonly calls: readonly WrittenCall[];
  /** Set when the turn cannot be acted on; `observation` is one line for the agent. */
  readonly invalid: { readonly reason: InvalidReason; readonly observation: string } | null;
}

/** What the environment answers to a turn: tool results, or the customer's next words. Empty when the talk is over. */
export interface Reply {
  readonly messages: readonly { readonly role: "user" | "tool"; readonly text: string }[];
  readonly ending: Ending | null;
}

/** A recorded conversation to learn from: whose it was and what was right is not known, only what was said. */
export interface Dialogue {
  /** Unique in its set. */
  readonly id: string;
  readonly system: string;
  readonly tools: readonly ToolSchema[];
  /** The customer begins; an agent's calls are followed by their results, its words by the customer's. */
  readonly turns: readonly (
    | { readonly role: "user" | "tool"; readonly text: string }
    | { readonly role: "agent"; readonly text: string; readonly calls: readonly WrittenCall[] }
  )[];
}

/** How conversations are written as tokens. Environment text is encoded without any added token of its own. */
export interface Format {
  /** The end-of-turn token first. */
  readonly stopIds: readonly number[];
  /** A conversation from its system text, tools and the customer's first message on. */
  open(system: string, tools: readonly ToolSchema[], user: string): Script;
  /** A demonstrated turn, end-of-turn token included. */
  turn(turn: AgentTurn): number[];
  /** Reads a sampled turn; never throws. `cut`: it was ended by a limit. */
  parse(ids: ArrayLike<number>, cut: boolean): AgentTurn;
  decode(ids: ArrayLike<number>): string;
}

/** One conversation as the agent reads it; what the agent itself wrote stays as it was sampled. */
export interface Script {
  /** All that is there before the agent's first turn. */
  readonly prompt: readonly number[];
  /** Takes a turn and what was answered to it; a reply without messages gives nothing. */
  next(said: ArrayLike<number>, reply: Reply): Heard;
}

/** What the agent reads before its next turn. */
export interface Heard {
  readonly ids: readonly number[];
  /** False: `ids` come after all that was there. True: they are all that is there now, since earlier text has changed. */
  readonly anew: boolean;
}

/** The simulated customer. One instance per session. */
export interface User {
  /** The customer's first message. */
  open(): Promise<string>;
  /** The answer to a message of the agent; `done` when the customer leaves with it. */
  reply(message: string): Promise<{ readonly text: string; readonly done: boolean }>;
}

/** What the verifier found when the conversation ended. */
export interface Outcome {
  /** 1 when the final state is the one that the ground truth leads to (and the outputs were said, where the profile asks). */
  readonly success: 0 | 1;
  readonly stateMatches: boolean;
  readonly outputsSaid: boolean;
  /** Successful calls that changed the state. */
  readonly writes: number;
  /** Parts of the score that nobody judged: `success` is the product of the others. */
  readonly unjudged?: readonly Part[];
}

// ---------------------------------------------------------------------------------------------------
// Rollout
// ---------------------------------------------------------------------------------------------------

/** Token ids of one conversation and who wrote them; the arrays of tokens have the same length N. */
export interface Ledger {
  readonly ids: Int32Array;
  /** 1 where the policy sampled the token, 0 where the environment wrote it. The only source of loss masks. */
  readonly mask: Uint8Array;
  /** Log-prob of the token when it was sampled (nats, at the sampling temperature); 0 where mask is 0. */
  readonly logp: Float32Array;
  /** Turn that a sampled token belongs to, -1 where mask is 0. */
  readonly turn: Int16Array;
  /**
   * [R+1], first 0, last N: contexts in which the turns were sampled, one after the other, where the format began anew on
   * the way. Every sampled token has mask 1 in one of them. Absent: one context.
   */
  readonly rows?: Int32Array;
}

/** The finished record of one conversation. */
export interface Rollout {
  readonly task: Task;
  /** Which of the task's attempts, from 0. */
  readonly sample: number;
  readonly seed: number;
  readonly ledger: Ledger;
  readonly turns: number;
  readonly transcript: readonly Entry[];
  readonly ending: Ending;
  readonly outcome: Outcome;
  /** Message of the error, where `ending` is "error" or "user-fault". */
  readonly error?: string;
  /** What the simulated customer did wrong (src/user/faults.ts); absent where nobody looked. */
  readonly userFaults?: readonly UserFault[];
  /** How the scripted customer disturbed the talk, in order; absent where it did not. */
  readonly disturbed?: readonly string[];
  /** What the models behind an API took for this conversation; absent where none was asked. */
  readonly bill?: Bill;
}

/** A mistake of the simulated customer, for which the agent is not to blame. */
export interface UserFault {
  readonly kind: "left-early" | "invented" | "leaked" | "as-agent" | "empty" | "too-long" | "repeated";
  /** The customer's message, counted from 0 (the opening). */
  readonly turn: number;
  readonly evidence: string;
}

// ---------------------------------------------------------------------------------------------------
// Verdict, reward, advantage
// ---------------------------------------------------------------------------------------------------

export type TurnScore = -1 | 0 | 1;

/** Scores every agent turn of a finished conversation. */
export interface Judge {
  readonly name: string;
  judge(rollout: Rollout, signal?: AbortSignal): Promise<Judgement>;
}

/** `scores` null: the judge abstained (no label; never a zero). Otherwise one score and one reason per turn. */
export interface Judgement {
  readonly scores: readonly TurnScore[] | null;
  readonly reasons: readonly string[];
  /** Why there are no scores, as a kind that is counted: "invalid", "refused", "timeout", "budget", "http-500" and so on. */
  readonly abstained?: string;
}

export interface Verdict {
  readonly outcome: Outcome;
  readonly judgement: Judgement | null;
}

export type RewardClass = "perfect" | "good" | "good_attempt" | "failed" | "conflict" | "unjudged";

/** Named parts and their sum. `perTurn` splits it over the turns: it sums to `total`, or is empty when unjudged. */
export interface Reward {
  readonly total: number;
  readonly parts: {
    readonly outcome: number;
    readonly turns: number;
    readonly major: number;
    /** The price of coming near the limit of tokens, where there is one. */
    readonly overlong?: number;
  };
  readonly class: RewardClass;
  readonly perTurn: readonly number[];
}

// ---------------------------------------------------------------------------------------------------
// Policy: the door to the native engine
// ---------------------------------------------------------------------------------------------------

export interface Sampling {
  /** 0 is greedy. */
  readonly temperature: number;
  /** 1 is off; of the next two 0 is. */
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  /** Generation ends after one of these; it is part of the result. */
  readonly stopIds: readonly number[];
  /** Most tokens of this one generation. */
  readonly maxTokens: number;
}

export interface Generation {
  readonly ids: Int32Array;
  /** log pi(id | context) in nats at the sampling temperature, over the whole vocabulary, before top-p and the like. */
  readonly logp: Float32Array;
  /** "stop": a stop id; "length": maxTokens; "context": the conversation is full; "aborted". */
  readonly ended: "stop" | "length" | "context" | "aborted";
}

/** One conversation inside the engine: its tokens and their KV stay between turns. */
export interface Conversation {
  readonly length: number;
  /** Environment tokens. Copied; computed at the next `generate`. */
  append(ids: ArrayLike<number>): void;
  generate(sampling: Sampling, signal?: AbortSignal): Promise<Generation>;
  /** A second conversation with the same tokens, sharing their KV, with its own random numbers. */
  fork(seed: number): Conversation;
  close(): void;
}

/** Flat rows for the native trainer. N tokens in B rows; token t of row b sits at rows[b] + t. */
export interface Batch {
  /** [N] */
  readonly ids: Int32Array;
  /** [B+1], first 0, last N. */
  readonly rows: Int32Array;
  /** [N] weight of each token's loss, 0 outside the mask (normaliser of the aggregation included). */
  readonly weight: Float32Array;
  /** [N] */
  readonly advantage: Float32Array;
  /** [N] the old policy's log-probs; null: the trainer's own, detached (ratio 1). */
  readonly oldLogp: Float32Array | null;
  /** [N] reference log-probs, null without KL. */
  readonly refLogp: Float32Array | null;
  /** [N] each, for a critic on the policy's trunk: what it said when advantages were made, and what it should have said. */
  readonly values?: { readonly old: Float32Array; readonly returns: Float32Array };
}

export interface LossOptions {
  /** Of a token, the geometric mean of its row's (GSPO), their product, or "none": -A log pi (no ratio, no clipping). */
  readonly ratio: "token" | "sequence" | "product" | "none";
  readonly clipLow: number;
  readonly clipHigh: number;
  /** 0 is off. */
  readonly dualClip: number;
  readonly klCoef: number;
  readonly klKind: "k1" | "k2" | "k3" | "abs" | "k1+" | "k3+" | "k3_is" | "k3_score";
  /** Largest estimate of a token by k3, k3+ and k3_score; 0 is off. */
  readonly klClamp: number;
  readonly entropyCoef: number;
  /** Divides the logits before the softmax. */
  readonly temperature: number;
  /** For a critic on the policy's trunk: weight of its loss, and how far a value may move from the old one; 0 is off. */
  readonly value?: { readonly coef: number; readonly clip: number };
}

export interface OptimizerOptions {
  /** "muon": Muon for the matrices inside the layers, AdamW for the rest. */
  readonly kind: "adamw" | "muon";
  readonly lr: number;
  /** Learning rate of Muon's matrices as a share of lr. */
  readonly muonScale: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Decay norms and biases too, not only matrices. */
  readonly decayVectors: boolean;
  /** Largest L2 norm of the whole gradient; 0 is off. */
  readonly maxGradNorm: number;
}

/** Token means under the mask, except where named otherwise. */
export interface StepStats {
  readonly loss: number;
  readonly pgLoss: number;
  readonly klLoss: number;
  /** k3 estimate against the reference, 0 without one. */
  readonly kl: number;
  readonly entropy: number;
  /** mean(old - new): KL from the sampler's policy. */
  readonly approxKl: number;
  readonly ratio: number;
  readonly clipLow: number;
  readonly clipHigh: number;
  readonly dualClip: number;
  /** Largest |trainer log-prob - sampler log-prob| of this batch before the update. */
  readonly mismatch: number;
  /** The critic's loss before its coefficient, share of values that the clip holds, 1 - var(return - value) / var(return). */
  readonly valueLoss: number;
  readonly valueClipped: number;
  readonly valueExplained: number;
  /** L2 norm before clipping. */
  readonly gradNorm: number;
  /** Tokens in the batch, those of them that were computed (what rows have in common once), and those with a weight. */
  readonly tokens: number;
  readonly computedTokens: number;
  readonly lossTokens: number;
}

/** What tells log-probs of given tokens. */
export type Scorer = Pick<Policy, "score" | "dispose">;

export interface Policy {
  /** Ids that the model has a row for. */
  readonly vocabSize: number;
  /** Most tokens of one conversation. */
  readonly contextLength: number;
  /** The bits of a conversation do not depend on its company, and the trainer's log-probs are the sampler's. */
  readonly batchInvariant: boolean;
  open(ids: ArrayLike<number>, seed: number): Conversation;
  /**
   * Log-prob and entropy of each token given those before it in its row, and the likeliest id, [N]; 0 on each row's first.
   */
  score(
    ids: Int32Array,
    rows: Int32Array,
    temperature: number,
  ): Promise<{ logp: Float32Array; entropy: Float32Array; top1: Int32Array }>;
  /** What a critic on the policy's trunk says of each token from those before it in its row, [N]; 0 on each row's first. */
  values?(ids: Int32Array, rows: Int32Array): Promise<Float32Array>;
  /** Loss, gradients and one optimizer step over the whole batch. */
  step(batch: Batch, loss: LossOptions, optimizer: OptimizerOptions): Promise<StepStats>;
  /** With an adapter: the same weights without it. */
  readonly base?: Scorer | null;
  /** Writes a checkpoint that transformers loads; with `optimizer`, what resuming needs as well. */
  save(dir: string, options?: { optimizer?: boolean }): Promise<void>;
  dispose(): Promise<void>;
}
