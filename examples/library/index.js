// @ts-check
// A library that lends books: the domain as one object. The function is given all that it needs (`kit`), so that the folder
// works wherever it is copied to.

import { makeViolates, rules } from "./rules.js";
import { makeState } from "./state.js";
import { makeTasks } from "./tasks.js";
import { makeTools } from "./tools.js";

/** @param {any} kit */
export default function library(kit) {
  const bookOf = (call, database) => `"${database.get("books").get(call.arguments.book_id)?.title}"`;
  return {
    name: "library",
    policy: "policy.md",
    checkOutputs: true,
    tools: makeTools(kit),
    database: (seed) => makeState(kit, seed),
    ...makeTasks(kit),
    rules,
    violates: makeViolates(kit),
    asks: { card: /\bcard\b/i, book: /\b(which|what|the) (book|title)\b/i, weeks: /\bweeks?\b|\bhow long\b/i },
    expert: {
      identify: { card: "May I have the number of your card?" },
      details: { weeks: "By how many weeks?" },
      describe(call, database) {
        const { weeks } = call.arguments;
        const what = { lend_book: "lend you", reserve_book: "reserve", extend_loan: "extend the loan of" }[call.name];
        return `${what} ${bookOf(call, database)}${weeks ? ` by ${weeks} ${weeks === 1 ? "week" : "weeks"}` : ""}`;
      },
      /** Another book, for an expert who makes mistakes. */
      mistaken(call, database, random) {
        const others = [...database.get("books").keys()].filter((id) => id !== call.arguments.book_id);
        return { ...call, arguments: { ...call.arguments, book_id: random.pick(others) } };
      },
    },
  };
}
