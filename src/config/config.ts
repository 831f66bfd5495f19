// Every option of training in one table: type, default, unit, what it does, and where its default comes from. The schema,
// the presets, `Config` and --help are made from this table. Not the reader of argv: that is src/cli/.
// Sources: "paper" is arXiv:2509.14480, "ours" a choice of this project, "measured" a choice with figures in docs/log.md.
// Test: test/unit/config.test.ts

import { z } from "zod";
import { UsageError } from "../errors.ts";
import { contradiction } from "./contradictions.ts";
import { variants } from "./presets.ts";

interface Kind<T> {
  readonly schema: z.ZodType<T>;
  /** Completes "expected ...". */
  readonly expects: string;
  /** How a value is written on the command line. */
  readonly written: "number" | "flag" | "text";
}

export interface Option<T = unknown> extends Kind<T> {
  /** Value of the preset "embedded". */
  readonly default: T;
  /** Value of the preset "paper", where it differs. */
  readonly paper?: T;
  readonly unit: string;
  readonly help: string;
  readonly source: "paper" | "ours" | "measured";
}

const whole = (min: number, max = 2 ** 31 - 1): Kind<number> => ({
  schema: z.int().min(min).max(max),
  expects: `a whole number from ${min} to ${max}`,
  written: "number",
});
const number = (min: number, max = Infinity): Kind<number> => ({
  schema: z.number().min(min).max(max),
  expects: max === Infinity ? `a number of at least ${min}` : `a number from ${min} to ${max}`,
  written: "number",
});
const above = (min: number): Kind<number> => ({
  schema: z.number().gt(min),
  expects: `a number above ${min}`,
  written: "number",
});
/** Lower ones than 1e-6 make logits that are no fp32 numbers (native/core/sampler.h). */
const coldest = 1e-6;
const temperature: Kind<number> = {
  schema: z.literal(0).or(z.number().min(coldest)),
  expects: `0, or a number of at least ${coldest}`,
  written: "number",
};
const choice = <const T extends string>(...names: T[]): Kind<T> & { readonly unit: string } => ({
  unit: names.join("|"),
  schema: z.enum(names) as z.ZodType<T>,
  expects: names.join(" or "),
  written: "text",
});
const flag = { schema: z.boolean(), expects: "true or false", written: "flag", unit: "true/false" } as const;
const text = (expects: string): Kind<string> => ({ schema: z.string().min(1), expects, written: "text" });
const prices: Kind<string> = {
  schema: z.string().regex(/^\d+(\.\d+)?,\d+(\.\d+)?$/),
  expects: 'two prices with a comma between them, such as "0.15,0.6"',
  written: "text",
};

/** Kind, default, unit, what it does, source, and the paper's value where it is another one. */
function option<T>(
  kind: Kind<T> & { readonly unit?: string },
  value: NoInfer<T>,
  unit: string,
  help: string,
  source: Option["source"],
  paper?: NoInfer<T>,
): Option<T> {
  return { ...kind, default: value, unit: kind.unit ?? unit, help, source, ...(paper === undefined ? {} : { paper }) };
}

