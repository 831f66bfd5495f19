// What talking with a model took, and when it is enough: counts, prices and limits. No requests.
// Test: test/unit/llm.test.ts

import type { Bill, Chat } from "../chat.ts";
import { BudgetError, type ChatErrorKind, UsageError } from "../errors.ts";
import type { Usage } from "./wire.ts";

/** Most of each; what is not given is not limited. Requests that were under way when it was spent are still paid. */
export interface Budget {
  readonly dollars?: number;
  /** Requests, repeated ones included. */
  readonly calls?: number;
  /** Input and output together. */
  readonly tokens?: number;
}

/** Dollars for a million tokens. */
export interface Prices {
  readonly input: number;
  readonly output: number;
}

export interface Counts {
  /** Requests sent, repeated ones included. */
  readonly calls: number;
  /** Those of them that repeated one that had failed. */
  readonly retries: number;
  /** Requests that failed, by kind. */
  readonly failures: { readonly [kind in ChatErrorKind]?: number };
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly dollars: number;
  /** Answers out of the cache. */
  readonly cached: number;
  /** Answers that could not be written to the cache. */
  readonly unkept: number;
}

export class Ledger {
  readonly nothing: Bill = { calls: 0, inputTokens: 0, outputTokens: 0, dollars: 0 };
  readonly #budget: Budget;
  readonly #prices: Prices;
  readonly #failures: { [kind in ChatErrorKind]?: number } = {};
  readonly #sums = { calls: 0, retries: 0, inputTokens: 0, outputTokens: 0, dollars: 0, cached: 0, unkept: 0 };

  constructor(budget: Budget = {}, prices?: Prices) {
    for (const [name, value] of Object.entries({ ...budget, ...prices }))
      if (value !== undefined && (!Number.isFinite(value) || value < 0))
        throw new UsageError(`${name} ${value}: expected a number from 0 on`);
    if (budget.dollars !== undefined && !prices)
      throw new UsageError(`a budget of ${budget.dollars} dollars: expected the prices of tokens beside it`);
    this.#budget = budget;
    this.#prices = prices ?? { input: 0, output: 0 };
  }

  /** Before a request. Throws where the budget is spent. */
  begin(repeated: boolean): void {
    const spent = this.spent();
    if (spent) throw spent;
    this.#sums.calls++;
    if (repeated) this.#sums.retries++;
  }

  fail(kind: ChatErrorKind): void {
    this.#failures[kind] = (this.#failures[kind] ?? 0) + 1;
  }

  pay({ inputTokens, outputTokens }: Usage): Bill {
    const dollars = (inputTokens * this.#prices.input + outputTokens * this.#prices.output) / 1e6;
    this.#sums.inputTokens += inputTokens;
    this.#sums.outputTokens += outputTokens;
    this.#sums.dollars += dollars;
    return { calls: 1, inputTokens, outputTokens, dollars };
  }

  cached(): void {
    this.#sums.cached++;
  }

  unkept(): void {
    this.#sums.unkept++;
  }

  counts(): Counts {
    return { ...this.#sums, failures: { ...this.#failures } };
  }

  spent(): BudgetError | null {
    const { calls, inputTokens, outputTokens, dollars } = this.#sums;
    const spent = { dollars, calls, tokens: inputTokens + outputTokens };
    for (const [name, limit] of Object.entries(this.#budget))
      if (spent[name as keyof Budget] >= limit)
        return new BudgetError(`the budget of ${limit} ${name} is spent (${+spent[name as keyof Budget].toFixed(4)})`);
    return null;
  }
}

/** A chat that adds up what passes through it: one for each conversation, over one that all share. */
export function metered(chat: Chat): Chat & { bill(): Bill } {
  let sum: Bill = { calls: 0, inputTokens: 0, outputTokens: 0, dollars: 0 };
  return {
    model: chat.model,
    async complete(messages, options) {
      const completion = await chat.complete(messages, options);
      const { calls, inputTokens, outputTokens, dollars } = completion.bill;
      sum = {
        calls: sum.calls + calls,
        inputTokens: sum.inputTokens + inputTokens,
        outputTokens: sum.outputTokens + outputTokens,
        dollars: sum.dollars + dollars,
      };
      return completion;
    },
    bill: () => sum,
  };
}
