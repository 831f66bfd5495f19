// Finds the mistakes of a simulated customer in a finished conversation, so that they can stand beside its score: what
// an agent could not have mended. Plain patterns, no model: it misses much, and should seldom be wrong. It changes no
// score. What it knows: the task, what was said and shown, how it ended. Test: test/unit/faults.test.ts

import type { Rollout, Task, Tool, UserFault } from "../types.ts";

type Conversation = Pick<Rollout, "task" | "transcript" | "ending">;

/** Characters; people who chat with a service desk write a tenth of it. */
const LONG = 2000;
/** Messages of fewer words ("Yes, please go ahead.") are said again rightly. */
const REPEATED_WORDS = 6;
/** Words in a row that are taken from the instruction, when they speak to the one who plays. */
const QUOTED_WORDS = 8;
/** Messages in a row that ask nothing and show no work, after which a customer may lose patience. */
const PATIENCE = 3;

/** `tools`: those of the domain, to know which calls of the ground truth are writes. */
export function userFaults(conversation: Conversation, tools: readonly Pick<Tool, "name" | "writes">[]): UserFault[] {
  const { task, transcript, ending } = conversation;
  const said = transcript.flatMap((entry, at) => (entry.role === "user" ? [{ text: entry.text, at }] : []));
  const known = new Knowledge(task);
  const faults: UserFault[] = [];
  let heard = 0;
  for (const [turn, { text, at }] of said.entries()) {
    const add = (kind: UserFault["kind"], evidence: string) => {
      if (!faults.some((fault) => fault.kind === kind && fault.evidence === evidence))
        faults.push({ kind, turn, evidence });
    };
    const last = turn === said.length - 1;
    for (; heard < at; heard++) known.learn(wordsOf(transcript[heard])); // its own words too: found once, then known

    if (text.trim() === "" && !(last && ending === "user-stop")) add("empty", "says nothing");
    if (text.length > LONG) add("too-long", `${text.length} characters`);
    for (const evidence of known.unknown(text)) add("invented", evidence);
    const leak = leaked(text, task);
    if (leak) add("leaked", leak);
    const foreign = text.match(AS_AGENT);
    if (foreign) add("as-agent", foreign[0]);
    if (repeats(conversation, said, turn)) add("repeated", clip(text));
    if (last && ending === "user-stop") {
      const left = leftUndone(conversation, tools);
      if (left) add("left-early", left);
    }
  }
  return faults;
}

// ---------------------------------------------------------------------------------------------------
// Leaving
// ---------------------------------------------------------------------------------------------------

const CLAIMS =
  /\b(done|completed|finished|all set|taken care of|processed|success\w*|(is|are|was|were|has|have|been|now|i|we)( now| just| already)? (been )?(cancell?ed|changed|updated|modified|returned|exchanged|refunded|booked|added|removed|upgraded|downgraded|applied|issued|sent|submitted|initiated|requested|placed|credited|transferred|swapped|set up))\b/i;