export const optionGroups = {
  "The run": {
    seed: option(whole(0, 2 ** 32 - 1), 1, "seed", "decides tasks, sampling and order", "ours"),
    steps: option(whole(1), 40, "updates", "length of the run", "measured", 300),
    saveEvery: option(whole(1), 5, "updates", "distance between checkpoints", "ours", 20),
    keep: option(whole(1), 2, "checkpoints", "how many stay on disk", "ours"),
    saveRollouts: option(flag, true, "", "write every rollout to rollouts/", "ours"),
  },
  "The policy": {
    model: option(
      text("a folder in HF format, ORG/NAME of the Hugging Face hub, or embedded"),
      "embedded",
      "folder|ORG/NAME[@REVISION]",
      "the policy to start from",
      "ours",
    ),
    format: option(
      choice("auto", "append", "strip", "template"),
      "auto",
      "",
      "chat format: Qwen3's with earlier thoughts kept or stripped, the model's own template; auto: as it was trained",
      "ours",
    ),
    device: option(
      choice("auto", "cpu", "cuda"),
      "auto",
      "",
      "where it computes; auto takes a GPU if there is one",
      "ours",
    ),
    dtype: option(
      choice("fp32", "bf16"),
      "bf16",
      "",
      "type of the weights in use; master weights are fp32",
      "measured",
    ),
    threads: option(whole(0, 1024), 0, "threads", "CPU threads; 0 takes every core", "ours"),
    kernels: option(choice("on", "off"), "on", "", "ours; off takes plain libtorch, their slow reference", "ours"),
    batchInvariant: option(
      choice("auto", "on", "off"),
      "auto",
      "",
      "bits of a conversation do not depend on its company; our CPU kernels always are so, on refuses what is not",
      "ours",
    ),
    loraRank: option(whole(0, 65_536), 0, "rank", "learn an adapter of this rank alone (LoRA); 0 learns all", "ours"),
    loraAlpha: option(above(0), 32, "number", "what it adds is multiplied by this over its rank", "ours"),
    loraTargets: option(
      text("all, attention, mlp, or names such as q_proj,v_proj"),
      "all",
      "names",
      "linear layers that have an adapter: all, attention, mlp, or names with commas between them",
      "ours",
    ),
  },
  Tasks: {
    tasks: option(
      text("generated, or the path of a task set"),
      "generated",
      "path",
      "where tasks come from: drawn by the domain, or a folder or .jsonl file of them",
      "ours",
    ),
    domain: option(
      text("the name of a domain, or a folder that holds one"),
      "shop",
      "name",
      "backend application that is played; with a slash: a folder of your own",
      "ours",
      "retail",
    ),
    profile: option(
      text("a profile of the domain"),
      "default",
      "name",
      "whose rules it follows; default is its first one",
      "ours",
    ),
    families: option(
      text("families, separated by commas, or all"),
      "all",
      "names",
      "task families to draw from",
      "ours",
    ),
    refuseShare: option(number(0, 1), 0.15, "share", "most tasks in which nothing may be written", "ours"),
    trainDatabases: option(whole(1, 900_000), 100_000, "databases", "seeds that training tasks are drawn from", "ours"),
    tasksPerStep: option(whole(1, 65_536), 12, "tasks", "tasks of one update", "ours", 32),
    samples: option(whole(1, 4096), 8, "rollouts", "rollouts of one task", "ours", 4),
  },
  Mix: {
    mix: option(
      text("none, the name of a domain, or the path of a task set"),
      "none",
      "name|path",
      "tasks of another kind that some updates are made of: a domain's own, or a set's",
      "paper",
    ),
    mixEvery: option(whole(2), 2, "updates", "every so many updates one is of those tasks", "ours"),
    mixControl: option(flag, false, "", "leave those updates out: the run that a mixed one is compared with", "ours"),
    mixEvalTasks: option(whole(0), 100, "tasks", "held-out tasks of that kind, before and after; 0 is off", "ours"),
  },
  Conversations: {
    turns: option(whole(1, 1000), 14, "turns", "most turns of the agent", "ours", 30),
    turnTokens: option(whole(1), 96, "tokens", "most tokens of one turn", "ours", 1024),
    promptTokens: option(whole(1), 256, "tokens", "longest prompt", "ours", 4096),
    contextTokens: option(whole(2), 768, "tokens", "most tokens of one conversation", "ours", 32_768),
    invalidInRow: option(whole(1), 3, "turns", "unusable turns in a row that end a conversation", "ours"),
    concurrent: option(whole(1, 65_536), 128, "conversations", "most conversations at once", "ours"),
    ahead: option(
      choice("auto", "on", "off"),
      "auto",
      "",
      "play the next update's conversations, with the weights from before this one, while this one's are judged; auto: where a model judges",
      "ours",
    ),
    temperature: option(number(coldest), 1, "divisor of logits", "sampling temperature", "ours", 0.7),
    topP: option(number(0.01, 1), 1, "mass", "nucleus sampling; below 1 it biases the ratio", "ours", 0.95),
    topK: option(whole(0), 0, "tokens", "sample from the k most likely; 0 is off", "ours"),
    minP: option(number(0, 1), 0, "share", "least probability against the most likely token; 0 is off", "ours"),
    calls: option(
      choice("profile", "first", "all"),
      "profile",
      "",
      "which of several calls in one turn run; profile: only the first, as in tau-bench, but all of them under tau2",
      "ours",
    ),
    checkOutputs: option(
      choice("profile", "on", "off"),
      "profile",
      "",
      "does success need the expected outputs to be said; profile: as the domain's profile has it",
      "ours",
      "off",
    ),
  },
  Customers: {
    user: option(choice("scripted", "llm"), "scripted", "", "who plays the customer", "ours"),
    disturbances: option(number(0, 1), 0, "share", "conversations that a scripted customer disturbs", "ours"),
    userModel: option(
      text("the name of a model"),
      "none",
      "name",
      "model behind an API that plays the customer",
      "ours",
    ),
    userUrl: option(
      text("an http or https address"),
      "environment",
      "URL",
      "its server; environment: OPENAI_BASE_URL, or OpenAI's own",
      "ours",
    ),
    // As tau-bench leaves it: the server's default.
    userTemperature: option(number(0, 2), 1, "divisor of logits", "its sampling temperature", "ours"),
    userPrices: option(prices, "0,0", "dollars", "what a million tokens in and out cost, for --budget", "ours"),
    budget: option(
      number(0),
      0,
      "dollars",
      "most that customers and agents behind an API may cost; 0 is no limit; the judge has --judge-budget",
      "ours",
    ),
    cache: option(
      text("a folder"),
      "none",
      "folder",
      "keeps answers of models: the same question is asked once",
      "ours",
    ),
    apiTimeout: option(whole(1, 3600), 120, "seconds", "longest wait for one answer of such a model", "ours"),
    apiRetries: option(whole(0, 100), 4, "tries", "further tries where a server fails", "ours"),
  },
  Rewards: {
    tarl: option(flag, false, "", "add the judge's turn scores to the outcome", "paper", true),
    credit: option(choice("trajectory", "turn"), "trajectory", "", "where TARL's reward is put", "paper"),
    outcomeWeight: option(number(0), 10, "reward", "weight of the outcome", "paper"),
    turnsWeight: option(number(0), 5, "reward", "weight of the share of correct turns", "paper"),
    majorWeight: option(number(0), 5, "reward", "cost of a major deviation", "paper"),
    conflict: option(
      choice("trust-verifier", "keep"),
      "trust-verifier",
      "",
      "success with a major deviation: drop the -1, or keep it",
      "ours",
    ),
    abstain: option(
      choice("outcome", "drop"),
      "outcome",
      "",
      "rollouts without a verdict: outcome alone, or left out",
      "ours",
    ),
  },
  Judge: {
    judge: option(choice("rules", "llm"), "rules", "", "who scores the turns: the domain's rules, or a model", "ours"),
    judgeModel: option(text("the name of a model"), "none", "name", "model behind an API that judges", "ours"),
    judgeUrl: option(
      text("an http or https address"),
      "environment",
      "URL",
      "its server; environment: OPENAI_BASE_URL, or OpenAI's own",
      "ours",
    ),
    judgeTemperature: option(number(0, 2), 0, "divisor of logits", "its sampling temperature", "ours"),
    judgePrices: option(prices, "0,0", "dollars", "what a million of its tokens in and out cost", "ours"),
    judgeTries: option(whole(1, 20), 3, "verdicts", "asked for on one rollout until one is valid", "ours"),
    judgeDeadline: option(whole(1, 3600), 300, "seconds", "longest wait for the verdict on one rollout", "ours"),
    judgeConcurrent: option(whole(1, 10_000), 128, "requests", "most of them at once", "ours"),
    judgeRate: option(number(0), 0, "requests per minute", "most of them that are begun; 0 is no limit", "ours"),
    judgeBudget: option(number(0), 0, "dollars", "most that it may cost, then it abstains; 0 is no limit", "ours"),
    judgeTokens: option(
      whole(0, 2 ** 53 - 1),
      0,
      "tokens",
      "most tokens in and out, then it abstains; 0 is no limit",
      "ours",
    ),
    reflection: option(
      whole(0, 10),
      0,
      "times",
      "the rules hold a major deviation back before it is acted on, and ask to think again, so often; 0 is off",
      "paper",
    ),
  },
  Algorithm: {
    algo: option(
      choice("grpo", "ppo", "rloo", "spo", "reinforce++", "reinforce++-baseline"),
      "grpo",
      "",
      "how advantages are made (docs/algorithms.md)",
      "paper",
    ),
    std: option(
      choice("sample", "population", "batch", "none"),
      "sample",
      "",
      "what GRPO divides by; none is Dr. GRPO",
      "ours",
    ),
    stdEps: option(above(0), 1e-6, "reward", "added to that divisor", "ours"),
    whiten: option(flag, true, "", "advantages of mean 0 and deviation 1; GRPO and RLOO have none of it", "ours"),
    gamma: option(number(0, 1), 1, "per token", "discount of later rewards, or of later turns", "ours"),
    gae: option(choice("token", "turn", "bilevel"), "token", "", "steps of PPO's estimate", "ours"),
    lambda: option(number(0, 1), 1, "per step", "PPO's trust in rewards over values", "ours"),
    gammaTurn: option(number(0, 1), 1, "per turn", "discount between turns, for --gae bilevel", "ours"),
    critic: option(choice("own", "shared"), "own", "", "PPO's critic: a trunk of its own, or the policy's", "ours"),
    criticLr: option(above(0), 3e-4, "per update", "its learning rate, with a trunk of its own", "ours", 1e-5),
    valueClip: option(number(0), 0.5, "reward", "most that a value may move in an update; 0 is off", "ours"),
    valueCoef: option(number(0), 1, "weight", "weight of the value loss, with a shared critic", "ours"),
    spoPool: option(whole(1, 1_000_000), 512, "tasks", "tasks that SPO draws from and keeps track of", "ours"),
    // SPO's own code (verl-recipe, spo_ray_trainer.py), the next five.
    spoHalfLife: option(above(0), 0.06, "nats", "mean change of log-probs that halves what SPO knows", "ours"),
    spoRhoMin: option(number(0, 0.999), 0.875, "share", "least that is kept of it at a visit", "ours"),
    spoRhoMax: option(number(0, 1), 0.96, "share", "most that is kept of it at a visit", "ours"),
    spoExplore: option(above(0), 0.05, "weight", "added to the weight that a task is drawn with", "ours"),
    spoPower: option(number(0), 0, "power", "power of the visits that this weight is divided by", "ours"),
    dynamicSampling: option(flag, false, "", "draw tasks until enough groups have success and failure", "ours"),
    maxDraws: option(
      whole(1, 1000),
      10,
      "draws",
      "of tasks for one update, at the most, with --dynamic-sampling",
      "ours",
    ),
    overlongBuffer: option(whole(0), 0, "tokens", "part of the context in which length costs; 0 is off", "ours"),
    overlongFactor: option(above(0), 1, "reward", "what a full context costs", "ours"),
    epochs: option(whole(1, 100), 1, "passes", "passes over the same rollouts", "ours"),
    miniBatches: option(whole(1, 1000), 1, "steps", "optimizer steps of one pass, each over whole groups", "ours"),
    aggregation: option(
      choice("token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm"),
      "token-mean",
      "",
      "how token losses become one",
      "ours",
    ),
    ratio: option(
      choice("token", "sequence", "product", "none"),
      "token",
      "",
      "importance ratio; sequence is GSPO",
      "ours",
    ),
    clipLow: option(number(0, 1), 0.2, "ratio", "lower clip", "ours"),
    clipHigh: option(number(0), 0.2, "ratio", "upper clip", "ours"),
    dualClip: option(number(0), 0, "ratio", "dual clip, above 1; 0 is off", "ours"),
    klCoef: option(number(0), 0.02, "weight", "weight of the KL to the starting policy; 0 is off", "measured", 0.001),
    klIn: option(choice("loss", "reward"), "loss", "", "where that KL is", "ours"),
    klKind: option(
      choice("k1", "k2", "k3", "abs", "k1+", "k3+", "k3_is", "k3_score"),
      "k3",
      "",
      "its estimator (docs/math.md)",
      "ours",
    ),
    klClamp: option(number(0), 10, "nats", "largest k3 of a token; 0 is off", "ours"),
    entropyCoef: option(number(0), 0, "weight", "weight of the entropy bonus; 0 is off", "paper"),
    tis: option(
      choice("off", "token", "sequence"),
      "off",
      "",
      "weigh tokens by the trainer's probability over the sampler's, where their bits differ",
      "ours",
    ),
    tisCap: option(above(0), 2, "weight", "largest such weight", "ours"),
    tisLow: option(number(0), 0, "weight", "least such weight", "ours"),
    tisMode: option(choice("clamp", "mask"), "clamp", "", "weights beyond them: the bound, or 0", "ours"),
    tisNorm: option(flag, false, "", "divide these weights by their mean", "ours"),
  },
  Optimizer: {
    optimizer: option(choice("adamw", "muon"), "adamw", "", "which optimizer", "ours"),
    lr: option(above(0), 1.2e-4, "per update", "learning rate", "measured", 1e-6),
    warmup: option(whole(0), 10, "updates", "linear rise of the learning rate", "measured", 0),
    decay: option(
      choice("none", "linear", "cosine"),
      "linear",
      "",
      "fall of the learning rate to 0 after it",
      "measured",
      "none",
    ),
    beta1: option(number(0, 0.999999), 0.9, "share kept", "Adam's first moment", "ours"),
    beta2: option(number(0, 0.999999), 0.999, "share kept", "Adam's second moment", "ours"),
    eps: option(above(0), 1e-8, "gradient", "Adam's epsilon", "ours"),
    weightDecay: option(number(0), 0, "per update and lr", "decoupled weight decay of matrices", "ours"),
    muonScale: option(above(0), 1, "share", "learning rate of Muon's matrices as a share of lr", "ours"),
    decayVectors: option(flag, false, "", "decay norms and biases too", "ours"),
    maxGradNorm: option(number(0), 1, "L2 norm", "gradient clip; 0 is off", "ours"),
  },
  Memory: {
    memory: option(number(0), 0, "GB", "memory of the device that it may use; 0 is what is free", "ours"),
    microTokens: option(
      whole(1),
      4096,
      "tokens",
      "tokens that are learned from at once; a longer row is alone",
      "ours",
    ),
    recompute: option(
      choice("auto", "on", "off"),
      "auto",
      "",
      "compute layers again in backward in place of keeping them; auto: where memory is short",
      "ours",
    ),
    moments: option(choice("fp32", "8bit"), "fp32", "", "how the optimizer keeps its moments", "ours"),
    master: option(
      choice("fp32", "split", "none"),
      "fp32",
      "",
      "what bf16 weights are rounded from: an fp32 copy, its 16 bits that they lack, or nothing (stochastic rounding)",
      "ours",
    ),
  },
  Evaluation: {
    evalTasks: option(
      whole(0),
      200,
      "tasks",
      "held-out tasks, before and after; 0 is off; of a set: its first ones, without it all",
      "ours",
    ),
    evalSplit: option(
      text("the name of a split"),
      "auto",
      "name",
      "split of a set that is measured; auto: held-out, test or dev, else the only one",
      "ours",
    ),
    trials: option(whole(1, 1000), 4, "trials", "conversations about each of them", "ours"),
    evalEvery: option(whole(0), 0, "updates", "distance between evaluations in between; 0 is none", "ours"),
    evalSeed: option(whole(0, 2 ** 32 - 1), 0, "seed", "decides the held-out tasks", "ours"),
    evalTemperature: option(temperature, 1, "divisor of logits", "its sampling temperature; 0 is greedy", "ours"),
  },
} as const;

