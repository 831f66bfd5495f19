// Supervised training on the scripted expert's demonstrations: the same sandbox, ledger and masks as in reinforcement
// learning, through the same Policy.step (no ratio, advantage 1). Drills (look-ups in the domain's own shapes) and recorded
// dialogues can be mixed in, or be all there is.
// A run is a function of the recipe: phases are counted in tokens, every batch is drawn from (seed, step).
// Not the recipe (recipe.ts) nor the command (cli/sft.ts). Test: test/unit/sft.test.ts

import { UsageError } from "./errors.ts";
import { oracleHabits } from "./eval/evaluate.ts";
import { openOther, type Table } from "./play.ts";
import { Random } from "./random.ts";
import {
  DEMONSTRATIONS,
  DIALOGUES,
  demonstrates,
  drillsOf,
  type Moment,
  momentOf,
  otherDomains,
  type Recipe,
} from "./recipe.ts";
import type { Attempt } from "./rollout/collect.ts";
import { recite } from "./rollout/recite.ts";
import type { SamplingSettings } from "./settings.ts";
import type { Batch, Dialogue, Ledger, LossOptions, Segment } from "./types.ts";

/** Draws before no dialogue is taken to be short enough. */
const MAX_DRAWS = 1000;

/** One line of metrics.jsonl. */
export interface SftLine {
  /** Finished updates. */
  readonly step: number;
  readonly phase: string;
  /** Tokens seen, this update's included. */
  readonly tokens: number;
  /** Name of the drill or of the other domain, "dialogues" or "demonstrations". */
  readonly kind: string;
  readonly lr: number;
  /** Weighted mean of -log p (nats). */
  readonly loss: number;
  readonly gradNorm: number;
  /** Only where the recipe asks for a check: mean -log p of held-out agent tokens, and success of held-out tasks. */
  readonly heldOutLoss?: number;
  readonly heldOutSuccess?: number;
}

/** What a run learns from. */
interface Material {
  readonly recipe: Recipe;
  readonly table: Table;
  /** Of every domain that is demonstrated, by its name. */
  readonly tables: ReadonlyMap<string, Table>;
  readonly drills: ReturnType<typeof drillsOf>;
  /** Those of the recipe's set that are trained on. */
  readonly dialogues: readonly Dialogue[];
}

/** How the run goes on from `step` updates and `tokens` seen, and whom it tells. */
export interface SftRun {
  readonly step: number;
  readonly tokens: number;
  /** The recipe's set; the last tenth of it, but no more than a check takes, is held out. */
  readonly dialogues?: readonly Dialogue[];
  /** After every update, in order. */
  readonly report: (line: SftLine) => void;
  readonly save: (step: number) => Promise<void>;
  /** Asked after every update: true ends the run there, with a checkpoint. */
  readonly stopped: () => boolean;
}

interface Row {
  readonly ids: ArrayLike<number>;
  /** Of each token, before normalisation. */
  readonly weight: (t: number) => number;
}

interface Lesson {
  readonly batch: Batch;
  readonly moment: Moment;
  readonly kind: string;
}

/** -log p of every weighted token. */
export const logLikelihood: LossOptions = {
  ratio: "none",
  clipLow: 0,
  clipHigh: 0,
  dualClip: 0,
  klCoef: 0,
  klKind: "k3",
  klClamp: 10,
  entropyCoef: 0,
  temperature: 1,
};

