// `tarl init`: a policy with random weights. Its shape comes from options, with the tokenizer of another model or one
// learnt from a domain; or from a config.json or a known name, with a tokenizer or without. Test: test/unit/init.test.ts

import { existsSync, readFileSync, statSync } from "node:fs";
import { totalmem } from "node:os";
import { resolve } from "node:path";
import type { Argv, CommandModule } from "yargs";
import { domain as findDomain } from "../domains/index.ts";
import { UsageError } from "../errors.ts";
import { bytesText } from "../policy/amount.ts";
import { type Companions, readCompanions } from "../policy/checkpoint.ts";
import { countParameters, MAX_LAYERS, type ModelConfig, parseConfig } from "../policy/model.ts";
import { namedShape, shapeNames } from "../policy/shapes.ts";
import type { Tokenizer, TokenizerJson } from "../policy/tokenizer.ts";
import { described, jsonOption, readJson, realNumber, wholeNumber } from "./options.ts";

/** Whole numbers: default (that of the embedded policy), least, what it is, unit, and the most where that is not 2^32 - 1. */
const SIZES = {
  layers: [4, 1, "decoder layers", "layers", MAX_LAYERS],
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

/** What --config says in their place. */
const SHAPING = [...Object.keys(SIZES).filter((name) => name !== "seed"), ...Object.keys(NUMBERS), "tied", "domain"];

const DTYPES: ReadonlyMap<string, "F32" | "BF16"> = new Map([
  ["fp32", "F32"],
  ["bf16", "BF16"],
]);

interface Options {
  readonly out: string;
  readonly config: string | undefined;
  readonly domain: string | undefined;
  readonly tokenizer: string | undefined;
  readonly dtype: string | undefined;
  readonly from: string | undefined;
  readonly anew: string | undefined;
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
      .option("config", described(`take the shape of a config.json, or ${shapeNames.join(", ")}`, "file|name", "none"))
      .option("domain", described("learn a tokenizer from this domain's demonstrations", "name|folder", "none"))
      .option("tokenizer", described("take this tokenizer", "folder|tokenizer.json", "none"))
      .option("dtype", described("what weights are stored as", "fp32|bf16", "fp32"))
      .option("from", described("take a policy as it is, but for --anew", "folder", "none"))
      .option(
        "anew",
        described("of --from: tokens of this text whose rows of the embedding begin anew", "text", "none"),
      );
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
  const { weightBytes, writeStart } = await import("../policy/start.ts");
  if (existsSync(argv.out)) throw new UsageError(`--out ${argv.out}: it exists`);
  if (argv.from !== undefined || argv.anew !== undefined) return forget(argv);
  const dtype = DTYPES.get(argv.dtype ?? "fp32");
  if (!dtype) throw new UsageError(`--dtype ${argv.dtype}: expected ${[...DTYPES.keys()].join(" or ")}`);
  const sizes = readSizes(argv);
  const { config, companions } = argv.config === undefined ? await made(argv, sizes) : await copied(argv, argv.config);
  const bytes = weightBytes(config, dtype);
  if (bytes > totalmem())
    process.stderr.write(`warning: ${bytesText(bytes)} of weights are more than this machine's memory\n`);
  await writeStart(argv.out, config, { seed: sizes.seed, dtype, companions });
  const result = { model: resolve(argv.out), parameters: countParameters(config), vocab: config.vocabSize };
  const bare = companions.has("tokenizer.json") ? "" : "; no tokenizer: it scores and generates ids, for benchmarks";
  const text = `${result.model}: ${result.parameters} parameters, ${config.vocabSize} ids${bare}`;
  process.stdout.write(`${argv.json ? JSON.stringify(result) : text}\n`);
}

/** A policy with some rows of its embedding anew. */
async function forget({ from, anew, out, seed, json, ...others }: Options): Promise<void> {
  if (from === undefined || anew === undefined || anew === "")
    throw new UsageError(`--${from === undefined ? "anew" : "from"} alone: expected --from FOLDER with --anew TEXT`);
  const other = [...SHAPING, "config", "tokenizer", "dtype"].find((name) => others[name] !== undefined);
  if (other !== undefined) throw new UsageError(`--${other} with --from: leave one of them out`);
  const { renewRows } = await import("../policy/renew.ts");
  const { loadTokenizer } = await import("../policy/tokenizer.ts");
  const tokenizer = loadTokenizer(from);
  const ids = [...new Set([...anew].flatMap((letter) => tokenizer.encodePlain(letter)))];
  renewRows(from, out, ids, seed === undefined ? SIZES.seed[0] : wholeNumber("seed", String(seed), 0, 2 ** 32 - 1));
  const result = { model: resolve(out), anew: ids };
  process.stdout.write(`${json ? JSON.stringify(result) : `${result.model}: ${ids.length} tokens begin anew`}\n`);
}

interface Made {
  readonly config: ModelConfig;
  readonly companions: Companions;
}

/** A shape from elsewhere: a file, or a known name. */
async function copied(argv: Options, from: string): Promise<Made> {
  const other = SHAPING.find((name) => argv[name] !== undefined);
  if (other !== undefined) throw new UsageError(`--${other} with --config: leave one of them out`);
  const known = namedShape(from);
  if (!known && !existsSync(from))
    throw new UsageError(`--config ${from}: no such file, and no shape of that name: ${shapeNames.join(", ")}`);
  const config = known ?? parseConfig(readJson(from, "--config"), from);
  if (argv.tokenizer === undefined) return { config, companions: new Map() };
  const { tokenizer, companions } = await givenTokenizer(argv.tokenizer);
  if (tokenizer.size > config.vocabSize)
    throw new UsageError(
      `--tokenizer ${argv.tokenizer}: ${tokenizer.size} ids, expected at most the ${config.vocabSize} of --config ${from}`,
    );
  return { config, companions };
}

type Size = readonly [value: number, least: number, what: string, unit: string, most?: number];
type Sizes = { readonly [name in keyof typeof SIZES]: number };

function readSizes(argv: Options): Sizes {
  const read = ([name, [value, least, , , most = 2 ** 32 - 1]]: [string, Size]) => [
    name,
    argv[name] === undefined ? value : wholeNumber(name, String(argv[name]), least, most),
  ];
  const sizes = Object.fromEntries(Object.entries(SIZES).map(read)) as Sizes;
  if (sizes.heads % sizes["kv-heads"] !== 0)
    throw new UsageError(`--kv-heads ${sizes["kv-heads"]} with --heads ${sizes.heads}: it has to divide them`);
  if (sizes["head-dim"] % 2 !== 0) throw new UsageError(`--head-dim ${sizes["head-dim"]}: expected an even number`);
  return sizes;
}

/** A shape made of options. */
async function made(argv: Options, sizes: Sizes): Promise<Made> {
  if ((argv.domain === undefined) === (argv.tokenizer === undefined))
    throw new UsageError("init takes a tokenizer from --domain or from --tokenizer: give one of the two");
  const { tokenizer, companions } =
    argv.domain !== undefined ? await learnTokenizer(argv.domain, sizes) : await givenTokenizer(argv.tokenizer!);
  return { config: modelConfig(argv, sizes, tokenizer), companions };
}

/** A tokenizer, and its files. */
interface Given {
  readonly tokenizer: Tokenizer;
  readonly companions: Companions;
}

async function learnTokenizer(name: string, { vocab, demonstrations, seed }: Sizes): Promise<Given> {
  const { LEAST_IDS, makeTokenizer } = await import("../vocabulary.ts");
  if (vocab < LEAST_IDS)
    throw new UsageError(`--vocab ${vocab}: expected at least ${LEAST_IDS} for a tokenizer to learn`);
  const { Tokenizer } = await import("../policy/tokenizer.ts");
  const json = await makeTokenizer(await findDomain(name), vocab, demonstrations, seed);
  const bytes = new TextEncoder().encode(`${JSON.stringify(json)}\n`);
  return { tokenizer: new Tokenizer(json), companions: new Map([["tokenizer.json", bytes]]) };
}

/** That of a model's folder with what belongs to it, or a file alone. */
async function givenTokenizer(from: string): Promise<Given> {
  const { loadTokenizer, Tokenizer } = await import("../policy/tokenizer.ts");
  if (existsSync(from) && statSync(from).isFile()) {
    const tokenizer = new Tokenizer(readJson(from, "--tokenizer") as TokenizerJson, from);
    return { tokenizer, companions: new Map([["tokenizer.json", readFileSync(from)]]) };
  }
  const tokenizer = loadTokenizer(from);
  const files = [...readCompanions(from)].filter(([name]) => name !== "generation_config.json");
  return { tokenizer, companions: new Map(files) };
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
    ropeScaling: null,
    rmsEps: number("norm-eps"),
    tied: argv.tied ?? true,
    qkNorm: true,
    qkvBias: false,
    oBias: false,
    mlpBias: false,
    maxPositions: sizes.positions,
    initializerRange: number("std"),
    eosIds: ["<|im_end|>", "<|endoftext|>"].flatMap((token) => tokenizer.id(token) ?? []),
    bosId: null,
    padId: null,
  };
}