type Groups = typeof optionGroups;
type Flat = { [Group in keyof Groups]: Groups[Group] }[keyof Groups];
type Keys = Flat extends infer Each ? (Each extends unknown ? keyof Each : never) : never;
type ValueOf<K> = Flat extends infer Each ? (Each extends { [k in K & string]: Option<infer T> } ? T : never) : never;

/** Every option with a value: what a run is a function of. */
export type Config = { readonly [K in Keys]: ValueOf<K> };

export const options = Object.assign({}, ...Object.values(optionGroups)) as { readonly [K in Keys]: Option<Config[K]> };
const schema = z.strictObject(Object.fromEntries(Object.entries(options).map(([key, { schema }]) => [key, schema])));

/** Presets that are whole; those that are partial are in presets.ts. */
export const presets = {
  embedded: Object.fromEntries(Object.entries(options).map(([key, { default: value }]) => [key, value])),
  paper: Object.fromEntries(Object.entries(options).map(([key, each]) => [key, each.paper ?? each.default])),
} as { readonly embedded: Config; readonly paper: Config };

/** Names that --preset takes; several have commas between them. */
export const presetNames = [...Object.keys(presets), ...Object.keys(variants)];

/**
 * What a list of presets stands for, "paper,dapo": later over earlier, over embedded where the first is not whole. `base`
 * is the one that is whole.
 */
