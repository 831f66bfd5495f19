// Combinations of options that make no sense, and what is said about them. Not the checks of single values: config.ts.
// Test: test/unit/config.test.ts

import type { Config } from "./config.ts";

/** What the rules have to know of the table. */
export interface Table {
  /** Is the option's value another one than the whole presets have? */
  readonly changed: (key: keyof Config) => boolean;
  readonly flagName: (key: keyof Config) => string;
}

/** What is wrong with a config as a whole; undefined where nothing is. */
export function contradiction(config: Config, table: Table): string | undefined {
  return contradictions.find(([holds]) => holds(config, table))?.[1](config, table);
}

const contradictions: readonly [(c: Config, table: Table) => boolean, (c: Config, table: Table) => string][] = [
  [
    (c) => isGrouped(c) && c.samples < 2,
    (c) => `--samples ${c.samples} with --algo ${c.algo}: a group needs at least 2 rollouts`,
  ],
  [
    (c) => c.algo === "spo" && c.samples !== 1,
    (c) => `--samples ${c.samples} with --algo spo: expected 1, it compares a rollout with what it expects of the task`,
  ],
  [
    (c) => c.algo === "spo" && c.spoPool < c.tasksPerStep,
    (c) => `--spo-pool ${c.spoPool} with --tasks-per-step ${c.tasksPerStep}: expected at least as many`,
  ],
  [
    (c) => c.spoRhoMin > c.spoRhoMax,
    (c) => `--spo-rho-min ${c.spoRhoMin} with --spo-rho-max ${c.spoRhoMax}: expected no more`,
  ],
  [(c) => c.credit === "turn" && !c.tarl, () => "--credit turn without --tarl: only TARL scores turns"],
  [
    (c) => c.credit === "turn" && !["grpo", "ppo", "reinforce++"].includes(c.algo),
    (c) => `--credit turn with --algo ${c.algo}: only GRPO, PPO and REINFORCE++ credit turns`,
  ],
  [
    (c) => c.credit === "turn" && c.algo === "grpo" && (c.std === "batch" || c.std === "none"),
    (c) => `--credit turn with --std ${c.std}: expected sample or population`,
  ],
  [
    (c) => c.credit === "turn" && c.algo === "grpo" && c.klIn === "reward" && c.klCoef > 0,
    () => "--credit turn with --kl-in reward: the shares of turns have no place for it under GRPO",
  ],
  [
    (c) => c.algo !== "grpo" && c.std !== "sample",
    (c) => `--std ${c.std} with --algo ${c.algo}: it divides by nothing`,
  ],
  [
    (c) => isOfRow(c.ratio) && (c.credit === "turn" || c.algo === "ppo" || c.tis === "token"),
    (c) =>
      `${c.credit === "turn" ? "--credit turn" : c.algo === "ppo" ? "--algo ppo" : "--tis token"} with --ratio ${c.ratio}: a sequence ratio needs one advantage for the whole rollout`,
  ],
  [
    (c) => isOfRow(c.ratio) && c.algo === "reinforce++" && (c.gamma < 1 || (c.klIn === "reward" && c.klCoef > 0)),
    (c) =>
      `${c.gamma < 1 ? `--gamma ${c.gamma}` : "--kl-in reward"} with --ratio ${c.ratio}: a sequence ratio needs one advantage for the whole rollout`,
  ],
  [
    (c) => c.klIn === "reward" && ["k1+", "k3+", "k3_is", "k3_score"].includes(c.klKind),
    (c) => `--kl-kind ${c.klKind} with --kl-in reward: expected k1, k2, k3 or abs, it differs in its slope alone`,
  ],
  [
    (c) => c.dynamicSampling && !isGrouped(c),
    (c) => `--dynamic-sampling with --algo ${c.algo}: it has no groups to keep or to leave out`,
  ],
  [
    (c) => c.overlongBuffer >= c.contextTokens,
    (c) => `--overlong-buffer ${c.overlongBuffer} with --context-tokens ${c.contextTokens}: expected a part of them`,
  ],
  [
    (c) => c.ratio === "none" && c.tis === "off" && c.ahead === "on",
    () => "--ahead on with --ratio none: nothing corrects for conversations that are played ahead; expected --tis",
  ],
  [(c) => c.tisLow > c.tisCap, (c) => `--tis-low ${c.tisLow} with --tis-cap ${c.tisCap}: expected no more`],
  [
    (c, table) => idle(c, table) !== undefined,
    (c, table) => {
      const [key, owner] = idle(c, table)!;
      const value = c[key] === true ? "" : ` ${c[key]}`;
      return `${table.flagName(key)}${value} without ${owner}: it would do nothing`;
    },
  ],
  [
    (c) => c.miniBatches > c.tasksPerStep,
    (c) => `--mini-batches ${c.miniBatches} with --tasks-per-step ${c.tasksPerStep}: a part needs a task`,
  ],
  [
    (c) => c.algo === "spo" && c.ahead === "on",
    () => "--ahead on with --algo spo: what an update changes is measured on rollouts of the weights before it",
  ],
  [(c) => c.abstain === "drop" && !c.tarl, () => "--abstain drop without --tarl: the judge's verdict is not used"],
  [(c) => c.dualClip > 0 && c.dualClip <= 1, (c) => `--dual-clip ${c.dualClip}: expected 0 (off) or more than 1`],
  [
    (c) => c.promptTokens >= c.contextTokens,
    (c) =>
      `--prompt-tokens ${c.promptTokens} with --context-tokens ${c.contextTokens}: a conversation needs room after its prompt`,
  ],
  [(c) => c.user === "llm" && c.userModel === "none", () => "--user llm without --user-model: expected its name"],
  [
    (c, table) => c.user === "scripted" && ofModel(table) !== undefined,
    (_, table) => `${table.flagName(ofModel(table)!)} with --user scripted: only a customer that is a model has it`,
  ],
  [(c) => c.judge === "llm" && c.judgeModel === "none", () => "--judge llm without --judge-model: expected its name"],
  [(c) => c.judge === "llm" && !c.tarl, () => "--judge llm without --tarl: only TARL learns from its scores"],
  [
    (c) => c.budget > 0 && c.judge === "llm" && c.user === "scripted",
    (c) => `--budget ${c.budget} with --judge llm: it is for customers; expected --judge-budget`,
  ],
  [
    (c, { changed }) => c.judgeBudget > 0 && !changed("judgePrices"),
    (c) => `--judge-budget ${c.judgeBudget} without --judge-prices: expected the prices of its tokens`,
  ],
  [
    (c) => c.judgeRate > 0 && (60 * c.tasksPerStep * c.samples) / c.judgeRate > c.judgeDeadline,
    (c) =>
      `--judge-rate ${c.judgeRate} with --judge-deadline ${c.judgeDeadline}: the ${c.tasksPerStep * c.samples} verdicts of an update take longer`,
  ],
  [
    (c) => c.user === "llm" && c.disturbances > 0,
    (c) => `--disturbances ${c.disturbances} with --user llm: only the scripted customer has them`,
  ],
  [
    (c) => c.master !== "fp32" && c.dtype === "fp32",
    (c) => `--master ${c.master} with --dtype fp32: only weights in bf16 are rounded from one`,
  ],
  [
    (c) => c.loraRank > 0 && c.optimizer === "muon",
    () => "--optimizer muon with --lora-rank: an adapter's matrices are learned by adamw",
  ],
  [
    (c) => c.loraRank > 0 && c.algo === "ppo" && c.critic === "shared",
    () => "--critic shared with --lora-rank: its head would read weights that are not learned; expected --critic own",
  ],
  [
    (c, { changed }) => c.loraRank === 0 && (changed("loraTargets") || changed("loraAlpha")),
    (_, { changed }) =>
      `${changed("loraTargets") ? "--lora-targets" : "--lora-alpha"} without --lora-rank: there is no adapter`,
  ],
  [
    (c, { changed }) => c.mix === "none" && (c.mixControl || changed("mixEvery") || changed("mixEvalTasks")),
    (c, { changed }) =>
      `${c.mixControl ? "--mix-control" : changed("mixEvery") ? `--mix-every ${c.mixEvery}` : `--mix-eval-tasks ${c.mixEvalTasks}`} without --mix: there are no other tasks`,
  ],
  [
    (c) => c.mix === c.domain && c.tasks === "generated",
    (c) => `--mix ${c.mix} with --domain ${c.domain}: expected other tasks`,
  ],
  [
    (c) => c.mix !== "none" && c.mixEvery > c.steps,
    (c) => `--mix-every ${c.mixEvery} with --steps ${c.steps}: no update is of the other tasks`,
  ],
  [
    (c) => c.evalEvery > 0 && c.evalTasks === 0,
    (c) => `--eval-every ${c.evalEvery} with --eval-tasks 0: nothing to measure`,
  ],
];

