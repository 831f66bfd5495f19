// Which tasks a command looks at: drawn as training or evaluation would, or those of a set. What list and validate share.

import type { Argv } from "yargs";
import { type Config, flagName } from "../../config/config.ts";
import { blame, UsageError } from "../../errors.ts";
import type { Played } from "../../play.ts";
import type { Task } from "../../types.ts";
import { addOptions, addSources, described, jsonOption, type Sources, typedOptions } from "../options.ts";

export interface Selection extends Sources {
  readonly tasks: string | undefined;
  readonly split: string | undefined;
  readonly count: string | undefined;
  readonly json: boolean | undefined;
}

/** `keys`: what a draw depends on; `does`: what the command does to a set; `most`: the default of --count. */
export function addSelection(
  yargs: Argv,
  keys: readonly (keyof Config)[],
  does: string,
  most: string,
): Argv<Selection> {
  return addOptions(addSources(yargs), keys)
    .option("tasks", described(`a task set to ${does} instead`, "folder or .jsonl", "none"))
    .option(
      "split",
      described("which databases they are played on; of a set, its split", "train|held-out", "train; all"),
    )
    .option("count", described("how many", "tasks", most))
    .option("json", jsonOption) as unknown as Argv<Selection>;
}

/** The tasks of a run's first update, or of its evaluations. */
export function draw({ tasks }: Played, { seed, evalSeed }: Config, split = "train", count: number): Task[] {
  if (split !== "train" && split !== "held-out") throw new UsageError(`--split ${split}: expected train or held-out`);
  return blame(`--count ${count}`, () =>
    split === "train" ? tasks.train(count, seed, 0) : tasks.heldOut(count, evalSeed),
  );
}

/** A set is taken as it is: options of a draw beside it are refused, but for those `allowed`. */
export function checkAlone(argv: Selection, ...allowed: string[]): void {
  const sources = (["preset", "config"] as const).filter((key) => argv[key] !== undefined);
  const other = [...sources, ...Object.keys(typedOptions(argv))].find((key) => !["tasks", ...allowed].includes(key));
  if (other)
    throw new UsageError(
      `--tasks ${argv.tasks} with ${flagName(other)}: a set is taken as it is, leave one of them out`,
    );
}