export function layered(list: string): { readonly base: keyof typeof presets; readonly values: Config } {
  const [first, ...rest] = list.split(",").map((name) => name.trim());
  const whole = (name: string): name is keyof typeof presets => Object.hasOwn(presets, name);
  const base = whole(first) ? first : "embedded";
  let values = presets[base];
  for (const name of whole(first) ? rest : [first, ...rest]) {
    if (whole(name)) throw new UsageError(`--preset ${list}: ${name} is whole, expected it first`);
    if (!Object.hasOwn(variants, name)) throw new UsageError(`--preset ${name}: expected ${presetNames.join(", ")}`);
    values = { ...values, ...variants[name](values) };
  }
  return { base, values };
}

/** Values that somebody gave, and how to name one of them in a message ("--lr", "run.json: lr"). */
export interface Given {
  readonly values: { readonly [key: string]: unknown };
  readonly label: (key: string) => string;
}

/**
 * The preset, or several with commas between them, with what was given laid over it, later over earlier. Anything that is
 * unknown, of a wrong type, not a number or contradictory is a UsageError of one line.
 */
export function resolveConfig(preset: string, ...given: readonly Given[]): Config {
  const merged: Record<string, unknown> = { ...layered(preset).values };
  for (const { values, label } of given)
    for (const [key, value] of Object.entries(values)) {
      if (!Object.hasOwn(options, key)) throw new UsageError(`${label(key)}: no such option${similar(key)}`);
      const option: Option = options[key as keyof Config];
      if (!option.schema.safeParse(value).success)
        throw new UsageError(`${label(key)} ${show(value)}: expected ${option.expects}`);
      merged[key] = value;
    }
  const config = schema.parse(merged) as unknown as Config;
  const changed = (key: keyof Config) => ![options[key].default, options[key].paper].includes(config[key]);
  const problem = contradiction(config, { changed, flagName });
  const named = Object.hasOwn(presets, preset) ? "" : ` (with --preset ${preset})`;
  if (problem) throw new UsageError(problem + named);
  return config;
}

