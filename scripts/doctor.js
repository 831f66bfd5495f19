// Prints what this machine has, what is missing with the line to type, and how far the set-up is.
// Works before the set-up has run: `node train.js doctor [--json]`, or `node scripts/doctor.js`.

import { pathToFileURL } from "node:url";
import { libtorch, machine, tools } from "./probe.js";
import { state } from "./setup.js";

/** { ok, checks: [{ name, ok, value, fix? }], steps: [{ name, done, seconds, detail }] } */
export function examine(root) {
  const torch = libtorch(root);
  const checks = [...tools(Boolean(torch.fetch)), torch, ...machine()];
  return { ok: checks.every((check) => check.ok), checks, steps: state(root) };
}

/** Prints the examination of `root`; returns whether nothing is missing. */
export function doctor(root, json) {
  const found = examine(root);
  if (json) {
    process.stdout.write(`${JSON.stringify(found)}\n`);
    return found.ok;
  }
  const line = (name, value) => process.stdout.write(`${name.padEnd(18)} ${value}\n`);
  for (const { name, ok, value, fix } of found.checks) line(name, ok ? value : `${value}; to mend it: ${fix}`);
  for (const { name, done, seconds, detail } of found.steps) {
    line(
      `set-up ${name}`,
      done ? `done in ${seconds.toFixed(1)} s${detail && ` (${detail})`}` : "to do: node train.js setup",
    );
  }
  return found.ok;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { root } = await import("./setup.js");
  process.exitCode = doctor(root, process.argv.includes("--json")) ? 0 : 1;
}
