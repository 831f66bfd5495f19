// The door to language models, against a hostile local server: bounded time, exact counts, nothing lost, no key told.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ChatMessage } from "../../src/chat.ts";
import { BudgetError, ChatError } from "../../src/errors.ts";
import { metered } from "../../src/llm/budget.ts";
import { type ChatOptions, type OpenChat, openChat } from "../../src/llm/client.ts";
import { Random } from "../../src/random.ts";
import { type Behaviour, fine, type LlmServer, llmServer, type Seen } from "../llm-server.ts";

const key = "sk-very-secret-0123456789";
const hello: ChatMessage[] = [{ role: "user", text: "Hello." }];

const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

const folders: string[] = [];
function folder(): string {
  folders.push(fs.mkdtempSync(join(tmpdir(), "tarl-llm-")));
  return folders.at(-1)!;
}
test.after(() => {
  for (const dir of folders) fs.rmSync(dir, { recursive: true });
});

/** Against a server of its own. */
async function against(
  script: readonly Behaviour[],
  work: (open: (options?: Partial<ChatOptions>) => OpenChat, server: LlmServer) => Promise<void>,
  otherwise?: Behaviour | ((seen: Seen) => Behaviour),
): Promise<void> {
  const server = await llmServer(script, otherwise);
  const usual = { model: "m1", baseURL: server.url, apiKey: key, timeoutMs: 10_000, retries: 2, backoffMs: 5 };
  try {
    await work((options) => openChat({ ...usual, ...options }), server);
  } finally {
    await server.close();
  }
}

async function refusal(asked: Promise<unknown>): Promise<ChatError> {
  try {
    await asked;
  } catch (error) {
    assert.instance(error, ChatError);
    assert.not((error as Error).message.includes("\n"));
    assert.not((error as Error).message.includes(key));
    return error as ChatError;
  }
  throw new assert.Assertion({ message: "it was answered" } as any);
}

test("a question and its answer, as they go over the wire", () =>
  against(
    [
      {
        do: "say",
        message: {
          role: "assistant",
          content: "Hi.",
          tool_calls: [{ id: "x", type: "function", function: { name: "find", arguments: '{"n": 1.0}' } }],
        },
      },
    ],
    async (open, { seen }) => {
      const chat = open({ temperature: 0.5, maxTokens: 99, extra: { top_k: 3 } });
      const parameters = { type: "object", properties: {} };
      const messages: ChatMessage[] = [
        { role: "system", text: "Be kind." },
        ...hello,
        { role: "assistant", text: "", call: { name: "find", arguments: "{}" } },
        { role: "tool", text: "nothing" },
      ];
      const answer = await chat.complete(messages, {
        tools: [{ name: "find", description: "Finds.", parameters }],
        seed: 2 ** 32 - 1,
      });
      assert.equal(answer, {
        text: "Hi.",
        calls: [{ name: "find", arguments: '{"n": 1.0}' }],
        cut: false,
        cached: false,
        bill: { calls: 1, inputTokens: 10, outputTokens: 5, dollars: 0 },
      });
      assert.equal(seen, [
        {
          path: "/v1/chat/completions",
          key: `Bearer ${key}`,
          body: {
            model: "m1",
            messages: [
              { role: "system", content: "Be kind." },
              { role: "user", content: "Hello." },
              {
                role: "assistant",
                content: null,
                tool_calls: [{ id: "call00002", type: "function", function: { name: "find", arguments: "{}" } }],
              },
              { role: "tool", tool_call_id: "call00002", content: "nothing" },
            ],
            tools: [{ type: "function", function: { name: "find", description: "Finds.", parameters } }],
            temperature: 0.5,
            max_tokens: 99,
            seed: 2 ** 31 - 1,
            top_k: 3,
          },
        },
      ]);
    },
  ));

test("a key may end in a line break, or be missing", () =>
  against([], async (open, { seen }) => {
    for (const apiKey of [`${key}\n`, "", undefined]) await open({ apiKey }).complete(hello);
    assert.equal(
      seen.map(({ key }) => key),
      [`Bearer ${key}`, "Bearer none", "Bearer none"],
    );
  }));

