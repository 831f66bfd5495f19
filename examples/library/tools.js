// @ts-check
// What the agent can do. The tools do whatever can be done with the data; what is allowed is in the policy, and in rules.js.
// `store` is this conversation's own view: read with get and entries, write into what edit returns, or put.

import { addDays, TODAY } from "./state.js";

/** @param {any} kit */
export function makeTools({ ToolError, z }) {
  const find = (store, table, id) => {
    const found = store.get(table, id);
    if (!found) throw new ToolError(`${table.slice(0, -1)} ${id} not found`);
    return found;
  };
  const text = (description) => ({ type: "string", description });

  return [
    {
      name: "find_member",
      description: "Shows a member: name, what they owe in euros, and the ids of the books they have.",
      parameters: {
        type: "object",
        properties: { card: text("number of the card, such as C1234") },
        required: ["card"],
      },
      call(store, { card }) {
        const { name, owes } = find(store, "members", card);
        const books = [...store.entries("books")].filter(([, book]) => book.loan?.card === card).map(([id]) => id);
        return { name, owes, books };
      },
    },
    {
      name: "find_books",
      description: "Lists the books of an author or with a title: id, title and author.",
      parameters: {
        type: "object",
        properties: { words: text("a whole title, or an author's name") },
        required: ["words"],
      },
      call(store, { words }) {
        const fits = ({ title, author }) =>
          [title, author].some((own) => own.toLowerCase() === words.trim().toLowerCase());
        return [...store.entries("books")]
          .filter(([, book]) => fits(book))
          .map(([id, { title, author }]) => ({ id, title, author }));
      },
    },
    {
      name: "get_book",
      description:
        "Shows a book: who has it until when (null: it is in), how often that was extended, and who waits for it.",
      parameters: { type: "object", properties: { book_id: text("such as B1234") }, required: ["book_id"] },
      call: (store, { book_id }) => find(store, "books", book_id),
    },
    {
      name: "lend_book",
      description: "Lends a book that is in to a member for three weeks.",
      parameters: {
        type: "object",
        properties: { card: text("the member's card"), book_id: text("the book") },
        required: ["card", "book_id"],
      },
      writes: true,
      call(store, { card, book_id }) {
        find(store, "members", card);
        if (find(store, "books", book_id).loan) throw new ToolError("the book is out");
        const book = store.edit("books", book_id);
        book.loan = { card, due: addDays(TODAY, 21), renewals: 0 };
        book.waiting = book.waiting.filter((other) => other !== card);
        return { due: book.loan.due };
      },
    },
    {
      name: "extend_loan",
      description: "Extends the loan of a book.",
      // The same as a JSON schema, by zod: what it parsed is what `call` gets.
      parameters: z.object({
        book_id: z.string().describe("the book"),
        weeks: z.int().min(1).max(4).describe("by how many weeks"),
      }),
      writes: true,
      call(store, { book_id, weeks }) {
        if (!find(store, "books", book_id).loan) throw new ToolError("the book is not lent");
        const { loan } = store.edit("books", book_id);
        loan.due = addDays(loan.due, 7 * weeks);
        loan.renewals++;
        return { due: loan.due };
      },
    },
    {
      name: "reserve_book",
      description: "Puts a member on the list of those who wait for a book.",
      parameters: {
        type: "object",
        properties: { card: text("the member's card"), book_id: text("the book") },
        required: ["card", "book_id"],
      },
      writes: true,
      call(store, { card, book_id }) {
        find(store, "members", card);
        if (find(store, "books", book_id).waiting.includes(card))
          throw new ToolError("the member waits for it already");
        store.edit("books", book_id).waiting.push(card);
        return "reserved";
      },
    },
  ];
}