/** Follows the recipe to its end, or until `run.stopped()`; true when it came to its end. */
export async function sft(recipe: Recipe, table: Table, sampling: SamplingSettings, run: SftRun): Promise<boolean> {
  const { dialogues = [] } = run;
  const trained = dialogues.length - Math.min(recipe.heldOut.demonstrations, Math.floor(dialogues.length / 10));
  const others = await Promise.all(
    otherDomains(recipe).map(async (name) => table.beside(await openOther(name, recipe))),
  );
  const tables = new Map([table, ...others].map((each) => [each.domain.name, each]));
  const drills = drillsOf([...tables.values()].map(({ domain }) => domain));
  const material: Material = { recipe, table, tables, drills, dialogues: dialogues.slice(0, trained) };
  const check = await heldOutCheck(recipe, table, sampling, dialogues.slice(trained));
  let { step, tokens } = run;
  let lesson = await nextLesson(material, step, tokens);
  while (lesson) {
    const { batch, moment, kind } = lesson;
    const { kind: optimizer, ...rest } = recipe.optimizer;
    tokens += batch.ids.length;
    const [stats, next] = await Promise.all([
      table.policy.step(batch, logLikelihood, { kind: optimizer, lr: moment.lr, ...rest }),
      nextLesson(material, step + 1, tokens), // played while the engine computes
    ]);
    step++;
    lesson = next;
    run.report({
      step,
      phase: moment.phase.name,
      tokens,
      kind,
      lr: moment.lr,
      loss: stats.loss,
      gradNorm: stats.gradNorm,
      ...(step % recipe.heldOut.every === 0 || !lesson ? await check() : {}),
    });
    const stopped = run.stopped();
    if (step % recipe.saveEvery === 0 || !lesson || stopped) await run.save(step);
    if (stopped) return lesson === null;
  }
  return true;
}

/** The batch of an update: a function of the recipe, the step and the tokens seen. Null when the recipe is finished. */
async function nextLesson(material: Material, step: number, tokens: number): Promise<Lesson | null> {
  const { recipe } = material;
  const moment = momentOf(recipe, tokens);
  if (!moment) return null;
  const random = new Random("sft", recipe.seed, step);
  const kind = pickKind(moment, random);
  const rows: Row[] = [];
  for (let size = 0; size < moment.phase.batchTokens; ) {
    const more = await rowsOf(kind, material, moment, random.int(2 ** 32));
    rows.push(...more);
    for (const { ids } of more) size += ids.length;
  }
  return { batch: weighted(rows, `phase ${moment.phase.name}: ${kind}`), moment, kind };
}

function pickKind({ shares }: Moment, random: Random): string {
  let left = random.float();
  for (const [kind, share] of shares) {
    left -= share;
    if (left < 0) return kind;
  }
  return DEMONSTRATIONS;
}

async function rowsOf(kind: string, material: Material, moment: Moment, seed: number): Promise<readonly Row[]> {
  const { recipe, table, tables, drills } = material;
  if (kind === DIALOGUES) return dialogueRows(material, moment, seed);
  const drill = drills.get(kind)?.drills?.[kind];
  if (drill) return [drillRow(recipe, table, drill(seed))];
  return demonstrationRows(recipe, kind === DEMONSTRATIONS ? table : tables.get(kind)!, moment, seed);
}

/** A row for each context of a conversation (docs/formats.md), of at most `length` tokens. */
function contextRows(
  { ids, rows = Int32Array.of(0, ids.length) }: Ledger,
  length: number,
  weight: (t: number) => number,
): Row[] {
  return Array.from(rows.subarray(0, -1), (from, row) => ({
    ids: ids.subarray(from, Math.min(rows[row + 1], from + length)),
    weight: (t) => weight(from + t),
  }));
}

function drillRow(recipe: Recipe, { tokenizer }: Table, drill: readonly Segment[]): Row {
  const ids: number[] = [];
  const weights: number[] = [];
  for (const { text, learn } of drill)
    for (const id of tokenizer.encodePlain(text)) {
      ids.push(id);
      weights.push(learn ? 1 : recipe.drillContextWeight);
    }
  return { ids, weight: (t) => weights[t] };
}

async function demonstrationRows(recipe: Recipe, table: Table, moment: Moment, seed: number): Promise<Row[]> {
  const random = new Random(seed);
  const [task] = table.tasks.train(1, seed);
  const habits = random.chance(moment.imperfect) ? moment.phase.habits : oracleHabits;
  const { ledger } = await table.demonstrate({ task, sample: 0, seed }, habits);
  return contextRows(ledger, moment.length, (t) => (ledger.mask[t] ? 1 : recipe.environmentWeight));
}

