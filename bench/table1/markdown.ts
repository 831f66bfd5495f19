// A comparison as Markdown. Text from findings; nothing is computed. Test: test/unit/table1.test.ts

import { duration, fixed, interval, rate } from "../../src/run/progress.ts";
import type { Estimate } from "./crossed.ts";
import type { Claim, Diagnosis, Finding, Findings } from "./findings.ts";
import { rows as known } from "./rows.ts";

/** What the findings were made with, and what went wrong. */
export interface Report extends Findings {
  readonly command: string;
  /** Of the code that made the runs. */
  readonly commits: readonly string[];
  readonly machine: string;
  /** Run -> hash of its options. */
  readonly hashes: { readonly [run: string]: string };
  readonly failures: readonly Failure[];
}

export interface Failure {
  readonly run: string;
  readonly why: string;
}

/** `picture`: name of the file beside it. */
export function markdown(report: Report, picture: string): string {
  const { plan, rows, failures, sameStart } = report;
  const { steps, tasksPerStep, samples, rollouts, evalTasks, trials, seeds } = plan;
  const parts = [
    "# Every algorithm on the embedded policy",
    `Budget of every row and seed: ${steps} updates of ${tasksPerStep * samples} rollouts, ${rollouts} in all ` +
      `(groups of ${samples}; SPO's single stream plays as many tasks once each). Seeds ${seeds.join(", ")}. Held-out: ` +
      `${evalTasks} tasks x ${trials} trials, the same ones for every row and seed. Where a row has several seeds, its ` +
      "95% intervals allow for other tasks and for other seeds; with one seed, and of the base, for other tasks alone.",
    `\`${report.command}\`, ${report.machine}, ${report.commits.length === 1 ? "commit" : "commits"} ${report.commits.join(", ")}`,
    ...(failures.length ? [failures.map(({ run, why }) => `- **FAILED** ${run}: ${why}`).join("\n")] : []),
    ...(sameStart
      ? []
      : ["**The runs did not start from the same conversations: no row can be compared with another.**"]),
    `![pass^k, differences and learning curves of every row](${picture})`,
    "## Held-out results",
    table(
      ["", "seeds", "waits", "length", "turns", ...upTo(rows, (k) => `pass^${k}`)],
      rows.map((row) => [
        row.title,
        row.seeds.join(", ") || "",
        fixed(row.waits, 2),
        fixed(row.length, 0),
        fixed(row.turns, 2),
        ...row.pass.map(estimate),
      ]),
    ),
    "## Differences of pass^k on the same held-out tasks",
    "To GRPO, paired by task and seed:",
    differences(rows, "toGrpo"),
    "To the base, paired by task:",
    differences(rows, "toBase"),
    "## The ordering",
    "The paper's ordering of pass^1, and that the mix is worth more than its share of tool use alone. A pair is told apart " +
      "where the paired 95% interval does not hold 0. No correction is made for the number of pairs: of " +
      `${report.ordering.length} pairs without any difference, one in twenty is told apart by chance.`,
    table(
      ["claim", "here", "difference"],
      report.ordering.map((claim) => [
        `${titleOf(claim.lower)} ${claim.paper === "level" ? "~" : "<"} ${titleOf(claim.higher)}`,
        foundText(claim),
        claim.difference ? estimate(claim.difference) : "",
      ]),
    ),
    "Published, for orientation (Qwen3-8B, retail; arXiv:2509.14480):",
    table(
      ["", "waits", "pass^1", "pass^2", "pass^3", "pass^4"],
      rows.flatMap(({ title, published }) =>
        published ? [[title, fixed(published.waits, 2), ...published.pass.map(rate)]] : [],
      ),
    ),
    "## What the orderings can be diagnosed by",
    "TARL reward and no-write failures: held-out, before and after. Rollouts of one run, on tool use and on what was mixed " +
      "in, with its own held-out pass^1; shares of groups whose rewards were all equal, and of rollouts on tool use without a verdict or left out. Alarms: runs in " +
      "which the TARL reward rose while success fell. Wall and processor time: of one run, its evaluations included.",
    table(
      [
        "",
        "TARL reward",
        "no-write failures",
        "rollouts",
        "mixed in",
        "their pass^1",
        "flat groups",
        "abstained",
        "left out",
        "alarms",
        "wall",
        "CPU",
      ],
      rows.flatMap(({ title, diagnosis }) => (diagnosis ? [[title, ...diagnosed(diagnosis)]] : [])),
    ),
  ];
  return `${parts.join("\n\n")}\n`;
}

function differences(rows: readonly Finding[], key: "toGrpo" | "toBase"): string {
  const some = rows.filter((row) => row[key].length > 0);
  const heads = upTo(rows, (k) => `pass^${k}`);
  return table(
    ["", "seeds", ...heads],
    some.map((row) => [row.title, String(row[key][0].seeds), ...row[key].map(estimate)]),
  );
}

function diagnosed(d: Diagnosis): string[] {
  const reward = (value: number | null) => (value === null ? "?" : fixed(value, 2));
  return [
    d.tarl.map(reward).join(" -> "),
    d.noWriteFailures.map(rate).join(" -> "),
    String(d.rollouts),
    String(d.mixed),
    d.mixedPass?.map(rate).join(" -> ") ?? "",
    ...[d.flatGroups, d.abstained, d.excluded].map(rate),
    String(d.alarms),
    duration(d.wall),
    duration(d.cpu),
  ];
}

function foundText({ paper, lower, higher, found }: Claim): string {
  if (found === null) return "not run";
  if (found === "not told apart") return paper === "level" ? "as claimed: not told apart" : found;
  const [one, other] = [lower, higher].map(titleOf);
  const is = found === "higher" ? `${one} < ${other}` : `${other} < ${one}`;
  return found === "higher" && paper === "lower" ? `as claimed: ${is}` : `otherwise: ${is}`;
}

function titleOf(name: string): string {
  return known.find((row) => row.name === name)!.title;
}

/** ".740 [.696, .786]" */
export function estimate({ mean, interval: own }: Pick<Estimate, "mean" | "interval">): string {
  return `${mean < 0 ? "-" : ""}${rate(Math.abs(mean))} ${interval(own)}`;
}

/** One of each k that the table has. */
function upTo(rows: readonly Finding[], text: (k: number) => string): string[] {
  const most = Math.max(0, ...rows.map(({ pass }) => pass.length));
  return Array.from({ length: most }, (_, i) => text(i + 1));
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`).join("\n");
}
