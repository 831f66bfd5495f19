// One evaluation for a person: the same rows as aligned text and as a Markdown table that can be pasted somewhere. Every
// figure is in docs/metrics.md. Pure text from numbers. Test: test/unit/report.test.ts

import type { Bill } from "../chat.ts";
import type { Evaluation, Requests, Setting } from "../eval/evaluate.ts";
import { align, brokenText, figures, fixed, interval, lengthOf, rate, thousands } from "./progress.ts";

type Row = readonly [title: string, value: string];

export function evaluationText(e: Evaluation): string {
  const [head, ...rows] = rowsOf(e);
  return [align([head, ...rows]), ...brokenText(e)].join("\n");
}

export function evaluationMarkdown(e: Evaluation): string {
  const [head, ...rows] = rowsOf(e);
  const cells = [head, ["---", "---"], ...rows];
  const lines = cells.map((row) => `| ${row.map((cell) => cell.trim().replaceAll("|", "\\|")).join(" | ")} |`);
  const notes = brokenText(e).map((note) => `\n${note}\n`);
  return [...lines, ...notes].join("\n").trimEnd().concat("\n");
}

function rowsOf(e: Evaluation): Row[] {
  const rows: Row[] = [[`${e.setting.agent}, ${e.tasks} tasks x ${e.trials}`, settingText(e.setting)]];
  if (e.stopped !== undefined)
    rows.push([`STOPPED after ${e.played} of ${e.tasks * e.trials}`, `${e.stopped}; no estimate of the whole`]);
  for (const [k, value] of e.pass.entries())
    rows.push([`pass^${k + 1}`, `${rate(value)} ${interval(e.interval[k])}${overText(e.over[k], e)}`]);
  if (e.published.some((value, k) => value !== e.pass[k]))
    rows.push([`pass^k with ${e.faults} broken off as failures`, e.published.map(rate).join(" ")]);
  if (e.inaction !== undefined && e.setting.agent !== "do-nothing") rows.push(["doing nothing", rate(e.inaction)]);
  for (const [family, own] of Object.entries(e.families))
    rows.push([`  ${family} (${own.tasks})`, `${rate(own.pass1)} ${interval(own.interval)}`]);
  for (const [title, digits, value] of figures) {
    const is = e.played > e.faults ? value(e) : null;
    const isIdle = value === lengthOf && e.setting.model === undefined; // who has no policy has no tokens
    if (is !== null && !isIdle) rows.push([title, fixed(is, digits)]);
  }
  rows.push(["faults", faultsText(e)]);
  for (const [cause, count] of Object.entries(e.causes)) rows.push([`failed: ${cause}`, String(count)]);
  for (const [ending, count] of Object.entries(e.endings)) rows.push([`ended: ${ending}`, String(count)]);
  if (Object.keys(e.unjudged).length > 0) rows.push(["not judged", countsText(e.unjudged)]);
  for (const [name, { rollouts, successes }] of Object.entries(e.disturbances ?? {}))
    rows.push([`disturbed: ${name}`, `${rate(successes / rollouts)} of ${rollouts}`]);
  for (const [tool, faults] of Object.entries(e.toolFaults)) rows.push([`tool faults: ${tool}`, countsText(faults)]);
  if (Object.keys(e.userFaults).length > 0) rows.push(["customer's faults", countsText(e.userFaults)]);
  if (e.replays > 0) rows.push(["played again after an outage", String(e.replays)]);
  if (e.cost) rows.push(["cost", costText(e.cost)]);
  if (e.requests) rows.push(["requests", requestsText(e.requests)]);
  return rows;
}

function settingText(s: Setting): string {
  const { user, sampling } = s;
  const parts = [
    `${s.domain} (${s.profile})`,
    s.tasks === "generated" ? "generated tasks" : `${s.tasks}: ${s.split}`,
    user.kind === "llm" ? `customer ${user.model} at temperature ${user.temperature}` : "scripted customer",
    ...(user.kind === "scripted" && user.disturbances > 0 ? [`disturbances ${rate(user.disturbances)}`] : []),
    ...(s.model === undefined ? [] : [s.model]),
    ...(s.batchInvariant === undefined ? [] : [s.batchInvariant ? "batch-invariant" : "not batch-invariant"]),
    ...(sampling ? [`temperature ${sampling.temperature}`] : []),
    `${s.checkOutputs ? "outputs asked for" : "state alone"}`,
    `at most ${s.turns} turns`,
    `seed ${s.seed}`,
  ];
  return parts.join(", ");
}

function overText(over: number, { tasks }: Evaluation): string {
  return over < tasks ? `  over ${over} tasks` : "";
}

function faultsText({ faults, toolFaults, userFaults, setting }: Evaluation): string {
  const sum = (counts: object) => Object.values(counts).reduce((all: number, times: number) => all + times, 0);
  const tools = Object.values(toolFaults).reduce((all, own) => all + sum(own), 0);
  const customer = setting.user.kind === "llm" ? [`${sum(userFaults)} of the customer`] : []; // nobody looks for others
  return [`${faults} broken off`, `${tools} of tools`, ...customer].join(", ");
}

function countsText(counts: { readonly [name: string]: number | undefined }): string {
  return Object.entries(counts)
    .map(([name, times]) => `${name} ${times}`)
    .join(", ");
}

function costText({ calls, inputTokens, outputTokens, dollars }: Bill): string {
  return `${dollars.toFixed(4)} dollars, ${calls} answers, ${thousands(inputTokens)} tokens in, ${thousands(outputTokens)} out`;
}

function requestsText({ calls, retries, cached, failures }: Requests): string {
  const failed = countsText(failures);
  return `${calls} sent, ${retries} of them repeated, ${cached} answered by the cache${failed && `; failed: ${failed}`}`;
}
