// The optimizer's state in fewer bits: split masters are the fp32 ones to the bit, 8-bit moments are the nearest codes and
// learn the same, random rounding is unbiased and repeatable; every way of keeping it is saved and gone on with exactly,
// and refused by another.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CheckpointError } from "../../src/errors.ts";
import { parameterShapes } from "../../src/policy/model.ts";
import type { EnginePolicy, PolicyOptions } from "../../src/policy/policy.ts";
import { readHeader, type TensorEntry } from "../../src/policy/safetensors.ts";
import type { StateOptions } from "../../src/policy/state.ts";
import { adamw, inFolder, lesson, loss, opened, small } from "./lessons.ts";

const step = (policy: EnginePolicy, seed = 1, options = adamw) =>
  policy.step(lesson(policy.vocabSize, seed), loss, options);

const bits = (values: Float32Array) => new Uint32Array(values.buffer);

/** The fp32 values that bf16 weights and their low bits stand for. */
function joined(high: Float32Array, low: Float32Array): Float32Array {
  const sum = bits(high.slice()).map((word, i) => word + low[i]); // modulo 2^32
  return new Float32Array(sum.buffer);
}

/** All parameters by name, and their masters as fp32. */
async function masters(policy: EnginePolicy, state: StateOptions) {
  const found = new Map<string, Float32Array>();
  for (const [name] of parameterShapes(policy.config)) {
    const { data } = await policy.engine.tensor(state.master === "fp32" ? `master/${name}` : name);
    found.set(name, state.master === "split" ? joined(data, (await policy.engine.tensor(`low/${name}`)).data) : data);
  }
  return found;
}

test("a split master is the fp32 one to the bit", async () => {
  const first = (master: StateOptions["master"]) => {
    const state = { master, moments: "fp32" } as const;
    return opened({ dtype: "bf16", threads: 1, state }, async (policy) => {
      await step(policy);
      return masters(policy, state);
    });
  };
  const [wide, split] = [await first("fp32"), await first("split")];
  for (const [name, master] of wide) assert.equal(bits(split.get(name)!), bits(master), name);
});

/** Writes all patterns of bf16 that are no NaN into rows of the embedding that no batch uses, and random low bits. */
function plant(entry: TensorEntry, values: (i: number) => number, count: number): void {
  const bytes = readFileSync(entry.file);
  const unused = entry.shape[0] * entry.shape[1] - count;
  for (let i = 0; i < count; i++) bytes.writeUInt16LE(values(i), entry.offset + 2 * (unused + i));
  writeFileSync(entry.file, bytes);
}

test("weights that nothing moves keep every bit, whatever they and their low bits are", async () => {
  const patterns = Array.from({ length: 65_536 }, (_, i) => i).filter((i) => (i & 0x7f80) !== 0x7f80);
  const rows = Math.ceil(patterns.length / small.hiddenSize);
  const config = { ...small, tied: false, vocabSize: small.vocabSize + rows };
  const options = { dtype: "bf16", threads: 1, vocabLimit: small.vocabSize } as const;
  const state = { master: "split", moments: "fp32" } as const;
  const still = (policy: EnginePolicy) => policy.step(lesson(small.vocabSize), loss, { ...adamw, weightDecay: 0 });
  const name = "model.embed_tokens.weight";
  const low = (i: number) => (i * 40_503) & 0xffff;
  await inFolder(async (dir) => {
    const at = (folder: string, file: string) => readHeader(join(dir, folder, file));
    await opened({ ...options, state, model: { config, seed: 1 } }, async (policy) => {
      await still(policy);
      await policy.save(join(dir, "before"), { optimizer: true });
    });
    const find = (folder: string, file: string, key: string) => at(folder, file).find((each) => each.name === key)!;
    plant(find("before", "model.safetensors", name), (i) => patterns[i], patterns.length);
    plant(find("before", "optimizer.safetensors", `low/${name}`), low, patterns.length);
    await opened({ ...options, state, model: join(dir, "before") }, async (policy) => {
      await still(policy);
      await policy.save(join(dir, "after"), { optimizer: true });
    });
    const used = (config.vocabSize * config.hiddenSize - patterns.length) * 2;
    for (const [file, key] of [
      ["model.safetensors", name],
      ["optimizer.safetensors", `low/${name}`],
    ]) {
      const [before, after] = ["before", "after"].map((folder) => {
        const { offset, bytes } = find(folder, file, key);
        return readFileSync(join(dir, folder, file)).subarray(offset + used, offset + bytes);
      });
      assert.is(before.length, 2 * patterns.length);
      assert.ok(before.equals(after), key);
    }
  });
});

