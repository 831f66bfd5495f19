// What the commands that make a run share: Ctrl-C, and leaving the run directory in order.

import { setMaxListeners } from "node:events";
import { rmSync } from "node:fs";
import { CheckpointError, UsageError } from "../errors.ts";
import type { RunDirectory } from "../run/directory.ts";
import type { Display } from "../run/progress.ts";

/** The first Ctrl-C (or SIGTERM) asks to stop after the step, the second one stops at once. */
export function onInterrupt(display: Display): { requested: boolean; signal: AbortSignal } {
  const abort = new AbortController();
  setMaxListeners(0, abort.signal); // every conversation listens
  const stop = { requested: false, signal: abort.signal };
  const interrupt = () => {
    if (stop.requested) process.exit(130);
    stop.requested = true;
    abort.abort();
    display.line("stopping after this step; Ctrl-C again stops at once, without saving");
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  return stop;
}

/**
 * Does the work of a run and gives its directory free. Bad input that shows only now takes a new directory with it; any
 * other error is told how to go on from.
 */
export async function finishRun(run: RunDirectory, created: boolean, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const bad = error instanceof UsageError || error instanceof CheckpointError;
    if (bad && created && run.checkpoints().length === 0) rmSync(run.dir, { recursive: true });
    else run.log(`failed: ${error instanceof Error ? error.stack : error}`);
    throw error;
  } finally {
    run.close();
  }
}
