// Which file may know which: the rules of ARCHITECTURE.md, held by reading imports and includes. Looks at no behaviour.

import * as fs from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { root } from "../../src/root.ts";

const mostLines = 600;

/** What every stage may import besides itself. */
const common = ["types.ts", "chat.ts", "errors.ts", "root.ts", "random.ts", "json.ts", "folders.ts"];
/** The state of a domain, its lossless JSON and how English is heard: what sessions, judges and formats are written on. */
const state = ["domains/store.ts", "domains/tool.ts", "domains/python.ts", "domains/ears.ts"];

/** What domains share that make their tasks from goals. */
const making = ["domains/making/", "domains/expert.ts"];

/** Stage (a folder or file of src) -> what else it may import. Files that join stages are not listed here. */
const stages: { readonly [stage: string]: readonly string[] } = {
  "types.ts": ["domains/store.ts"],
  "chat.ts": [],
  "errors.ts": [],
  "root.ts": [],
  "random.ts": [],
  "json.ts": [],
  "folders.ts": [],
  "config/": [],
  "training/mix.ts": ["config/"],
  "grading/": [],
  "recipe.ts": [],
  "domains/python/": ["domains/store.ts", "domains/copy.ts"],
  "domains/airline/": [...state, ...making, "domains/airports.ts"],
  "domains/retail/": [...state, ...making],
  "domains/shop/": [...state, "domains/expert.ts"],
  "domains/tau2/": [...state, "domains/copy.ts", "domains/airports.ts"],
  "domains/making/": [...state, "domains/expert.ts"],
  "domains/math/": ["grading/"],
  "domains/own/": [...state, "domains/expert.ts", "domains/task.ts"],
  "domains/": ["domains/"],
  "tasks/": ["domains/python.ts", "domains/task.ts"],
  "sandbox/": state,
  "user/": [],
  "rollout/": ["domains/python.ts"],
  "llm/": [],
  "judge/": state,
  "reward.ts": [],
  "algorithms/": [],
  "batch.ts": ["algorithms/algorithm.ts"],
  "policy/": [],
  "eval/": [],
  "run/": ["config/", "eval/"], // it writes down the options and the closing table
};

/** Files that join the stages; they import anything but the command line. */
const joints = [
  "train.ts",
  "training/gather.ts",
  "training/curriculum.ts",
  "training/networks.ts",
  "sft.ts",
  "customers.ts",
  "judges.ts",
  "audit.ts",
  "play.ts",
  "measure.ts",
  "settings.ts",
  "vocabulary.ts",
  "gates.ts",
  "rate.ts",
  "synthesize.ts",
];

/** The only files that may import an outside package. */
const doors: { readonly [name: string]: RegExp } = {
  yargs: /^cli\//,
  zod: /^(config\/config|recipe|domains\/task)\.ts$|^(tasks|domains\/own)\//,
  openai: /^llm\/client\.ts$/,
  hyparquet: /^tasks\/rows\.ts$/,
  "hyparquet-compressors": /^tasks\/rows\.ts$/,
  "@cortex-js/compute-engine": /^grading\/expression\.ts$/,
  "@huggingface/hub": /^policy\/hub\.ts$/,
  "@huggingface/tokenizers": /^policy\/tokenizer\.ts$/,
  "@huggingface/jinja": /^rollout\/jinja\.ts$/,
};

interface Source {
  /** Path below its folder, "policy/tokenizer.ts". */
  readonly name: string;
  readonly text: string;
}

function sources(folder: string, kinds: RegExp): Source[] {
  const top = join(root, folder);
  if (!fs.existsSync(top)) return [];
  const names = fs.readdirSync(top, { recursive: true, encoding: "utf8" }).filter((name) => kinds.test(name));
  return names.sort().map((name) => ({ name, text: fs.readFileSync(join(top, name), "utf8") }));
}

const typescript = sources("src", /\.ts$/);
const native = sources("native", /\.(h|cpp|cu|inc)$/);

