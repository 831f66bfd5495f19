// The optimizer's state as a file of a checkpoint, optimizer.safetensors: which tensors there are for each way of keeping
// it, laid out and checked. Not the bytes: whoever holds them copies them. The ways themselves: native/core/state.h.
// Test: test/native/optimizer.test.ts

import { existsSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { layOut, type Stored, stored } from "./checkpoint.ts";
import { readHeader, type TensorEntry } from "./safetensors.ts";

/** How the optimizer remembers. */
export interface StateOptions {
  /** Of weights in bf16: a copy in fp32, the 16 bits of it that the weight lacks, or nothing (stochastic rounding). */
  readonly master: "fp32" | "split" | "none";
  /** Adam's and Muon's moments. */
  readonly moments: "fp32" | "8bit";
}

export const defaultState: StateOptions = { master: "fp32", moments: "fp32" };

/** Numbers that share a scale in 8-bit moments. */
export const BLOCK = 256;

export type Shapes = readonly (readonly [name: string, shape: readonly number[]])[];

const FILE = "optimizer.safetensors";

/** All tensors that the state of these parameters can have, in the order in which they are stored. */
function stateTensors(shapes: Shapes, { master, moments }: StateOptions, dtype: "fp32" | "bf16"): Stored[] {
  const of = (kind: string, dtype: string) => shapes.map(([name, shape]) => stored(`${kind}/${name}`, dtype, shape));
  const narrow = ({ shape }: Stored) => moments === "8bit" && shape.length === 2;
  const moment = (kind: string) => {
    const wide = of(kind, "F32");
    const scales = wide
      .filter(narrow)
      .map(({ name, bytes }) => stored(name.replace("/", ".scale/"), "F32", [Math.ceil(bytes / 4 / BLOCK)]));
    return [...wide.map((each) => (narrow(each) ? stored(each.name, "U8", each.shape) : each)), ...scales];
  };
  const masters =
    dtype === "fp32" || master === "none" ? [] : master === "split" ? of("low", "I16") : of("master", "F32");
  return [stored("steps", "F32", [1]), ...moment("m"), ...moment("v"), ...masters];
}

/** Not there as long as only Muon, which has no second moment, has moved the matrices inside the layers. */
const matrixMoment = ({ name, shape }: Stored): boolean =>
  name.startsWith("v.scale/model.layers.") || (name.startsWith("v/model.layers.") && shape.length === 2);

/** Whose state it is: the parameters that are learned, their type, and how it is kept. */
export interface Learned {
  readonly shapes: Shapes;
  readonly dtype: "fp32" | "bf16";
  readonly state: StateOptions;
}

/** Lays out the state's tensors, those that are in `names`, in a folder that is being saved. */
export function layOutState(dir: string, learned: Learned, names: readonly string[]): TensorEntry[] {
  const present = new Set(names);
  const tensors = stateTensors(learned.shapes, learned.state, learned.dtype).filter(({ name }) => present.has(name));
  return layOut(join(dir, FILE), tensors);
}

/** Checks the state in a checkpoint folder; null where there is none. */
export function readState(dir: string, learned: Learned): TensorEntry[] | null {
  const file = join(dir, FILE);
  if (!existsSync(file)) return null;
  const entries = readHeader(file);
  const found = new Map(entries.map((entry) => [entry.name, entry]));
  const refuse = (what: string): never => {
    throw new CheckpointError(`${what} (${file})${otherWay(entries, learned)}`);
  };
  const all = stateTensors(learned.shapes, learned.state, learned.dtype);
  const muon = all.filter(matrixMoment).every(({ name }) => !found.has(name));
  for (const tensor of all) {
    const entry = found.get(tensor.name);
    found.delete(tensor.name);
    if (!entry && muon && matrixMoment(tensor)) continue;
    if (!entry) return refuse(`${tensor.name} is missing`);
    if (entry.dtype !== tensor.dtype || `${entry.shape}` !== `${tensor.shape}`)
      refuse(`${tensor.name} is ${entry.dtype} [${entry.shape}], expected ${tensor.dtype} [${tensor.shape}]`);
  }
  for (const name of found.keys()) refuse(`${name} is not part of this policy's optimizer state`);
  return entries;
}

/** What to say where the state was kept in another way than it is asked for now. */
function otherWay(entries: readonly TensorEntry[], { state, dtype }: Learned): string {
  const has = (kind: string) => entries.some(({ name }) => name.startsWith(kind));
  const master = has("master/") ? "fp32" : has("low/") ? "split" : "none";
  const moments = entries.some(({ dtype }) => dtype === "U8") ? "8bit" : "fp32";
  const expected = dtype === "bf16" ? state.master : "none";
  if (master === expected && moments === state.moments) return "";
  const kept = master === expected ? `--moments ${moments}` : `--master ${master} --moments ${moments}`;
  return `: it was kept with ${kept}`;
}
