// `npm run test:asan`: builds native/core and native/test under AddressSanitizer and UBSan and runs them.

import { availableParallelism } from "node:os";
import { run } from "./run.js";
import { root, setup } from "./setup.js";
import { steps } from "./steps.js";

const stages = [
  ["cmake", ["-S", ".", "-B", "build/asan", "-DTARL_SANITIZE=ON"]],
  ["cmake", ["--build", "build/asan", "--parallel", String(availableParallelism())]],
  ["build/asan/native_test", []],
];
const env = { UBSAN_OPTIONS: "print_stacktrace=1", ASAN_OPTIONS: "detect_stack_use_after_return=1" };

await setup(root, steps(root).slice(0, 2));
for (const [program, args] of stages) {
  const { code } = await run(program, args, { show: true, env });
  if (code !== 0) {
    process.stderr.write(`${[program, ...args].join(" ")}: exit code ${code}\n`);
    process.exit(1);
  }
}
