// `tarl init`: shapes from files and by name, with a tokenizer and without, and what is refused before anything is
// written. That an unusable value is one line is tested in cli.test.ts as well.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readCheckpoint, readConfig } from "../../src/policy/checkpoint.ts";
import { openPolicy } from "../../src/policy/policy.ts";
import { namedShape } from "../../src/policy/shapes.ts";
import { root } from "../../src/root.ts";
import { runIn } from "../command.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-init-"));
test.after(() => fs.rmSync(dir, { recursive: true }));
const run = (...args: string[]) => runIn(dir, ["init", ...args]);
const file = (name: string, value: object) => fs.writeFileSync(join(dir, name), JSON.stringify(value));
const assets = join(root, "assets/policy");

/** A Llama with biases; small enough to look at every weight, with an odd number of them in a matrix. */
const llama = {
  model_type: "llama",
  vocab_size: 1409,
  hidden_size: 36,
  intermediate_size: 50,
  num_hidden_layers: 2,
  num_attention_heads: 6,
  num_key_value_heads: 2,
  attention_bias: true,
  mlp_bias: true,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  initializer_range: 0.1,
  eos_token_id: [2, 3],
};
file("llama.json", llama);
/** Embedding and output; then q, k and v, o, gate and up, down with their biases, and two norms; the last norm. */
const parameters = 2 * 1409 * 36 + 2 * (36 * 37 + 2 * 12 * 37 + 36 * 37 + 2 * 50 * 37 + 36 * 51 + 2 * 36) + 36;

async function weights(model: string): Promise<{ [name: string]: Float32Array }> {
  const policy = await openPolicy({ model, device: "cpu", dtype: "fp32", threads: 1, role: "reference" });
  try {
    const { tensors } = readCheckpoint(model);
    const data = tensors.map(async ({ name }) => [name, (await policy.engine.tensor(name)).data] as const);
    return Object.fromEntries(await Promise.all(data));
  } finally {
    await policy.dispose();
  }
}

test("a config.json becomes a checkpoint: the weights of an engine's own start with that seed", async () => {
  const { code, out } = await run("--config", "llama.json", "--out", "llama", "--seed", "5", "--json");
  assert.is(code, 0);
  const config = readConfig(join(dir, "llama"));
  assert.equal([config.modelType, config.mlpBias, config.eosIds], ["llama", true, [2, 3]]);
  assert.equal(JSON.parse(out), { model: join(dir, "llama"), parameters, vocab: 1409 });
  assert.equal(fs.readdirSync(join(dir, "llama")).sort(), ["config.json", "model.safetensors"]);

  const model = { config, seed: 5 };
  const policy = await openPolicy({ model, device: "cpu", dtype: "fp32", threads: 1, role: "reference" });
  await policy.save(join(dir, "engine"));
  await policy.dispose();
  const bytes = (name: string) => fs.readFileSync(join(dir, name, "model.safetensors"));
  assert.ok(bytes("llama").equals(bytes("engine")));
});

test("weights are what the config asks for: their deviation, norms of 1, biases of 0", async () => {
  const found = await weights(join(dir, "llama"));
  const deviation = (name: string) =>
    Math.sqrt(found[name].reduce((sum, x) => sum + x * x, 0) / found[name].length) / 0.1;
  assert.ok(Math.abs(deviation("model.embed_tokens.weight") - 1) < 0.02);
  assert.ok(Math.abs(deviation("model.layers.1.mlp.down_proj.weight") - 0.5) < 0.05); // 1 / sqrt(2 layers)
  for (const [name, values] of Object.entries(found))
    if (/norm\.weight$|\.bias$/.test(name)) assert.ok(values.every((x) => x === (name.endsWith("bias") ? 0 : 1)));
});

test("--dtype bf16 rounds the same weights; another seed gives others", async () => {
  assert.is((await run("--config", "llama.json", "--out", "half", "--seed", "5", "--dtype", "bf16")).code, 0);
  assert.is((await run("--config", "llama.json", "--out", "other", "--seed", "6")).code, 0);
  assert.ok(readCheckpoint(join(dir, "half")).tensors.every(({ dtype }) => dtype === "BF16"));
  assert.is(JSON.parse(fs.readFileSync(join(dir, "half/config.json"), "utf8")).torch_dtype, "bfloat16");
  const name = "model.layers.0.mlp.up_proj.weight";
  const [full, half, other] = await Promise.all(["llama", "half", "other"].map((model) => weights(join(dir, model))));
  assert.ok(full[name].every((x, i) => Math.abs(half[name][i] - x) <= Math.abs(x) / 256));
  assert.not.equal(other[name], full[name]);
});

test("a named shape; without a tokenizer it scores ids, and nothing that needs text", async () => {
  const { code, out } = await run("--config", "tiny", "--out", "tiny", "--dtype", "bf16");
  assert.is(code, 0);
  assert.match(out, /tiny: 5771264 parameters, 4096 ids; no tokenizer: it scores and generates ids, for benchmarks\n$/);
  assert.equal(readConfig(join(dir, "tiny")), namedShape("tiny"));
  fs.writeFileSync(join(dir, "ids.jsonl"), "[1,2,3]\n");
  const scored = await runIn(dir, ["score", "--model", "tiny", "--ids", "ids.jsonl"]);
  assert.is(scored.code, 0, scored.err);
  assert.is(JSON.parse(scored.out).logp.length, 3);
  const played = await runIn(dir, ["eval", "--model", "tiny", "--eval-tasks", "1"]);
  assert.is(played.code, 2);
  assert.match(played.err, /tokenizer\.json does not exist; without it a model only scores and generates ids/);
});

