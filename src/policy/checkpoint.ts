// Checkpoint folders in HF layout: checks one completely before it is loaded, and lays one out before it is saved.
// Tensor bytes are not touched here (but for one comparison): whoever holds the weights copies them from and to the
// places listed. Tests: test/golden/checkpoint.test.ts.

import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { makeFolder } from "../folders.ts";
import {
  type ModelConfig,
  type Output,
  parameterShapes,
  parseConfig,
  parseEos,
  type StoredType,
  toJson,
  VALUE_HEAD,
} from "./model.ts";
import { ITEM_BYTES, makeHeader, read, readHeader, type TensorEntry } from "./safetensors.ts";

export { type ModelConfig, parameterShapes, parseConfig, type StoredType, toJson } from "./model.ts";
export type { TensorEntry } from "./safetensors.ts";

export interface Checkpoint {
  /** `tied` as it really is: what the stored tensors say, where they and config.json disagree. */
  readonly config: ModelConfig;
  /**
   * One for each of parameterShapes(config), in that order, but for a value head that is not there; dtype is a StoredType.
   */
  readonly tensors: readonly TensorEntry[];
  /** One line each, for the user. */
  readonly warnings: readonly string[];
}

export const WEIGHTS = "model.safetensors";
export const INDEX = "model.safetensors.index.json";
const HEAD = "lm_head.weight";
const EMBEDDING = "model.embed_tokens.weight";
/** The value head of a policy that has one lies apart, where transformers does not look for weights. */
const VALUES = "value_head.safetensors";
const STORED: readonly string[] = ["F32", "BF16", "F16", "F64"] satisfies StoredType[];

/**
 * Checks a checkpoint folder; throws a CheckpointError of one line that names the file or tensor. Of a policy's folder any
 * output can be made: a value head that is not there starts at 0. Of a critic's only values can.
 */
export function readCheckpoint(dir: string, output: Output = "logits"): Checkpoint {
  const warnings: string[] = [];
  const stated = readConfig(dir);
  const found = new Map(listTensors(dir).map((entry) => [entry.name, entry]));
  if (output !== "values" && found.has(VALUE_HEAD))
    throw new CheckpointError(`${dir} is a critic (it has ${VALUE_HEAD}), expected a policy`);
  if (output !== "logits" && existsSync(join(dir, VALUES)))
    for (const entry of readHeader(join(dir, VALUES))) found.set(entry.name, entry);
  if (output === "values") found.delete(HEAD);
  const tied = output === "values" ? stated.tied : decideTying(stated, found, warnings);
  const config = output === "logits" ? { ...stated, tied } : { ...stated, tied, output };

  const tensors = parameterShapes(config).flatMap(([name, shape]) => {
    const entry = found.get(name);
    if (!entry && name === VALUE_HEAD) return [];
    if (!entry) throw new CheckpointError(`${name} is missing in ${dir}`);
    if (`${entry.shape}` !== `${shape}` || entry.shape.length !== shape.length)
      throw new CheckpointError(`${name} has shape [${entry.shape}], config.json asks for [${shape}] (${entry.file})`);
    if (!STORED.includes(entry.dtype))
      throw new CheckpointError(
        `${name} is stored as ${entry.dtype}, expected one of ${STORED.join(", ")} (${entry.file})`,
      );
    found.delete(name);
    return [entry];
  });

  if (config.tied) found.delete(HEAD);
  const unused = [...found.keys()].filter((name) => !name.endsWith("rotary_emb.inv_freq"));
  if (unused.length > 0) {
    const more = unused.length > 3 ? ` and ${unused.length - 3} more` : "";
    warnings.push(`not used by this model: ${unused.slice(0, 3).join(", ")}${more} (${dir})`);
  }
  return { config, tensors, warnings };
}

