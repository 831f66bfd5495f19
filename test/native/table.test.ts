// PPO's table with the embedded policy: a critic on its own trunk or on the policy's begins at 0, and is saved and gone on
// with beside the policy.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { presets } from "../../src/config/config.ts";
import { Table } from "../../src/play.ts";
import { criticOptimizer, lossOptions, optimizerOptions, valueOptions } from "../../src/settings.ts";
import { inFolder } from "./tiny.ts";

const ids = Int32Array.from({ length: 24 }, (_, i) => 5 + ((7 * i) % 90));
const rows = Int32Array.of(0, 24);
const weight = Float32Array.from(ids, (_, i) => (i ? 1 / 23 : 0));
const values = { old: new Float32Array(24), returns: new Float32Array(24).fill(10) };

for (const critic of ["own", "shared"] as const)
  test(`--critic ${critic}`, async () => {
    const config = { ...presets.embedded, algo: "ppo", critic, threads: 1, master: "split" } as const;
    const step = async (table: Table) => {
      const own = { ids, rows, weight, values };
      if (table.critic) await table.critic.step(own, valueOptions(config), criticOptimizer(config, 5));
      const batch = { ids, rows, weight, advantage: weight, oldLogp: null, refLogp: null };
      await table.policy.step(
        table.critic ? batch : { ...batch, values },
        lossOptions(config),
        optimizerOptions(config, 5),
      );
    };
    const said = (table: Table) => (table.critic ?? table.policy).values!(ids, rows);
    await inFolder(async (dir) => {
      const [half, straight] = [join(dir, "half"), join(dir, "straight")];
      const table = await Table.open(config);
      assert.is(table.critic !== null, critic === "own");
      assert.ok((await said(table)).every((value) => value === 0));
      await step(table);
      await table.save(half);
      assert.is(existsSync(join(half, "critic", "model.safetensors")), critic === "own");
      assert.is(existsSync(join(half, "value_head.safetensors")), critic === "shared");
      await step(table);
      const expected = { values: await said(table), scores: await table.policy.score(ids, rows, 1) };
      await table.save(straight);
      await table.dispose();

      const again = await Table.open(config, { checkpoint: half });
      await step(again);
      assert.equal({ values: await said(again), scores: await again.policy.score(ids, rows, 1) }, expected);
      assert.ok(expected.values.subarray(1).every((value) => value !== 0));
      await again.dispose();

      const measured = await Table.open(config, { checkpoint: straight, role: "reference" });
      assert.is(measured.critic, null);
      assert.equal(await measured.policy.score(ids, rows, 1), expected.scores);
      await measured.dispose();
    });
  });

test.run();
