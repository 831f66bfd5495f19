// Writes the ledger of one conversation while it happens: which ids, and who wrote them. Loss masks come from here
// and from nowhere else. Not a place for text: tokens come in as they were sampled and are never encoded again.
// Test: test/unit/collect.test.ts

import type { Heard, Ledger } from "../types.ts";

export class LedgerWriter {
  readonly #ids: number[] = [];
  readonly #mask: number[] = [];
  readonly #logp: number[] = [];
  readonly #turn: number[] = [];
  /** Where rows begin. */
  readonly #starts: number[] = [0];
  #turns = 0;

  /** Tokens of the context: of the row that is being written. */
  get length(): number {
    return this.#ids.length - this.#starts.at(-1)!;
  }

  /** Turns of the policy so far. */
  get turns(): number {
    return this.#turns;
  }

  /** Tokens that the environment wrote: in the context, never in the loss. */
  environment(ids: ArrayLike<number>): void {
    for (let i = 0; i < ids.length; i++) this.#push(ids[i], 0, 0, -1);
  }

  /** What the agent reads next: appended, or the start of a new row. */
  heard({ ids, anew }: Heard): void {
    if (anew) this.#starts.push(this.#ids.length);
    this.environment(ids);
  }

  /** One turn of the policy. `logp` null: nobody sampled it (a demonstration). */
  policy(ids: ArrayLike<number>, logp: ArrayLike<number> | null): void {
    for (let i = 0; i < ids.length; i++) this.#push(ids[i], 1, logp ? logp[i] : 0, this.#turns);
    this.#turns++;
  }

  finish(): Ledger {
    return {
      ids: Int32Array.from(this.#ids),
      mask: Uint8Array.from(this.#mask),
      logp: Float32Array.from(this.#logp),
      turn: Int16Array.from(this.#turn),
      ...(this.#starts.length > 1 && { rows: Int32Array.of(...this.#starts, this.#ids.length) }),
    };
  }

  #push(id: number, mask: number, logp: number, turn: number): void {
    this.#ids.push(id);
    this.#mask.push(mask);
    this.#logp.push(logp);
    this.#turn.push(turn);
  }
}
