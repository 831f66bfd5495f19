// Every algorithm, and what each changes about the loop, by the real command on the embedded policy: it trains, and going
// on after kill -9 gives the bytes of a straight run: with a critic, a tracker of tasks, conversations played ahead.
// time limit: 900 s

import { test } from "uvu";
import * as assert from "uvu/assert";
import { Runs } from "../runs.ts";

const runs = new Runs();
const small = "--steps 3 --eval-tasks 0 --seed 3 --save-every 1 --tasks-per-step 3 --samples 3";

const finite = (value: unknown): boolean =>
  typeof value === "number" ? Number.isFinite(value) : typeof value !== "object" || Object.values(value!).every(finite);

/** What makes a run one of its kind, and what its lines must show. */
const kinds = {
  "grpo, played ahead": "--tarl --ahead on",
  "ppo, a critic of its own": "--algo ppo",
  "ppo, turns credited, a shared critic": "--algo ppo --critic shared --tarl --credit turn --gae turn",
  rloo: "--preset rloo --kl-coef 0.01",
  spo: "--algo spo --samples 1 --spo-pool 4",
  "reinforce++": "--preset reinforce++ --kl-coef 0.01",
  "reinforce++-baseline": "--preset reinforce++-baseline --kl-coef 0.01",
  "dr-grpo": "--preset dr-grpo",
  dapo: "--preset dapo --max-draws 3",
  gspo: "--preset gspo --mini-batches 3 --epochs 2",
  "dual clip, entropy, importance sampling": "--dual-clip 3 --entropy-coef 0.01 --tis token --epochs 2",
};

/** What a checkpoint of some kinds holds besides a policy. */
const carries: { readonly [kind: string]: string } = {
  "grpo, played ahead": "carried.bin",
  "ppo, a critic of its own": "critic",
  "ppo, turns credited, a shared critic": "value_head.safetensors",
  spo: "carried.bin",
};

for (const [name, flags] of Object.entries(kinds))
  test(`${name}: trains, and goes on after kill -9 with the same bytes`, async () => {
    // What the kind says stands before what all have: an option may be given once.
    const own = flags.split(" ");
    const all = small.split(/ (?=--)/).filter((option) => !own.includes(option.split(" ")[0]));
    const args = [...own, ...all.join(" ").split(" ")];
    const run = name.replaceAll(/\W+/g, "-");
    const { code, out } = await runs.start([...args, "--run", run]);
    assert.is(code, 0, out);
    const lines = runs.metrics(run);
    assert.is(lines.length, 3);
    assert.ok(finite(lines), "every figure is a number");
    assert.ok(
      lines.some(({ gradNorm }) => gradNorm > 0),
      "something was learnt from",
    );
    const late = name.includes("ahead");
    assert.is(lines[0].mismatch, 0, "sampler and trainer agree to the bit");
    assert.is(lines[1].mismatch === 0, !late, "but for what was played before the last update");

    const again = `${run}-killed`;
    const killed = await runs.start(
      [...args, "--run", again],
      (text, child) => void (/step 2\/3/.test(text) && child.kill("SIGKILL")),
    );
    assert.is(killed.code, null);
    const saved = runs.list(again, "checkpoints/step-1");
    for (const [sign, file] of Object.entries(carries))
      if (name.startsWith(sign)) assert.ok(saved.includes(file), `${file} in ${saved}`);
    const resumed = await runs.start(["--resume", again]);
    assert.is(resumed.code, 0, resumed.out);
    runs.assertSame(again, run);
  });

test.run();
