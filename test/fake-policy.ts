// A policy for tests that need no engine: it says again what scripted agents said, token by token, and counts its steps.

import { derive } from "../src/random.ts";
import type { Attempt } from "../src/rollout/collect.ts";
import type {
  Batch,
  Conversation,
  Generation,
  Ledger,
  LossOptions,
  OptimizerOptions,
  Policy,
  StepStats,
} from "../src/types.ts";

/** Everything that a step was given. */
export interface Step {
  readonly batch: Batch;
  readonly loss: LossOptions;
  readonly optimizer: OptimizerOptions;
}

export class FakePolicy implements Policy {
  readonly vocabSize = 0x110100;
  readonly contextLength: number;
  readonly batchInvariant = true;
  readonly steps: Step[] = [];
  /** Conversations that are open at the moment, and the most there were. */
  open_ = 0;
  most = 0;
  readonly #ledgers = new Map<number, Ledger>();

  constructor(contextLength = 1 << 20) {
    this.contextLength = contextLength;
  }

  /** From now on the conversation of this attempt is what the ledger holds. */
  learn(attempt: Attempt, ledger: Ledger): void {
    this.#ledgers.set(derive(attempt.seed, "policy"), ledger);
  }

  open(ids: ArrayLike<number>, seed: number): Conversation {
    const ledger = this.#ledgers.get(seed);
    if (!ledger) throw new Error(`nothing was learnt for seed ${seed}`);
    this.most = Math.max(this.most, ++this.open_);
    const own = Array.from(ids);
    const contextLength = this.contextLength;
    return {
      get length() {
        return own.length;
      },
      append: (more) => void own.push(...Array.from(more)),
      async generate({ maxTokens, stopIds }, signal): Promise<Generation> {
        await new Promise((resolve) => setTimeout(resolve, seed % 5));
        if (signal?.aborted) return { ids: new Int32Array(0), logp: new Float32Array(0), ended: "aborted" };
        const from = own.length;
        if (ledger.ids.subarray(0, from).some((id, t) => id !== own[t]))
          throw new Error("the talk took another course");
        let to = from;
        while (to < ledger.ids.length && ledger.turn[to] === ledger.turn[from] && to - from < maxTokens) to++;
        const said = ledger.ids.slice(from, to);
        own.push(...said);
        const stopped = stopIds.includes(said.at(-1)!);
        const ended = stopped ? "stop" : own.length >= contextLength ? "context" : "length";
        return { ids: said, logp: Float32Array.from(said, (id) => -1 / (1 + (id % 7))), ended };
      },
      fork: () => {
        throw new Error("not needed");
      },
      close: () => void this.open_--,
    };
  }

  async score(ids: Int32Array) {
    return {
      logp: new Float32Array(ids.length).fill(-0.5),
      entropy: new Float32Array(ids.length),
      top1: new Int32Array(ids.length),
    };
  }

  async step(batch: Batch, loss: LossOptions, optimizer: OptimizerOptions): Promise<StepStats> {
    this.steps.push({ batch, loss, optimizer });
    return {
      loss: 1 / this.steps.length,
      pgLoss: 0,
      klLoss: 0,
      kl: 0,
      entropy: 0,
      approxKl: 0,
      ratio: 1,
      clipLow: 0,
      clipHigh: 0,
      dualClip: 0,
      mismatch: 0,
      valueLoss: 0,
      valueClipped: 0,
      valueExplained: 0,
      gradNorm: 1,
      tokens: batch.ids.length,
      computedTokens: batch.ids.length,
      lossTokens: batch.weight.filter((weight) => weight > 0).length,
    };
  }

  async save(): Promise<void> {}
  async dispose(): Promise<void> {}
}