const REFUSES =
  /\b(can ?not|can['’]?t|could ?n[o'’]t|unable|unfortunately|not (be )?(possible|allowed|able|permitted|eligible|available|something|allow)|does ?n[o'’]t allow|may not|must not|impossible|ineligible|no way|transferr?(ed|ing))\b/i;

/**
 * A kind of write of the ground truth that was never tried, although the agent neither refused nor claimed anything, nor
 * stalled. One that was tried at least once may have been reported as all there is to do.
 */
function leftUndone(
  { task, transcript }: Conversation,
  tools: readonly Pick<Tool, "name" | "writes">[],
): string | null {
  const tried = transcript.map((entry) => {
    if (entry.role === "tool") return entry.call.name;
    return entry.role === "invalid" ? entry.text.split(" ")[0] : "";
  });
  const writes = tools.filter((tool) => tool.writes).map(({ name }) => name);
  const open = task.actions.find(({ name }) => writes.includes(name) && !tried.includes(name));
  const words = transcript.flatMap((entry) => (entry.role === "agent" ? [entry.text] : []));
  const last = words.at(-1);
  if (!open || last === undefined || CLAIMS.test(statements(last))) return null;
  // Of several wishes one may have been refused a while ago, and the customer may hear a no as one to all.
  if (words.some((text) => REFUSES.test(statements(text))) || stalled(transcript)) return null;
  return `left before ${open.name}, after "${clip(last)}"`;
}

function statements(message: string): string {
  return message
    .split(/(?<=[.?!])\s+/)
    .filter((sentence) => !/\?\s*$/.test(sentence))
    .join(" ");
}

/** Did the agent only pass the time at the end: no call, and nothing asked that it had not asked before? */
function stalled(transcript: Conversation["transcript"]): boolean {
  const turns = transcript.filter(({ role }) => role !== "user");
  const before = new Set(turns.slice(0, -PATIENCE).map((entry) => plain(wordsOf(entry))));
  const idle = turns.slice(-PATIENCE).filter((entry) => {
    if (entry.role !== "agent") return entry.role === "invalid";
    const isNew = entry.text.includes("?") && !before.has(plain(entry.text));
    before.add(plain(entry.text));
    return !isNew;
  });
  return idle.length >= PATIENCE;
}

// ---------------------------------------------------------------------------------------------------
// Leaking, speaking for the other side, repeating
// ---------------------------------------------------------------------------------------------------

const LEAKS = [
  /\bas an? (ai|artificial|(large )?language model|assistant|chatbot)\b/i,
  /\b(i am|i'm|i’m) (an? )?(ai|(large )?language model|simulated?|playing|role-?playing)\b/i,
  /\bmy (instructions?|prompt|scenario|brief|role|script)\b(?! (in|at) )/i,
  /\b(the|my|these|system) (instructions|prompt) (say|says|tell|tells|state|states|given|that i)\b/i,
  /\b(i was|i am|i've been|i have been) (instructed|told to say|prompted)\b/i,
  /###\s?[A-Z][A-Z-]+\s?###|\[GOODBYE\]|<\|?\w*(end|stop|im_\w+)\w*\|?>|<\/?think>/,
];

const QUOTED = /["“][^"”]*["”]|(?<!\w)['‘][^'’]*['’](?!\w)/g;

function leaked(text: string, { instruction, scenario }: Task): string | null {
  for (const pattern of LEAKS) {
    const found = text.match(pattern);
    if (found) return found[0];
  }
  // What an instruction says to its reader ("you want ..."); facts and the customer's own lines are quoted rightly.
  const theirs = ` ${plain(instruction.replace(QUOTED, " | "))} `;
  const own = texts(scenario).map(plain);
  const words = plain(text).split(" ");
  for (let i = 0; i + QUOTED_WORDS <= words.length; i++) {
    const piece = words.slice(i, i + QUOTED_WORDS).join(" ");
    if (/\byou(r|rself)?\b/.test(piece) && theirs.includes(` ${piece} `) && !own.some((line) => line.includes(piece)))
      return piece;
  }
  return null;
}

const AS_AGENT = new RegExp(
  [
    /\bhow (can|may) i (help|assist) you\b/,
    /\b(anything|something) else (that )?(i|we) (can|could|may) (help|assist|do for) you\b/,
    /\bthank you for (contacting|calling|reaching out)\b/,
    /\b(i|we)( have|['’]ve)( now| just| successfully)* (cancell?ed|processed|updated|changed|modified|booked|issued|initiated) (your|the customer)\b/,
    /\b(i|we)( will|['’]ll| can)( now)? (process|look up|look into|cancel|update|transfer|exchange|refund) (your|you)\b/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "i",
);

/** The same long message again, although the agent has said something else in between. */
function repeats({ transcript }: Conversation, said: readonly { text: string; at: number }[], turn: number): boolean {
  const before = said[turn - 1];
  if (!before || plain(said[turn].text) !== plain(before.text)) return false;
  if (plain(before.text).split(" ").length < REPEATED_WORDS) return false;
  const answered = ({ at }: { at: number }) =>
    plain(transcript.slice(0, at).reduce((last, entry) => (entry.role === "agent" ? entry.text : last), ""));
  return answered(said[turn]) !== answered(before);
}

// ---------------------------------------------------------------------------------------------------
// Inventing
// ---------------------------------------------------------------------------------------------------

const EMAIL = /[\w.+-]+@[\w-]+(\.[\w-]+)+/g;
const MONEY = /\$\s?\d[\d,]*(?:\.\d+)?|\b\d[\d,]*(?:\.\d+)?(?= ?(?:dollars|usd|bucks)\b)/gi;
/** Days between a date that is known and one that was worked out from it. */
const DAYS_AWAY = 3;
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/** In full or cut short, and nothing else that begins so: "2 separate ones" is no day. */
const MONTH =
  "(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\\b\\.?";
const DATES = [
  new RegExp(`\\b${MONTH} (\\d{1,2})(?:st|nd|rd|th)?\\b(?:,? (\\d{4})\\b)?`, "gi"), // May 15th, 2024
  new RegExp(`\\b(\\d{1,2})(?:st|nd|rd|th)?(?: of)? ${MONTH}(?:,? (\\d{4})\\b)?`, "gi"), // 15 May 2024
  /\b(\d{4})-(\d{1,2})-(\d{1,2})\b/g,
  /\b(\d{1,2})\/(\d{1,2})(?:\/(\d{2,4}))?\b/g,
];
/** With a digit and at least four letters and digits, or after a #: order numbers, ids, zip codes, telephone numbers. */
const ID = /(?<![#\w])#\w[\w-]*|\b(?=[\w-]*\d)\w[\w-]{2,}\w\b/g;
/** 10th, 9am, 15kg, 5-star, 24-hour: like an id, but a number with its word. */
const COUNTED = /^(\d+[a-z]{1,2}|\d{1,3}-[a-z]+)$/i;

/** What the customer can know: the task's words, and all that was said and shown so far. */
class Knowledge {
  #text = "";
  #squeezed = "";
  readonly #dates: Day[] = [];
  readonly #amounts = new Set<number>();
  readonly #emails = new Set<string>();

  constructor({ instruction, scenario }: Task) {
    this.learn(`${instruction}\n${texts(scenario).join("\n")}`);
  }

  learn(text: string): void {
    this.#text += `\n${text.toLowerCase()}`;
    this.#squeezed += `\n${squeeze(text)}`;
    this.#dates.push(...datesOf(text));
    for (const [email] of text.matchAll(EMAIL)) this.#emails.add(email.toLowerCase());
    for (const number of text.matchAll(/\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?/g))
      this.#amounts.add(amountOf(number[0]));
  }

  /** Pieces of data in a message that come from nowhere. */
  unknown(text: string): string[] {
    const found: string[] = [];
    let rest = text;
    const take = (pattern: RegExp, isKnown: (piece: string) => boolean) => {
      rest = rest.replace(pattern, (piece) => {
        if (!isKnown(piece)) found.push(piece);
        return " ";
      });
    };
    take(EMAIL, (piece) => this.#emails.has(piece.toLowerCase()));
    for (const date of datesOf(text)) if (!this.#knowsDate(date)) found.push(date.text);
    for (const pattern of DATES) take(pattern, () => true);
    take(MONEY, (piece) => this.#amounts.has(amountOf(piece.replace(/[$\s]/g, ""))));
    take(ID, (piece) => this.#knowsId(piece));
    return found;
  }

  /** Digits alone must stand alone there too; what has letters or breaks in it is compared without its breaks. */
  #knowsId(piece: string): boolean {
    if (/^\d+$/.test(piece)) return new RegExp(`(?<!\\d)${piece}(?!\\d)`).test(this.#text);
    return this.#squeezed.includes(squeeze(piece)) || COUNTED.test(piece);
  }

  /** The year counts where both name one. "The next day" and the like are worked out from a date that is known. */
  #knowsDate({ day, year }: Day): boolean {
    return this.#dates.some(
      (known) => Math.abs(known.day - day) <= DAYS_AWAY && (!year || !known.year || year === known.year),
    );
  }
}

interface Day {
  readonly text: string;
  /** Of a year of twelve months of 31 days. */
  readonly day: number;
  /** Empty where none is named. */
  readonly year: string;
}

/** A date in numbers alone is read as month/day. */
function datesOf(text: string): Day[] {
  const month = (name: string) => MONTHS.indexOf(name.slice(0, 3).toLowerCase()) + 1;
  return DATES.flatMap((pattern, form) =>
    [...text.matchAll(pattern)].flatMap(([piece, a, b, c = ""]) => {
      const [m, d, year] = [
        [month(a), +b, c],
        [month(b), +a, c],
        [+b, +c, a],
        [+a, +b, c],
      ][form] as [number, number, string];
      if (m < 1 || m > 12 || d < 1 || d > 31) return [];
      return [{ text: piece, day: m * 31 + d, year: year.length === 2 ? `20${year}` : year }];
    }),
  );
}

function amountOf(text: string): number {
  return Number.parseFloat(text.replaceAll(",", ""));
}

function squeeze(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9\n]/g, "");
}

/** Lower case, without punctuation, one space between two words. */
function plain(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9|]+/g, " ")
    .trim();
}

/** Every text inside of a value. */
function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return value !== null && typeof value === "object" ? Object.values(value).flatMap(texts) : [];
}

function wordsOf(entry: Conversation["transcript"][number]): string {
  return entry.role === "user" || entry.role === "agent" ? entry.text : entry.observation;
}

function clip(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}...` : text;
}