/** Reads a value as it is typed on the command line; what cannot be read stays text, for `resolveConfig` to refuse. */
export function fromText(key: string, typed: unknown): unknown {
  if (!Object.hasOwn(options, key) || typeof typed !== "string") return typed;
  const { written } = options[key as keyof Config];
  if (written === "number" && typed.trim() !== "" && Number.isFinite(Number(typed))) return Number(typed);
  if (written === "flag" && (typed === "true" || typed === "false")) return typed === "true";
  return typed;
}

/** "--top-p" for topP. */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The families that a config names; empty for all of them. */
export function familyNames(config: Config): string[] {
  return config.families === "all" ? [] : config.families.split(",").map((name) => name.trim());
}

/**
 * Are the next update's conversations played while the verdicts on this one's are awaited? By itself only where a model
 * judges, and where the ratio, or importance sampling, tells what they were sampled with; SPO measures its own updates
 * on them.
 */
export function playsAhead({ ahead, judge, algo, ratio, tis }: Config): boolean {
  return (
    ahead === "on" || (ahead === "auto" && judge === "llm" && algo !== "spo" && (ratio !== "none" || tis !== "off"))
  );
}

/** Dollars for a million tokens, as `userPrices` writes them. */
export function readPrices(written: string): { readonly input: number; readonly output: number } {
  const [input, output] = written.split(",").map(Number);
  return { input, output };
}

function similar(key: string): string {
  const plain = (name: string) => name.toLowerCase().replaceAll(/[-_]/g, "");
  const near = Object.keys(options).find((name) => plain(name) === plain(key));
  return near ? `; did you mean ${near}?` : "";
}

function show(value: unknown): string {
  return typeof value === "number" || (typeof value === "string" && value !== "")
    ? `${value}`
    : `${JSON.stringify(value)}`;
}
