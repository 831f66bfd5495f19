// What the importers of benchmarks share: what they find, which calls of a ground truth are look-ups, and an instruction in
// the customer's own words. Reads no files: tau-bench.ts and tau2-bench.ts do. Test: test/unit/import.test.ts

import type { Task, ToolSchema } from "../types.ts";

/** What an importer of a benchmark finds for one domain. */
export interface Benchmark {
  readonly splits: Readonly<Record<string, readonly Task[]>>;
  readonly policy: string;
  readonly tools?: readonly ToolSchema[];
  /** Folder of <table>.json. */
  readonly data: string;
}

/** Calls of a ground truth that change nothing: what an expert looks up, sums and thoughts. */
export const LOOKUP = /^(get|find|list|search)_|^(calculate|think)$/;

const PERSON: Readonly<Record<string, string>> = {
  "you are": "I am",
  "you're": "I'm",
  "you were": "I was",
  "you've": "I've",
  "you'd": "I'd",
  "you'll": "I'll",
  yourself: "myself",
  yours: "mine",
  your: "my",
};
const OBJECT =
  /\b(to|for|from|with|of|on|by|ask|asks|asked|tell|tells|told|give|gives|gave|help|helps|offer|offers|refund|refunds|let|lets|remind|charge|make|makes|made|cause|caused|compensate|provide|provides|save|saves|upgrade) you\b/gi;

/** What is said to the customer, as the customer would say it. */
export function firstPerson(instruction: string): string {
  return instruction
    .replace(OBJECT, "$1 me")
    .replace(/\b(you are|you're|you were|you've|you'd|you'll|yourself|yours|your|you)\b/gi, (words) => {
      const said = PERSON[words.toLowerCase()] ?? "I";
      return /^[A-Z]/.test(words) ? said[0].toUpperCase() + said.slice(1) : said;
    });
}
