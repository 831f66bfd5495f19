// A recorded dialogue as the ledger of a conversation: who said which token, as if the policy had played the agent. Nothing
// is played, and nothing is known of what was right. Test: test/unit/recite.test.ts

import type { Dialogue, Format, Heard, Ledger, Reply, Script } from "../types.ts";
import { LedgerWriter } from "./ledger.ts";

/**
 * The dialogue up to the last turn of the agent with which it has at most `length` tokens; log-probs are 0. Null where not
 * even the agent's first turn fits.
 */
export function recite({ system, tools, turns }: Dialogue, format: Format, length: number): Ledger | null {
  const ledger = new LedgerWriter();
  let heard: Reply["messages"][number][] = [];
  let script: Script | null = null;
  let last: readonly number[] = [];
  for (const turn of turns) {
    if (turn.role !== "agent") {
      heard.push(turn);
      continue;
    }
    let before: Heard;
    if (script) before = script.next(last, { messages: heard, ending: null });
    else {
      script = format.open(system, tools, heard[0].text);
      before = { ids: script.prompt, anew: false };
    }
    const said = format.turn({ ...turn, invalid: null });
    if ((before.anew ? 0 : ledger.length) + before.ids.length + said.length > length) break;
    ledger.heard(before);
    ledger.policy(said, null);
    last = said;
    heard = [];
  }
  return ledger.turns ? ledger.finish() : null;
}
