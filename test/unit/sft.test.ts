// Recipes and supervised training: what is learnt from, with which weights, and that a run is a function of its recipe.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { presets } from "../../src/config/config.ts";
import { scripted } from "../../src/customers.ts";
import { domain } from "../../src/domains/index.ts";
import { math } from "../../src/domains/math/index.ts";
import { shop } from "../../src/domains/shop/index.ts";
import { Table } from "../../src/play.ts";
import { Tokenizer } from "../../src/policy/tokenizer.ts";
import {
  checkDrills,
  demonstrates,
  momentOf,
  otherDomains,
  parseRecipe,
  type Recipe,
  readRecipe,
  totalTokens,
} from "../../src/recipe.ts";
import { chatFormat } from "../../src/rollout/format.ts";
import { root } from "../../src/root.ts";
import { evalSampling } from "../../src/settings.ts";
import { type SftLine, sft } from "../../src/sft.ts";
import { generated, mix } from "../../src/tasks/sampler.ts";
import type { Dialogue, Domain, Format } from "../../src/types.ts";
import { makeTokenizer } from "../../src/vocabulary.ts";
import { FakePolicy } from "../fake-policy.ts";

const phase = { name: "a", tokens: 1000, batchTokens: 500, lr: [0, 1], length: [100, 200] };
const recipe = parseRecipe(
  {
    domain: "shop",
    optimizer: { kind: "muon" },
    heldOut: { every: 3, demonstrations: 4, tasks: 0 },
    saveEvery: 2,
    phases: [
      phase,
      {
        ...phase,
        name: "b",
        tokens: 2000,
        lr: 0.5,
        length: 4000,
        drills: { pairs: [0.2, 0.4], objects: 0.3 },
        imperfect: 1,
        habits: { wrongChoice: 1 },
      },
    ],
  },
  "test",
);
const tokenizer = new Tokenizer(await makeTokenizer(shop, 1000, 100, 1));

const table = (policy: FakePolicy, domain: Domain = shop, format: Format = chatFormat(tokenizer)) =>
  new Table(
    {
      domain,
      tasks: generated(domain, mix(shop, [], 0.15), 100_000),
      origin: "generated",
      users: scripted(0),
    },
    policy,
    tokenizer,
    format,
    { ...presets.embedded, turns: 30, contextTokens: 4096 },
  );

/** The message that a run ends with. */
async function failure(recipe: Recipe, domain?: Domain): Promise<string> {
  const job = { step: 0, tokens: 0, report: () => {}, save: async () => {}, stopped: () => false };
  try {
    await sft(recipe, table(new FakePolicy(), domain), evalSampling(presets.embedded), job);
  } catch (error) {
    return (error as Error).message;
  }
  return assert.unreachable() as never;
}

async function run(from: { step: number; tokens: number } = { step: 0, tokens: 0 }, until = Infinity) {
  const policy = new FakePolicy();
  const lines: SftLine[] = [];
  const saved: number[] = [];
  const finished = await sft(recipe, table(policy), evalSampling(presets.embedded), {
    ...from,
    report: (line) => lines.push(line),
    save: async (step) => void saved.push(step),
    stopped: () => lines.length >= until,
  });
  return { policy, lines, saved, finished };
}

test("values run linearly through a phase, phases follow each other by tokens", () => {
  assert.is(totalTokens(recipe), 3000);
  assert.is(momentOf(recipe, 0)!.lr, 0);
  assert.is(momentOf(recipe, 250)!.lr, 0.25);
  assert.is(momentOf(recipe, 250)!.length, 125);
  assert.is(momentOf(recipe, 999)!.phase.name, "a");
  const { shares, lr, length, imperfect } = momentOf(recipe, 2000)!;
  assert.equal({ lr, length, imperfect }, { lr: 0.5, length: 4000, imperfect: 1 });
  assert.equal(shares, [
    ["pairs", 0.2 + 0.2 * 0.5],
    ["objects", 0.3],
    ["dialogues", 0],
  ]);
  assert.is(momentOf(recipe, 3000), null);
});

