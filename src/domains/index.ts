// The domains by name, loaded when they are asked for.

import { UsageError } from "../errors.ts";
import type { Domain } from "../types.ts";

const DOMAINS: Readonly<Record<string, () => Promise<Domain>>> = {
  airline: async () => (await import("./airline/index.ts")).airline,
  retail: async () => (await import("./retail/index.ts")).retail,
  shop: async () => (await import("./shop/index.ts")).shop,
};

export const domainNames: readonly string[] = Object.keys(DOMAINS);

export async function domain(name: string): Promise<Domain> {
  if (!Object.hasOwn(DOMAINS, name))
    throw new UsageError(`--domain ${name}: expected one of ${domainNames.join(", ")}`);
  return DOMAINS[name]();
}
