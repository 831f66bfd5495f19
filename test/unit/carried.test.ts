// What a checkpoint carries beside weights comes back as it was.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { carry, readCarried } from "../../src/run/carried.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-carried-"));
test.after(() => fs.rmSync(dir, { recursive: true }));

test("Maps, bigints, typed arrays and what two records share", () => {
  const task = { id: "retail/1", args: new Map<string, unknown>([["n", 2n ** 70n]]) };
  const ahead = [0, 1].map((sample) => ({ task, sample, ids: Int32Array.of(1, 2), logp: Float32Array.of(-0.1) }));
  carry(dir, { ahead, tracker: null });
  const back = readCarried<{ ahead: typeof ahead; tracker: null }>(dir)!;
  assert.equal(back, { ahead, tracker: null });
  assert.is(back.ahead[0].task, back.ahead[1].task);
  carry(join(dir), back);
  const bytes = fs.readFileSync(join(dir, "carried.bin"));
  carry(dir, readCarried(dir)!);
  assert.ok(fs.readFileSync(join(dir, "carried.bin")).equals(bytes), "written again, the same bytes");
});

test("nothing carried is no file", () => {
  const empty = join(dir, "empty");
  fs.mkdirSync(empty);
  carry(empty, { ahead: null, tracker: null });
  assert.equal(fs.readdirSync(empty), []);
  assert.is(readCarried(empty), null);
  assert.is(readCarried(null), null);
});

test.run();
