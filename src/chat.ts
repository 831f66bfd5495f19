// What a model behind an API is asked and answers, for users, judges and agents that are handed one. No code: llm/ has it.

import type { Json, Tool, WrittenCall } from "./types.ts";

/** One line of a chat. A "tool" message answers the call of the "assistant" message before it. */
export type ChatMessage =
  | { readonly role: "system" | "user" | "tool"; readonly text: string }
  | { readonly role: "assistant"; readonly text: string; readonly call?: WrittenCall };

export interface CompleteOptions {
  readonly tools?: readonly Pick<Tool, "name" | "description" | "parameters">[];
  /** Decides the answer as far as the server knows seeds, and always which cached answer is taken. */
  readonly seed?: number;
  /** The JSON that the answer has to be, where the server can hold one to a schema; others are asked without it. */
  readonly schema?: { readonly name: string; readonly schema: Json };
  /** Who asks ("user", "agent", "judge"); errors name it. */
  readonly label?: string;
  readonly signal?: AbortSignal;
}

/** Tokens as the server counts them, and their price in dollars; nothing for an answer out of the cache. */
export interface Bill {
  /** Answers that were paid for. */
  readonly calls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly dollars: number;
}

export interface Completion {
  readonly text: string;
  readonly calls: readonly WrittenCall[];
  /** The answer stopped at its token limit. */
  readonly cut: boolean;
  /** The model declined to answer, as servers say it; `text` is how. */
  readonly refused?: true;
  readonly cached: boolean;
  readonly bill: Bill;
}

/** A model to talk with. Rejects with a ChatError or a BudgetError, in bounded time. */
export interface Chat {
  readonly model: string;
  complete(messages: readonly ChatMessage[], options?: CompleteOptions): Promise<Completion>;
}
