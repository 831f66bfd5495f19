// Two expressions without structure: are they the same number, or the same function of their letters? Read by compute-engine,
// compared by value at fixed points. May hang, or take all memory: runs in the child process alone (child.ts).
// Test: test/unit/grading.test.ts

import { ComputeEngine } from "@cortex-js/compute-engine";

/** Longer or deeper ones are not read. */
const MOST_CHARACTERS = 500;
const MOST_DEPTH = 40;
/** Relative difference of equal values, in double precision after some operations. */
const TOLERANCE = 1e-11;
/** Of the factor between two equations, from point to point. */
const SPREAD = 1e-9;
/** Doubles tell whole numbers apart below this with room to spare; above, the difference is taken exactly. */
const EXACT_ABOVE = 1e7;
/** What letters stand for, one row a point; expressions with more letters than these equal nothing. */
const POINTS: readonly (readonly number[])[] = [
  [0.37, 1.83, 2.59, 0.71, 3.61, 1.13, 0.89, 2.39],
  [1.61, 0.29, 3.17, 2.23, 0.43, 2.81, 3.89, 1.01],
  [2.71, 3.43, 0.53, 1.19, 1.97, 0.61, 2.09, 3.01],
  [-0.83, 1.27, -2.31, 0.47, -1.79, 3.29, -0.17, 1.67],
  [-1.93, -0.67, 1.49, -2.87, 0.97, -3.53, 2.17, -0.73],
  [4.19, -1.13, -0.39, 3.71, -2.63, 0.23, -1.57, 2.99],
];
/** Points at which both have a value, for the comparison to count. */
const LEAST_POINTS = 3;

type Expression = NonNullable<ReturnType<ComputeEngine["parse"]>>;

interface Value {
  readonly re: number;
  readonly im: number;
}

let engine: ComputeEngine | undefined;

/** Equal wherever both have a value. Text that is no expression equals nothing. */
export function sameExpression(one: string, other: string): boolean {
  return compare(one, other, (a, b) => (near(a, b) ? 1 : null));
}

/** Equal but for a factor: the two sides of an equation, each as the difference of its own. */
export function sameUpToFactor(one: string, other: string): boolean {
  return compare(one, other, (a, b) => (a.im === 0 && b.im === 0 && Math.abs(b.re) > TOLERANCE ? a.re / b.re : null));
}

/** `relate` gives a number that has to be the same at every point, or null where the values cannot belong together. */
function compare(one: string, other: string, relate: (a: Value, b: Value) => number | null): boolean {
  const [a, b] = [read(one), read(other)];
  if (!a || !b) return false;
  const letters = [...new Set([...a.unknowns, ...b.unknowns])].sort();
  if (letters.length === 0) {
    const [x, y] = [numberOf(a), numberOf(b)];
    if (!x || !y || relate(x, y) === null) return false;
    return Math.abs(x.re) < EXACT_ABOVE || !differsByWhole(a, b);
  }
  if (letters.length > POINTS[0].length) return false;
  let compared = 0;
  let relation: number | null = null;
  for (const point of POINTS) {
    const at = Object.fromEntries(letters.map((letter, i) => [letter, point[i]]));
    const [x, y] = [numberOf(a.subs(at)), numberOf(b.subs(at))];
    if (!x || !y) continue;
    const found = relate(x, y);
    if (found === null || found === 0) return false;
    if (relation !== null && Math.abs(found - relation) > SPREAD * Math.abs(relation)) return false;
    relation = found;
    compared++;
  }
  return compared >= LEAST_POINTS;
}

/** Doubles would not see it. */
function differsByWhole(a: Expression, b: Expression): boolean {
  const difference = engine!.box(["Subtract", a.json, b.json]).evaluate();
  return difference.isInteger === true && !difference.is(0);
}

function read(text: string): Expression | null {
  if (text.length > MOST_CHARACTERS || depthOf(text) > MOST_DEPTH) return null;
  engine ??= new ComputeEngine();
  const expression = engine.parse(text);
  return expression?.isValid ? expression : null;
}

function depthOf(text: string): number {
  let depth = 0;
  let most = 0;
  for (const mark of text) {
    if ("([{".includes(mark)) most = Math.max(most, ++depth);
    else if (")]}".includes(mark)) depth--;
  }
  return most;
}

function numberOf(expression: Expression): Value | null {
  const { re, im } = expression.N();
  return Number.isNaN(re) || Number.isNaN(im) ? null : { re, im };
}

function near(a: Value, b: Value): boolean {
  const scale = Math.max(Math.hypot(a.re, a.im), Math.hypot(b.re, b.im));
  const close = (x: number, y: number) => Math.abs(x - y) <= TOLERANCE * scale;
  return Number.isFinite(scale) && close(a.re, b.re) && close(a.im, b.im);
}
