// A recorded dialogue as the ledger of a conversation: who said which token, as if the policy had played the agent. Nothing
// is played, and nothing is known of what was right. Test: test/unit/recite.test.ts

import type { Dialogue, Format, Ledger, Reply } from "../types.ts";
import { LedgerWriter } from "./ledger.ts";

/**
 * The dialogue up to the last turn of the agent with which it has at most `length` tokens; log-probs are 0. Null where not
 * even the agent's first turn fits.
 */
export function recite({ system, tools, turns }: Dialogue, format: Format, length: number): Ledger | null {
  const ledger = new LedgerWriter();
  let heard: Reply["messages"][number][] = [];
  for (const turn of turns) {
    if (turn.role !== "agent") {
      heard.push(turn);
      continue;
    }
    const before = ledger.turns
      ? format.between({ messages: heard, ending: null }, true)
      : format.prompt(system, tools, heard[0].text);
    const said = format.turn({ ...turn, invalid: null });
    if (ledger.length + before.length + said.length > length) break;
    ledger.environment(before);
    ledger.policy(said, null);
    heard = [];
  }
  return ledger.turns ? ledger.finish() : null;
}
