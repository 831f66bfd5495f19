// A config's objective as equations with its numbers, for a person: what `tarl train --explain` prints. Describes what the
// stages compute and computes nothing; the formulas with their sources are in docs/math.md.
// Test: test/unit/explain.test.ts

import { type Config, playsAhead } from "./config.ts";

/** One part of the objective, and the lines that say it. */
export interface Part {
  readonly name: string;
  readonly lines: readonly string[];
}

export function explain(config: Config): Part[] {
  const parts: [string, (c: Config) => readonly (string | false)[]][] = [
    ["Objective", objective],
    ["Reward", rewardOf],
    ["Advantage", advantageOf],
    ["Ratio", ratioOf],
    ["Policy loss", policyLossOf],
    ["KL", klOf],
    ["Critic", criticOf],
    ["Loss", lossOf],
    ["Update", updateOf],
    ["Sampling", samplingOf],
  ];
  return parts
    .map(([name, lines]) => ({ name, lines: lines(config).filter((line) => line !== false) }))
    .filter(({ lines }) => lines.length > 0);
}

/** The parts as plain text. */
export function explanation(config: Config): string {
  return explain(config)
    .map(({ name, lines }) => `${name}\n${lines.map((line) => `  ${line}\n`).join("")}`)
    .join("\n");
}

const objective = (c: Config) => [
  "maximise J(θ) = E[ R(τ) ],  τ = (x₁, e₁, …, x_T, e_T): the policy's turns x, the environment's answers e",
  "Sums over t run over the policy's tokens; the environment's are read and never learned from.",
  c.klCoef > 0 && `staying near the starting policy π_ref: − ${num(c.klCoef)} · KL(π ‖ π_ref)`,
];

function rewardOf(c: Config) {
  const { outcomeWeight: w, turnsWeight: v, majorWeight: u } = c;
  const tarl = [
    `R(τ) = ${num(w)} · s + ${num(v)} · n₊ / T − ${num(u)} · [a turn is scored −1]      TARL, from ${num(-u)} to ${num(w + v)}`,
    "s = 1 when the verifier finds success, else 0;  n₊ of the agent's T turns are scored +1",
    `success and a −1 at once: ${c.conflict === "keep" ? "both count" : "the −1 is dropped"};  no verdict: ${c.abstain === "drop" ? "the rollout is left out" : `R(τ) = ${num(w)} · s`}`,
  ];
  const begins = c.contextTokens - c.overlongBuffer;
  return [
    ...(c.tarl ? tarl : ["R(τ) = s: 1 when the verifier finds success, else 0"]),
    c.overlongBuffer > 0 &&
      `R(τ) −= ${num(c.overlongFactor)} · clip((tokens − ${begins}) / ${c.overlongBuffer}, 0, 1)      overlong penalty`,
    c.klIn === "reward" && c.klCoef > 0 && `rₜ −= ${num(c.klCoef)} · KLₜ on every policy token, KLₜ = ${estimate(c)}`,
    c.credit === "turn"
      ? "each turn's share lands on that turn's last token"
      : (c.algo === "ppo" || c.algo === "reinforce++") && "all of it lands on the last policy token",
  ];
}

function advantageOf(c: Config): readonly (string | false)[] {
  const white = c.whiten && "Âₜ ← (Âₜ − mean) / √(variance + 1e-8) over all policy tokens of the update";
  const group = `over the ${c.samples} rollouts of one task; a group whose rewards are all equal has no advantages`;
  switch (c.algo) {
    case "grpo": {
      const deviations = {
        sample: `(std + ${num(c.stdEps)}), std over n − 1`,
        population: `(std + ${num(c.stdEps)}), std over n`,
        batch: `(std of the whole update + ${num(c.stdEps)})`,
        none: "1",
      };
      if (c.credit === "turn")
        return [
          `z = (share − mean) / ${deviations[c.std]}, of all turns of a group together      GRPO, process supervision`,
          c.gamma === 1
            ? "Â of turn k = Σ z of turns k, k + 1, …"
            : `Â of turn k = Σ ${num(c.gamma)}^(l − k) · z of turns l ≥ k`,
          group,
        ];
      return [
        c.std === "none" ? "Â = R − mean R      Dr. GRPO" : `Â = (R − mean R) / ${deviations[c.std]}      GRPO`,
        group,
      ];
    }
    case "rloo":
      return [`Â = R − mean of the other ${c.samples - 1} rollouts of the task      RLOO`, group];
    case "reinforce++-baseline":
      return ["Â = R − mean R      REINFORCE++-baseline", group, white];
    case "reinforce++":
      return [`Âₜ = Σ_{l ≥ t} ${num(c.gamma)}^(l − t) · r_l      REINFORCE++`, white];
    case "spo":
      return [
        `Â = r − v, r the reward from 0 to 1, v = α / (α + β) what is expected of the task before the visit      SPO`,
        `after it: α ← ρα + r, β ← ρβ + 1 − r, ρ = 2^(−D / ${num(c.spoHalfLife)}) from ${num(c.spoRhoMin)} to ${num(c.spoRhoMax)}, D = mean |Δ log π| since the last visit`,
        `tasks are drawn from ${c.spoPool} by √(v(1 − v))${c.spoPower > 0 ? ` / (α + β)^${num(c.spoPower)}` : ""} + ${num(c.spoExplore)}`,
        c.whiten && "Â ← (Â − mean) / (std + 1e-8) over the rollouts of the update",
      ];
    case "ppo":
      return [...gaeOf(c), white];
  }
}

