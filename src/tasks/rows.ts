// Rows of a data set's file: a JSON array, JSON lines or Parquet, whichever it is by its first bytes. Every row has its
// place, file:line or "file: row 3". Not their checking: apigen.ts and deepscaler.ts. Test: test/unit/import.test.ts

import { readFileSync } from "node:fs";
import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { type Dict, parse, type Value } from "../domains/python.ts";
import { UsageError } from "../errors.ts";
import { attempt, jsonLines, readText } from "./record.ts";

export interface Row {
  readonly place: string;
  readonly value: Dict;
}

/** All rows, each an object; ints are bigint. `columns`: those that Parquet has to have. */
export async function* readRows(file: string, columns: readonly string[]): AsyncGenerator<Row> {
  const bytes = attempt(file, () => readFileSync(file));
  if (bytes.subarray(0, MAGIC.length).equals(MAGIC)) return yield* parquetRows(bytes, file, columns);
  const text = readText(file);
  const rows = /^\s*\[/.test(text) ? arrayRows(text, file) : jsonLines(text, file);
  for (const { place, value } of rows) {
    if (!(value instanceof Map)) throw new UsageError(`${place}: expected an object`);
    yield { place, value };
  }
}

function* arrayRows(text: string, file: string): Generator<{ readonly place: string; readonly value: Value }> {
  const rows = attempt(file, () => parse(text)) as Value[];
  for (const [i, value] of rows.entries()) yield { place: `${file}: row ${i + 1}`, value };
}

/** The first and the last bytes of a Parquet file. */
const MAGIC = Buffer.from("PAR1");

async function* parquetRows(bytes: Buffer, file: string, columns: readonly string[]): AsyncGenerator<Row> {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  let rows: Record<string, unknown>[];
  try {
    rows = await parquetReadObjects({ file: buffer, columns: [...columns], compressors });
  } catch (error) {
    throw new UsageError(`${file}: not Parquet that can be read: ${(error as Error).message}`);
  }
  for (const [i, row] of rows.entries()) {
    yield { place: `${file}: row ${i + 1}`, value: new Map(Object.entries(row) as [string, Value][]) };
  }
}