/** A dialogue that fits, cut at the end of one of the agent's turns; only those turns are learnt. */
function dialogueRows({ table, dialogues }: Material, { phase, length }: Moment, seed: number): Row[] {
  const random = new Random(seed);
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const rows = recited(random.pick(dialogues), table, length);
    if (rows.length > 0) return rows;
  }
  throw new UsageError(
    `--recipe: phase ${phase.name}: length ${length}: dialogues are longer up to the agent's first turn`,
  );
}

/** None where it is too long. */
function recited(dialogue: Dialogue, { format, policy, limits }: Table, length: number): Row[] {
  const ledger = recite(dialogue, format, Math.min(length, limits.contextTokens, policy.contextLength));
  return ledger ? contextRows(ledger, Infinity, (t) => ledger.mask[t]) : [];
}

/** Rows with weights that sum to 1; the first token of a row has none before it and no weight. `what` they are. */
function weighted(rows: readonly Row[], what: string): Batch {
  const starts = new Int32Array(rows.length + 1);
  for (const [i, { ids }] of rows.entries()) starts[i + 1] = starts[i] + ids.length;
  const n = starts[rows.length];
  const ids = new Int32Array(n);
  const weight = new Float32Array(n);
  let sum = 0;
  for (const [i, row] of rows.entries()) {
    ids.set(row.ids, starts[i]);
    for (let t = 1; t < row.ids.length; t++) sum += weight[starts[i] + t] = row.weight(t);
  }
  if (sum === 0) throw new UsageError(`--recipe: ${what}: nothing to learn: no token of the batch has a weight`);
  for (let t = 0; t < n; t++) weight[t] /= sum;
  return { ids, rows: starts, weight, advantage: new Float32Array(n).fill(1), oldLogp: null, refLogp: null };
}

/**
 * A function that measures the policy as it stands on held-out demonstrations (where the recipe demonstrates nothing: on
 * held-out dialogues, if there are any) and conversations, always the same ones.
 */
async function heldOutCheck(
  recipe: Recipe,
  table: Table,
  sampling: SamplingSettings,
  dialogues: readonly Dialogue[],
): Promise<() => Promise<Partial<SftLine>>> {
  const { demonstrations, tasks } = recipe.heldOut;
  const draw = (count: number, label: string): Attempt[] =>
    table.tasks.heldOut(count, label).map((task, i) => ({
      task,
      sample: 0,
      seed: i,
    }));
  const shown = async (): Promise<Row[]> => {
    const attempts = draw(demonstrations, "demonstrations");
    const rollouts = await table.collect(attempts, (attempt) => table.demonstrate(attempt, oracleHabits));
    return rollouts.flatMap(({ ledger }) => contextRows(ledger, Infinity, (t) => ledger.mask[t]));
  };
  const rows = demonstrates(recipe)
    ? await shown()
    : dialogues.flatMap((dialogue) => recited(dialogue, table, Infinity));
  const batch = rows.length ? weighted(rows, "heldOut: demonstrations") : null;
  const played = draw(tasks, "tasks");
  return async () => ({
    ...(batch ? { heldOutLoss: await lossOn(batch, table) } : {}),
    ...(tasks ? { heldOutSuccess: await successOn(played, table, sampling) } : {}),
  });
}

async function lossOn({ ids, rows, weight }: Batch, { policy }: Table): Promise<number> {
  const { logp } = await policy.score(ids, rows, 1);
  return weight.reduce((sum, weight, t) => sum - weight * logp[t], 0);
}

async function successOn(attempts: readonly Attempt[], table: Table, sampling: SamplingSettings): Promise<number> {
  const rollouts = await table.collect(attempts, (attempt) => table.converse(attempt, sampling));
  return rollouts.filter(({ outcome }) => outcome.success).length / attempts.length;
}