test("a wrong recipe is one line with its place", () => {
  const whole = { domain: "shop", optimizer: { kind: "muon" }, phases: [phase] };
  const drilled = (drills: object) => ({ ...whole, phases: [{ ...phase, drills }] });
  const wrong: [object, RegExp][] = [
    [{}, /^r\.json: domain: /],
    [{ ...whole, optimizer: { kind: "sgd" } }, /^r\.json: optimizer\.kind: /],
    [{ ...whole, optimizer: { kind: "adamw", beta1: 1 } }, /^r\.json: optimizer\.beta1: /],
    [{ ...whole, optimizer: { kind: "adamw", beta2: 1 } }, /^r\.json: optimizer\.beta2: /],
    [{ ...whole, phases: [] }, /^r\.json: phases: /],
    [drilled({ pairs: 2 }), /^r\.json: phases\.0\.drills\.pairs: /],
    [drilled({ pairs: 0.7, objects: 0.4 }), /^r\.json: phases\.0\.drills: the shares sum to more than 1$/],
    [drilled({ pairs: [0.1, 0.7], objects: [0.1, 0.4] }), /^r\.json: phases\.0\.drills: the shares sum/],
    [drilled({ pairs: [0.7, 0.1], objects: [0.4, 0.1] }), /^r\.json: phases\.0\.drills: the shares sum/],
    [{ ...whole, phases: [{ ...phase, minutes: 2 }] }, /^r\.json: phases\.0: .*minutes/],
    [
      { ...whole, phases: [{ ...phase, dialogues: [0, 0.5] }] },
      /^r\.json: phases\.0\.dialogues: the recipe names no set/,
    ],
    [
      { ...whole, dialogues: "set", phases: [{ ...phase, dialogues: 0.6, drills: { pairs: 0.5 } }] },
      /^r\.json: phases\.0\.drills: the shares sum to more than 1$/,
    ],
  ];
  for (const [json, message] of wrong) assert.throws(() => parseRecipe(json, "r.json"), message);
  const ramps = { pairs: [1, 0], objects: [0, 0.6], a: [0, 0.3], b: [0, 0.1] };
  assert.equal(parseRecipe(drilled(ramps), "r.json").phases[0].drills, ramps, "the sums are 1 at both ends");
});

test("the tokenizer has one token for a name and for a word, wherever it stands", () => {
  const split = (text: string) => tokenizer.encodePlain(text).map((id) => tokenizer.decode([id]));
  assert.equal(split("exchange_item"), ["exchange_item"]);
  const [alone] = tokenizer.encodePlain("order");
  for (const text of [" order", '"order"', "\norder"]) assert.ok(tokenizer.encodePlain(text).includes(alone), text);
  assert.ok(
    ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool_call>"].every((token) => tokenizer.id(token) !== undefined),
  );
});

test("the recipes of the embedded policy can be read, and their domains have their drills", async () => {
  for (const name of ["recipe.json", "math.json"]) {
    const file = join(root, "assets", name);
    const own = readRecipe(file);
    checkDrills(own, await Promise.all([own.domain, ...otherDomains(own)].map((each) => domain(each))), file);
  }
});

test("another domain's demonstrations and drills have their share; a drill is found in whichever domain has it", async () => {
  const both = {
    ...recipe,
    phases: [
      {
        ...recipe.phases[0],
        tokens: 40_000,
        lr: 1,
        length: 4000,
        drills: { facts: 0.25, pairs: 0.25 },
        also: { math: 0.25 },
      },
    ],
  };
  assert.equal(otherDomains(both), ["math"]);
  checkDrills(both, [shop, math], "r.json");
  const policy = new FakePolicy();
  const lines: SftLine[] = [];
  const job = {
    step: 0,
    tokens: 0,
    report: (line: SftLine) => lines.push(line),
    save: async () => {},
    stopped: () => false,
  };
  await sft(both, table(policy), evalSampling(presets.embedded), job);
  const texts = (kind: string) =>
    lines.flatMap((line, i) => (line.kind === kind ? tokenizer.decode([...policy.steps[i].batch.ids]) : []));
  assert.ok(texts("facts").every((text) => /^\d+[-+*]\d+=\d+\.$/m.test(text)));
  assert.ok(texts("math").every((text) => text.includes(math.policy) && !text.includes(shop.policy)));
  assert.ok(texts("demonstrations").every((text) => text.includes(shop.policy)));
  for (const kind of ["facts", "pairs", "math", "demonstrations"]) {
    const share = lines.filter((line) => line.kind === kind).length / lines.length;
    assert.ok(share > 0.1 && share < 0.4, `${kind} ${share}`);
  }
});

test("a drill that the domain does not have, or that is named like what is no drill, is one line", async () => {
  const asking = (name: string) => ({ ...recipe, phases: [{ ...recipe.phases[0], drills: { [name]: 1 } }] });
  const shadowed = { ...shop, drills: { ...shop.drills, demonstrations: shop.drills!.pairs } };
  const refusal = (name: string) => `phases.0.drills.${name}: expected a drill of the domain shop: pairs, objects`;
  for (const [name, domain] of [
    ["chess", shop],
    ["demonstrations", shadowed],
  ] as const)
    assert.throws(
      () => checkDrills(asking(name), [domain], "r.json"),
      (error: Error) => error.message === `r.json: ${refusal(name)}`,
    );
});