/** The configuration alone; end-of-text ids are those of generation_config.json where it names any. */
export function readConfig(dir: string): ModelConfig {
  const file = join(dir, "config.json");
  const config = parseConfig(readJson(file), file);
  const generation = join(dir, "generation_config.json");
  if (!existsSync(generation)) return config;
  const eosIds = parseEos(Object(readJson(generation)).eos_token_id, generation);
  return eosIds.length > 0 ? { ...config, eosIds } : config;
}

/** All tensors of model.safetensors, or of the shards that the index names. */
function listTensors(dir: string): TensorEntry[] {
  if (existsSync(join(dir, WEIGHTS))) return readHeader(join(dir, WEIGHTS));
  if (!existsSync(join(dir, INDEX))) throw new CheckpointError(`neither ${WEIGHTS} nor ${INDEX} in ${dir}`);
  const shardOf = readIndex(dir);
  const shards = new Set(shardOf.values());
  for (const shard of shards)
    if (!existsSync(join(dir, shard)))
      throw new CheckpointError(`${join(dir, INDEX)} names ${shard}, which does not exist`);
  // A tensor that the index does not list is taken from the shard that has it, as transformers does.
  return [...shards].flatMap((shard) =>
    readHeader(join(dir, shard)).filter(({ name }) => (shardOf.get(name) ?? shard) === shard),
  );
}

/** Of each tensor the file that the index of a folder has it in. */
export function readIndex(dir: string): Map<string, string> {
  const index = join(dir, INDEX);
  const map: unknown = Object(readJson(index)).weight_map;
  if (typeof map !== "object" || map === null) throw new CheckpointError(`${index}: weight_map is missing`);
  const shardOf = new Map<string, string>(Object.entries(map));
  for (const shard of new Set<unknown>(shardOf.values()))
    if (typeof shard !== "string" || shard !== basename(shard) || !shard.endsWith(".safetensors"))
      throw new CheckpointError(`${index}: ${JSON.stringify(shard)} is not a .safetensors file of the same folder`);
  return shardOf;
}

/** The output matrix is the embedding when it is absent, or when config.json ties them and both are equal. */
function decideTying(config: ModelConfig, found: ReadonlyMap<string, TensorEntry>, warnings: string[]): boolean {
  const head = found.get(HEAD);
  const embedding = found.get(EMBEDDING);
  if (!head) {
    if (!config.tied) warnings.push(`${HEAD} is missing although config.json does not tie it: the embedding is used`);
    return true;
  }
  if (!config.tied || !embedding) return config.tied;
  if (sameBytes(head, embedding)) return true;
  warnings.push(`${HEAD} differs from the embedding although config.json ties them: the stored one is used, untied`);
  return false;
}

function sameBytes(a: TensorEntry, b: TensorEntry): boolean {
  if (a.dtype !== b.dtype || `${a.shape}` !== `${b.shape}`) return false;
  const handles = [openSync(a.file, "r"), openSync(b.file, "r")];
  const chunk = 1 << 24;
  try {
    for (let at = 0; at < a.bytes; at += chunk) {
      const bytes = Math.min(chunk, a.bytes - at);
      if (!read(handles[0], a.offset + at, bytes).equals(read(handles[1], b.offset + at, bytes))) return false;
    }
    return true;
  } finally {
    handles.forEach(closeSync);
  }
}

/** Largest file of weights; what more there is goes to the next shard. */
const MAX_SHARD_BYTES = 5e9;

/** Tokenizer and generation files that travel with the weights: name -> bytes. */
export type Companions = ReadonlyMap<string, Uint8Array>;

export const COMPANIONS: readonly string[] = [
  "tokenizer.json",
  "tokenizer_config.json",
  "chat_template.jinja",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "generation_config.json",
  "tarl.json",
];

/** Those of a checkpoint folder, read at once: a run may have deleted that folder by the time it saves the next one. */
export function readCompanions(dir: string): Companions {
  const present = COMPANIONS.filter((name) => existsSync(join(dir, name)));
  return new Map(present.map((name) => [name, readFileSync(join(dir, name))]));
}

/**
 * Saves a checkpoint that appears whole or not at all: everything is written beside `dir`, then renamed; a folder
 * that stood there is replaced.
 * `write` fills in the bytes: every file exists in full length already, and each entry says where its tensor goes.
 */
