// One class per boundary, each with a message that names the value; and which endings of a conversation are faults.

import type { Ending, ToolFault } from "./types.ts";

/** Bad input from a person: an option, a file, an argument. The command line prints it as one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * Does `work`; a UsageError of it begins with `option` afterwards, what somebody typed that led to it, where it names no
 * option itself.
 */
export function blame<T>(option: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const isNameless = error instanceof UsageError && !error.message.startsWith("--");
    throw isNameless ? new UsageError(`${option}: ${error.message}`) : error;
  }
}

/** What the native addon reports. */
export type EngineErrorCode =
  | "INVALID_ARGUMENT"
  | "OUT_OF_MEMORY"
  | "BUSY"
  | "DISPOSED"
  | "CHECKPOINT"
  | "DEADLINE"
  | "INTERNAL";

export class EngineError extends Error {
  override readonly name = "EngineError";
  constructor(
    readonly code: EngineErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** A checkpoint folder, configuration or tensor file that cannot be used as it is. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
}

/** A tool's own refusal; the agent reads `Error: <message>`. */
export class ToolError extends Error {
  override readonly name = "ToolError";
}

/** A tool that is itself broken, which is no refusal: the agent reads `Error: <message>`, the transcript says how. */
export class BrokenTool extends Error {
  override readonly name = "BrokenTool";
  constructor(
    readonly fault: ToolFault,
    message: string,
  ) {
    super(message);
  }
}

/** How a request to a language model's API failed: "http-429", "http-500" and so on by status. */
export type ChatErrorKind =
  | "timeout"
  | "connection"
  | "not-json"
  | "no-choice"
  | "too-long"
  | "aborted"
  | `http-${number}`;

/** A language model's API gave no answer that can be used, retries included. One line, without the key. */
export class ChatError extends Error {
  override readonly name = "ChatError";
  constructor(
    readonly kind: ChatErrorKind,
    message: string,
  ) {
    super(message);
  }
}

/** The budget of a run is spent: nothing more is asked of a model. */
export class BudgetError extends Error {
  override readonly name = "BudgetError";
}

/** Was a conversation spoiled by something that is not the policy's doing? It is counted and left out of learning. */
export function faulty(ending: Ending): boolean {
  return ending === "aborted" || ending === "user-fault" || ending === "error";
}
