// Reads files of token ids: one JSON array per line. What score and generate share.

import { UsageError } from "../errors.ts";
import { parseJson, readText } from "./options.ts";

/** Every line's ids; each must be below `vocabSize`, and a line may hold 1 to `most` of them. */
export function readIds(file: string, vocabSize: number, most: number): Int32Array[] {
  const lines = readText(file, "--ids").split("\n");
  if (lines.at(-1) === "") lines.pop();
  if (lines.length === 0) throw new UsageError(`--ids ${file}: the file is empty`);
  return lines.map((line, i) => {
    const where = `--ids ${file}: line ${i + 1}`;
    const ids = parseJson(line, where);
    if (!Array.isArray(ids) || ids.length === 0) throw new UsageError(`${where}: expected a JSON array of token ids`);
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (wrong !== undefined)
      throw new UsageError(
        `${where}: ${JSON.stringify(wrong)} is no token id, expected whole numbers from 0 to ${vocabSize - 1}`,
      );
    if (ids.length > most) throw new UsageError(`${where}: ${ids.length} ids, expected at most ${most}`);
    return Int32Array.from(ids);
  });
}
