// Who plays the customers of a config: the domain's script or a model behind an API, with what is known of a customer after
// the conversation. Opens models behind an API for others too. Not how a customer speaks: user/.
// Tests: test/unit/measure.test.ts, test/e2e/outages.test.ts

import { type Config, readPrices } from "./config/config.ts";
import { blame, UsageError } from "./errors.ts";
import { metered } from "./llm/budget.ts";
import { type ChatOptions, type OpenChat, openChat } from "./llm/client.ts";
import type { Hub } from "./policy/hub.ts";
import { derive } from "./random.ts";
import type { Attempt } from "./rollout/collect.ts";
import type { Domain, Rollout, User } from "./types.ts";
import { userFaults } from "./user/faults.ts";
import { LlmUser } from "./user/llm.ts";
import { ScriptedUser } from "./user/scripted.ts";

/** What reaches models elsewhere, as the environment has it: key and server of an API, and the hub. */
export interface Access {
  readonly apiKey?: string;
  /** The judge's, where it has one of its own. */
  readonly judgeKey?: string;
  readonly baseURL?: string;
  readonly hub?: Hub;
}

/** A customer for one conversation, and what is known of it afterwards. */
interface Customer {
  readonly user: User;
  told(rollout: Rollout): Pick<Rollout, "userFaults" | "disturbed" | "bill">;
}

export interface Users {
  customer(domain: Domain, attempt: Attempt): Customer;
  /** The model behind an API that plays them, or null. */
  readonly chat: OpenChat | null;
}

/** Customers that need no model. */
export function scripted(disturbances: number): Users {
  return {
    customer: (domain, { task, seed }) => {
      const user = new ScriptedUser(domain, task, derive(seed, "user"), { disturbances });
      return { user, told: () => ({ disturbed: user.disturbed }) };
    },
    chat: null,
  };
}

/** `access` has to reach the model that a config asks for. */
export function openUsers(config: Config, access?: Access): Users {
  if (config.user === "scripted") return scripted(config.disturbances);
  const { userModel: model, userUrl, userTemperature: temperature, userPrices } = config;
  const baseURL = userUrl === "environment" ? access?.baseURL : userUrl;
  const own = { model, temperature, prices: readPrices(userPrices) };
  const chat = openModel(`--user-model ${model}`, own, config, { ...access, baseURL });
  return {
    customer: (domain, { task, seed }) => {
      const meter = metered(chat);
      const user = new LlmUser(meter, task, derive(seed, "user"));
      const told = (rollout: Rollout) => ({ userFaults: userFaults(rollout, domain.tools), bill: meter.bill() });
      return { user, told };
    },
    chat,
  };
}

/** Requests at once; a server that wants fewer says so with status 429, and is asked again later. */
const REQUESTS = 32;

/** A model behind an API; `option` is what somebody typed that led to it, `own` goes before what the config has for all. */
export function openModel(
  option: string,
  own: Pick<ChatOptions, "model" | "temperature" | "maxTokens" | "prices" | "concurrency" | "perMinute" | "budget">,
  { budget, cache, apiTimeout, apiRetries, concurrent }: Config,
  access: Access = {},
  expected = "a key in OPENAI_API_KEY, or a server of your own in OPENAI_BASE_URL",
): OpenChat {
  const { apiKey, baseURL = "https://api.openai.com/v1" } = access;
  if (apiKey === undefined && access.baseURL === undefined) throw new UsageError(`${option}: expected ${expected}`);
  const priced = own.prices && own.prices.input + own.prices.output > 0;
  if (budget > 0 && !own.budget && !priced)
    throw new UsageError(`--budget ${budget} with ${option}: expected the prices of its tokens`);
  return blame(option, () =>
    openChat({
      baseURL,
      apiKey,
      timeoutMs: apiTimeout * 1000,
      retries: apiRetries,
      concurrency: Math.min(concurrent, REQUESTS),
      ...(budget > 0 && { budget: { dollars: budget } }),
      ...(cache !== "none" && { cacheDir: cache }),
      ...own,
    }),
  );
}
