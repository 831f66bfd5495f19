// The recipe of supervised training: a small JSON file, its schema, and what it says about any moment of a run.
// Where a recipe gives a pair [from, to], the value runs linearly from one to the other over its phase.
// Not the training itself: sft.ts. Test: test/unit/sft.test.ts

import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { UsageError } from "./errors.ts";
import type { Domain } from "./types.ts";

/** The kinds of batches that are no drills. */
export const DEMONSTRATIONS = "demonstrations";
export const DIALOGUES = "dialogues";

const rate = z.number().min(0).max(1);
/** Share kept by a moment of Adam; at 1 its correction would divide by 0. */
const kept = rate.max(0.999999);
const ramp = <T extends z.ZodType<number>>(value: T) => z.union([value, z.tuple([value, value])]);

/** What the shares sum to at the start (0) or the end (1) of their ramps. */
type Shares = Readonly<Record<string, number | [number, number]>>;
const sumAt = (shares: Shares, end: number) =>
  Object.values(shares).reduce<number>((sum, share) => sum + (typeof share === "number" ? share : share[end]), 0);
/** Ten tenths may sum to a little more than 1. */
const ROUNDING = 1e-9;

const habits = z.strictObject({
  skipsLookup: rate.default(0),
  skipsConfirmation: rate.default(0),
  wrongChoice: rate.default(0),
  ignoresRules: rate.default(0),
  recovers: rate.default(0),
});

/** What is shown in a phase beside the domain's own demonstrations. */
interface Beside {
  readonly drills: Shares;
  readonly also: Shares;
  readonly dialogues: Shares[string];
}

const sharesOf = ({ drills, also, dialogues }: Beside): Shares => ({ ...drills, ...also, [DIALOGUES]: dialogues });

/** What these shares sum to: [at the start, at the end] of a phase. */
const shared = (phase: Beside) => [0, 1].map((end) => sumAt(sharesOf(phase), end));

const phase = z
  .strictObject({
    name: z.string().min(1),
    /** Length of the phase in tokens that the model sees. */
    tokens: z.int().positive(),
    /** Learning rate. */
    lr: ramp(z.number().min(0)),
    /** Tokens of one optimizer step. */
    batchTokens: z.int().positive().default(4096),
    /** Shares of the batches that are drills, by the drill's name. */
    drills: z.record(z.string(), ramp(rate)).default({}),
    /** Share of the batches that are dialogues of the recipe's set; what all shares leave of 1 is demonstrations. */
    dialogues: ramp(rate).default(0),
    /** Shares of the batches that are demonstrations of other domains, by name; their drills go by the drill's name too. */
    also: z.record(z.string(), ramp(rate)).default({}),
    /** Conversations are cut to this many tokens. */
    length: ramp(z.int().min(2)),
    /** Share of the demonstrations whose expert has the `habits` below; the others are clean. */
    imperfect: ramp(rate).default(0),
    habits: habits.prefault({}),
  })
  .refine((phase) => shared(phase).every((sum) => sum <= 1 + ROUNDING), {
    path: ["drills"],
    error: "the shares sum to more than 1",
  });

const recipe = z
  .strictObject({
    domain: z.string().min(1),
    /** A set of dialogues (`tarl tasks import apigen`); in a file, looked for beside it. */
    dialogues: z.string().min(1).optional(),
    seed: z.int().min(0).default(1),
    /** Weight of environment tokens in the loss; the expert's own have 1. */
    environmentWeight: rate.default(0.1),
    /** Weight of what a drill only shows; what it asks for has 1. */
    drillContextWeight: rate.default(0),
    /** Most share of tasks in which nothing may be written. */
    refuseShare: rate.default(0.15),
    trainDatabases: z.int().positive().max(900_000).default(100_000),
    optimizer: z.strictObject({
      kind: z.enum(["adamw", "muon"]),
      /** Learning rate of Muon's matrices as a share of the phase's. */
      muonScale: z.number().positive().default(1),
      beta1: kept.default(0.9),
      beta2: kept.default(0.95),
      eps: z.number().positive().default(1e-8),
      weightDecay: z.number().min(0).default(0),
      decayVectors: z.boolean().default(false),
      maxGradNorm: z.number().min(0).default(1),
    }),
    /** Held-out checks: every `every` optimizer steps the loss on demonstrations and the success of `tasks` conversations. */
    heldOut: z
      .strictObject({
        every: z.int().positive().default(200),
        demonstrations: z.int().positive().default(64),
        tasks: z.int().min(0).default(50),
      })
      .prefault({}),
    /** Optimizer steps between checkpoints. */
    saveEvery: z.int().positive().default(200),
    phases: z.array(phase).min(1),
  })
  .superRefine(({ dialogues, phases }, context) => {
    const lacking =
      dialogues === undefined
        ? phases.findIndex((phase) => sumAt({ share: phase.dialogues }, 0) + sumAt({ share: phase.dialogues }, 1) > 0)
        : -1;
    if (lacking >= 0)
      context.addIssue({
        code: "custom",
        path: ["phases", lacking, DIALOGUES],
        message: "the recipe names no set of dialogues",
      });
  });

