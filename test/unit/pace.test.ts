// When requests may start: a rate, over a local server.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { ChatError } from "../../src/errors.ts";
import { openChat } from "../../src/llm/client.ts";
import { metronome } from "../../src/llm/pace.ts";
import { llmServer } from "../llm-server.ts";

const never = new AbortController().signal;

test("starts lie a minute's share apart, in order; 0 is no limit", async () => {
  const wait = metronome(1200); // one every 50 ms
  const began = performance.now();
  const times = await Promise.all([0, 1, 2, 3].map(() => wait(never).then(() => performance.now() - began)));
  for (const [i, time] of times.entries()) assert.ok(time >= 50 * i - 2, `${i}: ${time}`);
  const free = metronome(0);
  const then = performance.now();
  for (let i = 0; i < 100; i++) await free(never);
  assert.ok(performance.now() - then < 50);
});

test("a request waits for its beat, and an abort ends the wait", async () => {
  const server = await llmServer([]);
  try {
    const chat = openChat({ model: "m", baseURL: server.url, perMinute: 1 });
    await chat.complete([{ role: "user", text: "Hello." }]);
    const abort = new AbortController();
    const waiting = chat.complete([{ role: "user", text: "Hello." }], { signal: abort.signal });
    setTimeout(() => abort.abort(), 20);
    const error = await waiting.catch((error: unknown) => error);
    assert.instance(error, ChatError);
    assert.is((error as ChatError).kind, "aborted");
    assert.is(server.seen.length, 1);
  } finally {
    await server.close();
  }
});

test.run();
