// The judge that is a language model behind an API: one question for each conversation, asked again where the verdict cannot
// be used, and then an abstention, which is no score. Never rejects for what a server does. The words of the question are
// prompt.ts's, what counts as a verdict verdict.ts's. Test: test/unit/llm-judge.test.ts

import type { Chat, ChatMessage } from "../chat.ts";
import { BudgetError, ChatError, faulty } from "../errors.ts";
import { derive } from "../random.ts";
import type { Domain, Judge, Judgement, Rollout } from "../types.ts";
import { encode, question, SCHEMA } from "./prompt.ts";
import { readVerdict } from "./verdict.ts";

export interface LlmJudgeOptions {
  /** Verdicts asked for on one conversation, of which the first that is valid counts. */
  readonly tries?: number;
  /** For one conversation, tries and waits for a place included. */
  readonly deadlineMs?: number;
  /** Judges that differ in it ask with other seeds, and so on their own. */
  readonly repeat?: number;
}

/** Characters of an unusable answer that the model is shown again. */
const SHOWN_CHARS = 2000;

/** The same conversation asks the same questions, whoever has it: seeds depend on the try alone. */
export function llmJudge(chat: Chat, domain: Pick<Domain, "policy">, options: LlmJudgeOptions = {}): Judge {
  const { tries = 3, deadlineMs = 300_000, repeat = 0 } = options;

  async function ask(rollout: Rollout, signal: AbortSignal): Promise<Judgement> {
    const messages: ChatMessage[] = [...question(domain, rollout)];
    let abstained = "invalid";
    for (let attempt = 0; attempt < tries; attempt++) {
      const seed = derive("judge", repeat, attempt);
      const { text, cut, refused } = await chat.complete(messages, { seed, schema: SCHEMA, label: "judge", signal });
      const verdict = cut ? "it was cut off at its token limit" : readVerdict(text, rollout.turns);
      if (typeof verdict !== "string") return verdict;
      abstained = refused ? "refused" : "invalid";
      messages.push(
        { role: "assistant", text: encode(text.slice(0, SHOWN_CHARS)) }, // it may quote what the agent wrote
        { role: "user", text: `This verdict cannot be used: ${verdict}. Judge the conversation again.` },
      );
    }
    return { scores: null, reasons: [], abstained };
  }

  return {
    name: chat.model,
    async judge(rollout, outer) {
      if (faulty(rollout.ending)) return { scores: null, reasons: [] };
      if (rollout.turns === 0) return { scores: [], reasons: [] };
      const deadline = new AbortController();
      const expire = () => deadline.abort();
      const timer = setTimeout(expire, deadlineMs);
      outer?.addEventListener("abort", expire, { once: true });
      if (outer?.aborted) expire();
      try {
        return await ask(rollout, deadline.signal);
      } catch (error) {
        const abstained = outer?.aborted ? "aborted" : deadline.signal.aborted ? "timeout" : kindOf(error);
        return { scores: null, reasons: [], abstained };
      } finally {
        clearTimeout(timer);
        outer?.removeEventListener("abort", expire);
      }
    },
  };
}

/** What an abstention is counted as; what is no failure of a server is a bug of ours and goes on. */
function kindOf(error: unknown): string {
  if (error instanceof BudgetError) return "budget";
  if (error instanceof ChatError) return error.kind;
  throw error;
}
