// The domains by name and profile, loaded when they are asked for.

import { UsageError } from "../errors.ts";
import type { Domain } from "../types.ts";

/** Domain -> profile -> the module that has it. The first profile is the default. */
const DOMAINS: Readonly<Record<string, Readonly<Record<string, () => Promise<Domain>>>>> = {
  airline: {
    tau1: async () => (await import("./airline/index.ts")).airline,
    fixed: async () => (await import("./airline/index.ts")).fixed,
  },
  retail: {
    tau1: async () => (await import("./retail/index.ts")).retail,
    fixed: async () => (await import("./retail/index.ts")).fixed,
  },
  shop: { shop: async () => (await import("./shop/index.ts")).shop },
};

export const domainNames: readonly string[] = Object.keys(DOMAINS);

export function profilesOf(name: string): readonly string[] {
  return Object.keys(DOMAINS[name]);
}

/** A domain under one of its profiles. */
export async function domain(name: string, profile = "default"): Promise<Domain> {
  if (!Object.hasOwn(DOMAINS, name))
    throw new UsageError(`--domain ${name}: expected one of ${domainNames.join(", ")}`);
  const chosen = profile === "default" ? profilesOf(name)[0] : profile;
  if (!Object.hasOwn(DOMAINS[name], chosen))
    throw new UsageError(`--profile ${chosen}: ${name} has ${profilesOf(name).join(", ")}`);
  return DOMAINS[name][chosen]();
}