/** What a TypeScript file imports, dynamic imports of a literal included. */
function imports({ text }: Source): string[] {
  const forms = /^(?:import|export)\s[^"';=(]*\sfrom "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm;
  const statements = text.matchAll(forms);
  return [...statements].map((match) => match[1] ?? match[2] ?? match[3]);
}

/** A relative import as a path below src. */
function resolve({ name }: Source, target: string): string {
  return relative(join(root, "src"), join(root, "src", dirname(name), target));
}

function stageOf(name: string): string | undefined {
  return Object.keys(stages).find((stage) => name === stage || (stage.endsWith("/") && name.startsWith(stage)));
}

test("imports are found, however they are written", () => {
  const text =
    'import a from "./a.ts";\nimport {\n  b,\n  type C,\n} from "../b.ts";\nimport "c";\nexport { d } from "d";\n';
  assert.equal(imports({ name: "x.ts", text: `${text}const e = await import("e");` }), [
    "./a.ts",
    "../b.ts",
    "c",
    "d",
    "e",
  ]);
  assert.ok(typescript.length > 20);
});

test("a stage imports no other stage", () => {
  const wrong = typescript.flatMap((source) => {
    const stage = stageOf(source.name);
    if (!stage) return [];
    const allowed = [stage, ...common, ...stages[stage]];
    return imports(source)
      .filter((target) => target.startsWith("."))
      .map((target) => resolve(source, target))
      .filter((target) => !allowed.some((name) => target === name || (name.endsWith("/") && target.startsWith(name))))
      .map((target) => `${source.name} imports ${target}`);
  });
  assert.equal(wrong, []);
});

test("every file is a stage, a joint or a command; only commands import commands", () => {
  const known = ({ name }: Source) => name.startsWith("cli/") || joints.includes(name) || stageOf(name) !== undefined;
  assert.equal(
    typescript.filter((source) => !known(source)).map(({ name }) => name),
    [],
  );
  const outside = typescript.filter(({ name }) => !name.startsWith("cli/"));
  const wrong = outside.filter((source) =>
    imports(source).some((target) => resolve(source, target).startsWith("cli/")),
  );
  assert.equal(
    wrong.map(({ name }) => name),
    [],
  );
});

test("each outside package has one door", () => {
  const used = typescript.flatMap((source) =>
    imports(source)
      .filter((target) => !target.startsWith(".") && !target.startsWith("node:"))
      .map((target) => ({ name: source.name, target: target.replace(/^((@[^/]+\/)?[^/]+).*$/, "$1") })),
  );
  const wrong = used.filter(({ name, target }) => !doors[target]?.test(name));
  assert.equal(
    wrong.map(({ name, target }) => `${name} imports ${target}`),
    [],
  );
});

test("argv and the environment are read by the command line alone, the addon is opened by policy/ alone", () => {
  const reads = (pattern: RegExp, but: RegExp) =>
    typescript.filter(({ name, text }) => pattern.test(text) && !but.test(name)).map(({ name }) => name);
  assert.equal(reads(/\bprocess\.(argv|env)\b/, /^cli\//), []);
  assert.equal(reads(/\btarl\.node\b/, /^policy\//), []);
});

test("native: core and its devices <- addon, never back; N-API in addon alone, torch in no kernel", () => {
  const torch = /^(torch|ATen|c10)\//;
  /** Files -> folders of ours and outside headers that they may not include. */
  const rules: readonly [files: RegExp, forbidden: RegExp][] = [
    [/^(core|cpu|cuda|test)\//, /^(\.\.\/)?addon\/|^(napi|node_api|js_native_api)\.h$/],
    [/^cpu\/(kernels|gemm|pool)/, torch],
    [/^cuda\/(.*\.cu$|kernels|device|softmax|plan)/, torch],
  ];
  const included = native.flatMap(({ name, text }) =>
    [...text.matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)].map(([, target]) => ({ name, target })),
  );
  assert.ok(included.some(({ target }) => torch.test(target)));
  const wrong = included.filter(({ name, target }) =>
    rules.some(([files, forbidden]) => files.test(name) && forbidden.test(target)),
  );
  assert.equal(
    wrong.map(({ name, target }) => `${name} includes ${target}`),
    [],
  );
  const folders = [...new Set(native.map(({ name }) => name.split("/")[0]))];
  assert.equal(
    folders.filter((folder) => !["addon", "core", "cpu", "cuda", "test"].includes(folder)),
    [],
  );
});

test(`no file is over ${mostLines} lines, and each says at its top what it is`, () => {
  const all = ["src", "native", "bench", "scripts", "test"].flatMap((folder) =>
    sources(folder, /\.(ts|js|py|h|cpp|cu|inc)$/).map(({ name, text }) => ({ name: `${folder}/${name}`, text })),
  );
  assert.equal(
    all.filter(({ text }) => text.trimEnd().split("\n").length > mostLines).map(({ name }) => name),
    [],
  );
  // What x.cpp is stands in x.h.
  const names = new Set(all.map(({ name }) => name));
  const silent = all.filter(
    ({ name, text }) =>
      !(name.endsWith(".cpp") && names.has(name.replace(/cpp$/, "h"))) &&
      !text.startsWith(name.endsWith(".py") ? '"""' : "// "),
  );
  assert.equal(
    silent.map(({ name }) => name),
    [],
  );
});

test("tests that code and docs name are there", () => {
  const texts = [
    ...["src", "native", "bench", "scripts"].flatMap((folder) => sources(folder, /\.(ts|js|py|h|cpp|cu|inc)$/)),
    ...sources("docs", /^(?!log\.md).*\.md$/),
    ...["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map((name) => ({
      name,
      text: fs.readFileSync(join(root, name), "utf8"),
    })),
  ];
  const missing = texts.flatMap(({ name, text }) =>
    [...text.matchAll(/\btest\/[\w/-]+\.test\.ts\b/g)]
      .filter(([test]) => !fs.existsSync(join(root, test)))
      .map(([test]) => `${name} names ${test}`),
  );
  assert.equal(missing, []);
});

test("the README's tree names every file of src, bench, scripts and docs and of test's own folder, and none else", () => {
  const tree = fs.readFileSync(join(root, "README.md"), "utf8").split("\n## The tree\n")[1].split("```")[1];
  const file = /[\w-]+\.(?:ts|js|py|cpp|inc|md|json|gyp|txt)\b/g;
  const named = new Set(tree.match(file));
  const list = (folder: string, recursive = true) =>
    fs
      .readdirSync(join(root, folder), { recursive, encoding: "utf8" })
      .filter((name) => /\.(ts|js|py|cpp|md)$/.test(name) && !/decisions|__pycache__/.test(name))
      .map((name) => `${folder}/${name}`);
  const there = [...["src", "bench", "scripts", "docs"].flatMap((folder) => list(folder)), ...list("test", false)];
  assert.equal(
    there.filter((name) => !named.has(basename(name))),
    [],
    "named by no line",
  );
  const all = [...there, ...list("native"), "kernels.inc", "recipe.json", "math.json", ...fs.readdirSync(root)];
  const known = new Set(all.map((name) => basename(name)));
  assert.equal(
    [...named].filter((name) => !known.has(name)),
    [],
    "not on the disk",
  );
});

test.run();
