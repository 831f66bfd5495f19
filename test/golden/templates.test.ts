// The golden chat templates, and the prompts and environment turns of the end-to-end cases as token ids.

import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Dict, parse, type Value } from "../../src/domains/python.ts";
import { read, readHeader } from "../../src/policy/safetensors.ts";
import { loadTokenizer } from "../../src/policy/tokenizer.ts";
import { chatFormat } from "../../src/rollout/format.ts";
import { type Message, render } from "../../src/rollout/template.ts";
import type { Tool } from "../../src/types.ts";
import { golden } from "../golden.ts";

const folder = golden("hf");
if (!folder) throw new Error("no golden/hf: set TARL_GOLDEN to the folder that holds it");
const readJson = (file: string) => parse(readFileSync(file, "utf8")) as Dict;

/** A message of the Hugging Face form; calls may lack the `function` wrapper. */
function message(raw: Dict): Message {
  const calls = raw.get("tool_calls") as Dict[] | undefined;
  return {
    role: raw.get("role") as string,
    content: raw.get("content"),
    reasoning: raw.get("reasoning_content"),
    calls: calls?.map((one) => {
      const call = (one.get("function") ?? one) as Dict;
      return { name: call.get("name") as string, arguments: call.get("arguments") as Value };
    }),
  };
}

function renderCase(fields: Dict): string {
  const options = fields.get("options") as Dict;
  return render((fields.get("messages") as Dict[]).map(message), (fields.get("tools") as Value[] | null) ?? [], {
    generationPrompt: options.get("add_generation_prompt") === true,
    thinking: options.get("enable_thinking") as boolean | undefined,
  });
}

// ---------------------------------------------------------------------------------------------------
// Templates
// ---------------------------------------------------------------------------------------------------

for (const file of readdirSync(join(folder, "templates"))) {
  const content = readJson(join(folder, "templates", file));
  const cases = content.get("cases") as Dict[];
  if (content.get("group") !== "templates/qwen3") {
    console.log(`SKIP ${cases.length} ${file}: only Qwen3's template is built`);
    continue;
  }
  test(`${file}: ${cases.length} cases byte for byte`, () => {
    for (const one of cases) assert.is(renderCase(one), one.get("rendered"), one.get("name") as string);
  });
}

// ---------------------------------------------------------------------------------------------------
// End to end
// ---------------------------------------------------------------------------------------------------

/** An I64 tensor of a case's file. */
function integers(file: string, name: string): number[] {
  const entry = readHeader(file).find((tensor) => tensor.name === name);
  if (!entry) throw new Error(`no ${name} in ${file}`);
  const handle = openSync(file, "r");
  const bytes = read(handle, entry.offset, entry.bytes);
  closeSync(handle);
  return Array.from({ length: entry.bytes / 8 }, (_, i) => Number(bytes.readBigInt64LE(8 * i)));
}

/** The reply that an environment text was made of: one customer turn or one tool result. */
function replyOf(text: string): { role: "user" | "tool"; text: string } {
  const [, body] = /^\n<\|im_start\|>user\n(.*)<\|im_end\|>\n<\|im_start\|>assistant\n/s.exec(text)!;
  const result = /^<tool_response>\n(.*)\n<\/tool_response>$/s.exec(body);
  return result ? { role: "tool", text: result[1] } : { role: "user", text: body };
}

function tool(raw: Value): Tool {
  const { function: fields } = JSON.parse(
    JSON.stringify(raw, (_, v) => (v instanceof Map ? Object.fromEntries(v) : v)),
  );
  return { ...fields, writes: false, call: () => "" };
}

for (const name of readdirSync(join(folder, "cases"))) {
  const set = readJson(join(folder, "cases", name, "cases.json"));
  const cases = (set.get("cases") as Dict[]).filter((one) => one.get("kind") === "e2e");
  if (cases.length === 0) continue;
  const dir = join(folder, "models", name);
  if (!existsSync(dir) || readJson(join(dir, "config.json")).get("model_type") !== "qwen3") {
    console.log(`SKIP ${cases.length} ${name} end to end: only Qwen3's format is built`);
    continue;
  }
  const tokenizer = loadTokenizer(dir);
  for (const one of cases) {
    const params = one.get("params") as Dict;
    const file = join(folder, "cases", name, one.get("file") as string);
    const thinking = (params.get("options") as Dict).get("enable_thinking") as boolean | undefined;
    const format = chatFormat(tokenizer, { thinking });

    test(`${name}/${one.get("name")}: prompt text and ids`, () => {
      assert.is(renderCase(params), params.get("prompt_text"));
      const [system, user, ...rest] = (params.get("messages") as Dict[]).map(message);
      assert.equal([system.role, user.role, rest.length], ["system", "user", 0]);
      const tools = ((params.get("tools") as Value[] | null) ?? []).map(tool);
      const ids = format.prompt(system.content as string, tools, user.content as string);
      assert.equal(ids, integers(file, "in.prompt_ids"));
    });

    test(`${name}/${one.get("name")}: environment ids after the sampled turn`, () => {
      const reply = { messages: [replyOf(params.get("env_text") as string)], ending: null };
      assert.equal(format.between(reply, params.get("env_closes_turn") === false), integers(file, "in.env_ids"));
    });

    test(`${name}/${one.get("name")}: turns, stop ids and where padding starts`, () => {
      assert.equal(format.stopIds, (params.get("stop_ids") as bigint[]).map(Number));
      assert.is(tokenizer.size, Number(params.get("banned_from")));
      for (const turn of ["turn1", "turn2"])
        assert.is(format.decode(integers(file, `out.${turn}_ids`)), params.get(`${turn}_text`));
    });
  }
}

test.run();
