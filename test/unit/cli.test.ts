// The command line: bad input is one line and exit code 2, and nothing is left behind.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { tarlArgs } from "../../bench/command.ts";
import { options } from "../../src/config/config.ts";
import { shop } from "../../src/domains/shop/index.ts";
import { root } from "../../src/root.ts";
import { runIn } from "../command.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-cli-"));
const file = (name: string, text: string) => {
  fs.writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const files = () => fs.readdirSync(dir, { recursive: true, encoding: "utf8" }).sort();
test.after(() => fs.rmSync(dir, { recursive: true }));

const run = (...args: string[]) => runIn(dir, args);

const recipe = file("recipe.json", '{"domain":"shop","optimizer":{"kind":"sgd"},"phases":[]}');
const unknown = file("unknown.json", '{"lr":0.1,"learning_rate":1}');
const broken = file("broken.json", "{");
fs.mkdirSync(join(dir, "lessons/checkpoints"), { recursive: true });
file("lessons/config.json", '{"recipe":{},"options":{}}');
fs.mkdirSync(join(dir, "model"));
fs.copyFileSync(join(root, "assets/policy/config.json"), join(dir, "model/config.json"));
const tokenizer = fs.readFileSync(join(root, "assets/policy/tokenizer.json"), "utf8");
const copied = (name: string, change: (tokenizer: string) => string) => {
  fs.cpSync(join(dir, "model"), join(dir, name), { recursive: true });
  return file(`${name}/tokenizer.json`, change(tokenizer));
};
copied("narrow", String);
const narrow = fs.readFileSync(join(dir, "narrow/config.json"), "utf8");
file("narrow/config.json", narrow.replace(/("max_position_embeddings": )\d+/, "$120"));
copied("silent", (json) => json.replaceAll("<|im_start|>", "<|start|>"));
copied("large", (json) =>
  json.replace('"added_tokens":[', '"added_tokens":[{"id":5000,"content":"<|x|>","special":true},'),
);
const phase = '"phases":[{"name":"a","tokens":9,"lr":1,"length":9,"drills":{"fly":1}}]';
const drill = file("drill.json", `{"domain":"shop","optimizer":{"kind":"muon"},${phase}}`);
const bank = file("bank.json", `{"domain":"bank","optimizer":{"kind":"muon"},${phase}}`);
const rate = file("rate.json", '{"lr":0.1}');
const domain = file("domain.json", '{"domain":"retail"}');
const list = file("list.json", "[1]");
const lone = ["cancel/0", "cancel/1", "return/0", "return/1"].map((id) => {
  const [family, index] = id.split("/");
  const task = shop.task(family, 1_000_001, Number(index)) ?? shop.task(family, 1_000_002, Number(index));
  return JSON.stringify({
    ...task,
    actions: task!.actions.map((call) => ({ ...call, arguments: JSON.parse(call.arguments) })),
  });
});
file("lone.jsonl", `${lone.join("\n")}\n`);
fs.mkdirSync(join(dir, "set"));
file("set/test.jsonl", "");
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; // SHA-256 of nothing
file(
  "set/manifest.json",
  JSON.stringify({
    kind: "tasks",
    domain: "library",
    source: "test",
    splits: { test: { count: 0 } },
    files: { "test.jsonl": emptyHash },
  }),
);

const bad: [line: string, message: RegExp][] = [
  ["--learning-rate 1", /^--learning-rate: no option of this command; --help lists what is$/],
  ["--lr abc", /^--lr abc: expected a number above 0$/],
  ["--lr NaN", /^--lr NaN: expected a number above 0$/],
  ["--lr", /^--lr: expected a value$/],
  ["--lr 1 --lr 2", /^--lr 1 2: expected one value$/],
  ["--eval-tasks 1 --eval-tasks 2", /^--eval-tasks 1 2: expected one value$/],
  ["--resume a --resume b", /^--resume a b: expected one value$/],
  ["--runs a --runs b", /^--runs a b: expected one value$/],
  ["--tarl=yes", /^--tarl=yes: expected true or false$/],
  ["--check-outputs=1", /^--check-outputs 1: expected profile or on or off$/],
  ["tasks list --json=no", /^--json=no: expected true or false$/],
  ["--tasks-per-step 1.5", /^--tasks-per-step 1.5: expected a whole number/],
  ["--tasks-per-step -3", /^--tasks-per-step -3: expected a whole number/],
  ["--algo a2c", /^--algo a2c: expected grpo or ppo or /],
  ["--samples 1", /^--samples 1 with --algo grpo/],
  ["--credit turn", /^--credit turn without --tarl/],
  ["--no-tarl --credit turn", /^--credit turn without --tarl/],
  ["--preset best", /^--preset best: expected embedded, paper, grpo, /],
  ["--explain --resume mine", /^--explain with --resume mine: expected the run's options$/],
  ["--preset dapo,paper", /^--preset dapo,paper: paper is whole, expected it first$/],
  ["--config missing.json", /^--config missing\.json: no such file$/],
  [`--config ${broken}`, /broken\.json: not JSON/],
  [`--config ${list}`, /expected a JSON object of options$/],
  [`--config ${unknown}`, /unknown\.json: learning_rate: no such option$/],
  ["--run a/b", /^--run a\/b: expected letters/],
  ["--resume model", /model\/config\.json: architectures: no such option$/],
  ["sft --resume model", /model\/config\.json is not one of supervised training$/],
  ["--resume lessons", /lessons\/config\.json is one of supervised training: sft --resume goes on with it$/],
  [
    "--model lessons",
    /^--model .*lessons: .*tokenizer\.json does not exist; it is a run: expected one of .*checkpoints$/,
  ],
  ["--runs recipe.json --eval-tasks 0 --steps 1", /^--runs recipe\.json: .*expected a folder that can be written to$/],
  ["--resume nothing", /^--resume nothing: no run/],
  ["--resume nothing --lr 1", /^--resume nothing takes its options from the run: leave --lr out$/],
  ["--resume nothing --run other", /^--resume nothing with --run other: leave one of them out$/],
  [
    "--model nowhere",
    /^--model .*nowhere: no such folder; expected one, or a model of the Hugging Face hub as ORG\/NAME/,
  ],
  ["--model silent", /^.*silent: the tokenizer has no <\|im_start\|>, which the chat format needs$/],
  ["eval --model large", /^.*large: the tokenizer has 5001 ids, the policy \d+$/],
  ["--model narrow", /^--context-tokens 768: .*narrow reads at most 20$/],
  ["--train-databases 1 --tasks-per-step 50", /^--train-databases 1 with --tasks-per-step 50: shop has too few /],
  ["--prompt-tokens 20 --eval-tasks 0", /^--prompt-tokens 20: the prompt has \d+ tokens, expected room for them$/],
  ["eval --domain retail --families cancel", /^--prompt-tokens 256: the prompt has \d+ tokens, /],
  [`eval --config ${rate}`, /rate\.json: lr: not an option of this command$/],
  [`tasks list --config ${rate}`, /rate\.json: lr: not an option of this command$/],
  [`sft --config ${domain}`, /domain\.json: domain: not an option of this command$/],
  [
    `sft --recipe ${drill}`,
    /drill\.json: phases\.0\.drills\.fly: expected a drill of the domain shop: pairs, objects$/,
  ],
  [`sft --recipe ${bank}`, /bank\.json: domain bank: expected a folder or one of airline, math, retail, shop$/],
  ["--domain bank", /^--domain bank: expected a folder \(\.\/bank\) or one of /],
  ["--families steal", /^--families steal: shop has /],
  ["fly", /^fly: not expected here; --help lists what is$/],
  ["train Fly Away", /^Fly Away: not expected here; /],
  ["train fly", /^fly: not expected here; /],
  ["sft --recipe missing.json", /^--recipe missing\.json: /],
  [`sft --recipe ${recipe}`, /optimizer\.kind: /],
  ["sft --resume nothing --recipe x", /^--resume nothing with --recipe x/],
  ["eval --agent ghost", /^--agent ghost: expected policy, do-nothing, refuse, oracle or openai:<model>$/],
  ["eval --agent openai:", /^--agent openai:: expected policy, /],
  ["eval --agent openai:m --model x", /^--model with --agent openai:m: it has no policy$/],
  ["eval --agent openai:m", /^--agent openai:m: expected a key in OPENAI_API_KEY, or a server of your own/],
  ["eval --agent oracle --agent-url http://x", /^--agent-url with --agent oracle: expected an agent openai:<model>$/],
  ["eval --agent openai:m --agent-prices 1", /^--agent-prices 1: expected two prices with a comma/],
  ["eval --agent oracle --eval-temperature 1", /^--eval-temperature with --agent oracle: it has no policy$/],
  ["eval --trials 0", /^--trials 0: expected a whole number from 1 to 1000$/],
  ["eval --user robot", /^--user robot: expected scripted or llm$/],
  ["eval --user llm", /^--user llm without --user-model: expected its name$/],
  ["eval --user llm --user-model m --disturbances 1", /^--disturbances 1 with --user llm: only the scripted /],
  ["eval --user-url http://x", /^--user-url with --user scripted: only a customer that is a model has it$/],
  ["eval --user-prices 1", /^--user-prices 1: expected two prices with a comma between them/],
  ["--user llm --user-model m --user-url ftp://x --eval-tasks 0", /^--user-model m: base URL ftp:\/\/x: expected http/],
  ["eval --disturbances 2", /^--disturbances 2: expected a number from 0 to 1$/],
  ["--domain math --reflection 1", /^--reflection 1: expected 0 where answers are graded, as those of math are$/],
  [
    "--domain math --tarl --algo ppo --credit turn",
    /^--credit turn: expected trajectory where answers are graded, as /,
  ],
  ["--domain math --tarl --judge llm --judge-model m", /^--judge llm: expected rules where answers are graded, as /],
  ["judge audit --domain math", /^judge audit on math: its answers are graded, there are no turns to score$/],
  ["eval --tasks nowhere", /^--tasks: .*nowhere: no such task set$/],
  ["eval --tasks set --agent oracle", /^.*set: a set for library; expected --domain with the folder of that domain$/],
  ["tasks validate --tasks set", /^.*set: a set for library; expected --domain with the folder of that domain$/],
  ["eval --tasks set --domain shop", /^--domain shop: set is a set for library$/],
  ["eval --tasks lone.jsonl --domain retail", /^--domain retail: lone\.jsonl is a set for shop$/],
  ["eval --tasks lone.jsonl --families steal --agent oracle", /^--families steal: .*lone\.jsonl has cancel, return$/],
  ["eval --tasks lone.jsonl --eval-split dev --agent oracle", /^--eval-split dev: .*lone\.jsonl has lone$/],
  ["--tasks lone.jsonl --tasks-per-step 9", /^--tasks-per-step 9: .*lone\.jsonl has 4 tasks to train on$/],
  ["eval --agent oracle --out recipe.json", /^--out recipe\.json: it exists and is no evaluation/],
  ["eval --agent oracle --out model", /^--out model: it exists and is no evaluation; expected a new or empty folder$/],
  ["eval --agent oracle --model x", /^--model with --agent oracle: it has no policy$/],
  ["eval --eval-tasks 0", /^--eval-tasks 0: nothing to measure$/],
  ["eval --aget=x", /^--aget=x: no option of this command; /],
  ["eval --lr 1", /^--lr: no option of this command; /],
  ["tasks", /expected list, show, synthesize, import, validate or rate$/],
  ["tasks list --count x", /^--count x: expected a whole number/],
  ["tasks list --count 1 --count 2", /^--count 1 2: expected one value$/],
  ["tasks list --split test", /^--split test: expected train or held-out$/],
  ["tasks show", /^tasks show: a word is missing; --help says what is expected$/],
  ["tasks show shop/1/cancel/999", /^shop\/1\/cancel\/999: no such task/],
  ["tasks show shop//cancel/", /no such task/],
  ["tasks show shop/1/cancel/0/9", /no such task/],
  ["tasks list --count 999 --train-databases 1", /^--count 999: shop has too few /],
  ["tasks show bank/1/cancel/0", /^bank\/1\/cancel\/0: no such task/],
  ["tasks validate --tasks set --preset paper", /^--tasks set with --preset: a set is taken as it is, /],
  ["tasks synthesize", /^--out: missing; --help says what is expected$/],
  ["tasks synthesize --out fresh --count 0", /^--count 0: expected a whole number from 1 to 1000000$/],
  ["tasks synthesize --out fresh --held-out 1.5", /^--held-out 1.5: expected a share from 0 to 1$/],
  ["tasks synthesize --out fresh --held-out x", /^--held-out x: expected a share from 0 to 1$/],
  ["tasks synthesize --out fresh --families steal", /^--families steal: shop has cancel, /],
  ["tasks synthesize --out fresh --count 999 --train-databases 1", /^shop has too few \w+ tasks on databases 1 to 1: /],
  ["tasks synthesize --out lessons", /^--out lessons: exists already; expected a new or empty folder$/],
  ["--dtype fp32 --master split", /^--master split with --dtype fp32: only weights in bf16 are rounded from one$/],
  ["--lora-rank 4 --optimizer muon", /^--optimizer muon with --lora-rank: an adapter's matrices are learned by adamw$/],
  ["--lora-targets mlp", /^--lora-targets without --lora-rank: there is no adapter$/],
  ["--lora-rank 4 --lora-targets up", /^--lora-targets up: expected all, attention, mlp, or some of q_proj,/],
  ["--memory 0.1", /^memory: .* are needed \(.*\) and 95\.0 MB are there: would fit with --micro-tokens 768/],
  ["--memory 0.01", /^memory: .* are needed \(.*\) and 9\.50 MB are there: nothing would make it fit$/],
  ["score --model embedded", /^--ids: missing; --help says what is expected$/],
  ["score --ids ids.jsonl --kernels off --batch-invariant on", /^--batch-invariant on with --kernels off: plain /],
  ["score --ids missing.jsonl --dtype fp16", /^--dtype fp16: expected fp32 or bf16$/],
  ["generate --ids x --new 0", /^--new 0: expected a whole number/],
  ["generate --ids x --new 5 --greedy --temperature 1", /^--greedy with --temperature/],
  ["generate --ids x --new 5 --no-json", /json, Given: false, Choices: true/],
  ["score --ids x --no-json", /json, Given: false, Choices: true/],
  ["generate --ids x --new 5 --stop 99999999", /^--stop 99999999: expected whole numbers from 0 to \d+$/],
  ["generate --ids x --new 5 --stop 1 --stop 2", /^--stop 1 2: expected one value$/],
  ["init --out here --domain shop --vocab 262", /^--vocab 262: expected at least 263 /],
  ["init --out a --out b --domain shop", /^--out a b: expected one value$/],
  ["init --out here", /^init takes a tokenizer from/],
  ["init --out here --domain shop --heads 3 --kv-heads 2", /^--kv-heads 2 with --heads 3/],
  ["init --out here --domain shop --std -1", /^--std -1: expected a number above 0$/],
  ["init --out . --domain shop", /^--out \.: it exists$/],
];
const { native } = await import("../../src/policy/native.ts");
if (!native.cuda()) bad.push(["score --ids x --device cuda", /^--device cuda: no GPU is found; expected cpu or auto$/]);
for (const [line, message] of bad)
  test(`exit code 2: ${line.replaceAll(dir, "")}`, async () => {
    const before = files();
    const { code, out, err } = await run(...line.split(" "));
    assert.is(code, 2, err);
    assert.is(out, "");
    assert.match(err, /^tarl: .*\n$/);
    assert.match(err.slice("tarl: ".length, -1), message);
    assert.equal(files(), before, "nothing is left behind");
  });

test("tasks are listed and shown, for people and for programs", async () => {
  const listed = await run("tasks", "list", "--count", "3", "--json");
  assert.is(listed.code, 0, listed.err);
  const tasks = listed.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.is(tasks.length, 3);
  const shown = await run("tasks", "show", tasks[0].id, "--json");
  assert.equal(JSON.parse(shown.out), tasks[0]);
  assert.match((await run("tasks", "show", tasks[0].id)).out, tasks[0].scenario.opening);
});

test("the memory plan is told part by part, with what would make it fit", async () => {
  const roomy = await run("plan", "--memory", "8");
  assert.is(roomy.code, 0, roomy.err);
  assert.match(roomy.out, /^weights +7\.54 MB\n/); // 3,771,136 parameters in bf16
  assert.match(roomy.out, /\nreference +15\.1 MB\n/);
  assert.match(roomy.out, /\nthere is +7\.60 GB\nroom for \d+ tokens of conversations\n$/);
  const tight = await run("plan", "--memory", "0.3", "--recompute", "off");
  assert.match(tight.out, /\nmemory: .* are needed \(.*\) and 285 MB are there: would fit with --recompute on\n$/);
  const { remedy, parts } = JSON.parse((await run("plan", "--memory", "0.01", "--json")).out);
  assert.is(remedy, "");
  assert.ok(parts.every(({ bytes }: { bytes: number }) => bytes > 0));
});

test("training and evaluation compute in bf16, the rest in fp32", async () => {
  const main = new URL("../../src/cli/main.js", import.meta.url); // --help ends its process
  const told = (command: string) =>
    execFileSync(process.execPath, ["-e", `import("${main}").then(({ main }) => main(["${command}", "--help"]))`]);
  const help = (command: string) =>
    /--dtype .*?\(default (\w+);/.exec(String(told(command)).replace(/\n +/g, " "))?.[1];
  for (const command of ["train", "eval", "plan"]) assert.is(help(command), "bf16");
  for (const command of ["sft", "score", "generate"]) assert.is(help(command), "fp32");
  const refused = "tarl: --master split with --dtype fp32: only weights in bf16 are rounded from one\n";
  assert.is((await run("sft", "--master", "split")).err, refused);
});

test("a set is synthesized, listed and proven", async () => {
  const made = await run("tasks", "synthesize", "--out", "made", "--count", "20", "--seed", "3", "--json");
  assert.is(made.code, 0, made.err);
  assert.equal(JSON.parse(made.out), JSON.parse(fs.readFileSync(join(dir, "made/manifest.json"), "utf8")));
  assert.match(made.err, /^20 tasks of shop \(shop\) in \d+ s; left out: none\n$/);
  const listed = await run("tasks", "list", "--tasks", "made", "--split", "held-out");
  assert.is(listed.out.trim().split("\n").length, 2);
  const proven = await run("tasks", "validate", "--tasks", "made");
  assert.is(proven.code, 0, proven.err);
  fs.rmSync(join(dir, "made"), { recursive: true });
});

test("a reader that goes away ends a command without a word", () => {
  const args = tarlArgs("tasks list --json --count 3000".split(" ")).map((arg) => `'${arg}'`);
  const line = `"${process.execPath}" ${args.join(" ")} | head -c 1`;
  const { stdout, stderr } = spawnSync("bash", ["-c", line], { encoding: "utf8" });
  assert.equal([stdout, stderr], ["{", ""]);
});

test("an evaluation for programs is one JSON object", async () => {
  const { code, out } = await run("eval", "--agent", "oracle", "--eval-tasks", "5", "--json");
  assert.is(code, 0);
  const { pass, tallies } = JSON.parse(out) as { pass: number[]; tallies: { task: string }[] };
  assert.equal(pass, [1, 1, 1, 1]);
  const listed = await run("tasks", "list", "--split", "held-out", "--count", "5");
  assert.equal(
    listed.out.split("\n").map((line) => line.split(" ")[0]),
    [...tallies.map(({ task }) => task), ""],
    "tasks list shows what an evaluation plays",
  );
});

test("a set is evaluated as a whole, and what was found lies in --out", async () => {
  const line = ["eval", "--agent", "oracle", "--tasks", "lone.jsonl", "--trials", "2", "--out", "found", "--json"];
  const { code, out, err } = await run(...line);
  assert.is(code, 0, err);
  const found = JSON.parse(out);
  assert.equal([found.pass, found.tasks, found.inaction], [[1, 1], 4, 0]);
  const { domain, tasks, split } = found.setting;
  assert.equal([domain, tasks, split], ["shop", join(dir, "lone.jsonl"), "lone"]);
  const read = (name: string) => fs.readFileSync(join(dir, "found", name), "utf8");
  assert.equal(JSON.parse(read("evaluation.json")), found);
  assert.match(
    read("evaluation.md"),
    /^\| oracle, 4 tasks x 2 \| shop \(shop\), .*\n\| --- \| --- \|\n\| pass\^1 \| 1\.000 \[/,
  );
  const [first] = read("rollouts.jsonl")
    .split("\n")
    .map((line) => line && JSON.parse(line));
  assert.is(first.transcript[0].role, "user");
  assert.equal(fs.readdirSync(join(dir, "found")).sort(), [
    "config.json",
    "evaluation.json",
    "evaluation.md",
    "rollouts.jsonl",
  ]);

  const again = await run(...line);
  assert.is(again.out, out);
  assert.match(again.err, /^going on in .*found: 8 conversations are finished\n$/);
  const other = await run(...line, "--turns", "9");
  assert.is(other.code, 2);
  assert.match(other.err, /^tarl: --out found: was made with --turns 14, not 9; expected the same options or another /);
  fs.appendFileSync(join(dir, "lone.jsonl"), "\n");
  assert.match((await run(...line)).err, /was made with files of --tasks /);
  fs.rmSync(join(dir, "found"), { recursive: true });
});

test("an evaluation that is killed goes on to the bytes of a straight one", async () => {
  const line = ["eval", "--agent", "oracle", "--eval-tasks", "400", "--concurrent", "3"];
  const lines = (name: string) =>
    fs.existsSync(join(dir, name, "rollouts.jsonl"))
      ? fs.readFileSync(join(dir, name, "rollouts.jsonl"), "utf8").split("\n").length
      : 0;
  const child = spawn(process.execPath, tarlArgs([...line, "--out", "killed"]), {
    cwd: dir,
  });
  while (lines("killed") < 30) await new Promise((resolve) => setTimeout(resolve, 1));
  child.kill("SIGKILL");
  await new Promise((resolve) => child.on("close", resolve));
  assert.ok(lines("killed") < 1600, "it was killed on the way");
  assert.not.ok(fs.existsSync(join(dir, "killed/evaluation.json")));
  assert.is((await run(...line, "--out", "killed")).code, 0);
  assert.is((await run(...line, "--out", "straight")).code, 0);
  for (const name of ["config.json", "rollouts.jsonl", "evaluation.json", "evaluation.md"])
    assert.is(
      fs.readFileSync(join(dir, "killed", name), "utf8"),
      fs.readFileSync(join(dir, "straight", name), "utf8"),
      name,
    );
  for (const name of ["killed", "straight"]) fs.rmSync(join(dir, name), { recursive: true });
});

test("every training option is described with default, unit and source", async () => {
  for (const [key, { help, unit, source, default: value }] of Object.entries(options)) {
    assert.match(unit, /\S/, key);
    assert.match(help, /\S/, key);
    assert.match(source, /^(paper|ours|measured)$/, key);
    assert.not.type(value, "undefined", key);
  }
});

test.run();
