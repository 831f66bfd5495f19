// Whether this machine has a GPU that libtorch can use, for the tests of this folder.

import { native } from "../../src/policy/native.ts";

/** True where there is one; else says, in the words that the test runner counts, that `what` is skipped. */
export function gpu(what: string): boolean {
  const there = native.cuda();
  if (!there) process.stdout.write(`SKIP 1 no GPU that libtorch can use: ${what}\n`);
  return there;
}
