// Tensor bytes out of memory-mapped files and back: places that are not aligned, every stored dtype, files that are gone
// or shrank after their header was read, a disk that is full. What a header may say is test/golden/checkpoint.test.ts.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parameterShapes, parseConfig, saveCheckpoint, type TensorEntry } from "../../src/policy/checkpoint.ts";
import { type EnginePolicy, openPolicy } from "../../src/policy/policy.ts";

const config = parseConfig({
  model_type: "llama",
  vocab_size: 50,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
});
const options = { device: "cpu", dtype: "fp32", threads: 1, role: "reference" } as const;
const dir = fs.mkdtempSync(join(tmpdir(), "tarl-files-"));
let policy: EnginePolicy;
test.before(async () => {
  policy = await openPolicy({ ...options, model: { config, seed: 1 } });
  await policy.save(join(dir, "model"));
});
test.after(async () => {
  await policy.dispose();
  fs.rmSync(dir, { recursive: true });
});

const name = "model.norm.weight";
const values = Array.from({ length: 16 }, (_, i) => (i - 7) / 4); // exact in every dtype
const bits: { readonly [dtype: string]: (x: number) => Uint8Array } = {
  F32: (x) => new Uint8Array(Float32Array.of(x).buffer),
  F64: (x) => new Uint8Array(Float64Array.of(x).buffer),
  BF16: (x) => new Uint8Array(Float32Array.of(x).buffer).slice(2),
  F16: (x) => {
    if (x === 0) return Uint8Array.of(0, 0);
    const exponent = Math.floor(Math.log2(Math.abs(x)));
    const half = ((exponent + 15) << 10) | ((Math.abs(x) / 2 ** exponent - 1) * 1024) | (x < 0 ? 0x8000 : 0);
    return Uint8Array.of(half & 255, half >> 8);
  },
};

/** A place `offset` bytes into a file of its own. */
function place(dtype: string, offset: number): TensorEntry {
  const data = Buffer.concat([Buffer.alloc(offset, 0xff), ...values.map(bits[dtype])]);
  const file = join(dir, `${dtype}-${offset}`);
  fs.writeFileSync(file, data);
  return { name, file, offset, bytes: data.length - offset, dtype, shape: [16] };
}

async function failure(work: () => Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await work();
  } catch (error) {
    return error as Error;
  }
  throw new Error("expected a failure");
}

test("a saved model is read again, every tensor whole", async () => {
  const twin = await openPolicy({ ...options, model: join(dir, "model") });
  for (const [name] of parameterShapes(config))
    assert.equal((await twin.engine.tensor(name)).data, (await policy.engine.tensor(name)).data, name);
  await twin.dispose();
});

for (const dtype of Object.keys(bits))
  for (const offset of [0, 8, 13, 4096 + 3])
    test(`${dtype} at byte ${offset}`, async () => {
      await policy.engine.read([place(dtype, offset)]);
      assert.equal(Array.from((await policy.engine.tensor(name)).data), values);
    });

test("a file that shrank, is empty or is gone is an error that names it, and the process lives on", async () => {
  const entry = place("F32", 8);
  for (const [change, line] of [
    [() => fs.truncateSync(entry.file, 70), /^cannot read model\.norm\.weight in .*F32-8: the file ends before it$/],
    [() => fs.truncateSync(entry.file, 0), /^cannot read model\.norm\.weight in .*F32-8: it is empty$/],
    [() => fs.rmSync(entry.file), /^cannot read model\.norm\.weight in .*F32-8: No such file or directory$/],
  ] as const) {
    change();
    const error = await failure(() => policy.engine.read([entry]));
    assert.is(error.code, "CHECKPOINT");
    assert.match(error.message, line);
  }
  await policy.engine.read([place("F32", 8)]);
});

test("a full disk is an error that says so, and leaves no folder behind", async () => {
  if (!fs.existsSync("/dev/full")) return console.log("SKIP 1 no /dev/full here");
  const error = await failure(() => policy.engine.write([{ ...place("F32", 0), file: "/dev/full" }]));
  assert.is(error.code, "CHECKPOINT");
  assert.match(error.message, /^cannot write model\.norm\.weight in \/dev\/full: No space left on device$/);

  const before = fs.readdirSync(dir);
  const save = () =>
    saveCheckpoint(join(dir, "lost"), config, { dtype: "F32", companions: new Map() }, () => {
      throw error;
    });
  assert.is(await failure(save), error);
  assert.equal(fs.readdirSync(dir), before);
});

test.run();
