// Runs one program to its end or to a time limit, with everything that it started. For the test runner and its kin.

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { root } from "./setup.js";

const groups = new Set();

/** Ends what is running when this process is ended; from the first run on, for before it the set-up sees to itself. */
function guard() {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      for (const group of groups) kill(group);
      process.exit(128 + constants.signals[signal]);
    });
  }
}

/**
 * Resolves to { code, output, seconds, late } of `program args` in the checkout; `late`: it was ended at the limit.
 * With `show` its output goes to the terminal and `output` is "".
 */
export function run(program, args, { limitSeconds = 3600, show = false, env = {} } = {}) {
  if (process.listenerCount("SIGINT") === 0) guard();
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const stdio = ["ignore", show ? "inherit" : "pipe", show ? "inherit" : "pipe"];
    const child = spawn(program, args, { cwd: root, env: { ...process.env, ...env }, stdio, detached: true });
    child.on("error", reject);
    if (child.pid) groups.add(child.pid);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (chunk) => {
        output += chunk;
      });
    }
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      kill(child.pid);
    }, limitSeconds * 1000);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      groups.delete(child.pid);
      kill(child.pid); // what it left running
      resolve({ code: code ?? signal, output, seconds: (performance.now() - start) / 1000, late });
    });
  });
}

function kill(group) {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // It has ended.
  }
}
