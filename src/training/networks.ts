// The networks of a run beside each other: the policy, the reference that a KL is taken to, the critic. What they say of
// the tokens of rollouts, and one update of those that learn. Which numbers are learned from is the business of
// algorithms/. Test: test/e2e/algorithms.test.ts

import { cut, lay } from "../batch.ts";
import type { Config } from "../config/config.ts";
import { openReference, type Table } from "../play.ts";
import { criticOf, criticOptimizer, lossOptions, optimizerOptions, valueOptions } from "../settings.ts";
import type { Batch, Ledger, Scorer, StepStats } from "../types.ts";

/** What networks say of the tokens of one rollout, [N] each; absent where nothing asks for it. */
export interface Said {
  /** Log-probs of the reference. */
  readonly refLogp?: Float32Array;
  /** The policy's own log-probs before the update, where they are to be told from the sampler's. */
  readonly ownLogp?: Float32Array;
  /** The critic's values. */
  readonly values?: Float32Array;
}

type Reader = (ids: Int32Array, rows: Int32Array) => Promise<Float32Array>;

export class Networks {
  private constructor(
    private readonly config: Config,
    private readonly table: Table,
    private readonly reference: Scorer | null,
  ) {}

  /** Policy and critic are the table's. */
  static async open(config: Config, table: Table): Promise<Networks> {
    return new Networks(config, table, config.klCoef > 0 ? await openReference(config, table) : null);
  }

  /** Of each ledger, in their order. */
  async read(ledgers: readonly Ledger[]): Promise<Said[]> {
    const { config } = this;
    const { policy, critic } = this.table;
    const said = {
      ...(this.reference && { refLogp: await this.#each(ledgers, this.#logp(this.reference)) }),
      ...(config.tis !== "off" && { ownLogp: await this.#each(ledgers, this.#logp(policy)) }),
      ...(criticOf(config) && {
        values: await this.#each(ledgers, (...rows) => (critic ?? policy).values!(...rows)),
      }),
    };
    return ledgers.map((_, i) => Object.fromEntries(Object.entries(said).map(([name, all]) => [name, all[i]])));
  }

  /** The policy's log-probs of each ledger as it is now, [N] each. */
  logp(ledgers: readonly Ledger[]): Promise<Float32Array[]> {
    return this.#each(ledgers, this.#logp(this.table.policy));
  }

  /** One optimizer step of all that learns. `step` counts the updates before this one. */
  async learn(batch: Batch, step: number): Promise<StepStats> {
    const { config } = this;
    const { policy, critic } = this.table;
    const [loss, optimizer] = [lossOptions(config), optimizerOptions(config, step)];
    if (!critic) return policy.step(batch, loss, optimizer);
    const { values, ...own } = batch;
    const stats = await policy.step(own, loss, optimizer);
    const { ids, rows, weight } = batch;
    const target = { ids, rows, weight, values: values! };
    const found = await critic.step(target, valueOptions(config), criticOptimizer(config, step));
    const { valueLoss, valueClipped, valueExplained } = found;
    return { ...stats, valueLoss, valueClipped, valueExplained };
  }

  async dispose(): Promise<void> {
    await this.reference?.dispose();
  }

  #logp(scorer: Scorer): Reader {
    return async (ids, rows) => (await scorer.score(ids, rows, this.config.temperature)).logp;
  }

  async #each(ledgers: readonly Ledger[], read: Reader): Promise<Float32Array[]> {
    const laid = lay(ledgers);
    return cut(await read(laid.ids, laid.rows), laid);
  }
}
