// The domains by name and profile, or by the folder that a person's own is in, loaded when they are asked for.

import { basename, isAbsolute, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import type { Domain } from "../types.ts";

/** Domain -> profile -> the module that has it. The first profile is the default. */
const DOMAINS: Readonly<Record<string, Readonly<Record<string, () => Promise<Domain>>>>> = {
  airline: {
    tau1: async () => (await import("./airline/index.ts")).airline,
    fixed: async () => (await import("./airline/index.ts")).fixed,
    tau2: async () => (await import("./tau2/index.ts")).over((await import("./airline/index.ts")).airline),
  },
  math: { math: async () => (await import("./math/index.ts")).math },
  retail: {
    tau1: async () => (await import("./retail/index.ts")).retail,
    fixed: async () => (await import("./retail/index.ts")).fixed,
    tau2: async () => (await import("./tau2/index.ts")).over((await import("./retail/index.ts")).retail),
  },
  shop: { shop: async () => (await import("./shop/index.ts")).shop },
};

export const domainNames: readonly string[] = Object.keys(DOMAINS);

export function profilesOf(name: string): readonly string[] {
  return Object.keys(DOMAINS[name]);
}

/** Does a domain's name say where it is? */
export function isFolder(name: string): boolean {
  return name.startsWith(".") || isAbsolute(name) || /[/\\]/.test(name);
}

/**
 * A domain's name for a config that may be read elsewhere: folders with their whole path (`from`: what it is relative to).
 */
export function absoluteDomain(name: string, from = "."): string {
  return isFolder(name) ? resolve(from, name) : name;
}

/** What a domain is called in the name of a run. */
export function domainLabel(name: string): string {
  return isFolder(name) ? basename(name).replace(/^[^A-Za-z0-9]+|[^\w.-]+/g, "") || "own" : name;
}

/** A domain under one of its profiles; a folder has one, "own". */
export async function domain(name: string, profile = "default"): Promise<Domain> {
  if (isFolder(name)) {
    if (profile !== "default" && profile !== "own") throw new UsageError(`--profile ${profile}: ${name} has own`);
    const own = await (await import("./own/folder.ts")).loadFolder(name);
    if (Object.hasOwn(DOMAINS, own.name))
      throw new UsageError(`--domain ${name}: name: ${own.name} is one of the project's own domains`);
    return own;
  }
  if (!Object.hasOwn(DOMAINS, name))
    throw new UsageError(`--domain ${name}: expected a folder (./${name}) or one of ${domainNames.join(", ")}`);
  const chosen = profile === "default" ? profilesOf(name)[0] : profile;
  if (!Object.hasOwn(DOMAINS[name], chosen))
    throw new UsageError(`--profile ${chosen}: ${name} has ${profilesOf(name).join(", ")}`);
  return DOMAINS[name][chosen]();
}