test("fields that are not given are not sent, and null takes one out", () =>
  against([], async (open, { seen }) => {
    await open().complete(hello);
    await open({ maxTokens: 5, seed: 7, extra: { max_tokens: null, max_completion_tokens: 5 } }).complete(hello);
    assert.equal(Object.keys(seen[0].body), ["model", "messages"]);
    assert.equal(seen[1].body.seed, 7);
    assert.equal([seen[1].body.max_tokens, seen[1].body.max_completion_tokens], [undefined, 5]);
  }));

const failing: readonly [name: string, behaviour: Behaviour, kind: string][] = [
  ["headers that never come", { do: "stall-headers" }, "timeout"],
  ["a body that never ends", { do: "stall-body" }, "timeout"],
  ["the body of an error that never ends", { do: "stall-error" }, "timeout"],
  ["a slow answer", { do: "slow", ms: 5000 }, "timeout"],
  ["a dropped socket", { do: "drop" }, "connection"],
  ["a socket that is dropped in the body", { do: "drop-body" }, "connection"],
  ["HTML with status 200", { do: "raw", text: "<html><b>Welcome</b></html>", type: "text/html" }, "not-json"],
  ["broken JSON", { do: "raw", text: '{"choices": [{"message": {"content": "Hel' }, "not-json"],
  ["nothing", { do: "raw", text: "" }, "not-json"],
  ["{}", { do: "raw", text: "{}" }, "no-choice"],
  ["null", { do: "raw", text: "null" }, "no-choice"],
  ["no choices", { do: "raw", text: '{"choices": []}' }, "no-choice"],
  ["a choice without a message", { do: "raw", text: '{"choices": [{"index": 0}]}' }, "no-choice"],
  ["an error with status 200", { do: "raw", text: '{"error": {"message": "overloaded"}}' }, "no-choice"],
  ["429", { do: "status", status: 429 }, "http-429"],
  ["500", { do: "status", status: 500 }, "http-500"],
  ["504 that timed out", { do: "status", status: 504, text: "upstream request timed out" }, "http-504"],
];

for (const [name, behaviour, kind] of failing) {
  const timeoutMs = kind === "timeout" ? 300 : 10_000;
  test(`${name}: asked again, counted, and in the end answered`, () =>
    against([behaviour, behaviour], async (open) => {
      const chat = open({ timeoutMs });
      assert.is((await chat.complete(hello)).text, "Fine.");
      const { calls, retries, failures } = chat.counts();
      assert.equal({ calls, retries, failures }, { calls: 3, retries: 2, failures: { [kind]: 2 } });
      assert.is(chat.stopped(), null);
    }));

  test(`${name}, for ever: one clear line in bounded time`, () =>
    against(
      [],
      async (open, { url, seen }) => {
        const start = Date.now();
        const error = await refusal(open({ timeoutMs }).complete(hello, { label: "user" }));
        assert.is(error.kind, kind);
        assert.ok(error.message.startsWith(`user: m1 at ${url}: `), error.message);
        assert.match(error.message, /, 3 tries$/);
        assert.is(seen.length, 3);
        assert.ok(Date.now() - start < 5000);
      },
      behaviour,
    ));
}

for (const [status, forAll] of [
  [400, false],
  [401, true],
  [403, false],
  [404, true],
  [422, false],
] as const)
  test(`${status} is not asked again`, () =>
    against(
      [],
      async (open, { url, seen }) => {
        const chat = open({ retries: 5 });
        const { kind, message } = await refusal(chat.complete(hello));
        assert.is(kind, `http-${status}`);
        assert.is(message, `m1 at ${url}: status ${status}, no such thing for [key]`);
        assert.equal(chat.counts().failures, { [`http-${status}`]: 1 });
        assert.is(chat.stopped() !== null, forAll, "what every question would meet stops them all");
        await refusal(chat.complete(hello));
        assert.is(seen.length, forAll ? 1 : 2);
      },
      { do: "status", status, text: JSON.stringify({ detail: `no such thing\nfor ${key}` }) },
    ));

