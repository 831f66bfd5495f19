// The problems that the domain makes itself: whole numbers below 100, one or two steps, in the shop's words, so that a
// policy of a few million parameters can learn them. A problem is the calculations that lead to its answer, and a text.
// Training and held-out problems never share a text: its hash says which side it belongs to, as the database's seed does.
// Not the words of an answer: expert.ts. Test: test/unit/math.test.ts

import { derive, Random } from "../../random.ts";

export type Sign = "+" | "-" | "*";

/** `a sign b`; what it comes to is `result`. */
export interface Calculation {
  readonly a: number;
  readonly sign: Sign;
  readonly b: number;
}

export interface Problem {
  readonly text: string;
  /** In order; the last one's result is the answer. None where the answer is one of `choices`. */
  readonly steps: readonly Calculation[];
  /** What the answer is the largest of. */
  readonly choices: readonly number[];
}

export const FAMILIES = ["add", "subtract", "multiply", "most", "missing", "change"] as const;
export type Family = (typeof FAMILIES)[number];

/** Problems of one family on one database. */
export const PROBLEMS = 16;
/** Databases from here on are held out (docs/task-sets.md). */
const FIRST_HELD_OUT = 1_000_000;
/** One of so many texts is held out. */
const HELD_OUT_SHARE = 8;

/** Goods of the shop that have one word, and no plural in the texts. */
export const GOODS = [
  "backpack",
  "headset",
  "notebook",
  "puzzle",
  "scarf",
  "umbrella",
  "hoodie",
  "blanket",
  "tent",
  "vase",
];

export function result({ a, sign, b }: Calculation): number {
  if (sign === "+") return a + b;
  return sign === "-" ? a - b : a * b;
}

export function answer({ steps, choices }: Problem): number {
  return choices.length ? Math.max(...choices) : result(steps[steps.length - 1]);
}

/** Is this text one of those that are never trained on? */
export function isHeldOut(text: string): boolean {
  return derive("math", text) % HELD_OUT_SHARE === 0;
}

/** Problem `index` (0 to 15) of a family on a database; it is on the database's side. */
export function makeProblem(family: Family, seed: number, index: number): Problem {
  const random = new Random("math problem", seed, family, index);
  for (;;) {
    const problem = make[family](random);
    if (isHeldOut(problem.text) === seed >= FIRST_HELD_OUT) return problem;
  }
}

/** A calculation such as those of the problems. */
export function drawCalculation(random: Random): Calculation {
  return random.pick([sum, difference, product])(random);
}

const between = (random: Random, least: number, most: number) => least + random.int(most - least + 1);

function sum(random: Random): Calculation {
  return { a: between(random, 2, 9), sign: "+", b: between(random, 2, 9) };
}

function difference(random: Random): Calculation {
  const b = between(random, 2, 18);
  return { a: b + between(random, 2, 9), sign: "-", b };
}

function product(random: Random): Calculation {
  return { a: between(random, 2, 9), sign: "*", b: between(random, 2, 9) };
}

const make: Readonly<Record<Family, (random: Random) => Problem>> = {
  add(random) {
    const step = sum(random);
    const [one, other] = random.shuffle(GOODS);
    const { a, b } = step;
    return steps(
      random,
      [step],
      [
        `What is ${a} + ${b}?`,
        `Please add ${a} and ${b}.`,
        `The ${one} is ${a} and the ${other} is ${b}. What are both?`,
      ],
    );
  },
  subtract(random) {
    const step = difference(random);
    const good = random.pick(GOODS);
    const { a, b } = step;
    return steps(
      random,
      [step],
      [
        `What is ${a} - ${b}?`,
        `Please take ${b} from ${a}.`,
        `I have ${a} and pay ${b} for the ${good}. What do I have then?`,
      ],
    );
  },
  multiply(random) {
    const step = product(random);
    const good = random.pick(GOODS);
    const { a, b } = step;
    return steps(random, [step], [`What is ${a} * ${b}?`, `One ${good} is ${b}. What are ${a} of it?`]);
  },
  most(random) {
    const choices = random.shuffle(Array.from({ length: 98 }, (_, i) => 2 + i)).slice(0, 3);
    const [a, b, c] = choices;
    const [one, other, last] = random.shuffle(GOODS);
    const text = random.pick([
      `What is the most, ${a}, ${b} or ${c}?`,
      `The ${one} is ${a}, the ${other} is ${b}, the ${last} is ${c}. What is the most?`,
    ]);
    return { text, steps: [], choices };
  },
  missing(random) {
    const step = difference(random);
    const [one, other] = random.shuffle(GOODS);
    const { a, b } = step;
    return steps(
      random,
      [step],
      [
        `${b} and what is ${a}?`,
        `What do I add to ${b} for ${a}?`,
        `The ${one} and the ${other} are ${a}. The ${one} is ${b}. What is the ${other}?`,
      ],
    );
  },
  change(random) {
    const both = sum(random);
    const spent = result(both);
    const paid = spent + between(random, 2, 9);
    const [one, other] = random.shuffle(GOODS);
    const goods = `the ${one} for ${both.a} and the ${other} for ${both.b}`;
    return steps(
      random,
      [both, { a: paid, sign: "-", b: spent }],
      [
        `I order ${goods}, and pay ${paid}. What do I get back?`,
        `I have ${paid}. I order ${goods}. What do I have then?`,
      ],
    );
  },
};

function steps(random: Random, steps: readonly Calculation[], texts: readonly string[]): Problem {
  return { text: random.pick(texts), steps, choices: [] };
}