export type Recipe = z.infer<typeof recipe>;
export type Phase = Recipe["phases"][number];

/** What holds at one moment of a run. */
export interface Moment {
  readonly phase: Phase;
  readonly lr: number;
  /** Of drills and other domains by name, and of dialogues; the rest is demonstrations. */
  readonly shares: readonly (readonly [kind: string, share: number])[];
  readonly length: number;
  readonly imperfect: number;
}

/** Reads and checks a recipe file; what is wrong with it is a UsageError of one line. */
export function readRecipe(path: string): Recipe {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageError(`--recipe ${path}: ${(error as Error).message}`);
  }
  const { dialogues, ...recipe } = parseRecipe(json, path);
  return dialogues === undefined ? recipe : { ...recipe, dialogues: resolve(dirname(path), dialogues) };
}

export function parseRecipe(json: unknown, source: string): Recipe {
  const result = recipe.safeParse(json);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  throw new UsageError(`${source}: ${path.length ? `${path.join(".")}: ` : ""}${message}`);
}

/** The other domains that the recipe demonstrates, or has drills of. */
export function otherDomains({ domain, phases }: Recipe): readonly string[] {
  return [...new Set(phases.flatMap(({ also }) => Object.keys(also)))].filter((name) => name !== domain);
}

/** The domain that has each drill which the phases may name; a name that two domains have is the first one's. */
export function drillsOf(domains: readonly Domain[]): ReadonlyMap<string, Domain> {
  const named = [...domains]
    .reverse()
    .flatMap((domain) => Object.keys(domain.drills ?? {}).map((name) => [name, domain] as const));
  return new Map(named.filter(([name]) => name !== DEMONSTRATIONS && name !== DIALOGUES));
}

/** Refuses a recipe with drills that none of its domains has. */
export function checkDrills({ phases }: Recipe, domains: readonly Domain[], source: string): void {
  const known = [...drillsOf(domains).keys()];
  const names = domains.map(({ name }) => name).join(" or ");
  for (const [i, phase] of phases.entries())
    for (const name of Object.keys(phase.drills))
      if (!known.includes(name))
        throw new UsageError(
          `${source}: phases.${i}.drills.${name}: expected a drill of the domain ${names}: ${known.join(", ") || "it has none"}`,
        );
}

/** Does any batch of the recipe show the domain's expert? */
export function demonstrates({ phases }: Recipe): boolean {
  return phases.some((phase) => shared(phase).some((sum) => sum < 1 - ROUNDING));
}

/** Tokens of the whole recipe. */
export function totalTokens(recipe: Recipe): number {
  return recipe.phases.reduce((sum, { tokens }) => sum + tokens, 0);
}

/** What the recipe says after `seen` tokens; null when it is finished. */
export function momentOf(recipe: Recipe, seen: number): Moment | null {
  let left = seen;
  for (const phase of recipe.phases) {
    if (left < phase.tokens) {
      const at = (value: number | [number, number]) =>
        typeof value === "number" ? value : value[0] + ((value[1] - value[0]) * left) / phase.tokens;
      return {
        phase,
        lr: at(phase.lr),
        shares: Object.entries(sharesOf(phase)).map(([kind, share]) => [kind, at(share)]),
        length: Math.round(at(phase.length)),
        imperfect: at(phase.imperfect),
      };
    }
    left -= phase.tokens;
  }
  return null;
}