test("a 429 that does not pass is not asked again", () =>
  against(
    [],
    async (open, { seen }) => {
      const chat = open();
      assert.is((await refusal(chat.complete(hello))).kind, "http-429");
      assert.is(seen.length, 1);
      assert.ok(chat.stopped());
    },
    { do: "status", status: 429, text: '{"error": {"message": "pay", "code": "insufficient_quota"}}' },
  ));

test("an answer without an end is cut off, not kept in memory", () =>
  against(
    [],
    async (open) => {
      assert.is((await refusal(open({ timeoutMs: 20_000 }).complete(hello))).kind, "too-long");
    },
    { do: "endless" },
  ));

test("an answer of nothing but brackets is told in time", () =>
  against(
    [],
    async (open) => {
      const start = Date.now();
      assert.is((await refusal(open({ retries: 0 }).complete(hello))).kind, "not-json");
      assert.ok(Date.now() - start < 2000);
    },
    { do: "raw", text: "<".repeat(200_000) },
  ));

test("a base URL may end in slashes and a line break, and what is undefined is no limit", () =>
  against([], async (open, { url, seen }) => {
    for (const baseURL of [`${url}/\n`, ` ${url}//`])
      await open({ baseURL, budget: { calls: undefined, tokens: 100 } }).complete(hello);
    assert.equal(
      seen.map(({ path }) => path),
      ["/v1/chat/completions", "/v1/chat/completions"],
    );
  }));

test("nobody listens", async () => {
  const server = await llmServer([]);
  await server.close();
  const chat = openChat({ model: "m", baseURL: server.url, retries: 1, backoffMs: 5 });
  const { kind, message } = await refusal(chat.complete(hello));
  assert.is(kind, "connection");
  assert.match(message, /ECONNREFUSED.*, 2 tries$/);
});

test("waits as long as the server asks, and no longer than it has to", async () => {
  for (const header of ["retry-after-ms: 300", "retry-after: 0.3"])
    await against([{ do: "status", status: 429, headers: Object.fromEntries([header.split(": ")]) }], async (open) => {
      const start = Date.now();
      await open().complete(hello);
      const took = Date.now() - start;
      assert.ok(took >= 295 && took < 2000, `${took} ms`);
    });
  for (const after of ["soon", "-5", "NaN", "1e3", new Date(Date.now() - 5000).toUTCString()])
    await against([{ do: "status", status: 503, headers: { "retry-after": after } }], async (open) => {
      const start = Date.now();
      await open().complete(hello);
      assert.ok(Date.now() - start < 2000, after);
    });
});

test("an abort ends requests, waits and queues at once", async () => {
  for (const script of [
    [{ do: "stall-body" }],
    [{ do: "status", status: 429, headers: { "retry-after": "30" } }],
  ] as const)
    await against(script, async (open, server) => {
      const chat = open({ timeoutMs: 60_000, concurrency: 1 });
      const stop = new AbortController();
      const asked = [1, 2].map(() => refusal(chat.complete(hello, { signal: stop.signal })));
      while (server.seen.length === 0) await sleep(5);
      await sleep(20);
      stop.abort();
      const start = Date.now();
      assert.equal(
        (await Promise.all(asked)).map(({ kind }) => kind),
        ["aborted", "aborted"],
      );
      assert.ok(Date.now() - start < 1000);
      assert.is((await refusal(chat.complete(hello, { signal: stop.signal }))).kind, "aborted");
      assert.is((await chat.complete(hello)).text, "Fine.", "the place is free again");
      assert.is(chat.counts().calls, server.seen.length, "what was never sent is not counted");
    });
});

test("as many at once as allowed, in order", () =>
  against(
    [],
    async (open, server) => {
      const chat = open({ concurrency: 3, timeoutMs: 5000 });
      const all = await Promise.all(
        Array.from({ length: 12 }, (_, i) => chat.complete([{ role: "user", text: `${i}` }])),
      );
      assert.is(all.length, 12);
      assert.is(server.most(), 3);
      assert.equal(
        server.seen.map(({ body }) => Number(body.messages[0].content)).sort((a, b) => a - b),
        [...Array(12).keys()],
      );
    },
    { do: "slow", ms: 20 },
  ));

