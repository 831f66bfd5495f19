// What a checkpoint's folder says of its chat format, and which format follows from it.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { beginsAnew, formatOf } from "../../src/play.ts";
import { formatNote, readFormat, readTemplate } from "../../src/policy/chat.ts";
import { loadTokenizer } from "../../src/policy/tokenizer.ts";
import { golden } from "../golden.ts";

const folder = golden("hf");
if (!folder) throw new Error("no golden/hf: set TARL_GOLDEN to the folder that holds it");
const scratch = mkdtempSync(join(tmpdir(), "tarl-chat-"));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const PLAIN =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** A model's folder of that type with these files; objects are written as JSON. */
function model(type: string, files: Record<string, object | string>): string {
  const dir = mkdtempSync(join(scratch, "model-"));
  cpSync(join(folder as string, "tokenizer", "qwen3", "tokenizer.json"), join(dir, "tokenizer.json"));
  const config = JSON.parse(readFileSync(join(folder as string, "models", "Q3t", "config.json"), "utf8"));
  const all = { "config.json": { ...config, model_type: type }, ...files };
  for (const [name, content] of Object.entries(all))
    writeFileSync(join(dir, name), typeof content === "string" ? content : JSON.stringify(content));
  return dir;
}
const written = (dir: string, option: Parameters<typeof formatOf>[1] = "auto") =>
  formatOf(dir, option, loadTokenizer(dir));

test("a template of its own file, of tokenizer_config.json, or of several there; special tokens by name", () => {
  assert.is(readTemplate(model("qwen2", {})), null);
  const config = {
    bos_token: { content: "<s>" },
    eos_token: "</s>",
    pad_token: null,
    chat_template: "a",
    x: "y_token",
  };
  const dir = model("qwen2", { "tokenizer_config.json": config });
  assert.equal(readTemplate(dir), {
    source: join(dir, "tokenizer_config.json"),
    text: "a",
    variables: { bos_token: "<s>", eos_token: "</s>", pad_token: "" },
  });
  const both = model("qwen2", { "tokenizer_config.json": config, "chat_template.jinja": "b" });
  assert.is(readTemplate(both)?.text, "b");
  const named = (...names: string[]) => ({ chat_template: names.map((name) => ({ name, template: `t-${name}` })) });
  const text = (names: string[]) => readTemplate(model("qwen2", { "tokenizer_config.json": named(...names) }))?.text;
  assert.is(text(["default", "tool_use"]), "t-tool_use");
  assert.is(text(["default", "rag"]), "t-default");
  assert.is(text(["rag"]), undefined);
  assert.is(readTemplate(model("qwen2", { "tokenizer_config.json": { chat_template: [null] } })), null);
  assert.throws(() => readTemplate(model("qwen2", { "tokenizer_config.json": "{" })), /tokenizer_config\.json: /);
});

test("Qwen3 is code, whatever template it brings; other families bring theirs; the note of a run decides first", () => {
  const template = { "chat_template.jinja": PLAIN };
  assert.is(written(model("qwen3", template)).name, "append");
  assert.is(written(model("qwen3", template), "template").name, "template");
  assert.is(written(model("qwen2", template)).name, "template");
  assert.is(written(model("qwen2", template), "strip").name, "strip");
  assert.is(written(model("qwen2", {})).name, "append");
  const note = (format: Parameters<typeof formatNote>[0]) => {
    const [name, bytes] = formatNote(format);
    return { ...template, [name]: Buffer.from(bytes).toString() };
  };
  assert.is(readFormat(model("qwen3", note("strip"))), "strip");
  assert.is(written(model("qwen3", note("strip"))).name, "strip");
  assert.is(written(model("qwen3", note("strip")), "append").name, "append");
  assert.is(written(model("qwen2", note("append"))).name, "append");
  const other = model("qwen3", { "tarl.json": { format: "prefix" } });
  assert.throws(() => written(other), /tarl\.json: format is "prefix", expected append, strip, template$/);
});

test("whether a conversation has one row: not where the prompt shows what the history does not", () => {
  const opens = { "chat_template.jinja": PLAIN.replace("assistant\n' }}", "assistant\n<think>\n' }}") };
  assert.is(beginsAnew(written(model("qwen2", opens)).format), true);
  assert.is(beginsAnew(written(model("qwen2", { "chat_template.jinja": PLAIN })).format), false);
  assert.is(beginsAnew(written(model("qwen3", {})).format), false);
});

test("no template where one is asked for: one line", () => {
  assert.throws(() => written(model("qwen3", {}), "template"), /^--format template: .* has no chat_template\.jinja/);
});

test.run();
