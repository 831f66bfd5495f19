// One sandbox for one conversation: its own state, its user, its limits. Takes the agent's turns, runs its calls and
// answers with what the environment says. Nothing that an agent writes makes it throw. Not a judge of what was said.
// Test: test/unit/session.test.ts, test/unit/hostile.test.ts

import { Store } from "../domains/store.ts";
import { callTool, openCall } from "../domains/tool.ts";
import type {
  AgentTurn,
  Call,
  Domain,
  Ending,
  Entry,
  InvalidReason,
  Outcome,
  Reply,
  Task,
  Tool,
  User,
  WrittenCall,
} from "../types.ts";
import { verify } from "./verify.ts";

export interface SessionOptions {
  /** Turns of the agent, calls and messages together; after as many the talk is over (tau-bench: 30). */
  readonly turns: number;
  /** Turns in a row that could not be acted on. */
  readonly invalidInRow: number;
  /** Characters of one message or of one call's arguments. */
  readonly chars: number;
  /** Does success ask for the task's outputs as well (the tau-bench profile)? */
  readonly checkOutputs: boolean;
  /** Does every call of a turn run, in order, until one ends the talk? Else only the first, as in tau-bench. */
  readonly everyCall?: boolean;
}

export const sessionDefaults: SessionOptions = { turns: 30, invalidInRow: 3, chars: 20_000, checkOutputs: false };

/** Characters of a turn that could not be acted on which the transcript keeps. */
const KEPT_CHARS = 500;

export class Session {
  readonly store: Store;
  readonly transcript: Entry[] = [];
  /** Why the talk is over; null while it goes on. */
  ending: Ending | null = null;
  /** Message of the user's error, where `ending` is "user-fault". */
  error?: string;
  /** What the domain's `grade` found of the agent's message; absent where none was graded. */
  graded?: boolean;
  readonly #options: SessionOptions;
  #turns = 0;
  #invalidInRow = 0;

  constructor(
    readonly domain: Domain,
    readonly task: Task,
    readonly user: User,
    options: Partial<SessionOptions> = {},
  ) {
    this.store = new Store(domain.database(task.database));
    this.#options = { ...sessionDefaults, ...options };
  }

  /** What the agent reads before its first turn. Rejects when the user cannot open the talk. */
  async start(): Promise<{ readonly system: string; readonly tools: readonly Tool[]; readonly user: string }> {
    const { policy, tools, toolsInPrompt } = this.domain;
    const text = await this.#ask(() => this.user.open());
    if (text === null) throw new Error(this.error);
    this.transcript.push({ role: "user", text });
    return { system: policy, tools: toolsInPrompt ? tools : [], user: text };
  }

  /**
   * Acts on one turn. As in tau-bench text beside a call does not reach the customer. Throws only when the talk is already
   * over.
   */
  async act(turn: AgentTurn): Promise<Reply> {
    const messages = await this.#answer(turn, this.#next());
    if (!this.ending && this.#invalidInRow >= this.#options.invalidInRow) this.ending = "invalid-limit";
    return this.#reply(messages);
  }

  /** Takes one turn without acting on it; the agent reads `observation` and speaks again. Throws as `act` does. */
  hold({ text, calls: [call] }: AgentTurn, observation: string): Reply {
    const said = call ? `${call.name} ${call.arguments}` : text;
    return this.#reply([this.#refuse(said, this.#next(), "reflected", observation)]);
  }

  outcome(): Outcome {
    return verify(this, this.#options.checkOutputs);
  }

  /** The number of the turn that begins. */
  #next(): number {
    if (this.ending) throw new Error(`the talk is over (${this.ending})`);
    return this.#turns++;
  }

  #reply(messages: Reply["messages"]): Reply {
    if (!this.ending && this.#turns >= this.#options.turns) this.ending = "turn-limit";
    return this.ending ? { messages: [], ending: this.ending } : { messages, ending: null };
  }

  async #answer(turn: AgentTurn, number: number): Promise<Reply["messages"]> {
    const fail = (reason: InvalidReason, observation: string) => [this.#refuse(turn.text, number, reason, observation)];
    this.#invalidInRow++;
    if (turn.invalid) return fail(turn.invalid.reason, turn.invalid.observation);
    if (turn.calls.length === 0) {
      if (turn.text.trim() === "") return fail("empty", "Error: empty turn");
      if (turn.text.length > this.#options.chars) return fail("too-long", "Error: message too long");
      return [await this.#say(turn.text, number)];
    }
    const replies: Reply["messages"][number][] = [];
    for (const call of this.#options.everyCall ? turn.calls : turn.calls.slice(0, 1)) {
      replies.push(this.#call(call, number));
      if (this.ending) break;
    }
    return replies;
  }

  #call(written: WrittenCall, number: number): Reply["messages"][number] {
    const text = `${written.name} ${written.arguments}`;
    if (written.arguments.length > this.#options.chars)
      return this.#refuse(text, number, "too-long", "Error: arguments too long");
    const opened = openCall(this.domain, written);
    if (opened.reason) return this.#refuse(text, number, opened.reason, opened.observation);
    return this.#run(opened.tool, opened.call, number);
  }

  #refuse(text: string, number: number, reason: InvalidReason, observation: string): Reply["messages"][number] {
    this.transcript.push({ role: "invalid", turn: number, text: text.slice(0, KEPT_CHARS), reason, observation });
    return { role: "tool", text: observation };
  }

  #run(tool: Tool, call: Call, turn: number): Reply["messages"][number] {
    this.#invalidInRow = 0;
    const { observation, failed, fault, crashed } = callTool(tool, this.store, call.arguments);
    const wrote = tool.writes && !failed;
    this.transcript.push({ role: "tool", turn, call, observation, failed, wrote, ...(fault && { fault }) });
    if (crashed) this.ending = "tool-crash";
    else if (tool.ends) this.ending = "tool-end";
    return { role: "tool", text: observation };
  }

  async #say(text: string, turn: number): Promise<Reply["messages"][number]> {
    this.#invalidInRow = 0;
    this.transcript.push({ role: "agent", turn, text });
    if (this.domain.grade) {
      this.graded = await this.domain.grade(this.task, text);
      this.ending = "user-stop";
      return { role: "user", text: "" };
    }
    let done = false;
    const answer = await this.#ask(async () => {
      const reply = await this.user.reply(text);
      done = reply.done;
      return reply.text;
    });
    if (answer !== null) this.transcript.push({ role: "user", text: answer });
    if (done) this.ending = "user-stop";
    return { role: "user", text: answer ?? "" };
  }

  /** What the user says, or null and the ending "user-fault". */
  async #ask(say: () => Promise<string>): Promise<string | null> {
    try {
      return await say();
    } catch (error) {
      this.ending = "user-fault";
      this.error = error instanceof Error ? error.message : String(error);
      return null;
    }
  }
}
