// Both ways with Hugging Face transformers itself (parity.py): `tarl score` and `tarl generate --greedy` on checkpoints
// that it writes, and what it makes of checkpoints that we save. Recorded cases are in models.test.ts.
// Runs where TARL_PEER_PYTHON, or /tmp/tarl-peer, has a python with torch and transformers; time limit: 600 s

import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readCheckpoint } from "../../src/policy/checkpoint.ts";
import { openPolicy } from "../../src/policy/policy.ts";
import { root } from "../../src/root.ts";
import { runIn } from "../command.ts";
import { golden } from "../golden.ts";

/** Largest difference of a log-prob, fp32 on both sides. */
const TOLERANCE = 1e-4;
/** A choice between two ids that are nearer to each other is nobody's mistake (logits). */
const TIE = 1e-3;

interface Expected {
  readonly parameters: number;
  readonly rows: readonly number[][];
  /** Of each row's tokens but the first. */
  readonly logp: readonly number[][];
  readonly greedy: readonly number[][];
  readonly margins: readonly number[][];
}

const python = process.env.TARL_PEER_PYTHON ?? "/tmp/tarl-peer/bin/python";
const script = join(root, "test", "golden", "parity.py");
const dir = fs.mkdtempSync(join(tmpdir(), "tarl-parity-"));
test.after(() => fs.rmSync(dir, { recursive: true }));
const ask = (...args: string[]) =>
  execFileSync(python, [script, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 1 << 28,
  });

/** The lines of JSON that a command prints. */
async function lines(args: readonly string[]): Promise<any[]> {
  const { code, out, err } = await runIn(dir, args);
  assert.is(code, 0, err);
  return out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function largest(got: readonly number[][], want: readonly number[][]): number {
  assert.equal(
    got.map((row) => row.length),
    want.map((row) => row.length),
  );
  return Math.max(...want.flatMap((row, i) => row.map((x, j) => Math.abs(got[i][j] - x))));
}

if (!fs.existsSync(python)) {
  console.log(`SKIP 5 parity: no ${python} with torch and transformers (TARL_PEER_PYTHON names one)`);
  test.skip("parity: no transformers", () => undefined);
} else {
  ask("write", dir);
  const { models, ...versions } = JSON.parse(fs.readFileSync(join(dir, "expected.json"), "utf8"));
  console.log(`transformers ${versions.transformers}`);

  for (const [family, expected] of Object.entries(models as { [family: string]: Expected })) {
    const { parameters, rows, logp, greedy, margins } = expected;
    const ids = join(dir, `${family}.jsonl`);
    fs.writeFileSync(ids, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));

    test(`${family}, ${(parameters / 1e6).toFixed(1)}M parameters: score and generate --greedy agree`, async () => {
      const { config, tensors, warnings } = readCheckpoint(join(dir, family));
      const stored = `${tensors[0].dtype} in ${new Set(tensors.map(({ file }) => file)).size} files`;
      assert.equal([config.modelType, warnings], [family, []]);
      const scored = await lines(["score", "--model", family, "--ids", ids]);
      const off = largest(
        scored.map((line) => line.logp.slice(1)),
        logp,
      );
      const args = ["--new", String(greedy[0].length), "--greedy"];
      const said = await lines(["generate", "--model", family, "--ids", ids, ...args]);
      const certain = greedy.map((want, row) => want.slice(0, (margins[row].findIndex((m) => m < TIE) + 1 || 100) - 1));
      assert.equal(
        said.map((line, row) => line.ids.slice(0, certain[row].length)),
        certain,
      );
      const share = certain.flat().length / greedy.flat().length;
      assert.ok(share > 0.5, `only ${share} of the ids are certain`);
      console.log(
        `${family}: ${parameters} parameters, ${stored}; log-probs within ${off.toExponential(1)}, ${(100 * share).toFixed(0)}% of greedy ids certain`,
      );
      assert.ok(off < TOLERANCE, `largest difference of a log-prob: ${off}`);
    });
  }

  test("one checkpoint has at least 100M parameters, in bf16 and in several files", () => {
    const { tensors } = readCheckpoint(join(dir, "llama"));
    assert.ok(models.llama.parameters >= 100e6);
    assert.ok(tensors.every(({ dtype }) => dtype === "BF16"));
    assert.ok(new Set(tensors.map(({ file }) => file)).size > 1);
  });

  test("transformers reads what we save in fp32 and bf16, every tensor of it", async () => {
    const hf = golden("hf");
    const sources = [
      ...(hf ? ["Q3a", "Q3b", "Q2"].map((name) => join(hf, "models", name)) : []),
      ...["La", "Lb"].map((name) => join(root, "test", "fixtures", "llama", "models", name)),
    ];
    const options = { device: "cpu", threads: 1, role: "reference" } as const;
    const row = [3, 1, 4, 15, 92, 65, 35, 89, 79, 32];
    const ours: { saved: string; logp: number[] }[] = [];
    for (const model of sources)
      for (const dtype of ["fp32", "bf16"] as const) {
        const saved = join(dir, `${basename(model)}-${dtype}`);
        const policy = await openPolicy({ ...options, model, dtype });
        await policy.save(saved);
        await policy.dispose();
        const again = await openPolicy({ ...options, model: saved, dtype: "fp32" });
        const { logp } = await again.score(Int32Array.from(row), Int32Array.of(0, row.length), 1);
        await again.dispose();
        ours.push({ saved, logp: Array.from(logp.subarray(1)) });
      }
    const theirs = JSON.parse(ask("read", JSON.stringify(row), ...ours.map(({ saved }) => saved)));
    for (const [i, { saved, logp }] of ours.entries()) {
      const off = largest([logp], [theirs[i]]);
      assert.ok(off < TOLERANCE, `${basename(saved)}: largest difference of a log-prob: ${off}`);
    }
  });
}

test.run();
