// When a request may start: so many at once, so many a minute, and waits that an abort ends. Asks nothing itself.
// Test: test/unit/pace.test.ts

import { ChatError } from "../errors.ts";

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}

/** Starts lie at least a minute's share apart, in the order in which they were asked for; 0 a minute is no limit. */
export function metronome(perMinute: number): (signal: AbortSignal) => Promise<void> {
  if (perMinute === 0) return async () => {};
  let next = 0;
  return (signal) => {
    const now = performance.now();
    const start = Math.max(now, next);
    next = start + 60_000 / perMinute;
    return pause(start - now, signal);
  };
}

/** Lets `places` in at once, the others in the order in which they came; gives the way out. */
export function turnstile(places: number): (signal: AbortSignal) => Promise<() => void> {
  const waiting: (() => void)[] = [];
  const leave = () => {
    const next = waiting.shift();
    if (next) next();
    else places++;
  };
  return (signal) =>
    new Promise((resolve, reject) => {
      const give = () => {
        const at = waiting.indexOf(enter);
        if (at >= 0) waiting.splice(at, 1);
        reject(new ChatError("aborted", "aborted while it waited for its turn"));
      };
      const enter = () => {
        signal.removeEventListener("abort", give);
        resolve(leave);
      };
      if (signal.aborted) return give();
      if (places > 0) {
        places--;
        return enter();
      }
      signal.addEventListener("abort", give, { once: true });
      waiting.push(enter);
    });
}
