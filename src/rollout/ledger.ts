// Writes the ledger of one conversation while it happens: which ids, and who wrote them. Loss masks come from here
// and from nowhere else. Not a place for text: tokens come in as they were sampled and are never encoded again.
// Test: test/unit/collect.test.ts

import type { Ledger } from "../types.ts";

export class LedgerWriter {
  readonly #ids: number[] = [];
  readonly #mask: number[] = [];
  readonly #logp: number[] = [];
  readonly #turn: number[] = [];
  #turns = 0;

  /** Tokens so far. */
  get length(): number {
    return this.#ids.length;
  }

  /** Turns of the policy so far. */
  get turns(): number {
    return this.#turns;
  }

  /** Tokens that the environment wrote: in the context, never in the loss. */
  environment(ids: ArrayLike<number>): void {
    for (let i = 0; i < ids.length; i++) this.#push(ids[i], 0, 0, -1);
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
    };
  }

  #push(id: number, mask: number, logp: number, turn: number): void {
    this.#ids.push(id);
    this.#mask.push(mask);
    this.#logp.push(logp);
    this.#turn.push(turn);
  }
}