function gaeOf(c: Config): string[] {
  const [gamma, lambda] = [num(c.gamma), num(c.lambda)];
  const token = `δₜ = rₜ + ${gamma} · Vₜ₊₁ − Vₜ,  Âₜ = δₜ + ${gamma} · ${lambda} · Âₜ₊₁`;
  if (c.gae === "token") return [`${token}, t + 1 the next policy token      PPO, GAE`];
  const turn = (discount: string) => `δₖ = rₖ + ${discount} · Vₖ₊₁ − Vₖ,  Âₖ = δₖ + ${discount} · ${lambda} · Âₖ₊₁`;
  if (c.gae === "turn") return [`${turn(gamma)}, k a turn, Vₖ at its first token      PPO, GAE by turn`];
  return [
    `${turn(num(c.gammaTurn))}, k a turn, Vₖ at its last token      PPO, bi-level GAE`,
    `inside of a turn ${token}, ending in its Âₖ`,
  ];
}

function ratioOf(c: Config) {
  const ratios = {
    token: "ρₜ = π(xₜ) / π_old(xₜ), its logarithm held within ±20",
    sequence: "ρ = exp(meanₜ(log π(xₜ) − log π_old(xₜ))), one for the rollout      GSPO",
    product: "ρ = Πₜ π(xₜ) / π_old(xₜ), one for the rollout, its logarithm held within ±20",
    none: false as const,
  };
  const bounds = `[${num(c.tisLow)}, ${num(c.tisCap)}]`;
  const whole = c.tis === "sequence" ? "Πₜ " : "";
  return [
    ratios[c.ratio],
    c.tis !== "off" &&
      `Â ← w · Â,  w = ${whole}π_trainer(xₜ) / π_sampler(xₜ) ${c.tisMode === "clamp" ? `clipped to ${bounds}` : `or 0 outside ${bounds}`}${c.tisNorm ? ", over its mean" : ""}      TIS`,
  ];
}

function policyLossOf(c: Config) {
  if (c.ratio === "none") return ["Lₜ = −Â · log π(xₜ)      REINFORCE"];
  const rho = c.ratio === "token" ? "ρₜ" : "ρ";
  return [
    `Lₜ = max(−${rho}Â, −clip(${rho}, ${num(1 - c.clipLow)}, ${num(1 + c.clipHigh)}) Â)`,
    c.dualClip > 0 && `where Â < 0: Lₜ = min(Lₜ, −${num(c.dualClip)} Â)      dual clip`,
  ];
}

function klOf(c: Config) {
  if (c.klCoef === 0 || c.klIn === "reward") return [];
  return [`KLₜ = ${estimate(c)}`, "π_ref is the policy that the run began with"];
}

/** The estimator of the KL, d = log π_ref − log π. */
function estimate({ klKind, klClamp }: Config): string {
  const d = "d = log π_ref(xₜ) − log π(xₜ)";
  const k3 = `e^d − d − 1${klClamp > 0 ? `, at most ${num(klClamp)}` : ""}`;
  const estimators: { readonly [kind in Config["klKind"]]: string } = {
    k1: `−d,  ${d}      k1`,
    k2: `d² / 2,  ${d}      k2`,
    k3: `${k3},  ${d}      k3`,
    abs: `|d|,  ${d}`,
    "k1+": `−d with the slope of d² / 2,  ${d}      k1+`,
    "k3+": `${k3}, with the slope of d² / 2,  ${d}      k3+`,
    k3_is: `π / π_old · (e^d − d − 1),  ${d}      k3_is`,
    k3_score: `${k3}, with the slope −d,  ${d}      k3_score`,
  };
  return estimators[klKind];
}

