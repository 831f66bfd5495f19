// The safetensors container: 8 bytes of header length, a JSON header, tensor bytes. Headers only; nothing here reads
// or writes a tensor's bytes, and nothing knows what a tensor is for. Tests: test/golden/checkpoint.test.ts.
// Format: https://github.com/huggingface/safetensors (README, "Format").

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { basename } from "node:path";
import { CheckpointError } from "../errors.ts";

/** Where one tensor lies. */
export interface TensorEntry {
  readonly name: string;
  /** Path of the file that holds it. */
  readonly file: string;
  /** Of its first byte, from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** Bytes of one element. */
// biome-ignore format: one line per size
export const ITEM_BYTES: { readonly [dtype: string]: number } = {
  BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1,
  U16: 2, I16: 2, F16: 2, BF16: 2,
  U32: 4, I32: 4, F32: 4,
  U64: 8, I64: 8, F64: 8,
};

/** The format's own limit; a longer header is taken for a broken file before anything is allocated. */
const MAX_HEADER_BYTES = 100_000_000;

/** Reads and checks the header: every tensor's type, shape and place; the tensors must cover the file exactly. */
export function readHeader(file: string): TensorEntry[] {
  const name = basename(file);
  const refuse = (what: string): never => {
    throw new CheckpointError(`${name}: ${what} (${file})`);
  };
  const handle = openSync(file, "r");
  try {
    const fileBytes = fstatSync(handle).size;
    if (fileBytes < 8) refuse(`${fileBytes} bytes, too short for a safetensors file`);
    const head = read(handle, 0, 8).readBigUInt64LE();
    if (head > MAX_HEADER_BYTES || head > fileBytes - 8)
      refuse(`header length ${head} does not fit a file of ${fileBytes} bytes`);
    const start = 8 + Number(head);
    return parseHeader(read(handle, 8, Number(head)), file, start, fileBytes - start, refuse);
  } finally {
    closeSync(handle);
  }
}

function parseHeader(
  text: Buffer,
  file: string,
  start: number,
  dataBytes: number,
  refuse: (what: string) => never,
): TensorEntry[] {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
  } catch {
    refuse("the header is not JSON");
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) return refuse("the header is no object");

  const entries: TensorEntry[] = [];
  for (const [name, value] of Object.entries(header as Record<string, unknown>)) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: span } = Object(value) as Record<string, unknown>;
    if (typeof dtype !== "string" || !Object.hasOwn(ITEM_BYTES, dtype))
      return refuse(`${name} has the unknown dtype ${JSON.stringify(dtype)}`);
    if (!isCounts(shape)) return refuse(`${name} has no valid shape: ${JSON.stringify(shape)}`);
    if (!isCounts(span) || span.length !== 2 || span[0] > span[1] || span[1] > dataBytes)
      return refuse(`${name} lies at ${JSON.stringify(span)}, outside of the ${dataBytes} bytes of data`);
    const bytes = span[1] - span[0];
    if (shape.reduce((product, n) => product * n, ITEM_BYTES[dtype]) !== bytes)
      refuse(`${name} is ${dtype} [${shape}] but takes ${bytes} bytes`);
    entries.push({ name, file, offset: start + span[0], bytes, dtype, shape });
  }

  let end = start;
  for (const entry of [...entries].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (entry.offset !== end)
      refuse(`${entry.name} ${entry.offset < end ? "overlaps" : "leaves a gap after"} another tensor`);
    end += entry.bytes;
  }
  if (end !== start + dataBytes) refuse(`${start + dataBytes - end} bytes after the last tensor`);
  return entries;
}

/** A header for tensors stored one after the other in this order, padded so that the data starts on 8 bytes. */
export function makeHeader(tensors: readonly { name: string; dtype: string; shape: readonly number[] }[]): {
  /** Length field and JSON: the first bytes of the file. */
  readonly header: Buffer;
  /** Of each tensor, from the start of the file. */
  readonly offsets: readonly number[];
  readonly fileBytes: number;
} {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  const spans: number[] = [0];
  for (const { name, dtype, shape } of tensors) {
    const begin = spans[spans.length - 1];
    const end = begin + shape.reduce((product, n) => product * n, ITEM_BYTES[dtype]);
    header[name] = { dtype, shape, data_offsets: [begin, end] };
    spans.push(end);
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Math.ceil(json.length / 8) * 8;
  const out = Buffer.alloc(8 + padded, " ");
  out.writeBigUInt64LE(BigInt(padded));
  json.copy(out, 8);
  const places = spans.map((span) => span + out.length);
  return { header: out, offsets: places.slice(0, -1), fileBytes: places[tensors.length] };
}

/** Exactly `bytes` bytes from `offset`. */
export function read(handle: number, offset: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  let done = 0;
  while (done < bytes) {
    const got = readSync(handle, buffer, done, bytes - done, offset + done);
    if (got === 0) throw new CheckpointError(`file ends ${bytes - done} bytes early`);
    done += got;
  }
  return buffer;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
