// @ts-check
// What members ask for. A wish is one member and one book, named by its title or by its author; it becomes a task only
// where exactly one book fits the words, so that only one thing is right.

import { rules } from "./rules.js";
import { makeState } from "./state.js";

/** What a member can want done: the tool that does it, of which books it is said, and how. Each is a family of tasks. */
const KINDS = {
  borrow: { tool: "lend_book", fits: ({ loan }) => !loan, want: (book) => `borrow ${book}` },
  extend: { tool: "extend_loan", fits: ({ loan }, card) => loan?.card === card, want: (book) => `keep ${book} longer` },
  reserve: {
    tool: "reserve_book",
    fits: ({ loan, waiting }, card) => loan && loan.card !== card && !waiting.includes(card),
    want: (book) => `reserve ${book}, and know until when it is out`,
  },
};
/** One more is what may not be done. */
const FAMILIES = [...Object.keys(KINDS), "refuse"];

/** @typedef {{ kind: string, card: string, id: string, byTitle: boolean, weeks: number, broken: string[] }} Wish */

/** @param {any} kit */
export function makeTasks(kit) {
  const { Random } = kit;

  /** Every wish of a database by its family. @returns {Record<string, Wish[]>} */
  function wishesOf(seed) {
    const state = makeState(kit, seed);
    const random = new Random("library wishes", seed);
    /** @type {Record<string, Wish[]>} */
    const wishes = Object.fromEntries(FAMILIES.map((family) => [family, []]));
    for (const kind of Object.keys(KINDS))
      for (const id of Object.keys(state.books))
        for (const card of Object.keys(state.members)) {
          const wish = { kind, card, id, byTitle: random.chance(0.5), weeks: 1 + random.int(4), broken: [] };
          if (!KINDS[kind].fits(state.books[id], card) || booksOf(wish, state).length !== 1) continue;
          const broken = rules(actionOf(wish), viewOf(state));
          if (broken.length === 0) wishes[kind].push(wish);
          if (broken.length === 1) wishes.refuse.push({ ...wish, broken });
        }
    return Object.fromEntries(Object.entries(wishes).map(([family, list]) => [family, random.shuffle(list)]));
  }

  function task(family, seed, index) {
    const wish = wishesOf(seed)[family][index];
    if (!wish) return null;
    const { members, books } = makeState(kit, seed);
    const random = new Random("library task", seed, family, index);
    const { title, author, loan } = books[wish.id];
    const book = wish.byTitle ? `"${title}"` : `the book by ${author}`;
    const want = KINDS[wish.kind].want(book);
    const facts = {
      card: random.pick([`My card is ${wish.card}.`, `I have the card ${wish.card}.`]),
      book: wish.byTitle ? `It is called "${title}".` : `The one by ${author}.`,
      ...(wish.kind === "extend" && { weeks: wish.weeks === 1 ? "One week more." : `For ${wish.weeks} weeks.` }),
    };
    const showsCard = random.chance(0.4);
    return {
      instruction:
        `You are ${members[wish.card].name}, card ${wish.card}. You want to ${want}. ${facts.weeks ?? ""}`.trim(),
      scenario: {
        opening: [
          random.pick(["Hello!", "Hi.", "Good morning."]),
          `I would like to ${want}.`,
          showsCard ? facts.card : "",
        ]
          .filter(Boolean)
          .join(" "),
        facts,
        given: showsCard ? ["book", "card"] : ["book"],
        fallback: `I do not know. I would like to ${want}.`,
      },
      lookups: [
        { name: "find_member", arguments: { card: wish.card } },
        { name: "find_books", arguments: { words: wish.byTitle ? title : author } },
        { name: "get_book", arguments: { book_id: wish.id } },
      ],
      ...(wish.broken.length
        ? { actions: [], forbidden: { action: actionOf(wish), rule: wish.broken[0] } }
        : { actions: [actionOf(wish)], outputs: wish.kind === "reserve" ? [loan?.due] : [] }),
    };
  }

  /** Everything that the member's words could mean: one list of calls for each book that fits them. */
  function readings({ id, family, database }) {
    const wish = wishesOf(database)[family][Number(id.split("/").at(-1))];
    return booksOf(wish, makeState(kit, database)).map((id) => [actionOf({ ...wish, id })]);
  }

  return { families: FAMILIES, task, readings };
}

/** Ids of the books that a wish's words fit. @param {Wish} wish */
function booksOf({ kind, card, id, byTitle }, { books }) {
  const words = byTitle ? "title" : "author";
  return Object.keys(books).filter(
    (other) => books[other][words] === books[id][words] && KINDS[kind].fits(books[other], card),
  );
}

/** @param {Wish} wish */
function actionOf({ kind, card, id, weeks }) {
  return { name: KINDS[kind].tool, arguments: kind === "extend" ? { book_id: id, weeks } : { card, book_id: id } };
}

/** Fresh data as the rules read it. */
function viewOf(state) {
  return { get: (table, id) => state[table][id], entries: (table) => Object.entries(state[table]) };
}