function criticOf(c: Config) {
  if (c.algo !== "ppo") return [];
  const held = `max((V − G)², (clip(V, V_old ± ${num(c.valueClip)}) − G)²)`;
  return [
    `${num(c.valueCoef)} · ½ Σₜ wₜ ${c.valueClip > 0 ? held : "(V − G)²"},  G = Â + V before whitening`,
    c.critic === "own" ? `a trunk of its own, learning rate ${num(c.criticLr)}` : "a head on the policy's trunk",
  ];
}

function lossOf(c: Config) {
  const weights: { readonly [name in Config["aggregation"]]: string } = {
    "token-mean": "1 / N",
    "token-sum": "1",
    "seq-mean-token-sum": "1 / S",
    "seq-mean-token-mean": "1 / (S n)",
    "seq-mean-token-sum-norm": `1 / (${c.contextTokens} S)`,
  };
  const kl = c.klCoef > 0 && c.klIn === "loss" ? ` + ${num(c.klCoef)} · KLₜ` : "";
  const entropy = c.entropyCoef > 0 ? ` − ${num(c.entropyCoef)} · Hₜ` : "";
  const sum = `Lₜ${kl}${entropy}`;
  return [
    `loss = Σₜ wₜ · ${sum === "Lₜ" ? sum : `(${sum})`},  wₜ = ${weights[c.aggregation]}      ${c.aggregation}`,
    "N policy tokens of the update, n of the rollout, S rollouts",
    entropy !== "" && "Hₜ is the entropy of π at token t",
  ];
}

function updateOf(c: Config) {
  const adam = `AdamW (β ${num(c.beta1)}, ${num(c.beta2)}; ε ${num(c.eps)}; decay ${num(c.weightDecay)})`;
  const muon = `Muon for matrices inside the layers at ${num(c.muonScale)} of the rate, else ${adam}`;
  const rise = c.warmup > 0 ? `, after a linear rise over ${c.warmup} updates` : "";
  const fall = c.decay === "none" ? "" : `, then ${c.decay} to 0 at update ${c.steps}`;
  return [
    `${c.steps} updates of ${c.tasksPerStep} tasks × ${count(c.samples, "rollout", "rollouts")}, each learned from in ${count(c.epochs, "pass", "passes")} of ${count(c.miniBatches, "mini-batch", "mini-batches")}`,
    c.dynamicSampling && `tasks are drawn, at most ${c.maxDraws} times, until enough groups have success and failure`,
    c.mix !== "none" && `one update in ${c.mixEvery} is ${c.mixControl ? "left out" : `of ${c.mix}`}`,
    `${c.optimizer === "muon" ? muon : adam}, learning rate ${num(c.lr)}${rise}${fall}`,
    c.maxGradNorm > 0 && `‖gradient‖ at most ${num(c.maxGradNorm)}`,
  ];
}

function samplingOf(c: Config) {
  const cuts = [
    c.topP < 1 && `top-p ${num(c.topP)}`,
    c.topK > 0 && `top-k ${c.topK}`,
    c.minP > 0 && `min-p ${num(c.minP)}`,
  ].filter((cut) => cut !== false);
  return [
    `π = softmax(logits / ${num(c.temperature)})${cuts.length > 0 ? `, sampled with ${cuts.join(", ")}` : ""}`,
    cuts.length > 0 && "biased: what is cut off is never sampled, but ρ and KL are those of the whole distribution",
    `at most ${c.turns} turns of ${c.turnTokens} tokens, ${c.contextTokens} in a conversation`,
    c.reflection > 0 && `a major deviation is held back, at most ${c.reflection} times before a turn is acted on`,
    playsAhead(c) && "played with the weights from before the last update, while that one's verdicts are awaited",
  ];
}

/** Shortest digits; small numbers as 1e-6. */
function num(value: number): string {
  const text = value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : `${Number(value.toPrecision(12))}`;
  return text.replace(/^-/, "−");
}

const count = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`;
