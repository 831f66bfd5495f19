// The Hugging Face hub as the environment describes it: variables and defaults of the Python library. What is done with it
// is ../policy/hub.ts. Test: test/unit/hub.test.ts

import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Config } from "../config/config.ts";
import { Hub, type HubSettings, isHubName } from "../policy/hub.ts";
import { Display } from "../run/progress.ts";

/** What is told of a download is on stderr. */
export function openHub(): Hub {
  const display = new Display(process.stderr);
  return new Hub({
    ...hubSettings(process.env),
    line: (text) => display.line(text),
    live: (text) => (text === "" ? display.clear() : display.live(text)),
  });
}

/** With the model's revision as a commit, where it is one of the hub: what is written down has to mean the same later. */
export async function pinned(config: Config, hub: Hub | undefined): Promise<Config> {
  return hub && isHubName(config.model) ? { ...config, model: await hub.pin(config.model) } : config;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** An empty variable is none. */
export function hubSettings(env: Environment): Pick<HubSettings, "endpoint" | "cache" | "token" | "offline"> {
  const path = (text: string) => resolve(text.replace(/^~(?=\/|$)/, homedir()));
  const home = path(env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface"));
  const token =
    env.HF_TOKEN?.trim() ||
    env.HUGGING_FACE_HUB_TOKEN?.trim() ||
    readToken(path(env.HF_TOKEN_PATH || join(home, "token")));
  return {
    endpoint: (env.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, ""),
    cache: path(env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home, "hub")),
    ...(token && { token }),
    offline: /^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE || ""),
  };
}

function readToken(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}