test("a storm of faults: all are answered or refused, and every request is counted", async () => {
  const random = new Random("storm");
  const kinds = [...failing.map(([, behaviour]) => behaviour), fine, fine, fine];
  await against(
    [],
    async (open, server) => {
      const chat = open({ concurrency: 20, timeoutMs: 500, retries: 3 });
      const all = await Promise.allSettled(
        Array.from({ length: 150 }, (_, i) => chat.complete([{ role: "user", text: `${i}` }])),
      );
      const answered = all.filter(({ status }) => status === "fulfilled").length;
      const { calls, retries, failures } = chat.counts();
      const failed = Object.values<number | undefined>(failures).reduce<number>((sum, n) => sum + (n ?? 0), 0);
      assert.ok(server.seen.length <= calls, "a request may be given up before it has arrived");
      assert.is(calls, answered + failed);
      assert.is(calls, 150 + retries);
      assert.ok(all.every((one) => one.status === "fulfilled" || one.reason instanceof ChatError));
      assert.ok(answered > 0 && answered < 150, `${answered}`);
    },
    () => random.pick(kinds),
  );
});

test("retries touch no seeded numbers", () =>
  against([{ do: "drop" }, { do: "drop" }], async (open) => {
    const [one, two] = [new Random(1), new Random(1)];
    one.float();
    two.float();
    await open().complete(hello);
    assert.is(one.float(), two.float());
  }));

test("what models and servers do with messages", async () => {
  const table: [unknown, { text: string; calls: unknown[] }][] = [
    [{ content: null }, { text: "", calls: [] }],
    [
      { content: null, refusal: "I will not." },
      { text: "I will not.", calls: [] },
    ],
    [
      { content: [{ type: "text", text: "a" }, { type: "image" }, { type: "text", text: "b" }] },
      { text: "ab", calls: [] },
    ],
    [
      { content: "", tool_calls: [{ function: { name: "f", arguments: { n: 1 } } }] },
      { text: "", calls: [{ name: "f", arguments: '{"n":1}' }] },
    ],
    [
      { tool_calls: [{ function: { name: "f" } }, {}, null] },
      {
        text: "",
        calls: [
          { name: "f", arguments: "" },
          { name: "", arguments: "" },
          { name: "", arguments: "" },
        ],
      },
    ],
    [
      { content: 5, tool_calls: "x" },
      { text: "", calls: [] },
    ],
  ];
  for (const [message, expected] of table)
    await against([{ do: "say", message }], async (open) => {
      const { text, calls } = await open().complete(hello);
      assert.equal({ text, calls }, expected);
    });
  await against([{ do: "say", finish: "length" }], async (open) => assert.ok((await open().complete(hello)).cut));
});

test("what it costs, and what a server that does not count is taken for", () =>
  against([fine, { do: "say", usage: null }], async (open) => {
    const chat = open({ prices: { input: 2, output: 8 } });
    const { bill } = await chat.complete(hello);
    assert.equal(bill, { calls: 1, inputTokens: 10, outputTokens: 5, dollars: (10 * 2 + 5 * 8) / 1e6 });
    const guessed = (await chat.complete(hello)).bill;
    assert.ok(guessed.inputTokens > 5 && guessed.outputTokens > 5, "nothing is free");
    assert.is(chat.counts().dollars, bill.dollars + guessed.dollars);
  }));

test("a meter for each conversation over one chat", () =>
  against([], async (open) => {
    const chat = open({ prices: { input: 1, output: 1 } });
    const [a, b] = [metered(chat), metered(chat)];
    await Promise.all([a.complete(hello), a.complete(hello), b.complete(hello)]);
    assert.equal(a.bill(), { calls: 2, inputTokens: 20, outputTokens: 10, dollars: 30 / 1e6 });
    assert.equal(b.bill(), { calls: 1, inputTokens: 10, outputTokens: 5, dollars: 15 / 1e6 });
  }));