test("a batch in which nothing can be learned is refused by the name of its phase", async () => {
  const phases = [{ ...recipe.phases[0], length: 20 }];
  const message = "--recipe: phase a: demonstrations: nothing to learn: no token of the batch has a weight";
  assert.is(await failure({ ...recipe, phases, environmentWeight: 0 }), message);
});

test("a demonstration that fails ends the run with its task, held out or while a step is computed", async () => {
  let shown = 0;
  const lost = (after: number): Domain => ({
    ...shop,
    expert: (...of) => {
      if (shown++ < after) return shop.expert!(...of);
      return () => {
        throw new Error("lost the thread");
      };
    },
  });
  const { demonstrations } = recipe.heldOut;
  for (const after of [0, demonstrations, demonstrations + 10]) {
    shown = 0;
    const message = await failure(recipe, lost(after));
    assert.match(message, /^the demonstration of shop\/\d+\/\w+\/\d+ failed: lost the thread$/);
  }
});

test("every batch has the size, the weights and the learning rate of the recipe", async () => {
  const { policy, lines, finished } = await run();
  assert.ok(finished);
  let tokens = 0;
  for (const [i, { batch, loss, optimizer }] of policy.steps.entries()) {
    const moment = momentOf(recipe, tokens)!;
    assert.is(optimizer.lr, moment.lr);
    assert.is(optimizer.kind, "muon");
    assert.is(loss.ratio, "none");
    assert.is(batch.rows.at(-1), batch.ids.length);
    assert.ok(batch.ids.length >= 500);
    assert.ok(batch.rows.every((start, row) => row === 0 || start - batch.rows[row - 1] <= moment.length));
    assert.ok(Math.abs(batch.weight.reduce((sum, weight) => sum + weight, 0) - 1) < 1e-5);
    for (const start of batch.rows.subarray(0, -1)) assert.is(batch.weight[start], 0, "nothing stands before a row");
    const levels = [...new Set(batch.weight)].filter((weight) => weight > 0).sort((a, b) => b - a);
    if (lines[i].kind !== "demonstrations") assert.is(levels.length, 1);
    else assert.ok(Math.abs(levels[1] / levels[0] - 0.1) < 1e-6, "environment tokens weigh a tenth");
    tokens += batch.ids.length;
    assert.is(lines[i].tokens, tokens);
  }
  assert.ok(tokens >= 3000);
  assert.equal([...new Set(lines.map(({ kind }) => kind))].sort(), ["demonstrations", "objects", "pairs"]);
});

test("held-out checks and checkpoints come when they are due, and at the end", async () => {
  const { lines, saved } = await run();
  const last = lines.length;
  for (const line of lines)
    assert.is(line.heldOutLoss !== undefined, line.step % 3 === 0 || line.step === last, String(line.step));
  assert.ok(Math.abs(lines.at(-1)!.heldOutLoss! - 0.5) < 1e-6, "the fake scores -0.5 everywhere");
  assert.equal(
    saved,
    lines.map(({ step }) => step).filter((step) => step % 2 === 0 || step === last),
  );
});

test("stopping and going on gives the batches of a straight run", async () => {
  const straight = await run();
  const first = await run({ step: 0, tokens: 0 }, 3);
  assert.not(first.finished);
  assert.is(first.saved.at(-1), 3);
  const { step, tokens } = first.lines.at(-1)!;
  const second = await run({ step, tokens });
  const ids = ({ policy }: { policy: FakePolicy }) => policy.steps.map(({ batch }) => [...batch.ids]);
  assert.equal([...ids(first), ...ids(second)], ids(straight));
});

const dialogues: Dialogue[] = Array.from({ length: 20 }, (_, i) => ({
  id: String(i),
  system: "Be kind.",
  tools: [],
  turns: [
    { role: "user", text: "Hi." },
    { role: "agent", text: "", calls: [{ name: "find_user", arguments: `{"n": ${i}}` }] },
    { role: "tool", text: "order" },
    { role: "agent", text: i < 10 ? "Hello." : "Hello, order. ".repeat(i * 20), calls: [] },
  ],
}));

