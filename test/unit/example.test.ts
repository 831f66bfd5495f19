// The example of a domain of one's own, copied to where there is no package to import: it lists, validates, plays and can
// be changed as docs/domains.md says.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { absoluteDomain, domainLabel, domain as findDomain } from "../../src/domains/index.ts";
import { Store } from "../../src/domains/store.ts";
import { root } from "../../src/root.ts";
import type { Entry, Task } from "../../src/types.ts";
import { runIn } from "../command.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "tarl-library-"));
test.after(() => fs.rmSync(dir, { recursive: true }));

const copied = join(dir, "my library");
fs.cpSync(join(root, "examples/library"), copied, { recursive: true });

const run = (...args: string[]) => runIn(dir, args);

test("a copy of the example lists, shows, validates and plays", async () => {
  const listed = await run("tasks", "list", "--domain", "./my library", "--count", "4", "--json");
  assert.is(listed.code, 0, listed.err);
  const [task] = listed.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Task);
  const shown = await run("tasks", "show", task.id, "--domain", "./my library", "--json");
  assert.equal(JSON.parse(shown.out), task);
  const valid = await run("tasks", "validate", "--domain", "./my library", "--count", "200", "--json");
  assert.is(valid.code, 0, valid.out);
  const { tasks, failures, inaction } = JSON.parse(valid.out);
  assert.equal([tasks, failures, inaction], [200, [], 0]);
});

for (const [agent, least, most] of [
  ["oracle", 1, 1],
  ["do-nothing", 0, 0],
  ["refuse", 0, 0.05],
] as const)
  test(`on the example ${agent} has a pass^1 of ${least} to ${most}`, async () => {
    const { code, out, err } = await run(
      "eval",
      "--domain",
      "./my library",
      "--agent",
      agent,
      "--eval-tasks",
      "60",
      "--json",
    );
    assert.is(code, 0, err);
    const { pass } = JSON.parse(out) as { pass: number[] };
    assert.ok(pass[0] >= least && pass[0] <= most, String(pass[0]));
  });

test("the walk through docs/domains.md holds: one rule, one tool and one family more", async () => {
  const mine = join(dir, "mine");
  fs.cpSync(join(root, "examples/library"), mine, { recursive: true });
  const edit = (file: string, before: string, after: string) => {
    const text = fs.readFileSync(join(mine, file), "utf8");
    assert.is(text.split(before).length, 2, `${file} has "${before}" once`);
    fs.writeFileSync(
      join(mine, file),
      text.replace(before, () => after),
    );
  };
  const page = fs.readFileSync(join(root, "docs/domains.md"), "utf8");
  const [tool, family] = [...page.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code);
  edit("rules.js", '(book.loan?.renewals ?? 0) < 2, "a loan is extended at most twice"', rule(page));
  edit("tools.js", '    {\n      name: "reserve_book"', `${tool}    {\n      name: "reserve_book"`);
  edit("rules.js", '"reserve_book"];', '"reserve_book", "drop_reservation"];');
  edit("tasks.js", "const KINDS = {\n", `const KINDS = {\n${family}`);
  edit(
    "index.js",
    'reserve_book: "reserve",',
    `reserve_book: "reserve", ${/`(drop_reservation: "[^`]*")`/.exec(page)![1]},`,
  );
  const { code, out } = await run("tasks", "validate", "--domain", "./mine", "--count", "60", "--json");
  assert.is(code, 0, out);
  const drawn = await run(
    "tasks",
    "list",
    "--domain",
    "./mine",
    "--families",
    "drop,refuse",
    "--count",
    "60",
    "--json",
  );
  const tasks = drawn.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Task);
  assert.ok(tasks.some(({ actions }) => actions[0]?.name === "drop_reservation"));
  assert.ok(tasks.some(({ forbidden }) => forbidden?.rule === "a loan is extended at most once"));
});

/** The changed rule, as the page has it. */
const rule = (page: string) => /`(\(book\.loan[^`]*)`/.exec(page)![1];

test("a validation that fails says which task, which gate and why, and exits with 1", async () => {
  const path = join(dir, "broken");
  fs.mkdirSync(path);
  const parts = `const { task, ...rest } = library(kit); const broken = (made) => made && { ...made, outputs: ["7"] };`;
  fs.writeFileSync(
    join(path, "index.mjs"),
    `import library from "../my library/index.js";
    export default (kit) => { ${parts} return { ...rest, policy: "Lend.", task: (...place) => broken(task(...place)) }; };`,
  );
  const { code, out } = await run("tasks", "validate", "--domain", path, "--count", "1");
  assert.is(code, 1);
  assert.match(out, /^library\/\d+\/\w+\/\d+ {2}outputs: "7" can be said by accident$/m);
});

test("a config holds the whole path, a run's name the folder's own", () => {
  assert.is(absoluteDomain("./library", dir), join(dir, "library"));
  assert.is(absoluteDomain("shop"), "shop");
  assert.equal([domainLabel("shop"), domainLabel(copied), domainLabel("/tmp/...")], ["shop", "mylibrary", "own"]);
  assert.ok(relative(dir, copied) === "my library");
});

test("the example extends a loan only for the member who has the book", async () => {
  const domain = await findDomain(copied);
  const store = new Store(domain.database(3));
  type Book = { loan: { card: string; renewals: number } | null; waiting: string[] };
  const [id, { loan }] = [...store.entries<Book>("books")].find(
    ([, { loan, waiting }]) => loan && loan.renewals < 2 && waiting.length === 0,
  )!;
  const other = [...store.entries("members")].map(([card]) => card).find((card) => card !== loan!.card)!;
  const looked = (name: string, args: object): Entry => {
    const call = { name, arguments: args };
    return { role: "tool", turn: 0, call, observation: "", failed: false, wrote: false };
  };
  const violation = (card: string) =>
    domain.violates({ name: "extend_loan", arguments: { book_id: id, weeks: 1 } }, store, [
      looked("find_member", { card }),
      looked("get_book", { book_id: id }),
      { role: "agent", turn: 1, text: "Shall I go ahead?" },
      { role: "user", text: "Yes." },
    ]);
  assert.is(violation(loan!.card), null);
  assert.is(violation(other), "the member was not looked up");
});

test.run();
