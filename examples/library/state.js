// @ts-check
// The library's data: a few members, some books, who has which and who waits for it. A function of the seed alone.

/**
 * @typedef {{ card: string, due: string, renewals: number }} Loan
 * @typedef {{ title: string, author: string, loan: Loan | null, waiting: string[] }} Book
 * @typedef {{ name: string, owes: number }} Member  `owes` in euros
 */

export const TODAY = "2025-03-03";

const MEMBERS = ["Ada Brandt", "Boris Kemp", "Clara Munoz", "Deniz Aydin", "Ewa Nowak", "Farid Haddad", "Greta Lund"];
const AUTHORS = ["Ines Varga", "Tom Okafor", "Lena Sund", "Piet Mulder", "Rosa Duarte", "Emil Krag", "Nora Quist"];
const FIRST = ["Silent", "Northern", "Paper", "Seventh", "Hollow", "Amber", "Crooked", "Distant", "Winter", "Borrowed"];
const SECOND = ["Harbour", "Orchard", "Letter", "Bridge", "Lantern", "Garden", "Tower", "River", "Map", "Window"];
const BOOKS = 16;

/** @param {any} kit @param {number} seed */
export function makeState({ Random }, seed) {
  const random = new Random("library state", seed);
  /** @type {Record<string, Member>} */
  const members = {};
  for (const name of random.shuffle(MEMBERS).slice(0, 5)) {
    const card = freshId(random, "C", members);
    members[card] = { name, owes: random.chance(0.3) ? 5 + random.int(40) / 4 : random.int(16) / 4 };
  }
  const cards = Object.keys(members);

  /** @type {Record<string, Book>} */
  const books = {};
  const titles = new Set();
  while (titles.size < BOOKS) titles.add(`The ${random.pick(FIRST)} ${random.pick(SECOND)}`);
  for (const title of titles) {
    const loan = random.chance(0.6)
      ? { card: random.pick(cards), due: addDays(TODAY, 1 + random.int(20)), renewals: random.int(3) }
      : null;
    const others = cards.filter((card) => card !== loan?.card);
    const waiting = random.chance(0.3) ? [random.pick(others)] : [];
    books[freshId(random, "B", books)] = { title, author: random.pick(AUTHORS), loan, waiting };
  }
  return { members, books };
}

/** @param {string} day @param {number} days */
export function addDays(day, days) {
  return new Date(Date.parse(day) + days * 86_400_000).toISOString().slice(0, 10);
}

/** @param {any} random @param {string} letter @param {object} taken */
function freshId(random, letter, taken) {
  for (;;) {
    const id = `${letter}${1000 + random.int(9000)}`;
    if (!(id in taken)) return id;
  }
}
