// Safetensors headers: written ones read back, and no bytes whatever do more than throw one clear line.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../../src/errors.ts";
import { makeHeader, readHeader } from "../../src/policy/safetensors.ts";

const scratch = mkdtempSync(join(tmpdir(), "tarl-safetensors-"));
const file = join(scratch, "model.safetensors");
test.after(() => rmSync(scratch, { recursive: true }));

const TENSORS = [
  { name: "a", dtype: "F32", shape: [2, 3] },
  { name: "b", dtype: "BF16", shape: [5] },
  { name: "empty", dtype: "F32", shape: [0, 4] },
  { name: "scalar", dtype: "F64", shape: [] },
];

/** A file with this JSON as its header and so many bytes of data. */
function write(json: string, dataBytes: number): void {
  const header = Buffer.from(json);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(file, Buffer.concat([length, header, Buffer.alloc(dataBytes)]));
}

test("a header that was made reads back", () => {
  const { header, offsets, fileBytes } = makeHeader(TENSORS);
  assert.is(header.length % 8, 0);
  assert.is(fileBytes, header.length + 24 + 10 + 0 + 8);
  assert.equal(
    offsets.map((offset) => offset - header.length),
    [0, 24, 34, 34],
  );
  writeFileSync(file, Buffer.concat([header, Buffer.alloc(fileBytes - header.length)]));
  assert.equal(
    readHeader(file),
    TENSORS.map((tensor, i) => ({ ...tensor, file, offset: offsets[i], bytes: [24, 10, 0, 8][i] })),
  );
});

test("tensors may be listed in another order than they lie", () => {
  write('{"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}', 5);
  assert.equal(
    readHeader(file).map(({ name, bytes }) => [name, bytes]),
    [
      ["b", 2],
      ["a", 3],
    ],
  );
});

const one = (fields: string) => `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]${fields}}}`;

/** [header, bytes of data, what the message names] */
const REFUSED: [string, number, RegExp][] = [
  ["[]", 0, /no object/],
  ["null", 0, /no object/],
  ['{"a":null}', 0, /a has the unknown dtype/],
  ['{"a":7}', 0, /a has the unknown dtype/],
  [one(',"dtype":"toString"'), 4, /a has the unknown dtype "toString"/],
  [one(',"shape":[-1]'), 4, /a has no valid shape: \[-1\]/],
  [one(',"shape":[1.5]'), 4, /a has no valid shape/],
  [one(',"shape":"1"'), 4, /a has no valid shape/],
  [one(',"shape":[9007199254740991,9007199254740991]'), 4, /a is F32 .* but takes 4 bytes/],
  [one(',"data_offsets":[4,0]'), 4, /a lies at \[4,0\]/],
  [one(',"data_offsets":[0]'), 4, /a lies at \[0\]/],
  [one(',"data_offsets":[-4,0]'), 4, /a lies at/],
  [one(""), 3, /a lies at \[0,4\], outside of the 3 bytes/],
  [one(""), 5, /1 bytes after the last tensor/],
  [one(',"data_offsets":[1,5]'), 5, /a leaves a gap/],
];

for (const [json, bytes, message] of REFUSED)
  test(`refuses ${json}`, () => {
    write(json, bytes);
    assert.throws(
      () => readHeader(file),
      (error: Error) => error instanceof CheckpointError && message.test(error.message),
    );
  });

test("damaged files are refused or read, nothing else", () => {
  const { header, fileBytes } = makeHeader(TENSORS);
  const whole = Buffer.concat([header, Buffer.alloc(fileBytes - header.length)]);
  const damage = fc.record({
    at: fc.nat(header.length - 1),
    byte: fc.nat(255),
    keep: fc.integer({ min: 0, max: fileBytes }),
  });
  fc.assert(
    fc.property(damage, fc.boolean(), ({ at, byte, keep }, cut) => {
      const bytes = Buffer.from(whole);
      bytes[at] = byte;
      writeFileSync(file, cut ? bytes.subarray(0, keep) : bytes);
      try {
        const end = readFileSync(file).length;
        for (const tensor of readHeader(file)) assert.ok(tensor.offset + tensor.bytes <= end);
      } catch (error) {
        assert.instance(error, CheckpointError);
      }
    }),
    { numRuns: 500, seed: 1 },
  );
});

test.run();
