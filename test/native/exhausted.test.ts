// A batch that cannot fit into memory: it fails by name in its first, largest micro-batch, so that nothing was added to the
// gradients yet, and the engine learns on afterwards. In a process of its own, whose memory is limited from outside.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const at = (file: string) => JSON.stringify(fileURLToPath(new URL(file, import.meta.url)));

/** Room for the small rows (10 tokens each) and not for the last one (6,000 tokens: some 500 MB). */
const script = `
  import { spawnSync } from "node:child_process";
  import { readFileSync } from "node:fs";
  import { adamw, loss, opened, small } from ${at("./lessons.js")};
  const config = { ...small, hiddenSize: 256, intermediateSize: 768, layers: 4, heads: 4, headDim: 64, maxPositions: 8000 };
  const batch = (lengths) => {
    const ids = Int32Array.from({ length: lengths.reduce((a, b) => a + b) }, (_, i) => (i * 31) % 97);
    const rows = Int32Array.of(0, ...lengths.map(((sum) => (n) => (sum += n))(0)));
    const weight = Float32Array.from(ids, (_, i) => (rows.includes(i) ? 0 : 1 / ids.length));
    return { ids, rows, weight, advantage: new Float32Array(ids.length).fill(1), oldLogp: null, refLogp: null };
  };
  const few = Array.from({ length: 8 }, (_, i) => 10 + i);
  await opened({ model: { config, seed: 1 }, microTokens: 32, threads: 2 }, async (policy) => {
    await policy.step(batch(few), loss, adamw);
    const used = Number(/VmSize:\\s+(\\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
    spawnSync("prlimit", ["--pid", String(process.pid), "--as=" + (used + 150e6)]);
    const failed = await policy.engine.backward(batch([...few, 6000]), loss).catch((error) => error.code);
    const names = ["model.embed_tokens.weight", "model.layers.0.mlp.down_proj.weight", "model.norm.weight"];
    const gradients = await Promise.all(names.map(async (name) => (await policy.engine.tensor("grad/" + name)).data));
    const clean = gradients.every((gradient) => gradient.every((x) => x === 0));
    const after = await policy.step(batch(few), loss, adamw);
    console.log(JSON.stringify({ failed, clean, tokens: after.tokens, finite: Number.isFinite(after.gradNorm) }));
  });
`;

if (spawnSync("prlimit", ["--version"]).status !== 0) console.log("SKIP 1 no prlimit: nothing limits a process here");
else
  test("a batch that cannot fit fails before anything was added to the gradients", () => {
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    assert.equal(JSON.parse(stdout || `"${stderr}"`), {
      failed: "OUT_OF_MEMORY",
      clean: true,
      tokens: 108,
      finite: true,
    });
  });

test.run();