/** A run on dialogues of a domain that has no expert; what the steps and the lines were. */
async function recited(change: object, format?: Format) {
  const policy = new FakePolicy();
  const lines: SftLine[] = [];
  const json = { domain: "shop", optimizer: { kind: "adamw" }, dialogues: "set", heldOut: { every: 2, tasks: 0 } };
  const phases = [{ ...phase, length: 200, dialogues: 1, ...change }];
  const recipe = parseRecipe({ ...json, phases }, "test");
  const { expert, ...without } = shop;
  const job = { step: 0, tokens: 0, save: async () => {}, stopped: () => false, dialogues };
  const report = (line: SftLine) => lines.push(line);
  await sft(recipe, table(policy, without, format), evalSampling(presets.embedded), { ...job, report });
  return { policy, lines, recipe };
}

test("dialogues alone need no expert; only the agent's words are learnt, rows end with a turn of the agent", async () => {
  const { policy, lines, recipe } = await recited({});
  assert.not(demonstrates(recipe));
  const end = tokenizer.id("<|im_end|>");
  for (const { batch } of policy.steps)
    for (const [row, from] of [...batch.rows].slice(0, -1).entries()) {
      const ids = batch.ids.subarray(from, batch.rows[row + 1]);
      assert.ok(ids.length <= 200);
      assert.is(ids.at(-1), end);
      const learnt = [...ids].filter((_, t) => batch.weight[from + t] > 0);
      const short = tokenizer
        .decode(learnt)
        .match(/^<tool_call>\n\{"name": "find_user", "arguments": \{"n": (\d+)\}\}\n<\/tool_call><\|im_end\|>(.*)$/)!;
      assert.ok(short, tokenizer.decode(learnt));
      assert.is(
        short[2],
        Number(short[1]) < 10 ? "Hello.<|im_end|>" : "",
        "a turn that does not fit is left out whole",
      );
      assert.ok(Number(short[1]) < 18, "two of twenty are held out");
    }
  assert.equal([...new Set(lines.map(({ kind }) => kind))], ["dialogues"]);
  for (const { step, heldOutLoss } of lines)
    assert.is(heldOutLoss !== undefined, step % 2 === 0 || step === lines.length);
  assert.equal((await recited({})).policy.steps, policy.steps, "a function of the recipe");
});

/** A format whose context begins anew after every turn, as that of a template that rewrites its history. */
function anew(): Format {
  const format = chatFormat(tokenizer);
  return {
    ...format,
    open(...talk) {
      const script = format.open(...talk);
      const kept = [...script.prompt];
      return {
        prompt: script.prompt,
        next(said, reply) {
          kept.push(...Array.from(said), ...script.next(said, reply).ids);
          return { ids: [...kept], anew: true };
        },
      };
    },
  };
}

test("each context of a conversation is a row, dialogues and demonstrations alike", async () => {
  const policy = new FakePolicy();
  const job = { step: 0, tokens: 0, report: () => {}, save: async () => {}, stopped: () => false };
  const shown = {
    ...recipe,
    environmentWeight: 0,
    phases: [{ ...recipe.phases[0], drills: {}, length: [4000, 4000] }],
  };
  await sft(shown as Recipe, table(policy, shop, anew()), evalSampling(presets.embedded), job);
  const steps = [...policy.steps, ...(await recited({ length: 4000 }, anew())).policy.steps];
  for (const { batch } of steps)
    for (const [row, from] of [...batch.rows].slice(0, -1).entries()) {
      const ids = batch.ids.subarray(from, batch.rows[row + 1]);
      assert.is(tokenizer.decode(ids).split("<|im_start|>system").length, 2, "one beginning");
      const learnt = [...ids.keys()].filter((t) => batch.weight[from + t] > 0);
      assert.is(learnt.length, learnt.at(-1)! - learnt[0] + 1, "one turn, without a gap");
      assert.is(learnt.at(-1), ids.length - 1, "at the end");
    }
});

test("dialogues are mixed with drills, and one that is too long for a phase is one line", async () => {
  const { lines } = await recited({ tokens: 4000, dialogues: 0.5, drills: { pairs: 0.5 } });
  assert.equal([...new Set(lines.map(({ kind }) => kind))].sort(), ["dialogues", "pairs"]);
  try {
    await recited({ length: 10 });
    assert.unreachable();
  } catch (error) {
    const said = "--recipe: phase a: length 10: dialogues are longer up to the agent's first turn";
    assert.is((error as Error).message, said);
  }
});

test("a recipe looks for its dialogues beside itself", () => {
  const dir = mkdtempSync(join(tmpdir(), "tarl-recipe-"));
  const file = join(dir, "r.json");
  const json = {
    domain: "shop",
    optimizer: { kind: "adamw" },
    dialogues: "talks",
    phases: [{ ...phase, dialogues: 1 }],
  };
  writeFileSync(file, JSON.stringify(json));
  assert.is(readRecipe(file).dialogues, join(dir, "talks"));
  rmSync(dir, { recursive: true });
});

test.run();
