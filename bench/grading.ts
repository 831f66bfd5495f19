// How many answers a second are graded? The hand-made pairs of the grader's test, equal and unequal ones, again and again, as
// many at once as an update of the default run asks for; all have to come out right. The child process is started before
// the clock. Run: npm run bench -- grading. Test: test/e2e/bench.test.ts

import { Grader } from "../src/grading/grader.ts";
import { equal, type Pair, unequal } from "../test/answers.ts";
import { attempt, close, keep, line, say, seconds, spread } from "./common.ts";
import { processor } from "./machine.ts";
import { readTyped, type Typed, wholeOf } from "./options.ts";

type Question = { readonly pair: Pair; readonly right: boolean };

const questions: readonly Question[] = [
  ...equal.map((pair) => ({ pair, right: true })),
  ...unequal.map((pair) => ({ pair, right: false })),
];

async function measure(typed: Typed): Promise<void> {
  const [answers, batch] = [wholeOf(typed, "answers", 2000), wholeOf(typed, "batch", 96)];
  const repeats = wholeOf(typed, "repeats", 5);
  const grader = new Grader();
  const round = async () => {
    for (let first = 0; first < answers; first += batch) {
      const size = Math.min(batch, answers - first);
      const asked = Array.from({ length: size }, (_, i) => questions[(first + i) % questions.length]);
      const found = await Promise.all(asked.map(({ pair: [said, expected] }) => grader.isRight(said, expected)));
      const wrong = asked.find(({ right }, i) => found[i] !== right);
      if (wrong) throw new Error(`${JSON.stringify(wrong.pair)}: expected ${wrong.right ? "equal" : "unequal"}`);
    }
  };
  try {
    const start = await seconds(() => grader.isRight("1", "1"));
    const rates: number[] = [];
    for (let repeat = 0; repeat <= repeats; repeat++) {
      const rate = answers / (await seconds(round));
      if (repeat > 0) rates.push(rate);
    }
    say(`grading: ${answers} answers, ${batch} at once; the process started in ${start.toFixed(1)} s`);
    line("graded", spread(rates), "answers/s");
    const figures = { features: processor.features, answers, batch, repeats, start, graded: spread(rates) };
    if (typed.save !== undefined) keep("grading", `grading-${processor.slug}.json`, figures);
    close("grading", figures);
  } finally {
    grader.close();
  }
}

await attempt("grading", () => measure(readTyped(process.argv.slice(2), ["answers", "batch", "repeats"])));
