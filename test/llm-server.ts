// A hostile OpenAI-compatible server for tests: each request gets the next behaviour of a script. Not a model: what it
// says is given to it, or a function of what it was asked.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a request looked like. */
export interface Seen {
  readonly path: string;
  readonly key: string | undefined;
  readonly body: any;
}

export type Behaviour =
  | { readonly do: "say"; readonly message?: unknown; readonly finish?: string; readonly usage?: unknown }
  | { readonly do: "slow"; readonly ms: number }
  | { readonly do: "stall-headers" | "stall-body" | "stall-error" | "drop" | "drop-body" | "endless" }
  | {
      readonly do: "status";
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly text?: string;
    }
  | { readonly do: "raw"; readonly text: string; readonly type?: string };

export interface LlmServer {
  readonly url: string;
  readonly seen: Seen[];
  /** Most requests that were under way at once. */
  readonly most: () => number;
  close(): Promise<void>;
}

export const fine: Behaviour = { do: "say" };

/** Plays the script, then `otherwise` for ever. */
export async function llmServer(
  script: readonly Behaviour[],
  otherwise: Behaviour | ((seen: Seen) => Behaviour | Promise<Behaviour>) = fine,
): Promise<LlmServer> {
  const seen: Seen[] = [];
  const timers = new Set<NodeJS.Timeout>();
  let under = 0;
  let most = 0;
  const server = createServer(async (request, response) => {
    most = Math.max(most, ++under);
    response.on("close", () => under--);
    const text = await bodyOf(request);
    if (text === null) return;
    const asked: Seen = { path: request.url ?? "", key: request.headers.authorization, body: JSON.parse(text) };
    seen.push(asked);
    const behaviour = script[seen.length - 1] ?? (typeof otherwise === "function" ? await otherwise(asked) : otherwise);
    behave(behaviour, request, response, timers);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    seen,
    most: () => most,
    close() {
      for (const timer of timers) clearInterval(timer);
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** A whole answer as OpenAI writes it. */
function answerOf({ message, finish = "stop", usage }: Extract<Behaviour, { do: "say" }>): string {
  return JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 0,
    model: "test",
    choices: [{ index: 0, message: message ?? { role: "assistant", content: "Fine." }, finish_reason: finish }],
    usage: usage === undefined ? { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } : usage,
  });
}

function behave(
  what: Behaviour,
  request: IncomingMessage,
  response: ServerResponse,
  timers: Set<NodeJS.Timeout>,
): void {
  const json = { "content-type": "application/json" };
  switch (what.do) {
    case "say":
      response.writeHead(200, json).end(answerOf(what));
      break;
    case "slow":
      timers.add(setTimeout(() => response.writeHead(200, json).end(answerOf({ do: "say" })), what.ms));
      break;
    case "stall-headers":
      break;
    case "stall-body":
      response.writeHead(200, json).write('{"choices": [');
      break;
    case "stall-error":
      response.writeHead(500, json).write('{"error": ');
      break;
    case "drop":
      request.socket.destroy();
      break;
    case "drop-body":
      response.writeHead(200, { ...json, "content-length": "1000" }).write('{"choices": [');
      timers.add(setTimeout(() => request.socket.destroy(), 5));
      break;
    case "endless":
      response.writeHead(200, json);
      timers.add(setInterval(() => response.write(" ".repeat(1 << 20)), 1));
      break;
    case "status":
      response.writeHead(what.status, { ...json, ...what.headers }).end(what.text ?? '{"error": {"message": "no"}}');
      break;
    case "raw":
      response.writeHead(200, { "content-type": what.type ?? "application/json" }).end(what.text);
      break;
  }
}

/** Null where the asker hung up before it had asked. */
async function bodyOf(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return null;
  }
  return Buffer.concat(chunks).toString();
}
