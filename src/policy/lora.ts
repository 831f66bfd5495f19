// Low-rank adapters (LoRA, arXiv:2106.09685): which linear layers have one, their tensors under PEFT's names, and the
// folder in PEFT's own layout that a checkpoint has beside the merged weights. Not the arithmetic: native/core/lora.h.
// Test: test/native/lora.test.ts

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError, UsageError } from "../errors.ts";
import {
  layOut,
  type ModelConfig,
  parameterShapes,
  readJson,
  stored,
  type TensorEntry,
  writeJson,
} from "./checkpoint.ts";
import { readHeader } from "./safetensors.ts";
import type { Shapes } from "./state.ts";

export interface Lora {
  readonly rank: number;
  /** What B A is multiplied by, times the rank. */
  readonly alpha: number;
  /** Names of linear layers, "q_proj". */
  readonly targets: readonly string[];
}

const attention = ["q_proj", "k_proj", "v_proj", "o_proj"];
const mlp = ["gate_proj", "up_proj", "down_proj"];
const groups: { readonly [name: string]: readonly string[] } = { all: [...attention, ...mlp], attention, mlp };

/** Reads "all", "attention", "mlp", or names of layers with commas between them; a UsageError where one is unknown. */
export function readTargets(written: string): string[] {
  const named = new Set(
    written.split(",").flatMap((part) => {
      const name = part.trim();
      const targets = Object.hasOwn(groups, name) ? groups[name] : groups.all.filter((each) => each === name);
      if (targets.length === 0)
        throw new UsageError(
          `--lora-targets ${written}: expected all, attention, mlp, or some of ${groups.all.join(",")}`,
        );
      return targets;
    }),
  );
  return groups.all.filter((name) => named.has(name));
}

/** Name and shape of every tensor of an adapter, A before B, in the order of the model's layers. */
export function adapterShapes(config: ModelConfig, { rank, targets }: Lora): Shapes {
  return parameterShapes(config).flatMap(([name, [outputs, inputs]]) => {
    const [, layer, target] = /^(.*\.(\w+))\.weight$/.exec(name) ?? [];
    if (!layer || !targets.includes(target)) return [];
    const of = (which: string) => `base_model.model.${layer}.lora_${which}.weight`;
    return [
      [of("A"), [rank, inputs]],
      [of("B"), [outputs, rank]],
    ] as const;
  });
}

/** Folder of the adapter inside of a checkpoint: apart, because transformers would add it to the merged weights again. */
const FOLDER = "adapter";
const WEIGHTS = "adapter_model.safetensors";
const CONFIG = "adapter_config.json";

/** Lays an adapter out in a checkpoint that is being saved, as PEFT's `PeftModel.from_pretrained` reads it. */
export function layOutAdapter(
  dir: string,
  config: ModelConfig,
  { lora, dtype, base }: { readonly lora: Lora; readonly dtype: "F32" | "BF16"; readonly base: string | null },
): TensorEntry[] {
  const folder = join(dir, FOLDER);
  mkdirSync(folder);
  writeJson(join(folder, CONFIG), {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base,
    r: lora.rank,
    lora_alpha: lora.alpha,
    target_modules: lora.targets,
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    use_rslora: false,
    use_dora: false,
  });
  const tensors = adapterShapes(config, lora).map(([name, shape]) => stored(name, dtype, shape));
  return layOut(join(folder, WEIGHTS), tensors);
}

/** Checks the adapter of a checkpoint; a CheckpointError where it is another one than is asked for. */
export function readAdapter(dir: string, config: ModelConfig, lora: Lora): TensorEntry[] {
  const folder = join(dir, FOLDER);
  const { r, lora_alpha, target_modules } = Object(readJson(join(folder, CONFIG))) as Record<string, unknown>;
  for (const [key, found, expected] of [
    ["r", r, lora.rank],
    ["lora_alpha", lora_alpha, lora.alpha],
    ["target_modules", `${[target_modules].flat().toSorted()}`, `${lora.targets.toSorted()}`],
  ])
    if (found !== expected)
      throw new CheckpointError(`${join(folder, CONFIG)}: ${key} is ${found}, the run's adapter has ${expected}`);
  const file = join(folder, WEIGHTS);
  const found = new Map(readHeader(file).map((entry) => [entry.name, entry]));
  return adapterShapes(config, lora).map(([name, shape]) => {
    const entry = found.get(name);
    if (!entry) throw new CheckpointError(`${name} is missing in ${file}`);
    if (`${entry.shape}` !== `${shape}`)
      throw new CheckpointError(`${name} is [${entry.shape}], expected [${shape}] (${file})`);
    return entry;
  });
}
