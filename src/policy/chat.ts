// What a checkpoint's folder says of how its conversations are written: its own chat template, and the format that it was
// trained in here (tarl.json). Reads and writes files; the formats themselves are in rollout/. Test: test/unit/chat.test.ts

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { readJson } from "./checkpoint.ts";

/** A chat_template and the names that it may use. */
export interface FoundTemplate {
  readonly source: string;
  readonly text: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

const NOTES = "tarl.json";

const FORMATS = ["append", "strip", "template"] as const;
export type ChatFormatName = (typeof FORMATS)[number];

/** chat_template.jinja, else that of tokenizer_config.json; null where there is neither. Of several, the one for tools. */
export function readTemplate(dir: string): FoundTemplate | null {
  const config = readObject(join(dir, "tokenizer_config.json"));
  const variables = Object.fromEntries(
    Object.entries(config)
      .filter(([name]) => name.endsWith("_token"))
      .map(([name, token]) => [name, typeof token === "string" ? token : (Object(token).content ?? "")]),
  );
  const file = join(dir, "chat_template.jinja");
  if (existsSync(file)) return { source: file, text: readFileSync(file, "utf8"), variables };
  const { chat_template: own } = config;
  const named = Array.isArray(own) ? new Map(own.map(Object).map(({ name, template }) => [name, template])) : null;
  const text = named ? (named.get("tool_use") ?? named.get("default")) : own;
  return typeof text === "string" ? { source: join(dir, "tokenizer_config.json"), text, variables } : null;
}

/** The format that a checkpoint was trained in, as the run that saved it noted it; null where nobody did. */
export function readFormat(dir: string): ChatFormatName | null {
  const { format } = readObject(join(dir, NOTES));
  const known = FORMATS.find((name) => name === format);
  if (format !== undefined && !known)
    throw new CheckpointError(
      `${join(dir, NOTES)}: format is ${JSON.stringify(format)}, expected ${FORMATS.join(", ")}`,
    );
  return known ?? null;
}

/** The note as a file that goes into every checkpoint: name and bytes. */
export function formatNote(format: ChatFormatName): [string, Uint8Array] {
  return [NOTES, Buffer.from(`${JSON.stringify({ format })}\n`)];
}

/** Empty where there is no file. */
function readObject(file: string): Record<string, unknown> {
  return existsSync(file) ? Object(readJson(file)) : {};
}
