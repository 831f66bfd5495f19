// The shop: a small domain in retail's shape for a policy of a few million parameters, and the example of how a domain
// is written (docs/domains.md).

import type { Domain } from "../../types.ts";
import { objects, pairs } from "./drills.ts";
import { expert } from "./expert.ts";
import { answered, asks, hears, policy, violates } from "./rules.ts";
import { makeTask, world } from "./tasks.ts";
import { type Arguments, tools } from "./tools.ts";
import { FAMILIES } from "./world.ts";

export const shop: Domain<Arguments> = {
  name: "shop",
  profile: "shop",
  checkOutputs: false,
  policy,
  toolsInPrompt: false,
  tools,
  families: FAMILIES,
  database: (seed) => world(seed).database,
  task: makeTask,
  asks,
  hears,
  violates,
  answered,
  expert,
  drills: { pairs, objects },
};
