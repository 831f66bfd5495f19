// Every algorithm by its name. A new one is a file of this folder and a line here.
// Test: test/unit/algorithms.test.ts, test/unit/bandit.test.ts

import type { Algorithm, AlgorithmOptions } from "./algorithm.ts";
import { ppo } from "./gae.ts";
import { grpo, reinforceBaseline, rloo } from "./group.ts";
import { reinforce } from "./reinforce.ts";
import { spo } from "./spo.ts";
import { processGrpo } from "./turns.ts";

const algorithms: { readonly [name in AlgorithmOptions["algo"]]: (options: AlgorithmOptions) => Algorithm } = {
  grpo: (options) => (options.credit === "turn" ? processGrpo(options) : grpo(options)),
  ppo,
  rloo,
  spo,
  "reinforce++": reinforce,
  "reinforce++-baseline": reinforceBaseline,
};

/** How the rollouts of an update become advantages. */
export function algorithm(options: AlgorithmOptions): Algorithm {
  return algorithms[options.algo](options);
}
