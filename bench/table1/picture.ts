// A comparison as one SVG: of every row pass^1 to pass^4 with 95% intervals, its difference to GRPO, and its learning curve
// over GRPO's. Drawn from findings by hand, readable on light and dark. Test: test/unit/table1.test.ts

import type { Diagnosis, Finding, Findings } from "./findings.ts";

const WIDTH = 960;
/** Where the panels begin and end, in pixels. */
const PASS = [170, 520] as const;
const GAIN = [570, 740] as const;
const CURVE = [790, 940] as const;
const TOP = 64;
const ROW = 62;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .small { font-size: 11px; fill: #59636e; }
  .head { font-weight: 600; }
  .line { stroke: #d1d9e0; }
  .zero { stroke: #59636e; stroke-dasharray: 3 3; }
  .bar { stroke-width: 2; }
  .k1 { stroke: #0550ae; fill: #0550ae; } .k2 { stroke: #1a7f37; fill: #1a7f37; }
  .k3 { stroke: #bc4c00; fill: #bc4c00; } .k4 { stroke: #8250df; fill: #8250df; }
  .curve { fill: none; stroke: #0550ae; stroke-width: 1.8; } .beside { fill: none; stroke: #9198a1; stroke-width: 1.4; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9198a1; } .line { stroke: #3d444d; } .zero { stroke: #9198a1; }
    .k1 { stroke: #79c0ff; fill: #79c0ff; } .k2 { stroke: #56d364; fill: #56d364; }
    .k3 { stroke: #ffa657; fill: #ffa657; } .k4 { stroke: #d2a8ff; fill: #d2a8ff; }
    .curve { stroke: #79c0ff; } .beside { stroke: #656c76; }
  }`;

export function picture({ plan, rows }: Findings): string {
  const bottom = TOP + rows.length * ROW;
  const grpo = rows.find(({ name }) => name === "grpo");
  const gains = rows.flatMap(({ toGrpo }) => toGrpo.slice(0, 1).flatMap(({ interval }) => interval));
  const widest = Math.ceil(20 * Math.max(0.05, ...gains.map(Math.abs))) / 20;
  const curves = rows.flatMap(({ diagnosis }) => (diagnosis ? smooth(diagnosis.curve).map(([, pass]) => pass) : []));
  const [lowest, highest] = [Math.floor(20 * Math.min(...curves)) / 20, Math.ceil(20 * Math.max(...curves)) / 20];
  const toPass = scale(0, 1, PASS);
  const toGain = scale(-widest, widest, GAIN);
  const most = Math.max(0, ...rows.map(({ pass }) => pass.length));
  const legend = Array.from({ length: most }, (_, i) => [
    `<circle class="k${i + 1}" cx="${PASS[0] + 6 + 70 * i}" cy="40" r="4"/>`,
    text(PASS[0] + 15 + 70 * i, 44, `pass^${i + 1}`, "small"),
  ]).flat();
  const body = [
    text(PASS[0], 22, `Held-out, ${plan.evalTasks} tasks x ${plan.trials}, 95% intervals`, "head"),
    ...legend,
    text(GAIN[0], 22, "pass^1 less GRPO's", "head"),
    text(GAIN[0], 44, "on the same tasks", "small"),
    text(CURVE[0], 22, "Success in training", "head"),
    text(CURVE[0], 44, `${lowest} to ${highest}; grey: GRPO`, "small"),
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((value) => tick(toPass(value), bottom, String(value))),
    ...[-widest, widest].flatMap((value) => tick(toGain(value), bottom, String(value))),
    ...tick(toGain(0), bottom, "0", "zero"),
    text(CURVE[0], bottom + 16, "1", "small"),
    text(CURVE[1], bottom + 16, String(plan.steps), "small", "end"),
    ...rows.flatMap((row, i) => drawRow(row, TOP + i * ROW)),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 28}" role="img">`,
    "<title>pass^k, differences to GRPO and learning curves of every row</title>",
    `<style>${STYLE}\n</style>`,
    ...body,
    "</svg>\n",
  ].join("\n");

  function drawRow(row: Finding, top: number): string[] {
    const middle = top + ROW / 2;
    const gap = 12;
    const first = middle - (gap * (row.pass.length - 1)) / 2;
    const [gain] = row.toGrpo;
    const runs = row.seeds.length === 1 ? "1 seed" : `${row.seeds.length} seeds`;
    return [
      `<line class="line" x1="8" x2="${CURVE[1]}" y1="${top}" y2="${top}"/>`,
      text(8, middle, row.title),
      text(8, middle + 16, row.seeds.length ? runs : "before learning", "small"),
      ...row.pass.flatMap(({ mean, interval }, k) => bar(toPass, mean, interval, first + gap * k, `k${k + 1}`)),
      ...(gain ? bar(toGain, gain.mean, gain.interval, middle, "k1") : []),
      ...[grpo, row].flatMap((each, i) =>
        each?.diagnosis ? [curve(smooth(each.diagnosis.curve), top, i ? "curve" : "beside")] : [],
      ),
    ];
  }

  function curve(points: Curve, top: number, kind: string): string {
    const x = scale(1, Math.max(2, plan.steps), CURVE);
    const y = scale(lowest, Math.max(highest, lowest + 0.05), [top + ROW - 6, top + 6]);
    const drawn = points.map(([step, pass]) => `${px(x(step))},${px(y(pass))}`);
    return `<polyline class="${kind}" points="${drawn.join(" ")}"/>`;
  }
}

type Curve = Diagnosis["curve"];
type Scale = (value: number) => number;

function scale(from: number, to: number, [left, right]: readonly [number, number]): Scale {
  return (value) => left + ((value - from) / (to - from)) * (right - left);
}

function bar(scale: Scale, mean: number, [low, high]: readonly [number, number], y: number, kind: string): string[] {
  return [
    `<line class="bar ${kind}" x1="${px(scale(low))}" x2="${px(scale(high))}" y1="${px(y)}" y2="${px(y)}"/>`,
    `<circle class="${kind}" cx="${px(scale(mean))}" cy="${px(y)}" r="3.5"/>`,
  ];
}

/** Each point becomes the mean of itself and the two on either side, as far as there are any. */
function smooth(points: Curve): Curve {
  return points.map(([step], i) => {
    const near = points.slice(Math.max(0, i - 2), i + 3);
    return [step, near.reduce((sum, [, pass]) => sum + pass, 0) / near.length];
  });
}

function tick(x: number, bottom: number, label: string, kind = "line"): string[] {
  return [
    `<line class="${kind}" x1="${px(x)}" x2="${px(x)}" y1="${TOP}" y2="${bottom}"/>`,
    text(x, bottom + 16, label, "small", "middle"),
  ];
}

function text(x: number, y: number, words: string, kind = "", anchor = "start"): string {
  const safe = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${px(x)}" y="${px(y)}" class="${kind}" text-anchor="${anchor}">${safe}</text>`;
}

function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}
