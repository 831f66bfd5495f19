// Packages that a test compares with and that the project does not depend on: fetched once from the npm registry into
// .cache/packages of the checkout, where nothing else looks. A test that cannot have one says so and skips.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "../src/root.ts";

/** The folder of an npm package's files, or null where it cannot be had; nothing of it is run here. */
export function npmPackage(name: string, version: string): string | null {
  const dir = join(root, ".cache", "packages", `${name.replaceAll(/[@/]/g, "_")}-${version}`);
  if (existsSync(dir)) return dir;
  const partial = `${dir}.${process.pid}`;
  try {
    mkdirSync(partial, { recursive: true });
    const packed = execFileSync("npm", ["pack", "--json", `${name}@${version}`], {
      cwd: partial,
      encoding: "utf8",
      timeout: 120_000,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const { filename } = JSON.parse(packed)[0];
    execFileSync("tar", ["xzf", filename, "--strip-components=1"], { cwd: partial });
    rmSync(join(partial, filename));
    renameSync(partial, dir);
    return dir;
  } catch {
    rmSync(partial, { recursive: true, force: true });
    return existsSync(dir) ? dir : null;
  }
}
