// Plays whole conversations of scripted agents for the tests: the real session, the real scripted user, no tokens.

import { Session, type SessionOptions } from "../src/sandbox/session.ts";
import type { AgentTurn, Domain, Entry, Habits, Rollout, Task, User } from "../src/types.ts";
import { ScriptedUser } from "../src/user/scripted.ts";

export type Agent = (transcript: readonly Entry[]) => AgentTurn;

export const oracle: Habits = { skipsLookup: 0, skipsConfirmation: 0, wrongChoice: 0, ignoresRules: 0, recovers: 0 };

export const say = (text: string): AgentTurn => ({ text, calls: [], invalid: null });
export const call = (name: string, args: unknown): AgentTurn => ({
  text: "",
  calls: [{ name, arguments: typeof args === "string" ? args : JSON.stringify(args) }],
  invalid: null,
});

/** What an agent that only ever says the same does. */
export const always =
  (turn: AgentTurn): Agent =>
  () =>
    turn;

/** Turns one after the other, then an agent. */
export function first(turns: readonly AgentTurn[], then: Agent): Agent {
  let next = 0;
  return (transcript) => (next < turns.length ? turns[next++] : then(transcript));
}

/** `count` turns of an agent, then others. */
export function cutShort(agent: Agent, count: number, then: Agent): Agent {
  let played = 0;
  return (transcript) => (played++ < count ? agent(transcript) : then(transcript));
}

/** `adds` is what the customer says at the end of each message, unheard by the script. */
export async function playTalk(
  domain: Domain,
  task: Task,
  agent: Agent,
  seed = 0,
  options: Partial<SessionOptions> = {},
  adds = "",
): Promise<Rollout> {
  const scripted = new ScriptedUser(domain, task, seed);
  const user: User = {
    open: async () => `${await scripted.open()}${adds}`,
    reply: async (message) => {
      const { text, done } = await scripted.reply(message);
      return { text: `${text}${adds}`, done };
    },
  };
  const session = new Session(domain, task, user, options);
  await session.start();
  let turns = 0;
  for (;;) {
    turns++;
    const { ending } = await session.act(agent(session.transcript));
    if (!ending) continue;
    const empty = { ids: new Int32Array(), mask: new Uint8Array(), logp: new Float32Array(), turn: new Int16Array() };
    const { transcript } = session;
    return { task, sample: 0, seed, ledger: empty, turns, transcript, ending, outcome: session.outcome() };
  }
}

/** The first `count` tasks of each family over databases from `seed` on, one of a family and database. */
export function someTasks(domain: Domain, count: number, seed = 1): Task[] {
  return domain.families.flatMap((family) => {
    const tasks: Task[] = [];
    for (let database = seed; tasks.length < count; database++) {
      const task = domain.task(family, database, 0);
      if (task) tasks.push(task);
    }
    return tasks;
  });
}
