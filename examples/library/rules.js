// @ts-check
// What of the policy can be checked. `rules`: about the state alone, every one that a write would break now; tasks are
// proven with them. `violates`: about the talk before a write too; the judge asks it. Neither is shown to the agent.

/** The tools that change something. */
const CHANGES = ["lend_book", "extend_loan", "reserve_book"];

/** @param {{ name: string, arguments: any }} call @param {any} store @returns {string[]} */
export function rules({ name, arguments: { card, book_id } }, store) {
  const book = store.get("books", book_id);
  if (!book) return []; // the tool itself says so
  const broken = [];
  const rule = (holds, text) => void (holds || broken.push(text));
  const waits = book.waiting.some((other) => other !== (card ?? book.loan?.card));
  switch (name) {
    case "lend_book": {
      const has = [...store.entries("books")].filter(([, other]) => other.loan?.card === card).length;
      rule(!waits, "somebody else waits for the book");
      rule((store.get("members", card)?.owes ?? 0) < 5, "who owes 5 euros or more borrows nothing");
      rule(has < 3, "nobody has more than three books at a time");
      break;
    }
    case "extend_loan":
      rule(!waits, "somebody else waits for the book");
      rule((book.loan?.renewals ?? 0) < 2, "a loan is extended at most twice");
      break;
    case "reserve_book":
      rule(book.loan !== null, "a book that is in is not reserved");
      rule(book.loan?.card !== card, "nobody waits for a book that they have");
      break;
  }
  return broken;
}

/** @param {any} kit */
export function makeViolates({ agreed }) {
  return (call, store, transcript) => {
    if (!CHANGES.includes(call.name)) return null;
    const looked = (name, key, value) =>
      transcript.some(
        (e) => e.role === "tool" && !e.failed && e.call.name === name && (!value || e.call.arguments[key] === value),
      );
    const { book_id } = call.arguments;
    // An extension names no member: it is for the one who has the book.
    const card = call.arguments.card ?? store.get("books", book_id)?.loan?.card;
    if (!looked("find_member", "card", card)) return "the member was not looked up";
    if (!looked("get_book", "book_id", book_id)) return "the book was not looked at";
    return rules(call, store)[0] ?? (agreed(transcript) ? null : "the member has not said yes to it");
  };
}