test("a spent budget ends it", async () => {
  const prices = { input: 1e6, output: 1e6 };
  const table: [Partial<ChatOptions>, number, RegExp][] = [
    [{ budget: { calls: 3 } }, 3, /^the budget of 3 calls is spent \(3\)$/],
    [{ budget: { tokens: 40 } }, 3, /^the budget of 40 tokens is spent \(45\)$/],
    [{ budget: { dollars: 30 }, prices }, 2, /^the budget of 30 dollars is spent \(30\)$/],
    [{ budget: { calls: 0 } }, 0, /0 calls/],
  ];
  for (const [options, allowed, line] of table)
    await against([], async (open, { seen }) => {
      const chat = open(options);
      for (let i = 0; i < allowed; i++) {
        assert.is(chat.stopped(), null);
        await chat.complete(hello);
      }
      assert.instance(chat.stopped(), BudgetError);
      try {
        await chat.complete(hello);
        assert.unreachable();
      } catch (error) {
        assert.instance(error, BudgetError);
        assert.match((error as Error).message, line);
      }
      assert.is(seen.length, allowed);
    });
});

test("retries spend the budget, too", () =>
  against(
    [],
    async (open, { seen }) => {
      const chat = open({ retries: 10, budget: { calls: 4 } });
      await chat.complete(hello).then(
        () => assert.unreachable(),
        (error) => assert.instance(error, BudgetError),
      );
      assert.is(seen.length, 4);
    },
    { do: "drop" },
  ));

test("the same run twice asks nothing, wherever the server stands", async () => {
  const cacheDir = folder();
  const questions = [0, 1, 2].map((i): ChatMessage[] => [{ role: "user", text: `What is ${i}?` }]);
  const echo = ({ body }: Seen): Behaviour => ({
    do: "say",
    message: { content: `${body.messages[0].content} ${body.seed}` },
  });
  const run = async (open: (options?: Partial<ChatOptions>) => OpenChat) => {
    const chat = open({ cacheDir, temperature: 1 });
    const texts: string[] = [];
    for (const seed of [1, 2]) for (const asked of questions) texts.push((await chat.complete(asked, { seed })).text);
    return { texts, counts: chat.counts() };
  };
  let first: string[] = [];
  await against(
    [],
    async (open) => {
      const { texts, counts } = await run(open);
      first = texts;
      assert.is(new Set(texts).size, 6);
      assert.equal([counts.calls, counts.cached], [6, 0]);
    },
    echo,
  );
  await against(
    [],
    async (open, { seen }) => {
      const { texts, counts } = await run(open);
      assert.equal(texts, first);
      assert.equal([counts.calls, counts.cached, counts.inputTokens, seen.length], [0, 6, 0, 0]);
      const other = open({ cacheDir, temperature: 0 });
      assert.not((await other.complete(questions[0], { seed: 1 })).cached, "another temperature is another question");
    },
    echo,
  );
  const files = fs.readdirSync(cacheDir, { recursive: true, encoding: "utf8" }).filter((name) => /\.\w+$/.test(name));
  assert.is(files.length, 7);
  for (const name of files) {
    assert.match(name, /^[0-9a-f]{2}\/[0-9a-f]{64}\.json$/);
    assert.not(fs.readFileSync(join(cacheDir, name), "utf8").includes(key));
  }
});

test("the same question twice at once has one answer, the one that is kept", async () => {
  let n = 0;
  await against(
    [],
    async (open, { seen }) => {
      const chat = open({ cacheDir: folder() });
      const all = await Promise.all([chat.complete(hello), chat.complete(hello)]);
      const texts = [...all, await chat.complete(hello)].map(({ text }) => text);
      assert.equal([seen.length, new Set(texts).size], [2, 1]);
    },
    () => ({ do: "say", message: { content: `answer ${n++}` } }),
  );
});