/** Algorithms that compare the attempts at one task. */
function isGrouped({ algo }: Config): boolean {
  return algo === "grpo" || algo === "rloo" || algo === "reinforce++-baseline";
}

function isOfRow(ratio: Config["ratio"]): boolean {
  return ratio === "sequence" || ratio === "product";
}

/** Options that only something else reads, what that is, and whether it is asked for. */
const owned: readonly [owner: string, asked: (c: Config) => boolean, keys: readonly (keyof Config)[]][] = [
  ["--algo ppo", (c) => c.algo === "ppo", ["gae", "lambda", "critic", "criticLr", "valueClip", "valueCoef"]],
  ["--critic own", (c) => c.critic === "own", ["criticLr"]],
  ["--critic shared", (c) => c.critic === "shared", ["valueCoef"]],
  ["--gae bilevel", (c) => c.gae === "bilevel", ["gammaTurn"]],
  [
    "--algo ppo, --algo reinforce++ or --credit turn",
    (c) => c.algo === "ppo" || c.algo === "reinforce++" || c.credit === "turn",
    ["gamma"],
  ],
  ["--algo grpo", (c) => c.algo === "grpo", ["stdEps"]],
  ["a --std to divide by", (c) => c.std !== "none", ["stdEps"]],
  ["an --algo that whitens", (c) => c.algo !== "grpo" && c.algo !== "rloo", ["whiten"]],
  ["a --ratio", (c) => c.ratio !== "none", ["clipLow", "clipHigh", "dualClip"]],
  [
    "--kl-coef and --kl-kind k3, k3+ or k3_score",
    (c) => c.klCoef > 0 && ["k3", "k3+", "k3_score"].includes(c.klKind),
    ["klClamp"],
  ],
  [
    "--algo spo",
    (c) => c.algo === "spo",
    ["spoPool", "spoHalfLife", "spoRhoMin", "spoRhoMax", "spoExplore", "spoPower"],
  ],
  [
    "--judge llm",
    (c) => c.judge === "llm",
    [
      "judgeModel",
      "judgeUrl",
      "judgeTemperature",
      "judgePrices",
      "judgeTries",
      "judgeDeadline",
      "judgeConcurrent",
      "judgeRate",
      "judgeBudget",
      "judgeTokens",
    ],
  ],
  ["--dynamic-sampling", (c) => c.dynamicSampling, ["maxDraws"]],
  ["--overlong-buffer", (c) => c.overlongBuffer > 0, ["overlongFactor"]],
  ["--optimizer muon", (c) => c.optimizer === "muon", ["muonScale"]],
  ["--weight-decay", (c) => c.weightDecay > 0, ["decayVectors"]],
  ["--tis", (c) => c.tis !== "off", ["tisCap", "tisLow", "tisMode", "tisNorm"]],
];

/** The first option that somebody changed and nothing reads, and what would read it. */
function idle(c: Config, { changed }: Table): [key: keyof Config, owner: string] | undefined {
  for (const [owner, asked, keys] of owned) {
    const key = asked(c) ? undefined : keys.find(changed);
    if (key) return [key, owner];
  }
  return undefined;
}

/** The first option in use that is for customers played by a model. */
function ofModel({ changed }: Table): keyof Config | undefined {
  return (["userModel", "userUrl", "userTemperature", "userPrices"] as const).find(changed);
}