export async function saveCheckpoint(
  dir: string,
  config: ModelConfig,
  options: SaveOptions,
  write: (tensors: readonly TensorEntry[]) => Promise<void> | void,
): Promise<void> {
  const partial = `${dir}.partial`;
  rmSync(partial, { recursive: true, force: true });
  try {
    await fill(partial, config, options, write);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  }
  rmSync(dir, { recursive: true, force: true });
  renameSync(partial, dir);
}

interface SaveOptions {
  readonly dtype: StoredType;
  readonly companions: Companions;
  readonly maxShardBytes?: number;
}

/** Writes all files of a checkpoint, and waits until they are on the disk. */
async function fill(
  partial: string,
  config: ModelConfig,
  options: SaveOptions,
  write: (tensors: readonly TensorEntry[]) => Promise<void> | void,
): Promise<void> {
  makeFolder(partial);
  writeJson(join(partial, "config.json"), toJson(config, options.dtype));
  for (const [name, bytes] of options.companions) writeFileSync(join(partial, name), bytes);

  const shards = splitShards(config, options.dtype, options.maxShardBytes ?? MAX_SHARD_BYTES);
  const tensors = shards.flatMap((shard, i) => {
    const number = (n: number) => String(n).padStart(5, "0");
    const name = shards.length === 1 ? WEIGHTS : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    return layOut(join(partial, name), shard);
  });
  const head = parameterShapes(config).filter(([name]) => apart(config, name));
  const values = head.map(([name, shape]) => stored(name, options.dtype, shape));
  if (shards.length > 1)
    writeJson(join(partial, INDEX), {
      metadata: { total_size: tensors.reduce((sum, { bytes }) => sum + bytes, 0) },
      weight_map: Object.fromEntries(tensors.map(({ name, file }) => [name, basename(file)])),
    });

  await write(values.length > 0 ? [...tensors, ...layOut(join(partial, VALUES), values)] : tensors);
  for (const name of readdirSync(partial, { recursive: true, encoding: "utf8" })) {
    if (statSync(join(partial, name)).isDirectory()) continue;
    const handle = openSync(join(partial, name), "r+");
    fsyncSync(handle);
    closeSync(handle);
  }
}

export type Stored = Omit<TensorEntry, "file" | "offset">;

export function stored(name: string, dtype: string, shape: readonly number[]): Stored {
  return { name, dtype, shape, bytes: shape.reduce((product, n) => product * n, ITEM_BYTES[dtype]) };
}

/** Makes a file of full length with its header; returns where each tensor goes. */
export function layOut(file: string, tensors: readonly Stored[]): TensorEntry[] {
  const { header, offsets, fileBytes } = makeHeader(tensors);
  const handle = openSync(file, "w");
  writeSync(handle, header);
  ftruncateSync(handle, fileBytes);
  closeSync(handle);
  return tensors.map((tensor, i) => ({ ...tensor, file, offset: offsets[i] }));
}

/** Whether a parameter is none of the model's own files'. */
const apart = ({ output }: ModelConfig, name: string): boolean => output === "both" && name === VALUE_HEAD;

function splitShards(config: ModelConfig, dtype: StoredType, maxBytes: number): Stored[][] {
  const shards: Stored[][] = [[]];
  let filled = 0;
  for (const [name, shape] of parameterShapes(config)) {
    if (apart(config, name)) continue;
    const tensor = stored(name, dtype, shape);
    const { bytes } = tensor;
    if (filled > 0 && filled + bytes > maxBytes) {
      shards.push([]);
      filled = 0;
    }
    shards[shards.length - 1].push(tensor);
    filled += bytes;
  }
  return shards;
}

export function readJson(file: string): unknown {
  if (!existsSync(file)) throw new CheckpointError(`${file} does not exist`);
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new CheckpointError(`${file}: ${(error as Error).message}`);
  }
}

export function writeJson(file: string, value: unknown): void {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}
