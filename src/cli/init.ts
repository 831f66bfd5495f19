// `tarl init`: a policy with random weights, of any shape, with the tokenizer of another model or one learnt from a domain.

import { copyFileSync, existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Argv, CommandModule } from "yargs";
import { domain as findDomain } from "../domains/index.ts";
import { UsageError } from "../errors.ts";
import { type ModelConfig, parameterShapes } from "../policy/model.ts";
import type { Tokenizer } from "../policy/tokenizer.ts";
import { described, jsonOption, realNumber, wholeNumber } from "./options.ts";

/** Whole numbers: default (that of the embedded policy), least, what it is, unit. */
const SIZES = {
  layers: [4, 1, "decoder layers", "layers"],
  hidden: [256, 2, "width of the residual stream", "channels"],
  heads: [4, 1, "query heads", "heads"],
  "kv-heads": [4, 1, "key-value heads; they divide the query heads", "heads"],
  "head-dim": [64, 2, "channels of one head; even", "channels"],
  ffn: [768, 1, "width of the feed-forward", "channels"],
  positions: [2048, 2, "longest conversation", "tokens"],
  vocab: [1408, 1, "most ids that are learnt, or rows of the embedding with --tokenizer", "ids"],
  demonstrations: [4000, 1, "conversations that a tokenizer is learnt from", "conversations"],
  seed: [1, 0, "decides weights and demonstrations", "seed"],
} as const;

/** Real numbers above 0: default, what it is, unit. */
const NUMBERS = {
  "rope-theta": [1e4, "base of the rotary angles", "number"],
  "norm-eps": [1e-6, "epsilon of the norms", "mean square"],
  std: [0.005, "standard deviation of the matrices", "weight"],
} as const;

interface Options {
  readonly out: string;
  readonly domain: string | undefined;
  readonly tokenizer: string | undefined;
  readonly tied: boolean | undefined;
  readonly json: boolean | undefined;
  readonly [size: string]: unknown;
}

export default {
  command: "init",
  describe: "Write a policy with random weights, of any shape",
  builder: (yargs: Argv) => {
    yargs
      .option("out", {
        ...described("folder to write, in HF format", "folder", "none, it is required"),
        demandOption: true,
      })
      .option("domain", described("learn a tokenizer from this domain's demonstrations", "name|folder", "none"))
      .option("tokenizer", described("take the tokenizer of this model", "folder", "none"));
    for (const [name, [value, , what, unit]] of Object.entries(SIZES))
      yargs.option(name, described(what, unit, String(value), "ours"));
    for (const [name, [value, what, unit]] of Object.entries(NUMBERS))
      yargs.option(name, described(what, unit, String(value), name === "std" ? "measured" : "ours"));
    return yargs
      .option("tied", {
        type: "boolean",
        describe: "the output matrix is the embedding [true/false] (default true; measured)",
      })
      .option("json", jsonOption) as unknown as Argv<Options>;
  },
  handler,
} satisfies CommandModule<object, Options>;

async function handler(argv: Options): Promise<void> {
  const { loadTokenizer } = await import("../policy/tokenizer.ts");
  const { openPolicy } = await import("../policy/policy.ts");
  if (existsSync(argv.out)) throw new UsageError(`--out ${argv.out}: it exists`);
  if ((argv.domain === undefined) === (argv.tokenizer === undefined))
    throw new UsageError("init takes a tokenizer from --domain or from --tokenizer: give one of the two");
  const sizes = readSizes(argv);
  const part = `${argv.out}.part`;
  rmSync(part, { recursive: true, force: true });
  const [tokenizer, give] =
    argv.domain !== undefined
      ? await learnTokenizer(argv.domain, sizes)
      : [loadTokenizer(argv.tokenizer!), copyTokenizer(argv.tokenizer!)];
  const config = modelConfig(argv, sizes, tokenizer);
  const model = { config, seed: sizes.seed };
  const policy = await openPolicy({ model, device: "cpu", dtype: "fp32", threads: 0, role: "reference" });
  try {
    await policy.save(part);
  } finally {
    await policy.dispose();
  }
  give(part);
  renameSync(part, argv.out);
  const parameters = parameterShapes(config).reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const result = { model: resolve(argv.out), parameters, vocab: config.vocabSize };
  const text = `${result.model}: ${parameters} parameters, ${config.vocabSize} ids`;
  process.stdout.write(`${argv.json ? JSON.stringify(result) : text}\n`);
}

type Sizes = { readonly [name in keyof typeof SIZES]: number };

function readSizes(argv: Options): Sizes {
  const read = ([name, [value, least]]: [string, readonly [number, number, ...unknown[]]]) => [
    name,
    argv[name] === undefined ? value : wholeNumber(name, String(argv[name]), least, 2 ** 32 - 1),
  ];
  const sizes = Object.fromEntries(Object.entries(SIZES).map(read)) as Sizes;
  if (sizes.heads % sizes["kv-heads"] !== 0)
    throw new UsageError(`--kv-heads ${sizes["kv-heads"]} with --heads ${sizes.heads}: it has to divide them`);
  if (sizes["head-dim"] % 2 !== 0) throw new UsageError(`--head-dim ${sizes["head-dim"]}: expected an even number`);
  return sizes;
}

/** A tokenizer, and what puts its files into a model's folder. */
type Given = [Tokenizer, (dir: string) => void];

async function learnTokenizer(name: string, { vocab, demonstrations, seed }: Sizes): Promise<Given> {
  const { LEAST_IDS, makeTokenizer } = await import("../vocabulary.ts");
  if (vocab < LEAST_IDS)
    throw new UsageError(`--vocab ${vocab}: expected at least ${LEAST_IDS} for a tokenizer to learn`);
  const { Tokenizer } = await import("../policy/tokenizer.ts");
  const json = await makeTokenizer(await findDomain(name), vocab, demonstrations, seed);
  return [new Tokenizer(json), (dir) => writeFileSync(join(dir, "tokenizer.json"), `${JSON.stringify(json)}\n`)];
}

function copyTokenizer(from: string): (dir: string) => void {
  return (dir) => {
    for (const name of ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
      if (existsSync(join(from, name))) copyFileSync(join(from, name), join(dir, name));
  };
}

function modelConfig(argv: Options, sizes: Sizes, tokenizer: Tokenizer): ModelConfig {
  const number = (name: keyof typeof NUMBERS) =>
    argv[name] === undefined ? NUMBERS[name][0] : realNumber(name, String(argv[name]));
  if (argv.tokenizer !== undefined && argv.vocab !== undefined && sizes.vocab < tokenizer.size)
    throw new UsageError(`--vocab ${sizes.vocab}: the tokenizer has ${tokenizer.size} ids`);
  return {
    modelType: "qwen3",
    vocabSize: argv.tokenizer !== undefined && argv.vocab !== undefined ? sizes.vocab : tokenizer.size,
    hiddenSize: sizes.hidden,
    intermediateSize: sizes.ffn,
    layers: sizes.layers,
    heads: sizes.heads,
    kvHeads: sizes["kv-heads"],
    headDim: sizes["head-dim"],
    ropeTheta: number("rope-theta"),
    rmsEps: number("norm-eps"),
    tied: argv.tied ?? true,
    qkNorm: true,
    qkvBias: false,
    oBias: false,
    maxPositions: sizes.positions,
    initializerRange: number("std"),
    eosIds: ["<|im_end|>", "<|endoftext|>"].flatMap((token) => tokenizer.id(token) ?? []),
  };
}
