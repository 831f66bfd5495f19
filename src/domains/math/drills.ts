// Drills for a policy that has never seen a digit: rows of numbers to copy, rows to count on, and bare calculations. What is
// asked for is what is learned. Where digits were never used they look all the same to a policy, and until it tells them
// apart it learns no calculation (docs/log.md). Test: test/unit/math.test.ts

import { Random } from "../../random.ts";
import type { Segment } from "../../types.ts";
import { written } from "./expert.ts";
import { drawCalculation, GOODS, result } from "./problems.ts";

/** Numbers of a problem are below it. */
const LIMIT = 100;
const SHOWN = 4;
const ASKED = 12;
const ROWS = 6;
const ROW = 5;
const FACTS = 24;

/** Four goods with a number behind each (`vase27`), then twelve of them again. */
export function numbers(seed: number): Segment[] {
  const random = new Random("math numbers", seed);
  const shown = random
    .shuffle(GOODS)
    .slice(0, SHOWN)
    .map((name) => ({ name, number: `${random.int(LIMIT)}` }));
  const asked = Array.from({ length: ASKED }, () => random.pick(shown));
  return [
    shade(`${shown.map(({ name, number }) => name + number).join(", ")}\n`),
    ...asked.flatMap(({ name, number }) => [shade(name), learn(number), shade("\n")]),
  ];
}

/** Six times five numbers that follow each other. */
export function counts(seed: number): Segment[] {
  const random = new Random("math counts", seed);
  return Array.from({ length: ROWS }, () => {
    const first = random.int(LIMIT - ROW);
    const rest = Array.from({ length: ROW - 1 }, (_, i) => [shade(","), learn(`${first + i + 1}`)]);
    return [shade(`${first}`), ...rest.flat(), shade("\n")];
  }).flat();
}

/** 24 calculations as the expert says them. */
export function facts(seed: number): Segment[] {
  const random = new Random("math facts", seed);
  return Array.from({ length: FACTS }, () => {
    const calculation = drawCalculation(random);
    return [shade(`${written(calculation)}=`), learn(`${result(calculation)}`), shade(".\n")];
  }).flat();
}

const shade = (text: string): Segment => ({ text, learn: false });
const learn = (text: string): Segment => ({ text, learn: true });