test("a broken cache file is as good as none, and is written again", async () => {
  for (const spoil of [
    (text: string) => text.slice(0, 40),
    (text: string) => text.replace("Fine", "Fake"),
    () => "",
    () => "{}",
    () => "null",
  ])
    await against([], async (open) => {
      const cacheDir = folder();
      await open({ cacheDir }).complete(hello);
      const [file] = fs
        .readdirSync(cacheDir, { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith("json"));
      const path = join(cacheDir, file);
      const whole = fs.readFileSync(path, "utf8");
      fs.writeFileSync(path, spoil(whole));
      const again = await open({ cacheDir }).complete(hello);
      assert.equal([again.text, again.cached], ["Fine.", false]);
      assert.is(fs.readFileSync(path, "utf8"), whole);
    });
});

test("an answer that cannot be kept is of use all the same", () =>
  against([], async (open) => {
    const cacheDir = folder();
    for (let i = 0; i < 256; i++) fs.writeFileSync(join(cacheDir, i.toString(16).padStart(2, "0")), "");
    const chat = open({ cacheDir });
    assert.is((await chat.complete(hello)).text, "Fine.");
    assert.is(chat.counts().unkept, 1);
  }));

test("failures are not kept", () =>
  against([{ do: "status", status: 400 }], async (open) => {
    const chat = open({ cacheDir: folder() });
    await refusal(chat.complete(hello));
    assert.not((await chat.complete(hello)).cached);
    assert.ok((await chat.complete(hello)).cached);
  }));

test("a server that tells the key tells it to nobody", () =>
  against([{ do: "say", message: { content: `Your key is ${key}.` } }], async (open) => {
    const cacheDir = folder();
    const chat = open({ cacheDir });
    assert.is((await chat.complete(hello)).text, "Your key is [key].");
    assert.not(JSON.stringify([chat, chat.counts()]).includes(key));
  }));

test("a short key is hidden in errors, too, and changes no answer", () => {
  const says = (message: string): Behaviour => ({ do: "status", status: 400, text: JSON.stringify({ message }) });
  return against([says("k7 is none of mine"), says("none of mine"), fine], async (open) => {
    assert.match((await refusal(open({ apiKey: "k7" }).complete(hello))).message, /\[key\] is none of mine$/);
    assert.match((await refusal(open({ apiKey: undefined }).complete(hello))).message, /none of mine$/);
    assert.is((await open({ apiKey: "n" }).complete(hello)).text, "Fine.");
  });
});

test("bad options are one clear line", () => {
  const table: [Partial<ChatOptions>, RegExp][] = [
    [{ baseURL: "localhost" }, /^base URL localhost: expected http/],
    [{ baseURL: "ftp://x" }, /^base URL ftp:\/\/x: expected/],
    [{ baseURL: `http://me:${key}@host/v1` }, /^base URL http:\/\/\.\.\.@host\/v1: expected/],
    [{ baseURL: `http://host/v1?key=${key}` }, /^base URL http:\/\/host\/v1\?\.\.\.: expected/],
    [{ baseURL: `http://:${key}@host/v1` }, /^base URL http:\/\/\.\.\.@host\/v1: expected/],
    [{ baseURL: "http://host/v1#chat" }, /^base URL http:\/\/host\/v1\?\.\.\.: expected/],
    [{ apiKey: `${key} ${key}` }, /^API key: expected ASCII/],
    [{ apiKey: `${key}\u2026` }, /^API key: expected ASCII/],
    [{ model: "" }, /model/],
    [{ timeoutMs: 0 }, /^timeout 0: expected a whole number from 1/],
    [{ retries: -1 }, /^retries -1/],
    [{ concurrency: 0.5 }, /^concurrency 0.5/],
    [{ budget: { dollars: 5 } }, /^a budget of 5 dollars: expected the prices/],
    [{ budget: { calls: -1 } }, /^calls -1/],
    [{ prices: { input: Number.NaN, output: 1 } }, /^input NaN/],
    [{ cacheDir: "/dev/null/cache" }, /^cache folder \/dev\/null\/cache: expected/],
  ];
  for (const [options, line] of table) {
    try {
      openChat({ model: "m", baseURL: "http://localhost:1/v1", ...options });
      assert.unreachable();
    } catch (error) {
      assert.is((error as Error).name, "UsageError");
      assert.match((error as Error).message, line);
      assert.not((error as Error).message.includes(key));
    }
  }
});

test("nothing was rejected behind our backs", async () => {
  await sleep(20);
  assert.equal(unhandled, []);
});

test.run();