/** The codes as the paper's reference makes them (bitsandbytes, create_dynamic_map). */
function codes(signed: boolean): number[] {
  const list = [0, 1];
  for (let i = 0; i < 7; i++) {
    const items = (signed ? 2 ** i : 2 ** (i + 1)) + 1;
    const borders = Array.from({ length: items }, (_, j) => 0.1 + (0.9 * j) / (items - 1));
    for (let j = 0; j + 1 < items; j++) {
      const middle = ((borders[j] + borders[j + 1]) / 2) * 10 ** (i - 6);
      list.push(middle, ...(signed ? [-middle] : []));
    }
  }
  return list.sort((a, b) => a - b);
}

test("8-bit moments are the nearest codes of fp32 ones, in blocks of 256", async () => {
  const moments = (moments: StateOptions["moments"]) =>
    opened({ threads: 1, state: { master: "fp32", moments } }, async (policy) => {
      await step(policy);
      const read = async (name: string) => (await policy.engine.tensor(name)).data;
      const found = [];
      for (const [name, shape] of parameterShapes(policy.config))
        for (const kind of ["m", "v"] as const) {
          const values = await read(`${kind}/${name}`);
          const scale = moments === "8bit" && shape.length === 2 ? await read(`${kind}.scale/${name}`) : null;
          found.push({ name: `${kind}/${name}`, signed: kind === "m", values, scale });
        }
      return found;
    });
  const [wide, narrow] = [await moments("fp32"), await moments("8bit")];
  for (const [i, { name, signed, values: codesOf, scale }] of narrow.entries()) {
    const exact = wide[i].values;
    if (!scale) {
      assert.equal(codesOf, exact, name);
      continue;
    }
    const table = codes(signed);
    assert.is(table.length, 256);
    assert.is(scale.length, Math.ceil(exact.length / 256));
    for (let block = 0; block < scale.length; block++)
      assert.is(scale[block], Math.max(...exact.subarray(256 * block, 256 * (block + 1)).map(Math.abs)), name);
    for (const [j, x] of exact.entries()) {
      const relative = scale[j >> 8] && x / scale[j >> 8];
      const distance = Math.abs(table[codesOf[j]] - relative);
      const least = Math.min(
        ...table.filter((code) => signed || code > 0 || x === 0).map((code) => Math.abs(code - relative)),
      );
      assert.ok(distance <= least * (1 + 1e-4) + 1e-9, `${name} ${j}: ${relative} became ${table[codesOf[j]]}`);
    }
  }
});

test("narrow state learns what wide state learns", async () => {
  const learnt = (options: Partial<PolicyOptions>) =>
    opened({ threads: 1, ...options }, async (policy) => {
      const gentle = { ...adamw, lr: 1e-3, weightDecay: 0 };
      let last = 0;
      for (let i = 0; i < 12; i++) last = (await step(policy, 1 + (i % 3), gentle)).loss;
      return last;
    });
  for (const dtype of ["fp32", "bf16"] as const) {
    const wide = await learnt({ dtype });
    for (const master of dtype === "bf16" ? (["split", "none"] as const) : (["fp32"] as const)) {
      const narrow = await learnt({ dtype, state: { master, moments: "8bit" } });
      assert.ok(Math.abs(narrow - wide) < 0.05 * Math.abs(wide), `${dtype} ${master}: ${narrow}, ${wide}`);
    }
  }
});

