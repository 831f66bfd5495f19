// `npm run bench -- NAME... [options]`: runs bench/NAME.ts, one after the other; without a name all of them.
// Options go to each. One JSON object ends each output. What they take: docs/bench.md.

import { run } from "./run.js";
import { root, setup } from "./setup.js";

const benches = {
  decode: "tokens made by many conversations at once",
  prefill: "prompts read",
  train: "a training step",
  logprob: "given tokens scored",
  step: "a whole GRPO step",
  shared: "what sharing a prompt saves",
  default: "the stages of the default run",
  overlap: "what a slow judge costs",
  grading: "answers graded",
  sandbox: "the sandbox beside tau-bench's own Python",
  table1: "every algorithm on the embedded policy, seeds and intervals; hours",
  table: "writes the table of docs/bench.md from bench/results",
};

const args = process.argv.slice(2);
const first = args.findIndex((arg) => arg.startsWith("-"));
const named = first < 0 ? args : args.slice(0, first);
const options = first < 0 ? [] : args.slice(first);
for (const name of named) {
  if (!Object.hasOwn(benches, name)) {
    const list = Object.entries(benches).map(([known, what]) => `  ${known.padEnd(10)} ${what}\n`);
    process.stderr.write(`bench ${name}: no such benchmark; expected one of\n${list.join("")}`);
    process.exit(2);
  }
}

await setup(root);
/** What a bench without a name leaves out. */
const asked = ["table", "table1"];
for (const name of named.length > 0 ? named : Object.keys(benches).filter((name) => !asked.includes(name))) {
  const { code } = await run(process.execPath, ["--enable-source-maps", `dist/bench/${name}.js`, ...options], {
    show: true,
  });
  if (code !== 0) process.exitCode = code === 2 ? 2 : 1;
}
