// Synthesizes a task set: draws tasks of a domain's families over many databases, proves every one, and keeps those that
// are good and unlike all others. Not how a task is made (the domain's), nor what makes one good (gates.ts), nor the
// files (tasks/set.ts). Test: test/unit/synthesize.test.ts

import { UsageError } from "./errors.ts";
import { Proof } from "./gates.ts";
import { Random } from "./random.ts";
import { type Databases, heldOutDatabases, type Mix, mix, systematic, trainDatabases } from "./tasks/sampler.ts";
import type { Draft } from "./tasks/set.ts";
import type { Domain, Task } from "./types.ts";

export interface Synthesis {
  readonly seed: number;
  /** Tasks of all splits. */
  readonly count: number;
  /** Share of them (0 to 1) on databases that training never sees. */
  readonly heldOut: number;
  /** Empty: all of the domain's. */
  readonly families: readonly string[];
  /** Most tasks in which nothing may be written, as a share. */
  readonly refuseShare: number;
  /** Databases that training tasks are drawn from. */
  readonly trainDatabases: number;
}

/** Databases that held-out tasks are drawn from: more than evaluations use, so that two sets have little in common. */
const HELD_OUT = 100_000;
/** Draws in a row without a task of use before a family is given up. */
const MAX_DRAWS = 1000;

/** What `writeSet` makes a folder of; a function of the options. `tell`: tasks so far. Throws UsageErrors. */
export async function synthesize(
  domain: Domain,
  options: Synthesis,
  tell: (done: number) => void = () => {},
): Promise<Draft<Task>> {
  const { seed, count, heldOut, families, refuseShare } = options;
  const apart = Math.round(count * heldOut);
  const counts: Readonly<Record<string, [Databases, number]>> = {
    train: [trainDatabases(options.trainDatabases), count - apart],
    "held-out": [heldOutDatabases(HELD_OUT), apart],
  };
  const shares = mix(domain, families, refuseShare);
  const choice = new Choice(domain);
  const splits: { [split: string]: Task[] } = {};
  for (const [split, [databases, some]] of Object.entries(counts))
    if (some > 0) {
      const random = new Random("synthesize", seed, split);
      splits[split] = random.shuffle(await drawSplit(choice, shares, databases, some, random, tell));
    }
  const { proof, rejected } = choice;
  const gates = Object.entries(proof.report().gates).map(([name, { checked, failed }]) => [name, { checked, failed }]);
  return {
    kind: "tasks",
    domain: domain.name,
    profile: domain.profile,
    source: "synthesize",
    seed,
    splits,
    synthesis: {
      heldOut,
      refuseShare,
      wordings: tally(Object.values(splits).flat().flatMap(wordingOf)),
      gates: Object.fromEntries(gates),
      rejected: Object.fromEntries(rejected),
    },
  };
}

/** The tasks that are good enough, and why others were not. */
class Choice {
  readonly proof: Proof;
  readonly rejected = new Map<string, number>();
  readonly #seen = new Set<string>();
  #taken = 0;

  constructor(readonly domain: Domain) {
    this.proof = new Proof(domain);
  }

  get taken(): number {
    return this.#taken;
  }

  /** Is it like none before it, and proven? Two tasks with one opening and one truth are one, whatever they are played on. */
  async takes(task: Task): Promise<boolean> {
    const words = JSON.stringify([task.scenario.opening, task.actions]);
    const why = this.#seen.has(words) ? "different" : (await this.proof.add(task))[0]?.gate;
    this.#seen.add(words);
    if (why === undefined) this.#taken++;
    else this.rejected.set(why, (this.rejected.get(why) ?? 0) + 1);
    return why === undefined;
  }
}

/**
 * Database after database gives its next task to each family that lacks some, so that one is open at a time; after the
 * last one the first is asked again.
 */
async function drawSplit(
  choice: Choice,
  shares: Mix,
  { first, count: size }: Databases,
  count: number,
  random: Random,
  tell: (done: number) => void,
): Promise<Task[]> {
  const { domain } = choice;
  const left = new Map(Object.entries(tally(systematic(shares, count, random.float()))));
  const misses = new Map<string, number>();
  const seeds = random.shuffle(Array.from({ length: size }, (_, i) => first + i));
  const tasks: Task[] = [];
  for (let index = 0; left.size > 0; index++)
    for (const seed of seeds)
      for (const [family, lacking] of left) {
        const task = domain.task(family, seed, index);
        const missed = misses.get(family) ?? 0;
        if (task && (await choice.takes(task))) {
          tasks.push(task);
          misses.set(family, 0);
          if (lacking > 1) left.set(family, lacking - 1);
          else left.delete(family);
          tell(choice.taken);
        } else if (missed < MAX_DRAWS) misses.set(family, missed + 1);
        else throw new UsageError(tooFew(choice, family, lacking, { first, count: size }));
      }
  return tasks;
}

function tooFew({ domain, rejected }: Choice, family: string, lacking: number, { first, count }: Databases): string {
  const why = [...rejected].map(([gate, times]) => `${gate} ${times}`).join(", ");
  return (
    `${domain.name} has too few ${family} tasks on databases ${first} to ${first + count - 1}: ${lacking} more were ` +
    `wanted${why ? `; left out so far: ${why}` : ""}`
  );
}

function wordingOf({ scenario: { wording } }: Task): string[] {
  if (!wording) return [];
  const { easy, hard } = wording;
  return [easy && hard ? "both" : easy ? "easy" : hard ? "hard" : "neither"];
}

function tally(names: readonly string[]): { [name: string]: number } {
  const counts: { [name: string]: number } = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