test("without a master weights are rounded at random, by their distance, the same way every time", async () => {
  const state = { master: "none", moments: "fp32" } as const;
  const tiny = { ...adamw, lr: 1e-6, weightDecay: 0, maxGradNorm: 0 };
  const name = "model.embed_tokens.weight";
  const moved = () =>
    opened({ dtype: "bf16", threads: 1, state }, async (policy) => {
      const before = (await policy.engine.tensor(name)).data;
      await step(policy, 1, tiny);
      return { before, after: (await policy.engine.tensor(name)).data };
    });
  const { before, after } = await moved();
  assert.equal((await moved()).after, after);
  // The first update of Adam moves each weight by lr: most stay, and on average they move by that.
  const changes = after.map((x, i) => Math.abs(x - before[i]));
  const mean = changes.reduce((sum, x) => sum + x, 0) / changes.length;
  const changed = changes.filter((x) => x > 0).length;
  assert.ok(changed > 0 && changed < changes.length / 20, `${changed} of ${changes.length}`);
  assert.ok(mean > 0.3e-6 && mean < 3e-6, `${mean}`);
});

const ways: readonly (readonly [dtype: "fp32" | "bf16", state: StateOptions, optimizer: "adamw" | "muon"])[] = [
  ["fp32", { master: "fp32", moments: "8bit" }, "adamw"],
  ["fp32", { master: "fp32", moments: "8bit" }, "muon"],
  ["bf16", { master: "split", moments: "8bit" }, "adamw"],
  ["bf16", { master: "split", moments: "fp32" }, "muon"],
  ["bf16", { master: "none", moments: "8bit" }, "adamw"],
  ["bf16", { master: "fp32", moments: "8bit" }, "adamw"],
];

for (const [dtype, state, kind] of ways)
  for (const kernels of ["on", "off"] as const)
    test(`${kind} with ${dtype} weights, ${state.master} masters, ${state.moments} moments goes on exactly, kernels ${kernels}`, () =>
      inFolder(async (dir) => {
        const options = { dtype, state, kernels, threads: 1 };
        const own = { ...adamw, kind };
        await opened(options, async (policy) => {
          await step(policy, 1, own);
          await policy.save(join(dir, "half"), { optimizer: true });
          await step(policy, 2, own);
          await policy.save(join(dir, "straight"), { optimizer: true });
        });
        await opened({ ...options, model: join(dir, "half") }, async (policy) => {
          await step(policy, 2, own);
          await policy.save(join(dir, "resumed"), { optimizer: true });
        });
        for (const name of ["model.safetensors", "optimizer.safetensors"])
          assert.ok(readFileSync(join(dir, "straight", name)).equals(readFileSync(join(dir, "resumed", name))), name);
      }));

test("state that was kept in another way is refused with the options that it needs", () =>
  inFolder(async (dir) => {
    const kept = { master: "split", moments: "8bit" } as const;
    await opened({ dtype: "bf16", state: kept }, async (policy) => {
      await step(policy);
      await policy.save(join(dir, "kept"), { optimizer: true });
    });
    for (const [state, dtype, expected] of [
      [{ master: "fp32", moments: "8bit" }, "bf16", /--master split --moments 8bit/],
      [{ master: "split", moments: "fp32" }, "bf16", /m\/\S+ is U8 .*expected F32.*--moments 8bit/],
      [{ master: "fp32", moments: "fp32" }, "fp32", /--master split --moments 8bit/],
    ] as const)
      try {
        await opened({ dtype, state, model: join(dir, "kept") }, async () => {});
        assert.unreachable(`${dtype} ${state.master} ${state.moments}`);
      } catch (error) {
        assert.instance(error, CheckpointError);
        assert.match((error as Error).message, expected);
      }
  }));

test.run();
