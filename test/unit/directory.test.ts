// A run on disk: whole files only, one process at a time, and going back to a checkpoint as if nothing had come after.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { makeFolder } from "../../src/folders.ts";
import { RunDirectory } from "../../src/run/directory.ts";

const base = fs.mkdtempSync(join(tmpdir(), "tarl-runs-"));
test.after(() => fs.rmSync(base, { recursive: true }));
const open = (name: string) => {
  const run = RunDirectory.find(base, name);
  run.open();
  return run;
};
const save = (text: string) => async (dir: string) => {
  fs.mkdirSync(dir);
  fs.writeFileSync(join(dir, "weights"), text, { mode: 0o444 });
};

test("folders are made as far as they are missing, and where none can be made that is said", () => {
  const deep = join(base, "some", "folder", "deep");
  makeFolder(deep);
  makeFolder(deep);
  assert.ok(fs.statSync(deep).isDirectory());
  fs.writeFileSync(join(deep, "file"), "");
  assert.throws(() => makeFolder(join(deep, "file")), /^EEXIST/);
  assert.throws(() => makeFolder(join(deep, "file", "more")), /^ENOTDIR/);
  assert.throws(() => makeFolder("/proc/none/of/these"), /^ENOENT|^EACCES/);
  fs.rmSync(join(base, "some"), { recursive: true });
});

test("a new run has its config, and its name is taken", () => {
  const run = RunDirectory.create(base, "one", { lr: 1 });
  assert.equal(run.readJson("config.json"), { lr: 1 });
  assert.throws(
    () => RunDirectory.create(base, "one", {}),
    /^--run one: it exists; --resume \/.*\/one goes on with it$/,
  );
  for (const name of ["../two", "a/b", "", ".hidden", "a b"])
    assert.throws(() => RunDirectory.create(base, name, {}), /^--run .*: expected letters/);
  assert.is(RunDirectory.freeName(base, "one"), "one-2");
  assert.is(RunDirectory.freeName(base, "two"), "two");
  run.close();
});

test("a folder that a kill left before its config.json was written becomes a run, a stranger's does not", () => {
  const left = (name: string, ...files: string[]) => {
    fs.mkdirSync(join(base, name));
    for (const file of files) fs.writeFileSync(join(base, name, file), "1 1");
  };
  left("empty");
  left("killed", "lock", "lock.77", "config.json.part");
  left("strange", "notes");
  for (const name of ["empty", "killed"]) {
    assert.is(RunDirectory.freeName(base, name), name);
    RunDirectory.create(base, name, { lr: 2 }).close();
    assert.equal(open(name).readJson("config.json"), { lr: 2 });
  }
  assert.throws(() => RunDirectory.create(base, "strange", {}), /^--run strange: it exists/);
});

test("finding a run writes nothing", () => {
  fs.mkdirSync(join(base, "model"));
  fs.writeFileSync(join(base, "model", "config.json"), "{}");
  RunDirectory.find(base, "model");
  assert.equal(fs.readdirSync(join(base, "model")), ["config.json"]);
});

test("a run that another process works on is refused, one that a dead process left is taken over", () => {
  const run = RunDirectory.create(base, "locked", {});
  assert.throws(() => open("locked"), new RegExp(`is in use by process ${process.pid}`));
  const dead = spawnSync(process.execPath, ["-e", "0"]).pid;
  fs.writeFileSync(join(run.dir, "lock"), `${dead} 12345`);
  open("locked").close();
  fs.writeFileSync(join(run.dir, "lock"), `${process.pid} 1`); // the id lives on in another process
  open("locked").close();
  assert.throws(() => open("nothing"), /^--resume nothing: no run with a config.json/);
});

test("a checkpoint appears whole, and only the newest stay", async () => {
  const run = RunDirectory.create(base, "checkpoints", {});
  for (const step of [5, 10, 15]) await run.checkpoint(step, 2, save(`w${step}`));
  assert.equal(run.checkpoints(), [10, 15]);
  assert.is(fs.readFileSync(join(run.checkpointPath(15), "weights"), "utf8"), "w15");
  const broken = async (dir: string) => {
    await save("half")(dir);
    throw new Error("disk full");
  };
  const failure = await run.checkpoint(20, 2, broken).catch((error: Error) => error.message);
  assert.is(failure, "disk full");
  assert.equal(run.checkpoints(), [10, 15]);
  await run.checkpoint(20, 2, save("w20"));
  assert.equal(run.checkpoints(), [15, 20]);
  run.close();
});

test("rewinding forgets what came after a step and every half-written thing", async () => {
  const run = RunDirectory.create(base, "rewound", {});
  for (let step = 1; step <= 7; step++) {
    run.append("metrics.jsonl", { step, loss: 1 / step } as { step: number });
    run.append("timing.jsonl", { step });
    run.writeText(`rollouts/step-${step}.jsonl`, "{}\n");
    if (step % 3 === 0) await run.checkpoint(step, 2, save(`w${step}`));
  }
  run.writeJson("evaluations/step-0.json", {});
  run.writeJson("evaluations/step-7.json", {});
  run.writeJson("summary.json", {});
  const straight = fs.readFileSync(join(run.dir, "metrics.jsonl"), "utf8");
  fs.appendFileSync(join(run.dir, "metrics.jsonl"), '{"step":8,"lo'); // killed while writing
  fs.mkdirSync(`${run.checkpointPath(9)}.part`);
  fs.writeFileSync(join(run.dir, "rollouts/step-8.jsonl.part"), "{");

  run.rewind(6);
  assert.is(
    fs.readFileSync(join(run.dir, "metrics.jsonl"), "utf8"),
    `${straight.split("\n").slice(0, 6).join("\n")}\n`,
  );
  assert.equal(
    run.lines("timing.jsonl").map(({ step }) => step),
    [1, 2, 3, 4, 5, 6],
  );
  assert.equal(
    fs.readdirSync(join(run.dir, "rollouts")).sort(),
    [1, 2, 3, 4, 5, 6].map((n) => `step-${n}.jsonl`),
  );
  assert.equal(fs.readdirSync(join(run.dir, "evaluations")), ["step-0.json"]);
  assert.equal(run.checkpoints(), [3, 6]);
  assert.equal(fs.readdirSync(join(run.dir, "checkpoints")).sort(), ["step-3", "step-6"]);
  assert.is(run.readJson("summary.json"), undefined);
  run.rewind(0);
  assert.is(fs.readFileSync(join(run.dir, "metrics.jsonl"), "utf8"), "");
  assert.equal(run.checkpoints(), []);
  run.close();
});

test("a file that is not JSON is named", () => {
  const run = RunDirectory.create(base, "spoiled", {});
  fs.writeFileSync(join(run.dir, "config.json"), "{");
  assert.throws(() => run.readJson("config.json"), /config\.json: not JSON/);
  run.close();
});

test.run();
