// Brings a fresh clone to where every command runs: does the steps of steps.js whose inputs have changed.
// What was done, and the log of each step, is kept in .setup/. May be interrupted and started twice.
// Node built-ins only, since it runs before node_modules exists. Tested by test/unit/setup.test.ts.

import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { libtorch, tools } from "./probe.js";
import { lock, readStamp, same, snapshot, text, writeWhole } from "./stamp.js";
import { steps } from "./steps.js";

/** Absolute path of this checkout. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
/** How long an interrupted command may take to end. */
const graceMs = 5000;

/** A step could not be done; the message names the step, the reason and the line to type. */
export class SetupError extends Error {
  name = "SetupError";
}

/** Is a step's work still good? Returns its stamp, or null. */
function fresh(root, step) {
  const path = join(root, ".setup", `${step.name}.json`);
  const stamp = readStamp(path);
  if (!stamp?.files || !existsSync(step.output) || stamp.facts !== step.facts()) return null;
  const now = snapshot(step.inputs(), stamp.files);
  if (!same(now, stamp.files)) return null;
  const touched = Object.keys(now).some((name) => now[name][0] !== stamp.files[name][0]);
  if (touched) writeWhole(path, JSON.stringify({ ...stamp, files: now }));
  return stamp;
}

/** [{ name, done, seconds, detail }] without doing anything; `seconds` is what it took when it was done. */
export function state(root, list = steps(root)) {
  return list.map((step) => {
    const stamp = fresh(root, step);
    return { name: step.name, done: stamp !== null, seconds: stamp?.seconds ?? null, detail: stamp?.detail ?? "" };
  });
}

/** Does what is still to be done, telling about it on stderr, and returns `state`. Throws SetupError. */
export async function setup(root, list = steps(root)) {
  const already = state(root, list);
  if (already.every((step) => step.done)) return already;
  requireTools(root, already);
  const held = await lock(join(root, ".setup/lock"), (pid) => {
    process.stderr.write(`set-up: waiting for the one that process ${pid} runs\n`);
  });
  let running = null;
  const stop = async (signal) => {
    if (running) await end(running);
    held.release();
    process.stderr.write("\nset-up: interrupted; the same command goes on from here\n");
    process.exit(128 + constants.signals[signal]);
  };
  for (const signal of signals) process.on(signal, stop);
  try {
    for (const [index, step] of list.entries()) {
      if (fresh(root, step)) continue;
      await perform(root, step, `set-up ${index + 1}/${list.length} ${step.name}`, (child) => {
        running = child;
        if (child) held.runs(child.pid);
      });
    }
    return state(root, list);
  } finally {
    for (const signal of signals) process.off(signal, stop);
    held.release();
  }
}

/** Says at once what will be missed later. */
function requireTools(root, steps) {
  const todo = steps.filter((step) => !step.done).map((step) => step.name);
  if (!todo.includes("libtorch") && !todo.includes("native")) return;
  const torch = libtorch(root);
  const missing = [...tools(Boolean(torch.fetch)), torch].filter((check) => !check.ok);
  if (missing.length === 0) return;
  const lines = missing.map(({ name, value, fix }) => `  ${name}: ${value}; to mend it: ${fix}`);
  throw new SetupError(`set-up: this machine lacks something that building needs\n${lines.join("\n")}`);
}

/** Ends a command with all that it started. */
async function end(child) {
  child.removeAllListeners("close");
  for (let waited = 0, signal = "SIGTERM"; ; waited += 100) {
    try {
      process.kill(-child.pid, signal);
    } catch {
      return;
    }
    signal = waited < graceMs ? 0 : "SIGKILL";
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Runs one step and stamps it. What its commands print goes to .setup/<step>.log. */
async function perform(root, step, title, track) {
  const path = join(root, ".setup", `${step.name}.json`);
  const log = join(root, ".setup", `${step.name}.log`);
  mkdirSync(dirname(log), { recursive: true });
  rmSync(log, { force: true });
  const say = (line) => process.stderr.write(`${title}: ${line}\n`);

  async function command(program, args, env = {}) {
    const out = openSync(log, "a");
    const options = { cwd: root, env: environment(env), stdio: ["ignore", out, out], detached: true };
    try {
      return await spawned(program, args, options, track);
    } finally {
      closeSync(out);
    }
  }
  async function must(program, args, env) {
    const code = await command(program, args, env);
    if (code !== 0) throw new Error(`${[program, ...args].join(" ")}: exit code ${code}`);
  }

  say(step.what);
  const start = performance.now();
  const clock = ticking(title, start);
  const inputs = snapshot(step.inputs(), readStamp(path)?.files); // before the work: a file edited meanwhile counts as new
  rmSync(path, { force: true });
  try {
    const detail = (await step.run({ command, must, say })) ?? "";
    const seconds = Math.round((performance.now() - start) / 100) / 10;
    clock.stop();
    writeWhole(path, JSON.stringify({ facts: step.facts(), files: inputs, seconds, detail }));
    say(`done in ${seconds.toFixed(1)} s${detail && ` (${detail})`}`);
  } catch (error) {
    clock.stop();
    const reason = [error.message, ...reasons(text(log))].map((line) => `  ${line}`).join("\n");
    const where = existsSync(log) ? ` (all of it: ${relative(process.cwd(), log)})` : "";
    throw new SetupError(`${title} failed${where}:\n${reason}\nto try again: ${step.again}`);
  }
}

/** On a terminal: shows every second how long a step has been running. */
function ticking(title, start) {
  if (!process.stderr.isTTY) return { stop() {} };
  const show = () => process.stderr.write(`\r${title}: ${Math.round((performance.now() - start) / 1000)} s`);
  const timer = setInterval(show, 1000);
  return {
    stop() {
      clearInterval(timer);
      process.stderr.write("\r\x1b[K");
    },
  };
}

/** The lines of a log that say what went wrong: the first errors, else the end. */
function reasons(log) {
  const lines = log.split("\n").filter((line) => line.trim());
  const errors = lines.filter((line) => /\berror\b/i.test(line));
  return errors.length ? errors.slice(0, 8) : lines.slice(-8);
}

function environment(extra) {
  const env = { ...process.env, ...extra };
  // An empty HOME makes npm write into ./~; without one the programs ask the system.
  if (env.HOME === "") delete env.HOME;
  return env;
}

/** Runs a program in a process group of its own; resolves to its exit code, or the signal that ended it. */
function spawned(program, args, options, track) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, options);
    if (child.pid) track(child);
    child.on("error", (error) => {
      if (error.code === "ENOENT") reject(new Error(`${program} is not installed; node train.js doctor tells more`));
      else reject(error);
    });
    child.on("close", (code, signal) => {
      track(null);
      resolve(code ?? signal);
    });
  });
}
