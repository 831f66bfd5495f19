// The native tests, built for what is asked of them:
//   node scripts/native.js address    under AddressSanitizer and UBSan (npm run test:asan)
//   node scripts/native.js thread     under ThreadSanitizer (npm run test:tsan)
//   node scripts/native.js soak [N]   N random operations on an engine, a million by default, and a hundredth of them
//                                     through the addon (npm run soak -- N)

import { availableParallelism } from "node:os";
import { run } from "./run.js";
import { root, setup } from "./setup.js";
import { steps } from "./steps.js";

const env = {
  UBSAN_OPTIONS: "print_stacktrace=1",
  // Memory that is not there is a failure that tests look at, not the end of the program.
  ASAN_OPTIONS: "detect_stack_use_after_return=1 allocator_may_return_null=1",
  TSAN_OPTIONS: "halt_on_error=1 second_deadlock_stack=1 allocator_may_return_null=1",
};

/** ThreadSanitizer wants memory where it expects it, so addresses must not be random. */
const program = (build, name, args) =>
  build === "thread" ? ["setarch", ["-R", `build/thread/${name}`, ...args]] : [`build/${build}/${name}`, args];

function stages(what, count) {
  const parallel = ["--parallel", String(availableParallelism())];
  if (what === "soak")
    return [
      ["cmake", ["--build", "build/cmake", "--target", "soak", ...parallel]],
      ["build/cmake/soak", [String(count)]],
      [process.execPath, ["dist/test/native/soak.test.js"], { TARL_SOAK: String(Math.ceil(count / 100)) }],
    ];
  return [
    ["cmake", ["-S", ".", "-B", `build/${what}`, `-DTARL_SANITIZE=${what}`]],
    ["cmake", ["--build", `build/${what}`, ...parallel]],
    program(what, "native_test", []),
    program(what, "soak", ["4000", "1", "on", "2"]),
    program(what, "soak", ["2000", "1", "off"]),
  ];
}

const [what, count = "1000000"] = process.argv.slice(2);
if (!["address", "thread", "soak"].includes(what) || !/^[1-9]\d*$/.test(count)) {
  process.stderr.write(`${process.argv.slice(2).join(" ")}: expected address, thread, or soak and a number\n`);
  process.exit(2);
}
await setup(root, what === "soak" ? steps(root) : steps(root).slice(0, 2));
for (const [command, args, more] of stages(what, Number(count))) {
  const { code } = await run(command, args, { show: true, env: { ...env, ...more } });
  if (code !== 0) {
    process.stderr.write(`${[command, ...args].join(" ")}: exit code ${code}\n`);
    process.exit(1);
  }
}
