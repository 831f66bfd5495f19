// A model behind an API as the agent of a conversation: the talk so far as messages with tools, its answer as a turn that
// is read like the policy's own. Not the policy: it has no tokens and learns nothing. Test: test/unit/llm-agent.test.ts

import type { Chat, ChatMessage } from "../chat.ts";
import { derive } from "../random.ts";
import type { AgentTurn, Domain, Entry } from "../types.ts";
import { parseApart } from "./parse.ts";

/**
 * The agent of one conversation; it sees all tools of the domain, whatever its prompt holds for a policy. Rejects where
 * the model gives no answer, which is a fault of the conversation and no turn.
 */
export function chatAgent(
  chat: Chat,
  { policy, tools }: Pick<Domain, "policy" | "tools">,
  seed: number,
  signal?: AbortSignal,
): (transcript: readonly Entry[]) => Promise<AgentTurn> {
  const turns: AgentTurn[] = [];
  return async (transcript) => {
    const messages = messagesOf(policy, transcript, turns);
    const question = { tools, seed: derive(seed, "agent", turns.length), label: "agent", signal };
    const { text, calls, cut } = await chat.complete(messages, question);
    const turn = parseApart(text, calls, cut);
    turns.push(turn);
    return turn;
  };
}

/** The talk as the model sees it. `turns`: its own, as it wrote them; calls that ran are told one after the other. */
export function messagesOf(
  policy: string,
  transcript: readonly Entry[],
  turns: readonly AgentTurn[],
): readonly ChatMessage[] {
  const nth = (i: number) =>
    i - transcript.findIndex((other) => other.role !== "user" && other.turn === turnOf(transcript[i]));
  return [{ role: "system", text: policy }, ...transcript.flatMap((entry, i) => wordsOf(entry, turns, nth(i)))];
}

function turnOf(entry: Entry): number {
  return entry.role === "user" ? -1 : entry.turn;
}

/** `nth`: which entry of its turn it is. */
function wordsOf(entry: Entry, turns: readonly AgentTurn[], nth: number): ChatMessage[] {
  if (entry.role === "user") return [{ role: "user", text: entry.text }];
  if (entry.role === "agent") return [{ role: "assistant", text: entry.text }];
  const { text, calls } = turns[entry.turn];
  if (calls.length > 0)
    return [
      { role: "assistant", text: nth === 0 ? text : "", call: calls[nth] },
      { role: "tool", text: entry.observation },
    ];
  // Broken calls are told as text: servers refuse a request that holds one, and an answer of a tool without its call.
  return [
    { role: "assistant", text: text || "(no message)" },
    { role: "user", text: entry.observation },
  ];
}