test("--tokenizer: a folder brings what belongs to it, a file itself alone", async () => {
  const from = join(dir, "given");
  fs.mkdirSync(from);
  fs.copyFileSync(join(assets, "tokenizer.json"), join(from, "tokenizer.json"));
  fs.writeFileSync(join(from, "chat_template.jinja"), "{{ messages }}");
  fs.writeFileSync(join(from, "generation_config.json"), '{"eos_token_id":7}');
  const made = async (out: string, tokenizer: string) => {
    const { code, err } = await run("--config", "llama.json", "--out", out, "--tokenizer", tokenizer);
    assert.is(code, 0, err);
    return fs.readdirSync(join(dir, out)).sort();
  };
  const files = ["config.json", "model.safetensors", "tokenizer.json"];
  assert.equal(await made("of-folder", "given"), ["chat_template.jinja", ...files]);
  assert.equal(await made("of-file", "given/tokenizer.json"), files);
  const copy = fs.readFileSync(join(dir, "of-file/tokenizer.json"));
  assert.ok(copy.equals(fs.readFileSync(join(assets, "tokenizer.json"))));
});

file("huge.json", { ...llama, vocab_size: 1_000_000_000, hidden_size: 60_000 });
file("narrow.json", { ...llama, vocab_size: 100 });
file("moe.json", { ...llama, model_type: "mixtral" });

const refused: readonly (readonly [args: string, line: RegExp])[] = [
  ["--config nothing", /^tarl: --config nothing: no such file, and no shape of that name: tiny, qwen3-0\.6b, /],
  ["--config huge.json", /^tarl: new: the weights take 4800\d\d GB, and [\d.]+ [GMk]B are free there$/],
  ["--config moe.json", /^tarl: moe\.json: model_type is "mixtral", expected "qwen3", "qwen2" or "llama"$/],
  [`--tokenizer ${assets} --layers 1000000000`, /^tarl: --layers 1000000000: expected a whole number from 1 to 10000$/],
  ["--config tiny --layers 3", /^tarl: --layers with --config: leave one of them out$/],
  ["--config tiny --domain shop", /^tarl: --domain with --config: leave one of them out$/],
  ["--config tiny --tied", /^tarl: --tied with --config: leave one of them out$/],
  ["--config tiny --dtype fp16", /^tarl: --dtype fp16: expected fp32 or bf16$/],
  ["--config tiny --tokenizer nowhere", /^tarl: nowhere\/tokenizer\.json does not exist$/],
  [`--config narrow.json --tokenizer ${assets}`, /: 1408 ids, expected at most the 100 of --config narrow\.json$/],
];
for (const [args, line] of refused)
  test(`refused: init ${args.replace(assets, "...")}`, async () => {
    const { code, out, err } = await run("--out", "new", ...args.split(" "));
    assert.is(code, 2);
    assert.is(out, "");
    const lines = err
      .trimEnd()
      .split("\n")
      .filter((text) => !text.startsWith("warning:"));
    assert.is(lines.length, 1, err);
    assert.match(lines[0], line);
    assert.not(fs.readdirSync(dir).some((name) => name.startsWith("new")));
  });

test("tokens begin anew: their rows alone differ, at random, as large as the others", async () => {
  const { code, out } = await run("--from", assets, "--anew", "01=", "--out", "anew", "--seed", "3", "--json");
  assert.is(code, 0);
  const { anew } = JSON.parse(out) as { anew: number[] };
  assert.is(anew.length, 3);
  const [before, after] = [await weights(assets), await weights(join(dir, "anew"))];
  const width = readConfig(assets).hiddenSize;
  const same = (name: string, i: number) => Object.is(before[name][i], after[name][i]);
  for (const name of Object.keys(before))
    if (name !== "model.embed_tokens.weight")
      assert.ok(
        before[name].every((_, i) => same(name, i)),
        name,
      );
  const name = "model.embed_tokens.weight";
  const changed = [...before[name].keys()].filter((i) => !same(name, i));
  assert.equal([...new Set(changed.map((i) => Math.floor(i / width)))].sort(), [...anew].sort());
  const size = (values: Float32Array) =>
    Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  for (const id of anew) {
    const row = after[name].subarray(id * width, (id + 1) * width);
    assert.ok(Math.abs(size(row) / size(before[name]) - 1) < 0.2, `${size(row)} beside ${size(before[name])}`);
  }
  const [one, other] = anew.map((id) => after[name].subarray(id * width, (id + 1) * width));
  const product = one.reduce((sum, value, i) => sum + value * other[i], 0) / (width * size(one) * size(other));
  assert.ok(Math.abs(product) < 0.3, "they point in different directions");
});

test("--anew without --from, and a shape beside them, are one line", async () => {
  for (const [args, message] of [
    [["--anew", "0"], "--anew alone: expected --from FOLDER with --anew TEXT"],
    [["--from", assets], "--from alone: expected --from FOLDER with --anew TEXT"],
    [["--from", assets, "--anew", "0", "--hidden", "8"], "--hidden with --from: leave one of them out"],
  ] as const) {
    const { code, err } = await run(...args, "--out", "refused");
    assert.is(code, 2);
    assert.match(err, message);
    assert.not(fs.existsSync(join(dir, "refused")));
  }
});

test.run();
