// Golden checkpoints: which load, which warn, which are refused and what the message names; configurations; and
// saving what was read. Weights are only copied here: what they compute is the engine's test.

import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../../src/errors.ts";
import {
  type Checkpoint,
  type ModelConfig,
  parameterShapes,
  parseConfig,
  readCheckpoint,
  readCompanions,
  type StoredType,
  saveCheckpoint,
  type TensorEntry,
  toJson,
} from "../../src/policy/checkpoint.ts";
import { read } from "../../src/policy/safetensors.ts";
import { root } from "../../src/root.ts";
import { golden } from "../golden.ts";

const folder = golden("hf");
if (!folder) throw new Error("no golden/hf: set TARL_GOLDEN to the folder that holds it");
const readJson = (...path: string[]): any => JSON.parse(readFileSync(join(...path), "utf8"));
const isOmni = (config: { model_type: string }) => config.model_type.startsWith("qwen2_5_omni");

/** What came of it, and the text that the user sees. */
function attempt(action: () => { warnings: readonly string[] }): { verdict: string; message: string } {
  try {
    const message = action().warnings.join("\n");
    return { verdict: message ? "load_with_warning" : "load", message };
  } catch (error) {
    assert.instance(error, CheckpointError);
    assert.not.match((error as Error).message, "\n");
    return { verdict: "error", message: (error as Error).message };
  }
}

// ---------------------------------------------------------------------------------------------------
// errors/
// ---------------------------------------------------------------------------------------------------

for (const one of readJson(folder, "errors", "cases.json").cases) {
  const dir = join(folder, "errors", one.dir);
  test(`errors/${one.name}: ${one.expect_load}`, () => {
    const { verdict, message } = attempt(() => readCheckpoint(dir));
    if (one.expect_load === "load_or_error") assert.ok(["load", "load_with_warning", "error"].includes(verdict));
    else assert.is(verdict, one.expect_load, message);
    if (verdict !== "load") for (const text of one.message_must_mention) assert.match(message, text);
  });

  const theirs: string = one.transformers_5_18;
  if (one.expect_load !== "error" && theirs.startsWith("loads"))
    test(`errors/${one.name}: tying`, () => {
      // transformers fills a missing output matrix with random numbers; here it is the embedding.
      const tied = theirs.startsWith("loads; tied") || theirs.includes("'lm_head.weight'");
      const { config, tensors } = readCheckpoint(dir);
      assert.is(config.tied, tied);
      assert.is(
        tensors.some(({ name }) => name === "lm_head.weight"),
        !tied,
      );
    });
}

const configs = readJson(folder, "errors", "configs.json").cases;
const omniConfigs = configs.filter((one: { config: { model_type: string } }) => isOmni(one.config));
if (omniConfigs.length > 0)
  console.log(`SKIP ${omniConfigs.length} Omni configs: only Qwen3, Qwen2 and Llama are built`);
for (const one of configs) {
  if (isOmni(one.config)) continue;
  test(`configs/${one.name}: ${one.verdict}`, () => {
    if (one.verdict === "accept") {
      assert.equal(inGoldenWords(parseConfig(one.config)), one.parsed.text);
      return;
    }
    const { verdict, message } = attempt(() => {
      parseConfig(one.config);
      return { warnings: [] };
    });
    assert.is(verdict, "error");
    for (const text of one.message_must_mention) assert.match(message, text);
  });
}

function inGoldenWords(config: ModelConfig): object {
  return {
    kind: config.modelType,
    hidden: config.hiddenSize,
    ffn: config.intermediateSize,
    layers: config.layers,
    nq: config.heads,
    nk: config.kvHeads,
    hd: config.headDim,
    vocab: config.vocabSize,
    eps: config.rmsEps,
    theta: config.ropeTheta,
    tie: config.tied,
    qk_norm: config.qkNorm,
    qkv_bias: config.qkvBias,
    o_bias: config.oBias,
  };
}

// ---------------------------------------------------------------------------------------------------
// models/
// ---------------------------------------------------------------------------------------------------

const places = [folder, join(root, "test", "fixtures", "llama")];
const models = places.flatMap((place) => readdirSync(join(place, "models")).map((name) => ({ place, name })));
const isOther = ({ place, name }: (typeof models)[number]) => isOmni(readJson(place, "models", name, "config.json"));
const others = models.filter(isOther).map(({ name }) => name);
if (others.length > 0) console.log(`SKIP ${others.length} ${others}: only Qwen3, Qwen2 and Llama are built`);

for (const { place, name } of models.filter((model) => !isOther(model))) {
  const dir = join(place, "models", name);

  test(`models/${name}: every tensor is found, in transformers' order`, () => {
    const { config, tensors, warnings } = readCheckpoint(dir);
    assert.equal(warnings, []);
    assert.equal(
      tensors.map((tensor) => [tensor.name, tensor.shape]),
      parameterShapes(config),
    );
    for (const one of readJson(place, "cases", name, "cases.json").cases)
      if (one.params?.param_names)
        assert.equal(
          tensors.map((tensor) => tensor.name),
          one.params.param_names,
        );
  });

  test(`models/${name}: saved in shards and read again`, async () => {
    const source = readCheckpoint(dir);
    const dtype = source.tensors[0].dtype as StoredType;
    const scratch = mkdtempSync(join(tmpdir(), "tarl-checkpoint-"));
    try {
      for (const maxShardBytes of [5e9, 50_000]) {
        const target = join(scratch, "saved");
        await saveCheckpoint(
          target,
          source.config,
          { dtype, companions: readCompanions(dir), maxShardBytes },
          (tensors) => copyTensors(source.tensors, tensors),
        );
        const saved = readCheckpoint(target);
        assert.equal(saved.warnings, []);
        assert.equal(saved.config, source.config);
        assert.equal(contents(saved), contents(source));
        assert.is(existsSync(join(target, "tokenizer.json")), existsSync(join(dir, "tokenizer.json")));
        assert.equal(readdirSync(scratch), ["saved"]);
        const files = new Set(saved.tensors.map(({ file }) => basename(file)));
        assert.is(files.has("model.safetensors"), maxShardBytes === 5e9);
        assert.is(files.size > 1, maxShardBytes !== 5e9);
      }
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });

  test(`models/${name}: config.json written and read again`, () => {
    const { config } = readCheckpoint(dir);
    assert.equal(parseConfig(JSON.parse(JSON.stringify(toJson(config)))), config);
  });
}

function copyTensors(from: readonly TensorEntry[], to: readonly TensorEntry[]): void {
  for (const [i, entry] of to.entries()) {
    assert.is(entry.name, from[i].name);
    const handle = openSync(entry.file, "r+");
    writeSync(handle, bytesOf(from[i]), 0, entry.bytes, entry.offset);
    closeSync(handle);
  }
}

function contents({ tensors }: Checkpoint): [string, string, string][] {
  return tensors.map((entry) => [entry.name, `${entry.dtype} ${entry.shape}`, bytesOf(entry).toString("base64")]);
}

function bytesOf(entry: TensorEntry): Buffer {
  const handle = openSync(entry.file, "r");
  try {
    return read(handle, entry.offset, entry.bytes);
  } finally {
    closeSync(handle);
  }
}

test.run();
