// How much better each rollout was than the others of its group: one number per rollout, or one per turn.
// Not what a rollout was worth (reward.ts), nor which tokens learn from it (batch.ts).
// Test: test/unit/advantage.test.ts, test/golden/algorithms.test.ts

export interface AdvantageOptions {
  /** What a reward is compared with: the mean of its group, or the mean of the others in it. */
  readonly baseline: "group-mean" | "leave-one-out";
  /** What the difference is divided by, plus `eps`: the group's deviation over n-1 or n, the batch's over n-1, or 1. */
  readonly std: "sample" | "population" | "batch" | "none";
  readonly eps: number;
  /** A group of one: no advantage, or its own reward over a deviation of 1 (a convention that golden cases know). */
  readonly singleton: "zero" | "raw";
}

export const algorithms = {
  /** GRPO section 4.1.2 (arXiv:2402.03300): A = (R - mean) / (std + eps). */
  grpo: { baseline: "group-mean", std: "sample", eps: 1e-6, singleton: "zero" },
  /** RLOO (arXiv:2402.14740): A = R - mean of the others. */
  rloo: { baseline: "leave-one-out", std: "none", eps: 0, singleton: "zero" },
} as const satisfies Record<string, AdvantageOptions>;

export interface Advantages<Group> {
  /** One per rollout, in the order of the rewards. */
  readonly values: readonly number[];
  /** Groups whose rewards are all equal (exact comparison): they teach nothing. */
  readonly flat: readonly Group[];
}

/** Advantage of each rollout; `groups[i]` names the group that rollout i belongs to (attempts at one task). */
export function advantages<Group>(
  rewards: readonly number[],
  groups: readonly Group[],
  { baseline, std, eps, singleton }: AdvantageOptions,
): Advantages<Group> {
  const values = new Array<number>(rewards.length).fill(0);
  const flat: Group[] = [];
  const all = std === "batch" ? deviation(rewards, "sample") : 0;

  for (const [group, members] of indicesBy(groups)) {
    const own = members.map((i) => rewards[i]);
    const n = own.length;
    if (isFlat(own)) {
      flat.push(group);
      if (n === 1 && singleton === "raw") values[members[0]] = std === "none" ? own[0] : own[0] / (1 + eps);
      continue;
    }
    const scale = std === "none" ? 1 : (std === "batch" ? all : deviation(own, std)) + eps;
    // R - mean of the others = (R - mean) n / (n - 1)
    const others = baseline === "leave-one-out" ? n / (n - 1) : 1;
    const center = mean(own);
    for (const i of members) values[i] = ((rewards[i] - center) * others) / scale;
  }
  return { values, flat };
}

export interface TurnAdvantageOptions {
  readonly std: "sample" | "population";
  readonly eps: number;
  readonly gamma: number;
}

/**
 * Advantage of each turn: `values[i][k]` for turn k of rollout i, given its share of the reward `perTurn[i][k]`.
 * GRPO with process supervision, section 4.1.3 (arXiv:2402.03300): the shares of all turns of a group are normalised
 * together, whatever their position, and a turn gets the sum of its own and the later ones, discounted by `gamma`.
 * A rollout without shares (unjudged) takes no part.
 */
export function turnAdvantages<Group>(
  perTurn: readonly (readonly number[])[],
  groups: readonly Group[],
  { std, eps, gamma }: TurnAdvantageOptions,
): { values: readonly (readonly number[])[]; flat: readonly Group[] } {
  const values: (readonly number[])[] = perTurn.map((shares) => shares.map(() => 0));
  const flat: Group[] = [];
  for (const [group, members] of indicesBy(groups)) {
    const all = members.flatMap((i) => perTurn[i]);
    if (isFlat(all)) {
      flat.push(group);
      continue;
    }
    const center = mean(all);
    const scale = deviation(all, std) + eps;
    for (const i of members) {
      const own = perTurn[i].map((share) => (share - center) / scale);
      for (let k = own.length - 2; k >= 0; k--) own[k] += gamma * own[k + 1];
      values[i] = own;
    }
  }
  return { values, flat };
}

/** The advantage of each token, [N], given that of each turn; `turn` is the ledger's. 0 where there is none. */
export function spreadTurns(turnValues: readonly number[], turn: Int16Array): Float64Array {
  return Float64Array.from(turn, (k) => turnValues[k] ?? 0);
}

/** Exact: the mean of equal floats can be off by one bit, which a small deviation would blow up to a whole advantage. */
function isFlat(values: readonly number[]): boolean {
  return values.every((value) => value === values[0]);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values: readonly number[], kind: "sample" | "population"): number {
  const center = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
  return Math.sqrt(squares / (kind === "sample" ? values.length - 1 : values.length));
}

function indicesBy<Group>(groups: readonly Group[]): Map<Group, number[]> {
  const members = new Map<Group, number[]>();
  for (const [i, group] of groups.entries()) {
    const list = members.get(group);
    if (list) list.push(i);
    else members.set(group, [i]);
  }
  return members;
}
